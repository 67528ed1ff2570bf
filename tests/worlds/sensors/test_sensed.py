from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rig import Constant, equal, members, rig_world

from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.sensors.sensing import sensed
from sim2real_cat.worlds.simulation.rollout import rollout

PUSH = Constant(np.array([1.0, 0.5]))


def test_bias_and_delay_are_those_of_a_rollout(rig):
    """Nothing is random here, so what is sensed later is what was sensed on the way."""
    table = {"observation_bias[qpos[rail]]": {"set": 0.3}, "observation_delay[qpos[drop]]": {"set": 0.03}}
    late = Ensemble.single(table)
    truth = rollout(rig, PUSH, rng=0)
    done = sensed(rig, truth, rng=0, fibre=late)
    assert equal(done, rollout(rig, PUSH, rng=0, fibre=late))
    assert not equal(done, truth)


def test_noise_has_its_deviation_and_hangs_on_the_seed_alone(tmp_path):
    world = rig_world(tmp_path, noise={"qpos[rail]": 0.2})
    truth = rollout(rig_world(tmp_path), PUSH, rng=0, episodes=50)
    once, again, other = (sensed(world, truth, rng=seed) for seed in (1, 1, 2))
    assert equal(once, again)
    error = once.observations - truth.observations
    assert np.std(error[:, :, 1]) == pytest.approx(0.2, rel=0.1)
    assert not error[:, :, [0, 2, 3]].any()
    assert not np.array_equal(once.observations, other.observations)
    fewer = sensed(world, truth.select(np.arange(3)), rng=1)
    np.testing.assert_array_equal(fewer.observations, once.observations[:3])


def test_every_member_has_its_own_sensors(rig):
    biased = members("observation_bias[qpos[coil]]", "set", [0.0, 1.0])
    truth = rollout(rig, PUSH, rng=0, fibre=biased)
    truth = replace(truth, observations=truth.qpos)
    done = sensed(rig, truth, rng=0, fibre=biased)
    np.testing.assert_allclose(
        (done.observations - truth.observations)[:, :, 2], np.array([[0.0], [1.0]]) * np.ones(21)
    )


def test_nothing_is_read_past_the_end(rig):
    late = Ensemble.single({"observation_delay": {"set": 0.05}})
    truth = rollout(rig, PUSH, rng=0, episodes=2)
    observations = truth.observations.copy()
    observations[1, 11:] = np.nan
    done = sensed(rig, replace(truth, observations=observations, lengths=np.array([20, 10])), rng=0, fibre=late)
    assert np.isfinite(done.observations[0]).all()
    assert np.isfinite(done.observations[1, :11]).all()
    assert np.isnan(done.observations[1, 11:]).all()


def test_other_sensors_are_refused(rig):
    truth = replace(rollout(rig, PUSH, rng=0), sensors=("a", "b", "c", "d"))
    with pytest.raises(WorldError, match=r"world 'rig' has the sensors qpos\[drop\].*the trajectories have a, b, c, d"):
        sensed(rig, truth, rng=0)


def test_members_that_there_are_not(rig):
    truth = replace(rollout(rig, PUSH, rng=0), member_index=np.array([1]))
    with pytest.raises(WorldError, match="there is no member 1: the ensemble has 1, counted from 0"):
        sensed(rig, truth, rng=0)
