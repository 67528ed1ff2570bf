"""Trajectories as Parquet files: one row per frame, with the column names of LeRobot v3.

Columns: ``episode_index``, ``frame_index``, ``timestamp`` [s], ``observation.state`` (fixed-size list of d),
``action`` (fixed-size list of nu), ``next.reward``, ``next.done``, and ours: ``member_index``, ``policy``,
``diverged`` (the same on all frames of an episode), ``physics.qpos``, ``physics.qvel``. The last frame of an episode,
where nobody acted any more, has no action, reward and done. What belongs to the whole file lies in its metadata under
``sim2real_cat``. Episodes lie in order and a row group ends with an episode, so that a reader finds some episodes by
the statistics of ``episode_index``. Version 1 had policies and divergence in the metadata; it is still read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sim2real_cat.errors import ExchangeError
from sim2real_cat.worlds.log_reader import LogReader, opened
from sim2real_cat.worlds.log_writer import LogWriter
from sim2real_cat.worlds.trajectories import Trajectories


def write_log(path: str | Path, trajectories: Trajectories) -> str:
    """Write trajectories to a Parquet file, whole or not at all; return the SHA-256 of its bytes."""
    with LogWriter(Path(path)) as log:
        log.append(trajectories)
    return log.digest


def read_log(path: str | Path, episodes: slice | None = None) -> Trajectories:
    """Read trajectories that `write_log` or `rollout_to_parquet` wrote.

    Args:
        path: the file.
        episodes: which episodes, as in ``slice(100, 200)``; all where none are given. The rest of the file is not
            decoded.

    Raises:
        ExchangeError: the file is missing, truncated, or has no such columns, or the slice has a stride.
    """
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
