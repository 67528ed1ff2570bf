"""How often chance ranks as well: permutation p-values, and the smallest that so few policies allow."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from sim2real_cat.gaps.ranking_statistics import Floats

EXACT = 8
"""Up to so many policies every permutation is tried, 8! = 40 320 of them."""

SAMPLED = 9_999
"""Random permutations of more policies."""

_AT_ONCE = 2_000_000
"""Pairs of policies in one batch of arrays."""

_EQUAL = 1e-9
"""A share of the largest value by which two statistics may differ and be the same."""


def permutations(n: int, rng: np.random.Generator) -> Floats:
    """(m, n) all permutations of n policies where they are few, else `SAMPLED` random ones."""
    if n <= EXACT:
        return np.array(list(itertools.permutations(range(n))))
    return rng.permuted(np.tile(np.arange(n), (SAMPLED, 1)), axis=1)


def p_value(
    strength: Callable[[Floats, Floats], Floats], real: Floats, sim: Floats, orders: Floats
) -> tuple[float, float]:
    """The share of permutations at least as strong as what was seen, and the smallest share possible.

    Args:
        strength: Of the agreement of (..., n) real and (..., n) simulated scores: what is larger is more extreme.
        real: (n,) real scores.
        sim: (n,) simulated scores.
        orders: (m, n) from `permutations`. Where they are a sample, what was seen counts as one more of them
            (Phipson and Smyth 2010, Statistical Applications in Genetics and Molecular Biology 9:39).

    Returns:
        The p-value; and that of the best agreement that any permutation of these scores could show, ties included.
    """
    chance = in_batches(strength, np.broadcast_to(real, orders.shape), sim[orders])
    seen = strength(real, sim)
    ordered = np.sort(real)
    best = max(chance.max(), seen, strength(ordered, np.sort(sim)), strength(ordered, np.sort(sim)[::-1]))
    tolerance = _EQUAL * max(1e-300, float(np.abs(chance).max()))
    more = 0 if len(real) <= EXACT else 1

    def share(level: float) -> float:
        return float((np.count_nonzero(chance >= level - tolerance) + more) / (len(orders) + more))

    return share(float(seen)), share(float(best))


def in_batches(statistic: Callable[[Floats, Floats], Floats], real: Floats, sim: Floats) -> Floats:
    """(m,) a statistic of (m, n) rows, a few at a time so that the pairs of policies fit into memory."""
    step = max(1, _AT_ONCE // real.shape[1] ** 2)
    return np.concatenate([statistic(real[i : i + step], sim[i : i + step]) for i in range(0, len(real), step)])
