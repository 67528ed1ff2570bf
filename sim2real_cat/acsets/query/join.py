"""Joins: the order of the relations, and blocks of rows that go through them.

An atom whose part is known already is looked up and never makes more rows. One with a known arrow is expanded: each row
goes on to all parts of the preimage. One that shares nothing with the rows is a product. The order is greedy; its
estimates take every preimage to be of the average size.

Rows are int64 arrays, one for each variable that is still needed. If only the number of rows matters, or only which
rows there are, rows that agree in all that is still needed become one row with a weight. A block that would grow too
large is cut first, so memory stays bounded.

Rows and parts that agree are found in numpy by a sorted index, unless a :data:`Matcher` is given. This is the way that
Catlab joins: each stage is then the pullback of two functions into one finite set, that of the values of the variables
that both sides know. A part that is known and a product are pullbacks, too: over the parts, and over a single point.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.columns import Ids
from sim2real_cat.acsets.query.relations import Mask, Problem, Relation
from sim2real_cat.acsets.query.resolve import Condition
from sim2real_cat.errors import InstanceError

Wanted = Literal["bag", "set", "count"]
"""Every row; every row at least once; or weights whose sum is the number of rows."""

Matcher = Callable[[Ids, Ids, int], tuple[Ids, Ids]]
"""A pullback of two functions into 0..n-1, given as their values (at least one on each side) and n.

