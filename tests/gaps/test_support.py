"""Coverage: valid p-values where real episodes are like simulated ones, and found out where they are not."""

import numpy as np
import pytest
from scipy.stats import binom, false_discovery_control

import sim2real_cat as s2r
from sim2real_cat.errors import GapError
from sim2real_cat.gaps.support import _holm, coverage


def at_most(p_values, alpha):
    """Whether p-values at most alpha are as rare as they must be, up to chance."""
    return (np.array(p_values) <= alpha).sum() <= binom.ppf(0.999, len(p_values), alpha)


@pytest.mark.parametrize("level", ["occupancy", "transition"])
def test_p_values_are_valid_for_dependent_episodes(autoregressive, level):
    found = []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        found.append(coverage(autoregressive(rng, 6, 40, 2, 0.95), autoregressive(rng, 16, 40, 2, 0.95), level=level))
    for alpha in (0.05, 0.2, 0.5):
        assert at_most([f.p_value for f in found], alpha)
        assert at_most([f.p_joint for f in found], alpha)
        assert at_most([min(f.p_sensors) for f in found], alpha)
        assert at_most([f.p_episodes[seed % 6] for seed, f in enumerate(found)], alpha)
        assert at_most([1 - 0.999 * bool(f.outside_sensors) for f in found], 0.025)
    assert np.mean([f.p_joint for f in found]) < 0.6
    assert np.mean([f.share_outside for f in found]) < 0.03


def test_p_values_are_valid_for_a_weighted_fibre(recorded, autoregressive):
    offsets, weights, p = np.array([[0.0, 0], [3, 0], [0, 3]]), np.array([0.2, 0.3, 0.5]), []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        member = np.repeat(range(3), 8)
        sim = [x + offsets[e] for x, e in zip(autoregressive(rng, 24, 30, 2, 0.8), member, strict=True)]
        drawn = rng.choice(3, size=5, p=weights)
        real = [x + offsets[e] for x, e in zip(autoregressive(rng, 5, 30, 2, 0.8), drawn, strict=True)]
        real = recorded(real, np.zeros(5, int))
        p.append(coverage(real, recorded(sim, member), weights=weights, level="occupancy").p_joint)
    assert at_most(p, 0.05)
    assert at_most(p, 0.2)


@pytest.mark.parametrize("level", ["occupancy", "transition"])
def test_a_world_far_outside_is_found_with_its_sensor(recorded, autoregressive, level):
    rng = np.random.default_rng(1)
    real = autoregressive(rng, 8, 100, 3, 0.9)
    for episode in real:
        episode[:, 1] += 8
    real = recorded(real, np.zeros(8, int), ("hip", "knee", "foot"))
    sim = recorded(autoregressive(rng, 48, 100, 3, 0.9), np.arange(48) % 3, ("hip", "knee", "foot"))
    found = s2r.gaps.coverage(real, sim, level=level)
    assert found.covered is False
    assert found.outside_sensors == ("knee",)
    assert found.outside_episodes == tuple(range(8))
    assert found.share_outside > 0.9
    assert found.p_episodes == (1 / 25,) * 8
    assert found.floor <= found.p_value < 0.02
    assert found.why == ()
    assert str(found).startswith(f"not covered (p = {found.p_value:.3g}, {level}): 100% of the real points outside; ")


def test_dynamics_outside_are_found_where_observations_are_not(autoregressive):
    rng = np.random.default_rng(2)
    same, real, sim = (autoregressive(rng, n, 100, 1, rho) for n, rho in ((40, 0.6), (10, -0.6), (30, 0.6)))
    real = [np.hstack(pair) for pair in zip(same[:10], real, strict=True)]
    sim = [np.hstack(pair) for pair in zip(same[10:], sim, strict=True)]
    assert coverage(real, sim, level="occupancy").covered is True
    assert coverage(real, sim).outside_sensors == ("1",)


