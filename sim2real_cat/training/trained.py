"""Trained policies: the part that the results of all trainers share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from sim2real_cat.arrays import Floats
from sim2real_cat.policies.policy import Policy

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
        trainer: the algorithm.
    """

    policy: Policy
    birth: Policy
    returns: Floats
    episodes: int
    steps: int
    trainer: ClassVar[Trainer]

    @property
    def entropy_coefficient(self) -> float | None:
        """Weight of the entropy of the actions in the loss; None where the algorithm has no such term."""
        return None
