"""Sorting rows of integers by packing each row into one integer."""

from __future__ import annotations

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
    """The order that sorts ``n`` rows; None where they are sorted."""
    keys = row_keys(columns, sizes, n)
    if not (keys[1:] < keys[:-1]).any():
        return None
    return sorted_by(keys, np.arange(n), n)[0]
