"""Training by PPO; what trains is skipped, with the reason, where the extra is not installed."""

from __future__ import annotations

import importlib.util
import random
from dataclasses import replace

import numpy as np
import pytest
from rig import RIG, rig_world

from sim2real_cat.errors import PolicyError
from sim2real_cat.policies.files import load_policy
from sim2real_cat.policies.mlp import MlpPolicy
from sim2real_cat.training.ppo import PPO, train_ppo
from sim2real_cat.training.random_search import RandomSearch, train
from sim2real_cat.training.vector_env import VectorEnv
from sim2real_cat.worlds.randomization.change import Change
from sim2real_cat.worlds.randomization.randomization import Randomization
from sim2real_cat.worlds.simulation.rollout import rollout
from sim2real_cat.worlds.world import World

INSTALLED = importlib.util.find_spec("stable_baselines3") is not None
needs_rl = pytest.mark.skipif(not INSTALLED, reason="needs stable-baselines3: pip install 'sim2real-cat[rl]'")

SHORT = PPO(256, environments=2, steps_per_update=64, epochs=2, hidden=(8,))


@pytest.fixture(scope="module")
def pendulum():
    return World.gymnasium("InvertedPendulum", noise=0.01)


@needs_rl
def test_the_pendulum_learns_to_stand_longer(pendulum, tmp_path):
    """Seeds 0 to 4 reached 136, 1000, 1000, 1000 and 500 of 1000 steps when this was written, from 25 at birth."""
    settings = PPO(8192, environments=8, steps_per_update=128, minibatch=128, learning_rate=2e-3)
    trained = train_ppo(pendulum, settings, rng=1, threads=1)
    before, after = (rollout(pendulum, p, rng=1, episodes=20).returns.mean() for p in (trained.birth, trained.policy))
    assert after > 10 * before
    assert trained.returns.shape == (8,)
    assert trained.returns[-1] > 3 * trained.returns[0]
    assert trained.steps == 8192
    assert trained.episodes > 8192 / 1000
    assert trained.diverged == 0
    trained.policy.save(tmp_path / "policy.npz")
    assert load_policy(tmp_path / "policy.npz", world=pendulum).digest == trained.policy.digest
    assert trained.policy.digest != trained.birth.digest
    assert (trained.trainer, trained.entropy_coefficient) == ("ppo", 0.01)


@needs_rl
def test_reproducible_at_any_number_of_threads(pendulum):
    fibre = Randomization({"body_mass[pole]": Change("scale", 0.5, 2.0)}).draw(3, rng=0)
    one, two, other = (
        train_ppo(pendulum, SHORT, rng=seed, threads=threads, fibre=fibre) for seed, threads in ((3, 1), (3, 2), (4, 1))
    )
    assert one.policy.digest == two.policy.digest
    assert one.birth.digest == two.birth.digest
    assert one.fibre is fibre
    np.testing.assert_array_equal(one.returns, two.returns)
    assert one.policy.digest != other.policy.digest
    assert one.birth.digest != other.birth.digest
    assert one.steps == 3 * 64 * 2  # 2 environments for 3 worlds become 3


@needs_rl
def test_global_states_are_left_alone(pendulum):
    import torch

    def states():
        return (
            random.getstate(),
            np.random.get_state()[1].tolist(),  # noqa: NPY002
            torch.get_rng_state().tolist(),
            torch.get_num_threads(),
        )

    before = states()
    train_ppo(pendulum, SHORT, rng=0)
    assert states() == before


