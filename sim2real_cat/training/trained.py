"""The result of a training, as far as all trainers share it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from sim2real_cat.arrays import Floats
from sim2real_cat.policies.policy import Policy
from sim2real_cat.worlds.randomization.ensemble import Ensemble

Trainer = Literal["random-search", "ppo"]
"""The name of an algorithm that trains policies."""


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained policy, the policy before its training, and how the return grew.

    Attributes:
        policy: the trained policy.
        birth: the policy before any training.
        returns: (updates,) mean return of the episodes of each update.
        episodes: episodes simulated.
        steps: control steps simulated.
        fibre: the worlds in which it trained; with a curriculum, those of its last level.
        trainer: the algorithm.
    """

    policy: Policy
    birth: Policy
    returns: Floats
    episodes: int
    steps: int
    fibre: Ensemble
    trainer: ClassVar[Trainer]

    @property
    def entropy_coefficient(self) -> float | None:
        """Weight of the entropy of the actions in the loss; None where the algorithm has no such term."""
        return None
