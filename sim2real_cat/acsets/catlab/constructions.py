"""Limits and colimits by Catlab, with their legs.

Catlab 0.17 computes limits of instances without attributes; colimits also with attributes, but where every arrow is
defined and no attribute is a variable. What it cannot do is refused, never done by the other engine in silence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.catlab import julia
from sim2real_cat.acsets.catlab.acset import CatlabACSet, held
from sim2real_cat.acsets.catlab.crossing import (
    handle_of,
    received,
    received_ids,
    require_defined,
    require_no_variables,
    require_plain,
    require_total,
    sent_ids,
    sent_json,
)
from sim2real_cat.acsets.columns import Ids
from sim2real_cat.acsets.maps.morphism import Morphism
from sim2real_cat.acsets.schema import Schema

Kind = Literal["product", "pullback", "equalizer", "coproduct", "pushout", "coequalizer"]
Cone = tuple[CatlabACSet, tuple[Morphism, ...]]
_LIMITS = ("product", "pullback", "equalizer")


def union_of(left: ACSet, right: ACSet) -> CatlabACSet:
    """The parts and variables of two instances of one schema, one after the other, with the indexes of both.

    Raises:
        EngineError: where an attribute is undefined, which ACSets.jl cannot copy.
    """
    for instance in (left, right):
        require_defined("a disjoint union", instance, instance.schema.attrs)
    found = julia.call("union_of", handle_of(left), handle_of(right))
    return held(received(found, left.schema, dict.fromkeys((*left.index, *right.index))))


def of_pair(kind: Kind, X: ACSet, Y: ACSet) -> Cone:
    """The product or coproduct of two instances: apex and legs.

    Raises:
        EngineError: where Catlab computes none of these instances.
    """
    _require(kind, X, Y)
    obs = sent_json(list(X.schema.obs))
    apex, legs = julia.call("of_pair", kind, handle_of(X), handle_of(Y), obs)
    return _cone(kind, apex, legs, (X, Y))


def of_morphisms(kind: Kind, f: Morphism, g: Morphism) -> Cone:
    """The pullback, pushout, equalizer or coequalizer of two natural transformations: apex and legs.

    Raises:
        EngineError: where Catlab computes none of these.
    """
    feet = {
        "pullback": (f.dom, g.dom),
        "pushout": (f.codom, g.codom),
        "equalizer": (f.dom, f.codom),
        "coequalizer": (f.dom, f.codom),
    }[kind]
    third = {"pullback": f.codom, "pushout": f.dom}.get(kind)
    _require(kind, *feet, *([] if third is None else [third]))
    handles = [handle_of(foot) for foot in feet]
    obs = sent_json(list(f.dom.schema.obs))
    apex, legs = julia.call(
        "of_morphisms",
        kind,
        *handles,
        None if third is None else handle_of(third),
        *(_sent_components(arrow) for arrow in (f, g)),
        obs,
    )
    targets = {"equalizer": (f.dom,), "coequalizer": (f.codom,)}.get(kind, feet)
    return _cone(kind, apex, legs, targets)


def _require(kind: Kind, *instances: ACSet) -> None:
    schema: Schema = instances[0].schema
    if kind in _LIMITS:
        require_plain(f"a {kind}", schema)
    for instance in instances:
        require_total(f"a {kind}", instance)
        require_no_variables(f"a {kind}", instance)


def _sent_components(f: Morphism) -> str:
    return sent_json({ob: sent_ids(ids).tolist() for ob, ids in f.components.items()})


def _cone(kind: Kind, handle: Any, legs: Sequence[Sequence[object]], feet: Sequence[ACSet]) -> Cone:
    schema = feet[0].schema
    apex = held(received(handle, schema))
    arrows = []
    for foot, leg in zip(feet, legs, strict=True):
        components: Mapping[str, Ids] = {ob: received_ids(images) for ob, images in zip(schema.obs, leg, strict=True)}
        dom, codom = (apex, foot) if kind in _LIMITS else (foot, apex)
        arrows.append(Morphism(dom, codom, components))
    return apex, tuple(arrows)
