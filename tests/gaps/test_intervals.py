"""Intervals: they cover, they respect episodes, and they say when there is none."""

import sys

import numpy as np
import pytest
from scipy.stats import binom, ncx2

from sim2real_cat.gaps.gaussian_kl import GaussianEstimate
from sim2real_cat.gaps.kl_gap import gap
from sim2real_cat.gaps.resampling import FEWEST, Jackknife, LeftOut, autocorrelation_time, deal, jackknife, stretches
from sim2real_cat.gaps.samples import arrange, as_samples


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_coverage_on_independent_rows(shift):
    hits, repetitions = 0, 60
    for seed in range(repetitions):
        rng = np.random.default_rng(seed)
        found = gap(rng.normal(size=(300, 2)) + shift, rng.normal(size=(300, 2)), splits=0)
        hits += found.low <= shift**2 <= found.high
    assert hits >= binom.ppf(1e-3, repetitions, 0.95)


@pytest.mark.parametrize("method", ["gaussian", "knn"])
def test_coverage_on_dependent_episodes(recorded, autoregressive, method):
    hits, repetitions = 0, 40 if method == "gaussian" else 8
    for seed in range(repetitions):
        rng = np.random.default_rng(seed)
        real = recorded(autoregressive(rng, 12, 150, 2, 0.95), np.zeros(12, int))
        sim = recorded(autoregressive(rng, 8, 150, 2, 0.95), np.zeros(8, int))
        hits += gap(real, sim, method=method, level="occupancy", splits=0).low == 0
    assert hits >= binom.ppf(1e-3, repetitions, 0.95)


def test_interval_respects_episodes(autoregressive):
    rng = np.random.default_rng(0)
    real = autoregressive(rng, 16, 200, 2, 0.95, scale=1.5)
    sim = autoregressive(rng, 16, 200, 2, 0.95)
    by_episode = gap(real, sim, level="occupancy")
    clouds = [arrange(as_samples(np.concatenate(side), "real"), "occupancy") for side in (real, sim)]
    blocks = [deal(cloud.episode, cloud.member_index, 64, rng) for cloud in clouds]
    by_row = GaussianEstimate.leave_out(*clouds, {0: 1.0}, *blocks)
    low, high = jackknife(by_row.plug_in, by_row.strata).interval(by_row.raw, 0.95, by_row.bias_doubt)
    assert by_episode.plug_in == pytest.approx(by_row.plug_in)
    assert by_episode.high - by_episode.low > 2.5 * (high - low)


def test_same_on_both_sides_is_near_zero(recorded, autoregressive):
    rng = np.random.default_rng(1)
    real = recorded(autoregressive(rng, 12, 150, 4, 0.9), np.zeros(12, int))
    sim = recorded(autoregressive(rng, 12, 150, 4, 0.9), np.repeat(range(4), 3))
    found = gap(real, sim)
    assert found.value < 0.02
    assert found.low == 0 < found.high < 0.1
    assert found.raw < found.plug_in


@pytest.mark.parametrize("level", ["occupancy", "transition"])
def test_single_long_episode_has_an_interval(autoregressive, level):
    pytest.importorskip("arch", reason="the length of stretches comes from the extra 'gaps'")
    rng = np.random.default_rng(2)
    found = gap(autoregressive(rng, 1, 1500, 2, 0.8, scale=1.5), autoregressive(rng, 8, 300, 2, 0.8), level=level)
    assert found.reliable
    assert found.low < 2 * (0.5 * (1.5**2 - 1) - np.log(1.5)) < found.high < 1
    assert found.why[0].startswith("the single real episode is cut into ")
    assert found.episodes_real == 1


def test_single_episode_with_a_long_memory_has_no_interval(autoregressive):
    pytest.importorskip("arch", reason="the length of stretches comes from the extra 'gaps'")
    rng = np.random.default_rng(2)
    found = gap(autoregressive(rng, 1, 1500, 2, 0.999), autoregressive(rng, 4, 200, 2, 0.5), level="occupancy")
    assert (found.low, found.high, found.reliable) == (0.0, np.inf, False)
    assert found.why[0].startswith("no interval from the single real episode: 1500 steps make fewer than 8 stretches")


def test_single_episode_without_arch_has_no_interval(autoregressive, monkeypatch):
    monkeypatch.setitem(sys.modules, "arch.bootstrap", None)
    rng = np.random.default_rng(2)
    found = gap(autoregressive(rng, 1, 1500, 2, 0.5), autoregressive(rng, 4, 200, 2, 0.5))
    assert (found.low, found.high, found.reliable) == (0.0, np.inf, False)
    assert "pip install 'sim2real-cat[gaps]'" in found.why[0]


@pytest.mark.parametrize(
    ("level", "steps", "reliable"), [("occupancy", 1000, True), ("occupancy", 30, False), ("transition", 200, True)]
)
def test_member_with_a_single_episode_is_said(recorded, autoregressive, level, steps, reliable):
    pytest.importorskip("arch", reason="the length of stretches comes from the extra 'gaps'")
    rng = np.random.default_rng(3)
    real = recorded(autoregressive(rng, 8, 200, 2, 0.5), np.zeros(8, int))
    sim = recorded(autoregressive(rng, 3, steps, 2, 0.5), np.array([0, 0, 1]))
    found = gap(real, sim, level=level)
    assert found.reliable is reliable
    assert "the only episode of 1 of 2 members" in found.why[0]
    assert np.isfinite(found.high) is np.bool_(reliable)


