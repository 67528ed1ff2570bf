"""Colimits by Catlab, of encodings without attributes in which everything is defined.

Catlab computes on the encodings of :mod:`~sim2real_cat.acsets.catlab.spans`. Where this leaves a span of the apex with
two values at one part, Catlab's coequalizer identifies these, until every span is a function again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from sim2real_cat.acsets.catlab import julia
from sim2real_cat.acsets.catlab.crossing import received, received_ids, sent, sent_ids, sent_json
from sim2real_cat.acsets.catlab.spans import Components, Diagram, coinciding
from sim2real_cat.acsets.columns import Ids
from sim2real_cat.acsets.maps.values import Variables
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.acsets.storage import Storage

S = TypeVar("S", bound=Storage)


class Leg(NamedTuple):
    """A leg of a colimit: for each object the images of the parts, for each attribute type those of the variables."""

    components: Components
    variables: Variables


class Leaving(NamedTuple):
    """A natural transformation out of the first instance of a diagram."""

    components: Components
    variables: Variables


def coproduct(X: S, Y: S) -> tuple[S, list[Leg]]:
    """Return the coproduct of two instances, which lives in Catlab, and its legs.

    It is the pushout of their encodings over the attribute values, as these stay what they are.
    """
    diagram = Diagram((X, Y), ())
    left, right, values = (x.instance for x in diagram.encoding.encoded)
    schema = diagram.encoding.schema
    handles = [sent(x, static=True) for x in (left, right)]
    if any(values.nparts(ob) for ob in schema.obs):
        arrows = [_flat(schema, diagram.inclusion(end)) for end in diagram.encoding.encoded[:2]]
        handle, *legs = julia.call("pushout_of", *handles, sent(values, static=True), sent_json(schema.obs), *arrows)
    else:
        handle, *legs = julia.call("coproduct_of", *handles, sent_json(schema.obs))
    found = [_components(schema, x, leg) for x, leg in zip((left, right), legs, strict=True)]
    return _with_functions(diagram, handle, found, X.like(engine="catlab"))


def pushout(Z: S, X: S, Y: S, f: Leaving, g: Leaving) -> tuple[S, list[Leg]]:
    """Return the pushout of f: Z -> X and g: Z -> Y, which lives in Catlab, and its legs."""
    diagram = Diagram((X, Y, Z), (f.variables, g.variables))
    left, right, middle, _ = diagram.encoding.encoded
    schema = diagram.encoding.schema
    arrows = [
        _flat(schema, diagram.arrow(middle, end, each.components, images))
        for end, each, images in zip((left, right), (f, g), diagram.images, strict=True)
    ]
    handles = [sent(x.instance, static=True) for x in (left, right, middle)]
    handle, *legs = julia.call("pushout_of", *handles, sent_json(schema.obs), *arrows)
    found = [_components(schema, x.instance, leg) for x, leg in zip((left, right), legs, strict=True)]
    return _with_functions(diagram, handle, found, X.like(engine="catlab"))


def coequalizer(X: S, Y: S, f: Leaving, g: Leaving) -> tuple[S, list[Leg]]:
    """Return the coequalizer of f, g: X -> Y, which lives in Catlab, and its leg."""
    diagram = Diagram((Y, X), (f.variables, g.variables))
    codom, dom, _ = diagram.encoding.encoded
    arrows = [
        diagram.arrow(dom, codom, each.components, images) for each, images in zip((f, g), diagram.images, strict=True)
    ]
    target = sent(codom.instance, static=True)
    handle, leg = _coequalizer(dom.instance, codom.instance, target, arrows)
    return _with_functions(diagram, handle, [leg], Y.like(engine="catlab"))


def _with_functions(diagram: Diagram, handle: Any, legs: list[Components], into: S) -> tuple[S, list[Leg]]:
    """Make every span of an apex a function, and decode it."""
    encoding = diagram.encoding
    apex = received(handle, into.like(encoding.schema))
    while (step := coinciding(apex, encoding.spans.values())) is not None:
        domain, *arrows = step
        handle, projection = _coequalizer(domain, apex, handle, arrows)
        apex = received(handle, into.like(encoding.schema))
        legs = [{ob: projection[ob][ids] for ob, ids in leg.items()} for leg in legs]
    filled, variables = diagram.filled(into, apex, legs)
    parts = [{ob: leg[ob] for ob in into.schema.obs} for leg in legs]
    return filled, [Leg(*leg) for leg in zip(parts, variables, strict=True)]


def _coequalizer(dom: Storage, codom: Storage, target: Any, arrows: Sequence[Components]) -> tuple[Any, Components]:
    """Return the coequalizer of two morphisms into an encoded instance that is in Julia, and its leg."""
    schema, source = dom.schema, sent(dom, static=True)
    columns = [_flat(schema, arrow) for arrow in arrows]
    handle, leg = julia.call("coequalizer_of", source, target, sent_json(schema.obs), *columns)
    return handle, _components(schema, codom, leg)


def _flat(schema: Schema, components: Components) -> Ids:
    """Return the images of all parts, one object after the other, for Julia."""
    return sent_ids(np.concatenate([np.zeros(0, np.int64), *(components[ob] for ob in schema.obs)]))


def _components(schema: Schema, instance: Storage, leg: object) -> Components:
    """Return the components of a leg, which Julia gives one after the other."""
    ends = np.cumsum([instance.nparts(ob) for ob in schema.obs])
    return dict(zip(schema.obs, np.split(received_ids(leg), ends), strict=False))  # what follows the last end is empty
