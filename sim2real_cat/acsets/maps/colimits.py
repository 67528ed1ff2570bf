"""Colimits of instances of one schema: coproduct, pushout, coequalizer, initial instance.

A colimit is the quotient of a coproduct by a congruence. Identified parts have the same images under every hom, so
these are identified, too, and the same attribute values: a variable becomes the value with which it is identified, an
undefined slot takes what others have, and two different values are an error, as in Catlab. Where an instance lives in
Catlab, Catlab computes the colimit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.catlab import universal as by_catlab
from sim2real_cat.acsets.coercion import brief
from sim2real_cat.acsets.columns import UNDEFINED, Ids, Var
from sim2real_cat.acsets.maps.cones import image_key, require_legs, require_parallel
from sim2real_cat.acsets.maps.morphism import Morphism, require_natural, require_one_schema
from sim2real_cat.acsets.maps.partitions import classes, on_classes
from sim2real_cat.acsets.maps.values import Codes, codes, decoded
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.acsets.storage import engine_of
from sim2real_cat.errors import InstanceError


@dataclass(frozen=True, eq=False)
class Colimit:
    """A colimit with its cocone.

    Attributes:
        apex: the colimit.
        legs: the morphisms into it, one from each instance of the diagram; together they reach all of it.
    """

    apex: ACSet
    legs: tuple[Morphism, ...]

    def universal(self, *cocone: Morphism) -> Morphism:
        """Return the unique morphism u out of the apex with ``leg.then(u)`` equal to the given cocone's legs.

        Args:
            cocone: a natural transformation from each instance of the diagram, all into one instance.

        Raises:
            InstanceError: where these are not a cocone: not one for each leg, with other ends, or different
                on elements that the colimit identifies.
        """
        require_legs("cocone", cocone, self.legs, [f.codom for f in cocone], [f.dom for f in cocone])
        components = {ob: self._component(ob, cocone) for ob in self.apex.schema.obs}
        variables = {attrtype: self._images(attrtype, cocone) for attrtype in self.apex.schema.attrtypes}
        return Morphism(self.apex, cocone[0].codom, components, variables)

    def _component(self, ob: str, cocone: tuple[Morphism, ...]) -> Ids:
        reached = np.concatenate([leg.components[ob] for leg in self.legs])
        images = np.concatenate([f.components[ob] for f in cocone])
        component = np.full(self.apex.nparts(ob), UNDEFINED)
        component[reached] = images
        differing = np.flatnonzero(component[reached] != images)
        if len(differing):
            part, one = int(reached[differing[0]]), int(images[differing[0]])
            raise InstanceError(
                f"no cocone: what the colimit identifies as {ob} {part} goes to {one} and to {component[part]}"
            )
        return component

    def _images(self, attrtype: str, cocone: tuple[Morphism, ...]) -> tuple[Any, ...]:
        chosen: dict[Any, Any] = {}
        for leg, f in zip(self.legs, cocone, strict=True):
            for reached, image in zip(leg.variables[attrtype], f.variables[attrtype], strict=True):
                known = chosen.setdefault(reached, image) if isinstance(reached, Var) else reached
                if image_key(known) is not image_key(image) and known != image:
                    raise InstanceError(
                        f"no cocone: what the colimit identifies as {brief(reached)} of '{attrtype}' "
                        f"goes to {brief(known)} and to {brief(image)}"
                    )
        return tuple(chosen[Var(k)] for k in range(self.apex.nvars(attrtype)))


def coproduct(X: ACSet, Y: ACSet) -> Colimit:
    """Return the coproduct: the parts and variables of X, then those of Y, and nothing identified.

    Raises:
        SchemaError: for instances of different schemas.
    """
    if engine_of(X, Y) == "catlab":
        require_one_schema(X, Y)
        return Colimit(*by_catlab.coproduct(X, Y))
    apex, *inclusions = X.disjoint_union(Y)
    legs = []
    for instance, inclusion in zip((X, Y), inclusions, strict=True):
        variables = {attrtype: tuple(map(Var, inclusion[attrtype].tolist())) for attrtype in X.schema.attrtypes}
        legs.append(Morphism(instance, apex, {ob: inclusion[ob] for ob in X.schema.obs}, variables))
    return Colimit(apex, tuple(legs))


def pushout(f: Morphism, g: Morphism) -> Colimit:
    """Return the pushout of f: Z -> X and g: Z -> Y: the coproduct of X and Y, with f(z) and g(z) identified.

    Raises:
        InstanceError: where f and g are not natural or do not start in the same instance, or parts with different
            attribute values would be identified, naming parts and values.
    """
    require_natural(f, g)
    if f.dom is not g.dom and f.dom != g.dom:
        raise InstanceError(f"a pushout needs two morphisms from one instance: {f!r} and {g!r} start apart")
    if engine_of(f.dom, f.codom, g.codom) == "catlab":
        _glued(f, g)  # for its error, which names the values that would have to be the same; Catlab only fails
        return Colimit(*by_catlab.pushout(f, g))
    return _glued(f, g)


def coequalizer(f: Morphism, g: Morphism) -> Colimit:
    """Return the coequalizer of f, g: X -> Y: Y with f(x) and g(x) identified.

    Raises:
        InstanceError: where f and g are not natural or not parallel, or parts with different attribute values would be
            identified, naming parts and values.
    """
    require_parallel("a coequalizer", f, g)
    if engine_of(f.dom, f.codom) == "catlab":
        _quotient(f, g)  # for its error, as in a pushout
        return Colimit(*by_catlab.coequalizer(f, g))
    projection = _quotient(f, g)
    return Colimit(projection.codom, (projection,))


def initial(schema: Schema) -> ACSet:
    """Return the initial instance: no parts; there is exactly one morphism from it to every instance."""
    return ACSet(schema)


def _glued(f: Morphism, g: Morphism) -> Colimit:
    """The pushout by the embedded engine, for instances of any engine."""
    both = coproduct(*(x if x.engine == "embedded" else x.to_engine("embedded") for x in (f.codom, g.codom)))
    left, right = both.legs
    projection = _quotient(f.then(left), g.then(right))
    return Colimit(projection.codom, (left.then(projection), right.then(projection)))


_Pairs = list[tuple[Ids, Ids]]
"""Elements to be identified, as arrays of equal length."""


def _quotient(f: Morphism, g: Morphism) -> Morphism:
    """Return the projection of Y onto its quotient by ``f(x) = g(x)``, for f, g: X -> Y.

    The quotient is by the smallest congruence: with two parts of Y, their images under a hom that is defined at both
    are in one class, too. Classes are numbered in the order of their first members.

    Raises:
        InstanceError: where two different attribute values would be the same.
    """
    Y, schema = f.codom, f.codom.schema
    class_of = _congruence(Y, {ob: [(f.components[ob], g.components[ob])] for ob in schema.obs})
    counts = {ob: int(numbers.max(initial=-1)) + 1 for ob, numbers in class_of.items()}
    homs = {}
    for name, (dom, codom) in schema.homs.items():
        targets, _ = on_classes(Y.column_ids(name), class_of[dom], counts[dom])
        homs[name] = np.append(class_of[codom], UNDEFINED)[targets]
    coded = codes(Y, also={kind: f.variables[kind] + g.variables[kind] for kind in schema.attrtypes})
    attrs, nvars, variables = {}, {}, {}
    for kind, python_type in schema.attrtypes.items():
        left, right = np.split(coded.also[kind], 2)
        pairs = [(left, right)]
        held = {}
        for name in schema.attrs_into(kind):
            ob = schema.attrs[name][0]
            column = coded.columns[0][name]
            held[name], differing = on_classes(column, class_of[ob], counts[ob])
            pairs.append((column[differing], held[name][class_of[ob][differing]]))
        meaning, nvars[kind] = _merged_values(Y, coded, kind, class_of, pairs)
        for name, column in held.items():
            attrs[name] = decoded(np.append(meaning, UNDEFINED)[column], coded.values[kind], python_type)
        known = len(coded.values[kind])
        variables[kind] = tuple(coded.image(kind, code) for code in meaning[known:].tolist())
    return Morphism(Y, Y.like().fill(counts, nvars, homs, attrs), class_of, variables)


def _congruence(Y: ACSet, pairs: dict[str, _Pairs]) -> dict[str, Ids]:
    """The class of each part in the smallest congruence: each pair is in one class, and homs map classes to classes."""
    while True:
        class_of = {ob: _classes(Y.nparts(ob), found) for ob, found in pairs.items()}
        grown = False
        for name, (dom, codom) in Y.schema.homs.items():
            targets = Y.column_ids(name)
            first, differing = on_classes(targets, class_of[dom], Y.nparts(dom))
            one, two = targets[differing], first[class_of[dom][differing]]
            apart = np.flatnonzero(class_of[codom][one] != class_of[codom][two])
            if len(apart):
                pairs[codom].append((one[apart], two[apart]))
                grown = True
        if not grown:
            return class_of


def _classes(n: int, pairs: _Pairs) -> Ids:
    """The classes of 0..n-1 in which each pair is in one class."""
    left, right = (np.concatenate(side) for side in zip(*pairs, strict=True))
    return classes(n, left, right)


def _merged_values(
    Y: ACSet, coded: Codes, attrtype: str, class_of: Mapping[str, Ids], pairs: _Pairs
) -> tuple[Ids, int]:
    """The code that each code of a value or variable becomes, and how many variables are left."""
    known = len(coded.values[attrtype])
    merged = _classes(known + Y.nvars(attrtype), pairs)
    value_of = np.full(len(merged), UNDEFINED)
    value_of[merged[:known]] = np.arange(known)
    lost = np.flatnonzero(value_of[merged[:known]] != np.arange(known))
    if len(lost):
        raise InstanceError(_clash(Y, coded, attrtype, class_of, int(lost[0]), int(value_of[merged[lost[0]]])))
    unknown = value_of[merged[known:]] == UNDEFINED
    left, number = np.unique(merged[known:][unknown], return_inverse=True)
    meaning = np.concatenate([np.arange(known), value_of[merged[known:]]])
    meaning[known:][unknown] = known + number
    return meaning, len(left)


def _clash(Y: ACSet, coded: Codes, attrtype: str, class_of: Mapping[str, Ids], one: int, two: int) -> str:
    """The error for two different values that are identified; it names the parts that hold them, where there are."""
    for name in Y.schema.attrs_into(attrtype):
        ob = Y.schema.attrs[name][0]
        column = coded.columns[0][name]
        valued = np.flatnonzero((column >= 0) & (column < len(coded.values[attrtype])))
        order = valued[np.lexsort((valued, class_of[ob][valued]))]
        differing = (class_of[ob][order[1:]] == class_of[ob][order[:-1]]) & (column[order[1:]] != column[order[:-1]])
        if differing.any():
            place = int(np.argmax(differing))
            parts = [int(part) for part in order[place : place + 2]]
            values = [brief(coded.image(attrtype, int(column[part]))) for part in parts]
            return (
                f"no colimit: it identifies {ob} {parts[0]} and {parts[1]}, but '{name}' is "
                f"{values[0]} at one and {values[1]} at the other: attributes of identified parts must be equal"
            )
    values = [brief(coded.image(attrtype, code)) for code in (one, two)]
    return f"no colimit: a variable of '{attrtype}' would have to be {values[0]} and {values[1]}"
