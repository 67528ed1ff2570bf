"""Limits of functions of finite sets, computed by Catlab: the joins from which queries and limits are made.

A function is the array of its values, ids from 0, shape (n,).
"""

from __future__ import annotations

import numpy as np

from sim2real_cat.acsets.catlab import julia
from sim2real_cat.acsets.catlab.crossing import received_ids, sent_ids
from sim2real_cat.acsets.catlab.refusals import refused
from sim2real_cat.acsets.columns import Ids

ROWS = 2**22
"""The number of rows that a step of a query asks of Catlab at once."""

MOST = 50_000_000
"""The largest number of rows that the steps of one query may ask of Catlab, at some 15 microseconds each."""


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


class Pullbacks:
    """The :data:`~sim2real_cat.acsets.query.join.Matcher` of one query, which counts the rows that it makes.

    The query is then a plan of pullbacks: an atom is a span of columns over the parts that it selects, a filter is the
    inclusion of the rows that pass, and each step is the pullback of the rows that are there and the next atom. The
    other way, Catlab's own ``query`` as a filtered product of all atoms, takes quadratic time.
    """

    def __init__(self) -> None:
        self._made = 0

    def __call__(self, left: Ids, right: Ids, n: int) -> tuple[Ids, Ids]:
        """Return the pairs of positions with equal values, sorted.

        Raises:
            EngineError: where the query makes too many rows on the way, before Catlab is asked for them.
        """
        self._made += int(np.bincount(right, minlength=n)[left].sum())
        if self._made > MOST:
            raise refused("query", f"this one makes at least {self._made:,}")
        i, j = pullback(left, right, n)
        order = np.lexsort((j, i))
        return i[order], j[order]
