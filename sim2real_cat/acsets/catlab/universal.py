"""Limits and colimits of instances by Catlab, of encodings without attributes in which everything is defined.

Limits have their parts in the embedded engine's order. A product is that of pointed instances: a hom of it is defined
where it leads to no point. For pullbacks and equalizers homs that are undefined somewhere are spans, and the limit of
spans is a span again of which no two values coincide. Limits with attributes are joins of finite sets
(:mod:`~sim2real_cat.acsets.maps.limits`); here is the loose product, where attribute values become pairs.

For colimits attribute values and variables are parts, too (:class:`~sim2real_cat.acsets.catlab.spans.Diagram`). Where
Catlab's colimit leaves a span of the apex with two values at one part, its coequalizer identifies these, until every
span is a function again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.catlab import julia
from sim2real_cat.acsets.catlab.crossing import received, received_components, sent, sent_components, sent_json
from sim2real_cat.acsets.catlab.pointed import pointed_schema, with_points
from sim2real_cat.acsets.catlab.refusals import refused
from sim2real_cat.acsets.catlab.spans import Components, Diagram, Encoding, Span
from sim2real_cat.acsets.columns import UNDEFINED, Cells, Ids, all_defined
from sim2real_cat.acsets.maps.cones import Cone
from sim2real_cat.acsets.maps.morphism import Morphism
from sim2real_cat.acsets.maps.partitions import on_classes
from sim2real_cat.acsets.maps.values import Codes
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.acsets.storage import Storage


def product(X: ACSet, Y: ACSet) -> Cone:
    """Return the product of two instances: apex and projections."""
    schema = pointed_schema(X.schema)
    handles = [sent(with_points(x, schema), static=True) for x in (X, Y)]
    handle, *legs = julia.call("product_of", *handles, sent_json(schema.obs))
    found = received(handle, X.like(schema))
    return _cone(found, {f: found.column_ids(f) for f in schema.homs}, legs, (X, Y))


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
    answer = julia.call("loose_product_of", *handles, sent_json(of.obs), sent_json(list(of.attrs)))
    if answer is None:
        raise refused("loose-product", f"these are of {of.name}")
    handle, *legs, values_of = answer
    found = received(handle, X.like(bare))
    tuples, kept = _kept(of, [received_components(found, leg) for leg in legs], (X, Y))
    apex = found.restrict(kept).instance
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
    encoding = Encoding(instances)
    encoded, obs = encoding.encoded, encoding.schema.obs
    images = [
        sent_components(encoding.schema, encoding.arrow(encoded[dom], encoded[codom], morphism.components))
        for morphism, dom, codom in arrows
    ]
    handles = [sent(each.instance, static=True) for each in encoded]
    handle, *legs = julia.call(function, *handles, sent_json(obs), *images)
    found = received(handle, feet[0].like(encoding.schema))
    return _cone(found, encoding.homs(found), legs, feet)


def _cone(found: ACSet, homs: Mapping[str, Ids], legs: Sequence[object], feet: tuple[ACSet, ...]) -> Cone:
    """Return a limit in Catlab, its tuples in lexicographic order, without those that have a point.

    Args:
        found: the encoded apex.
        homs: the homs of the limit.
        legs: the legs as Julia gives them.
        feet: the instances to which they go.
    """
    schema = feet[0].schema
    apex = feet[0].like().fill({ob: found.nparts(ob) for ob in schema.obs}, {}, homs, {})
    tuples, kept = _kept(schema, [received_components(found, leg) for leg in legs], feet)
    whole = apex.restrict(kept).instance.to_engine("catlab")
    arrows = [
        Morphism(whole, foot, {ob: tuples[ob][number][ids] for ob, ids in kept.items()})
        for number, foot in enumerate(feet)
    ]
    return whole, tuple(arrows)


def _kept(
    schema: Schema, legs: Sequence[Components], feet: tuple[ACSet, ...]
) -> tuple[dict[str, list[Ids]], dict[str, Ids]]:
    """Return for each object the tuples of a limit, and the positions of those without a point, in order."""
    tuples = {ob: [leg[ob] for leg in legs] for ob in schema.obs}
    kept = {}
    for ob, columns in tuples.items():
        pairs = zip(feet, columns, strict=True)
        real = np.flatnonzero(np.logical_and.reduce([ids < foot.nparts(ob) for foot, ids in pairs]))
        kept[ob] = real[np.lexsort([ids[real] for ids in reversed(columns)])]
    return tuples, kept


def coproduct(X: ACSet, Y: ACSet) -> Cone:
    """Return the coproduct of two instances of one schema: apex and legs.

    It is the pushout of their encodings over the attribute values, as these stay what they are.
    """
    diagram = Diagram((X, Y))
    left, right, values = (x.instance for x in diagram.encoding.encoded)
    schema = diagram.encoding.schema
    handles = [sent(x, static=True) for x in (left, right)]
    obs = sent_json(schema.obs)
    if any(values.nparts(ob) for ob in schema.obs):
        arrows = [sent_components(schema, diagram.inclusion(end)) for end in diagram.encoding.encoded[:2]]
        handle, *legs = julia.call("pushout_of", *handles, sent(values, static=True), obs, *arrows)
    else:
        handle, *legs = julia.call("coproduct_of", *handles, obs)
    found = [received_components(x, leg) for x, leg in zip((left, right), legs, strict=True)]
    return _with_functions(diagram, handle, found, (X, Y))


def pushout(f: Morphism, g: Morphism) -> Cone:
    """Return the pushout of two natural transformations from one instance, which exists: apex and legs."""
    feet = f.codom, g.codom
    diagram = Diagram((*feet, f.dom), (f.variables, g.variables))
    left, right, middle, _ = diagram.encoding.encoded
    schema = diagram.encoding.schema
    arrows = [
        sent_components(schema, diagram.arrow(middle, end, each.components, images))
        for end, each, images in zip((left, right), (f, g), diagram.images, strict=True)
    ]
    handles = [sent(x.instance, static=True) for x in (left, right, middle)]
    handle, *legs = julia.call("pushout_of", *handles, sent_json(schema.obs), *arrows)
    found = [received_components(x.instance, leg) for x, leg in zip((left, right), legs, strict=True)]
    return _with_functions(diagram, handle, found, feet)


def coequalizer(f: Morphism, g: Morphism) -> Cone:
    """Return the coequalizer of two parallel natural transformations, which exists: apex and leg."""
    diagram = Diagram((f.codom, f.dom), (f.variables, g.variables))
    codom, dom, _ = diagram.encoding.encoded
    arrows = [
        diagram.arrow(dom, codom, each.components, images) for each, images in zip((f, g), diagram.images, strict=True)
    ]
    handle, leg = _coequalizer(dom.instance, codom.instance, sent(codom.instance, static=True), arrows)
    return _with_functions(diagram, handle, [leg], (f.codom,))


def _with_functions(diagram: Diagram, handle: Any, legs: Sequence[Components], feet: Sequence[ACSet]) -> Cone:
    """Make every span of an apex a function, and decode it, and its legs from the feet."""
    encoding, into = diagram.encoding, feet[0].like(engine="catlab")
    apex = received(handle, into.like(encoding.schema))
    while (step := coinciding(apex, encoding.spans.values())) is not None:
        domain, *arrows = step
        handle, projection = _coequalizer(domain, apex, handle, arrows)
        apex = received(handle, into.like(encoding.schema))
        legs = [{ob: projection[ob][ids] for ob, ids in leg.items()} for leg in legs]
    filled, variables = diagram.filled(into, apex, legs)
    components = [{ob: leg[ob] for ob in into.schema.obs} for leg in legs]
    found = zip(feet, components, variables, strict=True)
    return filled, tuple(Morphism(foot, filled, parts, images) for foot, parts, images in found)


def _coequalizer(dom: Storage, codom: Storage, target: Any, arrows: Sequence[Components]) -> tuple[Any, Components]:
    """Return the coequalizer of two morphisms into an encoded instance that is in Julia, and its leg."""
    columns = [sent_components(dom.schema, arrow) for arrow in arrows]
    handle, leg = julia.call("coequalizer_of", sent(dom, static=True), target, sent_json(dom.schema.obs), *columns)
    return handle, received_components(codom, leg)


def coinciding(apex: Storage, spans: Iterable[Span]) -> tuple[Storage, Components, Components] | None:
    """Return two maps into an encoded instance whose coequalizer takes one step towards every span being a function.

    The domain has a part for each pair of values of a hom at one part, and for each pair to which homs lead from there.
    The maps send pairs to their first and second part.

    Args:
        apex: an instance of the encoded schema, which has no attributes.
        spans: its spans.

    Returns:
        The domain and the two maps; None where every span is a function.
    """
    schema = apex.schema
    pairs = {ob: np.zeros((0, 2), np.int64) for ob in schema.obs}
    for span in spans:
        starts = apex.column_ids(span.start)
        ids = np.arange(len(starts))
        first, differing = on_classes(ids, starts, int(starts.max(initial=-1)) + 1)
        pairs[span.ob] = np.unique(np.stack([first[starts[differing]], differing], axis=1), axis=0)
    new = {ob: found for ob, found in pairs.items() if len(found)}
    if not new:
        return None
    while new:
        reached: dict[str, list[Ids]] = {}
        for f, (dom, codom) in schema.homs.items():
            if dom in new:
                reached.setdefault(codom, []).append(apex.column_ids(f)[new[dom]])
        new = {}
        for ob, found in reached.items():
            grown = np.unique(np.concatenate([pairs[ob], *found]), axis=0)
            if len(grown) > len(pairs[ob]):
                known = _rows(pairs[ob], apex.nparts(ob))
                new[ob] = grown[~np.isin(_rows(grown, apex.nparts(ob)), known)]
            pairs[ob] = grown
    keys = {ob: _rows(found, apex.nparts(ob)) for ob, found in pairs.items()}
    homs = {
        f: np.searchsorted(keys[codom], _rows(apex.column_ids(f)[pairs[dom]], apex.nparts(codom)))
        for f, (dom, codom) in schema.homs.items()
    }
    domain = apex.like(schema).fill({ob: len(found) for ob, found in pairs.items()}, {}, homs, {})
    one, other = ({ob: found[:, side] for ob, found in pairs.items()} for side in (0, 1))
    return domain, one, other


def _rows(pairs: Ids, size: int) -> Ids:
    """A number for each pair of parts of an object of this size, in the order of the pairs."""
    return pairs[:, 0] * size + pairs[:, 1]
