"""An actuator that answers late: by exactly the delay that was asked for, for each member its own."""

from __future__ import annotations

import numpy as np
import pytest
from rig import RIG, TIMESTEP, Scripted, members, rig_world

from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.simulation.rollout import rollout
from sim2real_cat.worlds.simulation.simulator import Simulator


def plain_delay(nsample, delay):
    """An MJCF attribute text for a delayed actuator, as MuJoCo itself has it."""
    return f'nsample="{nsample}" delay="{delay}"'


STEPS = 60
PULSE = 5


def velocity(tmp_path, ensemble=None, attributes=""):
    """Velocity of the cart after a pulse on its motor, (members, steps + 1)."""
    text = RIG.replace('<motor name="push"', f'<motor name="push" {attributes}')
    world = rig_world(tmp_path, text=text)
    actions = np.zeros((9, STEPS, 2))
    actions[:, PULSE, 0] = 1.0
    done = rollout(world, Scripted(actions), rng=0, fibre=ensemble, steps=STEPS, threads=1)
    return done.qvel[:, :, 1]


@pytest.mark.parametrize("k", [0, 1, 2, 3, 7, 20, 50])
@pytest.mark.parametrize("mode", ["set", "shift"])
def test_k_timesteps_shift_the_response_by_k_steps(tmp_path, k, mode):
    """Also far beyond any default buffer, which MuJoCo would cut the delay to without a word."""
    plain = velocity(tmp_path)[0]
    delayed = velocity(tmp_path, members("actuator_delay[push]", mode, [k * TIMESTEP]))[0]
    assert np.flatnonzero(plain)[0] == PULSE + 1
    np.testing.assert_array_equal(delayed, np.concatenate([np.zeros(k), plain])[: STEPS + 1])


def test_members_of_one_batch_have_their_own_delay(tmp_path):
    lags = [0, 11, 3, 30]
    delayed = velocity(tmp_path, members("actuator_delay", "set", np.array(lags) * TIMESTEP))
    first = [np.flatnonzero(row)[0] - PULSE - 1 for row in delayed]
    assert first == lags


def test_only_the_named_actuator_is_delayed(tmp_path):
    plain = velocity(tmp_path)
    other = velocity(tmp_path, members("actuator_delay[twist]", "set", [0.1]))
    np.testing.assert_array_equal(plain, other)


@pytest.mark.parametrize(
    ("mode", "number", "steps"),
    [("scale", 2.0, 6), ("scale", 0.0, 0), ("shift", 0.2, 23), ("shift", -0.01, 2), ("set", 0.4, 40)],
)
def test_the_delay_of_the_model_itself_is_changed(tmp_path, mode, number, steps):
    delayed = velocity(tmp_path, members("actuator_delay[push]", mode, [number]), plain_delay(3, 0.03))
    assert np.flatnonzero(delayed[0])[0] - PULSE - 1 == steps


def test_the_longest_delay_may_be_another_actuators(tmp_path):
    """The model delays one actuator by itself; the other gets a shorter delay and needs its own buffer."""
    text = RIG.replace('<motor name="twist"', f'<motor name="twist" {plain_delay(30, 0.3)}')
    actions = np.zeros((1, STEPS, 2))
    actions[:, PULSE] = 1.0
    changed = members("actuator_delay[push]", "set", [0.1])
    done = rollout(rig_world(tmp_path, text=text), Scripted(actions), rng=0, fibre=changed, steps=STEPS)
    first = [np.flatnonzero(done.qvel[0, :, joint])[0] - PULSE - 1 for joint in (1, 3)]
    assert first == [10, 30]


@pytest.mark.parametrize("delay", [0.004, 0.015, 0.0251])
def test_a_fraction_of_a_timestep_is_as_in_a_roomy_buffer(tmp_path, delay):
    ours = velocity(tmp_path, members("actuator_delay[push]", "set", [delay]))
    theirs = velocity(tmp_path, attributes=plain_delay(40, delay))
    np.testing.assert_array_equal(ours, theirs)


def test_a_second_episode_does_not_remember_the_first(tmp_path):
    world = rig_world(tmp_path)
    simulator = Simulator(world, Ensemble.single({"actuator_delay": {"set": 0.1}}), threads=1)
    actions = np.zeros((1, 15, 2))
    actions[:, 8:] = 1.0  # still in the buffer when the episode ends
    first, second = (
        simulator.run(Scripted(plan), 15, [np.random.default_rng(0)]) for plan in (actions, np.zeros_like(actions))
    )
    assert not second.qvel[0, :, 1].any()
    assert first.diverged.tolist() == [False]
