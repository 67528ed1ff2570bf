"""Trajectories as Parquet files: one row per frame, with the column names of LeRobot v3.

Columns: ``episode_index``, ``frame_index``, ``timestamp`` [s], ``observation.state`` (fixed-size list of d),
``action`` (fixed-size list of nu), ``next.reward``, ``next.done``, and ours: ``member_index``, ``physics.qpos``,
``physics.qvel``. The last frame of an episode, where nobody acted any more, has no action, reward and done.
What belongs to the whole file or to whole episodes lies in the file's metadata under ``sim2real_cat``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sim2real_cat.errors import ExchangeError
from sim2real_cat.files import replacing
from sim2real_cat.worlds.trajectories import Array, Trajectories

if TYPE_CHECKING:
    from sim2real_cat.worlds.logs.mapping import LogMapping

_KEY = b"sim2real_cat"
_VERSION = 1


def write_log(path: Path, trajectories: Trajectories) -> str:
    """Write trajectories to a Parquet file, whole or not at all; return the SHA-256 of its bytes."""
    lengths, n = trajectories.lengths, len(trajectories)
    episode = np.repeat(np.arange(n), lengths + 1)
    frame = np.concatenate([np.arange(length + 1) for length in lengths]) if n else np.zeros(0, dtype=np.int64)
    acted = frame < lengths[episode]
    last = frame == lengths[episode] - 1
    done = last & trajectories.terminated[episode]
    table = pa.table(
        {
            "episode_index": pa.array(episode, pa.int64()),
            "frame_index": pa.array(frame, pa.int64()),
            "timestamp": pa.array(frame * trajectories.control_period, pa.float64()),
            "member_index": pa.array(trajectories.member_index[episode], pa.int64()),
            "observation.state": _lists(trajectories.observations[episode, frame]),
            "action": _lists(_acted_rows(trajectories.actions, episode, frame, acted), ~acted),
            "next.reward": pa.array(_acted_rows(trajectories.rewards, episode, frame, acted), mask=~acted),
            "next.done": pa.array(done, mask=~acted),
            "physics.qpos": _lists(trajectories.qpos[episode, frame]),
            "physics.qvel": _lists(trajectories.qvel[episode, frame]),
        }
    )
    head: dict[str, Any] = {
        "version": _VERSION,
        "sensors": trajectories.sensors,
        "actuators": trajectories.actuators,
        "control_period": trajectories.control_period,
        "policies": trajectories.policies,
        "diverged": trajectories.diverged.tolist(),
    }
    if trajectories.notes:
        head["notes"] = trajectories.notes
    if trajectories.reasons:
        head["reasons"] = trajectories.reasons
    table = table.replace_schema_metadata({_KEY: json.dumps(head, separators=(",", ":")).encode()})
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
        return hashlib.sha256(temporary.read_bytes()).hexdigest()


def read_log(path: str | Path | Sequence[str | Path], mapping: LogMapping | None = None) -> Trajectories:
    """Read recorded episodes.

    Args:
        path: without a mapping, a file that `write_log` wrote. With one, a log of any robot: a CSV, Parquet, npz,
            Minari HDF5 or MCAP file, a folder of LeRobot v3, Minari or a ROS 2 bag, or several of them, whose
            episodes are joined.
        mapping: which joint, sensor or actuator each column is, in which unit; how timestamps are read.

    Raises:
        ExchangeError: a file is missing, truncated, or not what it claims to be.
        WorldError: columns, names, units or timestamps that do not fit the mapping.
        EngineError: the format needs a package that is not installed.
    """
    if mapping is not None:
        from sim2real_cat.worlds.logs.reader import read_mapped

        paths = [path] if isinstance(path, str | Path) else list(path)
        return read_mapped([Path(one) for one in paths], mapping)
    if not isinstance(path, str | Path):
        raise ExchangeError("several logs can be read at once with a mapping only; read and concatenate them")
    path = Path(path)
    if not path.is_file():
        raise ExchangeError(f"{path}: no such log")
    try:
        table = pq.read_table(path, page_checksum_verification=True)
        head: dict[str, Any] = json.loads((table.schema.metadata or {})[_KEY])
        if head["version"] != _VERSION:
            raise ExchangeError(f"{path}: format version {head['version']}, this package reads {_VERSION}; update it")
        return _from_table(table, head)
    except KeyError as error:
        raise ExchangeError(f"{path}: not a log written by sim2real_cat, {error} is missing") from None
    except (pa.ArrowException, OSError, ValueError, TypeError, AttributeError, IndexError) as error:
        reason = " ".join(str(error).split())
        raise ExchangeError(f"{path}: not a whole Parquet log ({reason}); write or copy it again") from None


def _from_table(table: pa.Table, head: dict[str, Any]) -> Trajectories:
    episode = table["episode_index"].to_numpy()
    frame = table["frame_index"].to_numpy()
    n = len(head["policies"])
    lengths = np.bincount(episode, minlength=n) - 1
    longest = int(lengths.max(initial=0))
    first = np.concatenate([[0], np.cumsum(lengths + 1)[:-1]]) if n else np.zeros(0, dtype=np.int64)
    if len(lengths) != n or not np.array_equal(frame, np.arange(len(frame)) - first[episode]):
        raise ValueError("its frames are not in order")

    def spread(name: str, frames: int) -> Array:
        """A column as (n, frames, ...), NaN where there is no value."""
        column = table[name].combine_chunks()
        values = column.to_numpy(zero_copy_only=False) if pa.types.is_floating(column.type) else _matrix(column)
        out = np.full((n, longest + 1, *values.shape[1:]), np.nan)
        out[episode, frame] = values
        return out[:, :frames]

    observations, actions = spread("observation.state", longest + 1), spread("action", longest)
    reasons = tuple(head.get("reasons", ()))
    widths = (n, len(reasons) or n, len(head["sensors"]), len(head["actuators"]))
    if widths != (len(head["diverged"]), n, observations.shape[2], actions.shape[2]):
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
        diverged=np.array(head["diverged"], dtype=bool),
        member_index=table["member_index"].to_numpy()[first],
        policies=tuple(head["policies"]),
        sensors=tuple(head["sensors"]),
        actuators=tuple(head["actuators"]),
        control_period=float(head["control_period"]),
        notes=tuple(head.get("notes", ())),
        reasons=reasons,
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


def _matrix(column: pa.Array) -> Array:
    """An Arrow array that `_lists` made as a matrix, NaN where null."""
    if pa.types.is_null(column.type):
        return np.zeros((len(column), 0))
    width = column.type.list_size
    rows = np.full((len(column), width), np.nan)
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    rows[valid] = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
    return rows
