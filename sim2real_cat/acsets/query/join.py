"""Joining in numpy: blocks of rows go through the stages of a plan; one that would grow too large is cut first.

Rows are int64 arrays, one for each variable that is still needed. Where only the number of rows is wanted, or
only which ones there are, rows that agree in all that is still needed may become one row with a weight.

Finding the parts of a relation by what some of their columns are.

Blocks of rows: the answers on their way through a join.

Sorting rows of integers by packing each row into one integer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.columns import Ids
from sim2real_cat.acsets.query.plan import Plan, Step, Wanted, reduced
from sim2real_cat.acsets.query.relations import Mask, Problem, Relation
from sim2real_cat.acsets.query.resolve import Restriction
from sim2real_cat.errors import InstanceError

BLOCK = 2**16
"""How many rows a stage makes of one block; arrays of this length stay within the caches, and memory is bounded."""

MERGED = 2**23
"""How many rows to hold at most before those that agree become one."""


class Join:
    """The evaluation of a problem in the order of a plan.

    Args:
        problem: what to join.
        order: in which order.
        needed: the variables to keep to the end.
        wanted: "bag" for every answer; "set" where repetitions may be left out; "count" for weights that add
            up to the number of answers.
        block: how many rows a stage may make at once.
    """

    def __init__(
        self, problem: Problem, order: Plan, needed: frozenset[int], wanted: Wanted, block: int = BLOCK
    ) -> None:
        relations = reduced(problem, order.steps)
        waiting = list(problem.comparisons)
        bound: set[int] = set()
        tests: list[list[Restriction]] = []
        for step in order.steps:
            bound |= relations[step.relation].variables
            tests.append([test for test in waiting if problem.needs(test) <= bound])
            waiting = [test for test in waiting if not problem.needs(test) <= bound]
        self._problem, self._needed, self._wanted, self._block = problem, needed, wanted, block
        self._one = np.ones(1, np.int64) if wanted == "count" else None
        self._stages: list[_Stage] = []
        live = needed
        for step, tested in zip(reversed(order.steps), reversed(tests), strict=True):
            relation = relations[step.relation]
            self._stages.insert(0, _Stage(problem, relation, step, tested, live, wanted))
            live = live.union(step.known, *(problem.needs(test) for test in tested))

    def blocks(self) -> Iterator[Rows]:
        """The answers block by block; a bag comes in the order of the plan."""
        return self._run(Rows(1, {}, self._one), 0)

    def count(self) -> int:
        """The number of answers, exactly."""
        return sum(rows.n if rows.weights is None else total(rows.weights) for rows in self.blocks())

    def collect(self, limit: int) -> Rows:
        """All answers at once, a set without repetitions.

        Raises:
            InstanceError: for more than ``limit`` rows.
        """
        held: list[Rows] = []
        n = 0
        allowed = min(limit, 4 * self._block) if self._wanted == "set" else limit
        for rows in self.blocks():
            held.append(rows)
            n += rows.n
            if n > allowed and self._wanted == "set":
                held = [unique(concatenated(held, self._needed), self._problem.domains)]
                n = held[0].n
                allowed = min(limit, max(allowed, 2 * n))
            if n > limit:
                raise too_many(limit)
        return concatenated(held, self._needed)

    def _run(self, rows: Rows, position: int) -> Iterator[Rows]:
        for k in range(position, len(self._stages)):
            stage = self._stages[k]
            if rows.n == 0:
                return
            if stage.is_lookup:
                rows = stage.look_up(rows)
            else:
                run = stage.find(rows)
                if stage.makes_rows and rows.n > 1 and int(run.counts.sum()) > self._block:
                    for longer in self._in_pieces(stage, rows, run):
                        yield from self._run(longer, k + 1)
                    return
                rows = stage.expand(rows, run)
            rows = stage.finish(rows)
        if rows.n:
            yield rows

    def _in_pieces(self, stage: _Stage, rows: Rows, run: Run) -> Iterator[Rows]:
        """What a stage makes of rows that are too many at once; small results are put together again."""
        capacity = max(self._block, stage.worth_merging)
        made: list[Rows] = []
        n = 0
        for piece in _pieces(run.counts, self._block):
            part = rows.take(piece, piece.stop - piece.start)
            made.append(stage.finish(stage.expand(part, run.piece(piece))))
            n += made[-1].n
            if n >= capacity:
                yield stage.merged(made)
                made, n = [], 0
        if n:
            yield stage.merged(made)


@dataclass(frozen=True)
class _Stage:
    """One relation on its turn: how rows meet it, which comparisons follow, and what is needed later."""

    problem: Problem
    relation: Relation
    step: Step
    tests: list[Restriction]
    later: frozenset[int]
    wanted: Wanted

    @cached_property
    def is_lookup(self) -> bool:
        return self.relation.part in self.step.known

    @cached_property
    def used(self) -> frozenset[int]:
        """The variables that something needs once the parts are found."""
        unchecked = self.step.known - set(self.searched)
        return self.later.union(unchecked, *(self.problem.needs(test) for test in self.tests))

    @cached_property
    def bound_here(self) -> tuple[int, ...]:
        """Those of them that the relation adds."""
        return tuple(sorted(self.used & (self.relation.variables - self.step.known)))

    @cached_property
    def searched(self) -> tuple[int, ...]:
        return searchable(sorted(self.step.known), self.problem.domains)

    @cached_property
    def makes_rows(self) -> bool:
        """Whether the parts that fit must become rows: otherwise it is enough to know how many there are."""
        return self.wanted == "bag" or bool(self.bound_here) or len(self.searched) < len(self.step.known)

    @cached_property
    def index(self) -> Index:
        return Index(self.relation, self.searched, self.problem.domains, self.step.rows)

    @cached_property
    def worth_merging(self) -> int:
        """How many rows to wait for, because many of them will be one; 0 where each stays as it is."""
        if self.wanted == "bag":
            return 0
        return min(2 * math.prod(self.problem.domains[variable] for variable in self.later), MERGED)

    def column(self, variable: int, parts: Ids) -> Ids:
        return parts if variable == self.relation.part else self.relation.columns[variable][parts]

    def look_up(self, rows: Rows) -> Rows:
        """The rows whose part is in the relation and has the arrows that the rows know."""
        part = self.relation.part
        if self.relation.ids is not None:
            rows = rows.only(self.relation.selected[rows.values[part]])
        for variable in sorted(self.step.known - {part}):
            rows = rows.only(self.column(variable, rows.values[part]) == rows.values[variable])
        new = {variable: self.column(variable, rows.values[part]) for variable in self.bound_here}
        return Rows(rows.n, rows.values | new, rows.weights)

    def find(self, rows: Rows) -> Run:
        """Which parts fit each row."""
        if self.step.known:
            return self.index.find(rows.values)
        return Run(np.zeros(rows.n, np.int64), np.full(rows.n, len(self.relation)))

    def expand(self, rows: Rows, run: Run) -> Rows:
        """Each row once for each part that fits."""
        if not self.makes_rows:
            weights = None if rows.weights is None else times(rows.weights, run.counts)
            return Rows(rows.n, rows.values, weights).only(run.counts > 0)
        if not self.step.known and rows.n == 1 and not rows.values:
            return self._scan(rows)
        n = int(run.counts.sum())
        owner = np.repeat(np.arange(rows.n), run.counts)
        grown = replace(rows, values={v: c for v, c in rows.values.items() if v in self.used}).take(owner, n)
        if not self.bound_here and len(self.searched) == len(self.step.known):
            return grown
        shift = run.first - np.cumsum(run.counts) + run.counts
        positions = np.arange(n) + (shift[0] if (shift == shift[0]).all() else shift[owner])
        if self.step.known:
            parts = self.index.ids[positions]
        else:
            parts = positions if self.relation.ids is None else self.relation.ids[positions]
        new = {variable: self.column(variable, parts) for variable in self.bound_here}
        rest = [self.column(v, parts) == grown.values[v] for v in sorted(self.step.known - set(self.searched))]
        grown = Rows(n, grown.values | new, grown.weights)
        return grown.only(np.logical_and.reduce(rest)) if rest else grown

    def _scan(self, rows: Rows) -> Rows:
        """The relation itself, as the first one."""
        n = len(self.relation)
        columns = {variable: self.relation.at(variable) for variable in self.bound_here}
        return Rows(n, columns, None if rows.weights is None else np.repeat(rows.weights, n))

    def finish(self, rows: Rows) -> Rows:
        """The rows that pass the comparisons, with no more columns than are needed later."""
        if self.tests:
            masks = [self.problem.holds(test, rows.values) for test in self.tests]
            rows = rows.only(np.logical_and.reduce(masks))
        if rows.values.keys() <= self.later:
            return rows
        kept = {variable: column for variable, column in rows.values.items() if variable in self.later}
        rows = Rows(rows.n, kept, rows.weights)
        return rows if self.wanted == "bag" else grouped(rows, self.problem.domains)

    def merged(self, made: list[Rows]) -> Rows:
        """Finished rows as one block."""
        rows = concatenated([part for part in made if part.n], made[0].values)
        return rows if self.wanted == "bag" else grouped(rows, self.problem.domains)


def _pieces(counts: Ids, block: int) -> Iterator[slice]:
    """Cuts rows so that each piece makes at most ``block`` rows, or is a single row."""
    ends = np.cumsum(counts)
    start, made = 0, 0
    while start < len(counts):
        stop = max(int(np.searchsorted(ends, made + block, side="right")), start + 1)
        yield slice(start, stop)
        start, made = stop, int(ends[stop - 1])


LARGEST_TABLE = 2**23
"""A table of keys has no more entries than four times this, however many rows will search it."""


class Run(NamedTuple):
    """Where the parts that fit each row lie among the parts sorted by key: ``first[i]`` and how many."""

    first: Ids
    counts: Ids

    def piece(self, rows: slice) -> Run:
        """The same for some of the rows."""
        return Run(self.first[rows], self.counts[rows])


class Index:
    """The parts of a relation, sorted by some of its columns and then by id.

    Args:
        relation: what to search.
        variables: the columns to search by.
        domains: the number of values of each variable.
        rows: how often it may be searched: a table of all keys, which is faster than a search among the sorted
            ones, may have some entries for each row and each part.
    """

    def __init__(self, relation: Relation, variables: Sequence[int], domains: Mapping[int, int], rows: float) -> None:
        self.variables = tuple(variables)
        self._domains = [domains[variable] for variable in variables]
        self._ends: Ids | None = None
        if relation.ids is None and len(variables) == 1 and variables[0] in relation.homs:
            self._ends, self.ids = relation.homs[variables[0]].fibres(self._domains[0])
            return
        keys = self._keys({variable: relation.at(variable) for variable in variables})
        self.ids, keys = sorted_by(keys, relation.parts(), relation.size)
        domain = math.prod(self._domains)
        if domain <= 4 * (len(keys) + min(rows, LARGEST_TABLE)) + 1024:
            self._ends = np.zeros(domain + 1, np.int64)
            np.cumsum(np.bincount(keys, minlength=domain), out=self._ends[1:])
        else:
            self._sorted_keys = keys
            bits = min(len(keys).bit_length() + 4, 26)
            self._shift = np.uint64(64 - bits)
            self._filter = np.zeros(2**bits, np.bool_)
            self._filter[self._hashes(keys)] = True

    def _keys(self, values: Mapping[int, Ids]) -> Ids:
        """One integer for the values of all the columns; :func:`searchable` sees that it fits."""
        first, *others = self.variables
        keys = values[first]
        for variable, size in zip(others, self._domains[1:], strict=True):
            keys = keys * size + values[variable]
        return keys

    def find(self, values: Mapping[int, Ids]) -> Run:
        """Which parts fit each row, whose values are given for each of the index's variables."""
        keys = self._keys(values)
        if self._ends is not None:
            first = self._ends[keys]
            return Run(first, self._ends[keys + 1] - first)
        # Most keys that are not there are told apart by a hash, which is faster than to search for them.
        present = np.flatnonzero(self._filter[self._hashes(keys)])
        first, counts = np.zeros(len(keys), np.int64), np.zeros(len(keys), np.int64)
        first[present] = np.searchsorted(self._sorted_keys, keys[present], side="left")
        counts[present] = np.searchsorted(self._sorted_keys, keys[present], side="right") - first[present]
        return Run(first, counts)

    def _hashes(self, keys: Ids) -> NDArray[np.uint64]:
        """The upper bits of each key times 2**64 over the golden ratio (Knuth's multiplicative hashing)."""
        return keys.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15) >> self._shift


