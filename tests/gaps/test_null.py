"""A/A: what the method says about nothing, and p-values that raise no more false alarms than they may."""

import numpy as np
import pytest
from scipy.stats import binom

from sim2real_cat.errors import GapError
from sim2real_cat.gaps.estimate import MethodSettings
from sim2real_cat.gaps.gaussian import corrected_gap, gaps_of_deals
from sim2real_cat.gaps.gaussian_kl import log_ratios
from sim2real_cat.gaps.kl_gap import METHODS, gap
from sim2real_cat.gaps.null import SPLITS, estimate_null, hold_out, pool
from sim2real_cat.gaps.samples import clouds


def p_values(make, repetitions, level="occupancy", weights=None):
    """P-values of "no more than A/A" alone, without the estimates."""
    found = []
    for seed in range(repetitions):
        rng = np.random.default_rng(seed)
        real, sim, fibre, _ = clouds(*make(rng), level, weights)
        found.append(estimate_null(real, sim, fibre, lambda *_: 0.0, 1, rng, gaps_of_deals).p_value)
    return np.array(found)


def rare(p, alpha):
    return (p <= alpha).sum() <= binom.ppf(0.999, len(p), alpha)


@pytest.mark.parametrize("level", ["occupancy", "transition"])
def test_false_alarms_of_dependent_episodes(autoregressive, level):
    p = p_values(lambda rng: (autoregressive(rng, 8, 60, 2, 0.95), autoregressive(rng, 12, 60, 2, 0.95)), 200, level)
    assert rare(p, 0.05)
    assert rare(p, 0.2)
    assert 0.4 < p.mean() < 0.6


def test_false_alarms_of_a_weighted_fibre(recorded, autoregressive):
    offsets, weights = np.array([[0.0, 0], [1, 0], [2, 2]]), np.array([0.2, 0.3, 0.5])

    def make(rng):
        member, drawn = np.repeat(range(3), 10), rng.choice(3, size=6, p=weights)
        sim = [x + offsets[e] for x, e in zip(autoregressive(rng, 30, 40, 2, 0.8), member, strict=True)]
        real = [x + offsets[e] for x, e in zip(autoregressive(rng, 6, 40, 2, 0.8), drawn, strict=True)]
        return recorded(real, np.zeros(6, int)), recorded(sim, member)

    assert rare(p_values(make, 200, weights=weights), 0.05)


def test_false_alarms_of_members_with_single_episodes(recorded, autoregressive):
    def make(rng):
        real, sim = (autoregressive(rng, n, 40, 2, 0.8) for n in (6, 16))
        real, sim = ([x + rng.normal(size=2) for x in side] for side in (real, sim))
        return recorded(real, np.zeros(6, int)), recorded(sim, np.arange(16))

    assert rare(p_values(make, 200), 0.05)


def test_false_alarms_of_unequal_lengths(autoregressive):
    p = p_values(lambda rng: (autoregressive(rng, 5, 150, 1, 0.9), autoregressive(rng, 16, 40, 1, 0.9)), 200)
    assert rare(p, 0.05)


def test_a_gap_is_found(autoregressive):
    rng = np.random.default_rng(0)
    real, sim = autoregressive(rng, 10, 100, 2, 0.9, scale=1.5), autoregressive(rng, 20, 100, 2, 0.9)
    for level in ("occupancy", "transition"):
        found = gap(real, sim, level=level).null
        assert found.p_value <= 0.02
        assert max(map(abs, (*found.real, *found.simulated))) < gap(real, sim, level=level).value
    assert found.why == ()


