"""Relations of integers, which an engine joins, made from a resolved query.

All conditions on one atom alone are applied here: values and parameters select its parts, its arrows must be defined,
comparisons within the atom must hold. Ids are joined as they are. An attribute that several atoms share is joined by
the rank of its value among the values that occur; one that stands in a single atom is not joined, but read at the end
from its part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.columns import DEFINED, UNDEFINED, HomColumn, Ids
from sim2real_cat.acsets.query.resolve import Condition, Pattern, Resolved, compare
from sim2real_cat.acsets.query.text import Constant
from sim2real_cat.acsets.storage import Storage

Mask = NDArray[np.bool_]


@dataclass
class Relation:
    """The parts that fit one atom, with those of their arrows that other atoms share.

    Attributes:
        part: the variable of the part itself.
        size: the number of parts of the object; all columns have this length.
        ids: the parts that were selected, sorted; None for all.
        columns: for each variable the ids, or ranks, of the parts.
        homs: the columns that are a hom of the instance, whose index can be used.
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
        """The variables of the part and of the columns."""
        return {self.part, *self.columns}

    @cached_property
    def selected(self) -> Mask:
        """For each part of the object, whether it was selected."""
        mask = np.full(self.size, self.ids is None)
        if self.ids is not None:
            mask[self.ids] = True
        return mask

    def parts(self) -> Ids:
        """Return the selected parts as an array."""
        return np.arange(self.size) if self.ids is None else self.ids

    def at(self, variable: int) -> Ids:
        """Return the values of a variable at the selected parts."""
        if variable == self.part:
            return self.parts()
        column = self.columns[variable]
        return column if self.ids is None else column[self.ids]


@dataclass(frozen=True)
class Lookup:
    """The way to read a variable from joined rows.

    Attributes:
        key: the joined variable that determines it.
        values: its value for each value of the key; None if it is the key itself.
    """

    key: int
    values: NDArray[Any] | None = None

    def read(self, rows: Mapping[int, Ids]) -> NDArray[Any]:
        """Return the variable's values in rows, given as one column for each joined variable."""
        keys = rows[self.key]
        return keys if self.values is None else self.values[keys]


@dataclass(frozen=True)
class Output:
    """A column of the answer: its name, the way to read it, or its one value, and its dtype."""

    name: str
    source: Lookup | Constant
    dtype: np.dtype[Any]


@dataclass
class Problem:
    """A join for an engine to do.

    Attributes:
        relations: one for each atom.
        domains: for each joined variable the number of values that it could take.
        lookups: the way to read each variable that is not fixed.
        conditions: the comparisons between two variables of different atoms.
        out: the columns of the answer.
    """

    relations: list[Relation]
    domains: dict[int, int]
    lookups: dict[int, Lookup]
    conditions: list[Condition]
    out: list[Output]

    def needs(self, condition: Condition) -> set[int]:
        """Return the joined variables that a condition reads."""
        return {self.lookups[variable].key for variable in condition.variables}

    def holds(self, condition: Condition, rows: Mapping[int, Ids]) -> Mask:
        """Return for each row whether a condition holds."""
        left, right = (self.lookups[variable].read(rows) for variable in condition.variables)
        return compare(left, condition.op, right)