It returns the positions i and j of all pairs with ``left[i] == right[j]`` as two arrays, sorted by i and then by j.
"""

BLOCK_ROWS = 2**16
"""The number of rows that a stage makes at once: arrays of this length stay within the caches."""

MERGED_ROWS = 2**23
"""The largest number of rows to gather before those that agree become one."""

SORTED = 8.0
"""The cost of a row that must be sorted at the end, in rows made."""

LARGEST_KEY = 2**62
"""The bound of integers that pack several columns."""


# The order of the relations


@dataclass(frozen=True)
class Plan:
    """An order of the relations.

    Attributes:
        order: their positions.
        cost: an estimate of the work, in rows made.
        unmerged: the same for an engine that makes every row, where this one merges rows that agree.
        rows: an estimate of the rows at the end.
        sorters: the parts that sort the rows as the atoms stand in the query.
        in_order: whether joining in this order sorts them so.
        estimates: the estimate of the rows after each relation.
    """

    order: tuple[int, ...]
    cost: float
    unmerged: float
    rows: float
    sorters: tuple[int, ...]
    in_order: bool
    estimates: tuple[float, ...]


def plan(problem: Problem, kept: frozenset[int], wanted: Wanted) -> Plan:
    """Return the cheaper of two greedy orders: from the first atom, and from the smallest relation.

    Args:
        problem: the join.
        kept: the variables to keep to the end.
        wanted: how many rows count; see :data:`Wanted`.
    """
    relations = problem.relations
    if not relations:
        return Plan((), 0.0, 0.0, 1.0, (), True, ())
    smallest = min(range(len(relations)), key=lambda k: len(relations[k]))
    return min((_greedy(problem, start, kept, wanted) for start in (0, smallest)), key=lambda found: found.cost)


def _greedy(problem: Problem, start: int, kept: frozenset[int], wanted: Wanted) -> Plan:
    """Return the order that begins with one relation and goes on with the one that makes the fewest rows."""
    relations = problem.relations
    left = list(range(len(relations)))
    factors = {k: float(len(relations[k])) for k in left}  # the rows that one row becomes in each relation
    order: list[int] = []
    estimates: list[float] = []
    bound: set[int] = set()
    rows, cost, every, unmerged = 1.0, 0.0, 1.0, 0.0
    while left:
        best = min(left, key=lambda k: (factors[k], k)) if order else start
        left.remove(best)
        order.append(best)
        rows, every = max(rows * factors[best], 1.0), max(every * factors[best], 1.0)
        cost, unmerged = cost + rows, unmerged + every
        new = relations[best].variables - bound
        bound |= new
        if wanted != "bag":
            waiting = (needs for needs in map(problem.needs, problem.conditions) if not needs <= bound)
            live = bound & kept.union(*(relations[k].variables for k in left), *waiting)
            rows = min(rows, 2.0 * math.prod(float(problem.domains[variable]) for variable in live))
        estimates.append(rows)
        for k in left:
            if relations[k].variables & new:
                known = relations[k].variables & bound
                factors[k] = len(relations[k]) / math.prod(float(max(problem.domains[v], 1)) for v in known)
    sorters = _sorters(relations, range(len(relations)))
    in_order = _sorters(relations, order) == sorters
    if wanted == "bag" and not in_order:
        cost += SORTED * rows
    return Plan(tuple(order), cost, unmerged, rows, sorters, in_order, tuple(estimates))


def _sorters(relations: Sequence[Relation], order: Iterable[int]) -> tuple[int, ...]:
    """Return the parts that are no function of the parts before them: they alone sort the rows."""
    bound: set[int] = set()
    found = []
    for k in order:
        if relations[k].part not in bound:
            found.append(relations[k].part)
        bound |= relations[k].variables
    return tuple(found)


def components(problem: Problem) -> list[Problem]:
    """Split a problem into pieces that share no variable; its join is their product."""
    groups: list[set[int]] = []
    for variables in [r.variables for r in problem.relations] + [problem.needs(c) for c in problem.conditions]:
        touching = [group for group in groups if group & variables]
        groups = [group for group in groups if not group & variables]
        groups.append(variables.union(*touching))
    return [
        replace(
            problem,
            relations=[relation for relation in problem.relations if relation.part in group],
            conditions=[condition for condition in problem.conditions if problem.needs(condition) <= group],
        )
        for group in groups
    ]


# Blocks of rows


@dataclass(frozen=True)
class Block:
    """Some rows of a join.

    Attributes:
        n: the number of rows.
        values: for each variable its value in each row.
        weights: the number of answers that each row stands for, int64 or, where they are large, Python integers;
            None if it is one.
    """

    n: int
    values: dict[int, Ids]
    weights: NDArray[Any] | None = None

    def take(self, rows: Ids | slice, n: int) -> Block:
        """Return the ``n`` rows that were chosen."""
        weights = None if self.weights is None else self.weights[rows]
        return Block(n, {variable: column[rows] for variable, column in self.values.items()}, weights)

    def only(self, mask: Mask) -> Block:
        """Return the rows for which the mask is true."""
        n = int(np.count_nonzero(mask))
        return self if n == self.n else self.take(np.flatnonzero(mask), n)

    def unique(self, domains: Mapping[int, int]) -> Block:
        """Return the rows without repetitions, sorted by their values, the first variable first."""
        keys = row_keys(list(self.values.values()), [domains[variable] for variable in self.values], self.n)
        order, keys = sorted_by(keys, np.arange(self.n), self.n)
        first = np.flatnonzero(np.diff(keys, prepend=-1))
        return self.take(order[first], len(first))

    def merged(self, domains: Mapping[int, int]) -> Block:
        """Return one row, with the sum of the weights, for rows that agree; or the same rows, if few can."""
        sizes = [domains[variable] for variable in self.values]
        domain = math.prod(sizes)
        if self.n < 2 or domain > 2 * self.n:
            return self
        keys = np.ravel_multi_index(tuple(self.values.values()), sizes) if sizes else np.zeros(self.n, np.int64)
        present = np.flatnonzero(np.bincount(keys, minlength=domain))
        columns = np.unravel_index(present, sizes) if sizes else ()
        weights = None if self.weights is None else _sums(keys, self.weights, domain)[present]
        return Block(len(present), dict(zip(self.values, columns, strict=True)), weights)


def concatenated(blocks: Sequence[Block], variables: Iterable[int]) -> Block:
    """Return the columns of some variables from blocks that follow each other."""
    if len(blocks) == 1:
        return blocks[0]
    none = [np.zeros(0, np.int64)]
    columns = {v: np.concatenate([block.values[v] for block in blocks] or none) for v in variables}
    weights = [block.weights for block in blocks if block.weights is not None]
    return Block(sum(block.n for block in blocks), columns, np.concatenate(weights) if weights else None)


def too_many(limit: int) -> InstanceError:
    """Return the error for an answer that is too large."""
    return InstanceError(
        f"the answer has more than {limit:,} rows: ask for less, raise limit=, or count the answers instead"
    )


def _exact(weights: NDArray[Any], factor: int) -> NDArray[Any]:
    """Return weights as Python integers, if the product with a factor could exceed what a float holds exactly."""
    large = weights.dtype != object and float(weights.max(initial=0)) * factor >= 2.0**53
    return weights.astype(object) if large else weights


def _sums(keys: Ids, weights: NDArray[Any], domain: int) -> NDArray[Any]:
    """Return for each key the exact sum of its weights."""
    weights = _exact(weights, len(weights))
    if weights.dtype != object:
        return np.bincount(keys, weights, minlength=domain).astype(np.int64)  # it adds floats
    sums = np.zeros(domain, object)
    np.add.at(sums, keys, weights)
    return sums


# The join


class Join:
    """The join of a problem's relations in the order of a plan.

    Args:
        problem: the join to do.
        order: the order of the relations.
        kept: the variables to keep to the end.
        wanted: how many rows count; see :data:`Wanted`.
        block: the number of rows that a stage may make at once.
        matcher: the engine that finds the parts that agree with rows; None for numpy.
    """

    def __init__(
        self,
        problem: Problem,
        order: Plan,
        kept: frozenset[int],
        wanted: Wanted,
        block: int = BLOCK_ROWS,
        matcher: Matcher | None = None,
    ) -> None:
        self._problem, self._kept, self._wanted, self._block = problem, kept, wanted, block
        waiting = list(problem.conditions)
        bound: set[int] = set()
        turns: list[tuple[Relation, frozenset[int], list[Condition]]] = []
        for k in order.order:
            relation = problem.relations[k]
            known = frozenset(relation.variables & bound)
            bound |= relation.variables
            turns.append((relation, known, [test for test in waiting if problem.needs(test) <= bound]))
            waiting = [test for test in waiting if not problem.needs(test) <= bound]
        self._stages: list[_Stage] = []
        later = kept
        for relation, known, tests in reversed(turns):
            turn = (problem, relation, known, tests, later, wanted)
            self._stages.insert(0, _Stage(*turn) if matcher is None else _MatchedStage(matcher, *turn))
            later = later.union(known, *map(problem.needs, tests))

    def blocks(self) -> Iterator[Block]:
        """Yield the answers block by block; a bag comes in the order of the plan."""
        return self._run(Block(1, {}, np.ones(1, np.int64) if self._wanted == "count" else None), 0)

    def count(self) -> int:
        """Return the number of answers, exactly."""
        weights = (np.ones(block.n, np.int64) if block.weights is None else block.weights for block in self.blocks())
        return sum(int(_exact(found, len(found)).sum()) for found in weights)

    def collect(self, limit: int) -> Block:
        """Return all answers at once; a set without repetitions and sorted by its values.

        Raises:
            InstanceError: for more than ``limit`` rows.
        """
        held: list[Block] = []
        n = 0
        allowed = min(limit, 4 * self._block) if self._wanted == "set" else limit
        for block in self.blocks():
            held.append(block)
            n += block.n
            if n > allowed and self._wanted == "set":
                held = [self._unique(held)]
                n = held[0].n
                allowed = min(limit, max(allowed, 2 * n))
            if n > limit:
                raise too_many(limit)
        return self._unique(held) if self._wanted == "set" else concatenated(held, self._kept)

    def _unique(self, held: list[Block]) -> Block:
        together = concatenated(held, self._kept)
        columns = {variable: together.values[variable] for variable in sorted(self._kept)}
        return replace(together, values=columns).unique(self._problem.domains)

    def _run(self, block: Block, position: int) -> Iterator[Block]:
        for k in range(position, len(self._stages)):
            stage = self._stages[k]
            if block.n == 0:
                return
            if stage.looks_up:
                block = stage.look_up(block)
            else:
                run = stage.find(block)
                if stage.makes_rows and block.n > 1 and int(run.counts.sum()) > self._block:
                    for longer in self._in_pieces(stage, block, run):
                        yield from self._run(longer, k + 1)
                    return
                block = stage.expand(block, run)
            block = stage.finish(block)
        if block.n:
            yield block

    def _in_pieces(self, stage: _Stage, block: Block, run: Run) -> Iterator[Block]:
        """Yield the rows that a stage makes where they are too many at once; small blocks are put together again."""
        capacity = max(self._block, stage.worth_gathering)
        made: list[Block] = []
        n = 0
        for piece in _pieces(run.counts, self._block):
            part = block.take(piece, piece.stop - piece.start)
            made.append(stage.finish(stage.expand(part, Run(run.first[piece], run.counts[piece]))))
            n += made[-1].n
            if n >= capacity:
                yield stage.gathered(made)
                made, n = [], 0
        if n:
            yield stage.gathered(made)


def _pieces(counts: Ids, most: int) -> Iterator[slice]:
    """Cut rows into pieces, each of which makes at most so many rows or is a single row."""
    ends = np.cumsum(counts)
    start, made = 0, 0
    while start < len(counts):
        stop = max(int(np.searchsorted(ends, made + most, side="right")), start + 1)
        yield slice(start, stop)
        start, made = stop, int(ends[stop - 1])


class _Stage:
    """One relation on its turn.

    Args:
        problem: the join.
        relation: the relation.
        known: its variables that the rows have already.
        tests: the conditions that can be decided after it.
        later: the variables that are needed later.
        wanted: how many rows count.
    """

    def __init__(
        self,
        problem: Problem,
        relation: Relation,
        known: frozenset[int],
        tests: list[Condition],
        later: frozenset[int],
        wanted: Wanted,
    ) -> None:
        self._problem, self._relation, self._known, self._tests = problem, relation, known, tests
        self._later, self._merges = later, wanted != "bag"
        self.looks_up, self._searched = self._way()
        self._compared = sorted(known.difference(self._searched))
        self._used = later.union(self._compared, *map(problem.needs, tests))
        self._added = sorted(self._used & (relation.variables - known))
        # Otherwise it is enough to know how many parts fit.
        self.makes_rows = not self._merges or bool(self._added) or bool(self._compared)
        # So many rows are worth waiting for, as many of them will become one.
        domain = math.prod(problem.domains[variable] for variable in later)
        self.worth_gathering = min(2 * domain, MERGED_ROWS) if self._merges else 0

    def _way(self) -> tuple[bool, tuple[int, ...]]:
        """Return whether the part is looked up, and the known variables by which parts are found."""
        if self._relation.part in self._known:
            return True, (self._relation.part,)
        return False, searchable(sorted(self._known), self._problem.domains)

    @cached_property
    def _index(self) -> Index:
        return Index(self._relation, self._searched, self._problem.domains)

    def look_up(self, block: Block) -> Block:
        """Return the rows whose part is in the relation and has the arrows that the rows know."""
        if self._relation.ids is not None:
            block = block.only(self._relation.selected[block.values[self._relation.part]])
        return self._met(block, block.values[self._relation.part])

    def find(self, block: Block) -> Run:
        """Return the parts that fit each row."""
        if self._known:
            return self._index.find(block.values)
        return Run(np.zeros(block.n, np.int64), np.full(block.n, len(self._relation)))

    def expand(self, block: Block, run: Run) -> Block:
        """Return each row once for each part that fits."""
        if not self.makes_rows:
            weights = None if block.weights is None else _exact(block.weights, int(run.counts.max())) * run.counts
            return replace(block, weights=weights).only(run.counts > 0)
        if not self._known and block.n == 1 and not block.values:
            columns = {variable: self._relation.at(variable) for variable in self._added}
            n = len(self._relation)
            return Block(n, columns, None if block.weights is None else np.repeat(block.weights, n))
        n = int(run.counts.sum())
        owner = np.repeat(np.arange(block.n), run.counts)
        kept = {variable: column for variable, column in block.values.items() if variable in self._used}
        grown = replace(block, values=kept).take(owner, n)
        if not self._added and not self._compared:
            return grown
        shift = run.first - np.cumsum(run.counts) + run.counts
        positions = np.arange(n) + (shift[0] if (shift == shift[0]).all() else shift[owner])
        ids = self._index.ids if self._known else self._relation.ids
        return self._met(grown, positions if ids is None else ids[positions])

    def _met(self, block: Block, parts: Ids) -> Block:
        """Return the rows that agree with their parts, and what is needed of the parts."""
        for variable in self._compared:
            fits = np.flatnonzero(self._column(variable, parts) == block.values[variable])
            if len(fits) < block.n:
                block, parts = block.take(fits, len(fits)), parts[fits]
        new = {variable: self._column(variable, parts) for variable in self._added}
        return replace(block, values=block.values | new)

    def _column(self, variable: int, parts: Ids) -> Ids:
        return parts if variable == self._relation.part else self._relation.columns[variable][parts]

    def finish(self, block: Block) -> Block:
        """Return the rows that pass the tests, with the columns that are needed later."""
        if self._tests:
            block = block.only(np.logical_and.reduce([self._problem.holds(test, block.values) for test in self._tests]))
        kept = {variable: column for variable, column in block.values.items() if variable in self._later}
        block = replace(block, values=kept)
        return block.merged(self._problem.domains) if self._merges else block

    def gathered(self, made: list[Block]) -> Block:
        """Return finished blocks as one."""
        block = concatenated([part for part in made if part.n], made[0].values)
        return block.merged(self._problem.domains) if self._merges else block


class _MatchedStage(_Stage):
    """A relation on its turn, whose parts a matcher finds.

    Args:
        matcher: the matcher; it is asked once for each block, and not where nothing fits.
        turn: the arguments of a stage.
    """

    def __init__(self, matcher: Matcher, *turn: Any) -> None:
        super().__init__(*turn)
        self._matcher = matcher

    def _way(self) -> tuple[bool, tuple[int, ...]]:
        return False, tuple(sorted(self._known))

    def find(self, block: Block) -> Run:
        """Return how many parts fit each row, from which blocks are cut; the matcher says which."""
        rows, parts, n = self._keys(block)
        return Run(np.zeros(block.n, np.int64), np.bincount(parts, minlength=n)[rows])

    def expand(self, block: Block, run: Run) -> Block:
        """Return each row once for each part that fits."""
        rows, parts, n = self._keys(block)
        if self.makes_rows:
            owner, found = self._matched(rows, parts, n)
            kept = {variable: column for variable, column in block.values.items() if variable in self._used}
            grown = replace(block, values=kept).take(owner, len(owner))
            return self._met(grown, self._relation.parts()[found])
        # Only the number of parts matters: those with one key are matched as one, which stands for so many.
        keys, numbers = np.unique(parts, return_counts=True)
        owner, found = self._matched(rows, keys, n)
        counts = np.zeros(block.n, np.int64)
        counts[owner] = numbers[found]
        return super().expand(block, Run(run.first, counts))

    def _matched(self, rows: Ids, parts: Ids, n: int) -> tuple[Ids, Ids]:
        if np.bincount(parts, minlength=n)[rows].any():
            return self._matcher(rows, parts, n)
        return np.zeros(0, np.int64), np.zeros(0, np.int64)

    def _keys(self, block: Block) -> tuple[Ids, Ids, int]:
        """Return the keys of rows and of parts, and their bound, which is at most the number of both together."""
        sizes = [self._problem.domains[variable] for variable in self._searched]
        pairs = ((block.values[variable], self._relation.at(variable)) for variable in self._searched)
        n = block.n + len(self._relation)
        keys = row_keys([np.concatenate(pair) for pair in pairs], sizes, n)
        size = math.prod(sizes)
        if size > n:
            distinct, keys = np.unique(keys, return_inverse=True)
            size = len(distinct)
        return keys[: block.n], keys[block.n :], size


# Search and sorting, by integers that pack several columns


class Run(NamedTuple):
    """The parts that fit each row, among the parts sorted by key: the position of the first one, and their number."""

    first: Ids
    counts: Ids


class Index:
    """The parts of a relation, sorted by some of its variables and then by id.

    Args:
        relation: the relation to search.
        variables: the variables to search by; see :func:`searchable`.
        domains: the number of values of each variable.
    """

    def __init__(self, relation: Relation, variables: Sequence[int], domains: Mapping[int, int]) -> None:
        self._variables = tuple(variables)
        self._sizes = [domains[variable] for variable in variables]
        self._ends: Ids | None = None
        if relation.ids is None and len(variables) == 1 and variables[0] in relation.homs:
            self._ends, self.ids = relation.homs[variables[0]].fibres(self._sizes[0])
            return
        keys = self._keys({variable: relation.at(variable) for variable in variables})
        self.ids, keys = sorted_by(keys, relation.parts(), relation.size)
        domain = math.prod(self._sizes)
        if domain <= 4 * len(keys) + 1024:  # a table of all keys is faster than a search among the sorted ones
            self._ends = np.zeros(domain + 1, np.int64)
            np.cumsum(np.bincount(keys, minlength=domain), out=self._ends[1:])
        else:
            self._sorted_keys = keys
            bits = min(len(keys).bit_length() + 4, 26)
            self._shift = np.uint64(64 - bits)
            self._filter = np.zeros(2**bits, np.bool_)
            self._filter[self._hashes(keys)] = True

    def find(self, values: Mapping[int, Ids]) -> Run:
        """Return the parts that fit each row, whose values are given for each variable."""
        keys = self._keys(values)
        if self._ends is not None:
            first = self._ends[keys]
            return Run(first, self._ends[keys + 1] - first)
        # A hash rules out most keys that are not there, which is faster than to search for them.
        present = np.flatnonzero(self._filter[self._hashes(keys)])
        first, counts = np.zeros(len(keys), np.int64), np.zeros(len(keys), np.int64)
        first[present] = np.searchsorted(self._sorted_keys, keys[present], side="left")
        counts[present] = np.searchsorted(self._sorted_keys, keys[present], side="right") - first[present]
        return Run(first, counts)

    def _keys(self, values: Mapping[int, Ids]) -> Ids:
        """Return one integer for the values of all variables."""
        first, *others = self._variables
        keys = values[first]
        for variable, size in zip(others, self._sizes[1:], strict=True):
            keys = keys * size + values[variable]
        return keys

    def _hashes(self, keys: Ids) -> NDArray[np.uint64]:
        """Return the upper bits of each key times 2**64 over the golden ratio (Knuth's multiplicative hashing)."""
        return keys.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15) >> self._shift


