"""Log-densities of drawn worlds, against integrals, histograms and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rig import rig_world
from scipy import integrate, stats

from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.randomization.change import Change
from sim2real_cat.worlds.randomization.dependence import Correlation, FixedTotal
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.randomization.randomization import Randomization

CONTINUOUS = {
    "uniform": Change("scale", 0.5, 2.0),
    "loguniform": Change("scale", 0.5, 2.0, "loguniform"),
    "normal": Change.normal("scale", 1.0, 0.3),
    "truncated": Change.normal("scale", 1.0, 0.3, within=(0.8, 2.0)),
    "narrow": Change.normal("scale", 0.501, 0.001, within=(0.5, 2.0)),
}
ENTROPY = {
    "uniform": np.log(1.5),
    "loguniform": np.log(np.log(4.0)),
    "normal": 0.5 * np.log(2 * np.pi * np.e * 0.09),
}


@pytest.mark.parametrize("name", CONTINUOUS)
def test_it_integrates_to_one(name):
    change = CONTINUOUS[name]
    grid = np.linspace(max(change.low, -2.0), min(change.high, 4.0), 200_001)
    density = np.exp(change.log_density(grid))
    assert np.trapezoid(density, grid) == pytest.approx(1.0, abs=1e-4)
    cumulative = integrate.cumulative_trapezoid(density, grid, initial=0)
    np.testing.assert_allclose(change.cumulative(grid), cumulative, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_the_cumulative_is_the_inverse_of_the_quantile(name):
    chance = np.linspace(0.001, 0.999, 100)
    np.testing.assert_allclose(CONTINUOUS[name].cumulative(CONTINUOUS[name].quantile(chance)), chance, atol=1e-12)


@pytest.mark.parametrize("name", ENTROPY)
def test_the_mean_is_minus_the_entropy(name):
    found = CONTINUOUS[name].log_density(CONTINUOUS[name].draw(20_000, rng=0))
    error = max(found.std() / np.sqrt(len(found)), 1e-12)
    assert abs(found.mean() + ENTROPY[name]) < 4 * error


def test_closed_forms():
    values = np.array([[0.4, 0.5], [1.0, 2.1]])
    np.testing.assert_allclose(np.exp(CONTINUOUS["uniform"].log_density(values)), [[0, 1 / 1.5], [1 / 1.5, 0]])
    np.testing.assert_allclose(
        np.exp(CONTINUOUS["loguniform"].log_density(np.array([0.5, 1.0]))), [2 / np.log(4), 1 / np.log(4)]
    )
    truncated = stats.truncnorm(-2 / 3, 10 / 3, 1.0, 0.3)
    np.testing.assert_allclose(CONTINUOUS["truncated"].log_density(np.array([0.8, 1.7])), truncated.logpdf([0.8, 1.7]))


def test_discrete_numbers_have_probabilities():
    change = Change.discrete("set", [3, 1, 1, 2], [0.1, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(np.exp(change.log_density(np.array([1, 2, 3, 1.5, 0, 4]))), [0.5, 0.4, 0.1, 0, 0, 0])
    equal = Change.discrete("set", [0, 1])
    np.testing.assert_allclose(equal.log_density(np.array([0.0, 1.0])), -np.log(2))


@pytest.mark.parametrize(
    "change",
    [Change("set", 0.3, 0.3), Change.normal("set", 0.3, 0.0), Change.normal("set", 0.3, 0.0, within=(0.0, 1.0))],
)
def test_constants(change):
    np.testing.assert_array_equal(change.log_density(np.array([0.3, 0.31])), [0.0, -np.inf])


def worlds(changes, **groups):
    return Randomization(dict(zip("abcdef", changes, strict=False)), **groups)


def test_independent_parameters_add_up():
    randomization = worlds(CONTINUOUS.values())
    drawn = randomization.draw(50, rng=0)
    expected = sum(
        change.log_density(column) for change, column in zip(CONTINUOUS.values(), drawn.values.T, strict=True)
    )
    np.testing.assert_allclose(randomization.log_density(drawn), expected)
    turned = Ensemble(drawn.parameters[::-1], drawn.modes, drawn.values[:, ::-1], drawn.weights)
    np.testing.assert_allclose(randomization.log_density(turned), expected)
    np.testing.assert_allclose(randomization.log_density(drawn.values), expected)


def test_a_randomization_of_nothing_is_sure():
    np.testing.assert_array_equal(Randomization().log_density(Ensemble.nominal()), [0.0])


def test_correlated_normals_are_a_normal_vector():
    """The copula of normal marginals is the multivariate normal itself."""
    changes = [Change.normal("set", 1.0, 0.5), Change.normal("set", -2.0, 2.0), Change.normal("set", 0.0, 1.0)]
    matrix = ((1.0, 0.7, -0.2), (0.7, 1.0, 0.1), (-0.2, 0.1, 1.0))
    randomization = worlds(changes, correlations=(Correlation(("a", "b", "c"), matrix=matrix),))
    drawn = randomization.draw(100, rng=0).values
    scale = np.array([0.5, 2.0, 1.0])
    joint = stats.multivariate_normal([1.0, -2.0, 0.0], np.array(matrix) * np.outer(scale, scale))
    np.testing.assert_allclose(randomization.log_density(drawn), joint.logpdf(drawn), rtol=1e-9)


def test_correlated_numbers_of_other_kinds_integrate_to_one():
    changes = [
        CONTINUOUS["uniform"],
        CONTINUOUS["loguniform"],
        Change.discrete("set", [0, 1, 5], [0.2, 0.5, 0.3]),
        Change("set", 7, 7),
    ]
    matrix = ((1.0, 0.6, 0.3, 0.1), (0.6, 1.0, -0.2, 0.2), (0.3, -0.2, 1.0, 0.0), (0.1, 0.2, 0.0, 1.0))
    randomization = worlds(changes, correlations=(Correlation(("a", "b", "c", "d"), matrix=matrix),))
    middle = 0.5 + 1.5 * (np.arange(300) + 0.5) / 300
    total = 0.0
    x, y = (axis.ravel() for axis in np.meshgrid(middle, middle))
    for value, chance in ((0, 0.2), (1, 0.5), (5, 0.3)):
        points = np.stack([x, y, np.full_like(x, value), np.full_like(x, 7)], axis=1)
        mass = np.exp(randomization.log_density(points)).sum() * (1.5 / 300) ** 2
        assert mass == pytest.approx(chance, abs=2e-3)
        total += mass
    assert total == pytest.approx(1.0, abs=2e-3)


def test_two_correlated_flags():
    """P(both 1) of two fair flags is 1/4 + asin(ρ) / 2π (Sheppard 1899)."""
    flag = Change.discrete("set", [0, 1])
    randomization = worlds([flag, flag], correlations=(Correlation(("a", "b"), 0.5),))
    found = np.exp(randomization.log_density(np.array([[0.0, 0], [0, 1], [1, 0], [1, 1], [2, 1]])))
    both = 0.25 + np.arcsin(0.5) / (2 * np.pi)
    np.testing.assert_allclose(found, [both, 0.5 - both, 0.5 - both, both, 0], atol=1e-4)


def test_a_shared_draw_has_the_density_of_the_first():
    """With a coefficient of 1 the second follows from the first; elsewhere there is nothing."""
    changes = [CONTINUOUS["uniform"], CONTINUOUS["loguniform"], CONTINUOUS["truncated"]]
    randomization = worlds(changes, correlations=(Correlation(("a", "b", "c"), 1.0),))
    drawn = randomization.draw(200, rng=0).values
    np.testing.assert_allclose(randomization.log_density(drawn), -np.log(1.5), rtol=1e-9)
    drawn[:, 1] = np.clip(drawn[:, 1] + 1e-3, 0.5, 2.0)
    assert (randomization.log_density(drawn) == -np.inf).all()


def test_the_mean_of_correlated_draws_is_minus_the_entropy():
    """The copula takes -½ ln det R from the sum of the marginals' entropies."""
    changes = [CONTINUOUS["uniform"], CONTINUOUS["loguniform"]]
    randomization = worlds(changes, correlations=(Correlation(("a", "b"), 0.8),))
    found = randomization.log_density(randomization.draw(20_000, rng=0))
    entropy = ENTROPY["uniform"] + ENTROPY["loguniform"] + 0.5 * np.log(1 - 0.64)
    assert abs(found.mean() + entropy) < 4 * found.std() / np.sqrt(len(found))


