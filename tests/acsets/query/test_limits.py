"""Both engines at their limits: sizes, missing packages, large counts."""

import sys

import numpy as np
import pytest
from acset_strategies import refused, study

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.query import duckdb
from sim2real_cat.acsets.query import engine as engines
from sim2real_cat.acsets.query.engine import answer, answers, count, query
from sim2real_cat.acsets.query.join import Join, row_keys, sorted_by
from sim2real_cat.acsets.query.text import parse
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import EngineError, InstanceError, SchemaError

GRAPH = Schema("Graph", ["V", "E"], {"src": ("E", "V"), "tgt": ("E", "V")})
BOTH = pytest.mark.parametrize("engine", ["numpy", "duckdb"])


def complete(n):
    """The graph with an edge from each of n vertices to each."""
    graph = ACSet(GRAPH)
    graph.add_parts("V", n)
    source, target = np.divmod(np.arange(n * n), n)
    graph.add_parts("E", n * n, src=source, tgt=target)
    return graph


def random_graph(vertices, edges):
    graph = ACSet(GRAPH)
    graph.add_parts("V", vertices)
    ends = np.random.default_rng(5).integers(0, vertices, (2, edges))
    graph.add_parts("E", edges, src=ends[0], tgt=ends[1])
    return graph


def path(n):
    return ", ".join(f"E(src=v{i}, tgt=v{i + 1})" for i in range(n))


def test_counts_beyond_64_bits_are_exact():
    assert count(complete(60), parse(path(12)), engine="numpy") == 60**13
    assert count(complete(60), parse("V(), " * 11 + "V()")) == 60**12


@pytest.mark.parametrize(("vertices", "edges", "steps"), [(500, 20_000, 6), (30, 217, 20), (30, 217, 30)])
def test_what_is_merged_in_the_count_stays_small_and_exact(vertices, edges, steps):
    graph = random_graph(vertices, edges)
    adjacency = np.zeros((vertices, vertices), object)
    np.add.at(adjacency, (graph.column("src"), graph.column("tgt")), 1)
    walks = np.ones(vertices, object)
    for _ in range(steps):
        walks = adjacency.dot(walks)
    assert count(graph, parse(path(steps)), engine="numpy") == walks.sum()


def test_many_ways_for_one_value_are_exact():
    loops = ACSet(GRAPH)
    loops.add("V")
    loops.add_parts("E", 101, src=0, tgt=0)
    assert count(loops, parse(", ".join(["E(src=a)"] * 11))) == 101**11


@BOTH
def test_selections_at_both_ends_meet(engine):
    graph = random_graph(40, 400)
    body = "V(_id=a), E(_id=e, src=a, tgt=b), E(_id=f, src=b, tgt=c), V(_id=c)"
    edges = list(zip(graph.column("src").tolist(), graph.column("tgt").tolist(), strict=True))
    expected = [
        (e, f)
        for e, (a, b) in enumerate(edges)
        for f, (source, c) in enumerate(edges)
        if a == 7 and source == b and c in (3, 4)
    ]
    assert len(expected) == 3
    where = "c >= 3 and c <= 4"
    assert list(query(graph, body, ["e", "f"], where=where, params={"a": 7}, engine=engine)) == expected
    assert list(query(graph, body, ["e", "f"], where=f"{where} and a > 6 and a < 8", engine=engine)) == expected


def test_a_product_is_counted_part_by_part():
    graph = complete(100)
    assert count(graph, parse("E(), E(), E(src=a, tgt=b), V(_id=b)")) == 100**6
    assert count(graph, parse("E(src=a), E(tgt=b)", None, "a < b")) == 100**2 * 100 * 99 // 2


def test_triangles_by_every_way():
    graph = random_graph(60, 400)
    body = "V(_id=a), V(_id=b), V(_id=c), E(src=a, tgt=b), E(src=b, tgt=c), E(src=c, tgt=a)"
    adjacency = np.zeros((60, 60), int)
    np.add.at(adjacency, (graph.column("src"), graph.column("tgt")), 1)
    triangles = int(np.trace(np.linalg.matrix_power(adjacency, 3)))
    assert triangles > 20
    assert len(query(graph, body, engine="numpy")) == triangles
    assert query(graph, body, engine="numpy") == query(graph, body, engine="duckdb")
    blocks = list(answers(graph, parse(body), block=7))
    assert len(blocks) > 3
    assert sorted(row for block in blocks for row in block) == sorted(query(graph, body))
    for engine in ("numpy", "duckdb", "auto"):
        assert count(graph, parse(body), engine=engine) == triangles


