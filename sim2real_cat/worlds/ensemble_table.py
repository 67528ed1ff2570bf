"""Ensembles as Arrow tables and Parquet files: named columns, one row per simulated world.

Columns: ``member`` (from 0), ``weight``, ``level``, and a float column for every parameter under its name, whose field
metadata says how it changes the model (``change``). Where the policy is given that the ensemble trains, a column
``sim_name`` comes first: the name that the world has as a SimEnv of the instance, ``POLICY/MEMBER``, on which the
table joins with the instance's ``SimEnv`` (and through ``drawn_in`` with its ``Draw`` rows). The schema's metadata hold
the SHA-256 of names, modes and numbers, as Parquet has checksums of its pages but not of its names.
"""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sim2real_cat.errors import ExchangeError, WorldError, unknown_name
from sim2real_cat.files import replacing
from sim2real_cat.worlds.changes import Mode
from sim2real_cat.worlds.ensemble import Ensemble

_KEY, _FORMAT = b"sim2real_cat", b"ensemble 1"
_CHANGE = b"change"
_DIGEST = b"sim2real_cat.digest"
_KEYS = {"sim_name": pa.string(), "member": pa.int64(), "weight": pa.float64(), "level": pa.float64()}
_AGAIN = "write or copy it again"


def to_arrow(ensemble: Ensemble, policy: str | None = None) -> pa.Table:
    """The ensemble as a table, see the module.

    Args:
        ensemble: the worlds.
        policy: the policy that they train, to name them as the instance does.

    Raises:
        WorldError: a parameter that is there twice, or has the name of one of the other columns.
    """
    n = len(ensemble)
    for name in ensemble.parameters:
        if name in _KEYS or ensemble.parameters.count(name) > 1:
            raise WorldError(f"an ensemble cannot be a table with two columns '{name}'; rename the parameter")
    columns = [] if policy is None else [pa.array([f"{policy}/{i}" for i in range(n)], _KEYS["sim_name"])]
    columns += [pa.array(np.arange(n)), pa.array(ensemble.weights), pa.array(np.full(n, float(ensemble.level)))]
    fields = [pa.field(key, kind) for key, kind in _KEYS.items() if key != "sim_name" or policy is not None]
    for name, mode, values in zip(ensemble.parameters, ensemble.modes, ensemble.values.T, strict=True):
        fields.append(pa.field(name, pa.float64(), metadata={_CHANGE: mode.encode()}))
        columns.append(pa.array(np.ascontiguousarray(values)))
    return pa.Table.from_arrays(columns, schema=pa.schema(fields, metadata=_metadata(ensemble)))


def _metadata(ensemble: Ensemble) -> dict[bytes, bytes]:
    """What the schema says of the whole table."""
    head = json.dumps([ensemble.parameters, ensemble.modes, len(ensemble), float(ensemble.level)])
    numbers = (np.ascontiguousarray(part, dtype="<f8").tobytes() for part in (ensemble.values, ensemble.weights))
    return {_KEY: _FORMAT, _DIGEST: hashlib.sha256(b"".join([head.encode(), *numbers])).hexdigest().encode()}


def to_parquet(ensemble: Ensemble, path: str | Path, policy: str | None = None) -> None:
    """Write the ensemble to a Parquet file, whole or not at all; the same ensemble gives the same bytes.

    Raises:
        WorldError: as `to_arrow`.
        ExchangeError: the file cannot be written.
    """
    table = to_arrow(ensemble, policy)
    try:
        with replacing(Path(path)) as temporary:
            pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
    except OSError as error:
        raise ExchangeError(f"{path}: cannot be written ({error.strerror or error}); choose another place") from None