def totalled(changes, weights, total):
    names = tuple("abcdef"[: len(changes)])
    return worlds(changes, totals=(FixedTotal(names, tuple(weights), total),))


def distinct(points):
    """The distinct points up to rounding, and how often each occurs."""
    _, first, counts = np.unique(np.round(points, 9), axis=0, return_index=True, return_counts=True)
    return points[first], counts


PAIRS = [
    ([Change("set", 0, 2), Change("set", 0, 3)], [1, 2], 4.0),
    ([Change("shift", -1, 1), Change.normal("shift", 0.2, 0.3, within=(-0.5, 1.0))], [1, 1], 0.0),
    ([Change("scale", 0.5, 2), Change("scale", 0.5, 3, "loguniform")], [2, 1], 3.0),
    ([Change.normal("scale", 1, 0.2, within=(0.9, 1.6)), Change("scale", 0.7, 1.2)], [1, 1], 2.0),
    ([Change("scale", 0.5, 2, "loguniform"), Change.normal("scale", 1, 0.01, within=(0.5, 2.0))], [3, 1], 4.0),
]


@pytest.mark.parametrize(("changes", "weights", "total"), PAIRS)
def test_two_parts_of_a_total_integrate_to_one_and_fit_their_draws(changes, weights, total):
    """One number is free; where it or the other is at an end, there is a probability."""
    randomization = totalled(changes, weights, total)
    drawn = randomization.draw(40_000, rng=0).values
    inner = ((drawn > [change.low for change in changes]) & (drawn < [change.high for change in changes])).all(axis=1)
    ends, counts = distinct(drawn[~inner])
    chances = np.exp(randomization.log_density(ends)) if len(ends) else np.zeros(0)
    np.testing.assert_allclose(chances, counts / len(drawn), atol=4 * np.sqrt(0.25 / len(drawn)))
    free = int(np.argmin(weights)) if weights[0] != weights[1] else 1
    low, high = drawn[:, free].min(), drawn[:, free].max()
    x = low + (high - low) * (np.arange(20_000) + 0.5) / 20_000
    other = (total - weights[free] * x) / weights[1 - free]
    points = np.stack([x, other] if free == 0 else [other, x], axis=1)
    density = np.exp(randomization.log_density(points))
    assert density.mean() * (high - low) + chances.sum() == pytest.approx(1.0, abs=2e-3)
    edges = np.linspace(low, high, 21)
    seen = np.histogram(drawn[inner, free], edges)[0] / len(drawn)
    expected = density.reshape(20, -1).mean(axis=1) * (high - low) / 20
    assert np.abs(seen - expected).max() < 5 * np.sqrt(expected.max() / len(drawn))


