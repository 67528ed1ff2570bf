"""The likelihood of recordings of which the first state alone is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import sim2real_cat as s2r
from sim2real_cat.posteriors.expectation import HiddenPredictor
from sim2real_cat.posteriors.likelihood import FilteredLikelihood
from sim2real_cat.posteriors.readings import log_densities

NOISE = 0.05


@pytest.fixture(scope="module")
def recorded():
    """A pendulum, and three episodes of which the states were read with noise."""
    sensors = s2r.World.gymnasium("InvertedPendulum").sensors
    world = s2r.World.gymnasium("InvertedPendulum", noise=dict.fromkeys(sensors, NOISE))
    noise = np.random.default_rng(7)
    policy = s2r.policies.CallablePolicy(lambda seen: noise.uniform(-1, 1, (*np.shape(seen)[:-1], 1)), "random")
    real = s2r.rollout(world, policy, rng=1, episodes=3, steps=20, until_terminated=False)
    states = {name: getattr(real, name) for name in ("qpos", "qvel")}
    return world, replace(real, **{name: of + NOISE * noise.standard_normal(of.shape) for name, of in states.items()})


def worlds(*factors):
    """Return worlds with the damping and the noise of a sensor changed."""
    names, modes = ("dof_damping", "observation_noise[cart position]"), ("scale", "scale")
    return s2r.Ensemble(names, modes, np.array(factors), np.full(len(factors), 1 / len(factors)))


def exact(predictor, recording, members):
    """Return the log-likelihood of the recording in each world, from a filter of its own."""
    return log_densities(recording, predictor.of(members).expect(recording)).sum(axis=1)


@pytest.mark.parametrize("process", [0.0, 0.3])
def test_the_filtered_world_has_the_likelihood_of_its_filter(recorded, process):
    world, real = recorded
    predictor = HiddenPredictor(world, s2r.Ensemble.nominal(), NOISE, 1)
    centre = worlds((1.3, 1.2))
    found = FilteredLikelihood(predictor, real, s2r.Ensemble.nominal()).at(centre, process)
    expected = exact(predictor.with_process(process), real, centre)
    assert found.filtered().total == pytest.approx(expected)
    assert found.score(centre).total == pytest.approx(expected)
    assert found.score(centre, np.array([3, 8])).square == pytest.approx(found.filtered().square[:, [3, 8]])


def test_worlds_near_the_filtered_one_have_nearly_the_likelihood_of_their_own_filters(recorded):
    world, real = recorded
    predictor = HiddenPredictor(world, s2r.Ensemble.nominal(), NOISE, 1)
    near = worlds((1.0, 1.0), (1.1, 1.0), (1.0, 0.9), (3.0, 1.0))
    found = FilteredLikelihood(predictor, real, near.select([0])).score(near).total
    own = exact(predictor, real, near)
    assert found[:3] == pytest.approx(own[:3], abs=0.5)
    assert np.ptp(own[:3]) > 10
    assert found[3] == pytest.approx(own[3], rel=0.1)


def test_the_information_is_that_of_differences_and_of_the_noise(recorded):
    """In the noise it is 2 for each reading, less what the error of the state takes; in the damping the slope's."""
    world, real = recorded
    predictor = HiddenPredictor(world, s2r.Ensemble.nominal(), (1e-6, 1e-6), 1)
    steps = np.array([1e-3, 1e-3])
    around = worlds((1, 1), (1 + 1e-3, 1), (1, 1 + 1e-3))
    likelihood = FilteredLikelihood(predictor, real, around.select([0]))
    score, information = likelihood.linearised(around, steps)
    assert score.total == pytest.approx(likelihood.score(around).total)
    assert information[1, 1] == pytest.approx(2 * likelihood.steps, rel=1e-2)
    assert information[0, 1] == pytest.approx(0, abs=1e-9 * information[0, 0])
    reading = predictor.of(around).expect(real).reading
    slope = (reading[1] - reading[0]) / 1e-3 / NOISE
    assert information[0, 0] == pytest.approx(np.square(slope).sum(), rel=1e-3)
    both = worlds((1, 1), (1 + 1e-3, 1), (1, 1 + 1e-3), (1 - 1e-3, 1), (1, 1 - 1e-3))
    assert likelihood.exact_information(both, 2 * steps) == pytest.approx(information, rel=1e-2, abs=1e-3)
    some = np.arange(5)
    weighted = likelihood.linearised(around, steps, 10.0, some)[1]
    weight = 1 / (1 + likelihood.filtered().square[0, some] / 10)
    assert weighted[0, 0] == pytest.approx((weight[:, None] * np.square(slope[some])).sum(), rel=1e-3)


def test_swapped_and_scaled_channels_are_followed(recorded):
    """A bias, a gain and a swap of channels are undone before the state is corrected."""
    world, real = recorded
    changed = s2r.Ensemble.single(
        {"observation_gain[cart position]": {"set": 2.0}, "observation_bias[pole angle]": {"shift": 0.3}}
    )
    predictor = HiddenPredictor(world, s2r.Ensemble.nominal(), NOISE, 1).with_process(0.1)
    found = FilteredLikelihood(predictor, real, changed)
    assert found.score(changed).total == pytest.approx(exact(predictor, real, changed))
