"""Sigma: an instance pushed forward along a functor of schemas, its left Kan extension, by the chase.

The chase adds and identifies parts until every hom is total and all equations hold. It runs in the *collage* of the
functor F: the schemas of domain and codomain side by side, with an arrow from each c to F(c), the unit η, and with an
equation ``f·η = η·F(f)`` for each arrow f of the domain.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.catlab import migration as by_catlab
from sim2real_cat.acsets.coercion import brief
from sim2real_cat.acsets.columns import DEFINED, UNDEFINED, Cells, Ids, dtype_of, fill_of
from sim2real_cat.acsets.maps.partitions import classes, on_classes
from sim2real_cat.acsets.migration.functor import SchemaFunctor, require_instance
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import InstanceError


class KanExtension(NamedTuple):
    """A left Kan extension with its unit.

    Attributes:
        instance: Σ_F(X), an instance of the functor's codomain.
        unit: for each object c of the functor's domain an array that sends the parts of X at c to parts of
            Σ_F(X) at F(c): the components of X -> Δ_F(Σ_F(X)).
    """

    instance: ACSet
    unit: Mapping[str, Ids]


def sigma(functor: SchemaFunctor, instance: ACSet, limit: int | None = None) -> ACSet:
    """Return the instance Σ_F(X) of the functor's codomain; see :func:`left_kan_extension`.

    For an instance that lives in Catlab it is Catlab's. That it is finite, and that no two values are identified, is
    found out here first, within ``limit``, because Catlab's chase has no bound and takes one of the values.

    Raises:
        EngineError: where the instance lives in Catlab, which computes Σ with attributes where there are no attribute
            variables, attributes go to attributes, and no hom leads from an object to itself.
    """
    extension = left_kan_extension(functor, instance, limit).instance
    return by_catlab.sigma(functor, instance) if instance.engine == "catlab" else extension


def left_kan_extension(functor: SchemaFunctor, instance: ACSet, limit: int | None = None) -> KanExtension:
    """Compute the instance of the functor's codomain that an instance of its domain generates freely.

    Σ_F is left adjoint to Δ_F on instances whose homs are total: Hom(Σ_F(X), Y) = Hom(X, Δ_F(Y)). There is
    a part for every part of X, and a new part wherever a hom of the codomain has no value yet. Parts are identified
    where the homs of X, carried along F, or the equations of the codomain say so. In the result every hom is total,
    and an attribute without a value holds a new variable. A hom that is undefined in X gives no condition. The
    variables of X come first, in order, unless identified.

    Args:
        functor: the functor F.
        instance: the instance X of its domain.
        limit: how many new parts may be added on the way, those identified later included; by default
            1000 and a hundred for each part of X. The result may be infinite, which is undecidable in general: an
            endomorphism that is bound by no equation makes it so.

    Raises:
        SchemaError: where the instance is not one of the functor's domain.
        InstanceError: where the limit is reached, or two different values would have to be the same.
    """
    require_instance(functor.dom, instance, "sigma", "starts")
    if limit is None:
        limit = 1000 + 100 * sum(instance.nparts(ob) for ob in functor.dom.obs)
    chase = _Chase(functor.codom)
    _start(chase, functor, instance)
    _complete(chase, functor.codom, limit)
    unit = {ob: chase.columns[_unit(ob)] for ob in functor.dom.obs}
    return KanExtension(_finished(chase, functor.codom, instance), unit)


# Names of the collage. No name of a schema has a dot.


def _given(name: str) -> str:
    """Return the name of an object, attribute type or arrow of the functor's domain."""
    return f"given.{name}"


def _unit(name: str) -> str:
    """Return the name of the unit's component at an object or attribute type of the functor's domain."""
    return f"unit.{name}"


