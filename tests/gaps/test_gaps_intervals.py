"""Intervals: they cover, they respect episodes, and they say when there is none."""

import numpy as np
import pytest
from scipy.stats import binom

from sim2real_cat.gaps.gap import gap
from sim2real_cat.gaps.gaussian_fit import Fitted
from sim2real_cat.gaps.resampling import LeftOut, deal, jackknife
from sim2real_cat.gaps.samples import arrange, as_samples


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_coverage_on_independent_rows(shift):
    hits, repetitions = 0, 60
    for seed in range(repetitions):
        rng = np.random.default_rng(seed)
        found = gap(rng.normal(size=(300, 2)) + shift, rng.normal(size=(300, 2)))
        hits += found.low <= shift**2 <= found.high
    assert hits >= binom.ppf(1e-3, repetitions, 0.95)


@pytest.mark.parametrize("method", ["gaussian", "knn"])
def test_coverage_on_dependent_episodes(recorded, autoregressive, method):
    hits, repetitions = 0, 40 if method == "gaussian" else 8
    for seed in range(repetitions):
        rng = np.random.default_rng(seed)
        real = recorded(autoregressive(rng, 12, 150, 2, 0.95), np.zeros(12, int))
        sim = recorded(autoregressive(rng, 8, 150, 2, 0.95), np.zeros(8, int))
        hits += gap(real, sim, method, level="occupancy").low == 0
    assert hits >= binom.ppf(1e-3, repetitions, 0.95)


def test_interval_respects_episodes(autoregressive):
    rng = np.random.default_rng(0)
    real = autoregressive(rng, 16, 200, 2, 0.95, scale=1.5)
    sim = autoregressive(rng, 16, 200, 2, 0.95)
    by_episode = gap(real, sim, level="occupancy")
    clouds = [arrange(as_samples(np.concatenate(side), "real"), "occupancy") for side in (real, sim)]
    blocks = [deal(cloud.episode, cloud.member, 64, rng) for cloud in clouds]
    by_row = Fitted.leave_out(*clouds, {0: 1.0}, *blocks)
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


def test_single_real_episode_has_no_interval(autoregressive):
    rng = np.random.default_rng(2)
    found = gap(autoregressive(rng, 1, 200, 2, 0.5), autoregressive(rng, 4, 200, 2, 0.5))
    assert (found.low, found.high, found.reliable) == (0.0, np.inf, False)
    assert "single real episode" in found.why[0]


@pytest.mark.parametrize(("level", "reliable"), [("occupancy", False), ("transition", True)])
def test_member_with_a_single_episode_is_said(recorded, autoregressive, level, reliable):
    rng = np.random.default_rng(3)
    real = recorded(autoregressive(rng, 8, 200, 2, 0.5), np.zeros(8, int))
    sim = recorded(autoregressive(rng, 3, 200, 2, 0.5), np.array([0, 0, 1]))
    found = gap(real, sim, level=level)
    assert found.reliable is reliable
    assert "1 of 2 simulated members have a single episode" in found.why[0]
    assert np.isfinite(found.high)


def test_too_few_points_to_leave_any_out():
    rng = np.random.default_rng(4)
    found = gap(list(rng.normal(size=(2, 4, 3))), list(rng.normal(size=(8, 10, 3))), level="occupancy")
    assert (found.low, found.high, found.reliable) == (0.0, np.inf, False)
    assert "leave out" in found.why[0]


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
