"""Drives: gain, dead zone, play, limit, rate and wiring of commands, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig import JOINTS, MASS, TIMESTEP, Scripted, equal, members, rig_world

from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.parameters.apply import check_parameters
from sim2real_cat.worlds.parameters.channels import command_parameters
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.sensors.drives import Drives, driven
from sim2real_cat.worlds.simulation.prediction import predict_steps
from sim2real_cat.worlds.simulation.replay import replay
from sim2real_cat.worlds.simulation.rollout import rollout

STEPS, PERIOD = 30, 2 * TIMESTEP
NOMINAL = {
    "action_gain": {"set": 1.0},
    "action_limit": {"set": 1e9},
    "action_dead_zone": {"set": 0.0},
    "action_backlash": {"set": 0.0},
    "action_rate": {"set": 1e12},
    "action_swap[push, twist]": {"set": 0},
}


def sent(seed=0, steps=STEPS):
    """Commands for two actuators, (1, steps, 2)."""
    return np.random.default_rng(seed).normal(scale=2.0, size=(1, steps, 2)).cumsum(axis=1)


def through(table, commands=None):
    """What the drives of a rig make of the commands of one episode, (steps, 2)."""
    one = np.zeros(1, dtype=np.int64)
    parameters = command_parameters(("push", "twist"), Ensemble.single(table), one)
    return driven(parameters, np.array([PERIOD]), sent() if commands is None else commands)[0]


def felt(done):
    """The force on the cart in every control step, from its change of speed."""
    return np.diff(done.qvel[0, :, JOINTS.index("rail")]) * MASS / done.control_period


def play(commands, width):
    """The play operator, one number at a time."""
    engaged, found = 0.0, []
    for command in commands:
        engaged = max(command - width / 2, min(command + width / 2, engaged))
        found.append(engaged)
    return np.array(found)


def held_to(commands, most):
    """Commands that change by no more than `most` a step, one at a time."""
    before, found = 0.0, []
    for command in commands:
        before += float(np.clip(command - before, -most, most))
        found.append(before)
    return np.array(found)


def test_closed_forms():
    plain = sent()[0]
    np.testing.assert_array_equal(through({"action_gain": {"set": -2.0}}), -2 * plain)
    np.testing.assert_array_equal(through({"action_limit": {"set": 1.5}}), np.clip(plain, -1.5, 1.5))
    reduced = np.where(plain > 1, plain - 1, np.where(plain < -1, plain + 1, 0))
    np.testing.assert_allclose(through({"action_dead_zone": {"set": 1.0}}), reduced, rtol=1e-15)
    np.testing.assert_array_equal(through({"action_swap[push, twist]": {"set": 1}}), plain[:, ::-1])
    for column in range(2):
        found = through({"action_backlash": {"set": 3.0}})[:, column]
        np.testing.assert_array_equal(found, play(plain[:, column], 3.0))
        slow = through({"action_rate": {"set": 20.0}})[:, column]
        np.testing.assert_allclose(slow, held_to(plain[:, column], 20.0 * PERIOD), rtol=0, atol=1e-12)


def test_one_actuator_by_name_pattern_or_index():
    plain = sent()[0]
    for name in ("twist", "tw*", "1"):
        found = through({f"action_gain[{name}]": {"scale": 3.0}})
        np.testing.assert_array_equal(found, plain * [1, 3])


def test_the_order_in_which_they_act():
    """Wiring, gain, dead zone, play, limit, rate; every pair of them gives another result in another order."""
    table = {
        "action_rate": {"set": 60.0},
        "action_limit[push]": {"set": 2.5},
        "action_backlash": {"set": 1.0},
        "action_dead_zone[push]": {"set": 0.7},
        "action_gain[push]": {"set": 1.6},
        "action_swap[push, twist]": {"set": 1},
    }
    plain = sent()[0]
    command = 1.6 * plain[:, 1]
    command = np.sign(command) * np.maximum(np.abs(command) - 0.7, 0)
    command = held_to(np.clip(play(command, 1.0), -2.5, 2.5), 60.0 * PERIOD)
    np.testing.assert_allclose(through(table)[:, 0], command, rtol=0, atol=1e-12)


@given(st.floats(0.1, 5), st.floats(1, 200), st.floats(0, 3), st.integers(0, 2**31))
def test_the_limit_and_the_rate_always_hold(limit, rate, width, seed):
    table = {"action_limit": {"set": limit}, "action_rate": {"set": rate}, "action_backlash": {"set": width}}
    found = through(table, sent(seed))
    assert (np.abs(found) <= limit).all()
    steps = np.diff(found, axis=0, prepend=0.0)
    assert (np.abs(steps) <= rate * PERIOD * (1 + 1e-12) + 1e-12).all()


def test_nothing_winds_up_beyond_the_limit():
    """After a long push against the limit the command turns back at once."""
    push = np.concatenate([np.full(20, 100.0), np.full(10, -100.0)])
    commands = np.stack([push, push], axis=1)[None]
    found = through({"action_limit": {"set": 1.0}, "action_rate": {"set": 10.0}}, commands)[:, 0]
    np.testing.assert_allclose(found[19:23], 1 - 10 * PERIOD * np.arange(4), atol=1e-12)


def test_the_play_is_a_hysteresis():
    """A triangle wave comes back half a width late on each flank: the loop's area is the stroke times the width."""
    wave = np.concatenate([np.linspace(0, 2, 41), np.linspace(2, -2, 81), np.linspace(-2, 2, 81)])
    found = through({"action_backlash": {"set": 0.5}}, np.stack([wave, wave], axis=1)[None])[:, 0]
    loop = slice(40, None)
    area = np.trapezoid(found[loop], wave[loop])
    assert abs(area) == pytest.approx(0.5 * (4 - 0.5), abs=1e-9)