def searchable(variables: Sequence[int], domains: Mapping[int, int]) -> tuple[int, ...]:
    """As many of the variables as fit together into one key of 62 bits; at least the first."""
    chosen: list[int] = []
    size = 1
    for variable in variables:
        if not chosen or size * domains[variable] < LARGEST:
            chosen.append(variable)
            size *= max(domains[variable], 1)
    return tuple(chosen)


@dataclass(frozen=True)
class Rows:
    """A block of rows.

    Attributes:
        n: how many rows.
        values: for each variable its value in each row.
        weights: how many answers each row stands for, int64 or, beyond 62 bits, Python integers; None for one.
    """

    n: int
    values: dict[int, Ids]
    weights: NDArray[Any] | None

    def take(self, rows: Ids | slice, n: int) -> Rows:
        """The ``n`` rows that were chosen."""
        weights = None if self.weights is None else self.weights[rows]
        return Rows(n, {variable: column[rows] for variable, column in self.values.items()}, weights)

    def only(self, mask: Mask) -> Rows:
        """The rows where the mask is true."""
        n = int(np.count_nonzero(mask))
        return self if n == self.n else self.take(np.flatnonzero(mask), n)


def concatenated(blocks: Sequence[Rows], variables: Iterable[int]) -> Rows:
    """The columns of some variables from blocks that follow each other."""
    if len(blocks) == 1:
        return blocks[0]
    none = [np.zeros(0, np.int64)]
    columns = {v: np.concatenate([block.values[v] for block in blocks] or none) for v in variables}
    weights = [block.weights for block in blocks if block.weights is not None]
    return Rows(sum(block.n for block in blocks), columns, np.concatenate(weights) if weights else None)


