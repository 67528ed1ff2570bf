"""The record of running episodes, in memory that grows with the longest of them."""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.arrays import Floats
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.worlds.tasks.task import SimulationIndex, State

_BLOCK = 32
"""Frames per block: short episodes waste little, and the numbers of one step lie together in memory."""

_STEPWISE = ("actions", "rewards")
"""Arrays with one entry per control step; the others have one more, for the last state."""


class EpisodeRecord:
    """The record of n episodes that run side by side.

    Observations are written to the room that is given. Of the rest, a block of frames is made when the first episode
    reaches it.

    Args:
        room: (n, steps + 1, d) an array that becomes the record of observations; frames not yet recorded stay as they
            are, so it may hold the sensors' noise until it is read.
        nu: actions per step.
        start: the states at step 0.
        readings: (n, d) readings of the sensors at step 0.

    Attributes:
        observations: (n, steps + 1, d) the room.
        lengths: (n,) control steps recorded of each episode.
        terminated: (n,) whether the task ended the episode.
        diverged: (n,) whether the simulation blew up.
    """

    def __init__(self, room: Floats, nu: int, start: State, readings: Floats) -> None:
        n = len(room)
        self.observations = room
        self._shapes = {"actions": (nu,), "rewards": (), "qpos": start.qpos.shape[1:], "qvel": start.qvel.shape[1:]}
        self._blocks: dict[str, list[Floats]] = {name: [] for name in self._shapes}
        self.lengths = np.zeros(n, dtype=np.int64)
        self.terminated = np.zeros(n, dtype=bool)
        self.diverged = np.zeros(n, dtype=bool)
        self._frame(slice(None), 0, start, readings)

    def __len__(self) -> int:
        return len(self.lengths)

    def state(self, rows: SimulationIndex, step: int) -> State:
        """Return the recorded states before a step, without derived fields."""
        return State(self._at("qpos", step)[rows], self._at("qvel", step)[rows])

    def step(
        self, rows: SimulationIndex, step: int, action: Floats, reward: Floats, after: State, readings: Floats
    ) -> None:
        """Record one control step of some episodes, and the readings after it."""
        self._at("actions", step)[rows] = action
        self._at("rewards", step)[rows] = reward
        self.lengths[rows] = step + 1
        self._frame(rows, step + 1, after, readings)

    def blank(self, row: int) -> None:
        """Forget the start of an episode that never began."""
        self.observations[row, 0] = self._at("qpos", 0)[row] = self._at("qvel", 0)[row] = np.nan

    def finish(self) -> EpisodeRecord:
        """Free the memory that no episode needed; return the record itself."""
        needed = int(self.lengths.max(initial=0)) + 1
        if needed < self.observations.shape[1]:
            self.observations = self.observations[:, :needed].copy()
        return self

    def move(self, name: str, out: Floats) -> None:
        """Move one array of the record to `out`, (n, frames, ...), blank past the end of each episode."""
        if name == "observations":
            room, self.observations = self.observations, np.empty((0, 0, 0))
            if not np.may_share_memory(room, out):
                out[:, : room.shape[1]] = room[:, : out.shape[1]]
        else:
            blocks, self._blocks[name] = self._blocks[name], []
            for first in range(0, min(out.shape[1], _BLOCK * len(blocks)), _BLOCK):
                into = out[:, first : first + _BLOCK]
                into[:] = blocks.pop(0)[: into.shape[1]].swapaxes(0, 1)
        recorded = self.lengths + (name not in _STEPWISE)
        out[np.arange(out.shape[1]) >= recorded[:, None]] = np.nan

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of one frame of every array of the record."""
        return {"observations": self.observations.shape[2:], **self._shapes}

    def _frame(self, rows: SimulationIndex, frame: int, state: State, readings: Floats) -> None:
        if frame == _BLOCK * len(self._blocks["qpos"]):
            for name, shape in self._shapes.items():
                self._blocks[name].append(_mapped((_BLOCK, len(self), *shape)))
        self.observations[rows, frame] = readings
        self._at("qpos", frame)[rows], self._at("qvel", frame)[rows] = state.qpos, state.qvel

    def _at(self, name: str, frame: int) -> Floats:
        """Return one frame of all episodes, (n, ...)."""
        return np.asarray(self._blocks[name][frame // _BLOCK][frame % _BLOCK])


def _mapped(shape: tuple[int, ...]) -> Floats:
    """Return an array whose memory goes back to the system when it is dropped.

    Memory that is allocated in small pieces stays with the process, so that a record would count twice once copied.
    """
    size = math.prod(shape)
    return np.frombuffer(mmap.mmap(-1, max(8 * size, 1)), dtype=np.float64, count=size).reshape(shape)


def _shared_room(records: Sequence[EpisodeRecord]) -> Floats:
    """Return the array that the rooms of all records are parts of; an empty one where they share none."""
    first = records[0].observations
    whole = first if first.base is None else first.base
    shared = all(record.observations.base is whole for record in records[1:])
    return whole if shared and isinstance(whole, np.ndarray) else np.empty((0, 0, 0))


def join_records(
    records: Sequence[EpisodeRecord],
    member_index: NDArray[np.int64],
    name: str,
    sensors: tuple[str, ...],
    actuators: tuple[str, ...],
    control_period: float,
) -> Trajectories:
    """Return all that was recorded, one record after the other, cut to the longest episode.

    The records release their memory while it is copied, so that hardly more is needed than for the result; they are
    empty afterwards. Observations are not copied where the records' rooms make up one array and all of it is used.
    """
    ends = np.cumsum([len(record) for record in records])
    lengths = np.concatenate([record.lengths for record in records])
    longest = int(lengths.max(initial=0))
    arrays: dict[str, Floats] = {}
    room = _shared_room(records)
    for array, shape in records[0].shapes().items():
        size = (len(lengths), longest + (array not in _STEPWISE), *shape)
        arrays[array] = room if array == "observations" and room.shape == size else np.empty(size)
        for record, end in zip(records, ends, strict=True):
            record.move(array, arrays[array][end - len(record) : end])
    return Trajectories(
        observations=arrays["observations"],
        actions=arrays["actions"],
        rewards=arrays["rewards"],
        qpos=arrays["qpos"],
        qvel=arrays["qvel"],
        lengths=lengths,
        terminated=np.concatenate([record.terminated for record in records]),
        diverged=np.concatenate([record.diverged for record in records]),
        member_index=member_index,
        policies=(name,) * len(lengths),
        sensors=sensors,
        actuators=actuators,
        control_period=control_period,
    )
