"""Which reader a file or folder needs, by what it is."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sim2real_cat.errors import ExchangeError, one_line, unknown_name
from sim2real_cat.recordings.logs import lerobot, minari, ros
from sim2real_cat.recordings.logs.tables import Table, columns_of, read_csv, read_parquet

FORMATS = (".csv", ".tsv", ".txt", ".parquet", ".npz", ".hdf5", ".h5", ".mcap", ".db3")
"""Endings of files that are read; folders of LeRobot, Minari and ROS 2 are told by what lies in them."""


def read_tables(path: Path, columns: Sequence[str], delimiter: str | None, decimal_point: str) -> list[Table]:
    """The tables of a file or folder: one, or one for each of its episodes.

    Args:
        path: the file or folder.
        columns: the columns that the mapping names, for formats that hold more than a table.
        delimiter: of a CSV.
        decimal_point: of a CSV.

    Raises:
        ExchangeError: the file is missing, cut short, or of no known format.
        WorldError: it has no such columns.
        EngineError: its format needs a package that is not installed.
    """
    if path.is_dir():
        return _read_folder(path, columns)
    if not path.is_file():
        raise ExchangeError(f"{path}: no such log")
    if path.stat().st_size == 0:
        raise ExchangeError(f"{path}: an empty log, the file has no bytes")
    ending = path.suffix.lower()
    if ending in (".csv", ".tsv", ".txt"):
        return [read_csv(path, delimiter, decimal_point)]
    if ending == ".parquet":
        return [Table(str(path), columns_of(read_parquet(path)))]
    if ending == ".npz":
        return _read_npz(path, columns)
    if ending in (".hdf5", ".h5"):
        return minari.read_minari(path)
    if ending in (".mcap", ".db3"):
        return [ros.read_bag(path, columns)]
    raise ExchangeError(f"{path}: " + unknown_name("format of log", ending, FORMATS))


def _read_folder(path: Path, columns: Sequence[str]) -> list[Table]:
    if (path / lerobot.INFO).is_file():
        return [lerobot.read_lerobot(path, columns)]
    if (path / "metadata.yaml").is_file():
        return [ros.read_bag(path, columns)]
    for file in (path / minari.FILE, path / "data" / minari.FILE):
        if file.is_file():
            return minari.read_minari(file)
    raise ExchangeError(
        f"{path}: a folder without a log; LeRobot has {lerobot.INFO}, Minari {minari.FILE}, ROS 2 metadata.yaml"
    )


def _read_npz(path: Path, columns: Sequence[str]) -> list[Table]:
    """One table; or, where the mapping's names hold a ``*``, one for each text that it stands for."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            arrays = {name: content[name] for name in content.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        reason = one_line(error)
        raise ExchangeError(f"{path}: not a whole npz file of numbers ({reason}); save it again") from None
    arrays = {name: array for name, array in arrays.items() if array.ndim in (1, 2)}
    patterns = sorted({text.partition("[")[0].strip() for text in columns if "*" in text.partition("[")[0]})
    if not patterns:
        return [Table(str(path), arrays)]
    expressions = {pattern: re.compile(re.escape(pattern).replace(r"\*", "(.*)", 1)) for pattern in patterns}
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        for pattern, expression in expressions.items():
            match = expression.fullmatch(name)
            if match is not None:
                found.setdefault(match[1], {})[pattern] = array
    shared = {name: array for name, array in arrays.items() if not any(e.fullmatch(name) for e in expressions.values())}
    if not found:
        raise ExchangeError(f"{path}: " + unknown_name("array", patterns[0], arrays))
    for text, entry in found.items():
        missing = [pattern.replace("*", text, 1) for pattern in patterns if pattern not in entry]
        if missing:
            raise ExchangeError(f"{path}: " + unknown_name("array", missing[0], arrays))
    return [Table(f"{path}, {patterns[0].replace('*', text, 1)}", shared | entry) for text, entry in found.items()]
