"""Fixtures of deployments without physics."""

from transfer_fixtures import make_deployment, make_gap, make_trajectories

__all__ = ["make_deployment", "make_gap", "make_trajectories"]
