"""Correlated draws keep their own distributions; totals stay what they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.randomization.change import Change
from sim2real_cat.worlds.randomization.dependence import Correlation, FixedTotal
from sim2real_cat.worlds.randomization.randomization import Randomization

N = 6000
MARGINALS = {
    "a": (Change("scale", 0.8, 1.4), stats.uniform(0.8, 0.6)),
    "b": (Change("scale", 0.01, 10.0, "loguniform"), stats.loguniform(0.01, 10.0)),
    "c": (Change.normal("set", -3.0, 0.5), stats.norm(-3.0, 0.5)),
}
CHANGES = {name: change for name, (change, _) in MARGINALS.items()}


@pytest.mark.parametrize("coefficient", [-0.5, 0.0, 0.3, 0.9])
def test_the_copula_has_the_rank_correlation_of_the_normal_distribution(coefficient):
    """Spearman's is 6/π asin(ρ/2), exactly; its standard error here is under 1/sqrt(N)."""
    drawn = Randomization(CHANGES, (Correlation(("a", "b", "c"), coefficient),)).draw(N, rng=0).values
    ranks = stats.spearmanr(drawn).statistic
    np.testing.assert_allclose(ranks[np.triu_indices(3, 1)], 6 / np.pi * np.arcsin(coefficient / 2), atol=4 / N**0.5)
    for column, (_, law) in zip(drawn.T, MARGINALS.values(), strict=True):
        assert stats.kstest(column, law.cdf).pvalue > 1e-3


def test_a_correlation_of_one_is_a_shared_draw():
    drawn = Randomization(CHANGES, (Correlation(("a", "c"), 1.0),)).draw(100, rng=0)
    a, b, c = drawn.values.T
    np.testing.assert_allclose(MARGINALS["c"][1].cdf(c), MARGINALS["a"][1].cdf(a), atol=1e-9)
    assert abs(stats.spearmanr(a, b).statistic) < 0.4


def test_opposite_draws():
    drawn = Randomization(CHANGES, (Correlation(("a", "c"), -1.0),)).draw(100, rng=0).values
    assert stats.spearmanr(drawn[:, 0], drawn[:, 2]).statistic == pytest.approx(-1.0)


def test_a_matrix_says_every_pair():
    matrix = ((1.0, 0.8, 0.0), (0.8, 1.0, -0.4), (0.0, -0.4, 1.0))
    drawn = Randomization(CHANGES, (Correlation(("c", "a", "b"), matrix=matrix),)).draw(N, rng=3).values
    ranks = stats.spearmanr(drawn[:, [2, 0, 1]]).statistic
    np.testing.assert_allclose(ranks, 6 / np.pi * np.arcsin(np.array(matrix) / 2), atol=4 / N**0.5)


