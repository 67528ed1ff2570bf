"""Divergences between samples, with intervals: arrays in, numbers out."""