@pytest.mark.parametrize("mode", ["set", "scale"])
def test_three_parts_of_a_total_integrate_to_one(mode):
    """Two numbers are free inside, one on each edge, none where two parts are at their ends."""
    changes = [Change(mode, 0.5, 1.5), Change(mode, 0.4, 1.2), Change(mode, 0.6, 2.0)]
    weights, total = np.array([1.0, 1.5, 2.0]), 4.5
    randomization = totalled(changes, weights, total)
    drawn = randomization.draw(100_000, rng=1).values
    low, high = np.array([0.5, 0.4, 0.6]), np.array([1.5, 1.2, 2.0])
    at_end = (drawn == low) | (drawn == high)
    m = 150
    a = 0.5 + (np.arange(m) + 0.5) / m
    b = 0.4 + 0.8 * (np.arange(m) + 0.5) / m
    grid = np.stack([axis.ravel() for axis in np.meshgrid(a, b)], axis=1)
    points = np.column_stack([grid, (total - grid @ weights[:2]) / 2.0])
    inside = np.exp(randomization.log_density(points)).sum() * 0.8 / m**2
    assert inside == pytest.approx((~at_end.any(axis=1)).mean(), abs=0.01)
    mass = inside
    for fixed in range(3):
        free = [i for i in range(3) if i != fixed]
        free.sort(key=lambda i: weights[i])
        for end in (low[fixed], high[fixed]):
            x = low[free[0]] + (high - low)[free[0]] * (np.arange(4000) + 0.5) / 4000
            points = np.empty((4000, 3))
            points[:, fixed], points[:, free[0]] = end, x
            points[:, free[1]] = (total - weights[fixed] * end - weights[free[0]] * x) / weights[free[1]]
            edge = np.exp(randomization.log_density(points)).mean() * (high - low)[free[0]]
            seen = ((drawn[:, fixed] == end) & (at_end.sum(axis=1) == 1)).mean()
            assert edge == pytest.approx(seen, abs=0.01)
            mass += edge
    corners, counts = distinct(drawn[at_end.sum(axis=1) == 2])
    if len(corners):
        chances = np.exp(randomization.log_density(corners))
        np.testing.assert_allclose(chances, counts / len(drawn), atol=0.01)
        mass += chances.sum()
    assert mass == pytest.approx(1.0, abs=5e-3)


