"""Homomorphisms, limits and colimits by Catlab.

Catlab's backtracking gives the components of objects; the image of an attribute variable is read off a part that holds
it. Catlab checks neither that morphisms are injective on variables nor that variables have prescribed images, so where
this is asked, all of its morphisms are found and those that fit are kept.

Catlab 0.17 computes limits of instances without attributes; colimits also with attributes, but where every
arrow is defined and no attribute is a variable. What it cannot do is refused, never done by the other engine
in silence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.catlab import julia
from sim2real_cat.acsets.catlab.crossing import (
    received,
    received_ids,
    require_no_variables,
    require_plain,
    require_total,
    sent_ids,
    sent_json,
)
from sim2real_cat.acsets.catlab.instances import handle_of
from sim2real_cat.acsets.columns import Ids, Var
from sim2real_cat.acsets.maps.isomorphism import Prescribed
from sim2real_cat.acsets.maps.morphism import Morphism, unheld_variables
from sim2real_cat.errors import EngineError


def homomorphisms(
    X: ACSet, Y: ACSet, injective: frozenset[str], bijective: frozenset[str], prescribed: Prescribed, *, one: bool
) -> list[Morphism]:
    """Return the morphisms X -> Y, or only the first.

    Args:
        X: the domain.
        Y: the codomain.
        injective: the objects and attribute types on which the morphisms must be injective.
        bijective: those on which they must be bijective.
        prescribed: prescribed images, which exist.
        one: whether one morphism is enough.

    Raises:
        EngineError: where an arrow is undefined, or a variable is at no part.
    """
    _require_searchable(X, Y)
    if _cannot_be_bijective(X, Y, bijective):
        return []
    selective = _is_selective(X, injective, prescribed)
    options = _options(X, injective, bijective, prescribed)
    obs = sent_json(list(X.schema.obs))
    number, found = julia.call("find_homomorphisms", handle_of(X), handle_of(Y), obs, options, one and not selective)
    components = {
        ob: received_ids(images).reshape(int(number), X.nparts(ob))
        for ob, images in zip(X.schema.obs, found, strict=True)
    }
    morphisms = [_morphism(X, Y, {ob: rows[i] for ob, rows in components.items()}) for i in range(int(number))]
    return [f for f in morphisms if _fits(f, injective, prescribed)] if selective else morphisms


def count(X: ACSet, Y: ACSet, injective: frozenset[str], bijective: frozenset[str], prescribed: Prescribed) -> int:
    """Count the :func:`homomorphisms`; arguments and errors are the same."""
    _require_searchable(X, Y)
    if _cannot_be_bijective(X, Y, bijective):
        return 0
    if _is_selective(X, injective, prescribed):
        return len(homomorphisms(X, Y, injective, bijective, prescribed, one=False))
    options = _options(X, injective, bijective, prescribed)
    return int(julia.call("count_all_homomorphisms", handle_of(X), handle_of(Y), options))


def _require_searchable(X: ACSet, Y: ACSet) -> None:
    """Refuse undefined arrows, and variables at no part, which Catlab's search cannot handle."""
    for attrtype in X.schema.attrtypes:
        for k in unheld_variables(X, attrtype):
            raise EngineError(
                f"Catlab's search has no place for Var({k}) of '{attrtype}', which is at no part: "
                "ask the embedded engine"
            )
    require_total("homomorphisms", X)
    require_total("homomorphisms", Y)


def _cannot_be_bijective(X: ACSet, Y: ACSet, bijective: frozenset[str]) -> bool:
    """Return whether one side has more variables; injections between equally many are bijections, as `_fits` checks."""
    return any(X.nvars(attrtype) != Y.nvars(attrtype) for attrtype in X.schema.attrtypes if attrtype in bijective)


def _is_selective(X: ACSet, injective: frozenset[str], prescribed: Prescribed) -> bool:
    """Return whether some of Catlab's morphisms may have to be left out, as it does not check images of variables."""
    return _holds_twice(X) or any(
        X.nvars(attrtype) and (attrtype in injective or prescribed.get(attrtype)) for attrtype in X.schema.attrtypes
    )


