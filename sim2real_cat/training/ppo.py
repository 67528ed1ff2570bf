"""Proximal policy optimization in a randomized world, by Stable-Baselines3 (extra ``rl``).

Source: J. Schulman and others, "Proximal Policy Optimization Algorithms", arXiv 1707.06347, as implemented by
Stable-Baselines3; advantages by J. Schulman and others, "High-Dimensional Continuous Control Using Generalized
Advantage Estimation", arXiv 1506.02438.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import PolicyError
from sim2real_cat.linear_algebra import on_one_thread
from sim2real_cat.policies.mlp import MlpPolicy
from sim2real_cat.training.trained import Trained, Trainer
from sim2real_cat.worlds.randomization.ensemble import Ensemble, fibre_or_nominal
from sim2real_cat.worlds.world import World

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecNormalize

    from sim2real_cat.training.vector_env import UnitActions


@dataclass(frozen=True)
class PPO:
    """The settings of proximal policy optimization.

    Observations are normalised by running moments and cut at ±10, rewards by the running deviation of the discounted
    return, and the network answers in [-1, 1] of every actuator's range. All else is Stable-Baselines3's default.

    Attributes:
        total_steps: control steps to simulate, in all environments together; the last update is completed.
        entropy_coefficient: weight of the entropy of the action distribution in the loss; 0.01 as in ksim.
        learning_rate: of Adam.
        environments: simulations that step together; rounded up so that every world of the fibre has equally many.
        steps_per_update: control steps of each environment between two updates.
        minibatch: transitions per gradient step; divides `steps_per_update`.
        epochs: passes over the transitions of an update.
        discount: gamma, per control step.
        gae_lambda: lambda of generalized advantage estimation.
        clip_range: epsilon, how far the ratio of probabilities may move.
        value_coefficient: weight of the value function in the loss.
        gradient_norm: largest norm of a gradient.
        hidden: widths of the tanh layers, of the policy and of the value function.
        initial_deviation: standard deviation of the actions at birth, where 1 is half an actuator's range.
        episode_steps: control steps after which an episode is truncated; the task's own number where it is None.
    """

    total_steps: int
    entropy_coefficient: float = 0.01
    learning_rate: float = 3e-4
    environments: int = 8
    steps_per_update: int = 256
    minibatch: int = 64
    epochs: int = 10
    discount: float = 0.99
    gae_lambda: float = 0.95
    clip_range: float = 0.2
    value_coefficient: float = 0.5
    gradient_norm: float = 0.5
    hidden: tuple[int, ...] = (64, 64)
    initial_deviation: float = 1.0
    episode_steps: int | None = None

    def __post_init__(self) -> None:
        counts = ("total_steps", "environments", "steps_per_update", "epochs")
        positive = ("learning_rate", "clip_range", "gradient_norm", "initial_deviation")
        for name in counts:
            if getattr(self, name) < 1:
                raise PolicyError(f"PPO needs {name} >= 1, got {getattr(self, name)}")
        for name in positive:
            if not 0 < getattr(self, name) < math.inf:
                raise PolicyError(f"PPO needs a finite {name} > 0, got {getattr(self, name)}")
        for name in ("entropy_coefficient", "value_coefficient"):
            if not 0 <= getattr(self, name) < math.inf:
                raise PolicyError(f"PPO needs a finite {name} >= 0, got {getattr(self, name)}")
        for name in ("discount", "gae_lambda"):
            if not 0 <= getattr(self, name) <= 1:
                raise PolicyError(f"PPO needs {name} in [0, 1], got {getattr(self, name)}")
        if self.minibatch < 2 or self.steps_per_update % self.minibatch:
            raise PolicyError(
                f"PPO needs a minibatch of 2 or more that divides steps_per_update, got {self.minibatch} and "
                f"{self.steps_per_update}"
            )
        if not self.hidden or min(self.hidden) < 1:
            raise PolicyError(f"PPO needs at least one hidden layer, and widths >= 1, got {self.hidden}")
        if self.episode_steps is not None and self.episode_steps < 1:
            raise PolicyError(f"PPO needs episode_steps >= 1, got {self.episode_steps}")


@dataclass(frozen=True, eq=False)
class PPOTraining(Trained):
    """A network trained by proximal policy optimization, with the attributes of `Trained`.

    Attributes:
        policy: the trained policy, the mean of its action distribution; needs numpy alone.
        returns: (updates,) mean return of the episodes that ended before each update, with exploration; NaN where none
            ended.
        episodes: episodes that ended.
        deviation: (nu,) standard deviation of the actions at the end of training, in the units of the controls; the
            entropy of their distribution is ``Σ log(deviation) + nu/2 · log(2 π e)``.
        diverged: episodes whose simulation blew up; they are not in `returns`.
        settings: the settings of the training.
    """

    policy: MlpPolicy
    birth: MlpPolicy
    deviation: Floats
    diverged: int
    settings: PPO
    trainer: ClassVar[Trainer] = "ppo"

    @property
    def entropy_coefficient(self) -> float:
        """Weight of the entropy of the actions in the loss."""
        return self.settings.entropy_coefficient


def train_ppo(
    world: World,
    settings: PPO,
    *,
    rng: np.random.Generator | int = 0,
    fibre: Ensemble | None = None,
    threads: int = 0,
    progress: Callable[[int, float], None] | None = None,
) -> PPOTraining:
    """Train a network in a world, over every member of its randomized fibre.

    The same seed gives the same weights on the same machine and version of torch, at any number of physics threads;
    torch itself uses one. Global random states are left as they were.

    Args:
        world: model, task, sensors.
        settings: the settings of the training.
        rng: a generator, or a seed for one.
        fibre: the randomized worlds; the world as it is where none is given.
        threads: physics threads; 0 means one per available core.
        progress: called before every update with its number and the mean return of the episodes that ended.

    Raises:
        WorldError: an ensemble that does not fit the world.
        PolicyError: stable-baselines3 is not installed, or the weights became NaN.
    """
    from sim2real_cat.training.vector_env import EpisodeReturns, UnitActions, VectorEnv

    rng = np.random.default_rng(rng)
    fibre = fibre_or_nominal(fibre)
    environment = VectorEnv(
        world,
        rng=rng,
        fibre=fibre,
        environments=settings.environments,
        steps=settings.episode_steps,
        threads=threads,
    )  # which says what to install where Stable-Baselines3 is missing, so this import comes after
    from stable_baselines3.common.vec_env import VecNormalize

    unit = UnitActions(environment)
    normalised = VecNormalize(unit, gamma=settings.discount)
    history = EpisodeReturns(progress)
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
        fibre=fibre,
        diverged=history.diverged,
        settings=settings,
    )


def _algorithm(environment: VecNormalize, settings: PPO, seed: int) -> Any:
    """Make Stable-Baselines3's PPO with our settings, on the CPU, silent."""
    import stable_baselines3
    import torch
    from stable_baselines3.common.logger import Logger

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


def _network(policy: Any, environment: VecNormalize, unit: UnitActions) -> MlpPolicy:
    """Return the mean of a policy's actions, with the normalisation before and the actuators' ranges after it."""
    import torch

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
    """Return whether every weight is finite."""
    import torch

    return all(bool(torch.isfinite(weight).all()) for weight in policy.parameters())


@contextmanager
def _own_randomness() -> Iterator[None]:
    """Run torch on one thread within the block, and restore the global random states after it.

    Stable-Baselines3 seeds those of Python, numpy and torch.
    """
    import torch

    states = random.getstate(), np.random.get_state(), torch.get_rng_state(), torch.get_num_threads()  # noqa: NPY002
    torch.set_num_threads(1)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.set_rng_state(states[2])
        torch.set_num_threads(states[3])
