"""In which order to join, and how much it may cost.

An atom whose part is known already is looked up and never makes rows more. One with a known arrow is expanded:
each row goes on to all parts of the preimage. One that shares nothing with the rest is a product. The order is
greedy, from several starts; the estimate takes every preimage to be of the average size.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from sim2real_cat.acsets.query.relations import Mask, Problem, Relation
from sim2real_cat.acsets.query.resolve import Restriction

Wanted = Literal["bag", "set", "count"]
_Piece = tuple[list[Relation], list[Restriction], set[int]]

STARTS = 6
"""How many of the smallest relations are tried as the first one."""

INDEXED = 3.0
"""What a part costs that an index sorts, in rows that a join makes (30 and 10 ns)."""

SORTED = 8.0
"""What a row costs that is sorted at the end, in the same unit."""


@dataclass(frozen=True)
class Step:
    """One relation on its turn.

    Attributes:
        relation: its position.
        known: its variables that earlier steps have bound.
        rows: an estimate of how many rows meet it.
    """

    relation: int
    known: frozenset[int]
    rows: float


@dataclass(frozen=True)
class Plan:
    """An order of the relations.

    Attributes:
        steps: one for each relation.
        cost: an estimate of the work, in rows made.
        unmerged: the same for an engine that makes each row, where ours makes rows that agree into one.
        rows: an estimate of how many rows there are at the end.
        text_order: the parts that sort the rows as the atoms stand in the query.
        in_order: whether joining in this order has sorted them so already.
    """

    steps: tuple[Step, ...]
    cost: float
    unmerged: float
    rows: float
    text_order: tuple[int, ...]
    in_order: bool


def plan(problem: Problem, *, needed: frozenset[int] = frozenset(), wanted: Wanted = "bag") -> Plan:
    """The cheapest of several greedy orders.

    Args:
        problem: what to join.
        needed: the variables to keep to the end.
        wanted: "bag" where every row counts and they must be sorted at the end, unless the order of joining has
            done it; "set" or "count" where rows that agree in all that is still needed become one.
    """
    relations = problem.relations
    text_order = _free(relations, range(len(relations)))
    by_size = sorted(range(len(relations)), key=lambda k: (len(relations[k]), k))
    plans = []
    for start in sorted({0, *by_size[:STARTS]}) if relations else ():
        found = _greedy(problem, start, None if wanted == "bag" else needed)
        in_order = _free(relations, [step.relation for step in found.steps]) == text_order
        sorting = SORTED * found.rows if wanted == "bag" and not in_order else 0.0
        parts = tuple(relations[k].part for k in text_order)
        plans.append(replace(found, cost=found.cost + sorting, text_order=parts, in_order=in_order))
    return min(plans, key=lambda candidate: candidate.cost, default=Plan((), 0.0, 0.0, 1.0, (), True))


def _greedy(problem: Problem, start: int, kept: frozenset[int] | None) -> Plan:
    """The order that begins with one relation and goes on with what makes the fewest rows.

    Rows that agree in ``kept`` and all that later steps need are one; None where they are not.
    """
    relations = problem.relations
    left = list(range(len(relations)))
    steps: list[Step] = []
    bound: set[int] = set()
    rows, cost, every, unmerged = 1.0, 0.0, 1.0, 0.0
    factors = {k: float(len(relations[k])) for k in left}
    while left:
        best = min(left, key=lambda k: (factors[k], k)) if steps else start
        left.remove(best)
        relation = relations[best]
        known = frozenset(relation.variables & bound)
        steps.append(Step(best, known, rows))
        if known and relation.part not in known:
            cost += INDEXED * len(relation)
        rows, every = max(rows * factors[best], 1.0), max(every * factors[best], 1.0)
        new = relation.variables - bound
        bound |= new
        cost += rows
        unmerged += every
        if kept is not None:
            live = bound & kept.union(
                *(relations[k].variables for k in left),
                *(needs for needs in map(problem.needs, problem.comparisons) if not needs <= bound),
            )
            rows = min(rows, 2.0 * math.prod(float(problem.domains[variable]) for variable in live))
        for k in left:
            if relations[k].variables & new:
                factors[k] = _factor(problem, relations[k], bound)
    return Plan(tuple(steps), cost, unmerged, rows, (), True)


def _factor(problem: Problem, relation: Relation, bound: set[int]) -> float:
    """How many rows one row is expected to become when a relation is joined to it."""
    known = relation.variables & bound
    return len(relation) / math.prod(float(max(problem.domains[variable], 1)) for variable in known)


def _free(relations: Sequence[Relation], order: Iterable[int]) -> list[int]:
    """The relations whose part is not a function of the parts of those before it; they alone sort the rows."""
    bound: set[int] = set()
    free = []
    for k in order:
        if relations[k].part not in bound:
            free.append(k)
        bound |= relations[k].variables
    return free


def reduced(problem: Problem, steps: Sequence[Step]) -> list[Relation]:
    """The relations, each without the parts that the selections made before its turn rule out (semi-joins).

    A small selection is passed on along the variables it shares, so that a large relation is searched only
    where the rows can lead.
    """
    relations = list(problem.relations)
    allowed: dict[int, Mask] = {}
    for step in steps:
        relation = relations[step.relation]
        for variable in sorted(step.known & allowed.keys()):
            relation = relation.restricted(variable, allowed[variable])
        relations[step.relation] = relation
        if len(relation) * 2 < relation.size:
            for variable in relation.variables:
                mask = np.zeros(problem.domains[variable], np.bool_)
                mask[relation.at(variable)] = True
                if np.count_nonzero(mask) * 2 < len(mask):
                    allowed[variable] = mask
    return relations


def components(problem: Problem) -> list[Problem]:
    """The problem in pieces that share no variable, in relations or comparisons: a product of joins."""
    groups: list[_Piece] = []
    pieces: list[_Piece] = [([relation], [], relation.variables) for relation in problem.relations]
    pieces += [([], [comparison], problem.needs(comparison)) for comparison in problem.comparisons]
    for relations, comparisons, variables in pieces:
        touching = [group for group in groups if group[2] & variables]
        groups = [group for group in groups if not group[2] & variables]
        for group in touching:
            relations, comparisons, variables = group[0] + relations, group[1] + comparisons, group[2] | variables
        groups.append((relations, comparisons, variables))
    return [replace(problem, relations=relations, comparisons=comparisons) for relations, comparisons, _ in groups]
