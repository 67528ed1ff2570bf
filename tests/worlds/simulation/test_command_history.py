"""Actions that come late by chance, or not at all."""

from __future__ import annotations

import numpy as np
import pytest
from mujoco.batch import Batch
from rig import TIMESTEP, Constant, Scripted, members, rig_world
from scipy import stats

from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.parameters.apply import actuator_delays, check_parameters, compile_members
from sim2real_cat.worlds.parameters.channels import action_parameters, command_parameters
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.sensors.drives import Drives
from sim2real_cat.worlds.sensors.latency import Commands
from sim2real_cat.worlds.sensors.streams import spawn_streams
from sim2real_cat.worlds.simulation.rollout import rollout
from sim2real_cat.worlds.simulation.simulator import Simulator

MASS = 2.0


def forces(world, table, plan, episodes=1, rng=0):
    """The force on the cart in every control step, (episodes, steps), from its change of speed."""
    done = rollout(world, Scripted(plan), rng=rng, fibre=Ensemble.single(table), episodes=episodes, threads=1)
    return np.diff(done.qvel[:, :, 1], axis=1) * MASS / (done.control_period), done


def numbered(episodes, steps):
    """Actions that say in which step they were sent: 1, 2, 3, ..."""
    plan = np.zeros((episodes, steps, 2))
    plan[:, :, 0] = np.arange(1, steps + 1)
    return plan


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_a_lost_action_leaves_the_last_that_arrived(tmp_path, probability):
    world = rig_world(tmp_path, steps=200, substeps=2)
    felt, done = forces(world, {"action_drop": {"set": probability}}, numbered(50, 200), episodes=50)
    sent = done.actions[:, :, 0]
    arrived = np.isclose(felt, sent)
    assert np.array_equal(sent, numbered(50, 200)[:, :, 0]), "what is recorded is what the policy did"
    before = np.maximum.accumulate(np.where(arrived, sent, 0), axis=1)
    np.testing.assert_allclose(felt, before, rtol=0, atol=1e-8)
    assert arrived.mean() == pytest.approx(1 - probability, abs=5 * np.sqrt(0.25 / sent.size))
    lost = ~arrived
    pairs = (lost[:, 1:] & lost[:, :-1]).mean()
    assert pairs == pytest.approx(probability**2, abs=0.02), "losses are independent of each other"


def test_an_action_is_lost_for_all_actuators_at_once(tmp_path):
    plan = numbered(4, 50)
    plan[:, :, 1] = plan[:, :, 0]
    _, done = forces(rig_world(tmp_path, steps=50), {"action_drop": {"set": 0.5}}, plan, episodes=4)
    pushed, turned = (np.diff(done.qvel[:, :, joint], axis=1) for joint in (1, 3))
    np.testing.assert_allclose(turned / turned[:, -1:], pushed / pushed[:, -1:], rtol=0, atol=1e-8)


def test_losses_grow_with_their_probability(tmp_path):
    """The same numbers are drawn whatever the probability: what is lost at 0.2 is lost at 0.5 too."""
    world = rig_world(tmp_path, steps=100)
    felt = [forces(world, {"action_drop": {"set": p}}, numbered(10, 100), episodes=10)[0] for p in (0.2, 0.5)]
    sent = numbered(10, 100)[:, :, 0]
    few, many = (~np.isclose(force, sent) for force in felt)
    assert few.any()
    assert (many | ~few).all()
    assert many.sum() > few.sum()


def lags(felt, plan):
    """How many control steps late the action was that acted in each step; what was not yet sent is 0."""
    return np.arange(1, plan.shape[1] + 1) - np.rint(felt)


def test_the_spread_of_an_episodes_delay_is_uniform_and_stays(tmp_path):
    """Timesteps of 10 ms and delays up to 100 ms: with zero-order hold one counts as the next whole timestep."""
    world = rig_world(tmp_path, steps=40)
    felt, _ = forces(world, {"action_delay_spread": {"set": 0.1}}, numbered(600, 40), episodes=600)
    late = lags(felt, numbered(1, 40))[:, 12:]
    assert (late == late[:, :1]).all()
    counts = np.bincount(late[:, 0].astype(int), minlength=12)
    assert counts[0] == counts[11] == 0
    assert stats.chisquare(counts[1:11]).pvalue > 0.01


def test_a_spread_comes_on_top_of_the_delay(tmp_path):
    world = rig_world(tmp_path, steps=40)
    table = {"actuator_delay": {"set": 0.05}, "action_delay_spread": {"set": 0.05}}
    felt, _ = forces(world, table, numbered(200, 40), episodes=200)
    late = lags(felt, numbered(1, 40))[:, 12:]
    assert (np.unique(late) == [6, 7, 8, 9, 10]).all()


