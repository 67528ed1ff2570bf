"""The disjoint union of two instances: their coproduct, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sim2real_cat.acsets._rows import Rows
from sim2real_cat.acsets.columns import UNDEFINED, Cells, Ids
from sim2real_cat.acsets.engines import engine_of
from sim2real_cat.errors import SchemaError

if TYPE_CHECKING:
    from sim2real_cat.acsets.acset import ACSet


class DisjointUnion(NamedTuple):
    """A disjoint union with its two inclusions.

    Attributes:
        instance: the union.
        left: for each object and each attribute type, where the parts or variables of the first
            instance are in the union, shape (n,).
        right: the same for the second.
    """

    instance: ACSet
    left: dict[str, Ids]
    right: dict[str, Ids]


def disjoint_union(left: ACSet, right: ACSet) -> DisjointUnion:
    """The disjoint union; see :meth:`~sim2real_cat.acsets.acset.ACSet.disjoint_union`."""
    schema = left.schema
    if schema != right.schema:
        raise SchemaError(
            f"a disjoint union needs two instances of one schema, not of {schema.name} and {right.schema.name}: "
            "migrate one of them first"
        )
    first = {ob: left.parts(ob) for ob in schema.obs} | {t: np.arange(left.nvars(t)) for t in schema.attrtypes}
    second = {ob: left.nparts(ob) + right.parts(ob) for ob in schema.obs}
    second |= {t: left.nvars(t) + np.arange(right.nvars(t)) for t in schema.attrtypes}
    if engine_of(left, right) == "catlab":
        from sim2real_cat.acsets.catlab.constructions import union_of

        return DisjointUnion(union_of(left, right), first, second)
    union = type(left)(schema, dict.fromkeys((*left.index, *right.index)))
    for attrtype in schema.attrtypes:
        union.add_vars(attrtype, left.nvars(attrtype) + right.nvars(attrtype))
    for ob in schema.obs:
        for x, inclusion in ((left, first), (right, second)):
            rows = Rows({}, {})
            for name in schema.homs_from(ob):
                rows.homs[name] = np.append(inclusion[schema.homs[name][1]], UNDEFINED)[x._homs[name].targets]
            for name in schema.attrs_from(ob):
                data, status = x._attrs[name].cells
                variables = np.append(inclusion[schema.attrs[name][1]], UNDEFINED)[np.maximum(status, UNDEFINED)]
                rows.attrs[name] = Cells(data, np.where(status >= 0, variables, status))
            union._append(ob, x.nparts(ob), rows)
    return DisjointUnion(union, first, second)
