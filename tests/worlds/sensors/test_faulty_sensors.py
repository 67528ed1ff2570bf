"""Sensors with a gain, that are stuck, or whose cables are exchanged."""

from __future__ import annotations

import numpy as np
import pytest
from rig import SENSORS, Scripted, equal, members, rig_world

from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.parameters.apply import check_parameters
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.sensors.noise import Drift, Quantisation
from sim2real_cat.worlds.sensors.sensing import sensed
from sim2real_cat.worlds.simulation.replay import replay
from sim2real_cat.worlds.simulation.rollout import rollout
from sim2real_cat.worlds.simulation.simulator import Stepper

STEPS = 15
NOISE = {"qpos[drop]": 0.1, "qpos[rail]": [Drift(0.5, 1.0), 0.2], "qpos[coil]": [0.1, Quantisation(0.01)], "*": 0.3}
NOMINAL = {
    "observation_gain": {"set": 1.0},
    "observation_stuck": {"set": 0},
    "observation_swap[qpos[drop], qpos[rail]]": {"set": 0},
}


@pytest.fixture
def world(tmp_path):
    return rig_world(tmp_path, steps=STEPS, noise=NOISE, start_noise=0.3)


def played(world, table=None, episodes=3):
    plan = np.random.default_rng(0).normal(size=(episodes, STEPS, 2))
    fibre = None if table is None else Ensemble.single(table)
    return rollout(world, Scripted(plan), rng=5, fibre=fibre, episodes=episodes)


def column(name):
    return SENSORS.index(name)


def test_nominal_values_change_no_byte(world):
    assert equal(played(world, NOMINAL), played(world))


def test_a_gain_multiplies_the_truth_before_the_bias(world):
    """Reading = gain · truth + bias + noise, and the noise is the same."""
    plain, rail = played(world), column("qpos[rail]")
    table = {"observation_gain[qpos[rail]]": {"scale": 2.0}, "observation_bias[qpos[rail]]": {"set": 0.5}}
    found = played(world, table)
    truth = plain.qpos[:, :, 1]
    np.testing.assert_allclose(found.observations[:, :, rail], plain.observations[:, :, rail] + truth + 0.5, atol=1e-12)
    others = [i for i in range(4) if i != rail]
    np.testing.assert_array_equal(found.observations[:, :, others], plain.observations[:, :, others])


def test_a_stuck_sensor_repeats_its_first_reading(world):
    plain, found = played(world), played(world, {"observation_stuck[qpos[coil]]": {"set": 1}})
    coil = column("qpos[coil]")
    first = np.repeat(plain.observations[:, :1, coil], STEPS + 1, axis=1)
    np.testing.assert_array_equal(found.observations[:, :, coil], first)
    assert len(np.unique(first[:, 0])) == 3, "every episode has its own"


def test_exchanged_channels_carry_their_faults_along(world):
    """Gain, bias, noise and being stuck belong to the sensor, whatever the channel its readings arrive in."""
    table = {
        "observation_gain[qpos[drop]]": {"set": -1.0},
        "observation_stuck[qpos[rail]]": {"set": 1},
        "observation_noise[qpos[drop]]": {"set": 0.7},
    }
    apart = played(world, table).observations
    crossed = played(world, table | {"observation_swap[qpos[drop], qpos[rail]]": {"set": 1}}).observations
    np.testing.assert_array_equal(crossed, apart[:, :, [1, 0, 2, 3]])


def test_two_swaps_are_one_after_the_other(world):
    table = {
        "observation_swap[qpos[drop], qpos[rail]]": {"set": 1},
        "observation_swap[qpos[rail], qpos[coil]]": {"set": 1},
    }
    found, plain = played(world, table).observations, played(world).observations
    np.testing.assert_array_equal(found, plain[:, :, [1, 2, 0, 3]])


def test_members_with_and_without(world):
    """A flag that is drawn: the member without it reads as the world does."""
    fibre = members("observation_stuck[qpos[turn]]", "set", [0, 1])
    plan = np.repeat(np.random.default_rng(0).normal(size=(1, STEPS, 2)), 2, axis=0)
    done = rollout(world, Scripted(plan), rng=5, fibre=fibre)
    turn = column("qpos[turn]")
    assert np.ptp(done.observations[0, :, turn]) > 0
    assert np.ptp(done.observations[1, :, turn]) == 0


def test_sensed_afterwards_as_in_the_rollout(world):
    """A replay sees the truth; through the sensors of the members its readings are faulty in the same way."""
    table = {
        "observation_gain": {"set": 3.0},
        "observation_stuck[qpos[turn]]": {"set": 1},
        "observation_swap[qpos[turn], qpos[coil]]": {"set": 1},
        "observation_delay": {"set": 0.02},
    }
    fibre = Ensemble.single(table)
    truth = replay(world, played(world), fibre=fibre)
    found = sensed(world, truth, rng=0, fibre=fibre).observations
    plain = sensed(world, truth, rng=0, fibre=Ensemble.single({"observation_delay": {"set": 0.02}})).observations
    late = np.concatenate([truth.observations[:, :1]] * 2 + [truth.observations[:, :-2]], axis=1)
    np.testing.assert_allclose(found[:, :, 0] - plain[:, :, 0], 2 * late[:, :, 0], atol=1e-12)
    assert np.ptp(found[:, :, column("qpos[coil]")], axis=1).max() == 0


def test_an_episode_that_a_stepper_starts_again_has_a_new_first_reading(world):
    fibre = members("observation_stuck", "set", [1, 1])
    stepper = Stepper(world, fibre, steps=4)
    first = stepper.reset(np.arange(2), np.random.default_rng(0).spawn(2)).copy()
    for _ in range(2):
        np.testing.assert_array_equal(stepper.advance(np.ones((2, 2))).observations, first)
    fresh = stepper.reset(np.array([1]), np.random.default_rng(1).spawn(1))[0].copy()
    after = stepper.advance(np.ones((2, 2))).observations
    np.testing.assert_array_equal(after, [first[0], fresh])
    assert not np.array_equal(fresh, first[1])


@pytest.mark.parametrize(
    ("parameter", "entry", "message"),
    [
        ("observation_gain[qpos[hip]]", {"scale": 2.0}, r"unknown sensor 'qpos\[hip\]'"),
        ("observation_stuck[qpos[turn]]", {"set": 0.5}, r"'observation_stuck\[qpos\[turn\]\]' would be 0.5; a flag is"),
        ("observation_stuck", {"scale": 2}, "is 0 without the change"),
        ("observation_swap[qpos[turn], qpos[turn]]", {"set": 1}, r"exchanges sensor 'qpos\[turn\]' with itself"),
        ("observation_swap[qpos[turn]]", {"set": 1}, "exchanges two sensors"),
        ("observation_swap[qpos[turn], qpos[hip]]", {"set": 1}, r"unknown sensor 'qpos\[hip\]'"),
        ("observation_swap[qpos[turn], qpos[coil]]", {"set": 2}, "would be 2; a flag is 0 or 1"),
        ("observation_gian", {"set": 1.0}, "unknown model field 'observation_gian': did you mean 'observation_gain'"),
    ],
)
def test_what_is_refused(world, parameter, entry, message):
    with pytest.raises(WorldError, match=message):
        check_parameters(world, Ensemble.single({parameter: entry}))


def test_a_gain_that_is_no_number_is_refused():
    with pytest.raises(WorldError, match="'observation_gain' is nan in member 0, not finite"):
        members("observation_gain", "set", [np.nan])
