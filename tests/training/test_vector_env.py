"""The vector environment of Stable-Baselines3 against Gymnasium's own; skipped where the extra is not installed."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from rig import RIG, members, rig_world

from sim2real_cat.errors import PolicyError, WorldError
from sim2real_cat.worlds.engine_log import compiling
from sim2real_cat.worlds.randomization.change import Change
from sim2real_cat.worlds.randomization.randomization import Randomization
from sim2real_cat.worlds.tasks.task import State
from sim2real_cat.worlds.world import World

pytest.importorskip("stable_baselines3", reason="needs stable-baselines3: pip install 'sim2real-cat[rl]'")

import stable_baselines3
from stable_baselines3.common.vec_env import DummyVecEnv, VecCheckNan, VecMonitor

from sim2real_cat.training.vector_env import VectorEnv


def plan(environment, steps, seed=7):
    space = environment.action_space
    shape = (steps, environment.num_envs, *space.shape)
    return np.random.default_rng(seed).uniform(space.low, space.high, shape).astype(np.float32)


def set_state(environment, qpos, qvel):
    with compiling():
        environment.unwrapped.set_state(qpos, qvel)


@pytest.mark.parametrize("name", ["InvertedPendulum", "Hopper", "Reacher"])
def test_step_by_step_as_gymnasium(name):
    """Same starts, same actions, through Stable-Baselines3's own vector environment over Gymnasium's, which resets
    an episode that ended; its new start is copied from ours."""
    world = World.gymnasium(name)
    ours = VectorEnv(world, rng=0, environments=3, threads=1)
    with compiling():
        theirs = DummyVecEnv([lambda: gymnasium.make(f"{name}-v5", disable_env_checker=True)] * 3)
        theirs.reset()
    assert theirs.action_space == ours.action_space
    assert theirs.observation_space == ours.observation_space

    def copy_start(rows):
        for row in rows:
            set_state(theirs.envs[row], ours.stepper._batch.qpos[row], ours.stepper._batch.qvel[row])
        return np.stack([environment.unwrapped._get_obs() for environment in theirs.envs])

    np.testing.assert_allclose(ours.reset(), copy_start(range(3)), atol=1e-12)
    ends, truncations = 0, 0
    for actions in plan(ours, 120):
        observations, rewards, dones, infos = ours.step(actions)
        expected = theirs.step(actions)
        np.testing.assert_array_equal(dones, expected[2])
        np.testing.assert_allclose(rewards, expected[1], atol=1e-6)  # theirs is in single precision
        for i in np.flatnonzero(dones):
            np.testing.assert_allclose(
                infos[i]["terminal_observation"], expected[3][i]["terminal_observation"], atol=1e-9
            )
            assert infos[i]["TimeLimit.truncated"] == expected[3][i]["TimeLimit.truncated"]
            truncations += infos[i]["TimeLimit.truncated"]
        ends += dones.sum()
        np.testing.assert_allclose(observations, copy_start(np.flatnonzero(dones)), atol=1e-9)
    theirs.close()
    assert ends >= 3
    assert (truncations > 0) == (name == "Reacher")


def episodes_of(environment, steps=150):
    """All that an environment says in some steps, without the infos."""
    said = [(environment.reset(), np.zeros(environment.num_envs), np.zeros(environment.num_envs))]
    said += [environment.step(actions)[:3] for actions in plan(environment, steps)]
    return [np.stack(part) for part in zip(*said, strict=True)]


def equal(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_reproducible_from_a_seed_at_any_number_of_threads():
    world = World.gymnasium("Hopper", noise=0.05)
    fibre = Randomization({"body_mass": Change("scale", 0.5, 1.5)}).draw(2, rng=0)
    settings = {"fibre": fibre, "environments": 4, "steps": 30}
    first, again, other = (
        episodes_of(VectorEnv(world, rng=seed, threads=threads, **settings))
        for seed, threads in ((1, 1), (1, 2), (2, 1))
    )
    assert equal(first, again)
    assert not equal(first, other)
    environment = VectorEnv(world, rng=5, **settings)
    seeded = []
    for _ in range(2):
        environment.seed(3)
        seeded.append(episodes_of(environment))
    assert equal(*seeded)
    assert not equal(seeded[0], episodes_of(environment)), "without a new seed the streams go on"


def test_an_environment_does_not_depend_on_those_beside_it():
    """Those beside it end at other times: one gets the same actions among 2 as among 6."""
    world = World.gymnasium("InvertedPendulum", noise=0.05)
    seen = []
    for n in (2, 6):
        environment = VectorEnv(world, rng=0, environments=n, steps=25)
        rows, rng = [environment.reset()[:2]], np.random.default_rng(0)
        for _ in range(80):
            actions = np.concatenate([rng.uniform(-1, 1, (2, 1)), np.full((n - 2, 1), 3.0)])
            observations, rewards, dones, _ = environment.step(actions)
            rows.append(np.column_stack([observations, rewards, dones])[:2, :4])
        seen.append(np.stack(rows))
    np.testing.assert_array_equal(*seen)


def test_time_is_up(tmp_path):
    """The rig never ends by itself; after 20 steps of reward 2 the episode is truncated, and the next one starts."""
    world = rig_world(tmp_path, alive=2.0, observe=["qpos[drop]"])
    environment = VectorEnv(world, rng=0, environments=2)
    start = environment.reset()
    for _ in range(19):
        observations, rewards, dones, infos = environment.step(np.zeros((2, 2)))
        assert not dones.any()
        assert infos == [{"TimeLimit.truncated": False}] * 2
    last = observations
    observations, rewards, dones, infos = environment.step(np.zeros((2, 2)))
    assert dones.all()
    assert rewards.tolist() == [2.0, 2.0]
    np.testing.assert_array_equal(observations, start)
    for i, info in enumerate(infos):
        assert info["TimeLimit.truncated"]
        assert not info["diverged"]
        assert info["terminal_observation"] < last[i] < 0
        assert info["episode"] == {"r": 40.0, "l": 20}
    for _ in range(20):
        infos = environment.step(np.zeros((2, 2)))[3]
    assert infos[1]["episode"] == {"r": 40.0, "l": 20}, "the next episode is counted from its own start"


def test_an_end_by_the_task_is_no_truncation_even_at_the_last_step(tmp_path):
    world = rig_world(tmp_path, observe=["qpos[drop]"], healthy={"qpos[drop]": (-0.0185, 1.0)}, steps=6)
    environment = VectorEnv(world, rng=0)
    environment.reset()
    ends = [environment.step(np.zeros((1, 2))) for _ in range(6)]
    assert [bool(dones[0]) for _, _, dones, _ in ends] == [False] * 5 + [True]
    assert world.task.terminated(
        State(np.array([[-0.021, 0, 0, 0]]), np.zeros((1, 4)), {"sensordata": np.zeros((1, 4))})
    )
    assert ends[-1][3][0]["TimeLimit.truncated"] is False


def test_a_simulation_that_blows_up_is_truncated_without_reward(tmp_path):
    world = rig_world(tmp_path, observe=["qvel[rail]"], alive=1.0)
    light = members("body_mass[cart]", "scale", [1e-4, 1.0])
    environment = VectorEnv(world, rng=0, fibre=light, environments=2)
    environment.reset()
    _, rewards, dones, infos = environment.step(np.array([[1e13, 0.0], [0.0, 0.0]]))
    assert (rewards.tolist(), dones.tolist()) == ([0.0, 1.0], [True, False])
    assert infos[0]["diverged"]
    assert infos[0]["TimeLimit.truncated"]
    assert infos[0]["terminal_observation"].tolist() == [0.0]


def test_actions_are_clipped_to_the_range_of_the_controls(tmp_path):
    text = RIG.replace('name="push"', 'name="push" ctrlrange="-1 2"')
    world = rig_world(tmp_path, text=text, observe=["qvel[rail]", "qvel[turn]"], action_cost=1.0)
    environment = VectorEnv(world, rng=0, environments=3)
    assert environment.action_space.low.tolist() == [-1.0, -1e10]
    assert environment.action_space.high.tolist() == [2.0, 1e10]
    environment.reset()
    observations, rewards, _, _ = environment.step(np.array([[5.0, 9.0], [2.0, 9.0], [-7.0, 0.0]]))
    np.testing.assert_array_equal(observations[0], observations[1])
    assert rewards.tolist() == [-85.0, -85.0, -1.0], "the cost is that of the action that was taken"


def test_every_member_has_equally_many_environments(tmp_path):
    """A heavier cart is slower under the same push: F t / m after one step."""
    world = rig_world(tmp_path, observe=["qvel[rail]"])
    fibre = members("body_mass[cart]", "scale", [1.0, 2.0, 4.0])
    environment = VectorEnv(world, rng=0, fibre=fibre, environments=4)
    assert environment.num_envs == 6
    assert environment.member_index.tolist() == [0, 1, 2, 0, 1, 2]
    environment.reset()
    speed = environment.step(np.tile([1.0, 0.0], (6, 1)))[0][:, 0]
    np.testing.assert_allclose(speed, np.tile([0.005, 0.0025, 0.00125], 2), rtol=1e-9)


def test_the_wrappers_of_stable_baselines3_accept_it():
    """There is no checker of vector environments; these wrappers look at what passes through them."""
    environment = VecMonitor(
        VecCheckNan(VectorEnv(World.gymnasium("Hopper"), rng=0, environments=2), raise_exception=True)
    )
    space = environment.observation_space
    observations = environment.reset()
    ended = 0
    for actions in plan(environment, 60):
        assert observations.shape == (2, 11)
        assert all(space.contains(row) for row in observations)
        observations, rewards, dones, infos = environment.step(actions)
        assert rewards.shape == dones.shape == (2,)
        for info in (info for info, done in zip(infos, dones, strict=True) if done):
            assert space.contains(info["terminal_observation"])
            ended += 1
    assert ended
    assert environment.get_attr("render_mode") == [None, None]
    assert environment.env_is_wrapped(VecMonitor) == [False, False]
    environment.close()


@pytest.mark.parametrize("name", ["PPO", "A2C", "SAC"])
def test_any_of_its_algorithms_learns_on_it(name):
    environment = VectorEnv(World.gymnasium("InvertedPendulum"), rng=0, environments=4)
    settings = {"SAC": {"learning_starts": 32}, "PPO": {"n_steps": 16, "n_epochs": 2}, "A2C": {}}[name]
    model = getattr(stable_baselines3, name)("MlpPolicy", environment, seed=0, device="cpu", **settings)
    assert model.learn(64).num_timesteps >= 64
    assert len(model.ep_info_buffer)


def test_what_cannot_be_asked():
    world = World.gymnasium("InvertedPendulum")
    with pytest.raises(WorldError, match="at least one environment and one step, got 0 and None"):
        VectorEnv(world, rng=0, environments=0)
    with pytest.raises(WorldError, match="got 1 and 0"):
        VectorEnv(world, rng=0, steps=0)
    with pytest.raises(WorldError, match="unknown body 'torso'"):
        VectorEnv(world, rng=0, fibre=members("body_mass[torso]", "scale", [2.0]))
    environment = VectorEnv(world, rng=0)
    with pytest.raises(PolicyError, match="'gravity' cannot be set: the environments are one batch"):
        environment.set_attr("gravity", 0)
    with pytest.raises(PolicyError, match="'jump' cannot be called"):
        environment.env_method("jump")
    environment.reset()
    with pytest.raises(PolicyError, match="answered nan for actuator"):
        environment.step(np.array([[np.nan]]))
