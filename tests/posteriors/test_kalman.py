"""The filter of hidden states, held to the joint density of all readings."""

from __future__ import annotations

import numpy as np
from scipy import stats

from sim2real_cat.posteriors.kalman import filtered


class Linear:
    """x' = A x and o = C x in every lane."""

    def __init__(self, dynamics, sensors):
        self.dynamics, self.sensors = dynamics, sensors

    def ahead(self, states, step):
        after = states @ self.dynamics.T
        return after, after @ self.sensors.T

    def moved(self, states, step):
        return states + step

    def apart(self, after, before):
        return after - before


def test_a_filter_on_linear_dynamics_is_kalmans():
    """The product of its densities is the joint density of all readings."""
    rng = np.random.default_rng(7)
    dynamics, sensors = np.array([[0.9, 0.2], [-0.3, 0.8]]), np.array([[1.0, 0.5]])
    start, covariance, noise, steps = np.array([1.0, -1.0]), np.diag([0.4, 0.9]), 0.3, 12
    seen = np.concatenate([sensors @ np.linalg.matrix_power(dynamics, t + 1) for t in range(steps)])
    whole = stats.multivariate_normal(seen @ start, seen @ covariance @ seen.T + noise**2 * np.eye(steps))
    reading = np.stack([whole.rvs(random_state=rng) for _ in range(5)])
    found = filtered(
        Linear(dynamics, sensors), np.tile(start, (5, 1)), covariance, reading[..., None], np.full((5, 1), noise)
    )
    logs = stats.norm.logpdf(reading, found.expected[..., 0], np.sqrt(found.covariance[..., 0, 0])).sum(axis=1)
    np.testing.assert_allclose(logs, whole.logpdf(reading))


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
    found = filtered(model, np.ones((2, 2)), np.eye(2), reading, np.ones((2, 2)))
    assert np.isfinite(found.expected[0]).all()
    assert np.isnan(found.expected[1]).all(axis=1).tolist() == [False, False, True, False, False]
    assert (np.diff(np.diagonal(found.covariance[0], axis1=1, axis2=2)[:3], axis=0) < 0).all()