def test_a_key_too_sparse_for_a_table_is_searched():
    graph = random_graph(3000, 4000)
    body, where = "E(_id=e, src=a, tgt=b), E(_id=f, src=b, tgt=a)", "e != f"
    pairs = {}
    for e, ends in enumerate(zip(graph.column("src").tolist(), graph.column("tgt").tolist(), strict=True)):
        pairs.setdefault(ends, []).append(e)
    expected = [(e, f) for (a, b), es in pairs.items() for e in es for f in pairs.get((b, a), ()) if e != f]
    assert expected
    assert list(query(graph, body, ["e", "f"], where=where, engine="numpy")) == sorted(expected)


@BOTH
def test_a_key_of_more_than_62_bits_is_found_in_two_parts(engine):
    homs = dict.fromkeys("abcd", ("E", "V"))
    x = ACSet(Schema("Wide", ["V", "E"], homs))
    x.add_parts("V", 70_000)
    ends = np.random.default_rng(2).integers(0, 70_000, (4, 40))
    x.add_parts("E", 80, **{name: np.concatenate([ends[k], ends[k]]) for k, name in enumerate("abcd")})
    x.set("E", 79, d=(x.subpart("d", 79) + 1) % 70_000)
    arguments = "a=a, b=b, c=c, d=d"
    rows = list(query(x, f"E(_id=e, {arguments}), E(_id=f, {arguments})", ["e", "f"], where="e < f", engine=engine))
    assert rows == [(k, k + 40) for k in range(39)]


@BOTH
def test_rows_are_in_the_order_of_the_atoms_whatever_is_joined_first(engine):
    graph = random_graph(20, 50)
    for body in ("V(_id=v), E(_id=e, tgt=v)", "E(_id=e, tgt=v), V(_id=v)", "E(_id=e, tgt=v), E(_id=f, src=v)"):
        out = ["e", "f"] if "f" in body else ["v", "e"] if body.startswith("V") else ["e"]
        rows = list(query(graph, body, out, engine=engine))
        assert len(rows) > 30
        assert rows == sorted(rows)


@BOTH
def test_too_many_rows_are_refused(engine):
    graph = complete(30)
    asked = parse("E(src=a), E(tgt=b)")
    with refused(InstanceError, "more than 1,000 rows", "limit="):
        answer(graph, asked, engine=engine, limit=1000)
    assert len(answer(graph, asked, engine=engine, distinct=True, limit=1000)) == 900
    with refused(InstanceError, "more than 899 rows"):
        answer(graph, asked, engine=engine, distinct=True, limit=899)


@BOTH
def test_repeated_rows_do_not_count_against_the_limit_of_distinct_ones(engine):
    graph = ACSet(GRAPH)
    graph.add_parts("V", 1000)
    graph.add_parts("E", 100, src=[0] * 50 + [1] * 50, tgt=[1] * 50 + [2] * 50)
    asked = parse("E(src=a, tgt=b), E(src=b, tgt=c)", ("a", "c"))
    assert list(answer(graph, asked, engine=engine, distinct=True, limit=1000)) == [(0, 2)]
    with refused(InstanceError, "more than 1,000 rows"):
        answer(graph, asked, engine=engine, limit=1000)


