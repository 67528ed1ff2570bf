"""Both engines against trying every assignment, on random instances and queries."""

from collections import Counter

from acset_strategies import FIXED
from hypothesis import given, settings
from query_strategies import by_trying, plain, queries

from sim2real_cat.acsets.query.engine import answer, answers, count
from sim2real_cat.acsets.query.text import parse
from sim2real_cat.acsets.schema import Schema

GRAPH = Schema("Graph", ["V", "E"], {"src": ("E", "V"), "tgt": ("E", "V")})


@settings(FIXED, max_examples=400)
@given(queries())
def test_numpy_finds_what_trying_finds(case):
    x, asked, params = case
    expected = by_trying(x, asked, params)
    assert list(map(plain, answer(x, asked, params, engine="numpy"))) == expected
    assert count(x, asked, params, engine="numpy") == len(expected)
    blocks = list(answers(x, asked, params, block=2))
    assert Counter(plain(row) for block in blocks for row in block) == Counter(expected)
    assert all(len(block) for block in blocks)


@settings(FIXED, max_examples=60)
@given(queries())
def test_duckdb_finds_what_trying_finds(case):
    x, asked, params = case
    expected = by_trying(x, asked, params)
    assert list(map(plain, answer(x, asked, params, engine="duckdb"))) == expected
    assert count(x, asked, params, engine="duckdb") == len(expected)


@settings(FIXED, max_examples=60)
@given(queries())
def test_distinct_rows_are_the_set_of_rows_sorted(case):
    x, asked, params = case
    expected = set(by_trying(x, asked, params))
    table = answer(x, asked, params, distinct=True, engine="numpy")
    rows = list(map(plain, table))
    assert len(rows) == len(expected)
    assert set(rows) == expected
    assert [row for row in rows if "nan" not in row] == sorted(row for row in rows if "nan" not in row)
    assert count(x, asked, params, distinct=True) == len(expected)
    assert list(map(plain, answer(x, asked, params, distinct=True, engine="duckdb"))) == rows


@FIXED
@given(queries())
def test_a_query_says_itself(case):
    _, asked, _ = case
    where = " and ".join(map(str, asked.comparisons))
    assert parse(str(asked), asked.out, where) == asked