def test_random_walk_has_no_independent_stretches():
    rng = np.random.default_rng(7)
    refused = [stretches(rng.normal(size=(2000, 1)).cumsum(axis=0), lambda _: 1.0) < FEWEST for _ in range(40)]
    assert np.mean(refused) > 0.9


def test_white_noise_is_cut_as_finely_as_allowed():
    rng = np.random.default_rng(8)
    assert all(stretches(rng.normal(size=(2000, 3)), lambda _: 1.0) == 64 for _ in range(10))
    assert stretches(rng.normal(size=(800, 1)), lambda _: 50.0) == 16


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.95])
def test_autocorrelation_time_of_an_autoregression(autoregressive, rho):
    series = autoregressive(np.random.default_rng(9), 40, 5000, 1, rho)
    found = np.mean([autocorrelation_time(x[:, 0]) for x in series])
    assert found == pytest.approx((1 + rho) / (1 - rho), rel=0.1)


def test_too_few_points_to_leave_any_out():
    rng = np.random.default_rng(4)
    found = gap(list(rng.normal(size=(2, 4, 3))), list(rng.normal(size=(8, 10, 3))), level="occupancy")
    assert (found.low, found.high, found.reliable) == (0.0, np.inf, False)
    assert "leave out" in found.why[0]


def test_interval_of_a_quadratic_form_covers_at_and_near_zero():
    rng = np.random.default_rng(9)
    for k, noncentrality in ((1, 0.0), (2, 1.0), (65, 0.0), (65, 30.0), (5, 400.0)):
        u = rng.noncentral_chisquare(k, noncentrality, size=400)
        ends = np.array([Jackknife(k, 4 * x, 1e6, 99).interval_of_divergence(x, x - k, 0.95, 0.0) for x in u])
        covered = (np.maximum(ends[:, 0], 0) <= noncentrality) & (noncentrality <= ends[:, 1])
        assert binom.ppf(1e-3, 400, 0.95) <= covered.sum() <= binom.ppf(1 - 1e-3, 400, 0.975)


def test_interval_of_a_quadratic_form_inverts_its_distribution():
    low, high = Jackknife(3.0, 4 * 20.0, 1e6, 99).interval_of_divergence(20.0, 17.0, 0.9, 0.0)
    assert ncx2.sf(20.0, 3.0, low) == pytest.approx(0.05, abs=1e-4)
    assert ncx2.cdf(20.0, 3.0, high) == pytest.approx(0.05, abs=1e-4)


def test_interval_far_from_zero_is_the_t_interval():
    spread = Jackknife(0.01, 0.001, 20.0, 12)
    far = spread.interval_of_divergence(5.0, 4.99, 0.95, 0.0)
    assert far == pytest.approx(spread.interval(4.99, 0.95, 0.0), abs=2e-3)


def test_doubt_widens_both_sides():
    spread = Jackknife(0.1, 0.01, 20.0, 12)
    inner, outer = (spread.interval_of_divergence(0.3, 0.2, 0.95, doubt) for doubt in (0.0, 0.2))
    assert outer[0] < inner[0] < 0.2 < inner[1] < outer[1]
    assert 0.2 - outer[0] > 1.959 * 0.2 < outer[1] - 0.2


def test_jackknife_of_a_mean_is_its_standard_error():
    x = np.random.default_rng(5).normal(size=20)
    left_out = LeftOut(np.ones(20, int), (x.sum() - x) / 19)
    found = jackknife(x.mean(), [left_out])
    assert found.bias == pytest.approx(0, abs=1e-12)
    assert found.variance == pytest.approx(x.var(ddof=1) / 20)
    assert found.freedom == pytest.approx(19)


def test_jackknife_removes_the_bias_of_a_variance():
    x = np.random.default_rng(6).normal(size=15)
    left_out = LeftOut(np.ones(15, int), np.array([np.delete(x, i).var() for i in range(15)]))
    assert x.var() - jackknife(x.var(), [left_out]).bias == pytest.approx(x.var(ddof=1))


def test_blocks_are_whole_episodes_of_one_member():
    episode = np.repeat(np.arange(10), 5)
    member = (episode >= 4).astype(int)
    blocks = deal(episode, member, 4, np.random.default_rng(0))
    assert blocks.count == 8
    assert all(len(np.unique(blocks.label[episode == e])) == 1 for e in range(10))
    assert all(len(np.unique(member[blocks.label == b])) == 1 for b in range(8))
    assert sorted(blocks.sizes) == [5, 5, 5, 5, 5, 5, 10, 10]


def test_only_episode_is_cut_in_time():
    blocks = deal(np.zeros(80, int), np.zeros(80, int), 4, np.random.default_rng(0))
    assert (np.diff(blocks.label) >= 0).all()
    assert blocks.sizes.tolist() == [10] * 8
