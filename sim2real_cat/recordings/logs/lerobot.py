"""Folders of LeRobot v3, read with pyarrow alone.

Layout (``lerobot.datasets.utils`` of LeRobot 0.4): ``meta/info.json`` with ``codebase_version``, ``fps``,
``total_frames`` and the ``features``, each with its ``dtype``, ``shape`` and ``names``; the frames of many episodes
in ``data/chunk-000/file-000.parquet`` and so on, told apart by ``episode_index``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from sim2real_cat.errors import ExchangeError, one_line
from sim2real_cat.recordings.logs.tables import Table, columns_of, read_parquet

INFO = Path("meta/info.json")

_ALWAYS = ("episode_index", "frame_index", "timestamp")


def read_lerobot(folder: Path, columns: Sequence[str]) -> Table:
    """The frames of all episodes.

    Args:
        folder: the data set's folder, the one that holds ``meta`` and ``data``.
        columns: the columns that a mapping names; images and the like beside them are not read.

    Raises:
        ExchangeError: another version, a file that is missing or cut short, or fewer frames than it claims to have.
    """
    info = _info(folder)
    features: Mapping[str, Any] = info["features"]
    wanted = {text.partition("[")[0].strip() for text in columns} | set(_ALWAYS) | set(columns)
    files = sorted((folder / "data").glob("chunk-*/file-*.parquet"))
    if not files:
        raise ExchangeError(f"{folder}: its data are missing; there is no data/chunk-*/file-*.parquet")
    parts = [read_parquet(file, wanted) for file in files]
    try:
        frames = pa.concat_tables(parts)
    except pa.ArrowInvalid as error:
        raise ExchangeError(f"{folder}: its files differ in columns ({one_line(error)})") from None
    if frames.num_rows != info["total_frames"]:
        raise ExchangeError(
            f"{folder}: {frames.num_rows} frames in its {len(files)} files, {INFO} says {info['total_frames']}; "
            f"copy it again"
        )
    components = {name: _names(features[name].get("names")) for name in features if name in frames.column_names}
    return Table(
        str(folder),
        columns_of(frames),
        components={name: names for name, names in components.items() if names},
        label=lambda row: f"frame {row}",
        time="timestamp",
        time_unit="s",
        period=1.0 / float(info["fps"]),
        episode_column="episode_index",
    )


def _info(folder: Path) -> dict[str, Any]:
    path = folder / INFO
    try:
        info: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version, fps = str(info["codebase_version"]), float(info["fps"])
        sound = isinstance(info["features"], dict) and isinstance(info["total_frames"], int) and fps > 0
        sound = sound and all(isinstance(feature, dict) for feature in info["features"].values())
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ExchangeError(f"{path}: not the description of a LeRobot data set ({error!r})") from None
    if not version.startswith("v3."):
        raise ExchangeError(f"{path}: LeRobot {version}, this package reads v3; convert it with LeRobot's own script")
    if not sound:
        raise ExchangeError(f"{path}: not the description of a LeRobot data set (features, total_frames and fps)")
    return info


def _names(names: object) -> tuple[str, ...]:
    """Names of a feature's components: a list, or lists by kind as in ``{"motors": [...]}``."""
    if isinstance(names, Mapping):
        names = [name for group in names.values() if isinstance(group, list) for name in group]
    return tuple(str(name) for name in names) if isinstance(names, list) else ()
