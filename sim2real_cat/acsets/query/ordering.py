"""Sorting rows of integers by packing each row into one integer."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sim2real_cat.acsets.columns import Ids

LARGEST = 2**62
"""Packed keys stay below this."""


def sorted_by(keys: Ids, ids: Ids, size: int) -> tuple[Ids, Ids]:
    """Ids (ascending, below ``size``) and keys (>= 0), both sorted by key and then id."""
    # Sorting one packed integer is several times faster than argsort.
    if len(keys) and int(keys.max()) < LARGEST // max(size, 1):
        packed = keys * size + ids
        packed.sort()
        sorted_keys = packed // size
        return packed - sorted_keys * size, sorted_keys
    order = np.argsort(keys, kind="stable")
    return ids[order], keys[order]


def row_keys(columns: Sequence[Ids], sizes: Sequence[int], n: int) -> Ids:
    """One integer for each of ``n`` rows, in the lexicographic order of the columns, whose values are below sizes."""
    keys = np.zeros(n, np.int64)
    size = 1
    for column, values in zip(columns, sizes, strict=True):
        if size * values >= LARGEST:
            distinct, keys = np.unique(keys, return_inverse=True)
            size = len(distinct)
        keys = keys * values + column
        size *= max(values, 1)
    return keys


def lexicographic(columns: Sequence[Ids], sizes: Sequence[int], n: int) -> Ids | None:
    """The order that sorts ``n`` rows, which differ in some column; None where they are sorted."""
    if n < 2 or not _unsorted(columns):
        return None
    order = np.arange(n)
    last = len(columns)
    # As many columns at a time as fit into one key together with the row, the least significant first.
    while last:
        first = last - 1
        while first and math.prod(sizes[first - 1 : last]) < LARGEST // n:
            first -= 1
        keys = row_keys([column[order] for column in columns[first:last]], sizes[first:last], n)
        order = order[sorted_by(keys, np.arange(n), n)[0]]
        last = first
    return order


def _unsorted(columns: Sequence[Ids]) -> bool:
    """Whether some row is less than the one before it."""
    tied = np.ones(max(len(columns[0]) - 1, 0), np.bool_) if columns else np.zeros(0, np.bool_)
    for column in columns:
        if (tied & (column[1:] < column[:-1])).any():
            return True
        tied &= column[1:] == column[:-1]
    return False
