"""Migration along a functor of schemas by Catlab: Δ to schemas without attributes, Σ between such schemas."""

from __future__ import annotations

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.catlab import julia
from sim2real_cat.acsets.catlab.crossing import received, require_defined, require_plain, sent, sent_json
from sim2real_cat.acsets.migration.functor import SchemaFunctor
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import EngineError


def delta(functor: SchemaFunctor, instance: ACSet) -> ACSet:
    """Return the instance Δ_F(X), for a functor whose domain has no attributes.

    Raises:
        EngineError: where it has, or a hom of the instance is undefined.
    """
    require_plain("Δ", functor.dom)
    require_defined("Δ", instance, instance.schema.homs)
    source = _without_attributes(functor.codom)
    homs = {f: list(path.arrows) for f, path in functor.homs.items()}
    found = julia.call(
        "pull_back",
        sent(instance, source),
        sent(instance.like(functor.dom)),
        functor.dom.to_json(),
        source.to_json(),
        sent_json(dict(functor.obs)),
        sent_json(homs),
    )
    return received(found, instance.like(functor.dom, engine="catlab"))


def sigma(functor: SchemaFunctor, instance: ACSet) -> ACSet:
    """Return the instance Σ_F(X), for a functor of schemas without attributes that sends homs to homs.

    Whether it is finite must be known before: Catlab's chase has no bound.

    Raises:
        EngineError: for another functor, or where a hom of the instance is undefined.
    """
    require_plain("Σ", functor.dom)
    require_plain("Σ", functor.codom)
    require_defined("Σ", instance, instance.schema.homs)
    homs = {}
    for f, path in functor.homs.items():
        if len(path.arrows) != 1:
            text = f"the path '{path}'" if path.arrows else "an identity"
            raise EngineError(
                f"Catlab computes Σ along functors that send homs to homs, but '{f}' goes to {text}: "
                "ask the embedded engine"
            )
        homs[f] = path.arrows[0]
    found = julia.call(
        "push_forward",
        sent(instance),
        sent(instance.like(functor.codom)),
        functor.dom.to_json(),
        functor.codom.to_json(),
        sent_json(dict(functor.obs)),
        sent_json(homs),
    )
    return received(found, instance.like(functor.codom, engine="catlab"))


def _without_attributes(schema: Schema) -> Schema:
    """Return the part of a schema that is objects, homs and equations between them."""
    equations = [(left.arrows, right.arrows) for left, right in schema.equations if left.codom not in schema.attrtypes]
    return Schema(schema.name, schema.obs, schema.homs, equations=equations)
