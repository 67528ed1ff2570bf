"""Instances as DuckDB tables."""

import itertools
import sys

import numpy as np
import pytest
from acset_strategies import STUDY, acsets, refused, study
from hypothesis import given, settings

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.io.duckdb import to_duckdb
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import EngineError, ExchangeError

duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")


@pytest.fixture
def connection():
    with duckdb.connect() as connection:
        yield connection


def tables(connection):
    return {row[0] for row in connection.execute("SELECT table_name FROM information_schema.tables").fetchall()}


def constraints(connection):
    return {
        (table, kind, tuple(columns))
        for table, kind, columns in connection.execute(
            "SELECT table_name, constraint_type, constraint_column_names FROM duckdb_constraints()"
        ).fetchall()
        if kind != "NOT NULL"
    }


def test_what_is_written_can_be_read(connection):
    names = itertools.count()

    @settings(derandomize=True, deadline=None, max_examples=30)
    @given(acsets())
    def check(x):
        name = f"example {next(names)}"
        to_duckdb(x, connection, name)
        assert ACSet.from_duckdb(x.schema, connection, name) == x

    check()


def test_keys_are_declared(connection):
    to_duckdb(study(), connection)
    assert constraints(connection) == {
        ("SimEnv", "PRIMARY KEY", ("_id",)),
        ("RealEnv", "PRIMARY KEY", ("_id",)),
        ("Policy", "PRIMARY KEY", ("_id",)),
        ("TransferGap", "PRIMARY KEY", ("_id",)),
        ("SimEnv", "FOREIGN KEY", ("train",)),
        ("Policy", "FOREIGN KEY", ("deploy",)),
        ("Policy", "FOREIGN KEY", ("kl_gap._var",)),
    }
    with pytest.raises(duckdb.ConstraintException):
        connection.execute('INSERT INTO "SimEnv" VALUES (4, 17, NULL, NULL)')
    with pytest.raises(duckdb.ConstraintException):
        connection.execute('INSERT INTO "SimEnv" VALUES (0, 1, NULL, NULL)')
    rows = connection.execute(
        'SELECT p."policy_name" FROM "SimEnv" e JOIN "Policy" p ON e."train" = p."_id"'
    ).fetchall()
    assert sorted(rows, key=str) == [("naïve",), ("ours",), ("ours",), (None,)]


def test_a_cycle_loses_one_key_and_is_checked_on_the_way_back(connection):
    schema = Schema(
        "Cycle", ["A", "B", "C"], {"a": ("A", "B"), "f": ("B", "C"), "g": ("C", "B"), "t": ("C", "C"), "h": ("B", "C")}
    )
    x = ACSet(schema)
    x.add_parts("C", 3, t=[2, 1, None])
    x.add_parts("B", 2, f=[2, 0], h=[0, None])
    x.set("C", [0, 1], g=[1, 0])
    x.add_parts("A", 1, a=1)
    to_duckdb(x, connection)
    keys = {columns for _, kind, columns in constraints(connection) if kind == "FOREIGN KEY"}
    assert keys == {("a",), ("g",)}
    assert ACSet.from_duckdb(schema, connection) == x
    connection.execute('UPDATE "B" SET "h" = 9 WHERE "_id" = 0')
    with refused(ExchangeError, "DuckDB: B row _id=0", "'h' points to C 9"):
        ACSet.from_duckdb(schema, connection)


def test_foreign_keys_can_be_left_out(connection):
    to_duckdb(study(), connection, keys="primary")
    assert {kind for _, kind, _ in constraints(connection)} == {"PRIMARY KEY"}
    assert ACSet.from_duckdb(STUDY, connection) == study()
    with refused(ExchangeError, "unknown choice of keys 'foreign'", "Valid: all, primary"):
        to_duckdb(study(), connection, "other", keys="foreign")


def test_names_and_values_are_never_sql(connection):
    schema = Schema(
        "Keywords",
        ["select", "table", "Ünicode"],
        {"from": ("select", "table"), "where": ("Ünicode", "select")},
        {"order": str, "group": float},
        {"by": ("select", "order"), "limit": ("table", "group")},
    )
    nasty = ['\'; DROP TABLE "select"; --', '"', "\\", "%s {} $1 ?", "\0", "🤖", "", "NULL"]
    x = ACSet(schema)
    x.add_parts("table", 2, limit=[np.nan, None])
    x.add_parts("select", len(nasty), by=nasty, **{"from": 1})
    x.add_parts("Ünicode", 1, where=3)
    for name in (None, 'a"; DROP SCHEMA main; --'):
        to_duckdb(x, connection, name)
        assert ACSet.from_duckdb(schema, connection, name) == x


