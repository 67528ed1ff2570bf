"""An episode that is stepped from outside is the one that the simulator plays, whatever ends beside it."""

from __future__ import annotations

import numpy as np
import pytest
from rig import Scripted, rig_world

from sim2real_cat.errors import PolicyError
from sim2real_cat.worlds.randomization import Change, Randomization
from sim2real_cat.worlds.simulator import Simulator
from sim2real_cat.worlds.stepper import Stepper
from sim2real_cat.worlds.world import World

STEPS = 40


@pytest.mark.parametrize("name", ["InvertedPendulum", "Hopper", "InvertedDoublePendulum"])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_episodes_of_the_simulator(name, threads):
    """Random actions, noise and randomized worlds; the pole falls, so episodes are started again in between."""
    world = World.gymnasium(name, noise=0.1)
    ranges = {"body_mass": Change("scale", 0.5, 2.0), "observation_bias": Change("set", -0.1, 0.1)}
    members = Randomization(ranges).draw(3, 0)
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
