"""Permutation tests: all orders or a sample of them, p-values by hand, and the smallest that there can be."""

import itertools
from math import comb, factorial

import numpy as np
import pytest

from sim2real_cat.gaps.permutation import every_choice, every_order, least_p_value, p_value, random_orders


@pytest.mark.parametrize("n", [1, 2, 5])
def test_every_order_is_there_once(n):
    orders = every_order(n)
    assert orders.shape == (factorial(n), n)
    assert {tuple(row) for row in orders.tolist()} == set(itertools.permutations(range(n)))
    assert orders[0].tolist() == list(range(n))


@pytest.mark.parametrize(("n", "first"), [(4, 2), (5, 1), (6, 3), (3, 3)])
def test_every_choice_is_there_once(n, first):
    chosen = every_choice(n, first)
    assert chosen.shape == (comb(n, first), n)
    assert (chosen.sum(axis=1) == first).all()
    assert len({tuple(row) for row in chosen.tolist()}) == len(chosen)
    assert chosen[0].tolist() == [True] * first + [False] * (n - first)


def test_random_orders_are_those_of_one_permutation_after_the_other():
    orders, rng = random_orders(7, 50, np.random.default_rng(3)), np.random.default_rng(3)
    assert np.array_equal(orders, [rng.permutation(7) for _ in range(50)])
    assert np.array_equal(np.sort(orders, axis=1), np.tile(np.arange(7), (50, 1)))


def test_p_value_counts_the_observed_deal_and_what_is_no_number():
    assert p_value(np.array([1.0, 2, 3, 4]), 3.0, sampled=True) == 0.6
    assert p_value(np.array([np.nan, 2, 1]), 3.0, sampled=True) == 0.5
    assert p_value(np.array([1.0]), np.nan, sampled=True) == 1


def test_p_value_of_all_orders_counts_the_observed_one_among_them():
    assert p_value(np.array([1.0, 2, 3, 4]), 4.0, sampled=False) == 0.25
    assert p_value(np.array([1.0, 2, 3, 4]), 1.0, sampled=False) == 1


def test_statistics_that_differ_by_rounding_are_equal():
    others = np.array([3.0 * (1 - 1e-12), 3.0 * (1 - 1e-6)])
    assert p_value(others, 3.0, sampled=False) == 0.5
    # Near 0 the magnitude of the others says what rounding is.
    assert p_value(np.array([-1e-12, 1.0]), 0.0, sampled=False) == 0.5
    assert p_value(np.array([-1e-12, 1.0]), 0.0, sampled=False, size=1.0) == 1


@pytest.mark.parametrize(("n", "first", "count"), [(6, 3, 199), (6, 3, 9), (12, 6, 199)])
def test_least_p_value_is_that_of_the_most_extreme_deal(n, first, count):
    ways = min(count + 1, comb(n, first))
    assert least_p_value(n, first, count) == pytest.approx(1 / ways)
