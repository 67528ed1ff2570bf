"""The filter of hidden states, held to Kalman's formulas and to the joint density of all readings."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sim2real_cat.posteriors.kalman import filtered, followed


class Linear:
    """x' = A x and o = C x' in every lane."""

    def __init__(self, dynamics, sensors):
        self.dynamics, self.sensors = dynamics, sensors

    def ahead(self, states, step):
        after = states @ self.dynamics.T
        return after, after @ self.sensors.T

    def moved(self, states, step):
        return states + step

    def apart(self, after, before):
        return after - before


def kalman(dynamics, sensors, start, covariance, reading, noise, process):
    """Follow one lane by Kalman's formulas; the state is moved by the process noise before every step."""
    mean, spread = start, covariance
    for seen in reading:
        mean, spread = dynamics @ mean, dynamics @ (spread + np.diag(process**2)) @ dynamics.T
        total = sensors @ spread @ sensors.T + np.diag(noise**2)
        yield sensors @ mean, total
        if np.isfinite(seen).all():
            gain = spread @ sensors.T @ np.linalg.inv(total)
            mean, spread = mean + gain @ (seen - sensors @ mean), spread - gain @ total @ gain.T


@pytest.mark.parametrize("process", [0.0, 0.3])
def test_a_filter_on_linear_dynamics_is_kalmans(process):
    """Expectations and covariances are Kalman's to 1e-8, where a frame is missing too."""
    rng = np.random.default_rng(3)
    for _ in range(5):
        k, d, steps = 4, 2, 15
        dynamics, sensors = rng.standard_normal((k, k)) / np.sqrt(k), rng.standard_normal((d, k))
        root = rng.standard_normal((k, k))
        start, covariance = rng.standard_normal((2, k)), np.stack([root @ root.T, np.diag(rng.uniform(0, 1, k))])
        reading, noise = rng.standard_normal((2, steps, d)), rng.uniform(0.1, 1, (2, d))
        reading[1, 6] = np.nan
        moves = process * rng.uniform(0, 1, k)
        found = filtered(Linear(dynamics, sensors), start, covariance, reading, noise, moves)
        for lane in range(2):
            exact = kalman(dynamics, sensors, start[lane], covariance[lane], reading[lane], noise[lane], moves)
            for t, (expected, total) in enumerate(exact):
                np.testing.assert_allclose(found.expected[lane, t], expected, atol=1e-8)
                np.testing.assert_allclose(found.covariance[lane, t], total, atol=1e-8)


def test_the_product_of_its_densities_is_the_joint_density_of_all_readings():
    rng = np.random.default_rng(7)
    dynamics, sensors = np.array([[0.9, 0.2], [-0.3, 0.8]]), np.array([[1.0, 0.5]])
    start, covariance, noise, steps = np.array([1.0, -1.0]), np.diag([0.4, 0.9]), 0.3, 12
    seen = np.concatenate([sensors @ np.linalg.matrix_power(dynamics, t + 1) for t in range(steps)])
    whole = stats.multivariate_normal(seen @ start, seen @ covariance @ seen.T + noise**2 * np.eye(steps))
    reading = np.stack([whole.rvs(random_state=rng) for _ in range(5)])
    found = filtered(
        Linear(dynamics, sensors),
        np.tile(start, (5, 1)),
        np.tile(covariance, (5, 1, 1)),
        reading[..., None],
        np.full((5, 1), noise),
        np.zeros(2),
    )
    logs = stats.norm.logpdf(reading, found.expected[..., 0], np.sqrt(found.covariance[..., 0, 0])).sum(axis=1)
    np.testing.assert_allclose(logs, whole.logpdf(reading))


