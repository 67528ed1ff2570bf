"""Worlds that other simulators compute."""
