"""Instances that live in Julia, where Catlab reads, removes, unites and writes parts, and answers queries and laws.

An instance of the Catlab engine keeps its columns in Python as every instance does. What is added or set goes over to
Julia at once, as a ``DynamicACSet``, when Catlab is next asked; a million rows one by one would take hours.
"""

from __future__ import annotations

import json
import math
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.catlab import julia
from sim2real_cat.acsets.catlab.crossing import (
    check_types,
    received,
    received_cells,
    received_ids,
    require_defined,
    require_no_variables,
    sent,
    sent_cells,
    sent_ids,
    sent_json,
)
from sim2real_cat.acsets.codecs import type_name
from sim2real_cat.acsets.columns import UNDEFINED, Cells, Fibres, Ids, renumbered
from sim2real_cat.acsets.query.resolve import Resolved, VariableType, arrow_type, compare
from sim2real_cat.acsets.query.table import Table
from sim2real_cat.acsets.query.text import ID, Constant
from sim2real_cat.acsets.schema import Path, Schema
from sim2real_cat.acsets.storage import COLUMN_READER, Storage, sought

S = TypeVar("S", bound=Storage)


class CatlabReader:
    """The reader of the Catlab engine, for one instance, whose twin in Julia it keeps.

    Raises:
        EngineError: for a schema with attribute types other than float, int, str and bool.
    """

    def __init__(self, schema: Schema) -> None:
        check_types(schema)
        self._twin: tuple[int, Any] | None = None

    def twin(self, storage: Storage) -> Any:
        """Return the instance in Julia, brought up to date; not to be changed there."""
        if self._twin is None or self._twin[0] != storage.version:
            self._twin = storage.version, sent(storage)
        return self._twin[1]

    def keep(self, storage: Storage, handle: Any) -> None:
        """Take an instance in Julia, of the same content, for the twin; or forget the twin where there is none."""
        self._twin = None if handle is None else (storage.version, handle)

    def __getstate__(self) -> dict[str, Any]:
        return {"_twin": None}

    def follow(self, storage: Storage, route: Path, ids: Ids | None) -> Ids | Cells:
        """Follow the homs at once, then read the attribute."""
        ids = storage.parts(route.dom) if ids is None else ids
        if not route.arrows:
            return np.array(ids, np.int64)
        *way, last = route.arrows
        schema = storage.schema
        homs = route.arrows if last in schema.homs else way
        handle = self.twin(storage)
        if homs:
            ids = received_ids(julia.call("follow_homs", handle, sent_json(homs), sent_ids(ids)))
        if last in schema.homs:
            return ids
        return received_cells(julia.call("attr_values", handle, last, sent_ids(ids)), schema.attrtypes[route.codom])

    def follow_one(self, storage: Storage, route: Path, part: int) -> Any:
        """Follow a path from one part."""
        reached = self.follow(storage, route, np.array([part]))
        if isinstance(reached, Cells):
            return reached.tolist()[0]
        return None if reached[0] == UNDEFINED else int(reached[0])

    def preimage(self, storage: Storage, route: Path, value: Any) -> Ids:
        """Ask for the preimage of one value."""
        return self.preimages(storage, route, [value])[0]

    def preimages(self, storage: Storage, route: Path, values: list[Any] | NDArray[Any]) -> list[Ids]:
        """Ask for the preimages of all values at once."""
        if not route.arrows or not len(values):
            return COLUMN_READER.preimages(storage, route, values)
        asked = sought(storage, route, values)
        handle, path = self.twin(storage), sent_json(route.arrows)
        if isinstance(asked, Cells):
            python_type = storage.schema.attrtypes[route.codom]
            ids, ends = julia.call("preimages_of_values", handle, path, *sent_cells(asked, python_type))
        else:
            ids, ends = julia.call("preimages_of_parts", handle, path, sent_ids(asked))
        return np.split(received_ids(ids), np.asarray(ends, np.int64)[:-1])

    def fibres(self, storage: Storage, route: Path) -> Fibres:
        """Ask for the preimages of all parts of the codomain."""
        found = self.preimages(storage, route, storage.parts(route.codom))
        offsets = np.cumsum([0, *map(len, found)])
        ids = np.concatenate([np.zeros(0, np.int64), *found])
        for array in (offsets, ids):
            array.flags.writeable = False
        return Fibres(offsets, ids)


