"""Colimits of instances of one schema: coproduct, pushout, coequalizer, initial instance.

A colimit is a coproduct in which parts are identified. What is identified has the same images under
every hom, so these are identified too, and the same attribute value: a variable becomes the value it
meets, an undefined slot takes what others have, and two different values are an error, as in Catlab. Where an
instance lives in Catlab, Catlab computes the colimit.

Instances in which parts and attribute variables are identified.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.catlab import maps as by_catlab
from sim2real_cat.acsets.coercion import brief
from sim2real_cat.acsets.columns import UNDEFINED, Ids, Var
from sim2real_cat.acsets.maps.cones import image_key, require_legs, require_parallel
from sim2real_cat.acsets.maps.morphism import Morphism, require_natural, require_one_schema
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.acsets.storage import engine_of
from sim2real_cat.acsets.values import Codes, build, codes, decoded
from sim2real_cat.errors import InstanceError


@dataclass(frozen=True, eq=False)
class Colimit:
    """A colimit cocone.

    Attributes:
        apex: the colimit.
        legs: the inclusions into it, one from each instance; together they reach all of it.
    """

    apex: ACSet
    legs: tuple[Morphism, ...]

    def universal(self, *cocone: Morphism) -> Morphism:
        """The one morphism out of the apex that is a given cocone after the legs.

        Args:
            cocone: a natural transformation from each instance, all into one.

        Raises:
            InstanceError: where these are no cocone: not one for each leg, with other ends, or different
                on what the colimit identifies.
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
    """The coproduct: the parts and variables of X, then those of Y, and nothing identified.

    Raises:
        SchemaError: for instances of different schemas.
    """
    if engine_of(X, Y) == "catlab":
        require_one_schema(X, Y)
        return Colimit(*by_catlab.of_pair("coproduct", X, Y))
    apex, *inclusions = X.disjoint_union(Y)
    legs = []
    for instance, inclusion in zip((X, Y), inclusions, strict=True):
        variables = {attrtype: tuple(map(Var, inclusion[attrtype].tolist())) for attrtype in X.schema.attrtypes}
        legs.append(Morphism(instance, apex, {ob: inclusion[ob] for ob in X.schema.obs}, variables))
    return Colimit(apex, tuple(legs))


def pushout(f: Morphism, g: Morphism) -> Colimit:
    """The pushout of f: Z -> X and g: Z -> Y: their coproduct, in which f(z) and g(z) are identified.

    Raises:
        InstanceError: where f and g are not natural or do not start in the same instance, or parts with different
            attribute values would be identified, naming parts and values.
    """
    require_natural(f, g)
    if f.dom is not g.dom and f.dom != g.dom:
        raise InstanceError(f"a pushout needs two morphisms from one instance: {f!r} and {g!r} start apart")
    if engine_of(f.dom, f.codom, g.codom) == "catlab":
        _glued(f, g)  # says which values would have to be the same, where Catlab only fails
        return Colimit(*by_catlab.of_morphisms("pushout", f, g))
    return _glued(f, g)


def coequalizer(f: Morphism, g: Morphism) -> Colimit:
    """The coequalizer of f, g: X -> Y: Y with f(x) and g(x) identified.

    Raises:
        InstanceError: where f and g are not natural or not parallel, or parts with different attribute values would be
            identified, naming parts and values.
    """
    require_parallel("a coequalizer", f, g)
    if engine_of(f.dom, f.codom) == "catlab":
        quotient(f, g)  # as in a pushout
        return Colimit(*by_catlab.of_morphisms("coequalizer", f, g))
    projection = quotient(f, g)
    return Colimit(projection.codom, (projection,))


def _glued(f: Morphism, g: Morphism) -> Colimit:
    """The pushout, by this engine whatever the instances' own is."""
    both = coproduct(*(x if x.engine == "embedded" else x.to_engine("embedded") for x in (f.codom, g.codom)))
    left, right = both.legs
    projection = quotient(f.then(left), g.then(right))
    return Colimit(projection.codom, (left.then(projection), right.then(projection)))


def initial(schema: Schema) -> ACSet:
    """The initial instance: no parts; every instance has exactly one morphism from it."""
    return ACSet(schema)


Pairs = list[tuple[Ids, Ids]]


