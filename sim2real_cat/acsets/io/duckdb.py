"""Instances as DuckDB tables with primary and foreign keys.

The tables and columns are those of :mod:`sim2real_cat.acsets.io.arrow`: ``_id BIGINT PRIMARY KEY``, and every
hom a ``BIGINT`` that references the table of its codomain. DuckDB takes foreign keys only when a table is
created, to tables that are there, and it cannot load rows that refer to rows of the same table. So an
endomorphism is a plain column, and so is one hom at least of every cycle of objects; all others are
declared. Both kinds are in range when they are written, and :func:`from_duckdb` checks both.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from sim2real_cat.acsets.io.arrow import VARIABLE, from_arrow, to_arrow
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.acsets.storage import Storage
from sim2real_cat.errors import EngineError, ExchangeError, one_line, unknown_name

if TYPE_CHECKING:
    import duckdb
    import pyarrow

S = TypeVar("S", bound=Storage)
Keys = Literal["all", "primary"]

KEYS: tuple[Keys, ...] = ("all", "primary")


def to_duckdb(
    instance: Storage,
    connection: duckdb.DuckDBPyConnection,
    schema_name: str | None = None,
    keys: Keys = "all",
) -> None:
    """Create and fill a table for each object, and for each attribute type that has variables.

    Either all tables are there afterwards or nothing has changed.

    Args:
        instance: the instance.
        connection: a connection that is not in a transaction.
        schema_name: the database schema for the tables, created where it is missing; by default the
            connection's current one.
        keys: "all" declares foreign keys, whose indexes take DuckDB nearly all of the time of loading;
            "primary" leaves them out, for tables that are only read.

    Raises:
        EngineError: where duckdb is not installed.
        ExchangeError: where a table exists already, names differ in case only, or DuckDB refuses
            for another reason.
    """
    duckdb = _duckdb()
    if keys not in KEYS:
        raise ExchangeError(unknown_name("choice of keys", str(keys), KEYS))
    tables = to_arrow(instance)
    _check_case(tables, "tables")
    for name, table in tables.items():
        _check_case(table.column_names, f"columns of {name}")
    try:
        if _in_transaction(connection):
            raise ExchangeError(
                "DuckDB: the connection is in a transaction, which all-or-nothing needs for itself: commit it first"
            )
        connection.begin()
    except duckdb.Error as error:
        raise _refused(error, "hand over a connection that is open") from None
    try:
        if schema_name is not None:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {_quoted(schema_name)}")
        done: list[str] = []
        for name in _creation_order(instance.schema, tables):
            _create(connection, instance.schema, name, tables[name], done if keys == "all" else [], schema_name)
            done.append(name)
        connection.commit()
    except BaseException as error:
        connection.rollback()
        if isinstance(error, duckdb.Error):
            raise _refused(error, "drop it, or give another schema_name=") from None
        raise


def from_duckdb(connection: duckdb.DuckDBPyConnection, into: S, schema_name: str | None = None) -> S:
    """Read the tables of a DuckDB database into an empty instance of their schema; the inverse of :func:`to_duckdb`.

    Args:
        connection: the connection.
        into: the empty instance, which is returned.
        schema_name: the database schema of the tables; by default the connection's current one.

    Raises:
        EngineError: where duckdb is not installed.
        ExchangeError: where a table is missing, or as :func:`sim2real_cat.acsets.io.arrow.from_arrow`.
    """
    duckdb, schema = _duckdb(), into.schema
    try:
        there = {
            str(name).lower()
            for (name,) in connection.execute(
                "SELECT table_name FROM information_schema.tables "
                "WHERE table_catalog = current_database() AND table_schema = coalesce(?, current_schema())",
                [schema_name],
            ).fetchall()
        }
        tables = {
            name: connection.sql(f"SELECT * FROM {_qualified(name, schema_name)}").to_arrow_table()
            for name in (*schema.obs, *schema.attrtypes)
            if name.lower() in there
        }
    except duckdb.Error as error:
        raise _refused(error, "mend the database") from None
    return from_arrow(tables, into, "DuckDB" if schema_name is None else f"DuckDB schema {schema_name}")


def _in_transaction(connection: duckdb.DuckDBPyConnection) -> bool:
    """Return whether a transaction is open; to try and begin one would abort it."""
    one, two = (connection.execute("SELECT txid_current()").fetchall() for _ in range(2))
    return one == two


def _create(
    connection: duckdb.DuckDBPyConnection,
    schema: Schema,
    name: str,
    table: pyarrow.Table,
    referable: list[str],
    schema_name: str | None,
) -> None:
    """Create one table with foreign keys to those that can be referred to, and fill it."""
    types = {"int64": "BIGINT", "double": "DOUBLE", "bool": "BOOLEAN", "string": "VARCHAR"}
    columns = []
    for field in table.schema:
        constraint = " PRIMARY KEY" if field.name == "_id" else ""
        codom = _referenced(schema, field.name)
        if codom in referable:
            constraint = f" REFERENCES {_qualified(codom, schema_name)} ({_quoted('_id')})"
        columns.append(f"{_quoted(field.name)} {types[str(field.type)]}{constraint}")
    target = _qualified(name, schema_name)
    connection.execute(f"CREATE TABLE {target} ({', '.join(columns)})")
    view = f"sim2real_cat_{uuid.uuid4().hex}"
    connection.register(view, table)
    try:
        connection.execute(f"INSERT INTO {target} SELECT * FROM {_quoted(view)}")
    finally:
        connection.unregister(view)


def _referenced(schema: Schema, column: str) -> str:
    """Return the object or attribute type whose ids a column holds; an empty text for a column of values."""
    if column in schema.homs:
        return schema.homs[column][1]
    return schema.attrs[column.removesuffix(VARIABLE)][1] if column.endswith(VARIABLE) else ""


def _creation_order(schema: Schema, tables: Iterable[str]) -> list[str]:
    """Return the tables in an order in which homs lead to earlier tables, except within cycles."""
    import networkx as nx

    order = [*tables]
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(order)
    graph.add_edges_from((codom, dom) for dom, codom in {**schema.homs, **schema.attrs}.values() if codom in graph)
    components = nx.condensation(graph)
    members = nx.get_node_attributes(components, "members")
    first = {component: min(map(order.index, names)) for component, names in members.items()}
    return [
        name
        for component in nx.lexicographical_topological_sort(components, key=first.__getitem__)
        for name in sorted(members[component], key=order.index)
    ]


def _check_case(names: Iterable[str], what: str) -> None:
    """Refuse names that DuckDB takes for one, because it ignores case even in quotes."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise ExchangeError(f"DuckDB does not tell '{other}' from '{name}' ({what}): rename one in the schema")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _qualified(name: str, schema_name: str | None) -> str:
    return _quoted(name) if schema_name is None else f"{_quoted(schema_name)}.{_quoted(name)}"


def _refused(error: Exception, remedy: str) -> ExchangeError:
    return ExchangeError(f"DuckDB: {one_line(error)}: {remedy}")


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError:
        raise EngineError("duckdb is not installed, and its tables need it: pip install duckdb") from None
    return duckdb
