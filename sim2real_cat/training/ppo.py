"""Proximal policy optimization in a randomized world (extra ``rl``): settings and result.

Source: J. Schulman and others, "Proximal Policy Optimization Algorithms", arXiv 1707.06347, as implemented by
Stable-Baselines3; advantages by J. Schulman and others, "High-Dimensional Continuous Control Using Generalized
Advantage Estimation", arXiv 1506.02438.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import PolicyError
from sim2real_cat.policies.mlp import MlpPolicy
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.world import World


@dataclass(frozen=True)
class PPO:
    """The settings of proximal policy optimization.

    Observations are normalised by running moments and cut at ±10, rewards by the running deviation of the discounted
    return, and the network answers in [-1, 1] of every actuator's range. What is not said here is as
    Stable-Baselines3 has it.

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
class PPOTraining:
    """What training left: the policy, the one before it, and how the return grew.

    Attributes:
        policy: the trained policy, the mean of its action distribution; needs numpy alone.
        birth: the policy before any training.
        returns: (updates,) mean return of the episodes that ended before each update, exploration and all; NaN where
            none ended.
        deviation: (nu,) standard deviation of the actions at the end of training, in the units of the controls; the
            entropy of their distribution is ``Σ log(deviation) + nu/2 · log(2 π e)``.
        episodes: episodes that ended.
        steps: control steps simulated.
        diverged: episodes whose simulation blew up; they are not in `returns`.
        settings: how it was trained.
    """

    policy: MlpPolicy
    birth: MlpPolicy
    returns: Floats
    deviation: Floats
    episodes: int
    steps: int
    diverged: int
    settings: PPO

    @property
    def trainer(self) -> str:
        """Name of the algorithm."""
        return "ppo"

    @property
    def entropy_coefficient(self) -> float:
        """Weight of the entropy in the loss."""
        return self.settings.entropy_coefficient


def train_ppo(
    world: World,
    settings: PPO,
    *,
    rng: np.random.Generator | int,
    fibre: Ensemble | None = None,
    threads: int = 0,
    progress: Callable[[int, float], None] | None = None,
) -> PPOTraining:
    """Train a network in a world, over every member of its randomized fibre.

    The same seed gives the same weights on the same machine and version of torch, at any number of physics threads;
    torch itself uses one. Global random states are left as they were.

    Args:
        world: model, task, sensors.
        settings: how to train.
        rng: a generator, or a seed for one.
        fibre: the randomized worlds; the world as it is where none is given.
        threads: physics threads; 0 means one per available core.
        progress: called before every update with its number and the mean return of the episodes that ended.

    Raises:
        WorldError: an ensemble that does not fit the world.
        PolicyError: stable-baselines3 is not installed, or the weights became NaN.
    """
    from sim2real_cat.training.ppo_learning import learn

    return learn(world, settings, np.random.default_rng(rng), fibre, threads, progress)
