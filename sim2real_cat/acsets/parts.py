"""Removing parts: dense, as ACSets.jl does it, alone or with everything that points at them.

Restriction: the part of an instance that lies on some of its parts, in an order of one's own.

The disjoint union of two instances: their coproduct, one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from sim2real_cat.acsets.columns import UNDEFINED, Cells, Ids, keys_at
from sim2real_cat.acsets.engines import engine_of
from sim2real_cat.acsets.storage import Rows
from sim2real_cat.errors import InstanceError, SchemaError, unknown_name

if TYPE_CHECKING:
    from sim2real_cat.acsets.acset import ACSet


def remove(instance: ACSet, ob: str, ids: int | ArrayLike, *, cascade: bool = False) -> dict[str, Ids]:
    """Remove parts; see :meth:`~sim2real_cat.acsets.acset.ACSet.remove`."""
    parts = np.sort(instance._checked_ids(ob, ids, "remove", distinct=True))
    doomed = pointing_at(instance, ob, parts) if cascade else {ob: parts}
    maps = {name: instance.parts(name) for name in instance.schema.obs}
    for name, removed in doomed.items():
        maps[name] = renumbered(instance.nparts(name), removed)
    # Everything that can fail is done; from here on it is stored.
    for name, removed in doomed.items():
        if len(removed):
            _drop(instance, name, maps[name], removed)
    return maps


def pointing_at(instance: ACSet, ob: str, ids: Ids) -> dict[str, Ids]:
    """The parts from which some path leads to one of the given ones, and these themselves.

    It is the smallest set of parts that holds the given ones and the preimages of its own along every
    hom: the complement of what stays is what stays when the given parts must go, and no hom may become
    undefined by it. The ids of each object concerned are sorted.
    """
    schema = instance.schema
    found = {name: np.zeros(instance.nparts(name), np.bool_) for name in schema.obs}
    found[ob][ids] = True
    frontier = {ob: ids}
    while frontier:
        reached: dict[str, list[Ids]] = {}
        for codom, targets in frontier.items():
            for hom in schema.homs_into(codom):
                dom = schema.homs[hom][0]
                sources = instance._homs[hom].preimages(targets, instance.nparts(codom)).ids
                sources = sources[~found[dom][sources]]
                if len(sources):
                    found[dom][sources] = True
                    reached.setdefault(dom, []).append(sources)
        frontier = {dom: np.concatenate(sources) for dom, sources in reached.items()}
    return {name: np.flatnonzero(mask) for name, mask in found.items() if mask.any()}


def renumbered(n: int, removed: Ids) -> Ids:
    """Old ids to new, shape (n,), -1 where removed, as ACSets.jl numbers what is left of n parts.

    It takes the sorted ids d_0 < ... < d_{k-1} away from the highest down, each time moving the part that
    is last then into the freed slot. With m = n - k left, the last slot when d_j goes is m + j. What is in
    there is its own part, unless that slot was freed before, as d_i with i > j: then it is what came
    into d_i. Chains of such moves are followed all at once, by doubling.
    """
    k = len(removed)
    m = n - k
    origin = np.arange(m, n)  # where what fills slot d_j comes from
    if k:
        freed = np.searchsorted(removed, origin)
        freed = np.where(removed[np.minimum(freed, k - 1)] == origin, freed, np.arange(k))
        while not np.array_equal(further := freed[freed], freed):
            freed = further
        origin = origin[freed]
    renumbered = np.arange(n)
    renumbered[removed] = UNDEFINED
    filled = removed < m
    renumbered[origin[filled]] = removed[filled]
    return renumbered


def _drop(instance: ACSet, ob: str, renumbered: Ids, removed: Ids) -> None:
    """Take the removed parts of one object out of its columns and out of the homs into it."""
    schema, size = instance.schema, len(renumbered) - len(removed)
    moved = np.flatnonzero(renumbered[size:] != UNDEFINED) + size
    freed = renumbered[moved]
    for name in (*schema.homs_from(ob), *schema.attrs_from(ob)):
        column, owners = instance._column(name), instance._unique.get(name)
        gone = keys_at(column, removed) if owners else []
        column.move(moved, freed, size)
        if owners:
            owners.move(freed.tolist(), gone, keys_at(column, freed))
    instance._nparts[ob] = size
    # One more slot, so that what was undefined stays so.
    lookup = np.append(renumbered, UNDEFINED)
    for name in schema.homs_into(ob):
        column, owners = instance._homs[name], instance._unique.get(name)
        targets = lookup[column.targets]
        if owners:
            changed = np.flatnonzero(targets != column.targets)
            before = keys_at(column, changed)
            column.replace(targets)
            owners.move(changed.tolist(), before, keys_at(column, changed))
        else:
            column.replace(targets)


Dangling = Literal["undefined", "error"]


class Restriction(NamedTuple):
    """A restricted instance and where the parts went.

    Attributes:
        instance: the new instance.
        maps: for each object of the schema old ids to new, shape (n,), -1 where left out.
    """

    instance: ACSet
    maps: dict[str, Ids]


def restrict(instance: ACSet, parts: Mapping[str, int | ArrayLike], dangling: Dangling = "undefined") -> Restriction:
    """Restrict to parts; see :meth:`~sim2real_cat.acsets.acset.ACSet.restrict`."""
    if dangling not in ("undefined", "error"):
        raise InstanceError(f"restrict: dangling={dangling!r} is unknown: write 'undefined' or 'error'")
    schema = instance.schema
    for ob in parts:
        if ob not in schema.obs:
            raise SchemaError(unknown_name("object", str(ob), schema.obs))
    kept = {
        ob: instance._checked_ids(ob, parts[ob], "restrict", distinct=True) if ob in parts else instance.parts(ob)
        for ob in schema.obs
    }
    maps = {}
    for ob, ids in kept.items():
        maps[ob] = np.full(instance.nparts(ob), UNDEFINED)
        maps[ob][ids] = np.arange(len(ids))
    part = type(instance)(schema, instance.index, instance.unique_index, instance.engine)
    for attrtype in schema.attrtypes:
        part.add_vars(attrtype, instance.nvars(attrtype))
    for ob, ids in kept.items():
        rows = Rows({}, {name: instance._attrs[name].take(ids) for name in schema.attrs_from(ob)})
        for name in schema.homs_from(ob):
            codom = schema.homs[name][1]
            old = instance._homs[name].take(ids)
            rows.homs[name] = np.append(maps[codom], UNDEFINED)[old]
            lost = np.flatnonzero((rows.homs[name] == UNDEFINED) & (old != UNDEFINED))
            if dangling == "error" and len(lost):
                raise InstanceError(
                    f"restrict: '{name}' sends '{ob}' {ids[lost[0]]} to '{codom}' {old[lost[0]]}, which is left out: "
                    f"keep it, leave '{ob}' {ids[lost[0]]} out, or write dangling='undefined'"
                )
        part._append(ob, len(ids), rows)
    return Restriction(part, maps)


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
