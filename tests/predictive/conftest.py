"""Fixtures of deployments without physics."""

from gap_fixtures import autoregressive, recorded
from transfer_fixtures import make_deployment, make_gap, make_trajectories

__all__ = ["autoregressive", "make_deployment", "make_gap", "make_trajectories", "recorded"]
