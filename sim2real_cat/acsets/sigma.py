"""Sigma: an instance pushed forward along a functor of schemas, its left Kan extension, by the chase."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from sim2real_cat.acsets._chase import Chase
from sim2real_cat.acsets._index import Ids
from sim2real_cat.acsets._rows import Rows
from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.catlab import migration as by_catlab
from sim2real_cat.acsets.columns import DEFINED, UNDEFINED, Cells
from sim2real_cat.acsets.delta import cells_along, check_schema
from sim2real_cat.acsets.functor import SchemaFunctor
from sim2real_cat.acsets.paths import Path
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import InstanceError


class Extension(NamedTuple):
    """A left Kan extension with its unit.

    Attributes:
        instance: Σ_F(X), an instance of the functor's codomain.
        unit: for each object c of the functor's domain an array that sends the parts of X at c to parts of
            Σ_F(X) at F(c): the components of X -> Δ_F(Σ_F(X)).
    """

    instance: ACSet
    unit: Mapping[str, Ids]


def sigma(functor: SchemaFunctor, instance: ACSet, limit: int | None = None) -> ACSet:
    """The instance Σ_F(X) of the functor's codomain; see :func:`left_kan_extension`.

    For an instance that lives in Catlab this is Catlab's, for schemas without attributes and functors that send homs
    to homs; that it is finite has been found out here before, within ``limit``.

    Raises:
        EngineError: where the instance lives in Catlab, and Catlab cannot migrate it.
    """
    extension = left_kan_extension(functor, instance, limit).instance
    return by_catlab.sigma(functor, instance) if instance.engine == "catlab" else extension


def left_kan_extension(functor: SchemaFunctor, instance: ACSet, limit: int | None = None) -> Extension:
    """The instance of the functor's codomain that an instance of its domain generates freely.

    Σ_F is left adjoint to Δ_F on instances whose homs are total: Hom(Σ_F(X), Y) = Hom(X, Δ_F(Y)). There is
    a part for every part of X; where a hom of the codomain has no value yet a new part is added for it;
    parts are identified where the homs of X, carried along F, or the equations of the codomain say so. In
    the result every hom is total, and an attribute without a value holds a variable of its own. A hom
    that is undefined in X says nothing. The variables of X come first, in order, unless identified.

    Args:
        functor: the functor F.
        instance: the instance X of its domain.
        limit: how many new parts may be added on the way, those identified later included; by default
            1000 and a hundred for each part of X. The result may be infinite, and whether it is no program
            decides in general: an endomorphism that no equation restrains makes it so.

    Raises:
        SchemaError: where the instance is not one of the functor's domain.
        InstanceError: where the limit is reached, or two different values would have to be the same.
    """
    check_schema(functor.dom, instance, "sigma", "starts")
    if limit is None:
        limit = 1000 + 100 * sum(instance.nparts(ob) for ob in functor.dom.obs)
    chase = Chase(functor.codom)
    _start(chase, functor, instance)
    _complete(chase, functor.codom, limit)
    unit = {ob: chase.columns[_unit(ob)] for ob in functor.dom.obs}
    return Extension(_finished(chase, functor.codom), unit)


# The chase runs in the collage of F: both schemas side by side, with an arrow from c to F(c) for every c,
# the unit, and an equation for every arrow f of the domain: f.unit = unit.F(f). The names of the domain
# and of the unit get a dot, which no name of a schema has.


def _given(name: str) -> str:
    return f"given.{name}"


def _unit(name: str) -> str:
    return f"unit.{name}"


def _start(chase: Chase, functor: SchemaFunctor, instance: ACSet) -> None:
    """Put the given instance into the chase, and a part of the codomain for each of its parts and values."""
    dom = functor.dom
    for ob, image in functor.obs.items():
        chase.add_arrow(_unit(ob), _given(ob), image, chase.add(image, instance.nparts(ob)))
        chase.sizes[_given(ob)] = instance.nparts(ob)
    for f, (ob, codom) in dom.homs.items():
        chase.add_arrow(_given(f), _given(ob), _given(codom), instance.column(f))
    for kind, image in functor.attrtypes.items():
        chase.sizes[_given(kind)] = instance.nvars(kind)
        chase.add_arrow(_unit(kind), _given(kind), image, chase.add(image, instance.nvars(kind)))
        for f in (f for f, (_, codom) in dom.attrs.items() if codom == kind):
            ob = dom.attrs[f][0]
            cells = cells_along(instance, Path(ob, (f,), kind))
            valued = np.flatnonzero(cells.status == DEFINED)
            targets = np.maximum(cells.status, UNDEFINED)
            targets[valued] = chase.sizes[_given(kind)] + np.arange(len(valued))
            chase.add_arrow(_given(f), _given(ob), _given(kind), targets)
            chase.sizes[_given(kind)] += len(valued)
            known = chase.add_values(image, cells.data[valued], f"{f} of {ob}", valued)
            chase.columns[_unit(kind)] = np.append(chase.columns[_unit(kind)], known)
    for f, (ob, codom) in {**dom.homs, **dom.attrs}.items():
        image_path = functor.path(f).arrows
        chase.equations.append((_given(ob), (_given(f), _unit(codom)), (_unit(ob), *image_path)))
    chase.equations += [(left.dom, left.arrows, right.arrows) for left, right in functor.codom.equations]


def _complete(chase: Chase, schema: Schema, limit: int) -> None:
    """Give every hom and then every attribute its values: first what the equations say, then new ones.

    The homs take turns, so each is completed at a part sooner or later, and a finite result is found.
    """
    chase.deduce()
    added = 0
    incomplete = True
    while incomplete:
        incomplete = False
        for name, (ob, codom) in schema.homs.items():
            missing = np.flatnonzero(chase.columns[name] == UNDEFINED)
            if not len(missing):
                continue
            incomplete = True
            added += len(missing)
            if added > limit:
                raise InstanceError(
                    f"sigma: more than limit={limit} new parts are needed, and '{name}' still lacks values at "
                    f"{len(missing)} parts of '{ob}': give a larger limit=, or add the equation without which "
                    "the extension is infinite"
                )
            chase.columns[name][missing] = chase.add(codom, len(missing))
            chase.deduce()
    for name, (_, codom) in schema.attrs.items():
        missing = np.flatnonzero(chase.columns[name] == UNDEFINED)
        chase.columns[name][missing] = chase.add(codom, len(missing))
    chase.deduce()


def _finished(chase: Chase, schema: Schema) -> ACSet:
    """The instance in a chase that is complete: values without a constant are its variables."""
    result = ACSet(schema)
    status = {}
    for kind in schema.attrtypes:
        known = chase.values[kind].origin != UNDEFINED
        status[kind] = np.where(known, DEFINED, np.cumsum(~known) - 1)
        result.add_vars(kind, int(np.count_nonzero(~known)))
    for ob in schema.obs:
        homs = {f: chase.columns[f] for f in schema.homs_from(ob)}
        attrs = {}
        for f in schema.attrs_from(ob):
            kind, nodes = schema.attrs[f][1], chase.columns[f]
            attrs[f] = Cells(chase.values[kind].data[nodes], status[kind][nodes])
        result._append(ob, chase.sizes[ob], Rows(homs, attrs))
    return result