def quotient(f: Morphism, g: Morphism) -> Morphism:
    """The projection of Y onto its quotient in which f(x) and g(x) are the same, for f, g: X -> Y.

    The classes are the smallest ones that the homs of Y keep: with two parts also their images under a
    hom that is defined at both. They are numbered in the order of their first members.

    Raises:
        InstanceError: where two different attribute values would be the same.
    """
    Y, schema = f.codom, f.codom.schema
    homs = {name: Y.column_ids(name) for name in schema.homs}
    classes = _congruence(Y, homs, {ob: [(f.components[ob], g.components[ob])] for ob in schema.obs})
    counts = {ob: int(labels.max(initial=-1)) + 1 for ob, labels in classes.items()}
    quotient_homs = {}
    for name, (dom, codom) in schema.homs.items():
        sources, targets = _representatives(classes[dom], homs[name], counts[dom])
        quotient_homs[name] = np.full(counts[dom], UNDEFINED)
        quotient_homs[name][sources] = classes[codom][targets]

    images = {attrtype: (*f.variables[attrtype], *g.variables[attrtype]) for attrtype in schema.attrtypes}
    coded = codes(Y, also=images)
    attrs, nvars, variables = {}, {}, {}
    for attrtype, python_type in schema.attrtypes.items():
        names = [name for name, (_, kind) in schema.attrs.items() if kind == attrtype]
        left, right = np.split(coded.also[attrtype], 2)
        pairs = [(left, right)]
        held = {}
        for name in names:
            ob = schema.attrs[name][0]
            held[name] = _representatives(classes[ob], coded.columns[0][name], counts[ob])
            first = np.full(counts[ob], UNDEFINED)
            first[held[name][0]] = held[name][1]
            defined = np.flatnonzero(coded.columns[0][name] >= 0)
            pairs.append((coded.columns[0][name][defined], first[classes[ob][defined]]))
        meaning, nvars[attrtype] = _merged_values(Y, coded, attrtype, classes, pairs)
        for name in names:
            column = np.full(counts[schema.attrs[name][0]], UNDEFINED)
            column[held[name][0]] = meaning[held[name][1]]
            attrs[name] = decoded(column, coded.values[attrtype], python_type)
        known = len(coded.values[attrtype])
        variables[attrtype] = tuple(coded.image(attrtype, code) for code in meaning[known:].tolist())
    apex = build(Y, schema, counts, nvars, quotient_homs, attrs)
    return Morphism(Y, apex, classes, variables)


def _congruence(Y: ACSet, homs: dict[str, Ids], pairs: dict[str, Pairs]) -> dict[str, Ids]:
    """Each part's class, where the pairs are in one class and the homs map classes into classes."""
    while True:
        classes = {ob: _classes(Y.nparts(ob), found) for ob, found in pairs.items()}
        grown = False
        for name, (dom, codom) in Y.schema.homs.items():
            defined = np.flatnonzero(homs[name] >= 0)
            owners, targets = classes[dom][defined], homs[name][defined]
            first = np.full(Y.nparts(dom), UNDEFINED)
            first[owners[::-1]] = targets[::-1]
            apart = np.flatnonzero(classes[codom][targets] != classes[codom][first[owners]])
            if len(apart):
                pairs[codom].append((targets[apart], first[owners[apart]]))
                grown = True
        if not grown:
            return classes


def _classes(n: int, pairs: Pairs) -> Ids:
    """The connected components of 0..n-1 under the pairs, numbered in the order of their first members."""
    left, right = (np.concatenate(side) for side in zip(*pairs, strict=True))
    links = coo_array((np.ones(len(left), np.bool_), (left, right)), shape=(n, n))
    labels = connected_components(links, directed=False)[1] if n else np.zeros(0, np.int64)
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def _representatives(classes: Ids, column: Ids, n: int) -> tuple[Ids, Ids]:
    """The classes in which a column is defined somewhere, and its value at the first such member."""
    defined = np.flatnonzero(column >= 0)
    first = np.full(n, UNDEFINED)
    first[classes[defined][::-1]] = column[defined][::-1]
    there = np.flatnonzero(first >= 0)
    return there, first[there]


def _merged_values(Y: ACSet, coded: Codes, attrtype: str, classes: dict[str, Ids], pairs: Pairs) -> tuple[Ids, int]:
    """What each code of a value or variable becomes, as a code again, and how many variables are left."""
    known = len(coded.values[attrtype])
    merged = _classes(known + Y.nvars(attrtype), pairs)
    value_of = np.full(len(merged), UNDEFINED)
    value_of[merged[:known]] = np.arange(known)
    lost = np.flatnonzero(value_of[merged[:known]] != np.arange(known))
    if len(lost):
        raise InstanceError(_clash(Y, coded, attrtype, classes, int(lost[0]), int(value_of[merged[lost[0]]])))
    unknown = value_of[merged[known:]] == UNDEFINED
    left, number = np.unique(merged[known:][unknown], return_inverse=True)
    meaning = np.concatenate([np.arange(known), value_of[merged[known:]]])
    meaning[known:][unknown] = known + number
    return meaning, len(left)


def _clash(Y: ACSet, coded: Codes, attrtype: str, classes: dict[str, Ids], one: int, two: int) -> str:
    """The one line that says which values are identified, and at which parts, if at parts."""
    for name, (ob, kind) in Y.schema.attrs.items():
        if kind != attrtype:
            continue
        column = coded.columns[0][name]
        valued = np.flatnonzero((column >= 0) & (column < len(coded.values[attrtype])))
        order = valued[np.lexsort((valued, classes[ob][valued]))]
        differing = (classes[ob][order[1:]] == classes[ob][order[:-1]]) & (column[order[1:]] != column[order[:-1]])
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
