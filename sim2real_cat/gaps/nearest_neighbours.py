"""Neighbours between episodes: which points count as neighbours, with all blocks or without any one of them.

Exact nearest neighbours: a k-d tree in few dimensions, matrix products in many.

A k-d tree prunes little beyond some eight dimensions and then visits nearly every point, slowly. There all
squared distances |a|² - 2 a·b + |b|² come out of one matrix product, block by block, and a bound that shrinks
as more points have been seen lets a single comparison discard nearly all of them.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sim2real_cat.arrays import Floats, Ints
from sim2real_cat.gaps.resampling import Blocks


@dataclass(frozen=True)
class Away:
    """Which real points are too close in time to a real point to be its neighbours, and its blocks.

    Attributes:
        blocks: The blocks of the real side.
        first: (n,) the first row of the Theiler window around each point; None where the own block does not count.
        last: (n,) its last row.
    """

    blocks: Blocks
    first: Ints | None
    last: Ints | None

    @classmethod
    def choose(cls, episode: Ints, blocks: Blocks, theiler: int | None) -> Away:
        """A window of so many steps on both sides (Theiler 1986); by default the whole own block.

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
        """(n,) how many points could be a neighbour of each, with a block left out or none."""
        kept = np.ones(len(self.blocks.label), dtype=np.intp) if out is None else (self.blocks.label != out).astype(int)
        if self.first is None or self.last is None:
            within: Ints = np.bincount(self.blocks.label, kept, self.blocks.count)[self.blocks.label].astype(np.intp)
        else:
            before = np.concatenate([[0], np.cumsum(kept)])
            within = before[self.last + 1] - before[self.first]
        others: Ints = kept.sum() - within
        return others


@dataclass(frozen=True)
class Nearest:
    """The nearest points of one side, enough of them to leave out any one block.

    Attributes:
        distance: (n, 2 far) ascending, at most `far` of any block; infinite where there are no more.
        block: (n, 2 far) the block of each.
        far: How many are wanted.
    """

    distance: Floats
    block: Ints
    far: int

    @classmethod
    def among(cls, points: Floats, blocks: Blocks, queries: Floats, far: int, own: Ints | None = None) -> Nearest:
        """Nearest of `points`, in any block but the query's `own` (q,) where that is given."""
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
    def within(cls, points: Floats, away: Away, rows: Ints, far: int) -> Nearest:
        """Nearest of the real points to some of them."""
        if away.first is None or away.last is None:
            return cls.among(points, away.blocks, points[rows], far, away.blocks.label[rows])
        window = np.stack([away.first[rows], away.last[rows]], axis=1)
        return cls._search(points[rows], points, away.blocks.label, far, window)

    @classmethod
    def _search(cls, queries: Floats, points: Floats, label: Ints, far: int, window: Ints | None) -> Nearest:
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
        """(n, far) distances and blocks of the nearest that are not in the block left out."""
        distance, block = self.distance[:, : self.far].copy(), self.block[:, : self.far].copy()
        if out is not None:
            changed = np.flatnonzero((block == out).any(axis=1))
            order = np.argsort(self.block[changed] == out, axis=1, kind="stable")[:, : self.far]
            distance[changed] = np.take_along_axis(self.distance[changed], order, axis=1)
            block[changed] = np.take_along_axis(self.block[changed], order, axis=1)
            distance[block == out] = np.inf
        return distance, block


def _outside(
    queries: Floats, points: Floats, rows: Ints, count: int, window: NDArray[np.intp] | None
) -> tuple[Floats, Ints]:
    """(q, count) distances and rows of the nearest among some rows of the points, outside each query's window."""
    spare = 0 if window is None else int((window[:, 1] - window[:, 0]).max(initial=0)) + 1
    distance, index = nearest(queries, points[rows], count + spare)
    row: Ints = np.append(rows, len(points))[index]
    if window is None:
        return distance, row
    distance[(row >= window[:, :1]) & (row <= window[:, 1:])] = np.inf
    order = np.argsort(distance, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(distance, order, axis=1), np.take_along_axis(row, order, axis=1)


# From this number of dimensions on, matrix products were faster than trees (benchmarks/gaps.py nearest).
_MANY_DIMENSIONS = 9
# Fewer queries of a tree are done before threads have started.
_WORTH_THREADS = 5000
# Rows and columns of one block of squared distances: 2 MiB, which stay in a core's cache.
_ROWS, _COLUMNS = 128, 2048


def nearest(queries: Floats, points: Floats, count: int) -> tuple[Floats, Ints]:
    """The nearest points of every query, in Euclidean distance.

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
    """(rows, count) columns with the smallest entries of left @ right, in any order."""
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
    """The smallest of what was found before (rows, count) and of survivors, given by row, column and value."""
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
    """Exact distances of the candidates (q, count), ascending; differences lose no digits where points nearly meet."""
    squared = np.zeros(index.shape)
    for column in range(queries.shape[1]):
        squared += (queries[:, column, None] - points[index, column]) ** 2
    order = np.argsort(squared, axis=1, kind="stable")
    return np.sqrt(np.take_along_axis(squared, order, axis=1)), np.take_along_axis(index, order, axis=1)
