"""A cubature Kalman filter for hidden states, many at a time.

Arasaratnam and Haykin 2009, "Cubature Kalman filters", IEEE Transactions on Automatic Control 54:1254-1269: a belief
N(m, P) in k dimensions is carried by the 2 k points m ± sqrt(k) P^(1/2) e_i of equal weight. On linear dynamics it is
the Kalman filter. The worlds are deterministic, so nothing is added to P on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sim2real_cat.arrays import Floats


class StateModel(Protocol):
    """Dynamics and sensors of L lanes; states are rows that move along tangent vectors."""

    def ahead(self, states: Floats, step: int) -> tuple[Floats, Floats]:
        """Return the states (L, points, n) after a control step, and the readings (L, points, d) expected there."""

    def moved(self, states: Floats, step: Floats) -> Floats:
        """Return the states (..., n) moved along tangent vectors (..., k)."""

    def apart(self, after: Floats, before: Floats) -> Floats:
        """Return the tangent vectors (..., k) from the states `before` (..., n) to those `after`."""


@dataclass(frozen=True, eq=False)
class Innovations:
    """The expectation of every reading in L lanes, given the readings before.

    Attributes:
        expected: (L, T, d); NaN where a lane's dynamics diverged.
        covariance: (L, T, d, d) of the reading, its noise included.
    """

    expected: Floats
    covariance: Floats


def filtered(model: StateModel, start: Floats, covariance: Floats, reading: Floats, noise: Floats) -> Innovations:
    """Follow the readings of all lanes: predict each, then correct the state by it.

    Args:
        model: the lanes.
        start: (L, n) mean of the state before the first step.
        covariance: (k, k) of its error.
        reading: (L, T, d) after every step; NaN past the end of an episode.
        noise: (L, d) standard deviation of the readings' Gaussian noise.
    """
    lanes, steps, d = reading.shape
    k = len(covariance)
    mean, spread = start, np.tile(covariance, (lanes, 1, 1))
    white = np.square(noise)[..., None] * np.eye(d)
    signs = np.sqrt(k) * np.concatenate([np.eye(k), -np.eye(k)])
    found = Innovations(np.full((lanes, steps, d), np.nan), np.tile(np.eye(d), (lanes, steps, 1, 1)))
    for t in range(steps):
        points = model.moved(mean[:, None], signs @ np.swapaxes(_root(spread), 1, 2))
        reached, read = model.ahead(points, t)
        alive = np.asarray(np.isfinite(reached).all(axis=(1, 2)) & np.isfinite(read).all(axis=(1, 2)))
        reached = np.where(alive[:, None, None], reached, points)
        away = model.apart(reached, reached[:, :1])
        middle = away.mean(axis=1)
        mean, away = model.moved(reached[:, 0], middle), away - middle[:, None]
        expected = read.mean(axis=1)
        off = np.where(alive[:, None, None], read - expected[:, None], 0.0)
        total = np.swapaxes(off, 1, 2) @ off / len(signs) + white
        found.expected[:, t], found.covariance[:, t] = np.where(alive[:, None], expected, np.nan), total
        spread = np.swapaxes(away, 1, 2) @ away / len(signs)
        innovation = reading[:, t] - expected
        seen = np.asarray(np.isfinite(innovation).all(axis=1))
        gain = np.swapaxes(np.linalg.solve(total, np.swapaxes(off, 1, 2) @ away / len(signs)), 1, 2)
        correction = np.einsum("lkd,ld->lk", gain, np.where(seen[:, None], innovation, 0.0))
        mean = model.moved(mean, correction)
        spread = spread - np.where(seen[:, None, None], gain @ total @ np.swapaxes(gain, 1, 2), 0.0)
    return found


def _root(covariance: Floats) -> Floats:
    """Compute (L, k, k) a square root of each covariance, also where it is singular."""
    values, vectors = np.linalg.eigh(0.5 * (covariance + np.swapaxes(covariance, 1, 2)))
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :], dtype=np.float64)
