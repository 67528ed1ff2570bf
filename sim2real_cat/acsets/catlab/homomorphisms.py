"""Homomorphisms by Catlab.

Catlab searches for the homomorphisms of encodings without attributes, in which everything is defined and attribute
values are parts that stay what they are (:mod:`~sim2real_cat.acsets.catlab.spans`); these are exactly those of the
instances. Its own search for an isomorphism of a random graph of 10^3 vertices with itself did not end in 6 minutes, so
it gets the images of all parts that colour refinement tells apart, and verifies them.
"""

from __future__ import annotations

from sim2real_cat.acsets.catlab import julia
from sim2real_cat.acsets.catlab.crossing import received_ids, sent, sent_json
from sim2real_cat.acsets.catlab.refusals import refused
from sim2real_cat.acsets.catlab.spans import Diagram
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.maps.isomorphism import forced_images
from sim2real_cat.acsets.maps.morphism import Morphism, Question

AMBIGUOUS = 200
"""The largest number of parts and variables that colour refinement may leave to Catlab's search for an isomorphism."""


def homomorphisms(question: Question, *, one: bool) -> list[Morphism]:
    """Return the morphisms, or only the first where one is enough.

    Raises:
        EngineError: for isomorphisms of instances too many of whose parts look alike.
    """
    asked = _asked(question)
    if asked is None:
        return []
    X, Y = question.X, question.Y
    diagram, options = asked
    there, here, _ = (x.instance for x in diagram.encoding.encoded)
    obs = [*X.schema.obs, *(kind for kind in X.schema.attrtypes if X.nvars(kind))]
    number, found = julia.call("find_homomorphisms", sent(there), sent(here), sent_json(obs), options, one)
    components = {}
    for ob, images in zip(obs, found, strict=True):
        components[ob] = received_ids(images).reshape(int(number), there.nparts(ob))
        components[ob].flags.writeable = False
    morphisms = []
    for i in range(int(number)):
        variables = {}
        for kind, held in diagram.held.items():
            parts = components[kind][i, len(held) :].tolist() if X.nvars(kind) else ()
            variables[kind] = tuple(diagram.image(kind, part) for part in parts)
        morphisms.append(Morphism.unchecked(X, Y, {ob: components[ob][i] for ob in X.schema.obs}, variables))
    return morphisms


def count(question: Question) -> int:
    """Count the :func:`homomorphisms`; errors are the same."""
    asked = _asked(question)
    if asked is None:
        return 0
    diagram, options = asked
    there, here, _ = (x.instance for x in diagram.encoding.encoded)
    return int(julia.call("count_all_homomorphisms", sent(there), sent(here), options))


def _asked(question: Question) -> tuple[Diagram, str] | None:
    """Return the diagram of both encodings and the options of the search; None where there are no morphisms.

    Values are prescribed to stay what they are. Of an attribute type that must be injective both encodings have all
    values, so no variable can become one. Isomorphisms are bijective on every span, too, so that their inverses are
    natural.
    """
    X, Y, injective, bijective, invertible, prescribed, _ = question
    kinds = X.schema.attrtypes
    if any(X.nvars(kind) != Y.nvars(kind) for kind in kinds if kind in bijective):
        return None
    if any(not isinstance(y, Var) for kind in kinds if kind in injective for y in prescribed.get(kind, {}).values()):
        return None
    if invertible:
        forced = forced_images(X, Y, prescribed)
        if forced is None:
            return None
        prescribed, ambiguous = forced
        if ambiguous > AMBIGUOUS:
            raise refused("isomorphism", f"{ambiguous} look alike")
    images = {kind: tuple(prescribed.get(kind, {}).values()) for kind in kinds}
    diagram = Diagram((X, Y), (images,), lean=[kind for kind in kinds if kind not in injective])
    initial = {ob: dict(prescribed[ob]) for ob in X.schema.obs if ob in prescribed}
    for kind, held in diagram.held.items():
        initial[kind] = dict(enumerate(held.tolist()))
        variables = (len(held) + k for k in prescribed.get(kind, {}))
        initial[kind] |= zip(variables, diagram.images[0][kind].tolist(), strict=True)
    sorts = (*X.schema.obs, *kinds)
    more = [span.ob for span in diagram.encoding.spans.values()] if invertible else []
    options = {
        "monic": [sort for sort in sorts if sort in injective],
        "iso": [sort for sort in sorts if sort in bijective] + more,
        "initial": {sort: [[x + 1, y + 1] for x, y in pairs.items()] for sort, pairs in initial.items()},
    }
    return diagram, sent_json(options)
