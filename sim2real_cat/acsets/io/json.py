"""Instances in ACSets.jl's JSON.

One table for each object and each attribute type, an array of rows: ``{"_id": 1, "train": 2}``. Ids
count from 1 in there and from 0 everywhere else; the step between the two is taken in this file.
Undefined values are left out; 0 for a hom and null are read as undefined too. ``{"_var": 1}`` is an
attribute variable, and the table of an attribute type lists its variables.

Schemas in ACSets.jl's JSON.

The format holds the generators and the equations; it has no schema name, and an attribute type is
only a name, so its Python type is given on reading.

Strict reading of JSON text, with errors of one line that say where.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.codecs import Codec, type_name
from sim2real_cat.acsets.coercion import MisfitError, as_cells, as_targets, brief
from sim2real_cat.acsets.columns import DEFINED, UNDEFINED, Cells, Ids, Var
from sim2real_cat.acsets.schema import AttrPythonType, Schema
from sim2real_cat.acsets.storage import Rows
from sim2real_cat.errors import ExchangeError, SchemaError, listed, one_line, unknown_name

Row = dict[str, Any]


def write(instance: ACSet) -> str:
    """The JSON text of an instance: compact, tables and columns in schema order, always the same bytes.

    Raises:
        ExchangeError: where a float is NaN or infinite.
    """
    check_finite(instance)
    schema = instance.schema
    tables: dict[str, list[Row]] = {}
    for ob in schema.obs:
        rows: list[Row] = [{"_id": i} for i in range(1, instance.nparts(ob) + 1)]
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
    return json.dumps(tables, separators=(",", ":"), allow_nan=False)


def check_finite(instance: ACSet) -> None:
    """Refuse an instance that JSON cannot hold.

    Raises:
        ExchangeError: where a float is NaN or infinite, naming the row.
    """
    for name, (ob, attrtype) in instance.schema.attrs.items():
        if instance.schema.attrtypes[attrtype] is float:
            column = instance.column(name)
            infinite = np.flatnonzero(~np.isfinite(np.ma.filled(column, 0.0)))
            if len(infinite):
                row = int(infinite[0])
                raise ExchangeError(
                    f"cannot write {ob} row _id={row + 1} (id {row}): '{name}' is {column[row]}, "
                    "which JSON does not have: set a finite number or None"
                )


def _values(instance: ACSet, name: str) -> list[Any]:
    """An attribute as JSON values, None where undefined."""
    ob, attrtype = instance.schema.attrs[name]
    column = instance.column(name)
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


def read(schema: Schema, text: str, source: str = "instance.json") -> ACSet:
    """The instance in a JSON text. Rows may come in any order of their ``_id``.

    Args:
        schema: the schema of the instance.
        text: the JSON text.
        source: what to call the text in messages.

    Raises:
        ExchangeError: one line that names the source, the table, the row and what to do.
    """
    document = parse(text, source)
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
    instance = ACSet(schema)
    for attrtype in schema.attrtypes:
        instance.add_vars(attrtype, len(rows[attrtype]))
    sizes = {ob: len(rows[ob]) for ob in schema.obs}
    for ob in schema.obs:
        homs, attrs = {}, {}
        for name in schema.homs_from(ob):
            homs[name] = _targets(rows[ob], name, schema.homs[name][1], sizes, f"{source}: {ob}")
        for name in schema.attrs_from(ob):
            attrtype = schema.attrs[name][1]
            python_type = schema.attrtypes[attrtype]
            attrs[name] = _cells(rows[ob], name, python_type, instance.nvars(attrtype), f"{source}: {ob}")
        instance._append(ob, sizes[ob], Rows(homs, attrs))
    return instance


def _sorted_rows(schema: Schema, table: str, rows: object, source: str) -> list[Row]:
    """The rows of a table by ``_id``, which is 1..n; only known columns."""
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
    by_id: dict[int, Row] = {row["_id"]: row for row in rows}
    if by_id.keys() != set(range(1, len(rows) + 1)):
        seen = set()
        for number in (row["_id"] for row in rows):
            if not 1 <= number <= len(rows):
                raise ExchangeError(f"{place} row _id={number}: the ids of {len(rows)} rows must be 1..{len(rows)}")
            if number in seen:
                raise ExchangeError(f"{place} row _id={number} occurs twice: the ids must be 1..{len(rows)}, each once")
            seen.add(number)
    return [by_id[number] for number in range(1, len(rows) + 1)]


def _targets(rows: list[Row], name: str, codom: str, sizes: dict[str, int], place: str) -> Ids:
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


def _cells(rows: list[Row], name: str, python_type: AttrPythonType, nvars: int, place: str) -> Cells:
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


def _variable(value: Row) -> object:
    """The variable that ``{"_var": k}`` means, or the value itself, which no attribute accepts."""
    k = value.get("_var")
    return Var(k - 1) if len(value) == 1 and type(k) is int and k >= 1 else value


def _misfit(misfit: MisfitError, name: str, place: str, remedy: str) -> ExchangeError:
    row = -1 if misfit.position is None else misfit.position
    return ExchangeError(
        f"{place} row _id={row + 1}: '{name}' is {brief(misfit.value)}, which {misfit.problem}: {remedy}"
    )


VERSION = {"ACSets": "0.0.0", "ACSetSchema": "0.0.1"}
_GENERATORS = ("Ob", "Hom", "AttrType", "Attr")
_KEYS = ("version", *_GENERATORS, "equations")


def write_schema(schema: Schema) -> str:
    """The JSON text of a schema: compact, with keys in the order ACSets.jl writes them."""
    document = {
        "version": VERSION,
        "Ob": [{"name": ob} for ob in schema.obs],
        "Hom": [{"name": f, "codom": codom, "dom": dom} for f, (dom, codom) in schema.homs.items()],
        "AttrType": [{"name": attrtype} for attrtype in schema.attrtypes],
        "Attr": [{"name": f, "codom": codom, "dom": dom} for f, (dom, codom) in schema.attrs.items()],
        "equations": [
            {"codom": left.codom, "name": None, "paths": [left.arrows, right.arrows], "dom": left.dom}
            for left, right in schema.equations
        ],
    }
    return json.dumps(document, separators=(",", ":"))


def read_schema(text: str, attrtypes: Mapping[str, AttrPythonType], name: str, source: str) -> Schema:
    """The schema in a JSON text; see :meth:`Schema.from_json`."""
    document = parse(text, source)
    if not isinstance(document, dict):
        raise ExchangeError(f"{source}: expected a JSON object with {listed(_GENERATORS)}, found {_kind(document)}")
    for key in document:
        if key not in _KEYS:
            raise ExchangeError(f"{source}: {unknown_name('key', key, _KEYS)}")
    generators = {key: _entries(document, key, source) for key in _GENERATORS}
    names = [_text(entry, "name", f"{source}: AttrType[{i}]") for i, entry in enumerate(generators["AttrType"])]
    twice = {attrtype for attrtype in names if names.count(attrtype) > 1}
    if twice:
        raise ExchangeError(f"{source}: AttrType has {listed(sorted(twice))} twice: all names must differ")
    missing = [attrtype for attrtype in names if attrtype not in attrtypes]
    if missing:
        raise SchemaError(
            f"{source}: no Python type for attribute type {listed(missing)}: "
            f"give attrtypes={{{', '.join(f'{m!r}: float' for m in missing)}}} (or int, str, bool, a Codec)"
        )
    for attrtype in attrtypes:
        if attrtype not in names:
            raise SchemaError(f"{source}: attrtypes has an {unknown_name('attribute type', attrtype, names)}")
    obs = [_text(entry, "name", f"{source}: Ob[{i}]") for i, entry in enumerate(generators["Ob"])]
    homs = _arrows(generators["Hom"], f"{source}: Hom")
    attrs = _arrows(generators["Attr"], f"{source}: Attr")
    equations = _equations(_entries(document, "equations", source) if "equations" in document else [], source)
    try:
        return Schema(name, obs, homs, {attrtype: attrtypes[attrtype] for attrtype in names}, attrs, equations)
    except SchemaError as error:
        raise SchemaError(f"{source}: {error}") from None


def _entries(document: dict[str, object], key: str, source: str) -> list[dict[str, object]]:
    if key not in document:
        raise ExchangeError(f"{source}: no '{key}': a schema has {listed(_GENERATORS)}; write [] where there are none")
    entries = document[key]
    if not isinstance(entries, list):
        raise ExchangeError(f"{source}: '{key}' must be an array of objects, found {_kind(entries)}")
    for i, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise ExchangeError(f"{source}: {key}[{i}] must be an object, found {_kind(entry)}")
    return entries


def _text(entry: dict[str, object], key: str, place: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str):
        raise ExchangeError(f"{place} needs a '{key}' that is a string, found {_kind(value)}")
    return value


def _arrows(entries: list[dict[str, object]], place: str) -> dict[str, tuple[str, str]]:
    arrows: dict[str, tuple[str, str]] = {}
    for i, entry in enumerate(entries):
        name, dom, codom = (_text(entry, key, f"{place}[{i}]") for key in ("name", "dom", "codom"))
        if name in arrows:
            raise ExchangeError(f"{place}[{i}]: the name '{name}' occurs twice: all names must differ")
        arrows[name] = (dom, codom)
    return arrows


def _equations(entries: list[dict[str, object]], source: str) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    equations = []
    for i, entry in enumerate(entries):
        paths = entry.get("paths")
        if not (
            isinstance(paths, list)
            and len(paths) == 2
            and all(isinstance(path, list) and all(isinstance(name, str) for name in path) for path in paths)
        ):
            raise ExchangeError(f"{source}: equations[{i}] needs 'paths', two arrays of arrow names")
        equations.append((tuple(paths[0]), tuple(paths[1])))
    return equations


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "nothing"}
    return kinds.get(type(value), "a number")


_LITERALS = ("true", "false", "null", "NaN", "Infinity", "-Infinity")
_UNFINISHED_NUMBER = re.compile(r"\.|[eE][+-]?")


def parse(text: str, source: str) -> object:
    """The value of a JSON text.

    ``NaN`` and ``Infinity`` come through as floats, so that the caller, who knows the row, refuses them.

    Raises:
        ExchangeError: not JSON, cut short (with the character), nested too deep, or a repeated key.
    """
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _unrepeated(pairs, source))
    except json.JSONDecodeError as error:
        if not text.strip():
            raise ExchangeError(f"{source}: the text is empty: expected a JSON object") from None
        remedy = "the file looks cut short: write it again" if _cut_short(text, error) else "mend the text there"
        place = f"line {error.lineno}, character {error.pos}"
        raise ExchangeError(f"{source}: not JSON at {place} ({error.msg}): {remedy}") from None
    except RecursionError:
        raise ExchangeError(f"{source}: not an exchange file: its JSON is nested too deep") from None
    except ValueError as error:  # an integer with more digits than Python converts
        reason = one_line(error)
        raise ExchangeError(f"{source}: a number cannot be read ({reason}): shorten it") from None


def _unrepeated(pairs: list[tuple[str, object]], source: str) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ExchangeError(f"{source}: key {twice!r} occurs twice in one JSON object: keep one of them")
    return result


def _cut_short(text: str, error: json.JSONDecodeError) -> bool:
    """Whether the reader failed because the text ended, rather than because of what it says."""
    rest = text[error.pos :].strip()
    return (
        error.msg.startswith("Unterminated string")
        or (error.msg.startswith("Invalid \\") and len(rest) < len("\\u0000"))
        or _UNFINISHED_NUMBER.fullmatch(rest) is not None
        or any(literal.startswith(rest) for literal in _LITERALS)
    )
