"""Policies: functions from what sensors read to what actuators do."""
