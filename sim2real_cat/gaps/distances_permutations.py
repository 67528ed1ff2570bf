"""Distances under permuted labels: the same statistic for every way to call the episodes real or simulated.

A point keeps its weight u when its episode changes sides, and each side is scaled to a total of 1. With the
signed weights c = (real weights) - (simulated weights) every statistic here is a function of c: energy distance
and squared maximum mean discrepancy are quadratic forms -cᵀ D c and cᵀ K c in the matrices of distances and of
kernel values (Sejdinovic et al. 2013, Annals of Statistics 41:2263-2291), summed once over pairs of episodes;
Wasserstein-1 on a line is the integral of |running sum of c|.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist, pdist

from sim2real_cat.gaps.samples import Floats, Ints

# How many pooled points tell the median distance.
_PROBES = 1000
# Rows of the matrix of distances that are held at once.
_ROWS = 500
# A permuted statistic this close to the observed one, relative to it, is the same up to rounding.
_SAME = 1e-9


@dataclass(frozen=True)
class Side:
    """One side: points (n, d), what each counts for (n,), and its episode (n,), not decreasing."""

    points: Floats
    weight: Floats
    episode: Ints


@dataclass(frozen=True)
class Relabelled:
    """Points of both sides pooled, and labels of their episodes; the first labelling is the true one.

    Attributes:
        points: (N, d), episode after episode.
        weight: (N,) what each point counts for, in units of a real point's.
        start: (E,) the first row of each episode.
        real: (1 + labellings, E) which episodes are called real.
        exact: Whether the labellings after the first are all there are.
    """

    points: Floats
    weight: Floats
    start: Ints
    real: NDArray[np.bool_]
    exact: bool

    @classmethod
    def draw(cls, real: Side, sim: Side, permutations: int, rng: np.random.Generator) -> Relabelled:
        """Pool both sides and draw labellings, or list them if there are few."""
        episode = np.concatenate([real.episode, real.episode.max() + 1 + sim.episode])
        start = np.flatnonzero(np.diff(episode, prepend=-1))
        count, ours = len(start), int((start < len(real.points)).sum())
        truth = np.arange(count) < ours
        exact = comb(count, ours) <= permutations
        if exact:
            labels = np.zeros((comb(count, ours), count), dtype=bool)
            for row, chosen in enumerate(combinations(range(count), ours)):
                labels[row, list(chosen)] = True
        else:
            labels = np.stack([rng.permutation(truth) for _ in range(permutations)])
        weight = np.concatenate([side.weight * len(side.points) / side.weight.sum() for side in (real, sim)])
        points = np.concatenate([real.points, sim.points])
        return cls(points, weight, start, np.concatenate([truth[None], labels]), exact)

    @property
    def count(self) -> int:
        """Labellings that the true one is compared with, itself among them."""
        return len(self.real) - 1 if self.exact else len(self.real)

    @property
    def smallest(self) -> float:
        """The smallest p-value possible."""
        return 1 / self.count

    @property
    def _testable(self) -> bool:
        ours = int(self.real[0].sum())
        return 2 <= ours <= len(self.start) - 2

    def p_value(self, statistic: Floats) -> float | None:
        """The share of labellings whose statistic is at least the true one's, from (1 + labellings,) statistics.

        None where a side has a single episode. Drawn labellings are counted together with the true one, which keeps
        the level (Phipson and Smyth 2010, Stat. Appl. Genetics and Molecular Biology 9:39).
        """
        if not self._testable:
            return None
        against = statistic[1:] if self.exact else statistic
        return float((against >= statistic[0] * (1 - _SAME)).mean())

    def null(self, statistic: Floats) -> float | None:
        """The mean statistic over the labellings."""
        return float(statistic[1:].mean()) if self._testable else None

    def energy_and_discrepancy(self, bandwidth: float) -> tuple[Floats, Floats]:
        """(1 + labellings,) energy distance and squared MMD with a Gaussian kernel, for each labelling."""
        by_point = np.zeros((2, len(self.points), len(self.start)))
        for first in range(0, len(self.points), _ROWS):
            rows = slice(first, first + _ROWS)
            apart = cdist(self.points[rows], self.points)
            for total, values in zip(by_point, (apart, np.exp(-0.5 * (apart / bandwidth) ** 2)), strict=True):
                total[rows] = np.add.reduceat(values * self.weight, self.start, axis=1)
        distance, kernel = np.add.reduceat(by_point * self.weight[:, None], self.start, axis=1)
        signed = self._signed()
        energy = -((signed @ distance) * signed).sum(axis=1)
        squared = ((signed @ kernel) * signed).sum(axis=1)
        return np.maximum(energy, 0.0), np.maximum(squared, 0.0)

    def wasserstein(self, directions: Floats) -> Floats:
        """(1 + labellings,) Wasserstein-1 along directions (d, n_directions), averaged over them."""
        per_point = np.repeat(self._signed(), np.diff(self.start, append=len(self.points)), axis=1) * self.weight
        total: Floats = np.zeros(len(per_point))
        for along in (self.points @ directions).T:
            order = np.argsort(along, kind="stable")
            below = np.cumsum(per_point[:, order[:-1]], axis=1)
            total += np.abs(below) @ np.diff(along[order])
        average: Floats = total / directions.shape[1]
        return average

    def _signed(self) -> Floats:
        """(1 + labellings, E) what one unit of weight counts for in c, by episode."""
        mass = np.add.reduceat(self.weight, self.start)
        ours = self.real / (self.real @ mass)[:, None]
        theirs = ~self.real / (~self.real @ mass)[:, None]
        signed: Floats = ours - theirs
        return signed


def median_distance(points: Floats) -> float:
    """The median distance between points, by which a Gaussian kernel is scaled; 1 where most coincide."""
    count = min(len(points), _PROBES)
    median = float(np.median(pdist(points[np.arange(count) * len(points) // count])))
    return median if median > 0 else 1.0
