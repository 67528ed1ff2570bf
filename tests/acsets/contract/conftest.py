"""One suite for every engine: what is tested here must hold wherever an instance lives."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def hold(engine):
    """An instance moved to the engine under test."""
    return lambda x: x.to_engine(engine)


@pytest.fixture(scope="session")
def catlab(catlab_engine):
    """An instance moved to Catlab, or to its stand-in."""
    return lambda x: x.to_engine(catlab_engine)
