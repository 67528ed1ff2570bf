"""Nearest neighbours between episodes, with all blocks or without one, and the divergence that their distances show.

The search is exact: a k-d tree in few dimensions, matrix products in many. A k-d tree prunes little beyond some eight
dimensions and then visits nearly every point, slowly. There all squared distances |a|² - 2 a·b + |b|² come out of one
matrix product, block by block, and a bound that shrinks as more points have been seen lets a single comparison discard
nearly all of them.

The divergence is that of Wang, Kulkarni and Verdú 2009, IEEE Transactions on Information Theory 55:2392-2405. With
ρ_k(i) the distance of real point i to its k-th nearest other real point, ν_k(i) to its k-th nearest simulated point, n
and m points in d dimensions, the variant "plain" is

    KL = d/n Σ_i ln(ν_k(i) / ρ_k(i)) + ln(m / (n - 1)).

Two changes make it fit for episodes and fibres. A point's neighbours close in time do not count, since they are close
in space (`TimeExclusion`): n - 1 becomes the number of real points that do. And simulated points carry weight: each of
a member's m_e points w_e / m_e. The density k / (m c_d ν_k^d) that the formula divides by becomes W / (c_d ν_k^d) with
W the weight of the k nearest, which for equal weights 1/m is the same.

The bias falls off as (k/n)^(1/d) where the density is Lipschitz (Singh and Póczos 2016, "Finite-sample analysis of
fixed-k nearest neighbor density functional estimators"). The other variants reduce it:

- "reduced", of the same paper of Wang, Kulkarni and Verdú: both densities look at the same neighbourhood, of radius
  max(ρ_k(i), ν_k(i)). With l(i) real and q(i) simulated points in it (at most `_MOST_COUNTED` are counted), a term is
  d ln(ν_q / ρ_l) + ψ(l) - ψ(q) + ln(m / (n - 1)).
- "extrapolated", from k and 4 k neighbours to none: KL_k + (KL_k - KL_4k) / (4^(1/d) - 1).
- "anchored": KL_k minus its error on Gaussians of the same moments (`knn.TwinError`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import digamma

from sim2real_cat.arrays import Floats, Ints
from sim2real_cat.gaps.estimate import Variant
from sim2real_cat.gaps.resampling import Blocks, LeftOut

# From this number of dimensions on, matrix products were faster than trees (benchmarks/gaps.py nearest).
_MANY_DIMENSIONS = 9
# Fewer queries of a tree are done before threads have started.
_WORTH_THREADS = 5000
# Rows and columns of one block of squared distances: 2 MiB, which stay in a core's cache.
_ROWS, _COLUMNS = 128, 2048
# The second number of neighbours of the variant "extrapolated", as a multiple of the first.
_FARTHER = 4
# How many points within the common radius the variant "reduced" counts at most, as a multiple of k.
_MOST_COUNTED = 12


def nearest(queries: Floats, points: Floats, count: int) -> tuple[Floats, Ints]:
    """Find the nearest points of every query, in Euclidean distance.

    Args:
        queries: (q, d).
        points: (n, d).
        count: How many are wanted, at least 1.

    Returns:
        (q, count) distances, ascending, and (q, count) rows of `points`; infinite and n where there are no more.
    """
    if queries.shape[1] < _MANY_DIMENSIONS or count >= len(points):
        workers = -1 if len(queries) > _WORTH_THREADS else 1
        distance, index = cKDTree(points).query(queries, k=range(1, count + 1), workers=workers)
        return distance, index.astype(np.intp, copy=False)
    centre = points.mean(axis=0)
    queries, points = queries - centre, points - centre
    # One product gives |b|² - 2 a·b, which orders the points b of a query a as the distance does.
    left = np.hstack([-2.0 * queries, np.ones((len(queries), 1))])
    right = np.ascontiguousarray(np.hstack([points, np.einsum("ij,ij->i", points, points)[:, None]]).T)
    starts = range(0, len(queries), _ROWS)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(lambda start: _candidates(left[start : start + _ROWS], right, count), starts))
    index = np.concatenate(found)
    return _sorted_by_distance(queries, points, index)


def _candidates(left: Floats, right: Floats, count: int) -> Ints:
    """Find (rows, count) columns with the smallest entries of left @ right, in any order."""
    total = right.shape[1]
    seen = min(total, max(_COLUMNS, 2 * count))
    scores = left @ right[:, :seen]
    index = np.argpartition(scores, count - 1, axis=1)[:, :count]
    score = np.take_along_axis(scores, index, axis=1)
    while seen < total:
        # As many columns again as have been seen leave some `count` survivors in every row.
        stop = min(total, 2 * seen)
        bound = score.max(axis=1, keepdims=True)
        rows, columns, values = [], [], []
        for start in range(seen, stop, _COLUMNS):
            block = left @ right[:, start : min(stop, start + _COLUMNS)]
            flat = np.flatnonzero(block < bound)
            row, column = np.divmod(flat, block.shape[1])
            rows.append(row)
            columns.append(column + start)
            values.append(block.ravel()[flat])
        score, index = _merged(score, index, np.concatenate(rows), np.concatenate(columns), np.concatenate(values))
        seen = stop
    return index


def _merged(score: Floats, index: Ints, row: Ints, column: Ints, value: Floats) -> tuple[Floats, Ints]:
    """Return the smallest of those found before (rows, count) and of survivors, given by row, column and value."""
    count = score.shape[1]
    order = np.argsort(row, kind="stable")
    row, column, value = row[order], column[order], value[order]
    number = np.bincount(row, minlength=len(score))
    place = count + np.arange(len(row)) - np.repeat(np.cumsum(number) - number, number)
    scores = np.full((len(score), count + int(number.max(initial=0))), np.inf)
    indices = np.zeros(scores.shape, dtype=np.intp)
    scores[:, :count], indices[:, :count] = score, index
    scores[row, place], indices[row, place] = value, column
    best = np.argpartition(scores, count - 1, axis=1)[:, :count]
    return np.take_along_axis(scores, best, axis=1), np.take_along_axis(indices, best, axis=1)


def _sorted_by_distance(queries: Floats, points: Floats, index: Ints) -> tuple[Floats, Ints]:
    """Sort candidates (q, count) by their exact distance; differences lose no digits where points nearly meet."""
    squared = np.zeros(index.shape)
    for column in range(queries.shape[1]):
        squared += (queries[:, column, None] - points[index, column]) ** 2
    order = np.argsort(squared, axis=1, kind="stable")
    return np.sqrt(np.take_along_axis(squared, order, axis=1)), np.take_along_axis(index, order, axis=1)


@dataclass(frozen=True)
class TimeExclusion:
    """The real points that are too close in time to a real point to be its neighbours, and its blocks.

    Attributes:
        blocks: The blocks of the real side.
        first: (n,) the first row of the Theiler window around each point; None where the own block does not count.
        last: (n,) its last row.
    """

    blocks: Blocks
    first: Ints | None
    last: Ints | None

    @classmethod
    def choose(cls, episode: Ints, blocks: Blocks, theiler: int | None) -> TimeExclusion:
        """Exclude `theiler` steps before and after each point (Theiler 1986); by default its whole block.

        Independent rows, each an episode of its own, have nothing in their past: only the point itself is left out.
        """
        rows = np.arange(len(episode))
        begin = np.searchsorted(episode, episode)
        end = np.searchsorted(episode, episode, side="right") - 1
        if theiler is None:
            if (end > begin).any():
                return cls(blocks, None, None)
            theiler = 0
        return cls(blocks, np.maximum(begin, rows - theiler), np.minimum(end, rows + theiler))

    def others(self, out: int | None) -> Ints:
        """Count (n,) the points that could be a neighbour of each, with a block left out or none."""
        kept = np.ones(len(self.blocks.label), dtype=np.intp) if out is None else (self.blocks.label != out).astype(int)
        if self.first is None or self.last is None:
            within: Ints = np.bincount(self.blocks.label, kept, self.blocks.count)[self.blocks.label].astype(np.intp)
        else:
            before = np.concatenate([[0], np.cumsum(kept)])
            within = before[self.last + 1] - before[self.first]
        others: Ints = kept.sum() - within
        return others


@dataclass(frozen=True)
class NearestPoints:
    """The nearest points of one side, enough of them to leave out any one block.

    Attributes:
        distance: (n, 2 far) ascending, at most `far` of any block; infinite where there are no more.
        block: (n, 2 far) the block of each.
        far: The number of neighbours wanted.
    """

    distance: Floats
    block: Ints
    far: int

    @classmethod
    def among(cls, points: Floats, blocks: Blocks, queries: Floats, far: int, own: Ints | None = None) -> NearestPoints:
        """Find the nearest of `points`, in any block but the query's `own` (q,) where that is given."""
        if own is None:
            return cls._search(queries, points, blocks.label, far, None)
        distance = np.full((len(queries), 2 * far), np.inf)
        block = np.zeros((len(queries), 2 * far), dtype=np.intp)
        for j in np.unique(own):
            mine, allowed = own == j, blocks.label != j
            part = cls._search(queries[mine], points[allowed], blocks.label[allowed], far, None)
            distance[mine], block[mine] = part.distance, part.block
        return cls(distance, block, far)

    @classmethod
    def within(cls, points: Floats, exclusion: TimeExclusion, rows: Ints, far: int) -> NearestPoints:
        """Find the nearest of the real points to some of them."""
        if exclusion.first is None or exclusion.last is None:
            return cls.among(points, exclusion.blocks, points[rows], far, exclusion.blocks.label[rows])
        window = np.stack([exclusion.first[rows], exclusion.last[rows]], axis=1)
        return cls._search(points[rows], points, exclusion.blocks.label, far, window)

    @classmethod
    def _search(cls, queries: Floats, points: Floats, label: Ints, far: int, window: Ints | None) -> NearestPoints:
        """Search all points; where one block holds too many of what is found, each block for itself."""
        distance, row = _outside(queries, points, np.arange(len(points)), 2 * far, window)
        block = label[np.minimum(row, len(points) - 1)]
        blocks = np.unique(label)
        counts = np.sort(np.where(np.isfinite(distance), block, -1 - np.arange(2 * far)), axis=1)
        crowded = np.flatnonzero((counts[:, far:] == counts[:, :-far]).any(axis=1))
        if len(crowded):
            near = window[crowded] if window is not None else None
            parts = [_outside(queries[crowded], points, np.flatnonzero(label == j), far, near)[0] for j in blocks]
            found = np.concatenate(parts, axis=1)
            found = np.pad(found, ((0, 0), (0, max(0, 2 * far - found.shape[1]))), constant_values=np.inf)
            whose = np.pad(np.repeat(blocks, far), (0, found.shape[1] - far * len(blocks)))
            order = np.argsort(found, axis=1, kind="stable")[:, : 2 * far]
            distance[crowded], block[crowded] = np.take_along_axis(found, order, axis=1), whose[order]
        return cls(distance, block, far)

    def without(self, out: int | None) -> tuple[Floats, Ints]:
        """Return (n, far) distances and blocks of the nearest that are not in the block left out."""
        distance, block = self.distance[:, : self.far].copy(), self.block[:, : self.far].copy()
        if out is not None:
            changed = np.flatnonzero((block == out).any(axis=1))
            order = np.argsort(self.block[changed] == out, axis=1, kind="stable")[:, : self.far]
            distance[changed] = np.take_along_axis(self.distance[changed], order, axis=1)
            block[changed] = np.take_along_axis(self.block[changed], order, axis=1)
            distance[block == out] = np.inf
        return distance, block


