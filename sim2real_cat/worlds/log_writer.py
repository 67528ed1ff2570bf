"""Write trajectories to a Parquet file a part at a time; `recordings` says what the file holds."""

from __future__ import annotations

import hashlib
import json
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sim2real_cat.errors import ExchangeError, WorldError
from sim2real_cat.files import replacing
from sim2real_cat.worlds.trajectories import Array, Trajectories

KEY = b"sim2real_cat"
NOTES = b"sim2real_cat.notes"
VERSION = 2

_FRAMES = 1 << 16
"""Frames that fill a row group, which is what a writer holds back and what a reader of one episode has to decode."""

_REPEATING = ("member_index", "policy", "reason")
"""Columns of few values; a dictionary of any other would only be thrown away."""


class LogWriter:
    """A Parquet file of trajectories that is written whole or not at all, in memory that does not grow with it.

    The file depends on the episodes and not on how they were cut into parts: a row group ends with the episode that
    fills it.

    Args:
        path: the file; it appears, or is replaced, when the block ends well.

    Attributes:
        digest: SHA-256 of the file, once it is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.digest = ""
        self._stack = ExitStack()
        self._first: Trajectories | None = None
        self._notes: list[str] = []
        self._episodes = 0
        self._pending: list[pa.Table] = []
        self._frames = 0

    def __enter__(self) -> LogWriter:
        try:
            self._temporary = self._stack.enter_context(replacing(self.path))
        except OSError as error:
            raise ExchangeError(
                f"{self.path}: cannot be written ({error.strerror or error}); choose another place"
            ) from None
        return self

    def append(self, part: Trajectories) -> None:
        """Add the episodes of `part` after those that were added before.

        Raises:
            WorldError: they come from another robot than the first ones.
        """
        if self._first is None:
            self._first = part.select(np.zeros(0, dtype=np.intp))
            head = {
                "version": VERSION,
                "sensors": part.sensors,
                "actuators": part.actuators,
                "control_period": part.control_period,
            }
            text = json.dumps(head, separators=(",", ":")).encode()
            schema = _table(self._first, slice(0, 0), 0).schema.with_metadata({KEY: text})
            self._file = self._stack.enter_context(
                pq.ParquetWriter(
                    self._temporary,
                    schema,
                    compression="zstd",
                    use_dictionary=list(_REPEATING),
                    write_page_checksum=True,
                )
            )
        _check_same_robot(self._first, part)
        self._notes += [note for note in part.notes if note not in self._notes]
        begin = 0
        for end, frames in enumerate(part.lengths + 1, start=1):
            self._frames += int(frames)
            if self._frames >= _FRAMES:
                self._hold(part, begin, end)
                self._flush()
                begin = end
        self._hold(part, begin, len(part))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._stack.__exit__(kind, error, trace)
            return
        with self._stack:
            if self._first is None:
                raise ExchangeError(f"{self.path}: nothing was recorded, so there is no log to write")
            self._flush()
            if self._notes:
                self._file.add_key_value_metadata({NOTES: json.dumps(self._notes).encode()})
            self._file.close()
            with self._temporary.open("rb") as written:
                self.digest = hashlib.file_digest(written, "sha256").hexdigest()

    def _hold(self, part: Trajectories, begin: int, end: int) -> None:
        if end > begin:
            self._pending.append(_table(part, slice(begin, end), self._episodes))
            self._episodes += end - begin

    def _flush(self) -> None:
        """Write what is held back as one row group."""
        if self._pending:
            group = pa.concat_tables(self._pending).combine_chunks()
            self._file.write_table(group.replace_schema_metadata(self._file.schema.metadata), row_group_size=len(group))
        self._pending, self._frames = [], 0


def _check_same_robot(one: Trajectories, other: Trajectories) -> None:
    for name in ("sensors", "actuators", "control_period"):
        if getattr(one, name) != getattr(other, name):
            raise WorldError(f"one log holds one robot: {name} {getattr(one, name)} and {getattr(other, name)} differ")
    for name in ("qpos", "qvel"):
        widths = getattr(one, name).shape[2], getattr(other, name).shape[2]
        if widths[0] != widths[1]:
            raise WorldError(f"one log holds one robot: {name} of {widths[0]} and of {widths[1]} coordinates differ")


def _table(part: Trajectories, rows: slice, number: int) -> pa.Table:
    """The frames of some episodes, the first of which is number `number` of the file."""
    lengths = part.lengths[rows]
    starts = np.cumsum(lengths + 1) - (lengths + 1)
    local = np.repeat(np.arange(len(lengths)), lengths + 1)
    frame = np.arange(len(local)) - starts[local]
    acted = frame < lengths[local]
    done = (frame == lengths[local] - 1) & part.terminated[rows][local]
    episode = local + rows.start
    policies = pa.array(part.policies[rows], pa.string())
    reasons = pa.array(part.reasons[rows] or [None] * len(lengths), pa.string())
    return pa.table(
        {
            "episode_index": pa.array(local + number, pa.int64()),
            "frame_index": pa.array(frame, pa.int64()),
            "timestamp": pa.array(frame * part.control_period, pa.float64()),
            "member_index": pa.array(part.member_index[episode], pa.int64()),
            "policy": policies.take(pa.array(local)),
            "observation.state": _lists(part.observations[episode, frame]),
            "action": _lists(_acted_rows(part.actions, episode, frame, acted), ~acted),
            "next.reward": pa.array(_acted_rows(part.rewards, episode, frame, acted), mask=~acted),
            "next.done": pa.array(done, mask=~acted),
            "diverged": pa.array(part.diverged[episode]),
            "reason": reasons.take(pa.array(local)),
            "physics.qpos": _lists(part.qpos[episode, frame]),
            "physics.qvel": _lists(part.qvel[episode, frame]),
        }
    )


def _acted_rows(values: Array, episode: NDArray[np.int64], frame: NDArray[np.int64], acted: NDArray[np.bool_]) -> Array:
    """The values of each frame, NaN on the frames in which nobody acted."""
    rows = np.full((len(episode), *values.shape[2:]), np.nan)
    rows[acted] = values[episode[acted], frame[acted]]
    return rows


def _lists(rows: Array, missing: NDArray[np.bool_] | None = None) -> pa.Array:
    """Rows of a matrix as an Arrow array of fixed-size lists, null where missing; a matrix without columns is null."""
    if not rows.shape[1]:
        return pa.nulls(len(rows))
    mask = None if missing is None else pa.array(missing)
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1], mask=mask)
