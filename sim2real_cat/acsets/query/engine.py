"""Answers to queries, by the engine that suits their size.

The way from text to table: :func:`~sim2real_cat.acsets.query.text.parse` reads the text, `resolve` gives names their
types, `relations` selects the parts of each atom, `join` (numpy, or Catlab by pullbacks) or `duckdb` joins them, and
here the outputs are read from the joined rows.

The rows of an answer are sorted by the parts of the atoms, the first atom first; those of a distinct answer by their
values. All engines give the same rows in the same order.

>>> from sim2real_cat.acsets.acset import ACSet
>>> from sim2real_cat.acsets.schema import Schema
>>> graph = ACSet(Schema("Graph", obs=["V", "E"], homs={"src": ("E", "V"), "tgt": ("E", "V")}))
>>> _ = graph.add_parts("V", 3), graph.add_parts("E", 3, src=[0, 1, 1], tgt=[1, 2, 0])
>>> query(graph, "E(src=a, tgt=b), E(src=b, tgt=c)", where="a != c")
<Table of 1 row>
a  b  c
0  1  2
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.query import duckdb
from sim2real_cat.acsets.query.join import Block, Join, Plan, Wanted, components, plan, row_keys, sorted_by, too_many
from sim2real_cat.acsets.query.relations import Lookup, Problem, ranks, relations_of
from sim2real_cat.acsets.query.resolve import Resolved, resolve
from sim2real_cat.acsets.query.table import Table
from sim2real_cat.acsets.query.text import ID, ConjunctiveQuery, Constant, Variable, parse
from sim2real_cat.acsets.storage import Storage
from sim2real_cat.errors import EngineError, SchemaError, listed

Joiner = Literal["numpy", "duckdb", "catlab"]
"""The engine that joins the atoms of a query."""

QueryEngine = Literal["auto", "numpy", "duckdb", "catlab"]
"""The engine that answers a query; "auto" takes Catlab for an instance that lives there, and otherwise numpy, or DuckDB
where there is much to join and it is installed."""

QUERY_ENGINES: tuple[QueryEngine, ...] = get_args(QueryEngine)

LIMIT = 50_000_000
"""The largest number of rows of an answer, unless the caller says otherwise."""

THRESHOLD = 5e6
"""The number of rows made on the way, beyond what DuckDB needs to read and hand over, from which "auto" uses DuckDB.