@pytest.mark.parametrize("table", [{}, NOMINAL])
def test_nominal_drives_change_no_byte(tmp_path, table):
    world, policy = rig_world(tmp_path, substeps=2, steps=STEPS), Scripted(sent())
    plain = rollout(world, policy, rng=0)
    assert equal(rollout(world, policy, rng=0, fibre=Ensemble.single(table)), plain)
    again = replay(world, plain, fibre=Ensemble.single(table))
    assert equal(again, replay(world, plain))


def test_a_nominal_member_beside_others_changes_no_byte(tmp_path):
    world = rig_world(tmp_path, substeps=2, steps=STEPS)
    policy = Scripted(np.repeat(sent(), 2, axis=0))
    plain = rollout(world, Scripted(sent()), rng=0)
    for parameter, values in (
        ("action_gain", [1, 2]),
        ("action_dead_zone", [0, 1]),
        ("action_backlash", [0, 1]),
        ("action_swap[push, twist]", [0, 1]),
    ):
        both = rollout(world, policy, rng=0, fibre=members(parameter, "set", values))
        assert np.array_equal(both.qpos[0], plain.qpos[0])
        assert not np.array_equal(both.qpos[1], plain.qpos[0])


@pytest.mark.parametrize(
    "table",
    [
        {"action_gain[push]": {"scale": 2.0}},
        {"action_backlash": {"set": 2.0}, "action_rate": {"set": 50.0}},
        {"action_swap[push, twist]": {"set": 1}, "action_dead_zone": {"set": 1.0}, "action_limit": {"set": 3.0}},
        {"action_rate": {"set": 50.0}, "actuator_delay": {"set": 0.05}},
    ],
)
def test_rollout_replay_and_prediction_agree_and_record_what_was_sent(tmp_path, table):
    world, fibre = rig_world(tmp_path, substeps=2, steps=STEPS), Ensemble.single(table)
    done = rollout(world, Scripted(sent()), rng=0, fibre=fibre)
    np.testing.assert_array_equal(done.actions, sent())
    if "actuator_delay" not in table:
        np.testing.assert_allclose(felt(done), through(table)[:, 0], rtol=0, atol=1e-9)
    again = replay(world, done, fibre=fibre)
    np.testing.assert_array_equal(again.qpos, done.qpos)
    np.testing.assert_array_equal(again.actions, sent())
    ahead = predict_steps(world, done, fibre=fibre)
    after = np.concatenate([done.qpos, done.qvel], axis=2)[0, 1:]
    np.testing.assert_allclose(ahead.state, after, rtol=0, atol=1e-12)


