"""Morphisms of instances: search, limits, colimits, sub-instances."""
