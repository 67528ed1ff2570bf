"""Evaluate a function of many rows in blocks of one size, so that its answers do not depend on their number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROWS = 16
"""Rows of a block: a multiple of every vector width in use, so that no row falls into a scalar remainder."""


def in_blocks(
    function: Callable[[Sequence[NDArray[Any]]], Sequence[NDArray[Any]]], arrays: Sequence[NDArray[Any]], size: int
) -> list[NDArray[Any]]:
    """What `function` answers for arrays of n rows, called with `size` rows at a time.

    A matrix product rounds a row differently when it is one of many, so that the actions of an episode would depend
    on how many run beside it. In blocks of one size every call does the same arithmetic.

    Args:
        function: from arrays of `size` rows to arrays of `size` rows.
        arrays: arrays of n rows.
        size: rows of a block; the last block is filled up with its first row.
    """
    n = len(arrays[0])
    answers = []
    for first in range(0, n, size):
        rows = np.arange(first, first + size)
        rows[rows >= n] = first
        answers.append(function([array[rows] for array in arrays]))
    return [np.concatenate(parts)[:n] for parts in zip(*answers, strict=True)]
