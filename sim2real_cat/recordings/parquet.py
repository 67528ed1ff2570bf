"""Trajectories as Parquet files: one row per frame, with the column names of LeRobot v3.

The columns are ``episode_index``, ``frame_index``, ``timestamp`` [s], ``observation.state`` (fixed-size list of d),
``action`` (fixed-size list of nu), ``next.reward``, ``next.done``, and ours: ``member_index``, ``policy``,
``diverged``, ``reason`` (the same on all frames of an episode), ``physics.qpos``, ``physics.qvel``. The last frame of
an episode, where nobody acted any more, has no action, reward and done. The metadata hold the version, the names and
the control period under ``sim2real_cat`` and the notes under ``sim2real_cat.notes``. Episodes lie in order and a row
group ends with an episode, so that a reader finds some episodes by the statistics of ``episode_index``. Version 1 had
policies and divergence in the metadata; it is still read.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sim2real_cat.arrays import Bools, Floats
from sim2real_cat.errors import ExchangeError, one_line
from sim2real_cat.files import replacing
from sim2real_cat.recordings.trajectories import Trajectories, check_same_robot

_HEAD = b"sim2real_cat"
_NOTES = b"sim2real_cat.notes"
_VERSION = 2

_FRAMES = 1 << 16
"""Frames that fill a row group: a writer holds so many back, and a reader of one episode decodes so many."""

_REPEATING = ("member_index", "policy", "reason")
"""Columns of few values, which are stored with a dictionary."""


def write_log(path: str | Path, trajectories: Trajectories) -> str:
    """Write trajectories to a Parquet file, whole or not at all; return the SHA-256 of its bytes."""
    with TrajectoryWriter(Path(path)) as file:
        file.append(trajectories)
    return file.digest


class TrajectoryWriter:
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

    def __enter__(self) -> TrajectoryWriter:
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
                "version": _VERSION,
                "sensors": part.sensors,
                "actuators": part.actuators,
                "control_period": part.control_period,
            }
            text = json.dumps(head, separators=(",", ":")).encode()
            schema = _table(self._first, slice(0, 0), 0).schema.with_metadata({_HEAD: text})
            self._file = self._stack.enter_context(
                pq.ParquetWriter(
                    self._temporary,
                    schema,
                    compression="zstd",
                    use_dictionary=list(_REPEATING),
                    write_page_checksum=True,
                )
            )
        check_same_robot(self._first, part, "one log holds one robot")
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
                self._file.add_key_value_metadata({_NOTES: json.dumps(self._notes).encode()})
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


def _table(part: Trajectories, chosen: slice, number: int) -> pa.Table:
    """Return the frames of some episodes; the first of them becomes episode `number` of the file."""
    lengths = part.lengths[chosen]
    local, frame = np.nonzero(part.within()[chosen])
    acted = frame < lengths[local]
    done = (frame == lengths[local] - 1) & part.terminated[chosen][local]
    episode = local + chosen.start
    policies = pa.array(part.policies[chosen], pa.string())
    reasons = pa.array(part.reasons[chosen] or [None] * len(lengths), pa.string())
    return pa.table(
        {
            "episode_index": pa.array(local + number, pa.int64()),
            "frame_index": pa.array(frame, pa.int64()),
            "timestamp": pa.array(frame * part.control_period, pa.float64()),
            "member_index": pa.array(part.member_index[episode], pa.int64()),
            "policy": policies.take(pa.array(local)),
            "observation.state": _lists(part.observations[episode, frame]),
            "action": _lists(_by_frame(part.actions, episode, frame, acted), ~acted),
            "next.reward": pa.array(_by_frame(part.rewards, episode, frame, acted), mask=~acted),
            "next.done": pa.array(done, mask=~acted),
            "diverged": pa.array(part.diverged[episode]),
            "reason": reasons.take(pa.array(local)),
            "physics.qpos": _lists(part.qpos[episode, frame]),
            "physics.qvel": _lists(part.qvel[episode, frame]),
        }
    )


def _by_frame(values: Floats, episode: NDArray[np.int64], frame: NDArray[np.int64], acted: Bools) -> Floats:
    """Return the values of each frame, NaN on the frames in which nobody acted."""
    rows = np.full((len(episode), *values.shape[2:]), np.nan)
    rows[acted] = values[episode[acted], frame[acted]]
    return rows


def _lists(rows: Floats, missing: Bools | None = None) -> pa.Array:
    """Return the rows of a matrix as fixed-size lists, null where `missing`; all null for a matrix without columns."""
    if not rows.shape[1]:
        return pa.nulls(len(rows))
    mask = None if missing is None else pa.array(missing)
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1], mask=mask)


def read_trajectories(path: Path, episodes: slice | None = None) -> Trajectories:
    """Read a file that `write_log` or `rollout_to_parquet` wrote, whole or only some of its episodes.

    Args:
        path: the file.
        episodes: the episodes to read, as in ``slice(100, 200)``; all where none are given. The rest is not decoded.

    Raises:
        ExchangeError: the file is missing, truncated, or another tool's; or `episodes` is not a slice, or has a stride.
    """
    check_episodes(path, episodes)
    _refuse_foreign(path)
    with _opened(path) as file:
        return file.read(*_range(file, episodes))


def iterate_log(path: str | Path, episodes: slice | None = None) -> Iterator[Trajectories]:
    """Read a file of ours a part at a time, so that it need not fit in memory.

    A part is a row group: some 65,000 frames, or one episode where that is longer.

    Args:
        path: a file that `write_log` or `rollout_to_parquet` wrote.
        episodes: the episodes to read, as in `read_log`.

    Raises:
        ExchangeError: as `read_log`; of a part that is bad, when it is reached.
    """
    check_episodes(path, episodes)
    _refuse_foreign(Path(path))
    return _parts(Path(path), episodes)


def logged_actuators(table: pa.Table) -> tuple[str, ...]:
    """Return the actuators that the metadata of a file of ours names; () for the file of another tool."""
    try:
        head = json.loads((table.schema.metadata or {}).get(_HEAD, b"{}"))
        return tuple(map(str, head["actuators"]))
    except (ValueError, TypeError, KeyError):
        return ()


def check_episodes(path: str | Path, episodes: object) -> None:
    """Refuse a choice of episodes other than a slice.

    Raises:
        ExchangeError: it is something else, or a slice of texts or with a stride of 0.
    """
    try:
        if episodes is None or (isinstance(episodes, slice) and episodes.indices(0)):
            return
    except (TypeError, ValueError):
        pass
    raise ExchangeError(f"{path}: episodes is a slice, as slice(100, 110), got {episodes!r}")


def _parts(path: Path, episodes: slice | None) -> Iterator[Trajectories]:
    with _opened(path) as file:
        for part in file.parts(*_range(file, episodes)):
            yield file.read(*part)


def _range(file: _LogFile, episodes: slice | None) -> tuple[int, int]:
    first, end, stride = (slice(None) if episodes is None else episodes).indices(file.episodes)
    if stride != 1:
        raise ExchangeError(f"{file.path}: episodes are read without a stride, got {stride}; select from what is read")
    return first, max(first, end)


def _refuse_foreign(path: Path) -> None:
    """Refuse a folder or a file that is not Parquet, which need a mapping."""
    if path.is_dir():
        kind = "a folder"
    elif path.suffix.lower() == ".parquet" or not path.is_file() or _is_parquet(path):
        return
    else:
        kind = f"a {path.suffix} log" if path.suffix else "a log that is not a Parquet file"
    raise ExchangeError(f"{path}: {kind} needs a mapping: world.read_log(path, 'mapping.toml')")


def _is_parquet(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) == b"PAR1"
    except OSError:
        return True  # the caller opens it and says why it cannot be read


class _LogFile:
    """An open file of trajectories, of which only the footer has been read.

    Attributes:
        path: the file.
        episodes: number of episodes in it.
    """

    def __init__(self, path: Path, file: pq.ParquetFile) -> None:
        self.path = path
        self._file = file
        self._head: dict[str, Any] = json.loads((file.schema_arrow.metadata or {})[_HEAD])
        notes = (file.metadata.metadata or {}).get(_NOTES)
        self._head["notes"] = [] if notes is None else json.loads(notes)
        version = self._head["version"]
        if version not in (1, _VERSION):
            raise ExchangeError(f"{path}: format version {version}, this package reads 1 and {_VERSION}; update it")
        self._groups = [_episodes(file.metadata.row_group(group)) for group in range(file.metadata.num_row_groups)]
        self.episodes = max((high + 1 for _, high in self._groups), default=0)

    def read(self, first: int, end: int) -> Trajectories:
        """Return episodes `first` to `end - 1`; only the row groups that hold some of them are decoded."""
        groups = [i for i, (low, high) in enumerate(self._groups) if low < end and high >= first]
        table = self._file.read_row_groups(groups)
        episode = table["episode_index"].to_numpy()
        wanted = (episode >= first) & (episode < end)
        if not wanted.all():
            table = table.filter(pa.array(wanted))
        if (first, end) == (0, self.episodes) and len(table) != self._file.metadata.num_rows:
            raise ValueError("its episodes are not those that it counts")
        return _trajectories(table, self._head, first, end)

    def parts(self, first: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield ranges of episodes that together are `first` to `end - 1`, each as large as a row group."""
        edges = sorted({first, end, *(high + 1 for _, high in self._groups if first <= high < end)})
        yield from pairwise(edges)


