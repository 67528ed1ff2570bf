"""Distances against their closed forms and against the libraries, and p-values that respect episodes."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sim2real_cat.errors import GapError
from sim2real_cat.gaps.distance import Relabelled, WeightedPoints, distances, median_distance, root_mean_square, warped

ot = pytest.importorskip("ot", reason="distances need POT: pip install 'sim2real-cat[gaps]'")
pytest.importorskip("dtaidistance", reason="warping needs dtaidistance: pip install 'sim2real-cat[gaps]'")


def by_name(found):
    return {distance.name: distance for distance in found}


def pooled_spread(*sides):
    return np.concatenate(sides).std(axis=0)


def folded(mean, spread):
    """E|N(mean, spread²)|."""
    return spread * np.sqrt(2 / np.pi) * np.exp(-(mean**2) / 2 / spread**2) + mean * (
        1 - 2 * stats.norm.cdf(-mean / spread)
    )


def test_closed_forms_of_two_normals_in_one_dimension():
    rng = np.random.default_rng(0)
    real, sim = rng.normal(size=2000), rng.normal(size=2000) + 1.5
    found, spread = by_name(distances(real, sim, permutations=9)), float(pooled_spread(real, sim))
    assert found["wasserstein of 0"].value == pytest.approx(1.5, abs=0.1)
    assert found["sliced wasserstein"].value * spread == pytest.approx(1.5, abs=0.1)
    energy = 2 * folded(1.5, np.sqrt(2)) - 2 * folded(0.0, np.sqrt(2))
    assert found["energy distance"].value * spread == pytest.approx(energy, rel=0.1)
    assert found["mmd"].p_value == 0.1


def test_closed_form_of_mmd_and_sliced_wasserstein_in_three_dimensions():
    rng = np.random.default_rng(1)
    shift = np.array([1.0, 0.0, 0.5])
    real, sim = rng.normal(size=(2000, 3)), rng.normal(size=(2000, 3)) + shift
    found = by_name(distances(real, sim, permutations=9))
    bandwidth = float(found["mmd"].units.split()[-1])
    spread = np.sqrt(1 + shift**2 / 4)
    total, apart = bandwidth**2 + 2 / spread**2, shift / spread
    kernel = np.prod(bandwidth / np.sqrt(total)) * np.exp(-0.5 * (apart**2 / total).sum())
    truth = np.sqrt(2 * (np.prod(bandwidth / np.sqrt(total)) - kernel))
    assert found["mmd"].value == pytest.approx(truth, rel=0.1)
    # A projection of the shift on a random direction has the mean length |shift| / 2 in three dimensions.
    assert found["sliced wasserstein"].value == pytest.approx(np.linalg.norm(apart) / 2, rel=0.2)


def side(rng, shape, shift=0.0):
    points = rng.normal(size=shape) + shift
    return WeightedPoints(points, rng.random(shape[0]) + 0.1, np.repeat(np.arange(shape[0] // 5), 5))


def test_statistics_are_those_of_the_libraries():
    rng = np.random.default_rng(2)
    real, sim = side(rng, (60, 3)), side(rng, (45, 3), 0.7)
    a, b = real.weight / real.weight.sum(), sim.weight / sim.weight.sum()
    relabelled = Relabelled.draw(real, sim, 20, rng)
    directions = rng.normal(size=(3, 11))
    directions /= np.linalg.norm(directions, axis=0)
    expected = ot.sliced_wasserstein_distance(real.points, sim.points, a, b, projections=directions, p=1)
    assert relabelled.wasserstein(directions)[0] == pytest.approx(expected)
    first = stats.wasserstein_distance(real.points[:, 0], sim.points[:, 0], a, b)
    assert relabelled.wasserstein(np.eye(3)[:, [0]])[0] == pytest.approx(first)
    line = [WeightedPoints(s.points[:, :1], s.weight, s.episode) for s in (real, sim)]
    energy, _ = Relabelled.draw(*line, 20, rng).energy_and_discrepancy(1.0)
    assert energy[0] == pytest.approx(stats.energy_distance(line[0].points[:, 0], line[1].points[:, 0], a, b) ** 2)


def test_energy_and_discrepancy_are_the_plain_double_sums():
    rng = np.random.default_rng(3)
    real, sim = side(rng, (20, 2)), side(rng, (15, 2), 0.7)
    a, b = real.weight / real.weight.sum(), sim.weight / sim.weight.sum()
    relabelled = Relabelled.draw(real, sim, 20, rng)

    def mean(values, kernel):
        (x, u), (y, v) = values
        apart = np.linalg.norm(x[:, None] - y[None], axis=2)
        return u @ kernel(apart) @ v

    ours, theirs = (real.points, a), (sim.points, b)
    found = relabelled.energy_and_discrepancy(0.8)
    for values, kernel, sign in ((found[0], lambda r: r, -1), (found[1], lambda r: np.exp(-(r**2) / 2 / 0.64), 1)):
        cross = mean((ours, theirs), kernel)
        expected = sign * (mean((ours, ours), kernel) + mean((theirs, theirs), kernel) - 2 * cross)
        assert values[0] == pytest.approx(expected)
        assert values.shape == (21,)


def test_relabelling_moves_whole_episodes_with_their_weights():
    rng = np.random.default_rng(4)
    real, sim = side(rng, (20, 1)), side(rng, (10, 1), 0.7)
    relabelled = Relabelled.draw(real, sim, 100, rng)
    assert relabelled.exact
    assert relabelled.count == 15
    assert len({tuple(row) for row in relabelled.real[1:].tolist()}) == 15
    found = relabelled.wasserstein(np.ones((1, 1)))
    weight = np.concatenate([s.weight * len(s.points) / s.weight.sum() for s in (real, sim)])
    points = np.concatenate([real.points, sim.points])[:, 0]
    for row, statistic in zip(relabelled.real, found, strict=True):
        ours = np.repeat(row, 5)
        expected = stats.wasserstein_distance(points[ours], points[~ours], weight[ours], weight[~ours])
        assert statistic == pytest.approx(expected)


def test_p_value_counts_the_true_labelling():
    relabelled = Relabelled.draw(
        *(side(np.random.default_rng(5), (n, 1)) for n in (60, 60)), 9, np.random.default_rng(5)
    )
    assert not relabelled.exact
    statistic = np.array([5.0, *range(9)])
    assert relabelled.p_value(statistic) == pytest.approx(5 / 10)
    assert relabelled.null(statistic) == pytest.approx(4.0)
    assert relabelled.least_p_value == pytest.approx(0.1)


def test_median_distance():
    points = np.array([[0.0], [1.0], [3.0]])
    assert median_distance(points) == 2.0
    assert median_distance(np.zeros((4, 2))) == 1.0


def test_p_values_respect_episodes(autoregressive):
    # Within an episode observations hardly move: as rows they look different, as episodes they do not.
    rejected, repetitions = 0, 20
    for seed in range(repetitions):
        rng = np.random.default_rng(seed)
        real, sim = autoregressive(rng, 6, 25, 2, 0.98), autoregressive(rng, 6, 25, 2, 0.98)
        found = by_name(distances(real, sim, permutations=99))
        rejected += found["energy distance"].p_value <= 0.05
    assert rejected <= stats.binom.ppf(0.999, repetitions, 0.05)
    by_row = by_name(distances(np.concatenate(real), np.concatenate(sim), permutations=99))
    assert by_row["energy distance"].p_value == 0.01


def test_null_is_what_samples_of_one_distribution_show():
    rng = np.random.default_rng(6)
    real = rng.normal(size=(300, 2))
    found = distances(real, rng.normal(size=(300, 2)), permutations=99)
    for distance in found:
        assert distance.p_value > 0.05
        assert distance.value == pytest.approx(distance.null, rel=1.0)


def test_few_episodes_are_said(autoregressive):
    rng = np.random.default_rng(7)
    few = distances(autoregressive(rng, 3, 20, 1, 0.5), autoregressive(rng, 3, 20, 1, 0.5, shift=9.0))
    assert "3 real and 3 simulated episodes can be relabelled in 20 ways: no p-value is below 0.05" not in few[0].why
    assert few[0].p_value == pytest.approx(2 / 20)
    fewer = distances(autoregressive(rng, 2, 20, 1, 0.5), autoregressive(rng, 3, 20, 1, 0.5, shift=9.0))
    assert "2 real and 3 simulated episodes can be relabelled in 10 ways: no p-value is below 0.1" in fewer[0].why
    single = distances(autoregressive(rng, 1, 20, 1, 0.5), autoregressive(rng, 3, 20, 1, 0.5))
    assert (single[0].p_value, single[0].null) == (None, None)
    assert "a single episode on one side cannot be permuted: no p-value" in single[0].why
    assert single[0].value > 0


def test_weights_are_those_of_the_mixture(recorded):
    rng = np.random.default_rng(8)
    real = recorded(list(rng.normal(size=(6, 20, 2))), np.zeros(6, int))
    a, b = list(rng.normal(size=(4, 20, 2))), list(rng.normal(size=(4, 20, 2)) + 1)
    both = recorded([*a, *b], np.repeat([0, 1], 4))
    thrice = recorded([*a, *b, *b, *b], np.repeat([0, 1], [4, 12]))
    weighted = by_name(distances(real, both, weights=[1, 3]))
    repeated = by_name(distances(real, thrice, weights=[1, 3]))
    assert weighted["wasserstein of s0"].value == pytest.approx(repeated["wasserstein of s0"].value)
    assert any("members differ in weight per point" in why for why in weighted["mmd"].why)
    assert not any("members differ" in why for why in repeated["mmd"].why)
    alone = by_name(distances(real, recorded(a, np.zeros(4, int))))
    assert by_name(distances(real, both, weights=[1, 0])) == alone


def test_deterministic_under_a_seed_and_printed():
    rng = np.random.default_rng(9)
    real, sim = list(rng.normal(size=(6, 10, 2))), list(rng.normal(size=(7, 10, 2)) + 1)
    found = distances(real, sim)
    assert found == distances(real, sim, rng=np.random.default_rng(0))
    assert found[0] != distances(real, sim, rng=1)[0]
    energy = found[1]
    assert str(energy) == f"energy distance {energy.value:.3g} pooled standard deviations (p = {energy.p_value:.3g})"
    assert [d.name for d in found[2:]] == ["mmd", "wasserstein of 0", "wasserstein of 1"]


def test_units_scale_the_sensor_alone():
    rng = np.random.default_rng(10)
    real, sim = rng.normal(size=(50, 2)), rng.normal(size=(50, 2)) + 1
    plain = by_name(distances(real, sim, permutations=9))
    scaled = by_name(distances(real * [10, 1], sim * [10, 1], permutations=9))
    assert scaled["wasserstein of 0"].value == pytest.approx(10 * plain["wasserstein of 0"].value)
    for name in ("wasserstein of 1", "energy distance", "mmd", "sliced wasserstein"):
        assert scaled[name].value == pytest.approx(plain[name].value)


def test_many_points_are_thinned_and_a_constant_sensor_is_no_trouble():
    rng = np.random.default_rng(11)
    real = np.hstack([rng.normal(size=(2500, 1)), np.full((2500, 1), 3.0)])
    found = by_name(distances(real, real[::2], permutations=1))
    assert found["wasserstein of 1"].value == 0
    assert any("of 2500 points on a side 2000 are compared" in why for why in found["mmd"].why)


def test_paired_by_hand(recorded):
    real = [np.array([[0.0], [2.0], [4.0]]), np.array([[1.0], [1.0]])]
    sim = recorded([real[0] + 1, real[1][:1] + 2, real[0], real[1]], np.array([0, 0, 1, 1]))
    found = by_name(distances(recorded(real, np.zeros(2, int)), sim, paired=True, weights=[3, 1]))
    spread = pooled_spread(np.concatenate(real), np.concatenate(sim.episodes)).item()
    expected = np.sqrt((3 * (3 * 1 + 1 * 4)) / (3 * 4 + 1 * 5)) / spread
    assert found["rmse"].value == pytest.approx(expected)
    assert any("90% of the steps" in why for why in found["rmse"].why)
    assert found["dtw"].p_value is None


def brute_force_warping(ours, theirs):
    cost = ((ours[:, None] - theirs[None]) ** 2).sum(axis=2)
    total = np.full((len(ours) + 1, len(theirs) + 1), np.inf)
    total[0, 0] = 0
    for i, row in enumerate(cost):
        for j, value in enumerate(row):
            total[i + 1, j + 1] = value + min(total[i, j], total[i, j + 1], total[i + 1, j])
    return total[-1, -1]


@settings(derandomize=True, deadline=None, max_examples=30)
@given(seed=st.integers(0, 999), steps=st.integers(1, 12), more=st.integers(0, 5))
def test_warping_is_the_best_alignment_and_at_most_the_root_mean_square(seed, steps, more):
    rng = np.random.default_rng(seed)
    ours, theirs, same = (rng.normal(size=(n, 2)) for n in (steps, steps + more, steps))
    expected = np.sqrt(brute_force_warping(ours, theirs) / 2 / (steps + more))
    assert warped([(ours, theirs, 0.7)], None) == pytest.approx(expected)
    pairs = [(ours, same, 1.0)]
    assert warped(pairs, None) <= warped(pairs, 1) * (1 + 1e-12)
    assert warped(pairs, 1) <= warped(pairs, 0) * (1 + 1e-12)
    assert warped(pairs, 0) == pytest.approx(root_mean_square(pairs))


def test_warping_forgives_a_delay_and_the_root_mean_square_does_not():
    wave = np.sin(np.arange(200) / 10)[:, None]
    pairs = [(wave[5:], wave[:-5], 1.0)]
    assert warped(pairs, None) < 0.2 * root_mean_square(pairs)


@pytest.mark.parametrize(
    ("real", "sim", "options", "message"),
    [
        (np.zeros((9, 2)), np.ones((9, 1)), {}, "the real side has 2 sensors and the simulated side 1"),
        (np.full((9, 1), np.nan), np.ones((9, 1)), {}, "the real side has 9 values that are NaN"),
        (np.arange(9.0), np.arange(9.0), {"paired": True}, "paired=True needs episodes on both sides"),
        ([np.ones((3, 1))] * 3, [np.zeros((3, 1))] * 2, {"paired": True}, "member 0 has 2 episodes, the real side 3"),
        (np.arange(9.0), np.arange(9.0), {"permutations": 0}, "permutations is 0: give at least 1"),
        (np.arange(9.0), np.arange(9.0), {"window": -1}, "window is -1: give a number of steps"),
        (np.arange(9.0), np.arange(9.0), {"weights": [1, 2]}, "2 weights for 1 simulated members"),
    ],
)
def test_refused(real, sim, options, message):
    with pytest.raises(GapError, match=message) as caught:
        distances(real, sim, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("library", "what"), [("ot", "needs POT"), ("dtaidistance", "needs dtaidistance")])
def test_missing_libraries_are_one_line_with_the_remedy(monkeypatch, library, what):
    monkeypatch.setitem(sys.modules, library, None)
    episodes = list(np.random.default_rng(12).normal(size=(2, 5, 1)))
    with pytest.raises(GapError, match=rf"{what}.*pip install 'sim2real-cat\[gaps\]'"):
        distances(episodes, episodes, paired=True)