def test_prediction_in_several_members_and_episodes(tmp_path):
    world = rig_world(tmp_path, substeps=2, steps=STEPS)
    fibre = members("action_backlash", "set", [0.0, 1.0, 4.0])
    done = rollout(world, Scripted(np.concatenate([sent(seed) for seed in range(6)])), rng=0, fibre=fibre, episodes=2)
    ahead = predict_steps(world, done, fibre=fibre)
    after = np.concatenate([done.qpos, done.qvel], axis=2)[ahead.episode, ahead.step + 1]
    own = done.member_index[ahead.episode] == ahead.member_index
    np.testing.assert_allclose(ahead.state[own], after[own], rtol=0, atol=1e-12)
    assert (np.abs(ahead.state - after)[~own].max(axis=1) > 1e-6).any()


def test_a_lost_command_still_moves_the_drive_to_the_last_one(tmp_path):
    """Nothing arrives after the first step, and the drive goes on towards it at its rate."""
    world = rig_world(tmp_path, substeps=2, steps=STEPS)
    table = {"action_rate": {"set": 5.0}, "action_drop": {"set": 0.5}}
    plan = np.full((1, STEPS, 2), 1.0)
    done = rollout(world, Scripted(plan), rng=3, fibre=Ensemble.single(table))
    force = felt(done)
    first = int(np.argmax(force > 1e-9))
    np.testing.assert_allclose(force[first:], np.minimum(0.1 * np.arange(1, STEPS - first + 1), 1.0), atol=1e-9)


def test_episodes_begin_at_rest():
    """The memory of one row starts again without that of the others."""
    parameters = command_parameters(("push",), Ensemble.single({"action_rate": {"set": 1.0}}), np.zeros(2, dtype=int))
    drives = Drives(parameters, np.ones(2))
    commands = np.full((2, 1), 10.0)
    drives.drive(commands, slice(None))
    drives.start(np.array([1]))
    np.testing.assert_array_equal(drives.drive(commands, slice(None)), [[2.0], [1.0]])


@pytest.mark.parametrize(
    ("parameter", "entry", "message"),
    [
        ("action_gain[pull]", {"set": 2.0}, r"'action_gain\[pull\]': unknown actuator 'pull'"),
        ("action_limit", {"set": -1.0}, r"'action_limit\[push\]' would be -1; it cannot be negative"),
        ("action_limit", {"scale": 0.5}, "'action_limit' is infinite without the change, so it cannot scale; set it"),
        ("action_rate[twist]", {"shift": 1.0}, "is infinite without the change, so it cannot shift; set it"),
        ("action_rate", {"set": -3.0}, r"'action_rate\[push\]' would be -3; it cannot be negative"),
        ("action_dead_zone", {"shift": -0.1}, r"'action_dead_zone\[push\]' would be -0.1; it cannot be negative"),
        ("action_dead_zone", {"scale": 2.0}, "is 0 without the change, and scaling 0 changes nothing"),
        ("action_backlash[tw*]", {"set": -0.1}, r"'action_backlash\[twist\]' would be -0.1; it cannot be negative"),
        ("action_gain", {"scale": 1e308}, None),
        ("action_swap[push, push]", {"set": 1}, "exchanges actuator 'push' with itself"),
        ("action_swap[push]", {"set": 1}, r"exchanges two actuators: write 'action_swap\[one, other\]'"),
        ("action_swap[push, pull]", {"set": 1}, "unknown actuator 'pull'"),
        ("action_swap[*, push]", {"set": 1}, r"'\*' means 2 actuators; name one"),
        ("action_swap[push, twist]", {"set": 0.5}, "would be 0.5; a flag is 0 or 1"),
        ("action_swap[push, twist]", {"scale": 2.0}, "is 0 without the change"),
        ("action_gian", {"set": 1.0}, "unknown model field 'action_gian': did you mean 'action_gain'"),
    ],
)
def test_what_is_refused(tmp_path, parameter, entry, message):
    world, fibre = rig_world(tmp_path), Ensemble.single({parameter: entry})
    if message is None:
        check_parameters(world, fibre)
        return
    with pytest.raises(WorldError, match=message) as caught:
        check_parameters(world, fibre)
    assert "\n" not in str(caught.value)


def test_an_overflowing_gain_is_refused(tmp_path):
    twice = Ensemble(("action_gain", "action_gain[push]"), ("scale", "scale"), np.array([[1e308, 1e308]]), np.ones(1))
    with pytest.raises(WorldError, match=r"'action_gain\[push\]' would be inf; a gain needs to be finite"):
        check_parameters(rig_world(tmp_path), twice)