@contextmanager
def _opened(path: Path) -> Iterator[_LogFile]:
    """Open a file of ours for reading.

    Raises:
        ExchangeError: the file is missing, truncated, or has no such columns; also if that shows within the block.
    """
    if not path.is_file():
        raise ExchangeError(f"{path}: no such log")
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            yield _LogFile(path, file)
    except KeyError as error:
        raise ExchangeError(
            f"{path}: not a log written by sim2real_cat, {_missing(error)} is missing; read the log of another tool "
            f"with a mapping, world.read_log(path, 'mapping.toml')"
        ) from None
    except (pa.ArrowException, OSError, ValueError, TypeError, AttributeError, IndexError) as error:
        reason = one_line(error)
        raise ExchangeError(f"{path}: not a whole Parquet log ({reason}); write or copy it again") from None


def _missing(error: KeyError) -> str:
    """Return the name of the missing column, which pyarrow puts into a sentence, or of the entry of the metadata."""
    key = error.args[0]
    quoted = re.match(r'(?:Field|Column) "?(.*?)"? does not exist', str(key))
    if quoted is not None or key == "episode_index":
        return f"column '{key if quoted is None else quoted[1]}'"
    return f"metadata '{key.decode() if isinstance(key, bytes) else key}'"


def _episodes(group: pq.RowGroupMetaData) -> tuple[int, int]:
    """Return the first and the last episode of a row group, from its statistics."""
    columns = {column.path_in_schema: column for column in map(group.column, range(group.num_columns))}
    statistics = columns["episode_index"].statistics
    if statistics is None:
        raise ValueError("its columns have no statistics")
    return int(statistics.min), int(statistics.max)


