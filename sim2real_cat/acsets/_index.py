"""Indexes: for each value the sorted ids of the slots that hold it, in compressed rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
_INT64_MAX = np.iinfo(np.int64).max


class Hits(NamedTuple):
    """Preimages of several values at once: ``ids[j]`` is mapped to the value at position ``owner[j]``."""

    owner: Ids
    ids: Ids


class Fibres(NamedTuple):
    """All fibres of a function into 0..m-1: that of ``v`` is ``ids[offsets[v]:offsets[v + 1]]``, sorted.

    Attributes:
        offsets: shape (m + 1,).
        ids: shape (n,), less the slots where the function is undefined.
    """

    offsets: Ids
    ids: Ids

    def of(self, values: Ids) -> Hits:
        """The fibres of some values, one after the other."""
        low = self.offsets[values]
        counts = self.offsets[values + 1] - low
        owner = np.repeat(np.arange(len(values)), counts)
        first = np.cumsum(counts) - counts
        return Hits(owner, self.ids[(low - first)[owner] + np.arange(len(owner))])


def fibres(targets: Ids, size: int) -> Fibres:
    """Group the slots of a function by value.

    Args:
        targets: shape (n,), the values, -1 where undefined.
        size: how many values there are; all of ``targets`` are below.
    """
    n = len(targets)
    if n * (size + 1) < _INT64_MAX:
        # Value and id in one number: plain sorting of numbers is several times faster than argsort.
        keys = targets * n
        keys += np.arange(n)
        keys.sort()
        ids = keys % max(n, 1)
    else:
        ids = np.argsort(targets, kind="stable")
    offsets = np.zeros(size + 1, np.int64)
    counts = np.bincount(targets + 1, minlength=size + 1)
    np.cumsum(counts[1:], out=offsets[1:])
    return Fibres(offsets, ids[counts[0] :])


class ValueIndex:
    """The slots of an attribute by their value. NaN equals NaN here."""

    def __init__(self, values: NDArray[Any], ids: Ids) -> None:
        code_of: Callable[[NDArray[Any]], Ids]
        if values.dtype == object:
            codes: dict[object, int] = {}
            code = np.fromiter((codes.setdefault(v, len(codes)) for v in values), np.int64, len(values))
            size = len(codes)

            def code_of(wanted: NDArray[Any]) -> Ids:
                return np.fromiter((codes.get(v, size) for v in wanted), np.int64, len(wanted))
        else:
            distinct, code = np.unique(values, return_inverse=True)
            size = len(distinct)

            def code_of(wanted: NDArray[Any]) -> Ids:
                position = np.searchsorted(distinct, wanted)
                beyond = position >= size
                position[beyond] = 0
                found = distinct[position] if size else wanted
                equal = (found == wanted) | ((found != found) & (wanted != wanted))
                return np.where(equal & ~beyond, position, size)

        grouped = fibres(code, size + 1)
        self._code_of = code_of
        self._fibres = Fibres(grouped.offsets, ids[grouped.ids])

    def find(self, values: NDArray[Any]) -> Hits:
        """All slots that hold one of the values, grouped by value."""
        return self._fibres.of(self._code_of(values))
