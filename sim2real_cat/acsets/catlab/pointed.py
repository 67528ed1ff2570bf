"""The pointed encoding, in which everything is defined, and the algebra of sub-instances that Catlab computes on it.

Catlab asks for homs that are defined everywhere. So every object gets one more part, the last: its point. What is
undefined leads to a point, and so does every point. An undefined attribute holds a variable of its own, the last one,
and an attribute's values are sent as codes, whatever their type is. Afterwards the points are taken away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.catlab import julia
from sim2real_cat.acsets.catlab.crossing import received_ids, sent, sent_ids, sent_json
from sim2real_cat.acsets.columns import DEFINED, UNDEFINED, Cells, Ids
from sim2real_cat.acsets.maps.values import Codes, decoded
from sim2real_cat.acsets.schema import Schema

Operation = Literal["top", "bottom", "meet", "join", "implies", "negate", "subtract", "non"]
"""The operations of the algebra of sub-instances."""


def pointed_schema(schema: Schema) -> Schema:
    """Return the schema of the encoding: with integers for all values, and without equations."""
    return Schema("Pointed", schema.obs, schema.homs, dict.fromkeys(schema.attrtypes, int), schema.attrs)


def with_points(instance: ACSet, schema: Schema, coded: Codes | None = None) -> ACSet:
    """Return the pointed encoding of an instance, in the embedded engine.

    Args:
        instance: the instance.
        schema: the schema of the encoding, perhaps without the attributes.
        coded: the codes of this instance alone, where the schema has attributes.
    """
    sizes = {ob: instance.nparts(ob) + 1 for ob in schema.obs}
    homs = {}
    for name, (_, codom) in schema.homs.items():
        targets = np.append(instance.column_ids(name), UNDEFINED)
        homs[name] = np.where(targets == UNDEFINED, sizes[codom] - 1, targets)
    attrs = {}
    nvars = {attrtype: instance.nvars(attrtype) + 1 for attrtype in schema.attrtypes}
    for name, (_, attrtype) in schema.attrs.items():
        assert coded is not None
        known = len(coded.values[attrtype])
        column = np.append(coded.columns[0][name], UNDEFINED)
        column[column == UNDEFINED] = known + nvars[attrtype] - 1
        attrs[name] = decoded(column, np.arange(known), int)
    return instance.like(schema).fill(sizes, nvars, homs, attrs)


def without_points(found: ACSet, empty: ACSet, values: Mapping[str, NDArray[np.generic]]) -> ACSet:
    """Read a pointed encoding into an empty instance, which is returned.

    Args:
        found: the encoding, in which the last part of each object is its point.
        empty: an empty instance of the schema that was encoded.
        values: for each attribute type the values by their codes.
    """
    schema = empty.schema
    sizes = {ob: found.nparts(ob) - 1 for ob in schema.obs}
    nvars = {attrtype: found.nvars(attrtype) - 1 for attrtype in schema.attrtypes}
    homs = {}
    for name, (_, codom) in schema.homs.items():
        targets = found.column_ids(name)[:-1]
        homs[name] = np.where(targets == sizes[codom], UNDEFINED, targets)
    attrs: dict[str, Cells] = {}
    for name, (_, attrtype) in schema.attrs.items():
        data, status = (column[:-1] for column in found.cells(name))
        codes = np.where(status == nvars[attrtype], UNDEFINED, len(values[attrtype]) + status)
        codes[status == DEFINED] = data[status == DEFINED]
        attrs[name] = decoded(codes, values[attrtype], schema.attrtypes[attrtype])
    return empty.fill(sizes, nvars, homs, attrs)


def algebra(
    operation: Operation,
    instance: ACSet,
    left: Mapping[str, Ids] | None = None,
    right: Mapping[str, Ids] | None = None,
) -> dict[str, Ids]:
    """Return the sub-instance that Catlab computes from one or two others.

    The points are in every sub-instance that is sent, also in the empty one. So Catlab's own negation is not asked for,
    which would leave out all that leads to a point: it is the implication of the empty one.

    Args:
        operation: the operation.
        instance: the whole instance.
        left: the parts of the first operand, by object.
        right: those of the second.
    """
    schema = Schema("Pointed", instance.schema.obs, instance.schema.homs)
    found = julia.call(
        "subobject_algebra",
        sent(with_points(instance, schema), static=True),
        "implies" if operation == "negate" else operation,
        sent_json(list(schema.obs)),
        _sent(instance, left or {}),
        _sent(instance, right or {}),
    )
    parts = {ob: np.sort(received_ids(ids)) for ob, ids in zip(schema.obs, found, strict=True)}
    return {ob: ids[ids < instance.nparts(ob)] for ob, ids in parts.items()}


def _sent(instance: ACSet, parts: Mapping[str, Ids]) -> str:
    """Return a sub-instance with the points, for Julia."""
    none = np.zeros(0, np.int64)
    pointed = {ob: np.append(parts.get(ob, none), instance.nparts(ob)) for ob in instance.schema.obs}
    return sent_json({ob: sent_ids(ids).tolist() for ob, ids in pointed.items()})
