"""In which order to join, and how much it may cost.

An atom whose part is known already is looked up and never makes rows more. One with a known arrow is expanded:
each row goes on to all parts of the preimage. One that shares nothing with the rest is a product. The order is
greedy, from several starts; the estimate takes every preimage to be of the average size.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sim2real_cat.acsets.query.relations import Mask, Problem, Relation
from sim2real_cat.acsets.query.resolve import Restriction

_Piece = tuple[list[Relation], list[Restriction], set[int]]

STARTS = 6
"""How many of the smallest relations are tried as the first one."""

SORTED = 8.0
"""What a row costs that an index sorts, in rows that a join makes."""


@dataclass(frozen=True)
class Step:
    """One relation on its turn.

    Attributes:
        relation: its position.
        known: its variables that earlier steps have bound.
    """

    relation: int
    known: frozenset[int]


@dataclass(frozen=True)
class Plan:
    """An order of the relations.

    Attributes:
        steps: one for each relation.
        cost: an estimate of all the rows that will be made.
        text_order: the parts that sort the rows as the atoms stand in the query.
        in_order: whether joining in this order has sorted them so already.
    """

    steps: tuple[Step, ...]
    cost: float
    text_order: tuple[int, ...]
    in_order: bool


def plan(problem: Problem) -> Plan:
    """The cheapest of several greedy orders."""
    relations = problem.relations
    by_size = sorted(range(len(relations)), key=lambda k: (len(relations[k]), k))
    starts = sorted({0, *by_size[:STARTS]} if relations else ())
    found = [_greedy(problem, start) for start in starts] or [(0.0, ())]
    cost, steps = min(found, key=lambda candidate: candidate[0])
    text_order = _free(relations, range(len(relations)))
    join_order = _free(relations, [step.relation for step in steps])
    return Plan(steps, cost, tuple(relations[k].part for k in text_order), join_order == text_order)


def _greedy(problem: Problem, start: int) -> tuple[float, tuple[Step, ...]]:
    """The order that begins with one relation and goes on with what makes the fewest rows."""
    relations = problem.relations
    left = [k for k in range(len(relations)) if k != start]
    steps = [Step(start, frozenset())]
    bound = set(relations[start].variables)
    rows = max(float(len(relations[start])), 1.0)
    cost = rows
    factors = {k: _factor(problem, relations[k], bound) for k in left}
    while left:
        best = min(left, key=lambda k: (factors[k], k))
        left.remove(best)
        relation = relations[best]
        known = frozenset(relation.variables & bound)
        if known and relation.part not in known:
            cost += SORTED * len(relation)
        rows = max(rows * factors[best], 1.0)
        cost += rows
        new = relation.variables - bound
        bound |= new
        steps.append(Step(best, known))
        for k in left:
            if relations[k].variables & new:
                factors[k] = _factor(problem, relations[k], bound)
    return cost, tuple(steps)


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
