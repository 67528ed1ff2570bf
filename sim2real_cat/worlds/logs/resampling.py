"""Series of several clocks on one even grid: states and sensors linearly, actions held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim2real_cat.worlds.trajectories import Array

_ON_TIME = 1e-6
"""Part of a control period by which a row may miss the grid and still be on it: less than any clock resolves."""


@dataclass(frozen=True, eq=False)
class Series:
    """Values of one channel at their times.

    Attributes:
        times: (rows,) seconds, increasing.
        values: (rows, k).
    """

    times: Array
    values: Array


def grid(starts: Sequence[float], ends: Sequence[float], period: float) -> Array:
    """The control steps from the time when every series has begun to the time when the first one ends."""
    start, end = max(starts), min(ends)
    steps = int(np.floor((end - start) / period + _ON_TIME)) if end > start else -1
    return np.asarray(start + period * np.arange(steps + 1))


def linear(series: Series, at: Array, rotations: Sequence[int] = ()) -> Array:
    """Values between the rows by linear interpolation, (len(at), k).

    Args:
        series: the rows.
        at: (steps,) where values are asked for.
        rotations: first columns of four that are a unit quaternion; between rows they stay one (normalised linear
            interpolation, the shorter way round).
    """
    values = series.values.copy()
    for first in rotations:
        values[:, first : first + 4] = _shorter_way(values[:, first : first + 4])
    columns = [np.interp(at, series.times, column) for column in values.T]
    out = np.stack(columns, axis=1)
    for first in rotations:
        out[:, first : first + 4] /= np.linalg.norm(out[:, first : first + 4], axis=1, keepdims=True)
    return out


def held(series: Series, at: Array, period: float) -> Array:
    """The last value before or at each time, (len(at), k): what an actuator does between two commands."""
    row = np.searchsorted(series.times, at + _ON_TIME * period, side="right") - 1
    return np.asarray(series.values[np.maximum(row, 0)])


def on_grid(times: Array, period: float, resolution: float = 0.0) -> bool:
    """Whether rows stand on an even grid already, up to what the timestamps resolve [s]."""
    even = times[0] + period * np.arange(len(times))
    return bool(np.abs(times - even).max(initial=0.0) <= _ON_TIME * period + resolution)


def unwrapped(values: Array) -> Array:
    """Angles [rad] without the jumps of a full turn between two rows, column by column."""
    return np.asarray(np.unwrap(values, axis=0))


def _shorter_way(quaternions: Array) -> Array:
    """Unit quaternions, (rows, 4), with signs such that neighbours are near: q and -q are one rotation."""
    turned = np.where((quaternions[1:] * quaternions[:-1]).sum(axis=1) < 0, -1.0, 1.0)
    return np.asarray(quaternions * np.concatenate([[1.0], np.cumprod(turned)])[:, None])