def _outside(queries: Floats, points: Floats, rows: Ints, count: int, window: Ints | None) -> tuple[Floats, Ints]:
    """Find (q, count) distances and rows of the nearest among some rows of the points, outside each query's window."""
    spare = 0 if window is None else int((window[:, 1] - window[:, 0]).max(initial=0)) + 1
    distance, index = nearest(queries, points[rows], count + spare)
    row: Ints = np.append(rows, len(points))[index]
    if window is None:
        return distance, row
    distance[(row >= window[:, :1]) & (row <= window[:, 1:])] = np.inf
    order = np.argsort(distance, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(distance, order, axis=1), np.take_along_axis(row, order, axis=1)


@dataclass(frozen=True)
class KnnRule:
    """A variant and its number of neighbours.

    Attributes:
        variant: How the bias is reduced.
        k: The number of neighbours.
    """

    variant: Variant
    k: int

    @property
    def far(self) -> int:
        """Return how many neighbours have to be known."""
        return self.k * {"extrapolated": _FARTHER, "reduced": _MOST_COUNTED}.get(self.variant, 1)


@dataclass(frozen=True)
class Neighbours:
    """The neighbours of real points on both sides in one scope.

    Attributes:
        width: Dimension of the points.
        rows: (q,) the real points whose neighbours they are.
        real: Nearest real points of each.
        sim: Nearest simulated points of each.
        exclusion: The real points that do not count as neighbours.
        sim_blocks: The blocks of the simulated side.
        weights: Weight of each fibre member.
    """

    width: int
    rows: Ints
    real: NearestPoints
    sim: NearestPoints
    exclusion: TimeExclusion
    sim_blocks: Blocks
    weights: Mapping[int, float]

    @classmethod
    def find(
        cls,
        real: Floats,
        sim: Floats,
        exclusion: TimeExclusion,
        sim_blocks: Blocks,
        weights: Mapping[int, float],
        far: int,
        rows: Ints | None = None,
    ) -> Neighbours:
        """Search the neighbours of real points (n, d), all or some, on both sides."""
        rows = np.arange(len(real)) if rows is None else rows
        within, among = (
            NearestPoints.within(real, exclusion, rows, far),
            NearestPoints.among(sim, sim_blocks, real[rows], far),
        )
        return cls(real.shape[1], rows, within, among, exclusion, sim_blocks, weights)

    def terms(self, rule: KnnRule, real_out: int | None = None, sim_out: int | None = None) -> tuple[Floats, Floats]:
        """Compute the terms whose mean is the estimate, in nats, and those of the plain one.

        Args:
            rule: Variant and number of neighbours; the variant "anchored" is plain here.
            real_out: A real block to leave out, both its points and as neighbours.
            sim_out: A simulated block to leave out.
        """
        kept = np.ones(len(self.rows), bool) if real_out is None else self.exclusion.blocks.label[self.rows] != real_out
        rho = self.real.without(real_out)[0][kept]
        nu, block = (found[kept] for found in self.sim.without(sim_out))
        others = np.log(self.exclusion.others(real_out)[self.rows[kept]])
        weight = np.log(self._weight_per_point(sim_out)[block].cumsum(axis=1))
        plain = self._ratio(rho, nu, rule.k, rule.k) - weight[:, rule.k - 1] + np.log(rule.k) - others
        if rule.variant == "reduced":
            radius = np.maximum(rho[:, rule.k - 1], nu[:, rule.k - 1])[:, None]
            inner, outer = (rho <= radius).sum(axis=1), (nu <= radius).sum(axis=1)
            counted = np.take_along_axis(weight, outer[:, None] - 1, axis=1)[:, 0] + digamma(outer) - np.log(outer)
            return self._ratio(rho, nu, inner, outer) - counted + digamma(inner) - others, plain
        if rule.variant == "extrapolated":
            far = self._ratio(rho, nu, rule.far, rule.far) - weight[:, rule.far - 1] + np.log(rule.far) - others
            return plain + (plain - far) / (_FARTHER ** (1 / self.width) - 1), plain
        return plain, plain

    def mean(self, rule: KnnRule, real_out: int | None = None, sim_out: int | None = None) -> float:
        """Compute the estimate."""
        return float(self.terms(rule, real_out, sim_out)[0].mean())

    def left_out(self, rule: KnnRule) -> list[LeftOut]:
        """Compute the estimate without each block: of the real side, then of each member."""
        real, sim = self.exclusion.blocks, self.sim_blocks
        without_real = np.array([self.mean(rule, real_out=j) for j in range(real.count)])
        without_sim = np.array([self.mean(rule, sim_out=j) for j in range(sim.count)])
        return [*real.by_stratum(without_real, [0]), *sim.by_stratum(without_sim, self.weights)]

    def _ratio(self, rho: Floats, nu: Floats, inner: int | Ints, outer: int | Ints) -> Floats:
        """Compute d ln(ν / ρ) (n,) of the neighbours of those ranks, counted from 1."""
        rows = np.arange(len(rho))
        near, far = rho[rows, inner - 1], nu[rows, outer - 1]
        positive = np.concatenate([near[near > 0], far[far > 0]])
        # A distance of 0 has no logarithm and counts as the smallest distance seen.
        floor = positive.min() if len(positive) else 1.0
        ratio: Floats = self.width * (np.log(np.maximum(far, floor)) - np.log(np.maximum(near, floor)))
        return ratio

    def _weight_per_point(self, sim_out: int | None) -> Floats:
        """Compute w_e / m_e (simulated blocks,) with m_e the member's points outside the block left out."""
        sizes, stratum = self.sim_blocks.sizes.copy(), self.sim_blocks.stratum
        if sim_out is not None:
            sizes[sim_out] = 0
        per_point: Floats = np.array([self.weights[int(e)] / sizes[stratum == e].sum() for e in stratum])
        return per_point
