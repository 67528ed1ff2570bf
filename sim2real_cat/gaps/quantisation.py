"""Quantised sensors: found by their quantum, and given back the width that rounding took from them.

An encoder or a rounded log has ties, and a distance of 0 has no logarithm. Uniform noise of the quantum's width, added
to both sides, turns each step into an interval; what divergence is left is that of the smoothed distributions, which
by data processing is at most the original one.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sim2real_cat.arrays import Floats
from sim2real_cat.gaps.samples import Cloud

# A sensor with fewer ties than this share of its values is as good as continuous.
_TIES = 0.05
# Values closer than this share of the range are one value and rounding noise.
_SAME = 1e-9
# How far the steps between values may be from whole quanta.
_WHOLE = 0.01


def quantum(values: Floats) -> float:
    """Find the step of which all differences of values (n,) are multiples; 0 where there is none or hardly a tie."""
    unique = np.unique(values)
    steps = np.diff(unique)
    steps = steps[steps > _SAME * (unique[-1] - unique[0])]
    if not len(steps) or len(steps) + 1 > (1 - _TIES) * len(values):
        return 0.0
    multiples = steps / steps.min()
    return float(steps.min()) if (np.abs(multiples - np.round(multiples)) < _WHOLE).all() else 0.0


def quanta(real: Cloud, sim: Cloud) -> Floats:
    """Find (d,) the coarser side's quantum of every sensor; 0 where neither is quantised."""
    d = len(real.sensors)
    columns = [[cloud.points[:, j] for cloud in (real, sim)] for j in range(d)]
    return np.array([max(quantum(values) for values in sides) for sides in columns])


def dithered(cloud: Cloud, widths: Floats, rng: np.random.Generator) -> Cloud:
    """Add uniform noise of these widths (d,) to the points: the same for an observation wherever it occurs."""
    d, points = len(cloud.sensors), cloud.points
    noise = (rng.random(points.shape) - 0.5) * np.tile(widths, points.shape[1] // d)
    if cloud.level == "transition":
        # The o' of a pair is the o of the next one, in the same episode.
        follows = (cloud.episode[1:] == cloud.episode[:-1]) & (points[1:, :d] == points[:-1, d:]).all(axis=1)
        noise[:-1, d:][follows] = noise[1:, :d][follows]
    return replace(cloud, points=points + noise)
