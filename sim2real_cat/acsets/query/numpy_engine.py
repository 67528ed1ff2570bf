"""Joining in numpy: blocks of rows go through the stages of a plan; one that would grow too large is cut first.

Rows are int64 arrays, one for each variable that is still needed. Where only the number of rows is wanted, or
only which ones there are, rows that agree in all that is still needed may become one row with a weight.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from sim2real_cat.acsets.columns import Ids
from sim2real_cat.acsets.query.index import Index, Run, searchable
from sim2real_cat.acsets.query.plan import Plan, Step, Wanted, reduced
from sim2real_cat.acsets.query.relations import Problem, Relation
from sim2real_cat.acsets.query.resolved import Restriction
from sim2real_cat.acsets.query.rows import Rows, concatenated, grouped, times, too_many, total, unique

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
