"""Errors that are no independent noise: their test, and posteriors that are as sure as these allow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import lfilter

import sim2real_cat as s2r
from sim2real_cat.errors import GapError
from sim2real_cat.posteriors.discrepancy import sensor_errors

NOISE = 0.05
SENSORS = s2r.World.gymnasium("InvertedPendulum").sensors
CART, POLE = SENSORS[:2]
BIAS = f"observation_bias[{CART}]"
BIASES = s2r.Randomization({BIAS: s2r.Change.normal("shift", 0.0, 0.2)})


@pytest.fixture(scope="module")
def world():
    return s2r.World.gymnasium("InvertedPendulum", noise=dict.fromkeys(SENSORS, NOISE))


def play(world, episodes, steps, rng=1):
    noise = np.random.default_rng(7)
    policy = s2r.policies.CallablePolicy(lambda seen: noise.uniform(-1, 1, (*np.shape(seen)[:-1], 1)), "random")
    return s2r.rollout(world, policy, rng=rng, episodes=episodes, steps=steps, until_terminated=False)


@pytest.fixture(scope="module")
def clean(world):
    return play(world, 6, 100)


def lasting(rng, episodes, steps, correlation):
    """Return (episodes, steps) of an autoregressive process of variance 1 from its own distribution."""
    drive = rng.standard_normal((episodes, steps)) * np.sqrt(1 - correlation**2)
    drive[:, 0] = rng.standard_normal(episodes)
    return lfilter([1.0], [1.0, -correlation], drive, axis=1)


def shifted(real, sensor, by):
    seen = real.observations.copy()
    seen[:, :, real.sensors.index(sensor)] += by
    return replace(real, observations=seen)


def exact(residual, deviation, correlation, prior=0.2):
    """Return mean and deviation of a bias in white noise and an autoregressive process, of equal episodes (n, T)."""
    steps = np.arange(residual.shape[1])
    covariance = NOISE**2 * np.eye(len(steps)) + deviation**2 * correlation ** np.abs(steps[:, None] - steps)
    weights = np.linalg.solve(covariance, np.ones(len(steps)))
    precision = 1 / prior**2 + len(residual) * weights.sum()
    return (residual @ weights).sum() / precision, precision**-0.5


def test_bias_in_an_autoregressive_discrepancy_has_the_interval_of_the_exact_posterior(world, clean):
    """The deviation is the exact Gaussian one, and the mean lies well within it; white noise is far too sure."""
    deviation, correlation = 0.05, 0.9
    ratios, away = [], []
    for seed in range(3):
        error = np.zeros(clean.observations.shape[:2])
        error[:, 1:] = deviation * lasting(np.random.default_rng(seed), 6, 100, correlation)
        real = shifted(clean, CART, error)
        found = s2r.posterior(world, real, randomization=BIASES, discrepancy=True)
        assert found.errors[CART].lasts
        assert not found.errors[POLE].clear
        mean, wide = exact(real.observations[:, 1:, 0] - real.qpos[:, 1:, 0], deviation, correlation)
        draws = found.ensemble()
        own = draws.weights @ draws.values[:, 0]
        ratios.append(np.sqrt(draws.weights @ np.square(draws.values[:, 0] - own)) / wide)
        away.append((own - mean) / wide)
        assert NOISE / np.sqrt(600) < 0.35 * wide
    assert 0.75 < np.mean(ratios) < 1.3
    assert np.abs(away).max() < 1.0
    assert f"each reading counts as a part of one: '{CART}'" in found.notes[-1]


def test_noise_that_takes_up_errors_is_no_reason_to_rely_on_the_posterior(world, clean):
    """With the noise a parameter, no squared error speaks against a cart whose error depends on its speed."""
    real = shifted(clean, CART, 0.1 * clean.qvel[:, :, 0])
    noise = {f"observation_noise[{CART}]": s2r.Change("set", 0.01, 1.0, "loguniform")}
    randomization = s2r.Randomization({**BIASES.changes, **noise})
    found = s2r.posterior(world, real, randomization=randomization)
    assert found.misfit[CART] == pytest.approx(1.0, abs=0.1)
    assert not found.reliable
    assert found.reasons[0].startswith(f"the errors of sensor '{CART}' in the best world are no independent noise")
    assert f"state and action explain {found.errors[CART].share:.0%} of their square" in found.reasons[0]
    wider = s2r.posterior(world, real, randomization=randomization, discrepancy=True)
    assert wider.reliable
    low, high = (np.ptp(one.interval(BIAS)[1:]) for one in (found, wider))
    assert high > 2 * low


def test_a_robot_without_faults_is_left_as_it_is(world, clean):
    plain, wider = (s2r.posterior(world, clean, randomization=BIASES, discrepancy=one) for one in (False, True))
    assert plain.reliable
    assert wider.reliable
    assert not any(one.clear for one in plain.errors.values())
    np.testing.assert_array_equal(plain.values, wider.values)
    assert plain.log_evidence == wider.log_evidence


def test_false_alarms_of_noise_are_rare():
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(100):
        errors = rng.standard_normal((120, 4)) * (0.2 + np.abs(rng.standard_normal((120, 1))))
        known, episode = rng.standard_normal((120, 5)), np.repeat(np.arange(4), 30)
        alarms += any(one.design > 1 for one in sensor_errors(errors, known, episode, rng))
    assert alarms <= 5


def test_sensors_with_one_error_in_common_count_as_one():
    rng = np.random.default_rng(0)
    known = rng.standard_normal((400, 3))
    error = known[:, :1] + 0.1 * rng.standard_normal((400, 1))
    episode = np.arange(400)
    alone = sensor_errors(error, known, episode, rng)[0]
    assert alone.depends
    assert not alone.lasts
    assert alone.share > 0.9
    assert alone.design == pytest.approx(1 + alone.share * (400 / 4 - 1))
    twice = sensor_errors(np.hstack([error, -2 * error]), known, episode, rng)
    assert [one.design for one in twice] == pytest.approx([2 * alone.design] * 2)


def test_errors_far_below_the_noise_take_nothing_away():
    rng = np.random.default_rng(0)
    known = rng.standard_normal((400, 3))
    small, large = sensor_errors(known[:, :2] * [0.01, 3.0], known, np.arange(400), rng)
    assert small.depends
    assert not small.clear
    assert small.power == 1.0
    assert large.clear
    assert large.power == pytest.approx(1 / (large.design * large.misfit))


def test_few_transitions_are_not_tested():
    errors = np.arange(20.0)[:, None] / 10
    (found,) = sensor_errors(errors, errors, np.zeros(20, dtype=int), np.random.default_rng(0))
    assert not found.clear
    assert found.wider == bool(np.square(errors).mean() > 1 + 3 * np.sqrt(0.1))


@pytest.mark.parametrize("given", [{"states": "hidden", "state_deviation": 0.01}, {"state_deviation": 0.01}])
def test_discrepancy_needs_exact_states(world, clean, given):
    with pytest.raises(GapError, match="a discrepancy is found for exact recorded states"):
        s2r.posterior(world, clean, randomization=BIASES, discrepancy=True, **given)