def _start(chase: _Chase, functor: SchemaFunctor, instance: ACSet) -> None:
    """Put the instance into the chase, with a part of the codomain for each of its parts, variables and values."""
    dom = functor.dom
    for ob, image in functor.obs.items():
        chase.add_arrow(_unit(ob), _given(ob), image, chase.add(image, instance.nparts(ob)))
        chase.sizes[_given(ob)] = instance.nparts(ob)
    for f, (ob, codom) in dom.homs.items():
        chase.add_arrow(_given(f), _given(ob), _given(codom), instance.column_ids(f))
    for kind, image in functor.attrtypes.items():
        chase.sizes[_given(kind)] = instance.nvars(kind)
        chase.add_arrow(_unit(kind), _given(kind), image, chase.add(image, instance.nvars(kind)))
        for f in dom.attrs_into(kind):
            ob, cells = dom.attrs[f][0], instance.cells(f)
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


def _complete(chase: _Chase, schema: Schema, limit: int) -> None:
    """Make every hom and then every attribute total: first by what the equations imply, then by new parts.

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


def _finished(chase: _Chase, schema: Schema, pattern: ACSet) -> ACSet:
    """The instance in a chase that is complete: values without a constant are its variables."""
    nvars, attrs = {}, {}
    for kind in schema.attrtypes:
        data, origin, _ = chase.values[kind]
        unknown = origin == UNDEFINED
        status = np.where(unknown, np.cumsum(unknown) - 1, DEFINED)
        nvars[kind] = int(np.count_nonzero(unknown))
        for f in schema.attrs_into(kind):
            attrs[f] = Cells(data[chase.columns[f]], status[chase.columns[f]])
    return pattern.like(schema).fill(chase.sizes, nvars, chase.columns, attrs)


class _Values(NamedTuple):
    """The values of an attribute type during the chase: parts, some of them with a known constant.

    Attributes:
        data: the constants, the type's fill where there is none.
        origin: the running number of the given value that a constant comes from, -1 where there is none.
        sources: where the given values were, in the order of their numbers: attributes and parts.
    """

    data: NDArray[Any]
    origin: Ids
    sources: list[tuple[str, Ids]]

    def source(self, number: int) -> str:
        """The attribute and part at which a given value was."""
        for attribute, parts in self.sources:
            if number < len(parts):
                return f"{attribute} {parts[number]}"
            number -= len(parts)
        raise IndexError(number)


class _Chase:
    """Sets of parts with partial functions between them, and equations that the chase makes true.

    Attributes:
        sizes: the number of parts of each object and attribute type.
        arrows: each function's domain and codomain.
        columns: each function, -1 where it is undefined.
        equations: a domain, and two lists of composable arrows from it whose composites must agree.
        values: the constants of each attribute type.
    """

    def __init__(self, schema: Schema) -> None:
        self.sizes = dict.fromkeys((*schema.obs, *schema.attrtypes), 0)
        self.arrows = {**schema.homs, **schema.attrs}
        self.columns: dict[str, Ids] = {name: np.zeros(0, np.int64) for name in self.arrows}
        self.equations: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = []
        self.values = {
            kind: _Values(np.zeros(0, dtype_of(python_type)), np.zeros(0, np.int64), [])
            for kind, python_type in schema.attrtypes.items()
        }
        self._fill = {kind: fill_of(python_type) for kind, python_type in schema.attrtypes.items()}

    def add_arrow(self, name: str, dom: str, codom: str, column: Ids) -> None:
        """Add a function."""
        self.arrows[name] = (dom, codom)
        self.columns[name] = column

    def add(self, ob: str, n: int) -> Ids:
        """Add ``n`` parts, at which every function is undefined, and return them."""
        first = self.sizes[ob]
        self.sizes[ob] += n
        for name, (dom, _) in self.arrows.items():
            if dom == ob:
                self.columns[name] = np.append(self.columns[name], np.full(n, UNDEFINED))
        if ob in self.values:
            data, origin, sources = self.values[ob]
            more = np.full(n, self._fill[ob], data.dtype)
            self.values[ob] = _Values(np.append(data, more), np.append(origin, np.full(n, UNDEFINED)), sources)
        return np.arange(first, first + n)

    def add_values(self, kind: str, constants: NDArray[Any], attribute: str, parts: Ids) -> Ids:
        """Add constants of an attribute type, which were at ``parts`` of ``attribute``; return their new parts."""
        new = self.add(kind, len(constants))
        data, origin, sources = self.values[kind]
        data[new] = constants
        origin[new] = sum(len(of_before) for _, of_before in sources) + np.arange(len(new))
        sources.append((attribute, parts))
        return new

    def deduce(self) -> None:
        """Make the equations true by defining and identifying, without new parts.

        Where only the last arrow of one side is undefined, it is defined by the other side. Where both sides are
        defined, their values are identified.
        """
        changed = True
        while changed:
            changed = False
            for ob, left, right in self.equations:
                one, two = self._follow(ob, left), self._follow(ob, right)
                changed |= self._define_last(ob, left, two) or self._define_last(ob, right, one)
                differ = np.flatnonzero((one != two) & (one >= 0) & (two >= 0))
                if len(differ):
                    self._identify(self.arrows[(left or right)[-1]][1], one[differ], two[differ])
                    changed = True

    def _follow(self, ob: str, arrows: tuple[str, ...]) -> Ids:
        """The composite of some arrows, -1 where undefined."""
        parts = np.arange(self.sizes[ob])
        for name in arrows:
            # -1 takes the slot after the last, which is undefined.
            parts = np.append(self.columns[name], UNDEFINED)[parts]
        return parts

    def _define_last(self, ob: str, arrows: tuple[str, ...], wanted: Ids) -> bool:
        """Define the last arrow of a composite where it alone is missing and its value is known.

        Return whether it was defined anywhere.
        """
        if not arrows:
            return False
        before = self._follow(ob, arrows[:-1])
        column = self.columns[arrows[-1]]
        lacking = np.flatnonzero((before >= 0) & (wanted >= 0))
        lacking = lacking[column[before[lacking]] == UNDEFINED]
        column[before[lacking]] = wanted[lacking]  # where several are wanted, they are identified later
        return len(lacking) > 0

    def _identify(self, ob: str, some: Ids, others: Ids) -> None:
        """Identify parts in pairs, and then their images under all functions.

        A class takes the place of its first member, so the order of the parts is kept.
        """
        waiting = {ob: [(some, others)]}
        while waiting:
            ob, pairs = waiting.popitem()
            class_of = classes(self.sizes[ob], *(np.concatenate(side) for side in zip(*pairs, strict=True)))
            self.sizes[ob] = int(class_of.max()) + 1
            if ob in self.values:
                self._identify_values(ob, class_of)
            for name, (dom, codom) in self.arrows.items():
                if codom == ob:
                    self.columns[name] = np.append(class_of, UNDEFINED)[self.columns[name]]
                if dom == ob:
                    old = self.columns[name]
                    new, differing = on_classes(old, class_of, self.sizes[ob])
                    self.columns[name] = new
                    if len(differing):
                        waiting.setdefault(codom, []).append((new[class_of[differing]], old[differing]))

    def _identify_values(self, kind: str, class_of: Ids) -> None:
        """Identify values of an attribute type; a class has the constant that its members have."""
        data, origin, sources = self.values[kind]
        known = np.where(origin == UNDEFINED, UNDEFINED, np.arange(len(data)))
        chosen, others = on_classes(known, class_of, self.sizes[kind])
        firsts = chosen[class_of[others]]
        same = (data[firsts] == data[others]) | ((data[firsts] != data[firsts]) & (data[others] != data[others]))
        if not np.all(same):
            clash = int(np.flatnonzero(~same)[0])
            one, two = (
                f"{self.values[kind].source(int(origin[i]))} ({brief(data[i : i + 1].tolist()[0])})"
                for i in (firsts[clash], others[clash])
            )
            raise InstanceError(
                f"{one} and {two} would have to be the same {kind}: make them equal, or leave one undefined"
            )
        self.values[kind] = _Values(
            np.append(data, self._fill[kind])[chosen], np.append(origin, UNDEFINED)[chosen], sources
        )