@given(st.integers(0, 2**32), st.floats(-0.49, 1.0))
def test_correlated_draws_are_reproducible_and_in_range(seed, coefficient):
    randomization = Randomization(CHANGES, (Correlation(("a", "b", "c"), coefficient),))
    one, two = randomization.draw(20, rng=seed), randomization.draw(20, rng=seed)
    np.testing.assert_array_equal(one.values, two.values)
    assert ((one.values[:, 0] >= 0.8) & (one.values[:, 0] <= 1.4)).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Correlation(("a", "b")), "correlation between a, b: give either a coefficient or a matrix"),
        (lambda: Correlation(("a", "b"), 0.5, ((1.0, 0.5), (0.5, 1.0))), "either a coefficient or a matrix"),
        (lambda: Correlation(("a", "a"), 0.5), "names a parameter twice"),
        (lambda: Correlation(("a", "b"), 1.5), "from -1 to 1, got 1.5"),
        (lambda: Correlation(("a", "b"), np.nan), "from -1 to 1, got nan"),
        (lambda: Correlation(("a", "b"), matrix=((1.0,),)).array(), "2 parameters need a matrix of 2 rows"),
        (lambda: Correlation(("a", "b"), matrix=((1.0, 0.2), (0.3, 1.0))).array(), "symmetric, with 1 on its diagonal"),
        (lambda: Correlation(("a", "b"), matrix=((2.0, 0.2), (0.2, 1.0))).array(), "symmetric, with 1 on its diagonal"),
        (
            lambda: Correlation(("a", "b", "c"), -0.9).array(),
            "no 3 numbers are correlated like this.*eigenvalue is -0.8",
        ),
        (lambda: Randomization(CHANGES, (Correlation(("a", "d"), 0.5),)), "correlation: unknown parameter 'd'"),
        (
            lambda: Randomization(CHANGES, (Correlation(("a", "b"), 0.5), Correlation(("b", "c"), 0.5))),
            "correlation: 'b' is named twice",
        ),
    ],
)
def test_what_is_no_correlation(make, message):
    with pytest.raises(WorldError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


@st.composite
def totals(draw):
    """A randomization whose factors or addends keep a total, with the weights."""
    p = draw(st.integers(1, 6))
    mode = draw(st.sampled_from(["scale", "shift"]))
    names = tuple("abcdef"[:p])
    if mode == "scale":
        weights = draw(st.lists(st.floats(1e-3, 1e3), min_size=p, max_size=p))
        low = draw(st.lists(st.floats(0.1, 1.0), min_size=p, max_size=p))
        high = draw(st.lists(st.floats(1.0, 10.0), min_size=p, max_size=p))
        kind = draw(st.sampled_from(["uniform", "loguniform"]))
    else:
        weights = [float(w) for w in draw(st.lists(st.integers(1, 5), min_size=p, max_size=p))]
        low = draw(st.lists(st.floats(-10, 0.0), min_size=p, max_size=p))
        high = draw(st.lists(st.floats(0.0, 10.0), min_size=p, max_size=p))
        kind = "uniform"
    changes = {name: Change(mode, a, b, kind) for name, a, b in zip(names, low, high, strict=True)}
    total = sum(weights) if mode == "scale" else 0.0
    return Randomization(changes, totals=(FixedTotal(names, tuple(weights), total),)), np.array(weights), total


@given(totals(), st.integers(0, 2**32), st.booleans())
def test_totals_stay_fixed_and_draws_in_their_ranges(case, seed, boundary):
    randomization, weights, total = case
    drawn = (randomization.draw_boundary if boundary else randomization.draw)(30, rng=seed).values
    reach = [max(abs(change.low), abs(change.high)) for change in randomization.changes.values()]
    assert np.abs(drawn @ weights - total).max() <= 1e-12 * max(abs(total), float(weights @ reach))
    for column, change in zip(drawn.T, randomization.changes.values(), strict=True):
        assert ((change.low <= column) & (column <= change.high)).all()
    again = (randomization.draw_boundary if boundary else randomization.draw)(30, rng=seed).values
    np.testing.assert_array_equal(drawn, again)


def test_wide_ranges_are_only_renormalised():
    """Where no factor meets an end of its range, all of a row are multiplied by one number."""
    changes = {name: Change("scale", 0.01, 100.0, "loguniform", centre=1.0) for name in "abc"}
    weights = (1.0, 2.0, 3.0)
    free = Randomization({name: c.at(0.3) for name, c in changes.items()}).draw(50, rng=1).values
    moved = FixedTotal(("a", "b", "c"), weights, 6.0).restore(free, changes)
    np.testing.assert_allclose(moved, free * (6.0 / (free @ weights))[:, None], rtol=1e-12)


def test_a_range_that_is_met_takes_what_is_left_from_the_others():
    moved = FixedTotal(("a", "b"), (1.0, 1.0), 2.0).restore(
        np.array([[1.1, 1.9]]), {"a": Change("scale", 0.9, 1.1), "b": Change("scale", 0.1, 2.0)}
    )
    np.testing.assert_allclose(moved, [[0.9, 1.1]], rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "weights", "message"),
    [
        (Change("scale", 1.1, 1.3), (1.0, 2.0), "needs to stay 3, but the ranges allow only 3.3 to 3.9"),
        (Change("scale", 0.0, 1.3), (1.0, 2.0), r"needs factors > 0, got the range \[0, 1.3\]"),
        (Change.normal("scale", 1.0, 0.1), (1.0, 2.0), "uniform, loguniform or truncated normal draws"),
        (Change.discrete("scale", [0.5, 1.5]), (1.0, 2.0), "which can be moved"),
        (Change("scale", 0.5, 1.5), None, "the total is the model's; bind the randomization to its world first"),
    ],
)
def test_totals_that_cannot_be_kept(change, weights, message):
    total = FixedTotal(("a", "b"), weights, None if weights is None else 3.0)
    with pytest.raises(WorldError, match=message) as caught:
        Randomization({"a": change, "b": change}, totals=(total,)).draw(2, rng=0)
    assert str(caught.value).startswith("fixed total of a, b: ")


def test_a_total_has_one_mode():
    changes = {"a": Change("scale", 0.9, 1.1), "b": Change("shift", -1, 1)}
    with pytest.raises(WorldError, match="needs one mode, got scale, shift"):
        Randomization(changes, totals=(FixedTotal(("a", "b")),))


def test_a_truncated_normal_can_keep_a_total():
    changes = {name: Change.normal("scale", 1.0, 0.3, within=(0.5, 1.5)) for name in "ab"}
    drawn = Randomization(changes, totals=(FixedTotal(("a", "b"), (3.0, 1.0), 4.0),)).draw(200, rng=0).values
    np.testing.assert_allclose(drawn @ [3.0, 1.0], 4.0, rtol=1e-13)
    assert drawn[:, 1].std() > 0.1
