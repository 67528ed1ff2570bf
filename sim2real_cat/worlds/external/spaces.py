"""Gymnasium's spaces as columns of numbers: a Box of observations, a Box or a Discrete space of actions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import PolicyError, WorldError, one_line
from sim2real_cat.worlds.external.world import channels


class ActionColumns(ABC):
    """How the nu columns of an action become what an environment steps with."""

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """The nu names."""

    @property
    @abstractmethod
    def answers(self) -> tuple[int, ...]:
        """See `ExternalWorld.answers`."""

    @abstractmethod
    def taken(self, answer: Floats, place: Callable[[int], str]) -> Floats:
        """See `ExternalWorld.taken`."""

    @abstractmethod
    def native(self, actions: Floats) -> NDArray[Any]:
        """Actions (k, nu) as k of the environment's own, in its own shape and type."""


@dataclass(frozen=True)
class BoxColumns(ActionColumns):
    """A Box, flattened in row-major order. Bounds are left to the environment, as Gymnasium leaves them."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def names(self) -> tuple[str, ...]:
        return channels("action", self.shape)

    @property
    def answers(self) -> tuple[int, ...]:
        return (len(self.names),)

    def taken(self, answer: Floats, place: Callable[[int], str]) -> Floats:
        whole = np.issubdtype(self.dtype, np.integer)
        if whole and (answer != np.round(answer)).any():
            row, column = np.argwhere(answer != np.round(answer))[0]
            raise PolicyError(
                f"the policy answered {answer[row, column]} for '{self.names[column]}' {place(row)}, which takes whole "
                f"numbers ({self.dtype})"
            )
        return answer.astype(self.dtype).astype(np.float64)

    def native(self, actions: Floats) -> NDArray[Any]:
        return actions.reshape(len(actions), *self.shape).astype(self.dtype)


@dataclass(frozen=True)
class ChoiceColumns(ActionColumns):
    """A Discrete space: one column, the number of the choice.

    A policy answers that number, or one score for every choice, of which the highest is taken, the first of
    several.
    """

    start: int
    count: int

    @property
    def names(self) -> tuple[str, ...]:
        return ("choice",)

    @property
    def answers(self) -> tuple[int, ...]:
        return (1, self.count) if self.count > 1 else (1,)

    def taken(self, answer: Floats, place: Callable[[int], str]) -> Floats:
        if answer.shape[1] > 1:
            return np.asarray(self.start + answer.argmax(axis=1)[:, None], dtype=np.float64)
        last = self.start + self.count - 1
        wrong = (answer != np.round(answer)) | (answer < self.start) | (answer > last)
        if wrong.any():
            row = int(np.argmax(wrong[:, 0]))
            raise PolicyError(
                f"the policy answered {answer[row, 0]} {place(row)}, which takes a whole number from {self.start} to "
                f"{last}, or {self.count} scores of which the highest counts"
            )
        return answer

    def native(self, actions: Floats) -> NDArray[Any]:
        return actions[:, 0].astype(np.int64)


def action_columns(space: gymnasium.Space[Any], world: str) -> ActionColumns:
    """The columns of an action space.

    Raises:
        WorldError: a space that is neither Box nor Discrete.
    """
    if isinstance(space, gymnasium.spaces.Box):
        return BoxColumns(tuple(space.shape), np.dtype(space.dtype))
    if isinstance(space, gymnasium.spaces.Discrete):
        return ChoiceColumns(int(space.start), int(space.n))
    raise WorldError(
        f"world '{world}' has the action space {_short(space)}; a policy needs a Box or a Discrete space: wrap the "
        "environment in one of Gymnasium's TransformAction wrappers"
    )


def observation_columns(space: gymnasium.Space[Any], world: str) -> tuple[str, ...]:
    """Names for the d channels of an observation space, flattened in row-major order.

    Raises:
        WorldError: a space that is no Box.
    """
    if isinstance(space, gymnasium.spaces.Box):
        return channels("observation", tuple(space.shape))
    raise WorldError(
        f"world '{world}' has the observation space {_short(space)}; sensors need a Box: wrap the environment in "
        "gymnasium.wrappers.FlattenObservation"
    )


def _short(space: gymnasium.Space[Any]) -> str:
    """A space in at most a line."""
    text = one_line(space)
    return text if len(text) <= 120 else f"{text[:117]}..."