def handle_of(instance: Storage) -> Any:
    """Return an instance of any engine as an object in Julia, not to be changed there."""
    reader = instance.reader
    return reader.twin(instance) if isinstance(reader, CatlabReader) else sent(instance)


def remove(instance: Storage, ob: str, parts: Ids, *, cascade: bool) -> dict[str, Ids]:
    """Remove sorted parts of an instance of this engine, by Catlab; the rest is as in `acsets.parts.remove`."""
    reader = instance.reader
    assert isinstance(reader, CatlabReader)
    handle = reader.twin(instance)
    reader.keep(instance, None)  # until Catlab has done all of it
    maps = {name: instance.parts(name) for name in instance.schema.obs}
    if cascade:
        obs = sent_json(list(instance.schema.obs))
        kept = julia.call("remove_cascading", handle, ob, sent_ids(parts), obs)
        for name, old in zip(instance.schema.obs, kept, strict=True):
            stays = received_ids(old)
            maps[name] = np.full(len(maps[name]), UNDEFINED)
            maps[name][stays] = np.arange(len(stays))
    else:
        julia.call("remove_parts", handle, ob, sent_ids(parts))
        maps[ob] = renumbered(instance.nparts(ob), parts)
    instance.take_from(received(handle, instance.like(None, instance.index, instance.unique_index)))
    reader.keep(instance, handle)
    return maps


def union(left: S, right: S) -> S:
    """Return the parts and variables of two instances of one schema, one after the other, with the indexes of both.

    Raises:
        EngineError: where an attribute is undefined, which ACSets.jl cannot copy.
    """
    for instance in (left, right):
        require_defined("a disjoint union", instance, instance.schema.attrs)
    found = julia.call("union_of", handle_of(left), handle_of(right))
    return received(found, left.like(None, dict.fromkeys((*left.index, *right.index)), engine="catlab"))


def json_text(instance: Storage) -> str:
    """Return the instance in ACSets.jl's JSON, written by it."""
    return str(julia.call("json_text", handle_of(instance)))


def law_rows(instance: Storage, law: str, epsilon: float) -> list[tuple[str, str, int]]:
    """Return the rows that break a law of the sim-to-real schema or leave it open: verdict, object and id.

    Args:
        instance: an instance of `SchSim2RealTransfer` or an extension.
        law: a name in the Julia module's `LAWS`.
        epsilon: the bound under which a policy transfers, in the unit of ``kl_gap``.

    Raises:
        EngineError: where the Julia module does not know the law.
    """
    rows = json.loads(str(julia.call("law_rows", handle_of(instance), law, float(epsilon))))
    return [(str(verdict), str(ob), int(number) - 1) for verdict, ob, number in rows]


# Conjunctive queries
#
# Catlab joins the atoms and gives the part of each atom in every row. From these parts the attributes are looked up,
# the comparisons are made, and the rows are put in the order of the other engines. Catlab 0.17.4 is not asked where its
# answer would differ from ours: a variable that stands twice in an atom, and floats that it takes for different where
# they are equal (NaN, 0.0 and -0.0) or that JSON cannot hold. These are compared afterwards, too.


