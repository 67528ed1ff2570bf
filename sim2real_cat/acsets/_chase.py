"""The chase: parts are added and identified until functions are total and equations hold."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sim2real_cat.acsets._coerce import brief
from sim2real_cat.acsets._index import Ids
from sim2real_cat.acsets.columns import UNDEFINED, dtype_of, fill_of
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import InstanceError


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
