"""Data sets of Minari, read with h5py (extra ``logs``).

Layout (``minari.dataset._storages.hdf5_storage`` of Minari 0.5): ``main_data.hdf5`` with a group ``episode_0``, ... for
every episode, in it ``observations`` (T + 1 rows; a group where the space is a dictionary), ``actions``, ``rewards``,
``terminations`` and ``truncations`` (T rows), and ``infos``, a group of more of them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sim2real_cat.errors import EngineError, ExchangeError, one_line
from sim2real_cat.recordings.logs.tables import Column, Table

FILE = "main_data.hdf5"

_EPISODE = re.compile(r"episode_(\d+)")


def read_minari(path: Path) -> list[Table]:
    """One table per episode, in their order; the columns are named by their path, as ``infos/qpos``.

    Args:
        path: the HDF5 file.

    Raises:
        EngineError: h5py is not installed.
        ExchangeError: the file is cut short, no HDF5, or holds no episodes.
    """
    try:
        import h5py
    except ImportError:
        raise EngineError(f"{path}: HDF5 files need h5py: pip install 'sim2real-cat[logs]'") from None
    try:
        with h5py.File(path, "r") as file:
            groups = {int(match[1]): name for name in file if (match := _EPISODE.fullmatch(name)) is not None}
            if not groups:
                raise ExchangeError(f"{path}: no Minari data set, it has no group 'episode_0'")
            return [_episode(path, number, file[groups[number]]) for number in sorted(groups)]
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        reason = one_line(error)
        raise ExchangeError(f"{path}: not a whole HDF5 file ({reason}); write or copy it again") from None


def _episode(path: Path, number: int, group: Any) -> Table:
    import h5py

    columns: dict[str, Column] = {}

    def visit(name: str, entry: object) -> None:
        if isinstance(entry, h5py.Dataset) and entry.ndim:
            values = entry[()]
            if values.dtype.kind in "fiub":
                columns[name] = values.reshape(len(values), -1) if values.ndim > 1 else values

    group.visititems(visit)
    return Table(f"{path}, episode {number}", columns, label=lambda row: f"step {row}")
