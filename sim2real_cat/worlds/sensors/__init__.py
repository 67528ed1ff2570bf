"""Sensors: noise, latency and observations with memory."""
