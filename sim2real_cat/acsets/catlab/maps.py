"""Homomorphisms and colimits by Catlab.

Catlab searches for the homomorphisms of encodings, in which everything is defined and variables have carriers
(:mod:`~sim2real_cat.acsets.catlab.spans`); these are exactly those of the instances. Its own search for an isomorphism
of a random graph of 10^3 vertices with itself did not end in 6 minutes, so it gets the images of all parts that colour
refinement tells apart, and verifies them.

Colimits are those of :mod:`~sim2real_cat.acsets.catlab.colimits`, with morphisms for legs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.catlab import colimits, julia
from sim2real_cat.acsets.catlab.colimits import Leaving, Leg
from sim2real_cat.acsets.catlab.crossing import (
    received_ids,
    sent,
    sent_json,
)
from sim2real_cat.acsets.catlab.refusals import refused
from sim2real_cat.acsets.catlab.spans import Encoding, for_search
from sim2real_cat.acsets.maps.isomorphism import Prescribed, forced_images
from sim2real_cat.acsets.maps.morphism import Morphism

AMBIGUOUS = 200
"""The largest number of parts and variables that colour refinement may leave to Catlab's search for an isomorphism."""


def homomorphisms(
    X: ACSet,
    Y: ACSet,
    injective: Collection[str],
    bijective: Collection[str],
    prescribed: Prescribed,
    *,
    invertible: bool,
    one: bool,
) -> list[Morphism]:
    """Return the morphisms X -> Y, or only the first.

    Args:
        X: the domain. A variable at no part has a prescribed image, or is to become a variable.
        Y: the codomain.
        injective: the objects and attribute types on which the morphisms must be injective.
        bijective: those on which they must be bijective; ``injective`` has them, too.
        prescribed: prescribed images, which exist.
        invertible: whether only isomorphisms count.
        one: whether one morphism is enough.

    Raises:
        EngineError: for isomorphisms of instances too many of whose parts look alike.
    """
    asked = _asked(X, Y, injective, bijective, prescribed, invertible=invertible)
    if asked is None:
        return []
    encoding, options = asked
    there, here = encoding.encoded
    obs = [*X.schema.obs, *(carrier.ob for carrier in encoding.carriers.values())]
    number, found = julia.call(
        "find_homomorphisms", sent(there.instance), sent(here.instance), sent_json(obs), options, one
    )
    components = {}
    for ob, images in zip(obs, found, strict=True):
        components[ob] = received_ids(images).reshape(int(number), there.instance.nparts(ob))
        components[ob].flags.writeable = False
    morphisms = []
    for i in range(int(number)):
        images_of = {ob: rows[i] for ob, rows in components.items()}
        parts = {ob: images_of[ob] for ob in X.schema.obs}
        morphisms.append(Morphism.unchecked(X, Y, parts, encoding.images(there, here, images_of)))
    return morphisms


def count(
    X: ACSet,
    Y: ACSet,
    injective: Collection[str],
    bijective: Collection[str],
    prescribed: Prescribed,
    *,
    invertible: bool,
) -> int:
    """Count the :func:`homomorphisms`; arguments and errors are the same."""
    asked = _asked(X, Y, injective, bijective, prescribed, invertible=invertible)
    if asked is None:
        return 0
    encoding, options = asked
    return int(julia.call("count_all_homomorphisms", *(sent(x.instance) for x in encoding.encoded), options))


def _asked(
    X: ACSet,
    Y: ACSet,
    injective: Collection[str],
    bijective: Collection[str],
    prescribed: Prescribed,
    *,
    invertible: bool,
) -> tuple[Encoding, str] | None:
    """Return the encoding to search in and the options of the search; None where there are no morphisms.

    Only components of objects are asked to be injective or to have prescribed images, those of carriers instead of
    those of variables. Isomorphisms are bijective on the values of every span, too, so that their inverses are natural;
    and they keep undefined attributes, of which both instances have as many where the colours are the same.
    """
    kinds = X.schema.attrtypes
    if any(X.nvars(kind) != Y.nvars(kind) for kind in kinds if kind in bijective):
        return None
    if invertible:
        forced = forced_images(X, Y, prescribed)
        if forced is None:
            return None
        prescribed, ambiguous = forced
        if ambiguous > AMBIGUOUS:
            raise refused("isomorphism", f"{ambiguous} look alike")
    images = {kind: tuple(prescribed.get(kind, {}).values()) for kind in kinds}
    encoding, codes = for_search(X, Y, [kind for kind in kinds if kind in injective], images)
    initial = {ob: dict(prescribed[ob]) for ob in X.schema.obs if ob in prescribed}
    for kind, carrier in encoding.carriers.items():
        carried = encoding.encoded[1].carried[kind]
        place = np.searchsorted(carried, codes[kind])
        if (np.append(carried, -1)[place] != codes[kind]).any():
            return None  # a value is prescribed where only variables will do
        initial[carrier.ob] = dict(zip(prescribed.get(kind, {}), place.tolist(), strict=True))
    carriers = {kind: carrier.ob for kind, carrier in encoding.carriers.items()}
    sorts = {ob: ob for ob in X.schema.obs} | carriers
    more = [*(span.ob for span in encoding.spans.values()), *(slots.ob for slots in encoding.slots.values())]
    options = {
        "monic": [ob for sort, ob in sorts.items() if sort in injective],
        "iso": [ob for sort, ob in sorts.items() if sort in bijective] + (more if invertible else []),
        "initial": {ob: [[x + 1, y + 1] for x, y in pairs.items()] for ob, pairs in initial.items()},
    }
    return encoding, sent_json(options)


Cone = tuple[ACSet, tuple[Morphism, ...]]


def coproduct(X: ACSet, Y: ACSet) -> Cone:
    """Return the coproduct of two instances of one schema: apex and legs."""
    return _cocone((X, Y), colimits.coproduct(X, Y))


def pushout(f: Morphism, g: Morphism) -> Cone:
    """Return the pushout of two natural transformations from one instance, which exists: apex and legs."""
    return _cocone((f.codom, g.codom), colimits.pushout(f.dom, f.codom, g.codom, _leaving(f), _leaving(g)))


def coequalizer(f: Morphism, g: Morphism) -> Cone:
    """Return the coequalizer of two parallel natural transformations, which exists: apex and leg."""
    return _cocone((f.codom,), colimits.coequalizer(f.dom, f.codom, _leaving(f), _leaving(g)))


def _leaving(f: Morphism) -> Leaving:
    return Leaving(f.components, f.variables)


def _cocone(feet: Sequence[ACSet], found: tuple[ACSet, Sequence[Leg]]) -> Cone:
    apex, legs = found
    return apex, tuple(Morphism(foot, apex, *leg) for foot, leg in zip(feet, legs, strict=True))
