"""The permutation test: units that are exchangeable under the null are dealt anew between two sides.

The share of deals, with the one that was observed counted in, that are at least as extreme as it is a p-value: at most
α with probability at most α, for any statistic (Phipson and Smyth 2010, Statistical Applications in Genetics and
Molecular Biology 9:39).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import comb

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.arrays import Floats, Ints
from sim2real_cat.gaps.samples import Cloud, subset

# Where there are more episodes they are dealt into groups of equal size first, which stay together.
_MOST_UNITS = 256


@dataclass(frozen=True)
class Pool:
    """The points of two sides in exchangeable units.

    Attributes:
        cloud: All of them, as a real side; `episode` is the unit, from 0.
        first: How many units the first side has: those with the lowest numbers.
        units: How many there are.
        notes: What the reader should know.
    """

    cloud: Cloud
    first: int
    units: int
    notes: tuple[str, ...] = ()

    def of(self, chosen: NDArray[np.bool_]) -> Cloud:
        """The points of some units (units,), as a real side."""
        return subset(self.cloud, chosen[self.cloud.episode])


def pool(first: Cloud, second: Cloud, rng: np.random.Generator) -> Pool:
    """The episodes of two sides in one, alike in length and few enough to be dealt.

    Episodes of different lengths are alike only if lengths come about by chance. Where every episode of one side is
    longer than every one of the other, they do not, and the longer ones are cut to their first steps.
    """
    notes: tuple[str, ...] = ()
    lengths = [np.unique(side.episode, return_counts=True)[1] for side in (first, second)]
    if lengths[0].min() > lengths[1].max() or lengths[1].min() > lengths[0].max():
        most = min(int(own.max()) for own in lengths)
        first, second = _beginning(first, most), _beginning(second, most)
        notes = (f"episodes of the longer side are cut to their first {most} {first.rows}, to be alike",)
    counts = [len(own) for own in lengths]
    size = -(-sum(counts) // _MOST_UNITS)
    labels: list[Ints] = []
    units: list[int] = []
    for side, count in zip((first, second), counts, strict=True):
        groups = count // size
        dealt = rng.permutation(count) // size if size > 1 else np.arange(count)
        dealt = np.where(dealt < groups, dealt + sum(units), -1)
        labels.append(dealt[np.unique(side.episode, return_inverse=True)[1]])
        units.append(groups)
    label = np.concatenate(labels)
    kept = label >= 0
    points = np.concatenate([first.points, second.points])
    both = replace(first, points=points, episode=label, member_index=np.zeros(len(points), dtype=np.intp), actions=None)
    if first.actions is not None and second.actions is not None and first.actions.shape[1] == second.actions.shape[1]:
        both = replace(both, actions=np.concatenate([first.actions, second.actions]))
    return Pool(subset(both, kept), units[0], sum(units), notes)


def deals(pooled: Pool, count: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """(count + 1, units) which units are on the first side: as observed, then in random deals."""
    chosen = np.zeros((count + 1, pooled.units), dtype=bool)
    chosen[0, : pooled.first] = True
    for row in chosen[1:]:
        row[rng.permutation(pooled.units)[: pooled.first]] = True
    return chosen


def p_value(statistics: Floats) -> float:
    """Share of statistics (count + 1,) that are at least the first; one that is not a number counts as such."""
    return float(np.mean(~(statistics < statistics[0] - 1e-12 * abs(statistics[0]))))


def floor(pooled: Pool, count: int) -> float:
    """The smallest p-value that so many deals can give."""
    return max(1 / (count + 1), 1 / comb(pooled.units, pooled.first))


def _beginning(cloud: Cloud, most: int) -> Cloud:
    """The first points of every episode, at most so many."""
    starts = np.flatnonzero(np.r_[True, cloud.episode[1:] != cloud.episode[:-1]])
    step: Ints = np.arange(len(cloud.episode)) - np.repeat(starts, np.diff(np.r_[starts, len(cloud.episode)]))
    return subset(cloud, step < most)