def searchable(variables: Sequence[int], domains: Mapping[int, int]) -> tuple[int, ...]:
    """Return as many of the variables as fit into one key; at least the first."""
    chosen: list[int] = []
    size = 1
    for variable in variables:
        if not chosen or size * domains[variable] < LARGEST_KEY:
            chosen.append(variable)
            size *= max(domains[variable], 1)
    return tuple(chosen)


def sorted_by(keys: Ids, ids: Ids, size: int) -> tuple[Ids, Ids]:
    """Return ids (ascending, below ``size``) and their keys (>= 0), both sorted by key and then id."""
    # Sorting one packed integer is several times faster than argsort.
    if len(keys) and int(keys.max()) < LARGEST_KEY // max(size, 1):
        packed = keys * size + ids
        packed.sort()
        sorted_keys = packed // size
        return packed - sorted_keys * size, sorted_keys
    order = np.argsort(keys, kind="stable")
    return ids[order], keys[order]


def row_keys(columns: Sequence[Ids], sizes: Sequence[int], n: int) -> Ids:
    """Return one integer for each of ``n`` rows, in the lexicographic order of the columns.

    Each column's values are below its size.
    """
    keys = np.zeros(n, np.int64)
    size = 1
    for column, values in zip(columns, sizes, strict=True):
        if size * values >= LARGEST_KEY:
            distinct, keys = np.unique(keys, return_inverse=True)
            size = len(distinct)
        keys = keys * values + column
        size *= max(values, 1)
    return keys