def unique(rows: Rows, domains: Mapping[int, int]) -> Rows:
    """The rows without repetitions."""
    keys = row_keys(list(rows.values.values()), [domains[variable] for variable in rows.values], rows.n)
    _, first = np.unique(keys, return_index=True)
    return rows.take(first, len(first))


def too_many(limit: int) -> InstanceError:
    """The error for an answer that is too large."""
    return InstanceError(
        f"the answer has more than {limit:,} rows: ask for less, raise limit=, or count the answers instead"
    )


def grouped(rows: Rows, domains: Mapping[int, int]) -> Rows:
    """One row, with the sum of the weights, for rows that agree; or the rows, where few can."""
    sizes = [domains[variable] for variable in rows.values]
    domain = math.prod(sizes)
    if rows.n < 2 or domain > 2 * rows.n:
        return rows
    keys = np.ravel_multi_index(tuple(rows.values.values()), sizes) if sizes else np.zeros(rows.n, np.int64)
    present = np.flatnonzero(np.bincount(keys, minlength=domain))
    columns = np.unravel_index(present, sizes) if sizes else ()
    return Rows(
        len(present),
        dict(zip(rows.values, columns, strict=True)),
        None if rows.weights is None else _sums(keys, rows.weights, domain)[present],
    )


def times(weights: NDArray[Any], counts: Ids) -> NDArray[Any]:
    """The products, as Python integers where they do not fit into 62 bits."""
    if weights.dtype != object and len(weights) and float(weights.max()) * float(counts.max()) >= 2.0**62:
        weights = weights.astype(object)
    return weights * counts


