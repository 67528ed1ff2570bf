"""An episode that is stepped from outside is the one that the simulator plays, whatever ends beside it."""

from __future__ import annotations

import numpy as np
import pytest
from rig import RIG, SENSORS, Scripted, rig_world

from sim2real_cat.errors import PolicyError, WorldError
from sim2real_cat.worlds.randomization.change import Change
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.randomization.randomization import Randomization
from sim2real_cat.worlds.sensors.noise import Drift, Dropout, EpisodeBias, GaussianNoise, Quantisation, UniformNoise
from sim2real_cat.worlds.sensors.stateful import DelayedJointPositionObservation, with_observations
from sim2real_cat.worlds.simulation.simulator import Simulator, Stepper
from sim2real_cat.worlds.world import World

STEPS = 40


@pytest.mark.parametrize("name", ["InvertedPendulum", "Hopper", "InvertedDoublePendulum"])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_episodes_of_the_simulator(name, threads):
    """Random actions, noise and randomized worlds; the pole falls, so episodes are started again in between."""
    world = World.gymnasium(name, noise=0.1)
    ranges = {"body_mass": Change("scale", 0.5, 2.0), "observation_bias": Change("set", -0.1, 0.1)}
    members = Randomization(ranges).draw(3, rng=0)
    index, starts = np.array([0, 1, 2, 2]), range(4)
    actions = np.random.default_rng(1).uniform(-1, 1, (4, STEPS, world.compile().nu))
    simulator = Simulator(world, members, index, threads=1)
    played = simulator.run(Scripted(actions), STEPS, [np.random.default_rng(start) for start in starts])

    stepper = Stepper(world, members, index, steps=STEPS, threads=threads)
    stepper.reset(np.arange(4), [np.random.default_rng(100 + start) for start in starts])
    for _ in range(3):  # what came before must leave no trace
        stepper.advance(np.ones_like(actions[:, 0]))
    first = stepper.reset(np.arange(4), [np.random.default_rng(start) for start in starts])
    np.testing.assert_array_equal(first, played.observations[:, 0])
    running = np.ones(4, dtype=bool)
    for step in range(played.lengths.max()):
        done = stepper.advance(actions[:, step])
        np.testing.assert_array_equal(done.observations[running], played.observations[running, step + 1])
        np.testing.assert_array_equal(done.rewards[running], played.rewards[running, step])
        ending = running & done.terminated
        assert (played.lengths[ending] == step + 1).all()
        assert (done.truncated[running] == ((step + 1 == STEPS) & ~ending[running])).all()
        running &= ~done.ended
        ended = np.flatnonzero(done.ended)
        stepper.reset(ended, [np.random.default_rng(7) for _ in ended])
    assert not running.any()


def test_everything_between_the_truth_and_the_policy(tmp_path):
    """Noise of every kind, late and lost actions, late sensors, a memory: also where episodes start one by one."""
    text = RIG.replace('<motor name="push"', '<motor name="push" nsample="9"').replace(
        '<jointpos name="encoder"', '<jointpos name="encoder" nsample="9"'
    )
    task = {
        "observe": [*SENSORS[:2], "sensordata[encoder]"],
        "start_noise": 0.5,
        "healthy": {"qpos[drop]": (-0.6, 9.0)},
    }
    kinds = [GaussianNoise(0.1), Drift(0.2, 0.5), EpisodeBias(0.5), Dropout(0.2), Quantisation(0.01), UniformNoise(0.1)]
    world = rig_world(tmp_path, text=text, noise={"qpos[rail]": kinds, "*": [EpisodeBias(0.5), Dropout(0.5)]}, **task)
    world = with_observations(world, [DelayedJointPositionObservation(3, ("drop", "coil"))])
    varied = {
        "observation_noise": Change("scale", 0.5, 2.0),
        "observation_bias": Change("shift", -0.1, 0.1),
        "observation_delay": Change("set", 0.0, 0.05),
        "sensor_delay[encoder]": Change("set", 0.02, 0.06),
        "actuator_delay": Change("set", 0.0, 0.03),
        "action_delay_spread": Change("set", 0.0, 0.03),
        "action_jitter": Change("set", 0.0, 0.03),
        "action_drop": Change("set", 0.1, 0.5),
    }
    members, index, steps = Randomization(varied).draw(3, rng=0), np.array([0, 1, 2, 2, 1]), 30
    actions = np.random.default_rng(1).uniform(-9, 9, (5, steps, 2))
    episodes = {}

    def generator(row, number):
        return np.random.default_rng((row, number))

    stepper = Stepper(world, members, index, steps=steps, threads=2)
    numbers = np.zeros(5, dtype=int)
    first = stepper.reset(np.arange(5), [generator(row, 0) for row in range(5)])
    rows = {(row, 0): [first[row]] for row in range(5)}
    for _ in range(100):
        done = stepper.advance(actions[np.arange(5), stepper.elapsed])
        for row in range(5):
            rows[row, numbers[row]].append(done.observations[row])
        ended = np.flatnonzero(done.ended)
        for row in ended:
            episodes[row, numbers[row]] = np.array(rows.pop((row, numbers[row])))
            numbers[row] += 1
        began = stepper.reset(ended, [generator(row, numbers[row]) for row in ended])
        rows |= {(row, numbers[row]): [began[i]] for i, row in enumerate(ended)}
    assert len(episodes) >= 15
    assert len({len(readings) for readings in episodes.values()}) > 5
    simulator = Simulator(world, members, index, threads=1)
    for number in range(max(number for _, number in episodes) + 1):
        played = simulator.run(Scripted(actions), steps, [generator(row, number) for row in range(5)])
        for row in range(5):
            if (row, number) in episodes:
                expected = played.observations[row, : played.lengths[row] + 1]
                np.testing.assert_array_equal(episodes[row, number], expected)


