"""Colimits of instances of one schema: coproduct, pushout, coequalizer, initial instance.

A colimit is a coproduct in which parts are identified. What is identified has the same images under
every hom, so these are identified too, and the same attribute value: a variable becomes the value it
meets, an undefined slot takes what others have, and two different values are an error, as in Catlab. Where an
instance lives in Catlab, Catlab computes the colimit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sim2real_cat.acsets._coerce import brief
from sim2real_cat.acsets._cones import image_key, require_legs, require_natural, require_parallel
from sim2real_cat.acsets._quotient import quotient
from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.catlab import constructions as by_catlab
from sim2real_cat.acsets.columns import UNDEFINED, Ids, Var
from sim2real_cat.acsets.engines import engine_of
from sim2real_cat.acsets.morphism import Morphism, require_one_schema
from sim2real_cat.acsets.schema import Schema
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