@needs_rl
def test_the_network_in_numpy_acts_as_the_one_in_torch(tmp_path):
    """The actuators have ranges of different widths, and one has none; the observations are far from 0 and 1."""
    from sim2real_cat.training import ppo

    text = RIG.replace('name="push"', 'name="push" ctrlrange="-1 7"')
    world = rig_world(tmp_path, text=text, start_noise=3.0, alive=1.0)
    kept = {}
    original = ppo._network

    def watching(policy, environment, unit):
        kept.update(policy=policy, environment=environment, unit=unit)
        return original(policy, environment, unit)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ppo, "_network", watching)
        trained = train_ppo(world, replace(SHORT, learning_rate=0.03), rng=0)
    rows = np.random.default_rng(0).normal(0, 3, (200, 4))
    normalised = kept["environment"].normalize_obs(rows)
    unit, _ = kept["policy"].predict(normalised, deterministic=True)
    expected = kept["unit"].centre + kept["unit"].half * unit
    assert kept["unit"].centre.tolist() == [3.0, 0.0]
    assert kept["unit"].half.tolist() == [4.0, 1.0]
    actions = trained.policy.act(rows, np.arange(200), 0)
    np.testing.assert_allclose(actions, expected, atol=2e-5)
    assert trained.policy.low.tolist() == [-1.0, -1e10]
    assert np.abs(trained.policy.mean).max() > 0.1
    assert isinstance(trained.policy, MlpPolicy)


@needs_rl
def test_entropy_keeps_the_actions_wide(pendulum):
    """3 at birth, half the range of the actuator."""
    narrow, wide = (train_ppo(pendulum, replace(SHORT, entropy_coefficient=c), rng=0) for c in (0.0, 1.0))
    assert narrow.birth.digest == wide.birth.digest
    assert narrow.policy.digest != wide.policy.digest
    assert wide.deviation[0] > max(narrow.deviation[0], 3.0)
    assert (narrow.entropy_coefficient, wide.entropy_coefficient) == (0.0, 1.0)


@needs_rl
def test_weights_that_become_nan(pendulum):
    with pytest.raises(
        PolicyError, match=r"'InvertedPendulum': the weights became NaN after \d+ steps; lower learning"
    ):
        train_ppo(pendulum, replace(SHORT, learning_rate=1e30, total_steps=2000, gradient_norm=1e30), rng=0)


@needs_rl
def test_progress_is_told_before_every_update(pendulum):
    told = []
    trained = train_ppo(pendulum, SHORT, rng=0, progress=lambda i, value: told.append((i, value)))
    assert told == list(zip((1, 2), trained.returns.tolist(), strict=True))


@needs_rl
def test_an_update_in_which_no_episode_ended(tmp_path):
    trained = train_ppo(rig_world(tmp_path, steps=1000), SHORT, rng=0)
    assert np.isnan(trained.returns).all()
    assert trained.episodes == 0


@pytest.mark.skipif(INSTALLED, reason="stable-baselines3 is installed here")
def test_without_the_extra(pendulum):
    with pytest.raises(PolicyError, match=r"need stable-baselines3: pip install 'sim2real-cat\[rl\]'"):
        train_ppo(pendulum, SHORT, rng=0)
    with pytest.raises(PolicyError, match=r"need stable-baselines3: pip install 'sim2real-cat\[rl\]'"):
        VectorEnv(pendulum)


def test_random_search_has_no_entropy(pendulum):
    trained = train(pendulum, RandomSearch(iterations=1, directions=1, top=1, steps=5), rng=0)
    assert (trained.trainer, trained.entropy_coefficient) == ("random-search", None)


def test_the_defaults():
    assert PPO(1).entropy_coefficient == 0.01


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"total_steps": 0}, "total_steps >= 1, got 0"),
        ({"environments": 0}, "environments >= 1"),
        ({"epochs": 0}, "epochs >= 1"),
        ({"learning_rate": 0.0}, "finite learning_rate > 0, got 0.0"),
        ({"initial_deviation": float("inf")}, "finite initial_deviation > 0"),
        ({"clip_range": float("nan")}, "finite clip_range > 0"),
        ({"entropy_coefficient": -0.1}, "finite entropy_coefficient >= 0, got -0.1"),
        ({"discount": 1.5}, r"discount in \[0, 1\], got 1.5"),
        ({"minibatch": 100}, "divides steps_per_update, got 100 and 64"),
        ({"minibatch": 1}, "minibatch of 2 or more"),
        ({"hidden": ()}, "at least one hidden layer"),
        ({"hidden": (8, 0)}, "widths >= 1"),
        ({"episode_steps": 0}, "episode_steps >= 1"),
    ],
)
def test_settings_that_are_none(settings, message):
    with pytest.raises(PolicyError, match=message):
        replace(SHORT, **settings)