def test_the_first_reset_is_of_all(tmp_path):
    stepper = Stepper(rig_world(tmp_path), member_index=np.zeros(2, dtype=np.int64), threads=1)
    with pytest.raises(WorldError, match="world 'rig': reset all simulations before the first step"):
        stepper.advance(np.zeros((2, 2)))
    with pytest.raises(WorldError, match="reset all simulations before the first step"):
        stepper.reset(np.array([1]), [np.random.default_rng(0)])


def test_a_reset_does_not_touch_what_runs_on():
    world = World.gymnasium("Hopper")
    rng = np.random.default_rng(0)
    plan = rng.uniform(-1, 1, (30, 2, 3))
    seen = []
    for disturbed in (False, True):
        stepper = Stepper(world, member_index=np.zeros(2, dtype=np.int64), threads=1)
        stepper.reset(np.arange(2), [np.random.default_rng(i) for i in (1, 2)])
        rows = []
        for step, actions in enumerate(plan):
            if disturbed and step % 3 == 2:
                stepper.reset(np.array([1]), [np.random.default_rng(step)])
            rows.append(stepper.advance(actions).observations[0])
        seen.append(np.array(rows))
    np.testing.assert_array_equal(*seen)


def test_a_simulation_that_blows_up(tmp_path):
    """The cart is thrown beyond all bounds: no reward, the last good observation, and the next episode is a new one."""
    world = rig_world(tmp_path, observe=["qvel[rail]"], alive=1.0, substeps=2)
    stepper = Stepper(world, member_index=np.zeros(2, dtype=np.int64), steps=9, threads=1)
    stepper.reset(np.arange(2), [np.random.default_rng(0)] * 2)
    good = stepper.advance(np.array([[1.0, 0.0], [1.0, 0.0]]))
    bad = stepper.advance(np.array([[1e13, 0.0], [1.0, 0.0]]))
    assert bad.diverged.tolist() == bad.ended.tolist() == [True, False]
    assert bad.rewards.tolist() == [0.0, 1.0]
    np.testing.assert_array_equal(bad.observations[0], good.observations[0])
    assert stepper.reset(np.array([0]), [np.random.default_rng(0)]).tolist() == [[0.0]]
    assert not stepper.advance(np.zeros((2, 2))).ended.any()


def test_actions_that_are_none(tmp_path):
    stepper = Stepper(rig_world(tmp_path), threads=1)
    stepper.reset(np.arange(1), [np.random.default_rng(0)])
    with pytest.raises(PolicyError, match=r"expects actions of shape \(1, 2\), the policy answered \(1, 3\)"):
        stepper.advance(np.zeros((1, 3)))
    with pytest.raises(PolicyError, match="answered nan for actuator 'twist'"):
        stepper.advance(np.array([[0.0, np.nan]]))


def test_an_episode_whose_time_is_up_needs_a_reset(rig):
    stepper = Stepper(rig, Ensemble.nominal(), np.zeros(2, dtype=np.int64), steps=3)
    stepper.reset(np.arange(2), np.random.default_rng(0).spawn(2))
    ends = [stepper.advance(np.zeros((2, 2))).truncated.tolist() for _ in range(3)]
    assert ends == [[False] * 2, [False] * 2, [True] * 2]
    stepper.reset(np.arange(1), np.random.default_rng(0).spawn(1))
    with pytest.raises(WorldError, match="world 'rig': the time of episode 1 is up; reset it before it goes on"):
        stepper.advance(np.zeros((2, 2)))