def test_without_duckdb_numpy_answers(monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    monkeypatch.setattr(engines, "THRESHOLD", -1e9)
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    assert len(query(study(), "Policy(_id=p)")) == 3
    with refused(EngineError, "pip install 'sim2real-cat[duckdb]'"):
        query(study(), "Policy(_id=p)", engine="duckdb")


def test_auto_goes_to_duckdb_where_much_is_made_on_the_way(monkeypatch):
    graph, asked = random_graph(30, 200), parse(path(3), (), "v0 != v3")
    called = []
    for name, engine in ((duckdb, "count"), (Join, "count")):
        original = getattr(name, engine)
        monkeypatch.setattr(name, engine, lambda *given, f=original, n=name: (called.append(n), f(*given))[1])
    small = count(graph, asked)
    monkeypatch.setattr(engines, "THRESHOLD", -1e9)
    assert count(graph, asked) == small
    assert called == [Join, duckdb]


def test_auto_stays_where_merging_saves_most_of_the_rows(monkeypatch):
    monkeypatch.setattr(engines, "THRESHOLD", -1e9)
    monkeypatch.setattr(duckdb, "count", None)
    assert count(complete(20), parse(path(9))) == 20**10


@BOTH
def test_a_part_that_is_looked_up_has_the_arrows_that_are_known(engine):
    body = "Policy(_id=p, transfer=q, deploy=r), Policy(_id=q, deploy=r)"
    assert list(query(study(), body, engine=engine)) == [(0, 0, 1)]


def test_an_unknown_engine_is_refused():
    with refused(EngineError, "'sqlite'", "auto, numpy, duckdb, catlab"):
        query(study(), "Policy(_id=p)", engine="sqlite")


@pytest.mark.parametrize("size", [50, 2**21, 2**40])
def test_rows_are_sorted_whatever_their_keys_take(size):
    columns = list(np.random.default_rng(1).integers(0, size, (4, 300)))
    columns[0][:] %= 5
    keys = row_keys(columns, [size] * 4, 300)
    order, in_order = sorted_by(keys, np.arange(300), 300)
    rows = list(zip(*columns, strict=True))
    assert [rows[k] for k in order] == sorted(rows)
    assert np.array_equal(in_order, keys[order])
    assert np.array_equal(np.argsort(keys), order)


# What `explain` says


@pytest.mark.parametrize(
    ("threshold", "installed", "engine", "said"),
    [
        (1e6, True, "auto", "numpy answers: it suits about 400 rows on the way better than DuckDB."),
        (-1e9, True, "auto", "DuckDB answers: it suits about 400 rows on the way better than numpy."),
        (
            -1e9,
            False,
            "auto",
            "numpy answers: DuckDB, which is not installed, would suit about 400 rows on the way better.",
        ),
        (1e6, True, "duckdb", "DuckDB answers, asked for by name."),
        (-1e9, True, "numpy", "numpy answers, asked for by name."),
        (1e6, True, "catlab", "Catlab answers, asked for by name, by a plan of pullbacks in SkelFinSet."),
    ],
)
def test_the_engine_that_answers_is_explained(monkeypatch, threshold, installed, engine, said):
    monkeypatch.setattr(engines, "THRESHOLD", threshold)
    monkeypatch.setattr(engines, "find_spec", lambda name: installed or None)
    assert random_graph(200, 200).explain(path(2), engine=engine).splitlines()[0] == said


def test_the_order_of_the_atoms_is_explained():
    graph = random_graph(100, 1000)
    where = "w == $end and u < v and v == t"
    body = "E(src=u, tgt=v), E(_id=f, src=t, tgt=w), V(), V(_id=w)"
    assert graph.explain(body, ["f"], where=where, params={"end": 7}, engine="numpy").splitlines() == [
        "numpy answers, asked for by name.",
        "E(src=u, tgt=v), to begin with: 513 of 1,000 parts, about 513 rows.",
        "E(_id=f, src=t, tgt=w), joined by v: 14 of 1,000 parts, about 72 rows.",
        "V(_id=w), joined by w: 1 of 100 parts, about 1 row.",
        "V(), each part with each row: 100 of 100 parts, about 100 rows.",
        "The parts of the atoms sort the rows, as they come.",
    ]
    assert graph.explain(body, engine="duckdb").endswith("\nThe parts of the atoms sort the rows, at the end.")


def test_what_is_not_joined_is_explained():
    assert study().explain("") == "There is nothing to join: numpy answers."
    assert study().explain("Policy(_id=p, deploy=r)").splitlines()[1:] == [
        "Policy(_id=p, deploy=r), to begin with: 2 of 3 parts, about 2 rows.",
        "The parts of the atoms sort the rows, as they come.",
    ]


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"body": "Polcy()"}, SchemaError),
        ({"body": "Policy(_id=p)", "out": "p"}, SchemaError),
        ({"body": "Policy(_id=$p)"}, SchemaError),
        ({"body": "Policy(_id=$p)", "params": {"p": 3}}, InstanceError),
        ({"body": "Policy(_id=p)", "engine": "sqlite"}, EngineError),
    ],
)
def test_what_cannot_be_answered_cannot_be_explained(asked, error):
    with pytest.raises(error) as one:
        study().explain(**asked)
    with pytest.raises(error) as other:
        study().query(**asked)
    assert str(one.value) == str(other.value)
