"""Read the Parquet files that `log_writer` wrote, whole or only some of their episodes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sim2real_cat.errors import ExchangeError
from sim2real_cat.worlds.log_writer import KEY, NOTES, VERSION
from sim2real_cat.worlds.trajectories import Array, Trajectories


class LogReader:
    """An open log; only its footer has been read.

    Attributes:
        path: the file.
        episodes: how many episodes it holds.
    """

    def __init__(self, path: Path, file: pq.ParquetFile) -> None:
        self.path = path
        self._file = file
        self._head: dict[str, Any] = json.loads((file.schema_arrow.metadata or {})[KEY])
        notes = (file.metadata.metadata or {}).get(NOTES)
        self._head["notes"] = [] if notes is None else json.loads(notes)
        version = self._head["version"]
        if version not in (1, VERSION):
            raise ExchangeError(f"{path}: format version {version}, this package reads 1 and {VERSION}; update it")
        self._groups = [_episodes(file.metadata.row_group(group)) for group in range(file.metadata.num_row_groups)]
        self.episodes = max((high + 1 for _, high in self._groups), default=0)

    def read(self, first: int, end: int) -> Trajectories:
        """Episodes `first` to `end - 1`; only the row groups that hold some of them are decoded."""
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
        """Ranges of episodes that together are `first` to `end - 1`, each as large as a row group."""
        edges = sorted({first, end, *(high + 1 for _, high in self._groups if first <= high < end)})
        yield from pairwise(edges)


@contextmanager
def opened(path: Path) -> Iterator[LogReader]:
    """A log to read from.

    Raises:
        ExchangeError: the file is missing, truncated, or has no such columns; also if that shows within the block.
    """
    if not path.is_file():
        raise ExchangeError(f"{path}: no such log")
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            yield LogReader(path, file)
    except KeyError as error:
        raise ExchangeError(
            f"{path}: not a log written by sim2real_cat, {_missing(error)} is missing; read the log of another tool "
            f"with a mapping, LogMapping.from_toml(..., world)"
        ) from None
    except (pa.ArrowException, OSError, ValueError, TypeError, AttributeError, IndexError) as error:
        reason = " ".join(str(error).split())
        raise ExchangeError(f"{path}: not a whole Parquet log ({reason}); write or copy it again") from None


def _missing(error: KeyError) -> str:
    """What a key error is about: a column, which pyarrow puts into a sentence, or an entry of the metadata."""
    key = error.args[0]
    quoted = re.match(r'(?:Field|Column) "?(.*?)"? does not exist', str(key))
    if quoted is not None or key == "episode_index":
        return f"column '{key if quoted is None else quoted[1]}'"
    return f"metadata '{key.decode() if isinstance(key, bytes) else key}'"


def _episodes(group: pq.RowGroupMetaData) -> tuple[int, int]:
    """The first and the last episode of a row group, from its statistics."""
    columns = {column.path_in_schema: column for column in map(group.column, range(group.num_columns))}
    statistics = columns["episode_index"].statistics
    if statistics is None:
        raise ValueError("its columns have no statistics")
    return int(statistics.min), int(statistics.max)


def _trajectories(table: pa.Table, head: dict[str, Any], first: int, end: int) -> Trajectories:
    episode = table["episode_index"].to_numpy() - first
    frame = table["frame_index"].to_numpy()
    n = end - first
    lengths = np.bincount(episode, minlength=n) - 1
    longest = int(lengths.max(initial=0))
    begins = np.cumsum(lengths + 1) - (lengths + 1)
    if len(lengths) != n or (lengths < 0).any() or not np.array_equal(frame, np.arange(len(frame)) - begins[episode]):
        raise ValueError("its frames are not in order")

    def spread(name: str, frames: int) -> Array:
        """A column as (n, frames, ...), NaN where there is no value."""
        column = table[name].combine_chunks()
        values = column.to_numpy(zero_copy_only=False) if pa.types.is_floating(column.type) else _matrix(column)
        out = np.full((n, longest + 1, *values.shape[1:]), np.nan)
        out[episode, frame] = values
        return out[:, :frames]

    observations, actions = spread("observation.state", longest + 1), spread("action", longest)
    if head["version"] == 1:  # it kept what belongs to an episode in its head
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


def _matrix(column: pa.Array) -> Array:
    """An Arrow array of fixed-size lists as a matrix, NaN where null."""
    if pa.types.is_null(column.type):
        return np.zeros((len(column), 0))
    width = column.type.list_size
    rows = np.full((len(column), width), np.nan)
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    rows[valid] = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
    return rows
