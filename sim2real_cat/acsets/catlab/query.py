"""Conjunctive queries by Catlab, which gives the part of each atom in every row.

Catlab joins the atoms. Everything else is read off the parts it gives: each atom asks for its part, so attributes are
looked up where they are needed, comparisons are filters, and the rows can be put in the order of the other engines.
What Catlab 0.17.4 would answer otherwise is not asked of it but compared afterwards: a variable that stands twice in an
atom, and floats that it takes for different where they are equal (NaN, 0.0 and -0.0) or that JSON cannot hold.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.catlab import julia
from sim2real_cat.acsets.catlab.crossing import (
    received_ids,
    require_defined,
    require_no_variables,
    sent_json,
)
from sim2real_cat.acsets.catlab.instances import handle_of
from sim2real_cat.acsets.codecs import type_name
from sim2real_cat.acsets.columns import Ids, dtype_of
from sim2real_cat.acsets.query.resolve import Resolved, VariableType, compare
from sim2real_cat.acsets.query.table import Table
from sim2real_cat.acsets.query.text import ID, Constant
from sim2real_cat.acsets.storage import Storage

Column = NDArray[Any]


def join(instance: Storage, resolved: Resolved) -> Table:
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
        columns[name] = values[number][order].astype(_dtype(resolved.unknowns[number].type), copy=False)
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
        parameters.append((variable, _type(kind), value))

    for position, pattern in enumerate(resolved.patterns):
        arguments = [(ID, _variable(pattern.part))]
        seen = {pattern.part}
        for name, operand in pattern.arrows:
            if not _agree_on_equality(instance, name) or operand in seen:
                continue
            if isinstance(operand, Constant):
                if _is_finite(operand.value):
                    variable = f"a{position}_{name}"
                    fixed(variable, _kind(instance, name), operand.value)
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


def _values(instance: Storage, resolved: Resolved, parts: list[Ids]) -> tuple[dict[int, Column], NDArray[np.bool_]]:
    """Return each variable's values in every row, and the rows in which all places of a variable hold one value."""
    values: dict[int, Column] = {}
    keep = np.ones(len(parts[0]), np.bool_)
    for ids, pattern in zip(parts, resolved.patterns, strict=True):
        places: list[tuple[int | Constant, Column]] = [(pattern.part, ids)]
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


def _kind(instance: Storage, name: str) -> VariableType:
    schema = instance.schema
    codom = (schema.homs if name in schema.homs else schema.attrs)[name][1]
    return VariableType(codom, schema.attrtypes.get(codom))


def _type(kind: VariableType) -> str:
    return "id" if kind.python_type is None else type_name(kind.python_type)


def _dtype(kind: VariableType) -> np.dtype[Any]:
    return np.dtype(np.int64) if kind.python_type is None else dtype_of(kind.python_type)