def answer_query(instance: Storage, resolved: Resolved) -> Table:
    """Return the answer of a query with at least one atom, its rows sorted by the parts of the atoms.

    Raises:
        EngineError: where an arrow that the query names is undefined somewhere, or an attribute is a variable.
    """
    named = {name for pattern in resolved.patterns for name, _ in pattern.arrows}
    require_defined("queries", instance, sorted(named))
    if named & instance.schema.attrs.keys():
        require_no_variables("queries that name attributes", instance)
    parts = [np.zeros(0, np.int64)] * len(resolved.patterns) if resolved.impossible else _parts(instance, resolved)
    values, keep = _values(instance, resolved, parts)
    for condition in resolved.conditions:
        right = condition.right
        other = right.value if isinstance(right, Constant) else values[right]
        keep &= compare(values[condition.left], condition.op, other)
    order = np.flatnonzero(keep)
    order = order[np.lexsort([ids[order] for ids in reversed(parts)])]
    columns = {}
    for name, number in resolved.out:
        columns[name] = values[number][order].astype(resolved.unknowns[number].type.dtype, copy=False)
    return Table(columns, len(order))


def _parts(instance: Storage, resolved: Resolved) -> list[Ids]:
    """Return for each atom its part in every row of Catlab's answer."""
    atoms: list[tuple[str, list[tuple[str, str]]]] = []
    parameters: list[tuple[str, str, object]] = []
    stated: set[int] = set()

    def fixed(variable: str, kind: VariableType, value: Any) -> None:
        if kind.python_type is None:
            value += 1  # ids count from 1 there
        elif kind.python_type is float:
            value += 0.0  # of -0.0 it makes 0.0
        parameters.append((variable, _julia_type(kind), value))

    for position, pattern in enumerate(resolved.patterns):
        arguments = [(ID, _variable(pattern.part))]
        seen = {pattern.part}
        for name, operand in pattern.arrows:
            if not _agree_on_equality(instance, name) or operand in seen:
                continue
            if isinstance(operand, Constant):
                if _is_finite(operand.value):
                    variable = f"a{position}_{name}"
                    fixed(variable, arrow_type(instance.schema, name), operand.value)
                    arguments.append((name, variable))
            else:
                seen.add(operand)
                arguments.append((name, _variable(operand)))
        atoms.append((pattern.ob, arguments))
        stated |= seen
    for number in sorted(stated):
        unknown = resolved.unknowns[number]
        if unknown.fixed is not None and _is_finite(unknown.fixed):
            fixed(_variable(number), unknown.type, unknown.fixed)
    out = list(dict.fromkeys(_variable(pattern.part) for pattern in resolved.patterns))
    found = julia.call("answer_query", handle_of(instance), *map(sent_json, (atoms, out, parameters)))
    columns = {variable: received_ids(column) for variable, column in zip(out, found, strict=True)}
    return [columns[_variable(pattern.part)] for pattern in resolved.patterns]


def _values(
    instance: Storage, resolved: Resolved, parts: list[Ids]
) -> tuple[dict[int, NDArray[Any]], NDArray[np.bool_]]:
    """Return each variable's values in every row, and the rows in which all places of a variable hold one value."""
    values: dict[int, NDArray[Any]] = {}
    keep = np.ones(len(parts[0]), np.bool_)
    for ids, pattern in zip(parts, resolved.patterns, strict=True):
        places: list[tuple[int | Constant, NDArray[Any]]] = [(pattern.part, ids)]
        for name, operand in pattern.arrows:
            column = instance.column_ids(name) if name in instance.schema.homs else instance.cells(name).data
            places.append((operand, column[ids]))
        for operand, found in places:
            if isinstance(operand, Constant):
                keep &= compare(found, "==", operand.value)
            elif operand in values:
                keep &= compare(found, "==", values[operand])
            else:
                values[operand] = found
    for number, unknown in enumerate(resolved.unknowns):
        if unknown.fixed is not None and number in values:
            keep &= compare(values[number], "==", unknown.fixed)
    return values, keep


def _agree_on_equality(instance: Storage, name: str) -> bool:
    """Return whether the values of an arrow are equal for Catlab exactly where they are equal for us."""
    if name in instance.schema.homs:
        return True
    data = instance.cells(name).data
    return data.dtype.kind != "f" or not (np.isnan(data) | ((data == 0) & np.signbit(data))).any()


def _is_finite(value: object) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def _variable(number: int) -> str:
    return f"v{number}"


def _julia_type(kind: VariableType) -> str:
    return "id" if kind.python_type is None else type_name(kind.python_type)