def _holds_twice(X: ACSet) -> bool:
    """Return whether a part holds a variable in two attributes: Catlab 0.17.4 does not see that both need one image."""
    seen: dict[tuple[str, str], list[Ids]] = {}
    for name, key in X.schema.attrs.items():
        status = X.cells(name).status
        if any(((status >= 0) & (status == other)).any() for other in seen.setdefault(key, [])):
            return True
        seen[key].append(status)
    return False


def _options(X: ACSet, injective: frozenset[str], bijective: frozenset[str], prescribed: Prescribed) -> str:
    obs = X.schema.obs
    return sent_json(
        {
            "monic": [ob for ob in obs if ob in injective],
            "iso": [ob for ob in obs if ob in bijective],
            "initial": {ob: [[x + 1, y + 1] for x, y in prescribed[ob].items()] for ob in obs if ob in prescribed},
        }
    )


def _morphism(X: ACSet, Y: ACSet, components: dict[str, Ids]) -> Morphism:
    """Return a morphism by its components; the image of a variable is the value at the image of a part with it."""
    for images in components.values():
        images.flags.writeable = False
    variables = {}
    for attrtype in X.schema.attrtypes:
        images_of: list[Any] = [None] * X.nvars(attrtype)
        for name in X.schema.attrs_into(attrtype):
            images, status = components[X.schema.attrs[name][0]], X.cells(name).status
            for part in np.flatnonzero(status >= 0).tolist():
                images_of[status[part]] = Y.value(name, int(images[part]))
        variables[attrtype] = tuple(images_of)
    return Morphism.unchecked(X, Y, components, variables)


def _fits(f: Morphism, injective: frozenset[str], prescribed: Prescribed) -> bool:
    """Return whether the images of variables are the prescribed ones, and injective where they must be, and natural."""
    if not f.is_natural:
        return False
    for attrtype, images in f.variables.items():
        for k, wanted in prescribed.get(attrtype, {}).items():
            if images[k] != wanted:
                return False
        if attrtype in injective and not (
            all(isinstance(image, Var) for image in images) and len(set(images)) == len(images)
        ):
            return False
    return True


Kind = Literal["product", "pullback", "equalizer", "coproduct", "pushout", "coequalizer"]
Cone = tuple[ACSet, tuple[Morphism, ...]]
_LIMITS = ("product", "pullback", "equalizer")


def of_pair(kind: Kind, X: ACSet, Y: ACSet) -> Cone:
    """Return the product or coproduct of two instances: apex and legs.

    Raises:
        EngineError: where Catlab computes none of these instances.
    """
    _require(kind, X, Y)
    obs = sent_json(list(X.schema.obs))
    apex, legs = julia.call("of_pair", kind, handle_of(X), handle_of(Y), obs)
    return _cone(kind, apex, legs, (X, Y))


def of_morphisms(kind: Kind, f: Morphism, g: Morphism) -> Cone:
    """Return the pullback, pushout, equalizer or coequalizer of two natural transformations: apex and legs.

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
    if kind in _LIMITS:
        require_plain(f"a {kind}", instances[0].schema)
    for instance in instances:
        require_total(f"a {kind}", instance)
        require_no_variables(f"a {kind}", instance)


def _sent_components(f: Morphism) -> str:
    return sent_json({ob: sent_ids(ids).tolist() for ob, ids in f.components.items()})


def _cone(kind: Kind, handle: Any, legs: Sequence[Sequence[object]], feet: Sequence[ACSet]) -> Cone:
    schema = feet[0].schema
    apex = received(handle, feet[0].like(engine="catlab"))
    arrows = []
    for foot, leg in zip(feet, legs, strict=True):
        components: Mapping[str, Ids] = {ob: received_ids(images) for ob, images in zip(schema.obs, leg, strict=True)}
        dom, codom = (apex, foot) if kind in _LIMITS else (foot, apex)
        arrows.append(Morphism(dom, codom, components))
    return apex, tuple(arrows)
