"""Logs that somebody else recorded, read as trajectories: formats, units, timestamps, plausibility."""
