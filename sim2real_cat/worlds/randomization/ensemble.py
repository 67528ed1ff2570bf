"""Ensembles: worlds that differ in named parameters, and their form as Arrow tables and Parquet files.

A table has one row per world. Its columns are ``member`` (from 0), ``weight``, ``level``, and a float column for every
parameter under its name, whose field metadata say how it changes the model (``change``). Where the policy is given that
the ensemble trains, a column ``sim_name`` comes first: the name of the world as a SimEnv of the instance,
``POLICY/MEMBER``, on which the table joins with the instance's ``SimEnv`` (and through ``drawn_in`` with its ``Draw``
rows). The schema's metadata hold the SHA-256 of names, modes and numbers, as Parquet has checksums of its pages but not
of its names.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import ExchangeError, WorldError, one_line, unknown_name
from sim2real_cat.files import replacing
from sim2real_cat.toml_table import TomlTable
from sim2real_cat.worlds.randomization.change import Mode
from sim2real_cat.worlds.randomization.entries import read_mode

_KEY, _FORMAT = b"sim2real_cat", b"ensemble 1"
_CHANGE = b"change"
_DIGEST = b"sim2real_cat.digest"
_KEYS = {"sim_name": pa.string(), "member": pa.int64(), "weight": pa.float64(), "level": pa.float64()}
_AGAIN = "write or copy it again"


@dataclass(frozen=True, eq=False)
class Ensemble:
    """A table of worlds that differ in named parameters, one row each.

    Attributes:
        parameters: p names, as in ``"body_mass[torso]"``.
        modes: p modes, how each column changes the model's value.
        values: (n, p), the numbers drawn.
        weights: (n,), probability of each world in the mixture; sums to 1.
        level: the level of a curriculum at which the ranges were narrowed when it was drawn; 1 where they were not.
    """

    parameters: tuple[str, ...]
    modes: tuple[Mode, ...]
    values: Floats
    weights: Floats
    level: float = 1.0

    def __post_init__(self) -> None:
        shape = (len(self.weights), len(self.parameters))
        if self.values.shape != shape or len(self.modes) != shape[1] or not len(self.weights):
            raise WorldError(
                f"an ensemble of {shape[0]} worlds and {shape[1]} parameters needs as many modes and values of shape "
                f"{shape}, got {len(self.modes)} and {self.values.shape}; it has one world at least"
            )
        if not np.isfinite(self.values).all():
            member, column = np.argwhere(~np.isfinite(self.values))[0]
            raise WorldError(
                f"'{self.parameters[column]}' is {self.values[member, column]} in member {member}, not finite"
            )

    @classmethod
    def nominal(cls) -> Ensemble:
        """Return one world: the model as it is."""
        return cls((), (), np.zeros((1, 0)), np.ones(1))

    @classmethod
    def single(cls, table: Mapping[str, object], place: str = "world") -> Ensemble:
        """Return one world that differs from the model, ``{"body_mass[torso]": {"scale": 1.3}}``.

        Raises:
            WorldError: an entry without a mode, with an unknown key, or whose value is not a finite number.
        """
        modes, values = [], []
        entries = TomlTable(table, place, WorldError)
        for parameter in table:
            entry = entries.entry(parameter, "{ scale = 1.3 }")
            mode = read_mode(entry)
            modes.append(mode)
            values.append(entry.number(mode))
            entry.close()
        return cls(tuple(table), tuple(modes), np.array([values]).reshape(1, len(table)), np.ones(1))

    @classmethod
    def from_draws(
        cls,
        member_index: Sequence[int],
        parameters: Sequence[str],
        changes: Sequence[str],
        values: Sequence[float],
        weights: Sequence[float],
        level: float = 1.0,
    ) -> Ensemble:
        """Make an ensemble of single draws, such as the `Draw` rows of an instance for the fibre of a policy.

        Args:
            member_index: the world that each draw belongs to, from 0.
            parameters: the parameter of each draw.
            changes: the mode of each draw.
            values: the number drawn.
            weights: (n,) the weight of every world.
            level: the level of the curriculum.

        Raises:
            WorldError: a world lacks a parameter or has it twice, or a parameter has two modes.
        """
        columns = {parameter: i for i, parameter in enumerate(dict.fromkeys(parameters))}
        table = np.full((len(weights), len(columns)), np.nan)
        modes: dict[str, Any] = {}
        for member, parameter, mode, value in zip(member_index, parameters, changes, values, strict=True):
            if modes.setdefault(parameter, mode) != mode:
                raise WorldError(
                    f"'{parameter}' is both {modes[parameter]} and {mode}; draws of a column have one mode"
                )
            if not np.isnan(table[member, columns[parameter]]):
                raise WorldError(f"world {member} has two draws of '{parameter}'")
            table[member, columns[parameter]] = value
        if np.isnan(table).any():
            member, column = np.argwhere(np.isnan(table))[0]
            raise WorldError(f"world {member} has no draw of '{list(columns)[column]}', which other worlds have")
        return cls(tuple(columns), tuple(modes.values()), table, np.asarray(weights, dtype=float), level)

    def __len__(self) -> int:
        return len(self.values)

    def row(self, member: int) -> dict[str, float]:
        """Return the numbers of one world by parameter name."""
        return dict(zip(self.parameters, (float(v) for v in self.values[member]), strict=True))

    def select(self, rows: NDArray[np.intp] | Sequence[int]) -> Ensemble:
        """Return some of the worlds, with the weights that they have here."""
        index = np.asarray(rows, dtype=np.intp)
        return Ensemble(self.parameters, self.modes, self.values[index], self.weights[index], self.level)

    def to_arrow(self, policy: str | None = None) -> pa.Table:
        """Return the ensemble as a table, with the columns that the docstring of this module describes.

        Args:
            policy: the policy that the worlds train; the table then has the column ``sim_name``.

        Raises:
            WorldError: a parameter that occurs twice, or has the name of one of the other columns.
        """
        n = len(self)
        for name in self.parameters:
            if name in _KEYS or self.parameters.count(name) > 1:
                raise WorldError(f"an ensemble cannot be a table with two columns '{name}'; rename the parameter")
        columns = [] if policy is None else [pa.array([f"{policy}/{i}" for i in range(n)], _KEYS["sim_name"])]
        columns += [pa.array(np.arange(n)), pa.array(self.weights), pa.array(np.full(n, float(self.level)))]
        fields = [pa.field(key, kind) for key, kind in _KEYS.items() if key != "sim_name" or policy is not None]
        for name, mode, values in zip(self.parameters, self.modes, self.values.T, strict=True):
            fields.append(pa.field(name, pa.float64(), metadata={_CHANGE: mode.encode()}))
            columns.append(pa.array(np.ascontiguousarray(values)))
        return pa.Table.from_arrays(columns, schema=pa.schema(fields, metadata=_metadata(self)))

    def to_parquet(self, path: str | Path, policy: str | None = None) -> None:
        """Write the ensemble to a Parquet file, whole or not at all; the same ensemble gives the same bytes.

        Raises:
            WorldError: as `to_arrow`.
            ExchangeError: the file cannot be written.
        """
        table = self.to_arrow(policy)
        try:
            with replacing(Path(path)) as temporary:
                pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
        except OSError as error:
            raise ExchangeError(
                f"{path}: cannot be written ({error.strerror or error}); choose another place"
            ) from None

    @classmethod
    def from_arrow(cls, table: pa.Table) -> Ensemble:
        """Return the ensemble that a table of `to_arrow` holds.

        Raises:
            ExchangeError: a table of something else, or numbers that an ensemble cannot have.
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
        ensemble = cls(names, modes, np.ascontiguousarray(values), weights, level)
        if metadata.get(_DIGEST) != _metadata(ensemble)[_DIGEST]:
            raise ExchangeError("its names and numbers do not match their digest, so it was changed")
        return ensemble

    @classmethod
    def from_parquet(cls, path: str | Path) -> Ensemble:
        """Read an ensemble that `to_parquet` wrote.

        Raises:
            ExchangeError: the file is missing, cut short or damaged, is not a table of an ensemble, or holds numbers
                that an ensemble cannot have.
        """
        if not Path(path).is_file():
            raise ExchangeError(f"{path}: no such table of an ensemble")
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                table = file.read()
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            reason = one_line(error)
            raise ExchangeError(f"{path}: not a whole Parquet file ({reason}); {_AGAIN}") from None
        try:
            return cls.from_arrow(table)
        except ExchangeError as error:
            raise ExchangeError(f"{path}: {error}; {_AGAIN}") from None


