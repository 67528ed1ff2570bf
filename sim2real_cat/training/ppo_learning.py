"""Proximal policy optimization by Stable-Baselines3 on a `VectorEnv`, and what it learned as an `MlpPolicy`."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import PolicyError
from sim2real_cat.linear_algebra import on_one_thread
from sim2real_cat.policies.mlp import MlpPolicy
from sim2real_cat.training.ppo import PPO, PPOTraining
from sim2real_cat.training.vector_env import VectorEnv
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.world import World

# isort: split
# VectorEnv says what to install where these are missing
import stable_baselines3
import torch
from gymnasium.spaces import Box
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import VecEnvWrapper, VecNormalize


def learn(
    world: World,
    settings: PPO,
    rng: np.random.Generator,
    fibre: Ensemble | None,
    threads: int,
    progress: Callable[[int, float], None] | None,
) -> PPOTraining:
    """Train a network; see `sim2real_cat.training.ppo.train_ppo`."""
    environment = VectorEnv(
        world,
        rng=rng,
        fibre=fibre,
        environments=settings.environments,
        steps=settings.episode_steps,
        threads=threads,
    )
    unit = _UnitActions(environment)
    normalised = VecNormalize(unit, gamma=settings.discount)
    history = _History(progress)
    with _own_randomness(), on_one_thread():
        algorithm = _algorithm(normalised, settings, seed=int(rng.integers(2**31)))
        birth = _network(algorithm.policy, normalised, unit)
        try:
            algorithm.learn(settings.total_steps, callback=history, log_interval=None)
        except ValueError:
            if _is_finite(algorithm.policy):
                raise
        if not _is_finite(algorithm.policy):
            raise PolicyError(
                f"training in world '{world.name}': the weights became NaN after {algorithm.num_timesteps} steps; "
                f"lower learning_rate ({settings.learning_rate:g}) or gradient_norm ({settings.gradient_norm:g})"
            )
        policy = _network(algorithm.policy, normalised, unit)
        deviation = unit.half * np.exp(algorithm.policy.log_std.detach().numpy().astype(np.float64))
    return PPOTraining(
        policy=policy,
        birth=birth,
        returns=np.array(history.returns),
        deviation=deviation,
        episodes=history.episodes,
        steps=algorithm.num_timesteps,
        diverged=history.diverged,
        settings=settings,
    )


class _UnitActions(VecEnvWrapper):  # type: ignore[misc]
    """Actions in [-1, 1] for the range of every actuator; as they are where an actuator has no range.

    Attributes:
        centre: (nu,) the control that 0 means.
        half: (nu,) half the width of the range.
    """

    def __init__(self, environment: VectorEnv) -> None:
        self.low, self.high = environment.low, environment.high
        bounded = np.asarray(environment.stepper.model.actuator_ctrllimited, dtype=bool)
        self.centre: Floats = np.where(bounded, (self.low + self.high) / 2, 0.0)
        self.half: Floats = np.where(bounded, (self.high - self.low) / 2, 1.0)
        bound = (self.high - self.centre) / self.half
        super().__init__(environment, action_space=Box(-bound.astype(np.float32), bound.astype(np.float32)))

    def reset(self) -> Floats:
        return np.asarray(self.venv.reset())

    def step_async(self, actions: NDArray[Any]) -> None:
        self.venv.step_async(self.centre + self.half * np.asarray(actions, dtype=np.float64))

    def step_wait(self) -> Any:
        return self.venv.step_wait()


class _History(BaseCallback):  # type: ignore[misc]
    """Remembers the returns of the episodes that ended before each update."""

    def __init__(self, progress: Callable[[int, float], None] | None) -> None:
        super().__init__()
        self.progress = progress
        self.returns: list[float] = []
        self.episodes = self.diverged = 0
        self._ended: list[float] = []

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "episode" in info:
                self.episodes += 1
                self.diverged += info["diverged"]
                if not info["diverged"]:
                    self._ended.append(info["episode"]["r"])
        return True

    def _on_rollout_end(self) -> None:
        self.returns.append(float(np.mean(self._ended)) if self._ended else math.nan)
        self._ended = []
        if self.progress is not None:
            self.progress(len(self.returns), self.returns[-1])


def _algorithm(environment: VecNormalize, settings: PPO, seed: int) -> Any:
    """Stable-Baselines3's PPO with our settings, on the CPU, silent."""
    layers = list(settings.hidden)
    algorithm = stable_baselines3.PPO(
        "MlpPolicy",
        environment,
        learning_rate=settings.learning_rate,
        n_steps=settings.steps_per_update,
        batch_size=settings.minibatch,
        n_epochs=settings.epochs,
        gamma=settings.discount,
        gae_lambda=settings.gae_lambda,
        clip_range=settings.clip_range,
        ent_coef=settings.entropy_coefficient,
        vf_coef=settings.value_coefficient,
        max_grad_norm=settings.gradient_norm,
        policy_kwargs={
            "net_arch": {"pi": layers, "vf": layers},
            "activation_fn": torch.nn.Tanh,
            "log_std_init": math.log(settings.initial_deviation),
        },
        seed=seed,
        device="cpu",
    )
    algorithm.set_logger(Logger(folder=None, output_formats=[]))  # its own would leave a folder behind
    return algorithm


def _network(policy: Any, environment: VecNormalize, unit: _UnitActions) -> MlpPolicy:
    """The mean of a policy's actions, with the normalisation before it and the actuators' ranges behind it."""
    layers = [layer for layer in policy.mlp_extractor.policy_net if isinstance(layer, torch.nn.Linear)]
    layers.append(policy.action_net)
    weights = [layer.weight.detach().numpy().astype(np.float64) for layer in layers]
    biases = [layer.bias.detach().numpy().astype(np.float64) for layer in layers]
    weights[-1] = unit.half[:, None] * weights[-1]
    biases[-1] = unit.half * biases[-1] + unit.centre
    moments = environment.obs_rms
    scale = np.sqrt(moments.var + environment.epsilon)
    clip = float(environment.clip_obs)
    return MlpPolicy(tuple(weights), tuple(biases), moments.mean.copy(), scale, unit.low, unit.high, clip)


def _is_finite(policy: Any) -> bool:
    """Whether every weight is a number."""
    return all(bool(torch.isfinite(weight).all()) for weight in policy.parameters())


@contextmanager
def _own_randomness() -> Iterator[None]:
    """Within the block torch runs on one thread; after it the global random states are what they were.

    Stable-Baselines3 seeds those of Python, numpy and torch.
    """
    states = random.getstate(), np.random.get_state(), torch.get_rng_state(), torch.get_num_threads()  # noqa: NPY002
    torch.set_num_threads(1)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.set_rng_state(states[2])
        torch.set_num_threads(states[3])
