"""Exact nearest neighbours: a k-d tree in few dimensions, matrix products in many.

A k-d tree prunes little beyond some eight dimensions and then visits nearly every point, slowly. There all
squared distances |a|² - 2 a·b + |b|² come out of one matrix product, block by block, and a bound that shrinks
as more points have been seen lets a single comparison discard nearly all of them.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy.spatial import cKDTree

from sim2real_cat.gaps.samples import Floats, Ints

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