DuckDB takes 15 to 60 ms to start, and then about as long as numpy for a row on one core; it uses all cores. Up to 10^6
rows numpy takes 0.01 to 1.2 times as long; see `benchmarks/acsets.py`.
"""

FIRST_BLOCK = 2**10
"""The number of rows that a step makes at once where answers are asked for one after the other."""


def query(
    instance: Storage,
    body: str,
    out: Sequence[str] | None = None,
    *,
    where: str | None = None,
    params: Mapping[str, object] | None = None,
    distinct: bool = False,
    engine: QueryEngine = "auto",
) -> Table:
    """Answer a query that is written as text; see :meth:`ACSet.query <sim2real_cat.acsets.acset.ACSet.query>`."""
    return answer(instance, _parsed(body, out, where), params, distinct=distinct, engine=engine)


def answer(
    instance: Storage,
    query: ConjunctiveQuery,
    params: Mapping[str, object] | None = None,
    *,
    distinct: bool = False,
    engine: QueryEngine = "auto",
    limit: int = LIMIT,
) -> Table:
    """Return all answers of a query: a row for each assignment of parts to its atoms.

    An undefined hom or attribute, and an attribute variable, is equal to nothing, not even to itself: an atom
    that names the arrow does not match such a part. NaN equals NaN, as in ``incident``, and is neither less nor
    greater than anything.

    Args:
        instance: the instance to ask.
        query: the query.
        params: values of ``$names`` and of variables, by name.
        distinct: whether to leave out repeated rows.
        engine: "numpy", "duckdb" (the optional extra), "catlab", or "auto": Catlab for an instance that lives there,
            for others the one that suits the size. See :func:`explain`.
        limit: the largest number of rows to hold in memory.

    Returns:
        A column for each output: ids as int64, attributes in the dtype of their type.

    Raises:
        SchemaError: for names or types that do not fit the schema, and a parameter without a value.
        InstanceError: for a value that does not fit its type, an id that does not exist, and an answer of more
            than ``limit`` rows.
        EngineError: for an engine that is not known or not installed, and for a query in whose course Catlab would have
            to make too many rows.
    """
    problem = relations_of(instance, _resolved(instance, query, params, engine))
    wanted: Wanted = "set" if distinct else "bag"
    kept = _keys(problem)
    order = plan(problem, kept, wanted)
    joiner = _chosen(engine, instance, problem, order, order.rows)
    must_sort = not distinct and (joiner == "duckdb" or not order.in_order)
    if must_sort:
        kept = kept.union(order.sorters)
    if joiner == "duckdb":
        rows = duckdb.join(problem, sorted(kept), distinct, limit)
        rows = rows.unique(problem.domains) if distinct else rows
    else:
        if joiner == "catlab" and not distinct and _number_above(problem, limit):
            raise too_many(limit)  # before Catlab is asked for any row
        rows = _join(joiner, problem, order, kept, wanted).collect(limit)
    if must_sort:
        keys = row_keys([rows.values[v] for v in order.sorters], [problem.domains[v] for v in order.sorters], rows.n)
        rows = rows.take(sorted_by(keys, np.arange(rows.n), rows.n)[0], rows.n)
    table = _table(problem, rows)
    return _distinct(table) if distinct else table


def answers(
    instance: Storage, query: ConjunctiveQuery, params: Mapping[str, object] | None = None, *, block: int = FIRST_BLOCK
) -> Iterator[Table]:
    """Yield the answers of a query as tables that follow each other, found as they are asked for (numpy).

    The first come soon and memory stays small, however many there are. Their order is that of the search, the
    same every time. Arguments and errors are those of :func:`answer`; a smaller ``block`` gives smaller tables.
    """
    problem = relations_of(instance, _resolved(instance, query, params, "numpy"))
    kept = _keys(problem)
    for rows in Join(problem, plan(problem, kept, "bag"), kept, "bag", block).blocks():
        yield _table(problem, rows)


def count(
    instance: Storage,
    query: ConjunctiveQuery,
    params: Mapping[str, object] | None = None,
    *,
    distinct: bool = False,
    engine: QueryEngine = "auto",
) -> int:
    """Return the number of answers, exactly, without making the rows; arguments and errors are those of :func:`answer`.

    A query that falls into parts without a common variable is counted part by part.
    """
    if distinct:
        return len(answer(instance, query, params, distinct=True, engine=engine))
    total = 1
    for component in components(relations_of(instance, _resolved(instance, query, params, engine))):
        order = plan(component, frozenset(), "count")
        joiner = _chosen(engine, instance, component, order, 1.0)
        if joiner == "duckdb":
            total *= duckdb.count(component)
        else:
            total *= _join(joiner, component, order, frozenset(), "count").count()
        if total == 0:
            break
    return total


def counting_cost(instance: Storage, query: ConjunctiveQuery, params: Mapping[str, object] | None = None) -> float:
    """Estimate the work of :func:`count` without DuckDB, in rows made; arguments and errors are those of it."""
    problem = relations_of(instance, _resolved(instance, query, params, "numpy"))
    return sum(plan(component, frozenset(), "count").cost for component in components(problem))


def explain(
    instance: Storage,
    body: str,
    out: Sequence[str] | None = None,
    *,
    where: str | None = None,
    params: Mapping[str, object] | None = None,
    engine: QueryEngine = "auto",
) -> str:
    """Say how a query would be answered; see :meth:`ACSet.explain <sim2real_cat.acsets.acset.ACSet.explain>`."""
    asked = _parsed(body, out, where)
    resolved = _resolved(instance, asked, params, engine)
    problem = relations_of(instance, resolved)
    order = plan(problem, _keys(problem), "bag")
    joiner = _chosen(engine, instance, problem, order, order.rows)
    lines = [_reason(engine, joiner, problem, order)]
    bound: set[int] = set()
    for k, rows in zip(order.order, order.estimates, strict=True):
        relation = problem.relations[k]
        shared = [name for number, name in _names(asked, resolved).items() if number in relation.variables & bound]
        by = f"joined by {' and '.join(shared)}" if shared else "each part with each row" if bound else "to begin with"
        lines.append(f"{asked.atoms[k]}, {by}: {len(relation):,} of {relation.size:,} parts, about {_rows(rows)}.")
        bound |= relation.variables
    if problem.relations:
        as_they_come = order.in_order and joiner != "duckdb"
        lines.append(f"The parts of the atoms sort the rows, {'as they come' if as_they_come else 'at the end'}.")
    return "\n".join(lines)


def _reason(engine: QueryEngine, joiner: Joiner, problem: Problem, order: Plan) -> str:
    """Return the sentence that says which engine answers and why."""
    if not problem.relations:
        return "There is nothing to join: numpy answers."
    if joiner == "catlab":
        reason = "asked for by name" if engine == joiner else "where the instance lives"
        return f"Catlab answers, {reason}, by a plan of pullbacks in SkelFinSet."
    name = {"numpy": "numpy", "duckdb": "DuckDB"}[joiner]
    if engine == joiner:
        return f"{name} answers, asked for by name."
    if joiner == "numpy" and _pays_off(problem, order, order.rows):
        return f"numpy answers: DuckDB, which is not installed, would suit about {_rows(order.cost)} on the way better."
    other = "DuckDB" if joiner == "numpy" else "numpy"
    return f"{name} answers: it suits about {_rows(order.cost)} on the way better than {other}."


def _rows(number: float) -> str:
    return f"{round(number):,} row{'s' * (round(number) != 1)}"


def _names(query: ConjunctiveQuery, resolved: Resolved) -> dict[int, str]:
    """Return the name of each variable in the text; the first, where an equation makes several one."""
    names: dict[int, str] = {}
    for atom, pattern in zip(query.atoms, resolved.patterns, strict=True):
        terms = dict(atom.arguments)
        for argument, number in ((ID, pattern.part), *pattern.arrows):
            term = terms.get(argument)
            if isinstance(term, Variable) and isinstance(number, int):
                names.setdefault(number, term.name)
    return names


def _parsed(body: str, out: Sequence[str] | None, where: str | None) -> ConjunctiveQuery:
    if isinstance(out, str):
        raise SchemaError(f"out is a list of variables, not the text {out!r}: write [{out!r}]")
    return parse(body, None if out is None else tuple(out), where)


def _resolved(instance: Storage, query: ConjunctiveQuery, params: Mapping[str, object] | None, engine: str) -> Resolved:
    if engine not in QUERY_ENGINES:
        raise EngineError(f"queries have no engine {engine!r}; valid: {listed(QUERY_ENGINES)}")
    return resolve(instance, query, params or {})


def _join(joiner: Joiner, problem: Problem, order: Plan, kept: frozenset[int], wanted: Wanted) -> Join:
    """Return the join by numpy or by Catlab."""
    if joiner == "numpy":
        return Join(problem, order, kept, wanted)
    from sim2real_cat.acsets.catlab.finite_sets import ROWS, Pullbacks

    return Join(problem, order, kept, wanted, ROWS, Pullbacks())


def _number_above(problem: Problem, limit: int) -> bool:
    """Return whether there are more answers than the limit, which numpy counts where they could be."""
    if math.prod(map(len, problem.relations)) <= limit:
        return False
    return Join(problem, plan(problem, frozenset(), "count"), frozenset(), "count").count() > limit


def _keys(problem: Problem) -> frozenset[int]:
    """Return the joined variables from which the outputs are read."""
    return frozenset(output.source.key for output in problem.out if isinstance(output.source, Lookup))


def _chosen(engine: QueryEngine, instance: Storage, problem: Problem, order: Plan, rows: float) -> Joiner:
    """Return the engine to use, if ``rows`` of the answer must be handed over."""
    if not problem.relations:
        return "numpy"
    if engine != "auto":
        return engine
    if instance.engine == "catlab":
        return "catlab"
    return "duckdb" if _pays_off(problem, order, rows) and find_spec("duckdb") is not None else "numpy"


def _pays_off(problem: Problem, order: Plan, rows: float) -> bool:
    """Return whether DuckDB would be faster than numpy.

    It is where many rows are made on the way that are not in the answer: to read a part costs it as much as four of
    them, to hand over a row as much as five. It is not where numpy merges most of the rows.
    """
    passing = order.cost - 4 * sum(map(len, problem.relations)) - 5 * rows
    return passing > THRESHOLD and order.unmerged <= 2 * order.cost


def _table(problem: Problem, rows: Block) -> Table:
    """Read the outputs from the joined rows."""
    columns: dict[str, NDArray[Any]] = {}
    for output in problem.out:
        if isinstance(output.source, Constant):
            columns[output.name] = np.empty(rows.n, output.dtype)
            columns[output.name].fill(output.source.value)
        else:
            values = output.source.read(rows.values)
            columns[output.name] = values if values.base is None else values.copy()  # never a view of the instance
    return Table(columns, rows.n)


def _distinct(table: Table) -> Table:
    """Return the rows without repetitions, sorted by their values; NaN comes last and once."""
    coded = [(codes, len(values)) for ((codes,), values) in (ranks([column]) for column in table.columns.values())]
    keys = row_keys([codes for codes, _ in coded], [size for _, size in coded], len(table))
    _, first = np.unique(keys, return_index=True)
    return Table({name: column[first] for name, column in table.columns.items()}, len(first))
