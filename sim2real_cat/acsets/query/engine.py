"""Answering and counting queries, by the engine that suits their size.

The rows of an answer are sorted by the parts of the atoms, the first atom first; those of a distinct answer by
their values. Both engines give the same rows in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.query import duckdb
from sim2real_cat.acsets.query.join import Join, Rows, lexicographic, row_keys, too_many
from sim2real_cat.acsets.query.plan import Plan, Wanted, components, plan
from sim2real_cat.acsets.query.relations import Problem, Reading, ranks, relations_of
from sim2real_cat.acsets.query.resolve import Resolved, resolve
from sim2real_cat.acsets.query.syntax import ConjunctiveQuery, Constant
from sim2real_cat.acsets.query.table import Table
from sim2real_cat.errors import EngineError, listed

Engine = Literal["auto", "numpy", "duckdb"]
ENGINES = ("auto", "numpy", "duckdb")

LIMIT = 50_000_000
"""How many rows an answer may have, unless the caller says otherwise."""

THRESHOLD = 5e6
"""From how many rows made on the way, but not part of the answer, "auto" uses DuckDB.

Measured on two cores: DuckDB needs 30 to 60 ms to start and 10 to 20 ns for each row on the way, numpy nothing to
start and 20 to 40 ns. Counting the paths of 5 different nodes in 1,000 nodes with 10,000 edges (10^7 rows): numpy
388 ms, DuckDB 245 ms; in 1,000 nodes with 5,000 edges (6 * 10^5 rows): 68 and 62 ms. Counting the triangles of 10^5
nodes with 10^6 edges: 1.3 and 0.7 s. Two- and three-way joins along homs of 10^3 to 10^6 rows: numpy 0.4 to 60 ms,
DuckDB 25 to 280 ms.
"""

READ = 4.0
"""What a part costs DuckDB that it must read from the instance, in rows on the way."""

HANDED_OVER = 5.0
"""What a row of the answer costs DuckDB, likewise."""

FIRST_BLOCK = 2**10
"""How many rows a step makes at once where answers are wanted one after the other."""

_NOTHING: Mapping[str, object] = MappingProxyType({})


def answer(
    instance: ACSet,
    query: ConjunctiveQuery,
    params: Mapping[str, object] | None = None,
    *,
    distinct: bool = False,
    engine: Engine = "auto",
    limit: int = LIMIT,
) -> Table:
    """All answers of a query: a row for each assignment of parts to its atoms.

    An undefined hom or attribute, and an attribute variable, is equal to nothing, not even to itself: an atom
    that names the arrow does not match such a part. NaN equals NaN, as in ``incident``, and is neither less nor
    greater than anything.

    Args:
        instance: the instance to ask.
        query: the query.
        params: values of ``$names`` and of variables, by name.
        distinct: whether to leave out repeated rows.
        engine: "numpy", "duckdb" (the optional extra), or "auto": Catlab for an instance that lives there, which needs
            every arrow that the query names to be defined; for others the one that suits the size.
        limit: the largest number of rows to hold in memory.

    Returns:
        A column for each output: ids as int64, attributes in the dtype of their type.

    Raises:
        SchemaError: where names or types do not fit the schema, or a parameter has no value.
        InstanceError: where a value does not fit its type or an id does not exist, or the answer has more rows
            than ``limit``.
        EngineError: for an engine that is not known or not installed.
    """
    resolved = _resolved(instance, query, params, engine)
    if engine == "auto" and instance.engine == "catlab" and resolved.patterns:
        table = _by_catlab(instance, resolved, limit)
        return _distinct(table) if distinct else table
    problem = relations_of(instance, resolved)
    wanted: Wanted = "set" if distinct else "bag"
    needed = {reading.key for _, reading, _ in problem.out if isinstance(reading, Reading)}
    order = plan(problem, needed=frozenset(needed), wanted=wanted)
    in_duckdb = _chosen(engine, problem, order, order.rows) == "duckdb"
    by_parts = not distinct and (in_duckdb or not order.in_order)
    if by_parts:
        needed.update(order.text_order)
    if in_duckdb:
        rows = duckdb.join(problem, sorted(needed), distinct, limit)
    else:
        rows = Join(problem, order, frozenset(needed), wanted).collect(limit)
    if by_parts or distinct:
        by = sorted(needed) if distinct else order.text_order
        sequence = lexicographic([rows.values[v] for v in by], [problem.domains[v] for v in by], rows.n)
        rows = rows if sequence is None else rows.take(sequence, rows.n)
    table = _table(problem, rows)
    return _distinct(table) if distinct else table


def answers(
    instance: ACSet, query: ConjunctiveQuery, params: Mapping[str, object] | None = None, *, block: int = FIRST_BLOCK
) -> Iterator[Table]:
    """The answers of a query as tables that follow each other, found as they are asked for (numpy).

    The first come soon and memory stays small, however many there are. Their order is that of the search, the
    same every time. Arguments and errors are those of :func:`answer`; a smaller ``block`` gives smaller tables.
    """
    problem = relations_of(instance, _resolved(instance, query, params, "numpy"))
    needed = frozenset(reading.key for _, reading, _ in problem.out if isinstance(reading, Reading))
    for rows in Join(problem, plan(problem), needed, "bag", block).blocks():
        yield _table(problem, rows)


def count(
    instance: ACSet,
    query: ConjunctiveQuery,
    params: Mapping[str, object] | None = None,
    *,
    distinct: bool = False,
    engine: Engine = "auto",
) -> int:
    """The number of answers, exactly, without making the rows; arguments and errors are those of :func:`answer`.

    A query that falls into parts without a common variable is counted part by part.
    """
    if distinct:
        return len(answer(instance, query, params, distinct=True, engine=engine))
    resolved = _resolved(instance, query, params, engine)
    if engine == "auto" and instance.engine == "catlab" and resolved.patterns:
        return len(_by_catlab(instance, resolved, LIMIT))
    problem = relations_of(instance, resolved)
    total = 1
    for component in components(problem):
        order = plan(component, wanted="count")
        if _chosen(engine, component, order, 1.0) == "duckdb":
            total *= duckdb.count(component)
        else:
            total *= Join(component, order, frozenset(), "count").count()
        if total == 0:
            break
    return total


def _resolved(instance: ACSet, query: ConjunctiveQuery, params: Mapping[str, object] | None, engine: str) -> Resolved:
    if engine not in ENGINES:
        raise EngineError(f"queries have no engine {engine!r}; valid: {listed(ENGINES)}")
    return resolve(instance, query, params or _NOTHING)


def _by_catlab(instance: ACSet, resolved: Resolved, limit: int) -> Table:
    from sim2real_cat.acsets.catlab.query import join

    table = join(instance, resolved)
    if len(table) > limit:
        raise too_many(limit)
    return table


def _chosen(engine: Engine, problem: Problem, order: Plan, rows: float) -> Literal["numpy", "duckdb"]:
    """The engine to use, where ``rows`` of the answer must be handed over; a query without atoms is answered at once.

    DuckDB pays off where many rows are made on the way that are not in the answer: reading the columns and handing
    over the rows takes it longer than numpy.
    """
    if not problem.relations:
        return "numpy"
    if engine != "auto":
        return engine
    if order.unmerged > 2 * order.cost:
        return "numpy"
    passing = order.cost - READ * sum(map(len, problem.relations)) - HANDED_OVER * rows
    return "duckdb" if passing > THRESHOLD and find_spec("duckdb") is not None else "numpy"


def _table(problem: Problem, rows: Rows) -> Table:
    """The outputs, read off the rows."""
    columns: dict[str, NDArray[Any]] = {}
    for name, reading, dtype in problem.out:
        if isinstance(reading, Constant):
            columns[name] = np.empty(rows.n, dtype)
            columns[name].fill(reading.value)
        else:
            values = reading.read(rows.values)
            columns[name] = values if values.base is None else values.copy()  # never a view of the instance
    return Table(columns, rows.n)


def _distinct(table: Table) -> Table:
    """The rows without repetitions, sorted by their values; NaN comes last and once."""
    coded = [(codes, len(values)) for ((codes,), values) in (ranks([column]) for column in table.columns.values())]
    keys = row_keys([codes for codes, _ in coded], [size for _, size in coded], len(table))
    _, first = np.unique(keys, return_index=True)
    return Table({name: column[first] for name, column in table.columns.items()}, len(first))
