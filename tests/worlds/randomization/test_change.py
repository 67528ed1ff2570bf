"""Distributions of a single change: against scipy's, and how they narrow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.randomization.change import Change

N = 4000
QUANTILES = np.linspace(0.001, 0.999, 37)
NUMBERS = st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 6) + 0.0)
LEVELS = st.floats(0, 1)


ANYWHERE = (-np.inf, np.inf)


@st.composite
def changes(draw) -> Change:
    """Any change whose range is bounded, or normal."""
    kind = draw(st.sampled_from(["uniform", "loguniform", "normal", "truncated", "discrete"]))
    mode = draw(st.sampled_from(["scale", "shift", "set"]))
    if kind == "discrete":
        values = draw(st.lists(NUMBERS, min_size=1, max_size=6, unique=True))
        parts = draw(st.lists(st.integers(1, 9), min_size=len(values), max_size=len(values)))
        centre = draw(st.none() | st.sampled_from(values))
        return Change.discrete(mode, values, [part / sum(parts) for part in parts], centre=centre)
    low, high = sorted((draw(NUMBERS), draw(NUMBERS)))
    if kind == "loguniform":
        low, high = abs(low) + 1e-3, abs(low) + 1e-3 + abs(high - low)
    if kind in ("normal", "truncated"):
        limits = (low - draw(st.floats(0, 10)), low + draw(st.floats(0, 10))) if kind == "truncated" else ANYWHERE
        return Change.normal(mode, low, abs(high), within=limits)
    centre = draw(st.none() | st.floats(low, high))
    return Change(mode, low, high, kind, centre=centre)


LAWS = {
    "uniform": (Change("scale", 0.8, 1.4), stats.uniform(0.8, 0.6)),
    "loguniform": (Change("scale", 0.01, 10.0, "loguniform"), stats.loguniform(0.01, 10.0)),
    "normal": (Change.normal("set", -3.0, 0.5), stats.norm(-3.0, 0.5)),
    "truncated": (Change.normal("set", 1.0, 0.5, within=(0.2, 1.3)), stats.truncnorm(-1.6, 0.6, 1.0, 0.5)),
}


@pytest.mark.parametrize("name", LAWS)
def test_quantiles_and_draws_are_those_of_the_distribution(name):
    change, law = LAWS[name]
    np.testing.assert_allclose(change.quantile(QUANTILES), law.ppf(QUANTILES), rtol=1e-9)
    assert stats.kstest(change.draw(N, rng=np.random.default_rng(0)), law.cdf).pvalue > 1e-3


def test_discrete_values_come_with_their_probabilities():
    change = Change.discrete("set", [3.0, 1.0, 2.0], [0.5, 0.2, 0.3])
    assert (change.low, change.high) == (1.0, 3.0)
    drawn, counts = np.unique(change.draw(N, rng=np.random.default_rng(0)), return_counts=True)
    assert drawn.tolist() == [1.0, 2.0, 3.0]
    assert stats.chisquare(counts, N * np.array([0.2, 0.3, 0.5])).pvalue > 1e-3
    assert change.quantile(np.array([0.0, 0.19, 0.21, 0.49, 0.51, 0.999])).tolist() == [1, 1, 2, 2, 3, 3]


def test_discrete_values_are_equally_likely_unless_told_otherwise():
    counts = np.unique(Change.discrete("set", [1, 2, 4, 8]).draw(N, rng=np.random.default_rng(0)), return_counts=True)[
        1
    ]
    assert stats.chisquare(counts).pvalue > 1e-3


def test_a_value_of_probability_zero_is_never_drawn():
    change = Change.discrete("set", [1, 2, 3], [0.5, 0.5, 0.0])
    assert change.quantile(np.array([0.5, np.nextafter(1.0, 0.0)])).tolist() == [2.0, 2.0]


@given(changes(), st.integers(0, 2**32))
def test_draws_lie_in_the_range_and_are_reproducible(change, seed):
    least, most = change.low, change.high
    drawn = change.draw(50, rng=np.random.default_rng(seed))
    assert ((least <= drawn) & (drawn <= most)).all()
    np.testing.assert_array_equal(drawn, change.draw(50, rng=np.random.default_rng(seed)))
    assert set(drawn) <= set(change.values) or not change.values


@given(changes(), st.lists(st.floats(0, 1, exclude_max=True), min_size=2, max_size=20).map(np.array))
def test_quantiles_grow(change, probabilities):
    assert (np.diff(change.quantile(np.sort(probabilities))) >= 0).all()


@given(changes(), LEVELS, LEVELS)
def test_widening_is_monotone(change, one, other):
    """Of two levels the lower one's range lies within the higher one's, and both within the whole."""
    narrow, wide = change.at(min(one, other)), change.at(max(one, other))
    slack = 1e-9 * max(1.0, *map(abs, change.ends))
    assert wide.ends[0] - slack <= narrow.ends[0] <= narrow.ends[1] <= wide.ends[1] + slack
    assert change.ends[0] - slack <= wide.ends[0] <= wide.ends[1] <= change.ends[1] + slack
    assert set(narrow.values) <= set(wide.values) <= set(change.values)


@given(changes())
def test_the_ends_of_widening(change):
    assert change.at(1.0) is change
    low, high = change.at(0.0).ends
    assert high - low <= 1e-9 * max(1.0, abs(low))


@given(changes(), LEVELS, st.integers(0, 2**32))
def test_the_same_seed_moves_outwards(change, level, seed):
    """Of a continuous change; the draws of all levels are the same quantiles."""
    if change.values or change.distribution == "normal":
        return
    centre = change.at(0.0).low
    narrow, whole = (c.draw(20, rng=np.random.default_rng(seed)) for c in (change.at(level), change))
    slack = 1e-9 * max(1.0, abs(change.low), abs(change.high))
    if change.centre is None:
        assert (np.abs(narrow - centre) <= np.abs(whole - centre) + slack).all()
    assert (np.abs(narrow - whole) <= change.high - change.low + slack).all()


@pytest.mark.parametrize(
    ("change", "level", "low", "high"),
    [
        (Change("scale", 0.5, 1.5), 0.5, 0.75, 1.25),
        (Change("set", 0.0, 10.0, centre=2.0), 0.1, 1.8, 2.8),
        (Change("scale", 0.25, 4.0, "loguniform"), 0.5, 0.5, 2.0),
        (Change("scale", 0.5, 4.0, "loguniform", centre=1.0), 0.5, 0.5**0.5, 2.0),
    ],
)
def test_the_range_at_a_level(change, level, low, high):
    assert (change.at(level).low, change.at(level).high) == pytest.approx((low, high), rel=1e-12)


def test_the_deviation_of_a_normal_change_at_a_level():
    narrowed = Change.normal("scale", 1.0, 0.2, within=(0.5, 2.0)).at(0.25)
    assert (narrowed.mean, narrowed.deviation) == pytest.approx((1.0, 0.05), rel=1e-12)
    assert (narrowed.low, narrowed.high) == (0.5, 2.0)


def test_discrete_values_come_in_one_by_one():
    change = Change.discrete("scale", [0.25, 0.5, 1.0, 2.0], [0.1, 0.2, 0.3, 0.4], centre=1.0)
    assert change.at(0.0).values == (1.0,)
    assert change.at(0.5).values == (0.5, 1.0)
    assert change.at(0.5).probabilities == pytest.approx((0.4, 0.6))
    assert change.at(0.75).values == (0.25, 0.5, 1.0)


def test_a_centre_that_is_never_drawn_by_itself_is_all_there_is_at_level_zero():
    assert (
        Change.discrete("set", [1, 2, 3], [0.5, 0.0, 0.5]).at(0.0).draw(3, rng=np.random.default_rng(0)).tolist()
        == [2.0] * 3
    )


def test_expected_ends_of_normal_changes():
    assert Change.normal("set", 1.0, 0.5).ends == (-0.5, 2.5)
    assert Change.normal("set", 1.0, 0.5, within=(0.0, 9.0)).ends == (0.0, 2.5)
    assert Change.normal("set", 1.0, 0.0, within=(0.0, 9.0)).draw(2, rng=np.random.default_rng(0)).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Change.discrete("set", []), "at least one value"),
        (lambda: Change.discrete("set", [1, np.inf]), "finite numbers"),
        (lambda: Change.discrete("set", [1, 2], [1.0]), "2 values need as many probabilities, got 1"),
        (lambda: Change.discrete("set", [1, 2], [0.5, 0.4]), r"sum to 1, got \[0.5, 0.4\], sum 0.9"),
        (lambda: Change.discrete("set", [1, 2], [1.5, -0.5]), "probabilities need to be >= 0"),
        (lambda: Change.discrete("set", [1, 2], [np.nan, 1]), "probabilities need to be >= 0"),
        (lambda: Change.discrete("set", [1, 2], centre=1.5), "is one of its values, got 1.5"),
        (lambda: Change("set", 1, 2, "discrete"), "needs values, of which the least and the largest are its ends"),
        (lambda: Change("set", 1, 2, values=(1.0, 2.0)), "only a discrete change has values"),
        (lambda: Change("set", 1, 2, mean=1.5), "only a normal change has a mean and a deviation, this one is uniform"),
        (lambda: Change("set", 1, 2, "normal"), r"write Change.normal\(mode, mean, deviation\)"),
        (lambda: Change.normal("set", 1, -2), "got the deviation -2"),
        (lambda: Change.normal("set", np.nan, 2), "finite numbers"),
        (lambda: Change.normal("set", 1, 2, within=(2, 3)), r"its mean 1 within its limits, got \[2, 3\]"),
        (lambda: Change.normal("set", 1, 2, within=(3, 0)), "within its limits"),
        (lambda: Change.normal("set", 1, 2, within=(0, np.inf)), "within its limits"),
        (lambda: Change("set", 0, 2, "normal", mean=1, deviation=2, centre=1.0), "widens around its mean"),
        (lambda: Change("set", 1, 2, centre=3.0), r"the centre 3 is outside the range \[1, 2\]"),
        (lambda: Change("set", 1, 2, centre=np.nan), "the centre nan is outside"),
        (lambda: Change("set", -1e308, 1e308), "finite numbers"),
    ],
)
def test_what_is_no_change(make, message):
    with pytest.raises(WorldError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
