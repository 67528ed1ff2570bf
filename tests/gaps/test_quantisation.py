"""Quantised sensors: found, dithered on both sides, and said."""

import numpy as np
import pytest

from sim2real_cat.gaps.kl_gap import gap
from sim2real_cat.gaps.quantisation import dithered, quantum
from sim2real_cat.gaps.samples import arrange, as_samples

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("values", "step"),
    [
        (np.round(RNG.normal(size=500), 1), 0.1),
        (0.25 * np.round(RNG.normal(size=500) / 0.25) + 7, 0.25),
        (RNG.integers(0, 2, 500).astype(float), 1.0),
        (RNG.normal(size=500), 0.0),
        (np.repeat(RNG.normal(size=100), 5), 0.0),
        (np.round(RNG.normal(size=500), 6), 0.0),
        (np.ones(10), 0.0),
    ],
)
def test_quantum(values, step):
    assert quantum(values) == pytest.approx(step)


def test_the_same_observation_gets_the_same_dither():
    episodes = [np.round(RNG.normal(size=(20, 2)), 1) for _ in range(3)]
    cloud = arrange(as_samples(episodes, "real"), "transition")
    moved = dithered(cloud, np.array([0.1, 0.0]), np.random.default_rng(1)).points
    follows = cloud.episode[1:] == cloud.episode[:-1]
    np.testing.assert_array_equal(moved[1:, :2][follows], moved[:-1, 2:][follows])
    assert np.abs(moved - cloud.points).max() <= 0.05
    np.testing.assert_array_equal(moved[:, [1, 3]], cloud.points[:, [1, 3]])


def test_a_quantised_sensor_is_measured_after_dither():
    rng = np.random.default_rng(2)
    real, sim = np.round(rng.normal(size=2000), 1), np.round(2 * rng.normal(size=2000), 1)
    found = gap(real, sim, method="knn")
    assert found.value == pytest.approx(np.log(2) - 0.375, rel=0.15)
    assert found.reliable
    assert any("uniform noise of their quantum's width on both sides: 0 (0.1); two draws" in note for note in found.why)
    raw = gap(real, sim, method="knn", dither=False)
    assert not raw.reliable
    assert "coincide" in raw.why[0]


def test_copied_rows_are_no_quanta_and_not_believed():
    rng = np.random.default_rng(3)
    real = np.repeat(rng.normal(size=(100, 2)), 8, axis=0)
    found = gap(real, rng.normal(size=(800, 2)), method="knn")
    assert not found.reliable
    assert "coincide" in " ".join(found.why)
