from __future__ import annotations

import numpy as np
import pytest
from rig import RIG, TIMESTEP, Constant, Scripted, rig_world, write_model

from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.simulation.rollout import rollout
from sim2real_cat.worlds.tasks.quadratic import QuadraticTask
from sim2real_cat.worlds.tasks.task import State
from sim2real_cat.worlds.world import World


@pytest.fixture
def state():
    """Two states of the rig: positions of drop, rail, coil, turn; velocities; encoder and centre of mass."""
    return State(
        np.array([[1.0, 2.0, 3.0, 4.0], [0.0, -1.0, 0.5, 2.0]]),
        np.array([[10.0, 20.0, 30.0, 40.0], [1.0, 2.0, 3.0, 4.0]]),
        {"sensordata": np.array([[2.0, 7.0, 8.0, 9.0], [-1.0, 0.0, 0.0, 1.0]])},
    )


def task_of(tmp_path, **settings):
    return rig_world(tmp_path, **settings).task


def test_observation_by_hand(tmp_path, state):
    task = task_of(tmp_path, observe=["qvel[turn]", "sensordata[centre]", "qpos[drop]", "sensordata[encoder]"])
    assert task.sensors == (
        "qvel[turn]",
        "sensordata[centre] 0",
        "sensordata[centre] 1",
        "sensordata[centre] 2",
        "qpos[drop]",
        "sensordata[encoder]",
    )
    assert task.observe(state).tolist() == [[40, 7, 8, 9, 1, 2], [4, 0, 0, 1, 0, -1]]


def test_reward_by_hand(tmp_path, state):
    task = task_of(
        tmp_path,
        alive=5.0,
        forward={"qvel[rail]": 0.5, "qpos[drop]": -1.0},
        cost={"qpos[coil]": 2.0, "sensordata[centre]": 1.0},
        target={"qpos[coil]": 1.0},
        action_cost=0.1,
    )
    action = np.array([[1.0, -2.0], [0.0, 3.0]])
    # 5 - 0.1 (1 + 4) + 0.5 * 20 - 1 - 2 (3 - 1)^2 - (49 + 64 + 81), and 5 - 0.9 + 0.5 * 2 - 0 - 2 (0.5 - 1)^2 - 1
    expected = [5 - 0.5 + 10 - 1 - 8 - 194, 5 - 0.9 + 1 - 0.5 - 1]
    np.testing.assert_allclose(task.reward(state, state, action, TIMESTEP), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("healthy", "ended"),
    [
        ({}, [False, False]),
        ({"qpos[rail]": (-1.0, 2.0)}, [False, False]),  # the ends themselves are healthy
        ({"qpos[rail]": (-0.9, 3.0)}, [False, True]),
        ({"qpos[rail]": (-2.0, 1.9)}, [True, False]),
        ({"sensordata[centre]": (0.0, 8.5)}, [True, False]),
        ({"qpos[rail]": (-0.9, 3.0), "qvel[drop]": (0.0, 5.0)}, [True, True]),
    ],
)
def test_termination_by_hand(tmp_path, state, healthy, ended):
    assert task_of(tmp_path, healthy=healthy).terminated(state).tolist() == ended


def test_the_reward_is_of_the_new_state_with_fresh_sensors(tmp_path):
    """The encoder, a derived field, must be read where the joint is after the step, not one substep before."""
    world = rig_world(tmp_path, observe=["qpos[rail]", "sensordata[encoder]"], forward={"sensordata[encoder]": 1.0})
    done = rollout(world, Constant(np.array([1.0, 0.0])), rng=0)
    np.testing.assert_allclose(done.observations[:, :, 0], done.qpos[:, :, 1], rtol=0, atol=0)
    np.testing.assert_allclose(done.observations[:, :, 1], done.qpos[:, :, 1], rtol=0, atol=1e-15)
    np.testing.assert_allclose(done.rewards, done.qpos[:, 1:, 1], rtol=0, atol=1e-15)


def test_an_episode_ends_where_its_channel_leaves_the_range(tmp_path):
    """x = F / m h^2 k (k + 1) / 2 = 0.5e-4 k (k + 1) / 2 first passes 0.0012 at k = 7."""
    world = rig_world(tmp_path, healthy={"qpos[rail]": (-1.0, 0.0012)})
    actions = np.zeros((2, 20, 2))
    actions[0, :, 0] = 1.0
    done = rollout(world, Scripted(actions), rng=0, episodes=2)
    assert done.lengths.tolist() == [7, 20]
    assert done.terminated.tolist() == [True, False]


def test_starts_lie_within_the_noise(tmp_path):
    world = rig_world(tmp_path, start_noise=0.25)
    done = rollout(world, Constant(np.zeros(2)), rng=0, episodes=500, steps=1)
    for values in (done.qpos[:, 0], done.qvel[:, 0]):
        assert np.abs(values).max() <= 0.25
        assert (np.abs(values).max(axis=0) > 0.24).all()
        assert np.abs(values.mean(axis=0)).max() < 5 * 0.25 / np.sqrt(3 * 500)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"observe": []}, "the task observes nothing: list channels such as"),
        ({"observe": "qpos[rail]"}, r"observe is a list of channels, not the text 'qpos\[rail\]': write \['qpos"),
        ({"observe": ["qpos[rial]"]}, r"channel 'qpos\[rial\]': unknown joint 'rial': did you mean 'rail'\?"),
        ({"observe": ["qvel[rial]"]}, "unknown joint 'rial'"),
        ({"observe": ["sensordata[enc]"]}, r"no sensor 'enc'; it has encoder, centre"),
        (
            {"observe": ["qacc[rail]"]},
            r"'qacc\[rail\]': write one of qpos\[...\], qvel\[...\], sensordata\[...\]",
        ),
        ({"observe": ["qpos"]}, "channel 'qpos': write one of"),
        ({"observe": ["qpos[rail, drop]"]}, "write one of"),
        ({"cost": {"qpos[x]": 1.0}}, "unknown joint 'x'"),
        ({"forward": {"qpos[x]": 1.0}}, "unknown joint 'x'"),
        ({"healthy": {"qpos[x]": (0.0, 1.0)}}, "unknown joint 'x'"),
        (
            {"healthy": {"qpos[rail]": (1.0, 0.0)}},
            r"range of 'qpos\[rail\]' needs low < high, got \[1.0, 0.0\]",
        ),
        ({"target": {"qpos[rail]": 1.0}}, r"target 'qpos\[rail\]' has no cost"),
        ({"steps": 0}, "needs steps >= 1"),
        ({"start_noise": -0.1}, "start_noise >= 0, got .* -0.1"),
        ({"start_noise": float("nan")}, "start_noise >= 0"),
    ],
)
def test_a_task_that_does_not_fit_the_model(tmp_path, settings, message):
    with pytest.raises(WorldError, match=message) as caught:
        rig_world(tmp_path, **settings)
    assert str(caught.value).startswith(str(tmp_path / "rig.xml"))
    assert "\n" not in str(caught.value)


def test_the_worlds_name_is_the_files(tmp_path):
    world = World.from_xml(write_model(tmp_path, RIG, "robot arm.xml"), QuadraticTask(observe=["qpos[rail]"]), 0.03)
    assert (world.name, world.substeps) == ("robot arm", 3)
