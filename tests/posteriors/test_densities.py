"""Densities of readings, held to closed forms computed by other roads."""

from __future__ import annotations

import numpy as np
import pytest
from density_cases import episodes
from scipy import stats

from sim2real_cat.errors import GapError
from sim2real_cat.posteriors.densities import Densities, assemble, gaussian_densities, joint_densities, side_by_side


def test_gaussian_densities_are_scipys():
    rng = np.random.default_rng(0)
    episode, reading, expected, _, real_expected, _ = episodes(rng)
    deviation, real_deviation = rng.uniform(0.5, 2, (3, 2)), rng.uniform(0.5, 2, 2)
    found = gaussian_densities(episode, reading, expected, deviation, real_expected, real_deviation)
    own = stats.norm.logpdf(reading, expected, deviation[:, None])
    np.testing.assert_allclose(found.log_sim, own.sum(axis=2))
    np.testing.assert_allclose(found.log_real, stats.norm.logpdf(reading, real_expected, real_deviation).sum(axis=1))
    np.testing.assert_allclose(found.sensor_log_sim, own.reshape(3, 6, 30, 2).sum(axis=2))
    draws = real_expected + real_deviation * rng.normal(size=(200_000, 1, 2))
    ratio = stats.norm.logpdf(draws[:, 0], 0, real_deviation) - stats.norm.logpdf(
        draws[:, 0], expected[1, 4], deviation[1]
    )
    assert found.divergence[1, 4] == pytest.approx(ratio.sum(axis=1).mean(), rel=0.02)
    np.testing.assert_allclose(found.excess + found.divergence, found.log_real - found.log_sim)


def test_joint_densities_without_dependence_are_the_independent_ones():
    rng = np.random.default_rng(1)
    episode, reading, expected, _, real_expected, _ = episodes(rng)
    deviation, real_deviation = rng.uniform(0.5, 2, (3, 2)), rng.uniform(0.5, 2, 2)
    expected[1, 7] = np.nan
    alone = gaussian_densities(episode, reading, expected, deviation, real_expected, real_deviation)
    covariance = np.broadcast_to(np.square(deviation)[:, None, :, None] * np.eye(2), (3, 180, 2, 2))
    real_covariance = np.broadcast_to(np.diag(real_deviation**2), (180, 2, 2))
    joint = joint_densities(episode, reading, expected, covariance, real_expected, real_covariance)
    for name in ("log_sim", "log_real", "excess", "divergence", "sensor_log_sim", "sensor_log_real"):
        np.testing.assert_allclose(getattr(joint, name), getattr(alone, name), atol=1e-9, err_msg=name)


def test_joint_densities_see_dependence():
    rng = np.random.default_rng(2)
    covariance = np.array([[1.0, 0.8], [0.8, 2.0]])
    reading = rng.normal(size=(5, 2))
    found = joint_densities(
        np.zeros(5, int),
        reading,
        np.ones((1, 5, 2)),
        np.tile(covariance, (1, 5, 1, 1)),
        np.zeros((5, 2)),
        np.tile(np.eye(2), (5, 1, 1)),
    )
    np.testing.assert_allclose(found.log_sim[0], stats.multivariate_normal([1, 1], covariance).logpdf(reading))
    solved = np.linalg.inv(covariance)
    truth = 0.5 * (np.trace(solved) + solved.sum() - 2 + np.log(np.linalg.det(covariance)))
    np.testing.assert_allclose(found.divergence[0], truth)


def test_channels_side_by_side_are_one():
    rng = np.random.default_rng(6)
    episode, reading, expected, deviation, real_expected, real_deviation = episodes(rng, d=3)
    whole = gaussian_densities(episode, reading, expected, deviation, real_expected, real_deviation)
    parts = [
        gaussian_densities(
            episode, reading[:, s], expected[:, :, s], deviation[:, s], real_expected[:, s], real_deviation[s]
        )
        for s in ([2], [0, 1])
    ]
    joined = side_by_side(parts, np.argsort([2, 0, 1]))
    for name in ("log_sim", "log_real", "excess", "divergence", "sensor_log_sim", "sensor_log_real"):
        np.testing.assert_allclose(getattr(joined, name), getattr(whole, name), atol=1e-12, err_msg=name)


def test_malformed_densities_are_refused():
    rng = np.random.default_rng(14)
    good = gaussian_densities(*episodes(rng))
    with pytest.raises(GapError, match="no transition"):
        assemble(np.zeros(0, int), np.zeros((1, 0, 2)), np.zeros((0, 2)))
    with pytest.raises(GapError, match="need arrays"):
        Densities(
            good.episode,
            good.log_sim[:, 1:],
            good.log_real,
            good.excess,
            good.divergence,
            good.sensor_log_sim,
            good.sensor_log_real,
        )
    with pytest.raises(GapError, match="NaN"):
        assemble(good.episode, np.zeros((1, 180, 2)), np.full((180, 2), np.nan))
