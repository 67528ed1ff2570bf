"""Fixtures of gaps: recorded samples, and autoregressive episodes of known divergence."""

from gap_fixtures import autoregressive, recorded

__all__ = ["autoregressive", "recorded"]
