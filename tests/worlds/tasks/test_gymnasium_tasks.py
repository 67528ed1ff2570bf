"""Gymnasium's own environments are the reference: same start, same physics, same reward, same end."""

from __future__ import annotations

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from rig import Scripted

from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.engine_log import compiling
from sim2real_cat.worlds.simulation.simulator import Simulator
from sim2real_cat.worlds.tasks.gymnasium import MODELS
from sim2real_cat.worlds.tasks.task import State
from sim2real_cat.worlds.world import World

SEEDS = (0, 1, 2, 3, 4, 5, 6, 7)
STEPS = 260  # 8 x 260 = 2080 control steps per environment


@pytest.fixture(scope="module", params=list(MODELS))
def both(request):
    """The reference and ours on the same starts and random actions, neither stopping at the end of an episode."""
    name = request.param
    with compiling():
        environment = gymnasium.make(f"{name}-v5", disable_env_checker=True).unwrapped
    space = environment.action_space
    rng = np.random.default_rng(7)
    actions = rng.uniform(space.low, space.high, (len(SEEDS), STEPS, *space.shape)).astype(np.float32).astype(float)
    observations, rewards, terminated = [], [], []
    for seed, plan in zip(SEEDS, actions, strict=True):
        observations.append([environment.reset(seed=seed)[0]])
        for action in plan:
            observation, reward, ended, *_ = environment.step(action)
            observations[-1].append(observation)
            rewards.append(reward)
            terminated.append(ended)
    reference = {
        "observations": np.array(observations),
        "rewards": np.array(rewards).reshape(len(SEEDS), STEPS),
        "terminated": np.array(terminated, dtype=bool).reshape(len(SEEDS), STEPS),
        "dt": environment.dt,
    }
    environment.close()
    world = World.gymnasium(name)
    return world, actions, reference, _run(world, actions, until_terminated=False)


def _run(world, actions, *, until_terminated):
    simulator = Simulator(world, member_index=np.zeros(len(SEEDS), dtype=np.int64), threads=1)
    generators = [np.random.default_rng(seed) for seed in SEEDS]
    return simulator.run(Scripted(actions), STEPS, generators, until_terminated=until_terminated)


def test_same_start_and_observations(both):
    world, _, reference, ours = both
    assert ours.observations.shape == reference["observations"].shape
    assert ours.sensors == world.sensors
    np.testing.assert_allclose(ours.observations, reference["observations"], rtol=0, atol=1e-9)


def test_same_rewards(both):
    _, _, reference, ours = both
    np.testing.assert_allclose(ours.rewards, reference["rewards"], rtol=0, atol=1e-9)


def test_same_control_period(both):
    _, _, reference, ours = both
    assert ours.control_period == pytest.approx(reference["dt"], abs=1e-15)


def test_episodes_end_where_the_reference_first_ends(both):
    world, actions, reference, _ = both
    ours = _run(world, actions, until_terminated=True)
    ends = reference["terminated"]
    assert ends.any() == (world.name not in ("Reacher", "HalfCheetah")), "the comparison of ends must not be empty"
    first = np.where(ends.any(axis=1), ends.argmax(axis=1) + 1, STEPS)
    assert ours.lengths.tolist() == first.tolist()
    assert ours.terminated.tolist() == ends.any(axis=1).tolist()


def test_every_step_terminates_as_the_reference(both):
    """A recording only keeps whether an episode ended, so here every step is judged, also after the first end."""
    world, actions, reference, _ = both
    judging = _Judging(world.task)
    _run(replace(world, task=judging), actions, until_terminated=False)
    np.testing.assert_array_equal(np.stack(judging.verdicts, axis=1), reference["terminated"])


class _Judging:
    """A task that remembers what it said about the end of every step."""

    def __init__(self, task):
        self.task, self.verdicts = task, []

    def __getattr__(self, name):
        return getattr(self.task, name)

    def terminated(self, state):
        self.verdicts.append(self.task.terminated(state))
        return self.verdicts[-1]


def test_unknown_world_names_the_nearest():
    with pytest.raises(WorldError, match=r"unknown Gymnasium world 'Hoper': did you mean 'Hopper'\?"):
        World.gymnasium("Hoper")


@pytest.mark.parametrize(
    ("noise", "message"),
    [
        ({"root heigth": 0.1}, "unknown sensor 'root heigth': did you mean 'root height'"),
        (-0.1, "needs to be >= 0, got -0.1"),
        ({"root height": float("nan")}, "'root height': needs to be >= 0, got nan"),
    ],
)
def test_impossible_noise_is_refused(noise, message):
    with pytest.raises(WorldError, match=message) as caught:
        World.gymnasium("Hopper", noise=noise)
    assert "\n" not in str(caught.value)


def test_the_star_is_the_noise_of_unnamed_sensors():
    world = World.gymnasium("InvertedPendulum", noise={"*": 0.5, "pole angle": 0.25})
    assert world.deviations().tolist() == [0.5, 0.25, 0.5, 0.5]


@pytest.mark.parametrize("name", ["Hopper", "Walker2d"])
def test_the_same_states_are_healthy(name):
    """States on both sides of every bound, which random actions reach only in the order of a fall."""
    with compiling():
        environment = gymnasium.make(f"{name}-v5", disable_env_checker=True).unwrapped
    world, model = World.gymnasium(name), environment.model
    rng = np.random.default_rng(0)
    qpos = np.tile(environment.init_qpos, (4000, 1))
    qpos[:, 1] = rng.uniform(0.6, 2.2, len(qpos))
    qpos[:, 2] = rng.choice([0.05, 1.0], len(qpos)) * rng.uniform(-1.2, 1.2, len(qpos))
    qpos[:500, 1] = rng.uniform(0.69, 0.71, 500)
    qpos[500:1000, 2] = rng.uniform(0.19, 0.21, 500)
    qvel = rng.uniform(-1, 1, (len(qpos), model.nv)) * rng.choice([1.0, 102.0], (len(qpos), 1))
    healthy = []
    for position, velocity in zip(qpos, qvel, strict=True):
        environment.data.qpos, environment.data.qvel = position, velocity
        healthy.append(bool(environment.is_healthy))
    environment.close()
    ours = ~world.task.terminated(State(qpos, qvel))
    assert 0.05 < np.mean(healthy) < 0.95
    np.testing.assert_array_equal(ours, healthy)
