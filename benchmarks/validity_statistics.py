"""The data of the validity experiment, and the statistics of its scores, with intervals from a bootstrap."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RESAMPLES, CONFIDENCE = 2000, 0.95
"""Resamples of the bootstrap, which draws within each robot's worlds, and level of its percentile intervals."""


@dataclass(frozen=True)
class Interval:
    """A statistic and its interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        value, low, high = (f"{x:.2f}".replace("-0.00", "0.00") for x in (self.value, self.low, self.high))
        return f"{value} [{low}, {high}]".replace("-", "−")


@dataclass(frozen=True, eq=False)
class Worlds:
    """The columns of the data file, with a row for each real-like world.

    Attributes:
        robot: (n,) names.
        kind: (n,) the kind of difference from the simulation.
        differences: (n,) what differs, in words.
        severity: (n,) of the difference, from 0 to 1.
        loss: (n,) lost return, as a share of what the policy gains over doing nothing.
        loss_even: (n,) the same from every other episode.
        loss_odd: (n,) the same from the rest.
        scores: the scores by name, (n,) each; NaN where one could not be computed.
    """

    robot: NDArray[np.str_]
    kind: NDArray[np.str_]
    differences: NDArray[np.str_]
    severity: Array
    loss: Array
    loss_even: Array
    loss_odd: Array
    scores: dict[str, Array]

    def among(self, rows: NDArray[np.bool_]) -> Worlds:
        """Return some of the worlds."""
        scores = {name: values[rows] for name, values in self.scores.items()}
        columns = (self.robot, self.kind, self.differences, self.severity, self.loss, self.loss_even, self.loss_odd)
        return Worlds(*(column[rows] for column in columns), scores)


def read(path: Path, scores: Sequence[str]) -> Worlds:
    """Read the data file, with those of the scores that were computed."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))

    def numbers(name: str) -> Array:
        return np.array([float(row[name]) for row in rows])

    words = (np.array([row[name] for row in rows]) for name in ("robot", "kind", "differences"))
    known = {score: numbers(score) for score in scores}
    known = {score: values for score, values in known.items() if np.isfinite(values).any()}
    return Worlds(*words, *map(numbers, ("severity", "loss", "loss_even", "loss_odd")), known)


def resampled(robot: NDArray[np.str_], rng: np.random.Generator) -> Array:
    """Return how often each world counts in each resample, (1 + RESAMPLES, n).

    It counts once in the first row; the other rows are drawn within each robot.
    """
    counts = np.ones((1 + RESAMPLES, len(robot)))
    for name in np.unique(robot):
        rows = np.flatnonzero(robot == name)
        counts[1:, rows] = rng.multinomial(len(rows), np.full(len(rows), 1.0 / len(rows)), size=RESAMPLES)
    return counts


def spearman(x: Array, y: Array, robot: NDArray[np.str_], counts: Array) -> Array:
    """Compute the correlation of the ranks that x and y have within their robot, (b,), for b rows of counts (b, n).

    Ties share the mean of their ranks; ranks are divided by the number of the robot's worlds.
    """
    same = robot[:, None] == robot
    size = counts @ same
    ranks = []
    for values in (x, y):
        below = ((values < values[:, None]) + 0.5 * (values == values[:, None])) * same
        ranks.append(counts @ below.T / size - 0.5)
    products = [(counts * ranks[i] * ranks[j]).sum(axis=1) for i, j in ((0, 1), (0, 0), (1, 1))]
    return _ratio(products[0], products[1] * products[2])


def kendall(x: Array, y: Array, robot: NDArray[np.str_], counts: Array) -> Array:
    """Compute Kendall's tau-b (b,) over the pairs of worlds of the same robot, for b rows of counts (b, n)."""
    same = robot[:, None] == robot
    up, right = (np.sign(values[:, None] - values) * same for values in (x, y))
    agree, *ties = (((counts @ signs) * counts).sum(axis=1) for signs in (up * right, up**2, right**2))
    return _ratio(agree, ties[0] * ties[1])


def flagged(x: Array, lost: NDArray[np.bool_], robot: NDArray[np.str_], counts: Array) -> Array:
    """Compute the share of pairs of a robot's worlds, of which one loses return, with the larger x there, (b,).

    Ties count half; 0.5 where there is no such pair.
    """
    pairs = (robot[:, None] == robot) & lost[:, None] & ~lost
    right = ((x[:, None] > x) + 0.5 * (x[:, None] == x)) * pairs
    found, all_pairs = (((counts @ matrix.T) * counts).sum(axis=1) for matrix in (right.T, pairs.T))
    return np.divide(found, all_pairs, out=np.full_like(found, 0.5), where=all_pairs > 0)


def interval(draws: Array) -> Interval:
    """Return the statistic, which comes first, with the percentiles of its resamples."""
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(draws[1:], [tail, 100 - tail])
    return Interval(float(draws[0]), float(low), float(high))


def _ratio(covariance: Array, variances: Array) -> Array:
    """Divide the covariance by the root of the product of variances; 0 where one side does not vary."""
    return np.divide(covariance, np.sqrt(variances), out=np.zeros_like(covariance), where=variances > 0)
