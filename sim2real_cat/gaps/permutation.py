"""Permutation tests: units that are exchangeable where there is nothing to find are put into other orders.

The p-value is the share of orders that are at least as extreme as the observed one. Where the orders are a sample of
all that there are, the observed one counts as one more of them. The p-value is then at most α with probability at most
α, for any statistic (Phipson and Smyth 2010, Statistical Applications in Genetics and Molecular Biology 9:39).
"""

from __future__ import annotations

from itertools import combinations, permutations
from math import comb

import numpy as np

from sim2real_cat.arrays import Bools, Floats, Ints

# Statistics that differ by less than this share of their size are equal up to rounding.
_SAME = 1e-9


def every_order(n: int) -> Ints:
    """Return (n!, n) all orders of n units, the sorted one first."""
    return np.array(list(permutations(range(n))), dtype=np.intp)


def random_orders(n: int, count: int, rng: np.random.Generator) -> Ints:
    """Draw (count, n) orders of n units."""
    orders: Ints = rng.permuted(np.tile(np.arange(n, dtype=np.intp), (count, 1)), axis=1)
    return orders


def every_choice(n: int, first: int) -> Bools:
    """Return (n over first, n) all ways to put `first` of n units on the first side."""
    chosen = np.zeros((comb(n, first), n), dtype=bool)
    for row, units in zip(chosen, combinations(range(n), first), strict=True):
        row[list(units)] = True
    return chosen


def p_value(others: Floats, observed: float, *, sampled: bool, size: float | None = None) -> float:
    """Compute the share of the orders whose statistic is at least the observed one.

    Args:
        others: (m,) the statistic of every other order. One that is NaN counts as at least the observed one.
        observed: The statistic of the order that was observed.
        sampled: Whether `others` are a sample, so that the observed order counts as one more; else they are all there
            are, with the observed one among them.
        size: The magnitude of a statistic, of which a tiny share is rounding; by default that of the observed one.

    Returns:
        The p-value; 1 where the observed statistic is NaN.
    """
    tolerance = _SAME * (abs(observed) if size is None else size)
    as_extreme = np.count_nonzero(~(others < observed - tolerance))
    return float((as_extreme + sampled) / (len(others) + sampled))


def least_p_value(n: int, first: int, count: int) -> float:
    """Compute the smallest p-value of `count` random ways, or of all there are, to put `first` of n units on a side."""
    return max(1 / (count + 1), 1 / comb(n, first))
