"""Limits of instances without attributes, and loose products, by Catlab, with parts in the embedded engine's order.

A product is that of pointed instances: a hom of it is defined where it leads to no point. For pullbacks and equalizers
homs that are undefined somewhere are spans, and the limit of spans is a span again of which no two values coincide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.catlab import julia
from sim2real_cat.acsets.catlab.crossing import received, received_ids, sent, sent_ids, sent_json
from sim2real_cat.acsets.catlab.pointed import pointed_schema, with_points
from sim2real_cat.acsets.catlab.refusals import refused
from sim2real_cat.acsets.catlab.spans import Encoding
from sim2real_cat.acsets.columns import UNDEFINED, Cells, Ids, all_defined
from sim2real_cat.acsets.maps.morphism import Morphism
from sim2real_cat.acsets.maps.values import Codes, codes
from sim2real_cat.acsets.schema import Schema

Cone = tuple[ACSet, tuple[Morphism, ...]]


def product(X: ACSet, Y: ACSet) -> Cone:
    """Return the product of two instances: apex and projections."""
    schema = pointed_schema(X.schema)
    handles = [sent(with_points(x, schema), static=True) for x in (X, Y)]
    handle, legs = julia.call("product_of", *handles, sent_json(list(schema.obs)))
    found = received(handle, X.like(schema))
    sizes = {ob: found.nparts(ob) for ob in schema.obs}
    apex = X.like().fill(sizes, {}, {f: found.column_ids(f) for f in schema.homs}, {})
    return _cone(apex, legs, (X, Y))


def pullback(f: Morphism, g: Morphism) -> Cone:
    """Return the pullback of two natural transformations into one instance: apex and projections."""
    return _of_spans("pullback_of", (f.dom, g.dom, f.codom), ((f, 0, 2), (g, 1, 2)), (f.dom, g.dom))


def equalizer(f: Morphism, g: Morphism) -> Cone:
    """Return the equalizer of two parallel natural transformations: apex and inclusion."""
    return _of_spans("equalizer_of", (f.dom, f.codom), ((f, 0, 1), (g, 0, 1)), (f.dom,))


class LoosePairs(NamedTuple):
    """A loose product by its pairs, in lexicographic order.

    Attributes:
        parts: for each object the parts of both factors, two arrays of shape (n,).
        homs: for each hom the pair to which each pair goes, -1 where undefined.
        attrs: for each attribute the codes of both values, -1 where undefined.
    """

    parts: dict[str, tuple[Ids, Ids]]
    homs: dict[str, Ids]
    attrs: dict[str, tuple[Ids, Ids]]


def loose_pairs(X: ACSet, Y: ACSet, coded: Codes) -> LoosePairs:
    """Return the loose product of two instances without attribute variables.

    It is that of pointed instances whose attribute values are codes, -1 where an attribute is undefined.

    Raises:
        EngineError: for a schema of which the Julia module has no type.
    """
    of, schema = X.schema, pointed_schema(X.schema)
    bare = Schema(schema.name, schema.obs, schema.homs)
    handles = []
    for x, columns in zip((X, Y), coded.columns, strict=True):
        pointed = with_points(x, bare)
        values = {a: np.append(column, UNDEFINED) for a, column in columns.items()}
        sizes, homs = {ob: pointed.nparts(ob) for ob in of.obs}, {f: pointed.column_ids(f) for f in of.homs}
        attrs = {a: Cells(column, all_defined(len(column))) for a, column in values.items()}
        handles.append(sent(x.like(schema).fill(sizes, {}, homs, attrs)))
    answer = julia.call("loose_product_of", *handles, *(sent_json(list(names)) for names in (of.obs, of.attrs)))
    if answer is None:
        raise refused("loose-product", f"these are of {of.name}")
    handle, legs, values_of = answer
    tuples, kept = _kept(of, legs, (X, Y))
    apex = received(handle, X.like(bare)).restrict(kept).instance
    parts = {ob: (columns[0][kept[ob]], columns[1][kept[ob]]) for ob, columns in tuples.items()}
    held = {}
    for (a, (ob, _)), (left, right) in zip(of.attrs.items(), values_of, strict=True):
        held[a] = np.asarray(left, np.int64)[kept[ob]], np.asarray(right, np.int64)[kept[ob]]
    return LoosePairs(parts, {f: apex.column_ids(f) for f in of.homs}, held)


def _of_spans(
    function: str,
    instances: tuple[ACSet, ...],
    arrows: tuple[tuple[Morphism, int, int], ...],
    feet: tuple[ACSet, ...],
) -> Cone:
    """Return a limit.

    Args:
        function: the name of the function in Julia.
        instances: the instances of the diagram.
        arrows: its morphisms, each with the positions of its ends among the instances.
        feet: the instances to which the legs go.
    """
    encoding = Encoding(instances, codes(*instances), [{}] * len(instances))
    encoded = encoding.encoded
    sent_arrows = []
    for morphism, dom, codom in arrows:
        arrow = encoding.arrow(encoded[dom], encoded[codom], morphism.components)
        sent_arrows.append(sent_json({ob: sent_ids(ids).tolist() for ob, ids in arrow.items()}))
    obs = sent_json(list(feet[0].schema.obs))
    handle, legs = julia.call(function, *(sent(each.instance, static=True) for each in encoded), *sent_arrows, obs)
    found = received(handle, feet[0].like(encoding.schema))
    sizes = {ob: found.nparts(ob) for ob in feet[0].schema.obs}
    return _cone(feet[0].like().fill(sizes, {}, encoding.homs(found), {}), legs, feet)


def _cone(apex: ACSet, legs: Sequence[Sequence[object]], feet: tuple[ACSet, ...]) -> Cone:
    """Return a limit in Catlab, its tuples in lexicographic order, without those that have a point."""
    tuples, kept = _kept(apex.schema, legs, feet)
    whole = apex.restrict(kept).instance.to_engine("catlab")
    arrows = [
        Morphism(whole, foot, {ob: tuples[ob][number][ids] for ob, ids in kept.items()})
        for number, foot in enumerate(feet)
    ]
    return whole, tuple(arrows)


def _kept(
    schema: Schema, legs: Sequence[Sequence[object]], feet: tuple[ACSet, ...]
) -> tuple[dict[str, list[Ids]], dict[str, Ids]]:
    """Return for each object the tuples of a limit, and the positions of those without a point, in order."""
    tuples = {ob: [received_ids(leg[number]) for leg in legs] for number, ob in enumerate(schema.obs)}
    kept = {}
    for ob, columns in tuples.items():
        pairs = zip(feet, columns, strict=True)
        real = np.flatnonzero(np.logical_and.reduce([ids < foot.nparts(ob) for foot, ids in pairs]))
        kept[ob] = real[np.lexsort([ids[real] for ids in reversed(columns)])]
    return tuples, kept
