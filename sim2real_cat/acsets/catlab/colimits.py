"""Colimits by Catlab, of encodings in which everything is defined.

Catlab computes on the encodings of :mod:`~sim2real_cat.acsets.catlab.spans`. Where this leaves a span of the apex with
two values at one part, Catlab's coequalizer identifies these, until every span is a function again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from sim2real_cat.acsets.catlab import julia
from sim2real_cat.acsets.catlab.crossing import received, received_ids, sent, sent_cells, sent_ids, sent_json
from sim2real_cat.acsets.catlab.spans import Arrow, Components, Encoding, coinciding, for_colimit
from sim2real_cat.acsets.columns import Ids
from sim2real_cat.acsets.maps.values import Variables
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.acsets.storage import Storage

S = TypeVar("S", bound=Storage)


class Leg(NamedTuple):
    """A leg of a colimit: for each object the images of the parts, for each attribute type those of the variables."""

    components: dict[str, Ids]
    variables: dict[str, tuple[Any, ...]]


class Leaving(NamedTuple):
    """A natural transformation out of the first instance of a diagram."""

    components: Components
    variables: Variables


def coproduct(X: S, Y: S) -> tuple[S, list[Leg]]:
    """Return the coproduct of two instances, which lives in Catlab, and its legs."""
    encoding, _ = for_colimit((X, Y), ())
    handles = [sent(x.instance, static=True) for x in encoding.encoded]
    handle, *legs = julia.call("coproduct_of", *handles, sent_json(encoding.schema.obs))
    found = [_components(encoding.schema, x.instance, leg) for x, leg in zip(encoding.encoded, legs, strict=True)]
    apex = received(handle, X.like(encoding.schema))
    return _decoded(encoding, apex, found, X.like(engine="catlab"))


def pushout(Z: S, X: S, Y: S, f: Leaving, g: Leaving) -> tuple[S, list[Leg]]:
    """Return the pushout of f: Z -> X and g: Z -> Y, which lives in Catlab, and its legs."""
    encoding, codes = for_colimit((X, Y, Z), (f.variables, g.variables))
    left, right, middle = encoding.encoded
    arrows = [
        encoding.arrow(middle, end, each.components, images)
        for end, each, images in zip((left, right), (f, g), codes, strict=True)
    ]
    handles = [sent(x.instance, static=True) for x in encoding.encoded]
    handle, *legs = julia.call("pushout_of", *handles, *_names(encoding.schema), *_sent_arrows(encoding, arrows))
    found = [_components(encoding.schema, x.instance, leg) for x, leg in zip((left, right), legs, strict=True)]
    return _with_functions(encoding, handle, found, X.like(engine="catlab"))


def coequalizer(X: S, Y: S, f: Leaving, g: Leaving) -> tuple[S, list[Leg]]:
    """Return the coequalizer of f, g: X -> Y, which lives in Catlab, and its leg."""
    encoding, codes = for_colimit((Y, X), (f.variables, g.variables))
    codom, dom = encoding.encoded
    arrows = [encoding.arrow(dom, codom, each.components, images) for each, images in zip((f, g), codes, strict=True)]
    target = sent(codom.instance, static=True)
    handle, leg = _coequalizer(encoding, dom.instance, codom.instance, target, arrows)
    return _with_functions(encoding, handle, [leg], Y.like(engine="catlab"))


def _with_functions(encoding: Encoding, handle: Any, legs: list[Components], into: S) -> tuple[S, list[Leg]]:
    """Make every span of an apex a function, and decode it."""
    apex = received(handle, into.like(encoding.schema))
    while (step := coinciding(apex, encoding.spans.values())) is not None:
        domain, *arrows = step
        handle, projection = _coequalizer(encoding, domain, apex, handle, arrows)
        apex = received(handle, into.like(encoding.schema))
        legs = [{ob: projection[ob][ids] for ob, ids in leg.items()} for leg in legs]
    return _decoded(encoding, apex, legs, into)


def _coequalizer(
    encoding: Encoding, dom: Storage, codom: Storage, target: Any, arrows: Sequence[Arrow]
) -> tuple[Any, Components]:
    """Return the coequalizer of two morphisms into an encoded instance that is in Julia, and its leg."""
    source = sent(dom, static=True)
    names = _names(encoding.schema)
    handle, leg = julia.call("coequalizer_of", source, target, *names, *_sent_arrows(encoding, arrows))
    return handle, _components(encoding.schema, codom, leg)


def _decoded(encoding: Encoding, apex: Storage, legs: Sequence[Components], into: S) -> tuple[S, list[Leg]]:
    found = encoding.decoded(apex, legs)
    parts = [{ob: leg[ob] for ob in encoding.of.obs} for leg in legs]
    return into.fill(found.counts, found.nvars, found.homs, found.attrs), [
        Leg(components, variables) for components, variables in zip(parts, found.variables, strict=True)
    ]


def _names(schema: Schema) -> tuple[str, str]:
    return sent_json(schema.obs), sent_json(list(schema.attrtypes))


def _sent_arrows(encoding: Encoding, arrows: Sequence[Arrow]) -> list[Ids]:
    """Return two morphisms as columns: for each the images of all parts, and those of all variables."""
    nothing = np.zeros(0, np.int64)
    columns: list[Any] = []
    for components, variables in arrows:
        columns.append(sent_ids(np.concatenate([nothing, *(components[ob] for ob in encoding.schema.obs)])))
        cells = [sent_cells(variables[kind], int) for kind in encoding.schema.attrtypes]
        columns += [np.concatenate([nothing, *column]) for column in zip((nothing, nothing), *cells, strict=True)]
    return columns


def _components(schema: Schema, instance: Storage, leg: object) -> Components:
    """Return the components of a leg, which Julia gives one after the other."""
    ends = np.cumsum([instance.nparts(ob) for ob in schema.obs])
    return dict(zip(schema.obs, np.split(received_ids(leg), ends), strict=False))  # what follows the last end is empty
