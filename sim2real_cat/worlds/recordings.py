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

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sim2real_cat.errors import ExchangeError, WorldError
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
        ExchangeError: a file is missing, truncated, or not what it claims to be; it needs a mapping and has none; or
            `episodes` is no slice, or one with a stride.
        WorldError: columns, names, units or timestamps that do not fit the mapping.
        EngineError: the format needs a package that is not installed.
    """
    paths = [path] if isinstance(path, str | Path) else list(path)
    if not paths:
        raise ExchangeError("no log to read: the list of paths is empty; give one path or more")
    _refuse_no_slice(paths[0], episodes)
    if mapping is not None:
        from sim2real_cat.worlds.logs.reader import read_mapped

        _refuse_no_mapping(mapping)
        recorded = read_mapped([Path(one) for one in paths], mapping)
        return recorded if episodes is None else recorded.select(np.arange(len(recorded))[episodes])
    if not isinstance(path, str | Path):
        raise ExchangeError("several logs can be read at once with a mapping only; read and concatenate them")
    _refuse_foreign(Path(path))
    with opened(Path(path)) as log:
        return log.read(*_range(log, episodes))


def iterate_log(path: str | Path, episodes: slice | None = None) -> Iterator[Trajectories]:
    """Read a log a part at a time, so that it need not fit in memory.

    A part is a row group: some 65,000 frames, or one episode where that is longer.

    Args:
        path: the file.
        episodes: which episodes, as in `read_log`.

    Raises:
        ExchangeError: as `read_log`; of a part that is bad, when it is reached.
    """
    _refuse_no_slice(path, episodes)
    _refuse_foreign(Path(path))
    return _parts(Path(path), episodes)


def _parts(path: Path, episodes: slice | None) -> Iterator[Trajectories]:
    with opened(path) as log:
        for part in log.parts(*_range(log, episodes)):
            yield log.read(*part)


def _range(log: LogReader, episodes: slice | None) -> tuple[int, int]:
    first, end, stride = (slice(None) if episodes is None else episodes).indices(log.episodes)
    if stride != 1:
        raise ExchangeError(f"{log.path}: episodes are read without a stride, got {stride}; select from what is read")
    return first, max(first, end)


def _refuse_no_slice(path: str | Path, episodes: object) -> None:
    try:
        if episodes is None or (isinstance(episodes, slice) and episodes.indices(0)):
            return
    except (TypeError, ValueError):  # of texts, or with a stride of 0
        pass
    raise ExchangeError(f"{path}: episodes is a slice, as slice(100, 110), got {episodes!r}")


def _refuse_no_mapping(mapping: object) -> None:
    from sim2real_cat.worlds.logs.mapping import LogMapping

    if isinstance(mapping, str | Path):
        raise WorldError(f"mapping is a LogMapping, got a path; give LogMapping.from_toml({str(mapping)!r}, world)")
    if isinstance(mapping, Mapping):
        raise WorldError("mapping is a LogMapping, got a table; give LogMapping.from_table(table, world)")
    if not isinstance(mapping, LogMapping):
        raise WorldError(f"mapping is a LogMapping, got {mapping!r}; give LogMapping.from_toml(path, world)")


def _refuse_foreign(path: Path) -> None:
    """Refuse what cannot be a file of ours, whatever its ending: a folder, or a file that is no Parquet."""
    if path.is_dir():
        kind = "a folder"
    elif path.suffix.lower() == ".parquet" or not path.is_file() or _is_parquet(path):
        return
    else:
        kind = f"a {path.suffix} log" if path.suffix else "a log that is no Parquet file"
    raise ExchangeError(f"{path}: {kind} needs a mapping: read_log(path, LogMapping.from_toml(..., world))")


def _is_parquet(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) == b"PAR1"
    except OSError:
        return True  # that it cannot be read is said where it is opened