def _sums(keys: Ids, weights: NDArray[Any], domain: int) -> NDArray[Any]:
    """For each key the exact sum of its weights."""
    if weights.dtype != object and float(weights.max()) * len(weights) < 2.0**53:  # bincount adds floats
        return np.bincount(keys, weights, minlength=domain).astype(np.int64)
    sums = np.zeros(domain, object)
    np.add.at(sums, keys, weights.astype(object))
    return sums


def total(weights: NDArray[Any]) -> int:
    """The exact sum."""
    if weights.dtype != object and float(weights.max(initial=0)) * len(weights) < 2.0**62:
        return int(weights.sum())
    return sum(weights.tolist())


LARGEST = 2**62
"""Packed keys stay below this."""


def sorted_by(keys: Ids, ids: Ids, size: int) -> tuple[Ids, Ids]:
    """Ids (ascending, below ``size``) and keys (>= 0), both sorted by key and then id."""
    # Sorting one packed integer is several times faster than argsort.
    if len(keys) and int(keys.max()) < LARGEST // max(size, 1):
        packed = keys * size + ids
        packed.sort()
        sorted_keys = packed // size
        return packed - sorted_keys * size, sorted_keys
    order = np.argsort(keys, kind="stable")
    return ids[order], keys[order]


def row_keys(columns: Sequence[Ids], sizes: Sequence[int], n: int) -> Ids:
    """One integer for each of ``n`` rows, in the lexicographic order of the columns, whose values are below sizes."""
    keys = np.zeros(n, np.int64)
    size = 1
    for column, values in zip(columns, sizes, strict=True):
        if size * values >= LARGEST:
            distinct, keys = np.unique(keys, return_inverse=True)
            size = len(distinct)
        keys = keys * values + column
        size *= max(values, 1)
    return keys


def lexicographic(columns: Sequence[Ids], sizes: Sequence[int], n: int) -> Ids | None:
    """The order that sorts ``n`` rows, which differ in some column; None where they are sorted."""
    if n < 2 or not _unsorted(columns):
        return None
    order = np.arange(n)
    last = len(columns)
    # As many columns at a time as fit into one key together with the row, the least significant first.
    while last:
        first = last - 1
        while first and math.prod(sizes[first - 1 : last]) < LARGEST // n:
            first -= 1
        keys = row_keys([column[order] for column in columns[first:last]], sizes[first:last], n)
        order = order[sorted_by(keys, np.arange(n), n)[0]]
        last = first
    return order


def _unsorted(columns: Sequence[Ids]) -> bool:
    """Whether some row is less than the one before it."""
    tied = np.ones(max(len(columns[0]) - 1, 0), np.bool_) if columns else np.zeros(0, np.bool_)
    for column in columns:
        if (tied & (column[1:] < column[:-1])).any():
            return True
        tied &= column[1:] == column[:-1]
    return False