def _trajectories(table: pa.Table, head: dict[str, Any], first: int, end: int) -> Trajectories:
    """Build the trajectories of episodes `first` to `end - 1` from their frames and the metadata of the file."""
    episode = table["episode_index"].to_numpy() - first
    frame = table["frame_index"].to_numpy()
    n = end - first
    lengths = np.bincount(episode, minlength=n) - 1
    longest = int(lengths.max(initial=0))
    begins = np.cumsum(lengths + 1) - (lengths + 1)
    if len(lengths) != n or (lengths < 0).any() or not np.array_equal(frame, np.arange(len(frame)) - begins[episode]):
        raise ValueError("its frames are not in order")

    def spread(name: str, frames: int) -> Floats:
        """Return a column as (n, frames, ...), NaN where there is no value."""
        column = table[name].combine_chunks()
        values = column.to_numpy(zero_copy_only=False) if pa.types.is_floating(column.type) else _matrix(column)
        out = np.full((n, longest + 1, *values.shape[1:]), np.nan)
        out[episode, frame] = values
        return out[:, :frames]

    observations, actions = spread("observation.state", longest + 1), spread("action", longest)
    if head["version"] == 1:  # policies and divergence are in its metadata
        policies, diverged, reasons = head["policies"][first:end], head["diverged"][first:end], []
    else:
        for name, kind in (("policy", pa.string()), ("diverged", pa.bool_()), ("reason", pa.string())):
            if table.schema.field(name).type != kind:
                raise ValueError(f"its column {name} holds {table.schema.field(name).type} instead of {kind}")
        policies = table["policy"].take(pa.array(begins)).to_pylist()
        diverged = table["diverged"].take(pa.array(begins)).to_pylist()
        reasons = table["reason"].take(pa.array(begins))
        reasons = [] if reasons.null_count == len(reasons) else reasons.fill_null("").to_pylist()
    widths = (n, len(head["sensors"]), len(head["actuators"]))
    if widths != (len(diverged), observations.shape[2], actions.shape[2]):
        raise ValueError("its metadata does not fit its columns")
    done = table["next.done"].combine_chunks().fill_null(False).to_numpy(zero_copy_only=False)
    terminated = np.zeros(n, dtype=bool)
    terminated[episode[done]] = True
    return Trajectories(
        observations=observations,
        actions=actions,
        rewards=spread("next.reward", longest),
        qpos=spread("physics.qpos", longest + 1),
        qvel=spread("physics.qvel", longest + 1),
        lengths=lengths,
        terminated=terminated,
        diverged=np.array(diverged, dtype=bool),
        member_index=table["member_index"].to_numpy()[begins],
        policies=tuple(policies),
        sensors=tuple(head["sensors"]),
        actuators=tuple(head["actuators"]),
        control_period=float(head["control_period"]),
        notes=tuple(head["notes"]),
        reasons=tuple(reasons),
    )


def _matrix(column: pa.Array) -> Floats:
    """Return an Arrow array of fixed-size lists as a matrix, NaN where null."""
    if pa.types.is_null(column.type):
        return np.zeros((len(column), 0))
    width = column.type.list_size
    rows = np.full((len(column), width), np.nan)
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    rows[valid] = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
    return rows