def test_values_are_the_method_on_halves(autoregressive):
    rng = np.random.default_rng(1)
    real, sim, fibre, _ = clouds(autoregressive(rng, 9, 20, 1, 0.5), autoregressive(rng, 12, 20, 1, 0.5), None, None)
    seen = []

    def raw(a, b, weights):
        seen.append((a, b, weights))
        return float(len(seen))

    null = estimate_null(real, sim, fibre, raw, 3, np.random.default_rng(0), gaps_of_deals)
    assert (null.real, null.simulated, null.splits) == ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), 3)
    for source, (a, b, weights) in zip([real] * 3 + [sim] * 3, seen, strict=True):
        assert (a.side, b.side, weights) == ("real", "simulated", {0: 1.0})
        left, right = set(a.episode.tolist()), set(b.episode.tolist())
        assert not left & right
        assert left | right == set(source.episode.tolist())
        for part in (a, b):
            np.testing.assert_array_equal(part.points, source.points[np.isin(source.episode, part.episode)])
    assert len({tuple(np.unique(a.episode)) for a, _, _ in seen[:3]}) > 1


def test_held_out_follows_the_weights(recorded, autoregressive):
    rng = np.random.default_rng(2)
    sim = recorded(autoregressive(rng, 160, 5, 1, 0.5), np.repeat([3, 7], 80))
    _, cloud, fibre, _ = clouds(sim, sim, "occupancy", {3: 1, 7: 3})
    parts = hold_out(cloud, fibre, rng)
    drawn = sim.member_index[np.unique(parts.held.episode)]
    assert len(drawn) == 53
    assert binom.ppf(1e-3, 53, 0.75) <= (drawn == 7).sum() <= 40
    assert parts.weights == {3: 0.25, 7: 0.75}
    assert np.bincount(sim.member_index[np.unique(parts.sim.episode)], minlength=8)[[3, 7]].tolist() == [40, 40]
    assert len(np.unique(hold_out(cloud, fibre, rng, 10).held.episode)) == 10


@pytest.mark.parametrize("level", ["occupancy", "transition"])
def test_quick_statistic_is_the_plug_in(recorded, autoregressive, level):
    rng = np.random.default_rng(3)
    sim = recorded(autoregressive(rng, 12, 30, 2, 0.5), np.arange(12) % 2)
    real, cloud, fibre, _ = clouds(autoregressive(rng, 6, 30, 2, 0.5), sim, level, [1, 2])
    parts = hold_out(cloud, fibre, rng)
    pooled = pool(real, parts.held, rng)
    chosen = pooled.deals(5, rng)
    found = gaps_of_deals(pooled, chosen, parts.sim, parts.weights)
    for row, value in zip(chosen, found, strict=True):
        assert value == pytest.approx(log_ratios(pooled.of(row), parts.sim, parts.weights).mean())


def test_gaussian_values_are_those_of_the_estimate(recorded, autoregressive):
    rng = np.random.default_rng(11)
    sim = recorded(autoregressive(rng, 8, 30, 2, 0.5), np.arange(8) % 2)
    real, cloud, fibre, _ = clouds(autoregressive(rng, 6, 30, 2, 0.5), sim, "transition", [1, 2])
    estimate = METHODS["gaussian"](real, cloud, fibre, MethodSettings(), rng)
    assert corrected_gap(real, cloud, fibre, rng) == pytest.approx(estimate.raw)


def test_halves_too_short_for_a_covariance_are_said(autoregressive):
    rng = np.random.default_rng(12)
    null = gap(autoregressive(rng, 4, 7, 3, 0.5), autoregressive(rng, 8, 20, 3, 0.5)).null
    assert null.real == ()
    assert null.why[0].startswith("no A/A of the real side, in halves: ")
    assert len(null.simulated) == SPLITS


def test_other_methods_have_a_null_on_request():
    rng = np.random.default_rng(4)
    real, sim = list(rng.normal(size=(6, 10, 1)) + 2), list(rng.normal(size=(8, 10, 1)))
    assert gap(real, sim, method="knn", level="occupancy").null is None
    null = gap(real, sim, method="knn", level="occupancy", splits=1, neighbours=1, variant="plain").null
    assert null.p_value <= 0.05
    assert len(null.real) == len(null.simulated) == 1


