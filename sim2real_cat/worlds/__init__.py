"""Worlds in MuJoCo, randomization, policies and rollouts."""