def ranks(columns: Sequence[NDArray[Any]]) -> tuple[list[Ids], NDArray[Any]]:
    """Return the ranks of several columns' values among the distinct values of all of them, and these values.

    The distinct values are sorted; values of a codec, which have no order, stand as they first appear. NaN equals NaN.
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


def relations_of(instance: Storage, query: Resolved) -> Problem:
    """Select the parts of each atom, and collect the columns and conditions to join."""
    selections = [_Selection(instance, query, pattern) for pattern in query.patterns]
    relations = [selection.relation() for selection in selections]
    domains: dict[int, int] = {}
    lookups: dict[int, Lookup] = {}
    shared = Counter(variable for selection in selections for variable in selection.arrows)
    for number, unknown in enumerate(query.unknowns):
        owners = [k for k, selection in enumerate(selections) if number in selection.arrows]
        if not owners:
            continue
        if unknown.type.python_type is None:
            domains[number] = instance.nparts(unknown.type.name)
            lookups[number] = Lookup(number)
        elif unknown.fixed is None and shared[number] == 1:
            lookups[number] = Lookup(relations[owners[0]].part, selections[owners[0]].data(number))
        elif unknown.fixed is None:
            columns, table = ranks([selections[k].data(number)[relations[k].parts()] for k in owners])
            for k, column in zip(owners, columns, strict=True):
                codes = np.full(relations[k].size, UNDEFINED)
                codes[relations[k].parts()] = column
                relations[k].columns[number] = codes
            domains[number] = len(table)
            lookups[number] = Lookup(number, table)
    out = []
    for name, number in query.out:
        unknown = query.unknowns[number]
        source = lookups[number] if unknown.fixed is None else Constant(unknown.fixed)
        out.append(Output(name, source, unknown.type.dtype))
    across = [c for c in query.conditions if not any(set(c.variables) <= s.arrows.keys() for s in selections)]
    return Problem(relations, domains, lookups, across, out)


class _Selection:
    """The parts of one atom, narrowed condition by condition.

    Attributes:
        arrows: for each variable of the atom a hom or attribute that holds it; None for the part itself.
        ids: the parts that are left, sorted; None for all.
    """

    def __init__(self, instance: Storage, query: Resolved, pattern: Pattern) -> None:
        self.instance, self.query, self.pattern = instance, query, pattern
        self.size = instance.nparts(pattern.ob)
        self.ids: Ids | None = np.zeros(0, np.int64) if query.impossible else None
        self.arrows: dict[int, str | None] = {pattern.part: None}
        fixed = query.unknowns[pattern.part].fixed
        if fixed is not None and not query.impossible:
            self.ids = np.array([fixed], np.int64)
        for name, operand in pattern.arrows:
            self.keep(self.defined(name))
            if isinstance(operand, Constant):
                self.keep(compare(self.at(name), "==", operand.value))
                continue
            value = query.unknowns[operand].fixed
            if operand in self.arrows:
                self.keep(compare(self.at(name), "==", self.at(self.arrows[operand])))
            elif value is not None:
                self.keep(compare(self.at(name), "==", value))
            self.arrows.setdefault(operand, name)
        for condition in query.conditions:
            if set(condition.variables) <= self.arrows.keys():
                right = condition.right
                other = right.value if isinstance(right, Constant) else self.at(self.arrows[right])
                self.keep(compare(self.at(self.arrows[condition.left]), condition.op, other))

    def keep(self, mask: Mask) -> None:
        if not mask.all():
            self.ids = np.flatnonzero(mask) if self.ids is None else self.ids[mask]

    def defined(self, name: str) -> Mask:
        """Return for each part that is left whether an arrow has a value there."""
        if name in self.instance.schema.homs:
            held: Mask = self.chosen(self.instance.column_ids(name)) != UNDEFINED
        else:
            held = self.chosen(self.instance.cells(name).status) == DEFINED
        return held

    def at(self, name: str | None) -> NDArray[Any]:
        """Return the values of an arrow at the parts that are left; the parts themselves for None."""
        if name is None:
            return np.arange(self.size) if self.ids is None else self.ids
        return self.chosen(self.column(name))

    def chosen(self, column: NDArray[Any]) -> NDArray[Any]:
        return column if self.ids is None else column[self.ids]

    def column(self, name: str) -> NDArray[Any]:
        """Return a hom or attribute of all parts, not copied."""
        if name in self.instance.schema.homs:
            return self.instance.column_ids(name)
        return self.instance.cells(name).data

    def data(self, number: int) -> NDArray[Any]:
        """Return the column of an attribute, given by its variable."""
        name = self.arrows[number]
        assert name is not None, "a part has no attribute's type"
        return self.column(name)

    def relation(self) -> Relation:
        homs = {
            number: self.instance.hom_columns[name]
            for number, name in self.arrows.items()
            if name in self.instance.hom_columns and self.query.unknowns[number].fixed is None
        }
        columns = {number: hom.targets for number, hom in homs.items()}
        return Relation(self.pattern.part, self.size, self.ids, columns, homs)
