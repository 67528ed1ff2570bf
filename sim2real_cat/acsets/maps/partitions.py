"""Partitions of finite sets: equivalence classes, and columns on them."""

from __future__ import annotations

import numpy as np

from sim2real_cat.acsets.columns import UNDEFINED, Ids


def classes(n: int, left: Ids, right: Ids) -> Ids:
    """Return the class of each of 0..n-1 in the finest partition with ``left[i]`` and ``right[i]`` in one class.

    Classes are numbered in the order of their first members; the result has shape (n,).
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = coo_array((np.ones(len(left), np.bool_), (left, right)), shape=(n, n))
    labels = connected_components(edges, directed=False)[1] if n else np.zeros(0, np.int64)
    _, first, labels = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[labels]


def on_classes(column: Ids, class_of: Ids, size: int) -> tuple[Ids, Ids]:
    """Return a column on classes from one on their members, and the members where the two differ.

    Args:
        column: an integer for each member, -1 where undefined.
        class_of: the class of each member.
        size: the number of classes.

    Returns:
        For each class the value of its first member at which the column is defined, -1 where there is none; and
        the members at which the column is defined and has another value.
    """
    merged = np.full(size, UNDEFINED)
    defined = np.flatnonzero(column != UNDEFINED)
    merged[class_of[defined[::-1]]] = column[defined[::-1]]
    return merged, defined[merged[class_of[defined]] != column[defined]]
