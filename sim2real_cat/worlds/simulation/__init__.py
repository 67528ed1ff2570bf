"""Simulation on MuJoCo's batch: rollouts, replays, predictions."""
