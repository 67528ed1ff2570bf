"""Trajectories as Parquet files: one row per frame, with the column names of LeRobot v3.

Columns: ``episode_index``, ``frame_index``, ``timestamp`` [s], ``observation.state`` (fixed-size list of d),
``action`` (fixed-size list of nu), ``next.reward``, ``next.done``, and ours: ``member_index``, ``policy``,
``diverged``, ``reason`` (the same on all frames of an episode), ``physics.qpos``, ``physics.qvel``. The last frame of
an episode, where nobody acted any more, has no action, reward and done. What belongs to the whole file lies in its
metadata under ``sim2real_cat``, its notes under ``sim2real_cat.notes``. Episodes lie in order and a row group ends
with an episode, so that a reader finds some episodes by the statistics of ``episode_index``. Version 1 had policies
and divergence in the metadata; it is still read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sim2real_cat.errors import ExchangeError
from sim2real_cat.worlds.log_reader import LogReader, opened
from sim2real_cat.worlds.log_writer import LogWriter
from sim2real_cat.worlds.trajectories import Trajectories

if TYPE_CHECKING:
    from sim2real_cat.worlds.logs.mapping import LogMapping


def write_log(path: str | Path, trajectories: Trajectories) -> str:
    """Write trajectories to a Parquet file, whole or not at all; return the SHA-256 of its bytes."""
    with LogWriter(Path(path)) as log:
        log.append(trajectories)
    return log.digest


def read_log(
    path: str | Path | Sequence[str | Path], mapping: LogMapping | None = None, *, episodes: slice | None = None
) -> Trajectories:
    """Read recorded episodes.

    Args:
        path: without a mapping, a file that `write_log` or `rollout_to_parquet` wrote. With one, a log of any robot: a
            CSV, Parquet, npz, Minari HDF5 or MCAP file, a folder of LeRobot v3, Minari or a ROS 2 bag, or several of
            them, whose episodes are joined.
        mapping: which joint, sensor or actuator each column is, in which unit; how timestamps are read.
        episodes: which episodes, as in ``slice(100, 200)``; all where none are given. The rest of a file of ours is
            not decoded.

    Raises:
        ExchangeError: a file is missing, truncated, or not what it claims to be, or the slice has a stride.
        WorldError: columns, names, units or timestamps that do not fit the mapping.
        EngineError: the format needs a package that is not installed.
    """
    if mapping is not None:
        from sim2real_cat.worlds.logs.reader import read_mapped

        paths = [path] if isinstance(path, str | Path) else list(path)
        recorded = read_mapped([Path(one) for one in paths], mapping)
        return recorded if episodes is None else recorded.select(np.arange(len(recorded))[episodes])
    if not isinstance(path, str | Path):
        raise ExchangeError("several logs can be read at once with a mapping only; read and concatenate them")
    with opened(Path(path)) as log:
        return log.read(*_range(log, episodes))


def iterate_log(path: str | Path, episodes: slice | None = None) -> Iterator[Trajectories]:
    """Read a log a part at a time, so that it need not fit in memory.

    A part is a row group: some 65,000 frames, or one episode where that is longer.

    Args:
        path: the file.
        episodes: which episodes, as in `read_log`.

    Raises:
        ExchangeError: as `read_log`, when the part that is bad is reached.
    """
    with opened(Path(path)) as log:
        for part in log.parts(*_range(log, episodes)):
            yield log.read(*part)


def _range(log: LogReader, episodes: slice | None) -> tuple[int, int]:
    first, end, stride = (slice(None) if episodes is None else episodes).indices(log.episodes)
    if stride != 1:
        raise ExchangeError(f"{log.path}: episodes are read without a stride, got {stride}; select from what is read")
    return first, max(first, end)
