"""Observations with a memory, alone and as the sensors of a world; the ring buffer against MuJoCo's own delay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from rig import RIG, TIMESTEP, Constant, Scripted, equal, rig_world

from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.sensors.noise import Quantisation
from sim2real_cat.worlds.sensors.stateful import DelayedJointPositionObservation, StatefulObservation, with_observations
from sim2real_cat.worlds.simulation.rollout import rollout
from sim2real_cat.worlds.tasks.task import State
from sim2real_cat.worlds.world import World


def states(n, frames, seed=0):
    qpos = np.random.default_rng(seed).normal(size=(frames, n, 4))
    return [State(positions, np.zeros((n, 4))) for positions in qpos]


@pytest.mark.parametrize("delay_steps", [0, 1, 3, 20])
def test_the_ring_buffer_by_hand(rig, delay_steps):
    observation = DelayedJointPositionObservation(delay_steps, ("rail", "drop")).bind(rig.compile())
    assert observation.sensors == ("delayed qpos[rail]", "delayed qpos[drop]")
    seen = states(3, 12)
    carry = observation.initial_carry(3, seen[0], np.random.default_rng(0).spawn(3))
    for k, state in enumerate(seen):
        before = carry.copy()
        read, after = observation.observe_stateful(state, carry)
        assert np.array_equal(read, seen[max(k - delay_steps, 0)].qpos[:, [1, 0]])
        assert np.array_equal(carry, before), "the carry that was passed in must not change"
        carry = after
    assert carry.shape == (3, delay_steps, 2)


ENCODERS = RIG.replace('<jointpos name="encoder" joint="rail"/>', '<jointpos name="turned" joint="turn"/>')
"""The rig with an encoder on the arm, whose start is drawn, beside the centre of mass."""


@pytest.mark.parametrize("substeps", [1, 4])
@pytest.mark.parametrize("delay_steps", [0, 1, 2, 7])
def test_the_ring_buffer_and_mujocos_own_delay_agree_step_by_step(tmp_path, delay_steps, substeps):
    """Over 300 steps under random actions from a random start, so that the times of the samples have to be exact."""
    world = rig_world(tmp_path, text=ENCODERS, substeps=substeps, observe=("sensordata[turned]",), start_noise=0.5)
    both = with_observations(world, [DelayedJointPositionObservation(delay_steps, ("turn",))])
    late = Ensemble.single({"sensor_delay[turned]": {"set": delay_steps * substeps * TIMESTEP}})
    plan = np.random.default_rng(0).normal(size=(4, 300, 2))
    done = rollout(both, Scripted(plan), rng=0, fibre=late, episodes=4, steps=300)
    native, ring = done.observations[:, :, 0], done.observations[:, :, 1]
    assert np.array_equal(native, ring)
    source = np.maximum(np.arange(301) - delay_steps, 0)
    assert np.array_equal(ring, done.qpos[:, source, 3])
    assert done.qpos[:, 0, 3].all()


def test_all_hinges_and_slides_where_no_joint_is_named(rig):
    assert DelayedJointPositionObservation(1).bind(rig.compile()).joints == ("drop", "rail", "coil", "turn")
    assert len(DelayedJointPositionObservation(1).bind(World.gymnasium("Hopper").compile()).joints) == 6


def test_sensors_of_a_world_stay_or_go(tmp_path):
    world = rig_world(tmp_path, noise={"qpos[rail]": 0.1, "*": 0.0})
    delayed = DelayedJointPositionObservation(2, ("coil",))
    assert with_observations(world, [delayed]).sensors == (*world.sensors, "delayed qpos[coil]")
    some = with_observations(world, [delayed], keep=["qpos[drop]"])
    assert some.sensors == ("qpos[drop]", "delayed qpos[coil]")
    assert some.noise == {"*": 0.0}
    assert world.sensors == ("qpos[drop]", "qpos[rail]", "qpos[coil]", "qpos[turn]")


def test_everything_else_of_the_task_is_as_it_was():
    """Physics, rewards and ends under the same actions; without a memory also every reading."""
    world, push = World.gymnasium("Hopper", noise=0.01), Constant(np.full(3, 0.3))
    plain = rollout(world, push, rng=0, episodes=3)
    assert equal(plain, rollout(with_observations(world, []), push, rng=0, episodes=3))
    more = rollout(with_observations(world, [DelayedJointPositionObservation(3)]), push, rng=0, episodes=3)
    for name in ("qpos", "rewards", "lengths", "terminated"):
        assert np.array_equal(getattr(plain, name), getattr(more, name), equal_nan=True), name
    assert more.sensors[:11] == plain.sensors
    assert len(more.sensors) == 17


def test_memories_of_memories_and_noise_on_what_they_read(tmp_path):
    """A world that is wrapped twice, and quantised."""
    once = with_observations(rig_world(tmp_path), [DelayedJointPositionObservation(1, ("rail",))])
    twice = with_observations(once, [DelayedJointPositionObservation(4, ("turn",))], keep=["delayed qpos[rail]"])
    rough = World(twice.name, twice.path, twice.task, twice.substeps, {"delayed qpos[turn]": [Quantisation(0.5)]})
    done = rollout(rough, Constant(np.array([1.0, 5.0])), rng=0)
    assert rough.sensors == ("delayed qpos[rail]", "delayed qpos[turn]")
    at = np.arange(21)
    assert np.array_equal(done.observations[0, :, 0], done.qpos[0, np.maximum(at - 1, 0), 1])
    assert np.array_equal(done.observations[0, :, 1], 0.5 * np.rint(done.qpos[0, np.maximum(at - 4, 0), 3] / 0.5))


@dataclass(frozen=True)
class Offset(StatefulObservation):
    """An encoder that was zeroed anew for every episode, and counts how often it was read."""

    sensors = ("offset encoder", "count")

    def initial_carry(self, n, state, generators):
        drawn = np.array([generator.normal() for generator in generators])
        return np.stack([drawn, np.zeros(n)], axis=1)

    def observe_stateful(self, state, carry):
        count = carry[:, 1] + 1
        read = np.stack([state.qpos[:, 1] + carry[:, 0], count], axis=1)
        return read, np.stack([carry[:, 0], count], axis=1)


def test_a_memory_may_draw_from_the_generator_of_its_episode(tmp_path):
    world = with_observations(rig_world(tmp_path, healthy={"qpos[rail]": (-1.0, 0.01)}), [Offset()])
    plan = np.zeros((5, 20, 2))
    plan[1::2, :, 0] = 20.0
    done = rollout(world, Scripted(plan), rng=0, episodes=5)
    assert len(set(done.lengths.tolist())) == 2
    offset = done.observations[:, :, 4] - done.qpos[:, :, 1]
    for i, length in enumerate(done.lengths):
        np.testing.assert_allclose(offset[i, : length + 1], offset[i, 0], rtol=0, atol=1e-12)
        assert done.observations[i, : length + 1, 5].tolist() == list(range(1, length + 2))
    assert len(np.unique(offset[:, 0])) == 5
    alone = rollout(world, Scripted(plan[:1]), rng=0)
    assert np.array_equal(alone.observations[0], done.observations[0])


@dataclass(frozen=True)
class Wrong(StatefulObservation):
    shape: tuple[int, ...]
    carried: tuple[int, ...]
    started: tuple[int, ...]
    sensors = ("wrong",)

    def initial_carry(self, n, state, generators):
        return np.zeros(self.started)

    def observe_stateful(self, state, carry):
        return np.zeros(self.shape), np.zeros(self.carried)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (Wrong((1, 1), (1,), (2,)), r"Wrong: the carry of 1 episodes has the shape \(2,\)"),
        (Wrong((1, 2), (1,), (1,)), r"Wrong: of 1 states it makes readings of shape \(1, 2\) for 1 sensors"),
        (Wrong((1, 1), (1, 1), (1,)), r"and of the carry \(1,\) one of shape \(1, 1\)"),
    ],
)
def test_an_observation_of_the_wrong_shape_is_named(rig, wrong, message):
    with pytest.raises(WorldError, match=message):
        rollout(with_observations(rig, [wrong]), Constant(np.zeros(2)), rng=0)


def test_observations_that_no_world_has(rig):
    with pytest.raises(WorldError, match="world 'rig': unknown joint 'rial': did you mean 'rail'"):
        with_observations(rig, [DelayedJointPositionObservation(1, ("rial",))])
    with pytest.raises(WorldError, match=r"world 'rig': unknown sensor 'qpos\[rial\]': did you mean"):
        with_observations(rig, [DelayedJointPositionObservation(1)], keep=["qpos[rial]"])
    with pytest.raises(WorldError, match="each with a name of its own"):
        with_observations(rig, [DelayedJointPositionObservation(1), DelayedJointPositionObservation(2)])
    with pytest.raises(WorldError, match=r"a task needs sensors.*got \(none\)"):
        with_observations(rig, [], keep=[])
    with pytest.raises(WorldError, match="delay_steps >= 0, got -1"):
        DelayedJointPositionObservation(-1)
    with pytest.raises(WorldError, match=r"depends on more than the state: DelayedJointPositionObservation"):
        with_observations(rig, [DelayedJointPositionObservation(1)]).task.observe(states(1, 1)[0])


def test_a_joint_with_several_coordinates_is_refused(tmp_path):
    text = RIG.replace('<joint name="drop" type="slide" axis="0 0 1"/>', '<joint name="drop" type="free"/>')
    world = rig_world(tmp_path, text=text, observe=("qpos[rail]",))
    assert DelayedJointPositionObservation(1).bind(world.compile()).joints == ("rail", "coil", "turn")
    with pytest.raises(WorldError, match="joint 'drop' has 7 coordinates; only hinges and slides have one"):
        with_observations(world, [DelayedJointPositionObservation(1, ("drop",))])


class Encoder(StatefulObservation):
    """The encoder of the rail, through a memory that remembers nothing."""

    sensors = ("encoder again",)
    derived = ("sensordata",)

    def initial_carry(self, n, state, generators):
        return np.zeros((n, 1))

    def observe_stateful(self, state, carry):
        return state.derived["sensordata"][:, :1].copy(), carry


def test_what_it_reads_is_of_the_new_state_though_the_task_reads_no_such_thing(tmp_path):
    world = with_observations(rig_world(tmp_path, start_noise=0.3), [Encoder()])
    done = rollout(world, Constant(np.ones(2)), rng=0, episodes=2)
    assert np.array_equal(done.observations[:, :, -1], done.qpos[:, :, 1])
    assert done.qpos[:, 1:, 1].std() > 0


def test_a_carry_that_would_be_cut_is_refused(rig):
    class Adding(Encoder):
        derived = ()

        def initial_carry(self, n, state, generators):
            return np.zeros((n, 1), dtype=int)

        def observe_stateful(self, state, carry):
            return carry.astype(float), carry + 0.4

    message = "Adding: its carry starts as int64 and goes on as float64, which would be cut; start it with the latter"
    with pytest.raises(WorldError, match=message):
        rollout(with_observations(rig, [Adding()]), Constant(np.ones(2)), rng=0)
