"""Limits of functions of finite sets, computed by Catlab: the joins from which queries and limits are made.

A function is the array of its values, ids from 0, shape (n,).
"""

from __future__ import annotations

import numpy as np

from sim2real_cat.acsets.catlab import julia
from sim2real_cat.acsets.catlab.crossing import received_ids, sent_ids
from sim2real_cat.acsets.columns import Ids


def pullback(left: Ids, right: Ids, size: int) -> tuple[Ids, Ids]:
    """Return all pairs of elements that two functions send to one element, in any order.

    Args:
        left: the first function.
        right: the second function.
        size: the size of their codomain; of two functions to one element the pullback is the product.

    Returns:
        The elements of the first and of the second domain, two arrays of one shape.
    """
    if not (len(left) and len(right)):  # no pairs: Catlab is not asked for the pullback of an empty function
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    rows = julia.call("pullback_of_sets", sent_ids(left), sent_ids(right), size)
    return received_ids(rows[0]), received_ids(rows[1])


def equalizer(left: Ids, right: Ids, size: int) -> Ids:
    """Return the elements that two functions to a set of this size send to one element, sorted."""
    if not len(left):
        return np.zeros(0, np.int64)
    return np.sort(received_ids(julia.call("equalizer_of_sets", sent_ids(left), sent_ids(right), size)))
