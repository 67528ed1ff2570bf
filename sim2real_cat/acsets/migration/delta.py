"""Delta: an instance pulled back along a functor of schemas, which is precomposition with it."""

from __future__ import annotations

import numpy as np

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.catlab import migration as by_catlab
from sim2real_cat.acsets.columns import DEFINED, UNDEFINED, Cells, fill_of
from sim2real_cat.acsets.maps.morphism import Morphism
from sim2real_cat.acsets.migration.functor import SchemaFunctor
from sim2real_cat.acsets.schema import Path, Schema
from sim2real_cat.acsets.storage import PartRows
from sim2real_cat.errors import SchemaError


def delta(functor: SchemaFunctor, instance: ACSet) -> ACSet:
    """The instance Δ_F(X) = X ∘ F of the functor's domain, for an instance X of its codomain.

    The parts of an object c are those of F(c), with the same ids; a hom f is the composite of the path
    F(f) in X, undefined where any arrow on the way is; an attribute is the composite of its path, with the
    same variables. Δ is functorial: Δ_id = id and Δ of ``F.then(G)`` is Δ_F after Δ_G. An instance that lives in
    Catlab is migrated by Catlab, to schemas without attributes.

    Raises:
        SchemaError: where the instance is not one of the functor's codomain.
        EngineError: where the instance lives in Catlab, and Catlab cannot migrate it.
    """
    check_schema(functor.codom, instance, "delta", "ends")
    if instance.engine == "catlab":
        return by_catlab.delta(functor, instance)
    dom = functor.dom
    result = ACSet(dom)
    for kind, image in functor.attrtypes.items():
        result.add_vars(kind, instance.nvars(image))
    for ob in dom.obs:
        homs = {f: instance.subpart_ids(functor.homs[f].arrows, ob=functor.obs[ob]) for f in dom.homs_from(ob)}
        attrs = {f: cells_along(instance, functor.attrs[f]) for f in dom.attrs_from(ob)}
        result.append_rows(ob, instance.nparts(functor.obs[ob]), PartRows(homs, attrs))
    return result


def delta_morphism(functor: SchemaFunctor, morphism: Morphism) -> Morphism:
    """The morphism Δ_F(α): Δ_F(X) -> Δ_F(Y) of α: X -> Y, whose component at c is that of α at F(c).

    Raises:
        SchemaError: where the morphism's instances are not ones of the functor's codomain.
    """
    return Morphism(
        delta(functor, morphism.dom),
        delta(functor, morphism.codom),
        {ob: morphism.components[image] for ob, image in functor.obs.items()},
        {kind: morphism.variables[image] for kind, image in functor.attrtypes.items()},
    )


def cells_along(instance: ACSet, path: Path) -> Cells:
    """What a path that ends in an attribute gives for all parts of its domain: values, nothing or variables."""
    *way, name = path.arrows
    ids = instance.subpart_ids(way, ob=path.dom)
    values = instance.subpart(path.arrows)
    mask = np.ma.getmaskarray(values)
    variables = np.append(instance.variables(name), UNDEFINED)[ids]  # -1 takes the last, which is undefined
    data = np.ma.getdata(values).copy()
    data[mask] = fill_of(instance.schema.attrtypes[path.codom])
    return Cells(data, np.where(mask, variables, DEFINED))


def check_schema(schema: Schema, instance: ACSet, operation: str, verb: str) -> None:
    """Refuse an instance of another schema than the one in which a functor starts or ends."""
    if instance.schema != schema:
        raise SchemaError(
            f"{operation}: the functor {verb} in schema {schema.name}, but the instance is one of "
            f"{instance.schema.name}, which has other generators or equations"
        )