def from_parquet(path: str | Path) -> Ensemble:
    """Read an ensemble that `to_parquet` wrote.

    Raises:
        ExchangeError: the file is missing, cut short or damaged, is no table of an ensemble, or holds numbers that
            no ensemble has.
    """
    if not Path(path).is_file():
        raise ExchangeError(f"{path}: no such table of an ensemble")
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ExchangeError(f"{path}: not a whole Parquet file ({reason}); {_AGAIN}") from None
    try:
        return from_arrow(table)
    except ExchangeError as error:
        raise ExchangeError(f"{path}: {error}; {_AGAIN}") from None


def from_arrow(table: pa.Table) -> Ensemble:
    """The ensemble that a table of `to_arrow` holds.

    Raises:
        ExchangeError: a table that is none of an ensemble, or whose numbers no ensemble has.
    """
    metadata = table.schema.metadata or {}
    if metadata.get(_KEY) != _FORMAT:
        raise ExchangeError("not a table of an ensemble written by sim2real_cat")
    held = table.column_names
    if len(set(held)) != len(held):
        raise ExchangeError("two of its columns have one name")
    for key in ("member", "weight", "level"):
        if key not in held:
            raise ExchangeError(unknown_name("column", key, held))
    parameters = [field for field in table.schema if field.name not in _KEYS]
    columns = {field.name: _numbers(table, field) for field in table.schema if field.name != "sim_name"}
    n = table.num_rows
    if not n or not np.array_equal(columns["member"], np.arange(n)):
        raise ExchangeError(f"its column 'member' does not count its {n} rows from 0")
    weights, levels = columns["weight"], columns["level"]
    if (weights < 0).any() or not math.isclose(weights.sum(), 1.0, rel_tol=1e-9):
        raise ExchangeError(f"its weights need to be >= 0 and sum to 1, they sum to {weights.sum():g}")
    if not 0 <= levels[0] <= 1 or (levels != levels[0]).any():
        raise ExchangeError(f"its column 'level' needs to hold one level from 0 to 1, got {levels.min():g}")
    if "sim_name" in held:
        _check_sim_names(table)
    values = np.array([columns[field.name] for field in parameters]).reshape(len(parameters), n).T
    modes = tuple(_mode(field) for field in parameters)
    names, level = tuple(field.name for field in parameters), float(levels[0])
    ensemble = Ensemble(names, modes, np.ascontiguousarray(values), weights, level)
    if metadata.get(_DIGEST) != _metadata(ensemble)[_DIGEST]:
        raise ExchangeError("its names and numbers do not match their digest, so it was changed")
    return ensemble


def _numbers(table: pa.Table, field: pa.Field) -> Any:
    """A column as an array, if it has its type and holds a finite number in every row."""
    expected = _KEYS.get(field.name, pa.float64())
    if field.type != expected:
        raise ExchangeError(f"its column '{field.name}' holds {field.type}, not {expected}")
    column = table[field.name]
    values = column.to_numpy() if not column.null_count else np.array(column.to_pylist(), dtype=float)
    bad = ~np.isfinite(values)
    if bad.any():
        row = int(np.argmax(bad))
        raise ExchangeError(f"its column '{field.name}' holds {column[row].as_py()} in row {row}, no finite number")
    return values


def _mode(field: pa.Field) -> Mode:
    """How a parameter's column changes the model."""
    mode = (field.metadata or {}).get(_CHANGE, b"").decode(errors="replace")
    for known in get_args(Mode):
        if mode == known:
            return known  # type: ignore[no-any-return]
    raise ExchangeError(f"its column '{field.name}': " + unknown_name("change", mode, get_args(Mode)))


def _check_sim_names(table: pa.Table) -> None:
    """The names of the worlds need to be those of the members of one policy's fibre."""
    if table.schema.field("sim_name").type != pa.string():
        raise ExchangeError(f"its column 'sim_name' holds {table.schema.field('sim_name').type}, not string")
    found = table["sim_name"].to_pylist()
    policy = str(found[0]).rpartition("/")[0]
    for row, name in enumerate(found):
        if name != f"{policy}/{row}":
            raise ExchangeError(f"its column 'sim_name' holds {name!r} in row {row}, not '{policy}/{row}'")
