"""The arrays that a rollout fills in step by step."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.worlds.task import Array, State
from sim2real_cat.worlds.trajectories import Trajectories

Rows = slice | NDArray[np.intp]


class Recorder:
    """Room for n episodes of at most `steps` control steps.

    Args:
        room: (n, steps + 1, d) an array that becomes the record of observations; frames not yet recorded stay as they
            are, so it may hold the sensors' noise until it is read.
        nu: actions per step.
        start: the states at step 0.
        readings: (n, d) what the sensors read at step 0.
    """

    def __init__(self, room: Array, nu: int, start: State, readings: Array) -> None:
        n, frames = room.shape[:2]
        self.observations = room
        self.actions = np.full((n, frames - 1, nu), np.nan)
        self.rewards = np.full((n, frames - 1), np.nan)
        self.qpos = np.full((n, frames, start.qpos.shape[1]), np.nan)
        self.qvel = np.full((n, frames, start.qvel.shape[1]), np.nan)
        self.lengths = np.zeros(n, dtype=np.int64)
        self.terminated = np.zeros(n, dtype=bool)
        self.diverged = np.zeros(n, dtype=bool)
        self._frame(slice(None), 0, start, readings)

    def state(self, rows: Rows, step: int) -> State:
        """The recorded states before a step, without derived fields."""
        return State(self.qpos[rows, step], self.qvel[rows, step])

    def step(self, rows: Rows, step: int, action: Array, reward: Array, after: State, readings: Array) -> None:
        """Record what one control step did in some episodes, and what the sensors read then."""
        self.actions[rows, step] = action
        self.rewards[rows, step] = reward
        self.lengths[rows] = step + 1
        self._frame(rows, step + 1, after, readings)

    def trajectories(
        self,
        member_index: NDArray[np.int64],
        name: str,
        sensors: tuple[str, ...],
        actuators: tuple[str, ...],
        control_period: float,
    ) -> Trajectories:
        """What was recorded, cut to the longest episode and blank past the end of each."""
        past = np.arange(self.observations.shape[1]) > self.lengths[:, None]
        self.observations[past] = np.nan
        longest = int(self.lengths.max(initial=0))
        return Trajectories(
            observations=self.observations[:, : longest + 1],
            actions=self.actions[:, :longest],
            rewards=self.rewards[:, :longest],
            qpos=self.qpos[:, : longest + 1],
            qvel=self.qvel[:, : longest + 1],
            lengths=self.lengths,
            terminated=self.terminated,
            diverged=self.diverged,
            member_index=member_index,
            policies=(name,) * len(self.lengths),
            sensors=sensors,
            actuators=actuators,
            control_period=control_period,
        )

    def _frame(self, rows: Rows, frame: int, state: State, readings: Array) -> None:
        self.observations[rows, frame] = readings
        self.qpos[rows, frame], self.qvel[rows, frame] = state.qpos, state.qvel
