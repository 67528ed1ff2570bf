"""Limits of instances of one schema: product, pullback, equalizer, terminal instance.

Limits are computed object by object. A part of a limit is a tuple of parts, one of each factor, and an arrow is
defined at it where it is defined at all of them. Attribute values must agree: where two factors hold different values,
the tuple would need both, which is an error, as in Catlab's tight categories. Where a factor holds a variable, so does
the limit, one for each tuple of images that occurs. The universal property holds among instances whose variables are
all held by parts. Where a factor lives in Catlab, Catlab computes the limit: of instances without attributes as a limit
of instances, and otherwise the tuples of each object as a limit of finite sets, since Catlab's own limits of instances
with attributes have tuples of values, see :func:`loose_product`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.catlab import finite_sets
from sim2real_cat.acsets.catlab import universal as by_catlab
from sim2real_cat.acsets.codecs import pairs_of
from sim2real_cat.acsets.coercion import brief
from sim2real_cat.acsets.columns import DEFINED, UNDEFINED, Cells, Ids, Var, fibres, fill_of
from sim2real_cat.acsets.engines import EngineName
from sim2real_cat.acsets.maps.cones import image_key, require_legs, require_parallel
from sim2real_cat.acsets.maps.morphism import Morphism, require_natural, require_one_schema
from sim2real_cat.acsets.maps.values import Codes, codes, decoded
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.acsets.storage import engine_of
from sim2real_cat.errors import InstanceError, SchemaError


@dataclass(frozen=True, eq=False)
class Limit:
    """A limit with its cone.

    Attributes:
        apex: the limit.
        legs: the projections from it, one to each factor.
    """

    apex: ACSet
    legs: tuple[Morphism, ...]

    def universal(self, *cone: Morphism) -> Morphism:
        """Return the unique morphism u into the apex with ``u.then(leg)`` equal to the given cone's legs.

        Args:
            cone: a natural transformation into each factor, all from one instance. (The terminal
                instance has no factors: ask :func:`homomorphism` for the morphism into it.)

        Raises:
            InstanceError: where these are not a cone: not one for each leg, with other ends, or with images
                that are not in the limit.
        """
        require_legs("cone", cone, self.legs, [f.dom for f in cone], [f.codom for f in cone])
        source = cone[0].dom
        components = {}
        for ob in source.schema.obs:
            sizes = tuple(leg.codom.nparts(ob) for leg in self.legs)
            keys = _keys(tuple(leg.components[ob] for leg in self.legs), sizes)
            wanted = _keys(tuple(f.components[ob] for f in cone), sizes)
            order = np.argsort(keys)
            found = _positions(keys[order], wanted)
            components[ob] = np.append(order, UNDEFINED)[found]
            outside = np.flatnonzero(found == UNDEFINED)
            if len(outside):
                images = ", ".join(str(int(f.components[ob][outside[0]])) for f in cone)
                raise InstanceError(f"no cone: {ob} {outside[0]} goes to ({images}), which is not in the limit")
        variables = {attrtype: self._images(attrtype, cone) for attrtype in source.schema.attrtypes}
        return Morphism(source, self.apex, components, variables)

    def _images(self, attrtype: str, cone: tuple[Morphism, ...]) -> tuple[Any, ...]:
        numbers = {
            _key(images): Var(k)
            for k, images in enumerate(zip(*(leg.variables[attrtype] for leg in self.legs), strict=True))
        }
        found = []
        for k, images in enumerate(zip(*(f.variables[attrtype] for f in cone), strict=True)):
            key = _key(images)
            if key in numbers:
                found.append(numbers[key])
            elif len(set(key)) == 1 and not isinstance(images[0], Var):
                found.append(images[0])
            else:
                text = ", ".join(map(brief, images))
                raise InstanceError(f"no cone: Var({k}) of '{attrtype}' goes to ({text}), which is not in the limit")
        return tuple(found)


def product(X: ACSet, Y: ACSet) -> Limit:
    """Return the product: all pairs of parts of the same object.

    Raises:
        SchemaError: for instances of different schemas.
        InstanceError: where a pair would have two values of an attribute, naming parts and values.
    """
    require_one_schema(X, Y)
    engine = engine_of(X, Y)
    if engine == "catlab" and not X.schema.attrtypes:
        return Limit(*by_catlab.product(X, Y))
    sizes = {ob: (X.nparts(ob), Y.nparts(ob)) for ob in X.schema.obs}
    parts = {ob: _all_pairs(*size, engine) for ob, size in sizes.items()}
    return _limit((X, Y), parts, {attrtype: [] for attrtype in X.schema.attrtypes}, engine)


def pullback(f: Morphism, g: Morphism) -> Limit:
    """Return the pullback of f: X -> Z and g: Y -> Z: the pairs of parts that f and g send to the same part.

    Raises:
        InstanceError: where f and g are not natural, or do not end in the same instance.
    """
    require_natural(f, g)
    if f.codom is not g.codom and f.codom != g.codom:
        raise InstanceError(f"a pullback needs two morphisms into one instance: {f!r} and {g!r} end apart")
    engine = engine_of(f.dom, g.dom, f.codom)
    if engine == "catlab" and not f.dom.schema.attrtypes:
        return Limit(*by_catlab.pullback(f, g))
    parts = {
        ob: _agreeing_pairs(f.components[ob], g.components[ob], f.codom.nparts(ob), engine) for ob in f.dom.schema.obs
    }
    variables = {attrtype: _matching_variables(f, g, attrtype) for attrtype in f.dom.schema.attrtypes}
    return _limit((f.dom, g.dom), parts, variables, engine)


def equalizer(f: Morphism, g: Morphism) -> Limit:
    """Return the equalizer of f, g: X -> Y: the parts and variables of X that both send to the same image.

    Raises:
        InstanceError: where f and g are not natural or not parallel.
    """
    require_parallel("an equalizer", f, g)
    engine = engine_of(f.dom, f.codom)
    if engine == "catlab" and not f.dom.schema.attrtypes:
        return Limit(*by_catlab.equalizer(f, g))
    parts = {
        ob: (_agreeing_parts(f.components[ob], g.components[ob], f.codom.nparts(ob), engine),)
        for ob in f.dom.schema.obs
    }
    variables = {
        attrtype: [
            (Var(k),)
            for k, images in enumerate(zip(f.variables[attrtype], g.variables[attrtype], strict=True))
            if len(set(_key(images))) == 1
        ]
        for attrtype in f.dom.schema.attrtypes
    }
    return _limit((f.dom,), parts, variables, engine)


class LooseProduct(NamedTuple):
    """A product of instances whose attribute values are pairs.

    Attributes:
        instance: the product; its schema has an attribute type of pairs for each attribute type.
        left: for each object the part of the first factor in each pair, shape (n,).
        right: the part of the second factor.
    """

    instance: ACSet
    left: dict[str, Ids]
    right: dict[str, Ids]


def loose_product(X: ACSet, Y: ACSet) -> LooseProduct:
    """Return the loose product: all pairs of parts of the same object, with pairs of attribute values.

    It is the product where morphisms may change attribute values, as Catlab's *loose* ones do; :func:`product` asks
    that values agree. An arrow is defined at a pair where it is defined at both parts. Attribute variables that are at
    no part are left out. Catlab computes it for instances of the two schemas of sim-to-real transfer that live there;
    the product lives in the embedded engine, as pairs have no type in Julia.

    Raises:
        SchemaError: for instances of different schemas.
        InstanceError: where a part holds an attribute variable, which makes no pair, naming it.
        EngineError: for instances in Catlab of another schema.
    """
    require_one_schema(X, Y)
    schema = X.schema
    for factor in (X, Y):
        for name, (ob, _) in schema.attrs.items():
            held = np.flatnonzero(factor.cells(name).status >= 0)
            if len(held):
                variable = factor.value(name, int(held[0]))
                raise InstanceError(
                    f"no loose product: '{name}' of {ob} {held[0]} is {brief(variable)}, and a pair has two values: "
                    "set it, or clear it"
                )
    coded = codes(X, Y)
    engine = engine_of(X, Y)
    pairs = by_catlab.loose_pairs(X, Y, coded) if engine == "catlab" else _loose_pairs(X, Y, coded)
    types = {attrtype: pairs_of(python_type) for attrtype, python_type in schema.attrtypes.items()}
    equations = [(left.arrows, right.arrows) for left, right in schema.equations]
    of_pairs = Schema(f"{schema.name} of pairs", schema.obs, schema.homs, types, schema.attrs, equations)
    # One object for every NaN, so that pairs with it are equal.
    values = {attrtype: [image_key(value) for value in known.tolist()] for attrtype, known in coded.values.items()}
    attrs = {}
    for name, (_, attrtype) in schema.attrs.items():
        left, right = pairs.attrs[name]
        defined = (left != UNDEFINED) & (right != UNDEFINED)
        data = np.full(len(left), fill_of(types[attrtype]), object)
        for part in np.flatnonzero(defined).tolist():
            data[part] = (values[attrtype][left[part]], values[attrtype][right[part]])
        attrs[name] = Cells(data, np.where(defined, DEFINED, UNDEFINED))
    sizes = {ob: len(ids) for ob, (ids, _) in pairs.parts.items()}
    instance = X.like(of_pairs).fill(sizes, {}, pairs.homs, attrs)
    return LooseProduct(instance, *({ob: ids[side] for ob, ids in pairs.parts.items()} for side in (0, 1)))


def _loose_pairs(X: ACSet, Y: ACSet, coded: Codes) -> by_catlab.LoosePairs:
    schema = X.schema
    parts = {ob: _all_pairs(X.nparts(ob), Y.nparts(ob), "embedded") for ob in schema.obs}
    homs, attrs = {}, {}
    for name, (dom, codom) in schema.homs.items():
        left, right = (x.column_ids(name)[ids] for x, ids in zip((X, Y), parts[dom], strict=True))
        both = (left != UNDEFINED) & (right != UNDEFINED)
        homs[name] = np.where(both, left * Y.nparts(codom) + right, UNDEFINED)
    for name, (ob, _) in schema.attrs.items():
        left, right = (column[name][ids] for column, ids in zip(coded.columns, parts[ob], strict=True))
        attrs[name] = (left, right)
    return by_catlab.LoosePairs(parts, homs, attrs)


def terminal(schema: Schema) -> ACSet:
    """Return the terminal instance: one part of each object; every instance has exactly one morphism into it.

    Raises:
        SchemaError: for a schema with attributes; its terminal instance would need a part for every value.
    """
    if schema.attrs:
        raise SchemaError(
            f"schema {schema.name} has attributes, so it has no finite terminal instance: "
            f"leave out {', '.join(schema.attrs)}"
        )
    point = ACSet(schema)
    for ob in schema.obs:
        point.add(ob)
    for name, (dom, _) in schema.homs.items():
        point.set(dom, 0, **{name: 0})
    return point


# The tuples of a limit at one object, in lexicographic order.


def _all_pairs(left: int, right: int, engine: EngineName) -> tuple[Ids, Ids]:
    if engine == "catlab":
        return _sorted(finite_sets.pullback(np.zeros(left, np.int64), np.zeros(right, np.int64), 1))
    return np.repeat(np.arange(left), right), np.tile(np.arange(right), left)


def _agreeing_pairs(left: Ids, right: Ids, size: int, engine: EngineName) -> tuple[Ids, Ids]:
    if engine == "catlab":
        return _sorted(finite_sets.pullback(left, right, size))
    owner, ids = fibres(right, size).of(left)
    return owner, ids


def _agreeing_parts(left: Ids, right: Ids, size: int, engine: EngineName) -> Ids:
    return finite_sets.equalizer(left, right, size) if engine == "catlab" else np.flatnonzero(left == right)


def _sorted(pairs: tuple[Ids, Ids]) -> tuple[Ids, Ids]:
    order = np.lexsort(pairs[::-1])
    return pairs[0][order], pairs[1][order]


def _limit(
    factors: tuple[ACSet, ...],
    parts: Mapping[str, tuple[Ids, ...]],
    variables: Mapping[str, list[tuple[Any, ...]]],
    engine: EngineName,
) -> Limit:
    """The limit whose parts are the given tuples of parts of the factors.

    Args:
        factors: at least one.
        parts: for each object the tuples, as one array for each factor, in lexicographic order.
        variables: for each attribute type the tuples of images that are its variables; those that parts hold
            are added.
        engine: where the limit shall live.
    """
    schema = factors[0].schema
    sizes = {ob: tuple(factor.nparts(ob) for factor in factors) for ob in schema.obs}
    keys = {ob: _keys(tuples, sizes[ob]) for ob, tuples in parts.items()}
    homs = {}
    for name, (dom, codom) in schema.homs.items():
        targets = tuple(factor.column_ids(name)[ids] for factor, ids in zip(factors, parts[dom], strict=True))
        defined = np.logical_and.reduce([column >= 0 for column in targets])
        homs[name] = np.full(len(defined), UNDEFINED)
        homs[name][defined] = _positions(keys[codom], _keys(tuple(t[defined] for t in targets), sizes[codom]))
    coded = codes(*factors)
    numbers = {attrtype: {_key(images): k for k, images in enumerate(found)} for attrtype, found in variables.items()}
    attrs = {}
    for name, (ob, attrtype) in schema.attrs.items():
        held = np.stack([column[name][ids] for column, ids in zip(coded.columns, parts[ob], strict=True)])
        known = len(coded.values[attrtype])
        agree = (held == held[0]).all(axis=0) & (held < known).all(axis=0)
        undefined = (held < 0).any(axis=0)
        clash = np.flatnonzero(((held >= 0) & (held < known)).all(axis=0) & ~agree)
        if len(clash):
            ids = ", ".join(str(int(column[clash[0]])) for column in parts[ob])
            found = ", ".join(brief(coded.image(attrtype, int(code))) for code in held[:, clash[0]])
            raise InstanceError(
                f"no limit: '{name}' of the {ob} parts ({ids}) is ({found}), and a tuple has one value: "
                "the factors must agree wherever both have one"
            )
        column = np.where(undefined, UNDEFINED, held[0])
        rest = np.flatnonzero(~undefined & ~agree)
        tuples, which = np.unique(held[:, rest], axis=1, return_inverse=True)
        images = [tuple(coded.image(attrtype, code) for code in pair) for pair in tuples.T.tolist()]
        new = [numbers[attrtype].setdefault(_key(pair), len(numbers[attrtype])) for pair in images]
        column[rest] = known + np.array(new, np.int64)[which]
        attrs[name] = decoded(column, coded.values[attrtype], schema.attrtypes[attrtype])
    nvars = {attrtype: len(found) for attrtype, found in numbers.items()}
    sizes_of_apex = {ob: len(key) for ob, key in keys.items()}
    apex = factors[0].like(schema, engine=engine).fill(sizes_of_apex, nvars, homs, attrs)
    legs = tuple(
        Morphism(
            apex,
            factor,
            {ob: tuples[number] for ob, tuples in parts.items()},
            {attrtype: tuple(images[number] for images in found) for attrtype, found in numbers.items()},
        )
        for number, factor in enumerate(factors)
    )
    return Limit(apex, legs)


def _matching_variables(f: Morphism, g: Morphism, attrtype: str) -> list[tuple[Any, Any]]:
    """All pairs of a variable of one side and a variable or value of the other side with the same image."""
    over: dict[Any, list[Any]] = {}
    for k, image in enumerate(g.variables[attrtype]):
        over.setdefault(image_key(image), []).append(Var(k))
    pairs: list[tuple[Any, Any]] = []
    for k, image in enumerate(f.variables[attrtype]):
        value = [] if isinstance(image, Var) else [image]
        pairs += [(Var(k), other) for other in (*over.get(image_key(image), []), *value)]
    pairs += [(image, Var(k)) for k, image in enumerate(g.variables[attrtype]) if not isinstance(image, Var)]
    return pairs


def _keys(tuples: tuple[Ids, ...], sizes: tuple[int, ...]) -> Ids:
    """Tuples of ids as one integer each."""
    keys = np.zeros(len(tuples[0]), np.int64)
    for ids, size in zip(tuples, sizes, strict=True):
        keys = keys * size + ids
    return keys


def _positions(keys: Ids, wanted: Ids) -> Ids:
    """The position of each wanted key among distinct sorted keys, -1 where it is not among them."""
    found = np.searchsorted(keys, wanted)
    is_there = np.append(keys, UNDEFINED)[found] == wanted
    return np.where(is_there, found, UNDEFINED)


def _key(images: tuple[Any, ...]) -> tuple[Any, ...]:
    """A tuple of images as a dictionary key."""
    return tuple(map(image_key, images))