def test_null_does_not_change_the_estimate(autoregressive):
    rng = np.random.default_rng(5)
    real, sim = autoregressive(rng, 80, 20, 2, 0.5), autoregressive(rng, 70, 20, 2, 0.5)
    without, usual, more = (gap(real, sim, splits=n) for n in (0, None, 3))
    assert without.null is None
    assert (
        (without.raw, without.low, without.high)
        == (usual.raw, usual.low, usual.high)
        == (more.raw, more.low, more.high)
    )
    assert len(usual.null.real) == SPLITS
    assert len(more.null.real) == 3
    assert usual == gap(real, sim)


def test_what_cannot_be_had_is_said(recorded, autoregressive):
    rng = np.random.default_rng(6)
    real, sim = autoregressive(rng, 3, 60, 1, 0.5), autoregressive(rng, 8, 60, 1, 0.5)
    null = gap(real, sim[:1]).null
    assert (null.real, null.simulated, null.p_value) == ((), (), None)
    assert null.why == (
        "no A/A of the real side: the real side has 3 episodes, and two halves need at least 4",
        "no A/A of the simulated side: the simulated side has a single episode: add episodes",
        "no p-value: the simulated side has a single episode: add episodes",
    )
    assert gap(real, sim[:4]).null.why[-1] == "with 3 real and 2 held out episodes no p-value can be below 0.100"
    mixed = gap(real, recorded(sim, np.array([0, 0, 0, 1, 1, 1, 1, 2]))).null
    assert "1 of 3 simulated members have a single episode" in mixed.why[-1]
    assert "held out as if drawn at random" in gap(real, recorded(sim, np.arange(8))).null.why[1]
    with pytest.raises(GapError, match="splits is -1: give a number of A/A comparisons, or 0 for none"):
        gap(real, sim, splits=-1)


def test_longer_episodes_are_cut_to_be_alike(autoregressive):
    rng = np.random.default_rng(7)
    null = gap(autoregressive(rng, 6, 90, 1, 0.5), autoregressive(rng, 10, 40, 1, 0.5)).null
    assert null.why == ("episodes of the longer side are cut to their first 39 transitions, to be alike",)


def test_many_rows_are_dealt_in_groups_of_equal_size():
    rng = np.random.default_rng(8)
    real, sim, _, _ = clouds(rng.normal(size=(601, 1)), rng.normal(size=(503, 1)), None, None)
    pooled = pool(real, sim, rng)
    assert (pooled.n_first, pooled.n_units) == (120, 220)
    assert set(np.bincount(pooled.cloud.episode)) == {5}
    assert np.isin(pooled.cloud.points[pooled.cloud.episode < 120], real.points).all()
    assert np.isin(pooled.cloud.points[pooled.cloud.episode >= 120], sim.points).all()


def test_actions_go_with_their_points(recorded):
    rng = np.random.default_rng(10)
    sides_ = []
    for count, steps in ((5, 40), (8, 25)):
        side = recorded(list(rng.normal(size=(count, steps, 1))), np.zeros(count, int))
        side.actions = [2 * x for x in side.episodes]
        sides_.append(side)
    real, sim, fibre, _ = clouds(*sides_, "transition", None)
    assert real.actions is not None
    parts = hold_out(sim, fibre, rng)
    pooled = pool(real, parts.held, rng)
    for cloud in (parts.sim, parts.held, pooled.cloud, pooled.of(pooled.deals(1, rng)[1])):
        np.testing.assert_array_equal(cloud.actions, 2 * cloud.points[:, :1])


def test_floor_of_few_and_many_deals():
    rng = np.random.default_rng(9)
    few, _, _, _ = clouds(list(rng.normal(size=(3, 9, 1))), list(rng.normal(size=(3, 9, 1))), "occupancy", None)
    assert pool(few, few, rng).least_p_value(199) == 1 / 20
    assert pool(few, few, rng).least_p_value(9) == 1 / 10
