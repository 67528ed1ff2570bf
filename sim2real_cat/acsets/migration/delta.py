"""Delta: the pullback of an instance along a functor of schemas, which is precomposition with the functor."""

from __future__ import annotations

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.catlab import migration as by_catlab
from sim2real_cat.acsets.columns import Cells
from sim2real_cat.acsets.maps.morphism import Morphism
from sim2real_cat.acsets.migration.functor import SchemaFunctor, require_instance


def delta(functor: SchemaFunctor, instance: ACSet) -> ACSet:
    """Return the instance Δ_F(X) = X ∘ F of the functor's domain, for an instance X of its codomain.

    The parts of an object c are those of F(c), with the same ids; a hom f is the composite of the path
    F(f) in X, undefined where any arrow on the way is; an attribute is the composite of its path, with the
    same variables. Δ is functorial: Δ_id = id and Δ of ``F.then(G)`` is Δ_F after Δ_G. An instance that lives in
    Catlab is migrated by Catlab.

    Raises:
        SchemaError: where the instance is not one of the functor's codomain.
    """
    require_instance(functor.codom, instance, "delta", "ends")
    if instance.engine == "catlab":
        return by_catlab.delta(functor, instance)
    homs = {f: instance.subpart_ids(path.arrows, ob=path.dom) for f, path in functor.homs.items()}
    attrs = {}
    for f, path in functor.attrs.items():
        cells = instance.reader.follow(instance, path, None)
        assert isinstance(cells, Cells)  # the path ends in an attribute
        attrs[f] = cells
    nparts = {ob: instance.nparts(image) for ob, image in functor.obs.items()}
    nvars = {kind: instance.nvars(image) for kind, image in functor.attrtypes.items()}
    return instance.like(functor.dom).fill(nparts, nvars, homs, attrs)


def delta_morphism(functor: SchemaFunctor, morphism: Morphism) -> Morphism:
    """Return the morphism Δ_F(α): Δ_F(X) -> Δ_F(Y) of α: X -> Y, whose component at c is that of α at F(c).

    Raises:
        SchemaError: where the morphism's instances are not ones of the functor's codomain.
    """
    return Morphism(
        delta(functor, morphism.dom),
        delta(functor, morphism.codom),
        {ob: morphism.components[image] for ob, image in functor.obs.items()},
        {kind: morphism.variables[image] for kind, image in functor.attrtypes.items()},
    )