def test_instances_live_side_by_side_in_database_schemas(connection):
    to_duckdb(study(), connection, "one")
    to_duckdb(ACSet(STUDY), connection, "two")
    assert ACSet.from_duckdb(STUDY, connection, "one") == study()
    assert ACSet.from_duckdb(STUDY, connection, "two") == ACSet(STUDY)
    with refused(ExchangeError, "DuckDB: table SimEnv is missing"):
        ACSet.from_duckdb(STUDY, connection)
    with refused(ExchangeError, "DuckDB schema three: table SimEnv is missing"):
        ACSet.from_duckdb(STUDY, connection, "three")


def test_on_an_error_nothing_has_changed(connection):
    connection.execute('CREATE TABLE "policy" (x INTEGER)')
    with refused(ExchangeError, "DuckDB", "already exists", "schema_name="):
        to_duckdb(study(), connection)
    assert tables(connection) == {"policy"}
    connection.execute('DROP TABLE "policy"')
    to_duckdb(study(), connection)
    assert ACSet.from_duckdb(STUDY, connection) == study()


def test_an_interruption_leaves_nothing_behind(connection, monkeypatch):
    from sim2real_cat.acsets.io import duckdb

    create = duckdb._create

    def interrupted(connection, schema, name, *rest):
        if name == "SimEnv":
            raise KeyboardInterrupt
        create(connection, schema, name, *rest)

    monkeypatch.setattr(duckdb, "_create", interrupted)
    with pytest.raises(KeyboardInterrupt):
        to_duckdb(study(), connection, "new")
    assert tables(connection) == set()
    connection.begin()
    connection.rollback()


def test_a_transaction_of_the_caller_is_left_alone(connection):
    connection.begin()
    connection.execute("CREATE TABLE mine (x INTEGER)")
    with refused(ExchangeError, "DuckDB", "transaction"):
        to_duckdb(study(), connection)
    connection.commit()
    assert tables(connection) == {"mine"}


@pytest.mark.parametrize(
    ("schema", "parts"),
    [
        (Schema("S", ["E", "e"]), ["'E' from 'e'", "tables"]),
        (Schema("S", ["E"], {"f": ("E", "E"), "F": ("E", "E")}), ["'f' from 'F'", "columns of E"]),
    ],
)
def test_names_that_differ_in_case_alone_are_refused(connection, schema, parts):
    with refused(ExchangeError, "DuckDB does not tell", *parts):
        to_duckdb(ACSet(schema), connection)
    assert tables(connection) == set()


@pytest.mark.parametrize(
    ("statement", "parts"),
    [
        ('DROP TABLE "SimEnv"', ["table SimEnv is missing"]),
        ('DELETE FROM "SimEnv" WHERE "_id" = 1', ["SimEnv", "_id 3", "0..2"]),
        ('ALTER TABLE "SimEnv" DROP COLUMN "seed"', ["SimEnv: column 'seed' is missing"]),
        ('ALTER TABLE "SimEnv" ADD COLUMN "extra" INTEGER', ["SimEnv: unknown column 'extra'"]),
        ('ALTER TABLE "SimEnv" ALTER "seed" TYPE VARCHAR', ["SimEnv: column 'seed' is string", "integers"]),
        ('UPDATE "Policy" SET "transfer" = 5 WHERE "_id" = 1', ["Policy row _id=1", "'transfer' points to Policy 5"]),
    ],
)
def test_tables_that_were_changed_are_refused(connection, statement, parts):
    to_duckdb(study(), connection)
    connection.execute(statement)
    with refused(ExchangeError, "DuckDB: ", *parts):
        ACSet.from_duckdb(STUDY, connection)


def test_a_closed_connection_is_refused():
    connection = duckdb.connect()
    connection.close()
    with refused(ExchangeError, "DuckDB", "closed"):
        to_duckdb(study(), connection)
    with refused(ExchangeError, "DuckDB", "closed"):
        ACSet.from_duckdb(STUDY, connection)


def test_without_duckdb_the_remedy_is_named(connection, monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    for call in (lambda: to_duckdb(study(), connection), lambda: ACSet.from_duckdb(STUDY, connection)):
        with refused(EngineError, "duckdb is not installed", "pip install duckdb"):
            call()
