"""Readings whose densities are known, for the tests of densities and of their mixtures."""

from __future__ import annotations

import numpy as np


def episodes(rng, count=6, steps=30, d=2, members=3, apart=0.5):
    """Readings of reality N(0, 1), and members that expect something else, each in every step."""
    n = count * steps
    episode = np.repeat(np.arange(count), steps)
    reading = rng.normal(size=(n, d))
    expected = apart * rng.normal(size=(members, n, d))
    return episode, reading, expected, np.ones((members, d)), np.zeros((n, d)), np.ones(d)