def test_many_normal_parts_have_the_density_of_a_normal_vector_with_a_known_sum():
    """Σ(x - t): projecting an isotropic normal vector on its sum leaves one of p - 1 dimensions."""
    p, deviation = 12, 0.05
    change = Change.normal("shift", 0.0, deviation, within=(-1.0, 1.0))
    names = tuple("abcdefghijkl")
    randomization = Randomization(dict.fromkeys(names, change), totals=(FixedTotal(names, (1.0,) * p, 0.0),))
    drawn = randomization.draw(50, rng=0).values
    covariance = deviation**2 * (np.eye(p) - 1 / p)[1:, 1:]
    expected = stats.multivariate_normal(np.zeros(p - 1), covariance).logpdf(drawn[:, 1:])
    np.testing.assert_allclose(randomization.log_density(drawn), expected, rtol=1e-9)


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(["set", "shift", "scale"]), st.integers(0, 2**31))
def test_what_is_drawn_has_a_density_and_what_misses_the_total_has_none(mode, seed):
    rng = np.random.default_rng(seed)
    low = rng.uniform(0.2, 0.8, 4)
    high = low + rng.uniform(0.3, 1.0, 4)
    weights = rng.uniform(0.5, 2.0, 4)
    total = float(weights @ (low + (high - low) * rng.uniform(0.1, 0.9)))
    kinds = rng.choice(["uniform", "loguniform"], 4)
    changes = [Change(mode, a, b, kind) for a, b, kind in zip(low, high, kinds, strict=True)]
    randomization = totalled(changes, weights, total)
    drawn = randomization.draw(30, rng=seed).values
    assert np.isfinite(randomization.log_density(drawn)).all()
    assert (randomization.log_density(drawn + np.eye(4)[0] * 1e-3) == -np.inf).all()


def test_a_total_at_the_end_of_the_ranges_is_sure():
    randomization = totalled([Change("set", 1, 2), Change("set", 0, 3)], [1, 1], 1.0)
    np.testing.assert_array_equal(randomization.log_density(np.array([[1.0, 0.0], [0.5, 0.5]])), [0.0, -np.inf])


def test_a_part_of_a_total_that_never_moves():
    """What is left is shared by the others, as if they alone had the rest as their total."""
    whole = totalled([Change("set", 0, 2), Change("set", 0.5, 0.5), Change("set", 0, 3)], [1, 2, 2], 5.0)
    rest = totalled([Change("set", 0, 2), Change("set", 0, 3)], [1, 2], 4.0)
    drawn = rest.draw(50, rng=0).values
    of_all = np.column_stack([drawn[:, 0], np.full(50, 0.5), drawn[:, 1]])
    np.testing.assert_allclose(whole.log_density(of_all), rest.log_density(drawn), rtol=1e-9)


def test_the_model_gives_the_total(tmp_path):
    table = {"body_mass[*]": {"scale": [0.8, 1.2], "each": True}, "fixed_totals": [["body_mass[*]"]]}
    unbound = Randomization.from_table(table)
    with pytest.raises(WorldError, match="bind the randomization to its world first"):
        unbound.log_density(np.ones((1, 1)))
    bound = unbound.bind(rig_world(tmp_path))
    assert np.isfinite(bound.log_density(bound.draw(20, rng=0))).all()


def test_what_has_no_density():
    drawn = Ensemble.single({"a": {"set": 1.0}})
    with pytest.raises(WorldError, match=r"do not have the parameters of this randomization: a \(scale\), a \(set\)"):
        worlds([CONTINUOUS["uniform"]]).log_density(drawn)
    with pytest.raises(WorldError, match=r"1 parameters need numbers \(n, 1\), got \(2,\)"):
        worlds([CONTINUOUS["uniform"]]).log_density(np.ones(2))
    changes = {name: Change("set", 0, 1) for name in "ab"}
    both = Randomization(changes, (Correlation(("a", "b"), 0.5),), (FixedTotal(("a", "b"), (1.0, 1.0), 1.0),))
    with pytest.raises(WorldError, match="a, b are correlated and in a fixed total: draws like these have no known"):
        both.log_density(np.full((1, 2), 0.5))
    still = Change.normal("set", 0.5, 0.0, within=(0.0, 1.0))
    with pytest.raises(WorldError, match="'a' has the deviation 0 but moves with its total, so it has no density"):
        totalled([still, Change("set", 0, 1)], [1, 1], 1.0).log_density(np.full((1, 2), 0.5))
