"""Queries by plans of pullbacks: what Catlab is asked, how much of it, and that its own `query` says the same."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from acset_strategies import FIXED, refused
from hypothesis import assume, given, settings
from query_strategies import by_trying, plain, queries
from relation_queries import is_comparable, parameters_of, rows_by_query, with_parts

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.catlab import finite_sets, julia
from sim2real_cat.acsets.codecs import Codec
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.maps import homomorphisms
from sim2real_cat.acsets.maps.homomorphisms import count_homomorphisms
from sim2real_cat.acsets.query.engine import answer, count
from sim2real_cat.acsets.query.text import parse
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import EngineError, InstanceError

GRAPH = Schema("Graph", ["V", "E"], {"src": ("E", "V"), "tgt": ("E", "V")})
PATHS = "E(_id=e, src=a, tgt=b), E(_id=f, src=b, tgt=c)"


def graph(vertices, src, tgt):
    x = ACSet(GRAPH)
    x.add_parts("V", vertices)
    x.add_parts("E", len(src), src=src, tgt=tgt)
    return x


def random_graph(vertices, edges):
    return graph(vertices, *np.random.default_rng(0).integers(0, vertices, (2, edges)))


def complete(vertices):
    return graph(vertices, np.repeat(np.arange(vertices), vertices), np.tile(np.arange(vertices), vertices))


@pytest.fixture
def asked(catlab_engine, monkeypatch):
    """The calls to Julia: the function, and the numbers of elements on both sides."""
    made = []
    call = julia.call

    def recorded(function, *arguments):
        made.append((function, *(len(a) for a in arguments if isinstance(a, np.ndarray))))
        return call(function, *arguments)

    monkeypatch.setattr(julia, "call", recorded)
    return made


@settings(FIXED, max_examples=25)
@given(queries())
def test_pullbacks_find_what_trying_finds(catlab_engine, case):
    x, query, params = case
    expected = by_trying(x, query, params)
    assert list(map(plain, answer(x, query, params, engine="catlab"))) == expected
    assert count(x, query, params, engine="catlab") == len(expected)
    distinct = answer(x, query, params, distinct=True, engine="catlab")
    assert list(map(plain, distinct)) == list(map(plain, answer(x, query, params, distinct=True, engine="numpy")))


@settings(FIXED, max_examples=25)
@given(queries())
def test_catlabs_own_query_gives_the_same_rows(catlab_engine, case):
    """On what both mean alike; `relation_queries` says where they differ."""
    x, drawn, given_params = case
    query = with_parts(drawn)
    params = parameters_of(query, given_params)
    assume(query.atoms and is_comparable(x, query, params))
    assert rows_by_query(x, query, params) == Counter(answer(x, query, params, engine="catlab"))


def test_a_path_is_one_pullback_for_each_atom(asked):
    x = random_graph(30, 100)
    table = x.query(PATHS, engine="catlab")
    assert table == x.query(PATHS, engine="numpy")
    assert asked == [("pullback_of_sets", 1, 100), ("pullback_of_sets", 100, 100)]


def test_parts_with_one_key_are_counted_together(asked):
    """Counting asks for as many rows as there are edges, not as there are paths."""
    x = complete(20)
    assert count(x, parse(PATHS), engine="catlab") == 20**3
    assert asked == [("pullback_of_sets", 1, 400), ("pullback_of_sets", 20, 20)]


def test_a_key_of_several_columns_is_one_number_below_their_count(catlab_engine, monkeypatch):
    """So no row is made that does not agree in all of them."""
    x = random_graph(3000, 4000)
    body = "E(_id=e, src=a, tgt=b), E(_id=f, src=b, tgt=a)"
    made = []
    pullback = finite_sets.pullback

    def recorded(left, right, size):
        rows = pullback(left, right, size)
        made.append((size, len(rows[0])))
        return rows

    monkeypatch.setattr(finite_sets, "pullback", recorded)
    found = x.query(body, engine="catlab")
    assert found == x.query(body, engine="numpy")
    assert made[0] == (1, 4000)
    assert made[1][0] <= 8000
    assert made[1][1] == len(found) > 0


def test_nothing_is_asked_where_nothing_fits(asked):
    x = graph(4, [0, 0], [1, 2])
    assert len(x.query("E(src=a, tgt=a)", engine="catlab")) == 0
    assert asked == []
    assert x.query(PATHS, engine="catlab") == x.query(PATHS, engine="numpy")
    assert len(asked) == 1


def test_rows_come_in_blocks(asked, monkeypatch):
    x = random_graph(30, 200)
    expected = x.query(PATHS, engine="numpy")
    monkeypatch.setattr(finite_sets, "ROWS", 100)
    assert x.query(PATHS, engine="catlab") == expected
    assert len(asked) > 10


def test_catlabs_order_of_rows_does_not_matter(catlab_engine, monkeypatch):
    x = random_graph(30, 200)
    pullback = finite_sets.pullback
    monkeypatch.setattr(finite_sets, "pullback", lambda f, g, n: tuple(column[::-1] for column in pullback(f, g, n)))
    assert x.query(PATHS, engine="catlab") == x.query(PATHS, engine="numpy")


def test_an_answer_beyond_the_limit_is_refused_before_catlab_is_asked(asked):
    x, body = complete(30), parse("E(src=a), E(tgt=b)", None, "a <= b")
    for engine in ("numpy", "catlab"):
        with refused(InstanceError, "more than 1,000 rows", "limit="):
            answer(x, body, engine=engine, limit=1000)
    assert asked == []
    assert len(answer(x, body, engine="catlab", distinct=True, limit=1000)) == 465
    with refused(InstanceError, "more than 464 rows"):
        answer(x, body, engine="catlab", distinct=True, limit=464)


def test_too_many_rows_on_the_way_are_refused_before_catlab_is_asked_for_them(asked, monkeypatch):
    monkeypatch.setattr(finite_sets, "MOST", 5000)
    x = complete(20)
    with refused(EngineError, "50,000,000", "this one makes at least 160,400", "ask the embedded engine"):
        x.query("E(src=a), E(tgt=b)", where="a < b and b < a", engine="catlab")
    assert asked == [("pullback_of_sets", 1, 400)]
    assert len(x.query("E(src=a), E(tgt=b)", where="a < b and b < a", engine="numpy")) == 0


# Counts of homomorphisms by joins


@pytest.mark.parametrize(
    ("pattern", "number"),
    [
        (graph(1, [], []), 50),
        (graph(2, [0], [1]), 300),
        (graph(3, [0], [1]), 300 * 50),
        (graph(3, [0, 1], [1, 2]), None),
        (graph(2, [0, 1], [1, 0]), None),
    ],
)
def test_morphisms_from_small_instances_are_counted_by_joins(asked, pattern, number):
    target = random_graph(50, 300)
    mine = count_homomorphisms(pattern, target)
    assert number in (None, mine)
    for one, other in ((pattern.to_engine("catlab"), target), (pattern, target.to_engine("catlab"))):
        asked.clear()
        assert count_homomorphisms(one, other) == mine
        edges = pattern.nparts("E") > 0
        assert {function for function, *_ in asked} == ({"pullback_of_sets"} if edges else set())


def test_injective_morphisms_and_costly_plans_are_searched_for(asked, monkeypatch):
    edge, target = graph(2, [0], [1]), random_graph(6, 12)
    for ask in ({"monic": True}, {"iso": ["V"]}):
        asked.clear()
        assert count_homomorphisms(edge.to_engine("catlab"), target, **ask) == count_homomorphisms(edge, target, **ask)
        assert "pullback_of_sets" not in {function for function, *_ in asked}
    asked.clear()
    monkeypatch.setattr(homomorphisms, "_JOINED", 11)
    assert count_homomorphisms(edge.to_engine("catlab"), target) == 12
    assert "pullback_of_sets" not in {function for function, *_ in asked}


def test_values_of_a_codec_are_joined_in_catlab(catlab_engine):
    """An instance with a codec does not live in Catlab, but its queries can be answered there: only ids cross."""
    x = ACSet(Schema("Ratios", ["X"], {}, {"Q": Codec(Fraction, str, Fraction)}, {"q": ("X", "Q"), "r": ("X", "Q")}))
    x.add_vars("Q", 1)
    third = Fraction(1, 3)
    x.add_parts("X", 4, q=[third, 2 * third, Var(0), None], r=[Fraction(2, 6), third, Var(0), None])
    asked = parse("X(_id=a, q=v), X(_id=b, r=v)", ("a", "b", "v"))
    assert list(answer(x, asked, engine="catlab")) == [(0, 0, third), (0, 1, third)]
    assert answer(x, asked, engine="catlab") == answer(x, asked, engine="numpy")


def test_a_query_is_explained_by_its_plan_of_pullbacks(catlab):
    assert catlab(graph(3, [0, 1], [1, 2])).explain(PATHS).splitlines() == [
        "Catlab answers, where the instance lives, by a plan of pullbacks in SkelFinSet.",
        "E(_id=e, src=a, tgt=b), to begin with: 2 of 2 parts, about 2 rows.",
        "E(_id=f, src=b, tgt=c), joined by b: 2 of 2 parts, about 1 row.",
        "The parts of the atoms sort the rows, as they come.",
    ]
