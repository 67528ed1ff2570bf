"""Shapes that Gaussians cannot show are noticed, and Gaussians are left alone."""

import numpy as np
import pytest

from sim2real_cat.gaps.gaussian import (
    Direction,
    against_distances,
    along_directions,
    half_of_blocks,
    least_gaussian_directions,
)
from sim2real_cat.gaps.kl_gap import gap
from sim2real_cat.gaps.resampling import Blocks
from sim2real_cat.gaps.samples import arrange, as_samples


def two_modes(rng, n, d, angle):
    """Unit mean and covariance as N(0, I) has them, two modes along one direction; KL from N(0, I) is 0.7236 nats."""
    x = rng.normal(size=(n, d))
    x[:, 0] = rng.choice([-1, 1], n) * np.sqrt(1 - 0.2429**2) + 0.2429 * rng.normal(size=n)
    turn = np.linalg.qr(np.random.default_rng(9).normal(size=(d, d)))[0] if angle == "across" else np.eye(d)
    return x @ turn


@pytest.mark.parametrize(("d", "angle"), [(1, "along"), (5, "across"), (20, "across")])
def test_two_modes_refute_their_moment_matched_gaussian(d, angle):
    rng = np.random.default_rng(d)
    real, sim = two_modes(rng, 1000, d, angle), rng.normal(size=(1000, d))
    found = gap(real, sim, method="gaussian")
    assert found.value < 0.1
    assert (found.low, found.high, found.reliable) == (0.0, np.inf, False)
    assert "not Gaussian" in found.why[0]
    chosen = gap(real, sim)
    assert chosen.method == "knn"
    assert (
        chosen.value == pytest.approx(0.7236, rel=0.1) if d == 1 else (chosen.high, chosen.reliable) == (np.inf, False)
    )


def test_gaussians_are_hardly_ever_refuted(autoregressive):
    alarms = 0
    for seed in range(16):
        rng = np.random.default_rng(seed)
        d = 1 + seed % 4
        alarms += gap(rng.normal(size=(200, d)), 0.3 + 1.5 * rng.normal(size=(200, d))).method != "gaussian"
        real, sim = autoregressive(rng, 6, 80, d, 0.9), autoregressive(rng, 6, 80, d, 0.9, scale=1.3)
        alarms += gap(real, sim, level="occupancy" if seed % 2 else "transition").method != "gaussian"
    assert alarms <= 2


def test_directions_found_on_one_half_are_judged_on_the_other():
    # In 15 dimensions 300 points have directions with outliers and with modes, by chance.
    for seed in range(3):
        rng = np.random.default_rng(seed)
        clouds = [arrange(as_samples(rng.normal(size=(300, 15)), "real"), "occupancy") for _ in range(2)]
        looks = along_directions(*clouds, {0: 1.0}, rng)
        assert len(looks) == 19
        assert not any(one.is_shape for one in looks)


def test_halves_share_no_block():
    cloud = arrange(as_samples(list(np.random.default_rng(3).normal(size=(9, 5, 2))), "simulated"), "occupancy")
    blocks = Blocks(cloud.episode, np.array([0, 0, 0, 0, 1, 1, 1, 1, 1]))
    (one, of_one), (other, of_other) = (half_of_blocks(cloud, blocks, parity) for parity in (0, 1))
    assert set(one.episode) == {0, 2, 4, 6, 8}
    assert set(other.episode) == {1, 3, 5, 7}
    assert of_one.stratum.tolist() == [0, 0, 1, 1, 1]
    np.testing.assert_array_equal(of_other.label, np.repeat(range(4), 5))


@pytest.mark.parametrize(
    ("excess", "shape", "missed"),
    [
        (0.7, 0.1, True),
        (0.7, 0.65, False),
        (0.2, 0.9, False),
        (-0.8, -0.1, True),
        (-0.8, -1.5, False),
        (0.0, -2.0, False),
    ],
)
def test_shape_that_distances_missed(excess, shape, missed):
    seen = Direction("a", False, 1.0 + excess, 1.0, 0.0, excess - 0.01, excess + 0.01)
    assert bool(against_distances((seen,), shape, 0.5)) is missed


def test_noise_of_another_shape_is_noticed_in_transitions():
    def episodes(rng, draw):
        out = np.zeros((10, 150, 2))
        for t in range(1, 150):
            out[:, t] = 0.9 * out[:, t - 1] + draw((10, 2))
        return list(out[:, 20:])

    rng = np.random.default_rng(0)
    sim = episodes(rng, lambda size: rng.normal(size=size))
    real = episodes(rng, lambda size: rng.choice([-1, 1], size) * 0.97 + 0.243 * rng.normal(size=size))
    found = gap(real, sim, method="gaussian")
    assert not found.reliable
    assert "nearest neighbours see" in found.why[0]
    assert gap(sim, episodes(rng, lambda size: rng.normal(size=size)), method="gaussian").reliable


def test_an_estimate_below_what_one_sensor_shows_is_refuted():
    # In 15 dimensions distances see hardly anything of two modes along one of them.
    rng = np.random.default_rng(1)
    found = gap(two_modes(rng, 600, 15, "along"), rng.normal(size=(600, 15)), method="knn", variant="plain")
    assert not found.reliable
    assert any("more than the estimate" in reason for reason in found.why)


def test_pursuit_finds_the_modes():
    rng = np.random.default_rng(2)
    x = two_modes(rng, 500, 12, "along") @ np.diag(np.arange(1.0, 13))
    directions = least_gaussian_directions(x)
    assert np.abs(directions[0] * np.arange(1.0, 13))[0] > 0.95
    assert (x @ directions.T).std(axis=0) == pytest.approx(1)
