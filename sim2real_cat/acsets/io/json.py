"""Instances in ACSets.jl's JSON.

One table for each object and each attribute type, an array of rows: ``{"_id": 1, "train": 2}``. Ids
count from 1 in there and from 0 everywhere else; the step between the two is taken in this file.
Undefined values are left out; 0 for a hom and null are read as undefined too. ``{"_var": 1}`` is an
attribute variable, and the table of an attribute type lists its variables.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

import numpy as np

from sim2real_cat.acsets.codecs import Codec, type_name
from sim2real_cat.acsets.coercion import MisfitError, as_cells, as_targets, brief
from sim2real_cat.acsets.columns import DEFINED, UNDEFINED, Cells, Ids, Var
from sim2real_cat.acsets.io.strict_json import parse_json
from sim2real_cat.acsets.schema import AttrPythonType, Schema
from sim2real_cat.acsets.storage import PartRows, Storage, masked
from sim2real_cat.errors import ExchangeError, listed, unknown_name

S = TypeVar("S", bound=Storage)
JsonRow = dict[str, Any]
"""A row of a table in the exchange format."""


def write(instance: Storage) -> str:
    """Return the JSON text of an instance: compact, tables and columns in schema order, always the same bytes.

    Raises:
        ExchangeError: where a float is NaN or infinite.
    """
    _check_finite(instance)
    schema = instance.schema
    if instance.engine == "catlab":
        from sim2real_cat.acsets.catlab import instances

        return _dumped(schema, json.loads(instances.json_text(instance)))
    tables: dict[str, list[JsonRow]] = {}
    for ob in schema.obs:
        rows: list[JsonRow] = [{"_id": i} for i in range(1, instance.nparts(ob) + 1)]
        for name in schema.homs_from(ob):
            for row, target in zip(rows, instance.column_ids(name).tolist(), strict=True):
                if target != UNDEFINED:
                    row[name] = target + 1
        for name in schema.attrs_from(ob):
            for row, value in zip(rows, _values(instance, name), strict=True):
                if value is not None:
                    row[name] = value
        tables[ob] = rows
    for attrtype in schema.attrtypes:
        tables[attrtype] = [{"_id": k} for k in range(1, instance.nvars(attrtype) + 1)]
    return _dumped(schema, tables)


def _dumped(schema: Schema, tables: dict[str, list[JsonRow]]) -> str:
    """Return tables as text, in schema order: Julia writes 1e-5 as 1.0e-5, and an instance has one text."""
    ordered = {}
    for ob in (*schema.obs, *schema.attrtypes):
        names = ("_id", *schema.homs_from(ob), *schema.attrs_from(ob))
        ordered[ob] = [{name: row[name] for name in names if name in row} for row in tables[ob]]
    return json.dumps(ordered, separators=(",", ":"), allow_nan=False)


def _check_finite(instance: Storage) -> None:
    """Refuse an instance that JSON cannot hold.

    Raises:
        ExchangeError: where a float is NaN or infinite, naming the row.
    """
    for name, (ob, attrtype) in instance.schema.attrs.items():
        if instance.schema.attrtypes[attrtype] is float:
            column = masked(instance.cells(name))
            infinite = np.flatnonzero(~np.isfinite(np.ma.filled(column, 0.0)))
            if len(infinite):
                row = int(infinite[0])
                raise ExchangeError(
                    f"cannot write {ob} row _id={row + 1} (id {row}): '{name}' is {column[row]}, "
                    "which JSON does not have: set a finite number or None"
                )


def _values(instance: Storage, name: str) -> list[Any]:
    """Return an attribute as JSON values, None where undefined."""
    ob, attrtype = instance.schema.attrs[name]
    column = masked(instance.cells(name))
    python_type = instance.schema.attrtypes[attrtype]
    values: list[Any] = column.tolist()
    if isinstance(python_type, Codec):
        for row in np.flatnonzero(~np.ma.getmaskarray(column)).tolist():
            try:
                values[row] = python_type.to_json(column.data[row])
            except ValueError as error:
                raise ExchangeError(
                    f"cannot write {ob} row _id={row + 1} (id {row}): '{name}' is {brief(column.data[row])}, "
                    f"which {error}: mend the codec of {attrtype}"
                ) from None
    variables = instance.variables(name)
    for i in np.flatnonzero(variables != UNDEFINED):
        values[i] = {"_var": int(variables[i]) + 1}
    return values


def read(text: str, into: S, source: str) -> S:
    """Read a JSON text into an empty instance of its schema. Rows may come in any order of their ``_id``.

    Args:
        text: the JSON text.
        into: the empty instance, which is returned.
        source: what to call the text in messages.

    Raises:
        ExchangeError: one line that names the source, the table, the row and what to do.
    """
    schema = into.schema
    document = parse_json(text, source)
    tables = (*schema.obs, *schema.attrtypes)
    if not isinstance(document, dict):
        raise ExchangeError(f"{source}: expected a JSON object with the tables {listed(tables)}")
    for name in document:
        if name not in tables:
            raise ExchangeError(f"{source}: {unknown_name('table', name, tables)}")
    for name in tables:
        if name not in document:
            raise ExchangeError(f'{source}: table {name} is missing: write "{name}":[] where it has no rows')

    rows = {name: _sorted_rows(schema, name, document[name], source) for name in tables}
    for attrtype in schema.attrtypes:
        into.add_vars(attrtype, len(rows[attrtype]))
    sizes = {ob: len(rows[ob]) for ob in schema.obs}
    for ob in schema.obs:
        homs, attrs = {}, {}
        for name in schema.homs_from(ob):
            homs[name] = _targets(rows[ob], name, schema.homs[name][1], sizes, f"{source}: {ob}")
        for name in schema.attrs_from(ob):
            attrtype = schema.attrs[name][1]
            python_type = schema.attrtypes[attrtype]
            attrs[name] = _cells(rows[ob], name, python_type, into.nvars(attrtype), f"{source}: {ob}")
        into.append_rows(ob, sizes[ob], PartRows(homs, attrs))
    return into


def _sorted_rows(schema: Schema, table: str, rows: object, source: str) -> list[JsonRow]:
    """Return the rows of a table by ``_id``, which is 1..n; refuse unknown columns."""
    place = f"{source}: {table}"
    if not isinstance(rows, list):
        raise ExchangeError(f"{place} must be an array of rows, not {brief(rows)}")
    for i, row in enumerate(rows):
        if not isinstance(row, dict):
            raise ExchangeError(f'{place}[{i}] must be a row like {{"_id":{i + 1}}}, not {brief(row)}')
        if type(row.get("_id")) is not int:
            found = f"'_id' is {brief(row['_id'])}" if "_id" in row else "no '_id'"
            raise ExchangeError(f"{place}[{i}]: {found}: every row needs an integer '_id', 1..{len(rows)}")
    columns = ("_id", *schema.homs_from(table), *schema.attrs_from(table))
    unknown = set().union(*rows).difference(columns)
    if unknown:
        row = next(row for row in rows if not unknown.isdisjoint(row))
        name = next(name for name in row if name in unknown)
        raise ExchangeError(f"{place} row _id={row['_id']}: {unknown_name('column', name, columns)}")
    by_id: dict[int, JsonRow] = {row["_id"]: row for row in rows}
    if by_id.keys() != set(range(1, len(rows) + 1)):
        seen = set()
        for number in (row["_id"] for row in rows):
            if not 1 <= number <= len(rows):
                raise ExchangeError(f"{place} row _id={number}: the ids of {len(rows)} rows must be 1..{len(rows)}")
            if number in seen:
                raise ExchangeError(f"{place} row _id={number} occurs twice: the ids must be 1..{len(rows)}, each once")
            seen.add(number)
    return [by_id[number] for number in range(1, len(rows) + 1)]


def _targets(rows: list[JsonRow], name: str, codom: str, sizes: dict[str, int], place: str) -> Ids:
    column = [row.get(name) for row in rows]
    try:
        targets = as_targets(column)
    except MisfitError as misfit:
        raise _misfit(misfit, name, place, f"write an id of {codom}, or leave it out if undefined") from None
    # From 1-based to 0-based: 0 becomes undefined, and so does what was left out.
    targets = np.maximum(targets - 1, UNDEFINED)
    dangling = np.flatnonzero(targets >= sizes[codom])
    if len(dangling):
        i = int(dangling[0])
        raise ExchangeError(
            f"{place} row _id={i + 1}: '{name}' points to {codom} {column[i]}, but there are {sizes[codom]} "
            f"{codom} parts: add it, or leave '{name}' out"
        )
    return targets


def _cells(rows: list[JsonRow], name: str, python_type: AttrPythonType, nvars: int, place: str) -> Cells:
    column = [row.get(name) for row in rows]
    values = column
    if dict in set(map(type, column)):
        values = [_variable(value) if isinstance(value, dict) else value for value in column]
    try:
        if isinstance(python_type, Codec):
            values = _decoded(values, python_type)
        cells = as_cells(values, python_type)
        unknown = np.flatnonzero(cells.status >= nvars)
        if len(unknown):
            problem = f"does not exist: its attribute type has {nvars} rows"
            raise MisfitError(int(unknown[0]), {"_var": int(cells.status[unknown[0]]) + 1}, problem)
        if python_type is float:
            infinite = np.flatnonzero((cells.status == DEFINED) & ~np.isfinite(cells.data))
            if len(infinite):
                raise MisfitError(int(infinite[0]), column[infinite[0]], "is not a finite number")
    except MisfitError as misfit:
        raise _misfit(misfit, name, place, f"write {type_name(python_type)}, or leave it out if undefined") from None
    return cells


def _decoded(values: list[Any], codec: Codec) -> list[Any]:
    decoded = []
    for position, value in enumerate(values):
        try:
            decoded.append(value if value is None or isinstance(value, Var) else codec.from_json(value))
        except ValueError as error:
            raise MisfitError(position, value, str(error)) from None
    return decoded


def _variable(value: JsonRow) -> object:
    """Return the variable that ``{"_var": k}`` means, or the value itself, which no attribute accepts."""
    k = value.get("_var")
    return Var(k - 1) if len(value) == 1 and type(k) is int and k >= 1 else value


def _misfit(misfit: MisfitError, name: str, place: str, remedy: str) -> ExchangeError:
    row = -1 if misfit.position is None else misfit.position
    return ExchangeError(
        f"{place} row _id={row + 1}: '{name}' is {brief(misfit.value)}, which {misfit.problem}: {remedy}"
    )
