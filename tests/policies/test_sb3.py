"""Policies that Stable-Baselines3 saved; skipped, with the reason, where the extra is not installed."""

from __future__ import annotations

import hashlib
import pickle
import zipfile

import gymnasium
import numpy as np
import pytest

from sim2real_cat.errors import PolicyError
from sim2real_cat.policies.files import load_policy
from sim2real_cat.worlds.simulation.rollout import rollout
from sim2real_cat.worlds.world import World

pytest.importorskip("stable_baselines3", reason="needs stable-baselines3: pip install 'sim2real-cat[rl]'")

import stable_baselines3
from stable_baselines3.common.vec_env import VecNormalize

from sim2real_cat.training.vector_env import VectorEnv

ALGORITHMS = ("PPO", "A2C", "SAC", "TD3", "DDPG")


@pytest.fixture(scope="module")
def world():
    return World.gymnasium("InvertedPendulum", noise=0.02)


@pytest.fixture(scope="module")
def saved(world, tmp_path_factory):
    """An untrained model of every algorithm, and its file."""
    folder = tmp_path_factory.mktemp("models")
    models = {}
    for name in ALGORITHMS:
        model = getattr(stable_baselines3, name)("MlpPolicy", VectorEnv(world, rng=0), seed=1, device="cpu")
        model.save(folder / name)
        models[name] = (model, folder / f"{name}.zip")
    return models


@pytest.mark.parametrize("name", ALGORITHMS)
def test_it_acts_as_the_model_does(saved, world, name):
    model, path = saved[name]
    policy = load_policy(path, world=world, allow_pickle=True)
    rows = np.random.default_rng(0).standard_normal((50, 4))
    expected, _ = model.predict(rows, deterministic=True)
    np.testing.assert_allclose(policy.act(rows, np.arange(50), 0), expected, atol=1e-6)
    assert policy.widths == (4, 1)
    assert policy.digest == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("rows", [1, 15, 17, 64, 256])
def test_a_row_is_answered_alike_whatever_stands_beside_it(saved, rows):
    policy = load_policy(saved["PPO"][1], allow_pickle=True)
    observations = np.random.default_rng(rows).standard_normal((rows, 4))
    whole = policy.act(observations, np.arange(rows), 0)
    for some in ([0], [rows - 1], list(range(rows // 2, rows)), list(range(rows))[::-1]):
        np.testing.assert_array_equal(policy.act(observations[some], np.array(some), 0), whole[some])


def test_a_rollout(saved, world):
    policy = load_policy(saved["PPO"][1], world=world, allow_pickle=True)
    many, few = (rollout(world, policy, rng=0, episodes=n, threads=t) for n, t in ((20, 2), (3, 1)))
    np.testing.assert_array_equal(many.actions[:3, : few.actions.shape[1]], few.actions)


def test_the_statistics_of_vecnormalize(saved, world, tmp_path):
    model, path = saved["PPO"]
    normalised = VecNormalize(VectorEnv(world, rng=3, environments=4))
    normalised.reset()
    for _ in range(20):
        normalised.step(np.full((4, 1), 0.5, dtype=np.float32))
    normalised.save(tmp_path / "statistics.pkl")
    policy = load_policy(path, allow_pickle=True, vecnormalize=tmp_path / "statistics.pkl")
    rows = 0.1 * np.random.default_rng(0).standard_normal((5, 4))
    expected, _ = model.predict(normalised.normalize_obs(rows), deterministic=True)
    np.testing.assert_allclose(policy.act(rows, np.arange(5), 0), expected, atol=1e-6)
    without = load_policy(path, allow_pickle=True)
    assert np.abs(without.act(rows, np.arange(5), 0) - expected).max() > 1e-3
    content = path.read_bytes() + (tmp_path / "statistics.pkl").read_bytes()
    assert policy.digest == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file of VecNormalize"),
        (b"", "not a whole file of VecNormalize"),
        (pickle.dumps([1]), "holds list, not VecNormalize"),
    ],
)
def test_statistics_that_are_none(saved, tmp_path, content, message):
    path = tmp_path / "statistics.pkl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PolicyError, match=message):
        load_policy(saved["PPO"][1], allow_pickle=True, vecnormalize=path)


def test_statistics_of_other_observations(saved, tmp_path):
    normalised = VecNormalize(VectorEnv(World.gymnasium("Hopper"), rng=0))
    normalised.save(tmp_path / "statistics.pkl")
    with pytest.raises(PolicyError, match=r"PPO\.zip: the statistics .* \(11,\), this model reads \(4,\); give the fi"):
        load_policy(saved["PPO"][1], allow_pickle=True, vecnormalize=tmp_path / "statistics.pkl")


def test_without_leave_nothing_is_opened(saved):
    with pytest.raises(PolicyError, match="say allow_pickle=True"):
        load_policy(saved["PPO"][1])


def test_a_model_of_another_robot(saved):
    with pytest.raises(
        PolicyError, match=r"reads 4 observations and answers 1 actions, but world 'Hopper' has 11 sens"
    ):
        load_policy(saved["PPO"][1], allow_pickle=True, world=World.gymnasium("Hopper"))
    with pytest.raises(PolicyError, match="reads 4 observations, it was given 3"):
        load_policy(saved["PPO"][1], allow_pickle=True).act(np.zeros((1, 3)), np.arange(1), 0)


def test_a_model_with_discrete_actions(tmp_path):
    environment = gymnasium.make("CartPole-v1")
    stable_baselines3.DQN("MlpPolicy", environment, device="cpu", buffer_size=10).save(tmp_path / "model")
    environment.close()
    with pytest.raises(PolicyError, match=r"maps a vector to a vector, this model maps Box.* to Discrete\(2\)"):
        load_policy(tmp_path / "model.zip", allow_pickle=True)


def test_state_dependent_exploration(world, tmp_path):
    model = stable_baselines3.PPO("MlpPolicy", VectorEnv(world, rng=0), seed=1, device="cpu", use_sde=True)
    model.save(tmp_path / "model")
    rows = np.random.default_rng(0).standard_normal((5, 4))
    policy = load_policy(tmp_path / "model.zip", allow_pickle=True)
    expected = model.predict(rows, deterministic=True)[0]
    np.testing.assert_allclose(policy.act(rows, np.arange(5), 0), expected, atol=1e-6)


def test_a_zip_whose_data_is_none(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        archive.writestr("data", "{}")
        archive.writestr("policy.pth", "weights")
    with pytest.raises(PolicyError, match="Stable-Baselines3 cannot read its policy"):
        load_policy(tmp_path / "model.zip", allow_pickle=True)
