"""A resolved query as relations of integers, which is all that an engine has to join.

Everything that concerns one atom alone is done here: values and parameters select its parts, arrows must be
defined, comparisons within the atom hold. What remains to be joined are ids. An attribute that two atoms share
is replaced by the rank of its value among the values that occur; an attribute that stands once is no matter of
joins at all: it is read at the end, at the part it belongs to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import DEFINED, UNDEFINED, HomColumn, Ids, dtype_of
from sim2real_cat.acsets.query.resolve import Pattern, Resolved, Restriction, compare
from sim2real_cat.acsets.query.syntax import Constant

Mask = NDArray[np.bool_]


@dataclass
class Relation:
    """The parts that an atom may be, and the arrows of theirs that other atoms speak of.

    Attributes:
        part: the variable of the part itself.
        size: how many parts the object has; columns have this length.
        ids: the parts that were selected, sorted; None for all.
        columns: for each variable the ids, or ranks, that the parts have there.
        homs: the columns that are a hom of the instance, which may have an index.
    """

    part: int
    size: int
    ids: Ids | None
    columns: dict[int, Ids]
    homs: dict[int, HomColumn]

    def __len__(self) -> int:
        return self.size if self.ids is None else len(self.ids)

    @property
    def variables(self) -> set[int]:
        """The variables of the part and the columns."""
        return {self.part, *self.columns}

    @cached_property
    def selected(self) -> Mask:
        """For each part whether it is among ``ids``."""
        mask = np.full(self.size, self.ids is None)
        if self.ids is not None:
            mask[self.ids] = True
        return mask

    def parts(self) -> Ids:
        """The selected parts as an array."""
        return np.arange(self.size) if self.ids is None else self.ids

    def at(self, variable: int) -> Ids:
        """The values of a variable at the selected parts."""
        if variable == self.part:
            return self.parts()
        column = self.columns[variable]
        return column if self.ids is None else column[self.ids]

    def restricted(self, variable: int, allowed: Mask) -> Relation:
        """The relation with only those parts whose ``variable`` is allowed."""
        return Relation(self.part, self.size, self.parts()[allowed[self.at(variable)]], self.columns, {})


@dataclass(frozen=True)
class Reading:
    """How to read a variable off the rows of a join.

    Attributes:
        key: the joined variable it is read from.
        values: its value for each value of the key; None where it is the key itself.
    """

    key: int
    values: NDArray[Any] | None = None

    def read(self, rows: dict[int, Ids]) -> NDArray[Any]:
        """The values in the given rows."""
        keys = rows[self.key]
        return keys if self.values is None else self.values[keys]


@dataclass
class Problem:
    """What an engine joins.

    Attributes:
        relations: one for each atom.
        domains: for each joined variable the number of values it could take.
        readings: how the variables that are not fixed are read.
        comparisons: those between two variables that no atom alone decides.
        out: name, reading, or the value where it is fixed, and dtype of each output.
    """

    relations: list[Relation]
    domains: dict[int, int]
    readings: dict[int, Reading]
    comparisons: list[Restriction]
    out: list[tuple[str, Reading | Constant, np.dtype[Any]]]

    def needs(self, comparison: Restriction) -> set[int]:
        """The joined variables that a comparison reads."""
        return {self.readings[variable].key for variable in comparison.variables}

    def holds(self, comparison: Restriction, rows: dict[int, Ids]) -> Mask:
        """For each row whether a comparison holds."""
        left, right = (self.readings[variable].read(rows) for variable in comparison.variables)
        return compare(left, comparison.op, right)


def ranks(columns: Sequence[NDArray[Any]]) -> tuple[list[Ids], NDArray[Any]]:
    """For the values of several columns their ranks among the distinct values of all, and these values.

    They are sorted, or, where a codec's values have no order, as they first appear. NaN equals NaN.
    """
    values = np.concatenate(columns)
    if values.dtype == object:
        distinct = list(dict.fromkeys(values.tolist()))
        if all(isinstance(value, str) for value in distinct):
            distinct.sort()
        rank = {value: k for k, value in enumerate(distinct)}
        codes = np.fromiter(map(rank.__getitem__, values.tolist()), np.int64, len(values))
        table = np.fromiter(distinct, object, len(distinct))
    else:
        table, codes = np.unique(values, return_inverse=True)
    return np.split(codes, np.cumsum([len(column) for column in columns])[:-1]), table


def relations_of(instance: ACSet, query: Resolved) -> Problem:
    """Select the parts of each atom and prepare what is to be joined."""
    selections = [_Selection(instance, query, pattern) for pattern in query.patterns]
    relations = [s.relation() for s in selections]
    domains: dict[int, int] = {}
    readings: dict[int, Reading] = {}
    shared = Counter(variable for s in selections for variable in s.places)
    for number, unknown in enumerate(query.unknowns):
        owners = [position for position, s in enumerate(selections) if number in s.places]
        if not owners:
            continue
        if unknown.kind.python_type is None:
            domains[number] = instance.nparts(unknown.kind.name)
            readings[number] = Reading(number)
        elif unknown.fixed is None and shared[number] == 1:
            readings[number] = Reading(relations[owners[0]].part, selections[owners[0]].data(number))
        elif unknown.fixed is None:
            columns, table = ranks([selections[k].data(number)[relations[k].parts()] for k in owners])
            for k, column in zip(owners, columns, strict=True):
                codes = np.full(relations[k].size, UNDEFINED)
                codes[relations[k].parts()] = column
                relations[k].columns[number] = codes
            domains[number] = len(table)
            readings[number] = Reading(number, table)
    out: list[tuple[str, Reading | Constant, np.dtype[Any]]] = []
    for name, number in query.out:
        unknown = query.unknowns[number]
        value = readings[number] if unknown.fixed is None else Constant(unknown.fixed)
        kind = unknown.kind.python_type
        out.append((name, value, np.dtype(np.int64) if kind is None else dtype_of(kind)))
    across = [r for r in query.restrictions if not any(set(r.variables) <= s.places.keys() for s in selections)]
    return Problem(relations, domains, readings, across, out)


class _Selection:
    """The parts of one atom, narrowed condition by condition."""

    def __init__(self, instance: ACSet, query: Resolved, pattern: Pattern) -> None:
        self.instance, self.query, self.pattern = instance, query, pattern
        self.size = instance.nparts(pattern.ob)
        self.ids: Ids | None = np.zeros(0, np.int64) if query.impossible else None
        self.places: dict[int, str | None] = {pattern.part: None}
        fixed = query.unknowns[pattern.part].fixed
        if fixed is not None and not query.impossible:
            self.ids = np.array([fixed], np.int64)
        for name, meant in pattern.arrows:
            self.keep(self.defined(name))
            if isinstance(meant, Constant):
                self.keep(compare(self.at(name), "==", meant.value))
                continue
            value = query.unknowns[meant].fixed
            if meant in self.places:
                self.keep(compare(self.at(name), "==", self.at(self.places[meant])))
            elif value is not None:
                self.keep(compare(self.at(name), "==", value))
            self.places.setdefault(meant, name)
        for restriction in query.restrictions:
            if set(restriction.variables) <= self.places.keys():
                left, right = self.operand(restriction.left), self.operand(restriction.right)
                self.keep(compare(left, restriction.op, right))

    def keep(self, mask: Mask) -> None:
        if not mask.all():
            self.ids = np.flatnonzero(mask) if self.ids is None else self.ids[mask]

    def column(self, name: str) -> NDArray[Any]:
        """A hom or attribute of all parts, not copied."""
        if name in self.instance.schema.homs:
            return self.instance.column_ids(name)
        return self.instance.cells(name).data

    def defined(self, name: str) -> Mask:
        """For each selected part whether an arrow has a value there."""
        if name in self.instance.schema.homs:
            held: Mask = self.chosen(self.instance.column_ids(name)) != UNDEFINED
        else:
            held = self.chosen(self.instance.cells(name).status) == DEFINED
        return held

    def chosen(self, column: NDArray[Any]) -> NDArray[Any]:
        return column if self.ids is None else column[self.ids]

    def at(self, name: str | None) -> NDArray[Any]:
        """The values of an arrow at the selected parts; of None the parts themselves."""
        if name is None:
            return np.arange(self.size) if self.ids is None else self.ids
        return self.chosen(self.column(name))

    def operand(self, side: int | Constant) -> Any:
        return side.value if isinstance(side, Constant) else self.at(self.places[side])

    def data(self, number: int) -> NDArray[Any]:
        """The column of an attribute's variable."""
        name = self.places[number]
        assert name is not None, "an attribute is no part"
        return self.column(name)

    def relation(self) -> Relation:
        homs = {
            number: self.instance.hom_columns[name]
            for number, name in self.places.items()
            if name in self.instance.hom_columns and self.query.unknowns[number].fixed is None
        }
        columns = {number: hom.targets for number, hom in homs.items()}
        return Relation(self.pattern.part, self.size, self.ids, columns, homs)