def test_one_corner_of_a_wide_randomization_is_covered(recorded, autoregressive):
    rng = np.random.default_rng(3)
    member = np.repeat(range(5), 6)
    sim = [x + 4 * e for x, e in zip(autoregressive(rng, 30, 60, 2, 0.5), member, strict=True)]
    real = recorded([x + 8 for x in autoregressive(rng, 6, 60, 2, 0.5)], np.zeros(6, int))
    found = coverage(real, recorded(sim, member), level="occupancy")
    assert found.covered is True
    assert found.outside_episodes == ()
    assert s2r.gap(real, recorded(sim, member), level="occupancy").low > 0.5


def test_single_odd_episode_is_named(autoregressive):
    rng = np.random.default_rng(4)
    real, sim = autoregressive(rng, 6, 60, 2, 0.5), autoregressive(rng, 300, 60, 2, 0.5)
    real = [*real[:3], real[3] * 4, *real[4:]]
    assert coverage(real, sim, level="occupancy").outside_episodes == (3,)


def test_a_tie_is_not_odd(autoregressive):
    sim = autoregressive(np.random.default_rng(11), 12, 60, 2, 0.5)
    assert min(coverage(sim, sim, level="occupancy").p_episodes) == pytest.approx(2 / 7)


def test_a_short_excursion_counts(autoregressive):
    rng = np.random.default_rng(5)
    real, sim = autoregressive(rng, 8, 100, 2, 0.5), autoregressive(rng, 24, 100, 2, 0.5)
    for episode in real:
        episode[40:48, 0] += 7
    assert coverage(real, sim, level="occupancy").covered is False


def test_too_few_episodes_are_undecided(autoregressive):
    rng = np.random.default_rng(6)
    found = coverage([x + 9 for x in autoregressive(rng, 1, 60, 1, 0.5)], autoregressive(rng, 8, 60, 1, 0.5))
    assert found.covered is None
    assert found.floor == pytest.approx(2 / 5)
    assert "1 real and 4 simulated episodes held out cannot give a p-value below 0.400" in found.why[0]
    assert "4 simulated episodes held out are too few to single out a real one" in found.why[1]
    assert str(found).startswith("undecided")


def test_rows_are_dealt_in_groups():
    rng = np.random.default_rng(7)
    found = coverage(rng.normal(size=(600, 2)), rng.normal(size=(800, 2)))
    assert found.covered is True
    assert len(found.p_episodes) == 150
    assert coverage(rng.normal(size=(600, 2)) * 1.5, rng.normal(size=(800, 2))).covered is False


def test_same_seed_same_coverage(autoregressive):
    rng = np.random.default_rng(8)
    real, sim = autoregressive(rng, 6, 40, 2, 0.5), autoregressive(rng, 12, 40, 2, 0.5)
    assert coverage(real, sim) == coverage(real, sim, rng=np.random.default_rng(0))
    assert coverage(real, sim) != coverage(real, sim, rng=1)


def test_units_of_the_sensors_do_not_matter(autoregressive):
    rng = np.random.default_rng(9)
    real, sim = autoregressive(rng, 6, 40, 2, 0.5), autoregressive(rng, 12, 40, 2, 0.5)
    scale, shift = np.array([1e-3, 1e4]), np.array([5.0, -7.0])
    plain = coverage(real, sim)
    mapped = coverage([x * scale + shift for x in real], [x * scale + shift for x in sim])
    assert (mapped.p_value, mapped.p_episodes, mapped.p_sensors) == (plain.p_value, plain.p_episodes, plain.p_sensors)


def test_bad_input(autoregressive):
    sim = autoregressive(np.random.default_rng(10), 4, 40, 2, 0.5)
    with pytest.raises(GapError, match=r"significance is 1: give a number between 0 and 1, such as 0\.05"):
        coverage(sim, sim, significance=1)
    with pytest.raises(GapError, match="no coverage: the simulated side has a single episode: add episodes"):
        coverage(sim, sim[:1])
    twice = [np.column_stack([x, x[:, 0]]) for x in sim]
    with pytest.raises(GapError, match=r"half of the simulated observations: linearly dependent sensors .*: 0, 2"):
        coverage(twice, twice, level="occupancy")


def test_holm_is_what_it_says():
    p = [0.01, 0.04, 0.03, 0.9]
    assert _holm(p) == pytest.approx([0.04, 0.09, 0.09, 0.9])
    assert all(a >= b for a, b in zip(_holm(p), false_discovery_control(p), strict=True))
