"""Tasks: starts, observations, rewards and ends of episodes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.arrays import Floats

if TYPE_CHECKING:
    import mujoco

Carry = tuple[Floats, ...]
"""The memory of a task's sensors: arrays whose first axis is the simulations."""

SimulationIndex = slice | NDArray[np.intp]
"""Some simulations of a batch; a slice where it is all of them, which numpy reads without copying."""

FrameIndex = int | NDArray[np.int64]
"""One frame for all simulations, or one for each."""


@dataclass(frozen=True)
class State:
    """The states of n simulations.

    Attributes:
        qpos: (n, nq) generalized positions.
        qvel: (n, nv) generalized velocities.
        derived: (n, ...) the other MjData fields that the task asked for, by name.
    """

    qpos: Floats
    qvel: Floats
    derived: Mapping[str, Floats] = field(default_factory=dict)


class Task(ABC):
    """A task on one model, vectorised over simulations.

    Attributes:
        name: its name.
        sensors: names of the d observed channels.
        steps: control steps after which an episode ends at the latest.
        derived: MjData fields, besides qpos and qvel, that the task reads.
        fresh: whether derived fields are computed at the new state after a step; otherwise they are as
            ``mj_step`` leaves them, one substep behind the state (as Gymnasium's environments read them).
        remembers: whether an observation depends on more than the state; then `observe_stateful` makes it.
    """

    name: str
    sensors: tuple[str, ...]
    steps: int
    derived: tuple[str, ...] = ()
    fresh: bool = False
    remembers: bool = False

    @abstractmethod
    def start(self, model: mujoco.MjModel, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Draw the start of one episode: qpos (nq,) and qvel (nv,)."""

    @abstractmethod
    def observe(self, state: State) -> Floats:
        """Return the observations without noise, (n, d)."""

    def initial_carry(self, n: int, state: State, generators: Sequence[np.random.Generator]) -> Carry:
        """Return the memory of the sensors at the start of n episodes, before the first observation.

        Args:
            n: episodes.
            state: where they start.
            generators: n generators for the draws of the memory; empty where the task `remembers` nothing.
        """
        return ()

    def observe_stateful(self, state: State, carry: Carry) -> tuple[Floats, Carry]:
        """Return the observations without noise, (n, d), and the new memory.

        Called once for the start and once after every control step; `carry` is not changed.
        """
        return self.observe(state), carry

    @abstractmethod
    def reward(self, before: State, after: State, action: Floats, seconds: float) -> Floats:
        """Return the rewards of a control step of `seconds`, (n,); `before` has no derived fields."""

    @abstractmethod
    def terminated(self, state: State) -> NDArray[np.bool_]:
        """Return whether the episode ends in each state, (n,)."""
