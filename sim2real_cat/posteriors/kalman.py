"""A cubature Kalman filter for hidden states, many at a time.

Arasaratnam and Haykin 2009, "Cubature Kalman filters", IEEE Transactions on Automatic Control 54:1254-1269: a belief
N(m, P) in k dimensions is carried by the 2 k points m ± sqrt(k) P^(1/2) e_i of equal weight. On linear dynamics it is
the Kalman filter. The worlds are deterministic; process noise stands for what no world does, and for what the filter
loses at a contact.

`filtered` costs 2 k + 1 simulations of a lane, `followed` one: it corrects the mean as a lane that was filtered did. So
worlds near one that was filtered are cheap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sim2real_cat.arrays import Floats, Ints


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
    """The expectation of every reading in L lanes, given the readings before, and the corrections by them.

    Attributes:
        expected: (L, T, d); NaN where a lane's dynamics diverged.
        covariance: (L, T, d, d) of the reading, its noise included.
        gain: (L, T, k, d) from what a reading was off to the correction; 0 where nothing was read.
        drift: (L, T, k) tangent vector from the state that the mean goes to, to the mean of those of the points.
        lift: (L, T, d) the points' mean reading less the one at the state that the mean goes to.
    """

    expected: Floats
    covariance: Floats
    gain: Floats
    drift: Floats
    lift: Floats


def filtered(
    model: StateModel, start: Floats, covariance: Floats, reading: Floats, noise: Floats, process: Floats
) -> Innovations:
    """Follow the readings of all lanes: predict each, then correct the state by it.

    Args:
        model: the lanes, with 2 k + 1 points each.
        start: (L, n) mean of the state before the first step.
        covariance: (L, k, k) of its error.
        reading: (L, T, d) after every step; NaN past the end of an episode.
        noise: (L, d) standard deviation of the readings' Gaussian noise.
        process: (k,) standard deviation of the independent noise that moves the state before every step.
    """
    lanes, steps, d = reading.shape
    k = covariance.shape[-1]
    mean, spread = start, covariance
    white = np.square(noise)[..., None] * np.eye(d)
    added = np.diag(np.square(process))
    signs = np.sqrt(k) * np.concatenate([np.zeros((1, k)), np.eye(k), -np.eye(k)])
    found = Innovations(
        np.full((lanes, steps, d), np.nan),
        np.tile(np.eye(d), (lanes, steps, 1, 1)),
        np.zeros((lanes, steps, k, d)),
        np.zeros((lanes, steps, k)),
        np.zeros((lanes, steps, d)),
    )
    for t in range(steps):
        points = model.moved(mean[:, None], signs @ np.swapaxes(_root(spread + added), 1, 2))
        reached, read = model.ahead(points, t)
        alive = np.asarray(np.isfinite(reached).all(axis=(1, 2)) & np.isfinite(read).all(axis=(1, 2)))
        reached = np.where(alive[:, None, None], reached, points)
        away = model.apart(reached[:, 1:], reached[:, :1])
        middle = away.mean(axis=1)
        mean, away = model.moved(reached[:, 0], middle), away - middle[:, None]
        expected = read[:, 1:].mean(axis=1)
        off = np.where(alive[:, None, None], read[:, 1:] - expected[:, None], 0.0)
        total = np.swapaxes(off, 1, 2) @ off / (2 * k) + white
        spread = np.swapaxes(away, 1, 2) @ away / (2 * k)
        innovation = reading[:, t] - expected
        seen = np.asarray(np.isfinite(innovation).all(axis=1))
        gain = np.swapaxes(np.linalg.solve(total, np.swapaxes(off, 1, 2) @ away / (2 * k)), 1, 2)
        gain = np.where(seen[:, None, None], gain, 0.0)
        mean = model.moved(mean, _corrections(gain, innovation))
        spread = spread - gain @ total @ np.swapaxes(gain, 1, 2)
        found.expected[:, t], found.covariance[:, t] = np.where(alive[:, None], expected, np.nan), total
        found.gain[:, t], found.drift[:, t] = gain, middle
        found.lift[:, t] = np.where(alive[:, None], expected - read[:, 0], 0.0)
    return found


def followed(model: StateModel, start: Floats, reading: Floats, like: Innovations, lanes: Ints) -> Floats:
    """Follow the readings with the corrections of lanes that were filtered, in another world or from another start.

    At the world and the start that were filtered it expects what the filter did. Elsewhere the gains, and how the
    belief's spread moves its mean, are left as they were.

    Args:
        model: L lanes of a single point.
        start: (L, n) states before the first step.
        reading: (L, T, d) after every step; NaN past the end of an episode.
        like: the lanes that were filtered.
        lanes: (L,) which of them each lane follows.

    Returns:
        (L, T, d) expected readings; NaN from where the dynamics diverged.
    """
    mean, found = start, np.full(reading.shape, np.nan)
    lost = np.zeros(len(start), dtype=bool)
    for t in range(reading.shape[1]):
        reached, read = (of[:, 0] for of in model.ahead(mean[:, None], t))
        lost |= ~(np.isfinite(reached).all(axis=1) & np.isfinite(read).all(axis=1))
        reached = np.where(lost[:, None], mean, reached)
        expected = read + like.lift[lanes, t]
        found[:, t] = np.where(lost[:, None], np.nan, expected)
        step = like.drift[lanes, t]
        mean = model.moved(model.moved(reached, step), _corrections(like.gain[lanes, t], reading[:, t] - found[:, t]))
    return found


def _corrections(gain: Floats, innovation: Floats) -> Floats:
    """Compute (L, k) what gains make of innovations (L, d); nothing of those that are not known."""
    known = np.where(np.isfinite(innovation).all(axis=1, keepdims=True), innovation, 0.0)
    return np.asarray(np.einsum("lkd,ld->lk", gain, known))


def _root(covariance: Floats) -> Floats:
    """Compute (L, k, k) a square root of each covariance, also where it is singular."""
    values, vectors = np.linalg.eigh(0.5 * (covariance + np.swapaxes(covariance, 1, 2)))
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :], dtype=np.float64)
