"""Rank violations and correlations: by hand, as published, against scipy and loops, and how often intervals cover."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sim2real_cat.errors import GapError
from sim2real_cat.ranking import ranking as ranking_module
from sim2real_cat.ranking.ranking import (
    CONVENTIONS,
    CORRELATIONS,
    DRAWS,
    draw_rates,
    mmrv,
    permutations,
    rank,
    worst_violation,
)
from sim2real_cat.ranking.table import Counts, PolicyTable

# Success rates in reality and in SIMPLER's simulation of RT-2-X, RT-1 converged, RT-1 15%, RT-1-X, RT-1 begin and
# Octo-base (Li et al. 2024, arXiv 2405.05941), with the MMRV and the Pearson correlation that the paper prints.
PUBLISHED = {
    "pick coke can": (
        [0.907, 0.853, 0.920, 0.760, 0.133, 0.293],
        [0.787, 0.857, 0.710, 0.567, 0.027, 0.170],
        0.031,
        0.976,
    ),
    "move near": ([0.733, 0.633, 0.583, 0.450, 0.017, 0.350], [0.779, 0.442, 0.354, 0.317, 0.050, 0.042], 0.111, 0.855),
}


def named(n):
    return [f"p{i}" for i in range(n)]


def scored(real, sim):
    return PolicyTable.of_scores(named(len(real)), real, sim)


def counted(real, sim, real_trials=20, sim_trials=100):
    return PolicyTable.of_counts(named(len(real)), real, real_trials, sim, sim_trials)


def loop(real, sim, convention):
    """The definitions, term by term."""
    total = 0.0
    for i in range(len(real)):
        most = 0.0
        for j in range(len(real)):
            violated = {
                "simpler": (sim[i] > sim[j]) != (real[i] > real[j]),
                "autoeval": (sim[i] < sim[j]) != (real[i] < real[j]),
                "real2sim": (sim[i] > sim[j]) != (real[i] > real[j]),
                "realm": (real[i] - real[j]) * (sim[i] - sim[j]) < 0,
            }[convention]
            gap = abs(sim[i] - sim[j]) if convention == "real2sim" else abs(real[i] - real[j])
            if violated:
                most = max(most, gap)
        total += most
    return total / len(real)


# Few levels make many ties; their differences are far above rounding.
LEVELS = st.integers(0, 6).map(lambda k: k / 8)
PANELS = (
    st.integers(2, 7)
    .flatmap(lambda n: st.tuples(st.lists(LEVELS, min_size=n, max_size=n), st.lists(LEVELS, min_size=n, max_size=n)))
    .map(lambda sides: (np.array(sides[0]), np.array(sides[1])))
)


# rank violations


@pytest.mark.parametrize(("real", "sim", "violation", "correlation"), PUBLISHED.values(), ids=list(PUBLISHED))
def test_the_numbers_that_simpler_printed(real, sim, violation, correlation):
    found = rank(scored(real, sim))
    assert found["mmrv-simpler"].value == pytest.approx(violation, abs=5e-4)
    assert found["pearson"].value == pytest.approx(correlation, abs=2e-3)  # from rates before they were rounded


@pytest.mark.parametrize(
    ("real", "sim", "expected"),
    [
        # No tie: 0 and 1 change places, real gap .2, simulated gap .3.
        ([0.6, 0.4, 0.1], [0.5, 0.8, 0.2], {"simpler": 0.4, "autoeval": 0.4, "real2sim": 0.6, "realm": 0.4}),
        # 1 and 2 tie in simulation: of the two, SIMPLER's code charges the better, its printed form the worse.
        ([0.9, 0.5, 0.2], [0.7, 0.4, 0.4], {"simpler": 0.3, "autoeval": 0.3, "real2sim": 0.0, "realm": 0.0}),
        # 0, 1 and 2 tie in simulation: charged are .8 and .3 (of 0 and 1), or .5 and .8 (of 1 and 2).
        ([0.9, 0.4, 0.1], [0.5, 0.5, 0.5], {"simpler": 1.1, "autoeval": 1.3, "real2sim": 0.0, "realm": 0.0}),
        # 0 and 1 tie in reality: its gap is 0, the simulated gap is charged once.
        ([0.5, 0.5, 0.1], [0.9, 0.6, 0.2], {"simpler": 0.0, "autoeval": 0.0, "real2sim": 0.3, "realm": 0.0}),
        # A tie on both sides is agreement.
        ([0.5, 0.5, 0.1], [0.7, 0.7, 0.2], {"simpler": 0.0, "autoeval": 0.0, "real2sim": 0.0, "realm": 0.0}),
        # The reverse order: everybody's worst mistake is the far end.
        ([1.0, 0.5, 0.0], [0.0, 0.4, 0.6], {"simpler": 2.5, "autoeval": 2.5, "real2sim": 1.6, "realm": 2.5}),
    ],
)
def test_by_hand(real, sim, expected):
    for convention in CONVENTIONS:
        found = mmrv(np.array(real), np.array(sim), convention)
        assert found == pytest.approx(expected[convention] / 3, abs=1e-12), convention


@given(PANELS)
def test_violations_and_correlations_are_those_of_loops_and_scipy(panel):
    real, sim = panel
    for convention in CONVENTIONS:
        assert mmrv(real, sim, convention) == pytest.approx(loop(real, sim, convention), abs=1e-12)
    if np.ptp(real) == 0 or np.ptp(sim) == 0:
        assert all(np.isnan(function(real, sim)) for function in CORRELATIONS.values())
        return
    expected = {
        "pearson": np.corrcoef(real, sim)[0, 1],
        "spearman": stats.spearmanr(real, sim).statistic,
        "kendall": stats.kendalltau(real, sim).statistic,
    }
    assert {name: float(function(real, sim)) for name, function in CORRELATIONS.items()} == pytest.approx(expected)


@given(PANELS, st.randoms(use_true_random=False))
def test_laws(panel, random):
    real, sim = panel
    order = random.sample(range(len(real)), len(real))
    for convention in CONVENTIONS:
        found = mmrv(real, sim, convention)
        assert 0 <= found <= 1
        assert mmrv(real[order], sim[order], convention) == pytest.approx(found, abs=1e-12)
        assert mmrv(real, real**3 + 1, convention) == 0
        assert mmrv(sim, real, "real2sim") == pytest.approx(mmrv(real, sim, "simpler"), abs=1e-12)
    assert mmrv(-real, -sim, "autoeval") == mmrv(real, sim, "simpler")
    assert mmrv(real, sim, "realm") <= min(mmrv(real, sim, "simpler"), mmrv(real, sim, "autoeval"))
    for function in CORRELATIONS.values():
        assert function(real[order], sim[order]) == pytest.approx(float(function(real, sim)), nan_ok=True)


def test_rows_of_a_batch_are_single_panels():
    rng = np.random.default_rng(0)
    real, sim = rng.integers(0, 5, (2, 4, 6, 5)) / 4
    for function in [*CORRELATIONS.values(), *(lambda a, b, c=c: mmrv(a, b, c) for c in CONVENTIONS)]:
        alone = [[function(a, b) for a, b in zip(*rows, strict=True)] for rows in zip(real, sim, strict=True)]
        assert np.array_equal(function(real, sim), alone, equal_nan=True)


def test_the_most_costly_pair():
    assert worst_violation(np.array([0.1, 0.9, 0.8]), np.array([0.1, 0.5, 0.6])) == (1, 2)
    assert worst_violation(np.array([0.1, 0.9]), np.array([0.1, 0.5])) is None
    assert rank(scored([0.1, 0.9, 0.5], [0.8, 0.2, 0.3])).worst == ("p1", "p0")


# chance


@settings(max_examples=25)
@given(PANELS.filter(lambda panel: len(panel[0]) < 7))
def test_p_values_are_those_of_every_permutation(panel):
    real, sim = panel
    found = rank(scored(real, sim))
    orders = list(itertools.permutations(range(len(real))))
    for name, function in CORRELATIONS.items():
        if np.isnan(found[name].value):
            assert np.isnan(found[name].p_value)
            assert found[name].floor == 1
            continue
        chance = np.abs([float(function(real, sim[list(order)])) for order in orders])
        assert found[name].p_value == pytest.approx(np.mean(chance >= abs(found[name].value) - 1e-9))
        assert found[name].floor == pytest.approx(np.mean(chance >= chance.max() - 1e-9))
    for convention in CONVENTIONS:
        chance = [mmrv(real, sim[list(order)], convention) for order in orders]
        statistic = found[f"mmrv-{convention}"]
        assert statistic.p_value == pytest.approx(np.mean(np.array(chance) <= statistic.value + 1e-9))
        assert statistic.floor == pytest.approx(np.mean(np.array(chance) <= min(chance) + 1e-9))


def test_p_values_are_scipys():
    rng = np.random.default_rng(1)
    for n in (5, 8, 30):
        real = rng.normal(size=n)
        sim = real + rng.normal(size=n)
        found = rank(scored(real, sim))
        exact = n <= 8
        kendall = stats.kendalltau(real, sim, method="exact").pvalue
        assert found["kendall"].p_value == pytest.approx(kendall, **({} if exact else {"abs": 0.01}))
        assert found["pearson"].p_value == pytest.approx(stats.pearsonr(real, sim).pvalue, abs=0.01 if n > 8 else 0.1)


@pytest.mark.parametrize("n", range(2, 9))
def test_the_floor_of_few_policies(n):
    scores = np.arange(n) ** 2.0
    found = rank(scored(scores, scores))
    for name in ("spearman", "kendall"):
        assert found[name].floor == pytest.approx(2 / math.factorial(n))
    assert found["mmrv-simpler"].floor == pytest.approx(1 / math.factorial(n))
    assert found.reliable == (n >= 5)
    assert n >= 5 or f"{n} policies are too few" in found.why[0]


def test_ties_raise_the_floor():
    real = np.array([1.0] + [0.0] * 11)
    found = rank(scored(real, real))
    assert found["kendall"].floor == pytest.approx(1 / 12, abs=0.01)
    assert not found.reliable
    assert "12 policies with such ties are too few" in found.why[0]


def test_permutations_of_many_policies_are_drawn():
    orders = permutations(9, np.random.default_rng(0))
    assert orders.shape == (9999, 9)
    assert np.array_equal(np.sort(orders, axis=1), np.tile(np.arange(9), (9999, 1)))
    perfect = rank(scored(np.arange(20), np.arange(20)))
    assert perfect["spearman"].p_value == perfect["spearman"].floor == 1e-4


# leaving policies out


@settings(max_examples=25)
@given(PANELS.filter(lambda panel: len(panel[0]) < 7))
def test_leaving_one_out_is_computing_again(panel):
    real, sim = panel
    found = rank(scored(real, sim))
    for i in range(len(real)):
        if len(real) == 2:
            assert all(np.isnan(statistic.without[i]) for statistic in found.statistics)
            continue
        rest = rank(scored(np.delete(real, i), np.delete(sim, i)))
        for statistic in found.statistics:
            assert statistic.without[i] == pytest.approx(rest[statistic.name].value, nan_ok=True)


def test_who_carries_a_correlation():
    found = rank(scored([0.1, 0.12, 0.11, 0.14, 0.13, 0.9], [0.5, 0.44, 0.48, 0.42, 0.4, 0.9]))
    name, value = found.carrier("pearson")
    assert (name, value < -0.8) == ("p5", True)
    assert found["pearson"].value > 0.9
    assert not found.reliable
    assert f"pearson rests on 'p5' alone: without it {found['pearson'].value:.3g} is {value:.3g}" in found.why
    lone = rank(scored([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0], np.arange(7)))
    assert any("pearson rests on 'p6' alone" in reason and "is undefined" in reason for reason in lone.why)


# trials


def test_rates_have_clopper_and_pearsons_intervals():
    found = rank(counted([0, 7, 20], [0, 55, 100], real_trials=[10, 15, 20]), confidence=0.9)
    for policy, good, trials in zip(found.policies, [0, 7, 20], [10, 15, 20], strict=True):
        low = stats.beta.ppf(0.05, good, trials - good + 1) if good else 0.0
        high = stats.beta.ppf(0.95, good + 1, trials - good) if good < trials else 1.0
        assert (policy.real, policy.real_low, policy.real_high) == pytest.approx((good / trials, low, high))
    assert [policy.sim for policy in found.policies] == [0.0, 0.55, 1.0]
    assert found.policies[1].sim_low == pytest.approx(stats.beta.ppf(0.05, 55, 46))


def test_more_trials_narrow_the_intervals():
    few, many = (
        rank(counted(k * np.array([2, 8, 9, 12, 17]), k * np.array([4, 6, 11, 10, 18]), 20 * k, 20 * k))
        for k in (1, 100)
    )
    for name in ("mmrv-simpler", "pearson", "spearman"):
        assert many[name].high - many[name].low < 0.5 * (few[name].high - few[name].low)
        assert few[name].value == pytest.approx(many[name].value)
    assert many["pearson"].low < many["pearson"].value < many["pearson"].high


def test_intervals_are_quantiles_of_the_draws():
    table = counted([2, 8, 9, 12, 17], [20, 25, 60, 50, 90])
    drawn = draw_rates(table.real_counts, table.sim_counts, DRAWS, np.random.default_rng(0))
    for confidence in (0.5, 0.95):
        found = rank(table, confidence=confidence)["kendall"]
        ends = np.quantile(CORRELATIONS["kendall"](*drawn), [(1 - confidence) / 2, (1 + confidence) / 2])
        assert (found.low, found.high) == pytest.approx(tuple(ends))


def test_draws_are_those_of_the_posterior(monkeypatch):
    """Against the posterior summed over a grid of means as well, with few spreads to choose from."""
    spreads, correlations = np.array([0.05, 0.2, 0.8]), np.array([-0.5, 0.5, 1.0])
    monkeypatch.setattr(ranking_module, "SPREADS", spreads)
    monkeypatch.setattr(ranking_module, "ANGLE_CORRELATIONS", correlations)
    real, sim = Counts(np.array([4, 5, 9]), np.array([10, 30, 10])), Counts(np.array([2, 9, 8]), np.array([10, 30, 10]))
    observed = np.stack([real.angles, sim.angles], axis=1)
    noise = [np.diag(pair) for pair in zip(real.variances, sim.variances, strict=True)]
    side = np.linspace(-3, 4.5, 151)
    means = np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(-1, 2)
    total, first, second = 0.0, np.zeros((3, 2)), np.zeros((3, 2))
    for a, b, correlation in itertools.product(spreads, spreads, correlations):
        across = np.array([[a * a, a * b * correlation], [a * b * correlation, b * b]])
        normals = [stats.multivariate_normal(cov=across + own) for own in noise]
        weight = np.prod([n.pdf(x - means) for n, x in zip(normals, observed, strict=True)], axis=0)
        total += weight.sum()
        for i, own in enumerate(noise):
            gain = across @ np.linalg.inv(across + own)
            angle = means + (observed[i] - means) @ gain.T
            first[i] += weight @ angle
            second[i] += weight @ (angle**2 + np.diag(across - gain @ across))
    drawn = draw_rates(real, sim, 40_000, np.random.default_rng(0))
    angles = np.arcsin(np.sqrt(np.stack(drawn, axis=-1)))
    mean = first / total
    assert angles.mean(axis=0) == pytest.approx(mean, abs=0.005)
    assert angles.std(axis=0) == pytest.approx(np.sqrt(second / total - mean**2), abs=0.005)


def test_draws_of_one_policy_are_near_its_rate():
    real = Counts(np.array([300, 5000, 9000, 9900]), np.full(4, 10_000))
    sim = Counts(np.array([30, 20, 60, 99]), np.array([100, 50, 100, 100]))
    a, b = draw_rates(real, sim, 4000, np.random.default_rng(0))
    assert a.mean(axis=0) == pytest.approx(real.rates, abs=0.002)
    assert a.std(axis=0) == pytest.approx(np.sqrt(real.rates * (1 - real.rates) / 10_000), rel=0.1)
    assert np.all(np.abs(b.mean(axis=0) - sim.rates) < 0.06)
    assert a.min() >= 0
    assert b.max() <= 1


@pytest.mark.parametrize("noise", [0.1, 0.3])
def test_intervals_cover_the_statistics_of_the_true_rates(noise):
    rng = np.random.default_rng(2)
    repetitions, n = 60, 12
    inside, naive = dict.fromkeys([*CORRELATIONS, "mmrv"], 0), 0
    for _ in range(repetitions):
        real = rng.uniform(0.02, 0.98, n)
        sim = np.clip(real + noise * rng.normal(size=n), 0.01, 0.99)
        a, b = Counts(rng.binomial(20, real), np.full(n, 20)), Counts(rng.binomial(100, sim), np.full(n, 100))
        drawn = draw_rates(a, b, 500, rng)
        for name, function in {**CORRELATIONS, "mmrv": mmrv}.items():
            low, high = np.quantile(function(*drawn), [0.025, 0.975])
            inside[name] += low <= function(real, sim) <= high
        again = mmrv(rng.binomial(20, a.rates, (500, n)) / 20, rng.binomial(100, b.rates, (500, n)) / 100)
        low, high = np.quantile(again, [0.025, 0.975])
        naive += low <= mmrv(real, sim) <= high
    assert min(inside.values()) >= 0.87 * repetitions, inside
    # Resampled counts, which look as good, miss what they should cover.
    assert noise > 0.1 or naive < 0.7 * repetitions


def test_a_perfect_ranking_is_possible():
    found = rank(counted([1, 5, 10, 15, 19], [4, 26, 52, 74, 97]))
    assert (found["mmrv-simpler"].low, found["spearman"].high) == pytest.approx((0, 1))
    assert found["pearson"].high > 0.99


def test_a_seed_is_a_result():
    table = counted(np.arange(10) * 2, np.arange(10) * 9)
    assert rank(table) == rank(table, rng=0) == rank(table, rng=np.random.default_rng(0))
    assert rank(table)["pearson"].low != rank(table, rng=1)["pearson"].low


def test_intervals_for_such_policies():
    rng = np.random.default_rng(3)
    real = rng.normal(size=20)
    sim = real + rng.normal(size=20)
    found = rank(scored(real, sim), confidence=0.9)
    expected = stats.pearsonr(real, sim).confidence_interval(0.9)
    assert (found["pearson"].population_low, found["pearson"].population_high) == pytest.approx(tuple(expected))
    tau = found["kendall"]
    assert np.arctanh(tau.population_high) - np.arctanh(tau.value) == pytest.approx(1.644854 * np.sqrt(0.437 / 16))
    rho = found["spearman"]
    assert np.arctanh(rho.value) - np.arctanh(rho.population_low) == pytest.approx(
        1.644854 * np.sqrt((1 + rho.value**2 / 2) / 17)
    )
    for few in (rank(scored([1, 2, 3], [2, 1, 3])), rank(scored(np.arange(9), np.arange(9)))):
        assert (few["spearman"].population_low, few["spearman"].population_high) == (-1, 1)
    assert np.isnan(found["mmrv-realm"].population_low)
    assert np.isnan(found["pearson"].low)
    assert "plain scores say nothing about their own noise" in found.why[0]


# panels that say nothing, and wrong input


def test_equal_scores_have_no_order():
    found = rank(counted([5, 5, 5, 5, 5], [10, 20, 30, 40, 50]))
    assert np.isnan(found["pearson"].value)
    assert not found.reliable
    assert found.why[0].startswith("all real scores are equal: there is no order to predict")
    both = rank(scored(np.full(6, 0.1), np.full(6, 0.3)))
    assert both.why[0].startswith("all real and all simulated scores are equal")
    assert json.loads(json.dumps(both.to_table(), allow_nan=False))["statistics"][-1]["value"] is None


def test_policies_that_never_failed_or_never_succeeded():
    found = rank(counted([0] * 6, [100] * 6))
    assert np.isfinite([found["pearson"].low, found["pearson"].high]).all()
    assert not found.reliable


def test_large_and_small_units_are_the_same_ranking():
    real, sim = np.array([3.0, 1.0, 4.0, 1.5, 9.0, 2.6]), np.array([2.0, 7.0, 1.0, 8.0, 2.8, 1.9])
    plain = rank(scored(real, sim))
    for unit in (1e-120, 1e120):
        other = rank(scored(real * unit, sim * unit))
        assert other["mmrv-simpler"].value == pytest.approx(plain["mmrv-simpler"].value * unit)
        for name in (*CORRELATIONS, "mmrv-simpler"):
            assert other[name].p_value == plain[name].p_value
        assert other["pearson"].value == pytest.approx(plain["pearson"].value)


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda: PolicyTable.of_scores([], [], []), "0 policies cannot be ranked: give at least 2"),
        (lambda: PolicyTable.of_scores(["a"], [1], [1]), "1 policies cannot be ranked"),
        (lambda: PolicyTable.of_scores(["a", "a"], [1, 2], [1, 2]), "policy 'a' is there 2 times"),
        (lambda: PolicyTable.of_scores(["a", " "], [1, 2], [1, 2]), "empty name"),
        (lambda: PolicyTable.of_scores("ab", [1, 2], [1, 2]), "names is the text 'ab': give a list"),
        (lambda: PolicyTable.of_scores(["a", "b"], [1, 2, 3], [1, 2]), "real_score has shape (3,) for 2 policies"),
        (lambda: PolicyTable.of_scores(["a", "b"], [1, 2], 1), "sim_score has shape () for 2 policies"),
        (lambda: PolicyTable.of_scores(["a", "b"], ["x", 2], [1, 2]), "real_score are not numbers"),
        (lambda: PolicyTable.of_scores(["a", "b"], [1, np.nan], [1, 2]), "policy 'b': real_score is nan"),
        (lambda: PolicyTable.of_scores(["a", "b"], [1, 2], [np.inf, 2]), "policy 'a': sim_score is inf"),
        (lambda: PolicyTable.of_scores(["a", "b"], [1, 2], [1e200, 2]), "sim_score go up to 1e+200"),
        (lambda: counted([1, 21], [1, 2]), "policy 'p1': real_successes is 21 of 20 real_trials"),
        (lambda: counted([1, 2], [1, -2]), "policy 'p1': sim_successes is -2: give a whole number"),
        (lambda: counted([1, 2.5], [1, 2]), "policy 'p1': real_successes is 2.5: give a whole number"),
        (lambda: counted([1, 2], [1, 2], sim_trials=[5, 0]), "policy 'p1': sim_trials is 0: a policy that was never"),
        (lambda: counted([1, 2], [1, 2], real_trials=[np.nan, 9]), "policy 'p0': real_trials is nan"),
        (lambda: counted([1, 2], [1, 2], real_trials=10**40), "real_trials is 1e+40: give a whole number"),
        (lambda: counted([1, 2], [1, 2], real_trials=[1, 2, 3]), "real_trials has shape (3,)"),
        (lambda: rank("policies.csv"), "rank takes a PolicyTable, got str; ranking.read_policy_table reads a file"),
        (lambda: rank(scored([1, 2], [1, 2]), confidence=95), "confidence is 95: give a number between 0 and 1"),
        (lambda: rank(scored([1, 2], [1, 2]))["perason"], "unknown statistic 'perason': did you mean 'pearson'?"),
        (lambda: mmrv(np.ones(2), np.ones(2), "simpler2"), "unknown convention of MMRV 'simpler2'"),
    ],
)
def test_refused(make, part, refused):
    with refused(GapError, part):
        make()
