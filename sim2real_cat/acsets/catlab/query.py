"""Conjunctive queries by Catlab: which part each atom is in every row.

Catlab joins the atoms. Everything else is read off the parts it gives: each atom asks for its part, so attributes are
looked up where they are needed, comparisons are filters, and the rows can be put in the order of the other engines.
Two faults of Catlab 0.17.4 are stepped around: a variable that stands twice in an atom becomes two that are compared
afterwards, and a value in an atom becomes a parameter.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.catlab import julia
from sim2real_cat.acsets.catlab.crossing import (
    handle_of,
    received_ids,
    require_no_variables,
    require_total,
    sent_json,
)
from sim2real_cat.acsets.codecs import type_name
from sim2real_cat.acsets.columns import Ids, dtype_of
from sim2real_cat.acsets.query.ast import ID, Constant
from sim2real_cat.acsets.query.comparing import compare
from sim2real_cat.acsets.query.resolved import Kind, Resolved
from sim2real_cat.acsets.query.table import Table

Column = NDArray[Any]


def join(instance: ACSet, resolved: Resolved) -> Table:
    """The answer of a query with at least one atom, its rows sorted by the parts of the atoms.

    Raises:
        EngineError: where an arrow that the query names is undefined somewhere, or an attribute is a variable.
    """
    named = {name for pattern in resolved.patterns for name, _ in pattern.arrows}
    require_total("queries", instance, sorted(named))
    if named & instance.schema.attrs.keys():
        require_no_variables("queries that name attributes", instance)
    parts = [np.zeros(0, np.int64)] * len(resolved.patterns) if resolved.impossible else _parts(instance, resolved)
    values, keep = _values(instance, resolved, parts)
    for restriction in resolved.restrictions:
        right = restriction.right
        other = right.value if isinstance(right, Constant) else values[right]
        keep &= compare(values[restriction.left], restriction.op, other)
    order = np.flatnonzero(keep)
    order = order[np.lexsort([ids[order] for ids in reversed(parts)])]
    columns = {}
    for name, number in resolved.out:
        columns[name] = values[number][order].astype(_dtype(resolved.unknowns[number].kind), copy=False)
    return Table(columns, len(order))


def _parts(instance: ACSet, resolved: Resolved) -> list[Ids]:
    """For each atom its part in every row of Catlab's answer."""
    atoms: list[tuple[str, list[tuple[str, str]]]] = []
    parameters: list[tuple[str, str, object]] = []
    stated: set[int] = set()

    def fixed(variable: str, kind: Kind, value: Any) -> None:
        is_part = kind.python_type is None
        parameters.append((variable, _type(kind), value + 1 if is_part else value))

    for position, pattern in enumerate(resolved.patterns):
        arguments = [(ID, _variable(pattern.part))]
        seen = {pattern.part}
        for name, operand in pattern.arrows:
            variable = f"a{position}_{name}"  # of its own, for a value or a variable that stands here already
            if isinstance(operand, Constant):
                fixed(variable, _kind(instance, name), operand.value)
            elif operand not in seen:
                seen.add(operand)
                variable = _variable(operand)
            arguments.append((name, variable))
        atoms.append((pattern.ob, arguments))
        stated |= seen
    for number in sorted(stated):
        unknown = resolved.unknowns[number]
        if unknown.fixed is not None:
            fixed(_variable(number), unknown.kind, unknown.fixed)
    out = list(dict.fromkeys(_variable(pattern.part) for pattern in resolved.patterns))
    found = julia.call("answer_query", handle_of(instance), *map(sent_json, (atoms, out, parameters)))
    columns = {variable: received_ids(column) for variable, column in zip(out, found, strict=True)}
    return [columns[_variable(pattern.part)] for pattern in resolved.patterns]


def _values(instance: ACSet, resolved: Resolved, parts: list[Ids]) -> tuple[dict[int, Column], NDArray[np.bool_]]:
    """Each variable's values in every row, and the rows in which all places of a variable have the same value."""
    values: dict[int, Column] = {}
    keep = np.ones(len(parts[0]), np.bool_)
    for ids, pattern in zip(parts, resolved.patterns, strict=True):
        places: list[tuple[int | Constant, Column]] = [(pattern.part, ids)]
        for name, operand in pattern.arrows:
            column = instance._homs[name].targets if name in instance.schema.homs else instance._attrs[name].cells.data
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


def _variable(number: int) -> str:
    return f"v{number}"


def _kind(instance: ACSet, name: str) -> Kind:
    schema = instance.schema
    codom = (schema.homs if name in schema.homs else schema.attrs)[name][1]
    return Kind(codom, schema.attrtypes.get(codom))


def _type(kind: Kind) -> str:
    return "id" if kind.python_type is None else type_name(kind.python_type)


def _dtype(kind: Kind) -> np.dtype[Any]:
    return np.dtype(np.int64) if kind.python_type is None else dtype_of(kind.python_type)
