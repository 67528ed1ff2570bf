"""Sigma: an instance pushed forward along a functor of schemas, its left Kan extension, by the chase.

The chase: parts are added and identified until functions are total and equations hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.catlab import migration as by_catlab
from sim2real_cat.acsets.coercion import brief
from sim2real_cat.acsets.columns import DEFINED, UNDEFINED, Cells, Ids, dtype_of, fill_of
from sim2real_cat.acsets.migration.delta import cells_along, check_schema
from sim2real_cat.acsets.migration.functor import SchemaFunctor
from sim2real_cat.acsets.schema import Path, Schema
from sim2real_cat.acsets.storage import PartRows
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
        chase.add_arrow(_given(f), _given(ob), _given(codom), instance.column_ids(f))
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
        result.append_rows(ob, chase.sizes[ob], PartRows(homs, attrs))
    return result


class Values(NamedTuple):
    """The values of an attribute type during the chase; a value is a part that may know its constant.

    Attributes:
        data: the constants, the type's fill where there is none.
        origin: the running number of the given value that a constant comes from, -1 where there is none.
        sources: what the given values were, in the order of their numbers: the attribute and the parts.
    """

    data: NDArray[Any]
    origin: Ids
    sources: list[tuple[str, Ids]]

    def source(self, number: int) -> str:
        """Where a given value was."""
        for attribute, parts in self.sources:
            if number < len(parts):
                return f"{attribute} {parts[number]}"
            number -= len(parts)
        raise IndexError(number)


class Chase:
    """Sets of parts with partial functions between them, and equations between composites to be made true.

    Attributes:
        sizes: the number of parts of each object and attribute type.
        arrows: each function's domain and codomain.
        columns: each function, -1 where it is undefined.
        equations: a domain and two composable lists of arrows from it that shall agree.
        values: what is known of the parts of each attribute type.
    """

    def __init__(self, schema: Schema) -> None:
        self.sizes = dict.fromkeys((*schema.obs, *schema.attrtypes), 0)
        self.arrows = {**schema.homs, **schema.attrs}
        self.columns: dict[str, Ids] = {name: np.zeros(0, np.int64) for name in self.arrows}
        self.equations: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = []
        self.values = {
            kind: Values(np.zeros(0, dtype_of(python_type)), np.zeros(0, np.int64), [])
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
            self.values[ob] = Values(np.append(data, more), np.append(origin, np.full(n, UNDEFINED)), sources)
        return np.arange(first, first + n)

    def add_values(self, kind: str, constants: NDArray[Any], attribute: str, parts: Ids) -> Ids:
        """Add constants of an attribute type, and return their parts; ``attribute`` and ``parts`` say whence."""
        new = self.add(kind, len(constants))
        data, origin, sources = self.values[kind]
        data[new] = constants
        origin[new] = sum(len(of_before) for _, of_before in sources) + np.arange(len(new))
        sources.append((attribute, parts))
        return new

    def deduce(self) -> None:
        """Make the equations true wherever both sides are defined, or one is and the other but for its last arrow."""
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
        parts = np.arange(self.sizes[ob])
        for name in arrows:
            # -1 takes the slot after the last, which is undefined.
            parts = np.append(self.columns[name], UNDEFINED)[parts]
        return parts

    def _define_last(self, ob: str, arrows: tuple[str, ...], wanted: Ids) -> bool:
        """Where a composite lacks only the value of its last arrow, and it is known, define it."""
        if not arrows:
            return False
        before = self._follow(ob, arrows[:-1])
        column = self.columns[arrows[-1]]
        lacking = np.flatnonzero((before >= 0) & (wanted >= 0))
        lacking = lacking[column[before[lacking]] == UNDEFINED]
        column[before[lacking]] = wanted[lacking]  # where several are wanted, they are identified later
        return len(lacking) > 0

    def _identify(self, ob: str, some: Ids, others: Ids) -> None:
        """Identify parts in pairs, and then whatever the functions send them to.

        A class takes the place of its first member, so the order of the parts is kept.
        """
        waiting = {ob: [(some, others)]}
        while waiting:
            ob, pairs = waiting.popitem()
            rows, columns = (np.concatenate(side) for side in zip(*pairs, strict=True))
            size = self.sizes[ob]
            graph = coo_array((np.ones(len(rows), np.bool_), (rows, columns)), shape=(size, size))
            _, labels = connected_components(graph, directed=False)
            _, first, labels = np.unique(labels, return_index=True, return_inverse=True)
            place = np.argsort(np.argsort(first))[labels]
            self.sizes[ob] = len(first)
            if ob in self.values:
                self._identify_values(ob, place)
            for name, (dom, codom) in self.arrows.items():
                if codom == ob:
                    self.columns[name] = np.append(place, UNDEFINED)[self.columns[name]]
                if dom == ob:
                    old = self.columns[name]
                    new, clashing = first_defined(old, place, self.sizes[ob])
                    self.columns[name] = new
                    if len(clashing):
                        waiting.setdefault(codom, []).append((new[place[clashing]], old[clashing]))

    def _identify_values(self, kind: str, place: Ids) -> None:
        """Identify parts of an attribute type; a class knows the constant that its members know."""
        data, origin, sources = self.values[kind]
        known = np.where(origin == UNDEFINED, UNDEFINED, np.arange(len(data)))
        chosen, others = first_defined(known, place, self.sizes[kind])
        firsts = chosen[place[others]]
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
        self.values[kind] = Values(
            np.append(data, self._fill[kind])[chosen], np.append(origin, UNDEFINED)[chosen], sources
        )


def first_defined(column: Ids, place: Ids, size: int) -> tuple[Ids, Ids]:
    """A column of classes from that of their members: the first that is defined, and who has another one."""
    new = np.full(size, UNDEFINED)
    defined = np.flatnonzero(column != UNDEFINED)
    new[place[defined[::-1]]] = column[defined[::-1]]
    return new, defined[new[place[defined]] != column[defined]]
