"""Restriction: the part of an instance that lies on some of its parts, in an order of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from sim2real_cat.acsets._rows import Rows
from sim2real_cat.acsets.columns import UNDEFINED, Ids
from sim2real_cat.errors import InstanceError, SchemaError, unknown_name

if TYPE_CHECKING:
    from sim2real_cat.acsets.acset import ACSet

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
