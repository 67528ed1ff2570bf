"""Fixtures of worlds: a rig of two joints, and a folder of its own for every test."""

from world_fixtures import moved, nothing_left_behind, rig

__all__ = ["moved", "nothing_left_behind", "rig"]