def test_jitter_is_drawn_for_every_step(tmp_path):
    world = rig_world(tmp_path, steps=400)
    table = {"actuator_delay": {"set": 0.02}, "action_jitter": {"set": 0.03}}
    felt, _ = forces(world, table, numbered(10, 400), episodes=10)
    late = lags(felt, numbered(1, 400))[:, 6:]
    counts = np.bincount(late.astype(int).ravel(), minlength=6)
    assert counts[:3].tolist() == [0, 0, 0]
    assert stats.chisquare(counts[3:6]).pvalue > 0.01
    assert abs(np.corrcoef(late[:, 1:].ravel(), late[:, :-1].ravel())[0, 1]) < 5 / np.sqrt(late.size)


def test_a_second_episode_starts_without_the_delay_of_the_first(tmp_path):
    """The spread of one episode must not add up with that of the next."""
    world = rig_world(tmp_path, steps=30)
    simulator = Simulator(world, Ensemble.single({"action_delay_spread": {"set": 0.1}}), threads=1)
    for seed in range(5):
        again = [simulator.run(Scripted(numbered(1, 30)), 30, [np.random.default_rng(seed)]) for _ in range(2)]
        assert np.array_equal(again[0].qvel, again[1].qvel)
        assert (lags(np.diff(again[0].qvel[:, :, 1]) * MASS / TIMESTEP, numbered(1, 30))[0, 12:] <= 10).all()


def test_members_differ_and_do_not_disturb_each_other(tmp_path):
    world = rig_world(tmp_path, steps=30)
    drop = members("action_drop", "set", [0.0, 0.5, 0.9])
    together = rollout(world, Constant(np.ones(2)), rng=0, fibre=drop, threads=1)
    for i, probability in enumerate([0.0, 0.5, 0.9]):
        generators = np.random.default_rng(0).spawn(3)
        alone = Simulator(world, members("action_drop", "set", [probability]), threads=1)
        assert np.array_equal(alone.run(Constant(np.ones(2)), 30, [generators[i]]).qpos[0], together.qpos[i])


def test_the_mean_delay_counts_what_is_random(tmp_path):
    table = {
        "actuator_delay[push]": {"set": 0.02},
        "action_delay_spread": {"set": 0.02},
        "action_jitter": {"set": 0.04},
    }
    np.testing.assert_allclose(actuator_delays(rig_world(tmp_path), Ensemble.single(table)), [[0.05, 0.03]])


@pytest.mark.parametrize(
    ("parameter", "entry", "message"),
    [
        ("action_drop", {"set": 1.5}, "'action_drop' would be 1.5; a probability is at most 1"),
        ("action_drop", {"set": -0.1}, "'action_drop' would be -0.1; it cannot be negative"),
        ("action_jitter", {"shift": -0.1}, "'action_jitter' would be -0.1; it cannot be negative"),
        ("action_drop[push]", {"set": 0.1}, "an action goes to all actuators at once; write 'action_drop'"),
        ("action_dorp", {"set": 0.1}, "unknown model field 'action_dorp': did you mean 'action_drop'"),
        (
            "observation_dealy",
            {"set": 0.1},
            "unknown model field 'observation_dealy': did you mean 'observation_delay'",
        ),
        ("action_jitter", {"set": 5000.0}, "delays are in seconds, is this one"),
    ],
)
def test_parameters_that_no_way_to_the_actuators_has(tmp_path, parameter, entry, message):
    with pytest.raises(WorldError, match=message):
        check_parameters(rig_world(tmp_path), Ensemble.single({parameter: entry}))


def test_what_is_lost_has_nothing_to_do_with_what_is_late(tmp_path):
    """Jitter and loss of the same action are two draws."""
    both = Ensemble.single({"action_jitter": {"set": 0.1}, "action_drop": {"set": 0.5}})
    batch = Batch(compile_members(rig_world(tmp_path), both), 1, nthread=1)
    one = np.zeros(1, dtype=np.int64)
    drives = Drives(command_parameters(("push", "twist"), both, one), np.ones(1))
    commands = Commands(batch, action_parameters(both, one), drives)
    commands.start(2000, spawn_streams([np.random.default_rng(0)]))
    late, arrived = np.empty(2000), np.empty(2000)
    for step in range(2000):
        batch.ctrl[:] = -1.0
        commands.send(np.ones((1, 2)), np.arange(1), slice(None), step)
        late[step], arrived[step] = batch.expand("actuator_delay")[0, 0], batch.ctrl[0, 0] == 1.0
    assert abs(np.corrcoef(late, arrived)[0, 1]) < 5 / np.sqrt(2000)
    assert stats.kstest(late, stats.uniform(0, 0.1).cdf).pvalue > 0.01