@pytest.mark.parametrize("process", [0.0, 0.2])
def test_innovations_of_simulated_readings_are_white(process):
    """Their squares have the chi-squared distribution that the covariances say, step by step."""
    rng = np.random.default_rng(11)
    dynamics, sensors = np.array([[1.0, 0.1], [-0.4, 0.95]]), np.array([[1.0, 0.0], [0.3, 1.0]])
    lanes, steps, noise, deviation = 500, 20, 0.2, np.array([0.3, 0.5])
    start = rng.standard_normal((lanes, 2))
    state = start + deviation * rng.standard_normal((lanes, 2))
    reading = np.empty((lanes, steps, 2))
    for t in range(steps):
        state = (state + process * rng.standard_normal((lanes, 2))) @ dynamics.T
        reading[:, t] = state @ sensors.T + noise * rng.standard_normal((lanes, 2))
    belief = np.tile(np.diag(deviation**2), (lanes, 1, 1))
    model, width = Linear(dynamics, sensors), np.full((lanes, 2), noise)
    found = filtered(model, start, belief, reading, width, np.full(2, process))
    off = reading - found.expected
    square = np.einsum("lti,ltij,ltj->lt", off, np.linalg.inv(found.covariance), off)
    assert stats.kstest(square.ravel(), stats.chi2(2).cdf).pvalue > 0.01
    assert stats.kstest(square.sum(axis=1), stats.chi2(2 * steps).cdf).pvalue > 0.01
    wrong = filtered(model, start, belief, reading, width, np.full(2, process + 0.1))
    off = reading - wrong.expected
    square = np.einsum("lti,ltij,ltj->lt", off, np.linalg.inv(wrong.covariance), off)
    assert stats.kstest(square.ravel(), stats.chi2(2).cdf).pvalue < 1e-6


class Bent(Linear):
    """Dynamics with a bend, on which the points' mean is not where the mean goes."""

    def ahead(self, states, step):
        after = np.sin(states) @ self.dynamics.T
        return after, after @ self.sensors.T + after[..., :1] ** 2


def test_a_world_that_follows_itself_expects_what_its_filter_does():
    rng = np.random.default_rng(5)
    model = Bent(np.array([[0.9, 0.5], [-0.3, 0.8]]), np.eye(2))
    start, reading = rng.standard_normal((3, 2)), rng.standard_normal((3, 10, 2))
    reading[2, 4] = np.nan
    spread = np.tile(0.3 * np.eye(2), (3, 1, 1))
    found = filtered(model, start, spread, reading, np.full((3, 2), 0.5), np.full(2, 0.1))
    again = followed(model, start[[2, 0]], reading[[2, 0]], found, np.array([2, 0]))
    np.testing.assert_allclose(again, found.expected[[2, 0]], atol=1e-12)
    assert np.abs(found.drift).max() > 0.01
    assert np.abs(found.lift).max() > 0.01


def test_on_linear_dynamics_another_start_is_followed_as_if_it_were_filtered():
    """The gains of linear dynamics do not depend on the start."""
    rng = np.random.default_rng(6)
    model = Linear(np.array([[0.9, 0.2], [-0.3, 0.8]]), np.eye(2))
    start, reading = rng.standard_normal((2, 2)), rng.standard_normal((1, 10, 2)).repeat(2, axis=0)
    arguments = np.tile(np.eye(2), (2, 1, 1)), reading, np.ones((2, 2)), np.full(2, 0.1)
    found = filtered(model, start, *arguments)
    np.testing.assert_allclose(followed(model, start, reading, found, np.zeros(2, int)), found.expected, atol=1e-10)


def test_a_filter_goes_on_where_nothing_is_read_and_stops_where_it_diverges():
    model = Linear(np.eye(2), np.eye(2))
    reading = np.zeros((2, 5, 2))
    reading[0, 3:] = np.nan
    ahead = model.ahead

    def diverging(states, step):
        after, read = ahead(states, step)
        if step == 2:
            read[1] = np.nan
        return after, read

    model.ahead = diverging
    arguments = reading, np.ones((2, 2)), np.zeros(2)
    found = filtered(model, np.ones((2, 2)), np.tile(np.eye(2), (2, 1, 1)), *arguments)
    assert np.isfinite(found.expected[0]).all()
    assert np.isnan(found.expected[1]).all(axis=1).tolist() == [False, False, True, False, False]
    assert (np.diff(np.diagonal(found.covariance[0], axis1=1, axis2=2)[:3], axis=0) < 0).all()
    after = followed(model, np.ones((2, 2)), reading, found, np.arange(2))
    assert np.isfinite(after[0]).all()
    assert np.isnan(after[1]).all(axis=1).tolist() == [False, False, True, True, True]
