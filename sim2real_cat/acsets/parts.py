"""Removal, restriction and disjoint union: instances on fewer parts, or on more.

Removal changes an instance and numbers what is left as ACSets.jl does. Restriction and union make new ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim2real_cat.acsets.columns import UNDEFINED, Cells, Ids, renumbered
from sim2real_cat.acsets.storage import PartRows, Storage, engine_of
from sim2real_cat.errors import InstanceError, SchemaError, unknown_name

S = TypeVar("S", bound=Storage)


def remove(instance: Storage, ob: str, ids: int | ArrayLike, *, cascade: bool = False) -> dict[str, Ids]:
    """Remove parts; see :meth:`ACSet.remove <sim2real_cat.acsets.acset.ACSet.remove>`."""
    parts = np.sort(instance.checked_ids(ob, ids, "remove", distinct=True))
    if instance.engine == "catlab":
        from sim2real_cat.acsets.catlab import instances

        return instances.remove(instance, ob, parts, cascade=cascade)
    doomed = pointing_at(instance, {ob: parts}) if cascade else {ob: parts}
    maps = {name: instance.parts(name) for name in instance.schema.obs}
    for name, removed in doomed.items():
        maps[name] = renumbered(instance.nparts(name), removed)
    # Everything that can fail is done; from here on it is stored.
    for name, removed in doomed.items():
        if len(removed):
            instance.drop_rows(name, maps[name], removed)
    return maps


def pointing_at(instance: Storage, parts: Mapping[str, Ids]) -> dict[str, Ids]:
    """Return the given parts and all from which some path leads to one of them.

    These are all that must go with the given parts if no hom is to become undefined: the smallest set that holds the
    given parts and, with each of its parts, the preimages along every hom. The ids of each object concerned are
    sorted.
    """
    schema = instance.schema
    found = {ob: np.zeros(instance.nparts(ob), np.bool_) for ob in schema.obs}
    for ob, ids in parts.items():
        found[ob][ids] = True
    frontier = dict(parts)
    while frontier:
        reached: dict[str, list[Ids]] = {}
        for codom, targets in frontier.items():
            for hom in schema.homs_into(codom):
                dom = schema.homs[hom][0]
                sources = instance.hom_columns[hom].preimages(targets, instance.nparts(codom)).ids
                sources = sources[~found[dom][sources]]
                if len(sources):
                    found[dom][sources] = True
                    reached.setdefault(dom, []).append(sources)
        frontier = {dom: np.concatenate(sources) for dom, sources in reached.items()}
    return {ob: np.flatnonzero(mask) for ob, mask in found.items() if mask.any()}


Masks = dict[str, NDArray[np.bool_]]
"""For each object the mask of some of its parts, shape (n,)."""


def closure(instance: Storage, parts: Mapping[str, Ids]) -> Masks:
    """Return the smallest set of parts that holds the given ones and is closed under all homs."""
    schema = instance.schema
    masks = {ob: np.zeros(instance.nparts(ob), np.bool_) for ob in schema.obs}
    for ob, ids in parts.items():
        masks[ob][ids] = True
    frontier = {ob: np.flatnonzero(mask) for ob, mask in masks.items()}
    while any(len(ids) for ids in frontier.values()):
        reached: dict[str, list[Ids]] = {ob: [] for ob in schema.obs}
        for name, (dom, codom) in schema.homs.items():
            targets = instance.column_ids(name)[frontier[dom]]
            fresh = np.unique(targets[targets >= 0])
            fresh = fresh[~masks[codom][fresh]]
            masks[codom][fresh] = True
            reached[codom].append(fresh)
        frontier = {ob: np.concatenate([np.zeros(0, np.int64), *found]) for ob, found in reached.items()}
    return masks


Dangling = Literal["undefined", "error"]


class Restriction(NamedTuple, Generic[S]):
    """A restricted instance with the map of the parts of each object.

    Attributes:
        instance: the new instance.
        maps: for each object of the schema old ids to new, shape (n,), -1 where left out.
    """

    instance: S
    maps: dict[str, Ids]


def restrict(instance: S, parts: Mapping[str, int | ArrayLike], dangling: Dangling = "undefined") -> Restriction[S]:
    """Restrict to parts; see :meth:`ACSet.restrict <sim2real_cat.acsets.acset.ACSet.restrict>`."""
    if dangling not in ("undefined", "error"):
        raise InstanceError(f"restrict: dangling={dangling!r} is unknown: write 'undefined' or 'error'")
    schema = instance.schema
    for ob in parts:
        if ob not in schema.obs:
            raise SchemaError(unknown_name("object", str(ob), schema.obs))
    kept = {
        ob: instance.checked_ids(ob, parts[ob], "restrict", distinct=True) if ob in parts else instance.parts(ob)
        for ob in schema.obs
    }
    maps = {}
    for ob, ids in kept.items():
        maps[ob] = np.full(instance.nparts(ob), UNDEFINED)
        maps[ob][ids] = np.arange(len(ids))
    attrs = {name: instance.attr_columns[name].take(kept[ob]) for name, (ob, _) in schema.attrs.items()}
    homs = {}
    for ob, ids in kept.items():
        for name in schema.homs_from(ob):
            codom = schema.homs[name][1]
            old = instance.hom_columns[name].take(ids)
            homs[name] = np.append(maps[codom], UNDEFINED)[old]
            lost = np.flatnonzero((homs[name] == UNDEFINED) & (old != UNDEFINED))
            if dangling == "error" and len(lost):
                raise InstanceError(
                    f"restrict: '{name}' sends '{ob}' {ids[lost[0]]} to '{codom}' {old[lost[0]]}, which is left out: "
                    f"keep it, leave '{ob}' {ids[lost[0]]} out, or write dangling='undefined'"
                )
    part = instance.like(None, instance.index, instance.unique_index, instance.engine)
    nvars = {attrtype: instance.nvars(attrtype) for attrtype in schema.attrtypes}
    return Restriction(part.fill({ob: len(ids) for ob, ids in kept.items()}, nvars, homs, attrs), maps)


class DisjointUnion(NamedTuple, Generic[S]):
    """A disjoint union with its two inclusions.

    Attributes:
        instance: the union.
        left: for each object and each attribute type, where the parts or variables of the first
            instance are in the union, shape (n,).
        right: the same for the second.
    """

    instance: S
    left: dict[str, Ids]
    right: dict[str, Ids]


def disjoint_union(left: S, right: S) -> DisjointUnion[S]:
    """Unite two instances; see :meth:`ACSet.disjoint_union <sim2real_cat.acsets.acset.ACSet.disjoint_union>`."""
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
        from sim2real_cat.acsets.catlab import instances

        return DisjointUnion(instances.union(left, right), first, second)
    union = left.like(None, dict.fromkeys((*left.index, *right.index)))
    for attrtype in schema.attrtypes:
        union.add_vars(attrtype, left.nvars(attrtype) + right.nvars(attrtype))
    for ob in schema.obs:
        for x, inclusion in ((left, first), (right, second)):
            rows = PartRows({}, {})
            for name in schema.homs_from(ob):
                rows.homs[name] = np.append(inclusion[schema.homs[name][1]], UNDEFINED)[x.column_ids(name)]
            for name in schema.attrs_from(ob):
                data, status = x.cells(name)
                variables = np.append(inclusion[schema.attrs[name][1]], UNDEFINED)[np.maximum(status, UNDEFINED)]
                rows.attrs[name] = Cells(data, np.where(status >= 0, variables, status))
            union.append_rows(ob, x.nparts(ob), rows)
    return DisjointUnion(union, first, second)
