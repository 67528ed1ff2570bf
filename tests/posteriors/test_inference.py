"""The posterior over worlds, held against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import sim2real_cat as s2r

NOISE = 0.05


@pytest.fixture(scope="module")
def pendulum():
    sensors = s2r.World.gymnasium("InvertedPendulum").sensors
    return s2r.World.gymnasium("InvertedPendulum", noise=dict.fromkeys(sensors, NOISE))


def play(world, reality, episodes=4, steps=25, rng=1):
    """Play a random policy in one world."""
    noise = np.random.default_rng(7)
    nu = world.compile().nu
    policy = s2r.policies.CallablePolicy(lambda seen: noise.uniform(-1, 1, (*np.shape(seen)[:-1], nu)), "random")
    return s2r.rollout(world, policy, rng=rng, fibre=reality, episodes=episodes, steps=steps, until_terminated=False)


def test_normal_prior_of_biases_has_the_closed_form_of_a_linear_gaussian_world(pendulum):
    """Two biases with a normal prior, correlated: posterior, evidence and complexity are those of the formulas."""
    cart, pole = pendulum.sensors[:2]
    names = [f"observation_bias[{cart}]", f"observation_bias[{pole}]"]
    deviations, mean = np.array([0.02, 0.04]), np.array([0.01, -0.02])
    changes = {
        name: s2r.Change.normal("shift", m, deviation)
        for name, m, deviation in zip(names, mean, deviations, strict=True)
    }
    correlation = s2r.worlds.Correlation(tuple(names), 0.6)
    randomization = s2r.Randomization(changes, (correlation,))
    real = play(pendulum, s2r.Ensemble.single({names[0]: {"shift": 0.03}, names[1]: {"shift": 0.05}}))
    found = s2r.posterior(pendulum, real, randomization=randomization, draws=1000)

    still = s2r.posteriors.Predictor(pendulum, s2r.Ensemble.nominal(), 0.0, 0).expect(real).reading[0]
    episode, step = real.transitions()
    residual = real.observations[episode, step + 1] - still
    prior = np.outer(deviations, deviations) * np.array([[1, 0.6], [0.6, 1]])
    n = len(residual)
    covariance = np.linalg.inv(np.linalg.inv(prior) + n / NOISE**2 * np.eye(2))
    centre = covariance @ (np.linalg.solve(prior, mean) + residual[:, :2].sum(axis=0) / NOISE**2)
    design = np.tile(np.eye(2), (n, 1))
    evidence = stats.multivariate_normal(design @ mean, design @ prior @ design.T + NOISE**2 * np.eye(2 * n)).logpdf(
        residual[:, :2].ravel()
    )
    evidence += stats.norm(0, NOISE).logpdf(residual[:, 2:]).sum()

    draws = found.ensemble()
    assert draws.weights @ draws.values == pytest.approx(centre, abs=0.1 * np.sqrt(covariance.max()))
    assert found.best.values[0] == pytest.approx(centre, rel=1e-3)
    assert found.laplace_evidence == pytest.approx(evidence, abs=1e-4)
    assert found.log_evidence == pytest.approx(evidence, abs=0.1)
    assert found.accuracy - found.complexity == pytest.approx(found.laplace_evidence, abs=1e-8)
    assert found.reliable
    assert found.efficiency > 0.6