def fibre_or_nominal(fibre: object) -> Ensemble:
    """Return the ensemble that was given, or the world as it is where it is None.

    Raises:
        WorldError: it is no ensemble: a randomization, or a table.
    """
    if fibre is None:
        return Ensemble.nominal()
    if isinstance(fibre, Ensemble):
        return fibre
    kind = type(fibre).__name__
    if kind == "Randomization":
        raise WorldError("fibre is a Randomization, from which worlds are drawn first: randomization.draw(n, rng=0)")
    raise WorldError(f"fibre is an Ensemble, got {kind}; Ensemble.single makes one of a table")


def _metadata(ensemble: Ensemble) -> dict[bytes, bytes]:
    """Return the metadata of a table's schema: the format and the digest."""
    head = json.dumps([ensemble.parameters, ensemble.modes, len(ensemble), float(ensemble.level)])
    numbers = (np.ascontiguousarray(part, dtype="<f8").tobytes() for part in (ensemble.values, ensemble.weights))
    return {_KEY: _FORMAT, _DIGEST: hashlib.sha256(b"".join([head.encode(), *numbers])).hexdigest().encode()}


def _numbers(table: pa.Table, field: pa.Field) -> Any:
    """Return a column as an array, if it has its type and holds a finite number in every row."""
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
    """Return the mode of a parameter's column."""
    mode = (field.metadata or {}).get(_CHANGE, b"").decode(errors="replace")
    for known in get_args(Mode):
        if mode == known:
            return known  # type: ignore[no-any-return]
    raise ExchangeError(f"its column '{field.name}': " + unknown_name("change", mode, get_args(Mode)))


def _check_sim_names(table: pa.Table) -> None:
    """Refuse names of worlds other than those of the members of one policy's fibre."""
    if table.schema.field("sim_name").type != pa.string():
        raise ExchangeError(f"its column 'sim_name' holds {table.schema.field('sim_name').type}, not string")
    found = table["sim_name"].to_pylist()
    policy = str(found[0]).rpartition("/")[0]
    for row, name in enumerate(found):
        if name != f"{policy}/{row}":
            raise ExchangeError(f"its column 'sim_name' holds {name!r} in row {row}, not '{policy}/{row}'")
