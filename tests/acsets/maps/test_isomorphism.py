import itertools

import networkx
import numpy as np
import pytest
from acset_strategies import FIXED, acsets, refused, study
from hypothesis import given, settings
from hypothesis import strategies as st
from morphism_strategies import QUICK, several

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.maps.isomorphism import forced_images, isomorphisms, sort_sizes
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import InstanceError

GRAPH = Schema("Graph", obs=["V", "E"], homs={"src": ("E", "V"), "tgt": ("E", "V")})
BARE = Schema("Bare", obs=["A", "B"], homs={"f": ("A", "B"), "g": ("B", "B")})


def renumbered(x, orders, variables):
    """The same instance with its parts and variables in other orders."""
    y, _ = x.restrict(orders)
    for name, (ob, kind) in x.schema.attrs.items():
        values = [y.subpart(name, part) for part in range(y.nparts(ob))]
        values = [Var(variables[kind].index(value.k)) if isinstance(value, Var) else value for value in values]
        y.set(ob, y.parts(ob), **{name: values})
    return y


def shuffled(x, rng):
    orders = {ob: rng.permutation(x.nparts(ob)) for ob in x.schema.obs}
    return renumbered(x, orders, {kind: rng.permutation(x.nvars(kind)).tolist() for kind in x.schema.attrtypes})


def graph(n, edges):
    x = ACSet(GRAPH)
    x.add_parts("V", n)
    edges = list(edges)
    x.add_parts("E", len(edges), src=[a for a, _ in edges], tgt=[b for _, b in edges])
    return x


def isomorphic_by_force(x, y):
    orders = [[(ob, order) for order in itertools.permutations(range(x.nparts(ob)))] for ob in x.schema.obs]
    return any(x.restrict({ob: list(o) for ob, o in choice}).instance == y for choice in itertools.product(*orders))


@FIXED
@given(acsets(), st.data())
def test_the_numbering_does_not_matter(x, data):
    orders = {ob: data.draw(st.permutations(range(x.nparts(ob)))) for ob in x.schema.obs}
    variables = {kind: data.draw(st.permutations(range(x.nvars(kind)))) for kind in x.schema.attrtypes}
    form = x.canonical()
    assert renumbered(x, orders, variables).canonical() == form
    assert form.canonical() == form


@settings(FIXED, max_examples=30)
@given(acsets(BARE), acsets(BARE))
def test_equal_forms_are_isomorphic_instances(x, y):
    same_size = all(x.nparts(ob) == y.nparts(ob) for ob in BARE.obs)
    assert (x.canonical() == y.canonical()) == (same_size and isomorphic_by_force(x, y))
    if x.nparts("A") * x.nparts("B") <= 9:
        assert isomorphic_by_force(x, x.canonical())


def cycle(n):
    return [(i, (i + 1) % n) for i in range(n)]


def both_ways(edges):
    return [(a, b) for pair in edges for a, b in (pair, pair[::-1])]


ROOK = [
    (4 * a + b, 4 * c + d)
    for a, b, c, d in itertools.product(range(4), repeat=4)
    if (a, b) != (c, d) and (a == c or b == d)
]
SHRIKHANDE = [
    (4 * a + b, 4 * ((a + c) % 4) + (b + d) % 4)
    for a, b in itertools.product(range(4), repeat=2)
    for c, d in [(0, 1), (0, 3), (1, 0), (3, 0), (1, 1), (3, 3)]
]
PETERSEN = both_ways([*cycle(5), *((i, i + 5) for i in range(5)), *((5 + i, 5 + (i + 2) % 5) for i in range(5))])


def regular(seed):
    """A cubic graph in which refinement sees nothing and few vertices are alike."""
    return both_ways(networkx.random_regular_graph(3, 14, seed=seed).edges)


@pytest.mark.parametrize(
    ("n", "edges"),
    [
        (12, both_ways(networkx.frucht_graph().edges)),
        *((14, regular(seed)) for seed in range(4)),
        (12, [*cycle(3), *((a + 3, b + 3) for a, b in cycle(5)), *((a + 8, b + 8) for a, b in cycle(4))]),
        (12, cycle(12)),
        (12, both_ways(cycle(12))),
        (8, [(a, b) for a in range(8) for b in range(8) if a != b]),
        (10, PETERSEN),
        (16, ROOK),
        (16, SHRIKHANDE),
        (8, both_ways([(a, a ^ bit) for a in range(8) for bit in (1, 2, 4) if a < a ^ bit])),
        (9, [*cycle(3), *((a + 3, b + 3) for a, b in cycle(3)), *((a + 6, b + 6) for a, b in cycle(3))]),
        (15, [(0, i) for i in range(1, 15)]),
    ],
)
def test_symmetric_graphs(n, edges):
    x = graph(n, edges)
    rng = np.random.default_rng(0)
    form = x.canonical()
    assert all(shuffled(x, rng).canonical() == form for _ in range(3))


@settings(FIXED, max_examples=20)
@given(st.data())
def test_endomorphisms_have_a_direction(data):
    n = data.draw(st.integers(5, 8))
    x = ACSet(Schema("Dynamics", ["X"], {"f": ("X", "X"), "g": ("X", "X")}))
    maps = data.draw(st.permutations(range(n))), data.draw(st.permutations(range(n)))
    x.add_parts("X", n, f=maps[0], g=maps[1])
    assert shuffled(x, np.random.default_rng(data.draw(st.integers(0, 99)))).canonical() == x.canonical()
    back = ACSet(x.schema)
    back.add_parts("X", n, f=np.argsort(maps[0]), g=np.argsort(maps[1]))
    if n == 5:
        orders = map(list, itertools.permutations(range(n)))
        same = any(x.restrict({"X": order}).instance == back for order in orders)
        assert (x.canonical() == back.canonical()) == same


def test_the_two_ends_of_a_chain_are_not_alike():
    x = ACSet(Schema("Dynamics", ["X"], {"f": ("X", "X")}))
    x.add_parts("X", 3, f=[1, 2, None])
    forms = [x.restrict({"X": list(order)}).instance.canonical() for order in itertools.permutations(range(3))]
    assert all(form == forms[0] for form in forms)


def test_variables_are_renumbered_as_the_form_says():
    x = ACSet(Schema("Unknowns", ["X"], {}, {"T": int, "N": int}, {"t": ("X", "T"), "n": ("X", "N")}))
    x.add_vars("T", 5)
    x.add_parts("X", 6, t=[Var(3), Var(0), Var(4), Var(1), Var(2), Var(3)], n=range(6))
    form = x.canonical()
    first = {form.subpart("t", i): form.subpart("n", i) for i in range(6)}
    assert {form.subpart("n", i) for i in range(6) if form.subpart("t", i) == form.subpart("t", 0)} == {0, 5}
    assert len(first) == 5
    rng = np.random.default_rng(0)
    assert all(shuffled(x, rng).canonical() == form for _ in range(5))


def test_what_refinement_cannot_tell_apart_the_search_does():
    assert graph(6, cycle(6)).canonical() != graph(6, cycle(3) + [(a + 3, b + 3) for a, b in cycle(3)]).canonical()
    assert graph(16, ROOK).canonical() != graph(16, SHRIKHANDE).canonical()


def test_many_parts_that_nothing_tells_apart_take_no_search():
    x = ACSet(Schema("Fans", ["E", "P", "R"], {"train": ("E", "P"), "deploy": ("P", "R")}))
    x.add_parts("R", 2000)
    x.add_parts("P", 300, deploy=0)
    x.add_parts("E", 900, train=np.arange(900) % 300)
    form = x.canonical(limit=0)
    assert form == shuffled(x, np.random.default_rng(1)).canonical(limit=0)


def test_values_and_variables_count():
    x = study()
    form = x.canonical()
    y = x.copy()
    y.set("Policy", 1, kl_gap=0.71)
    assert y.canonical() != form
    y = x.copy()
    y.set("Policy", 2, kl_gap=Var(0))  # another name of an unknown value
    assert y != x
    assert y.canonical() == form
    y.set("Policy", 1, kl_gap=Var(0))
    z = y.copy()
    z.set("Policy", 1, kl_gap=Var(1))
    assert z.canonical() != y.canonical()
    assert sorted(form.column("seed").tolist(), key=str) == [10, 7, 8, None]


def test_nothing_has_a_form():
    assert ACSet(GRAPH).canonical() == ACSet(GRAPH)
    assert ACSet(Schema("None")).canonical() == ACSet(Schema("None"))


def test_too_much_symmetry_is_said_to_be_so():
    x = graph(16, SHRIKHANDE)
    with refused(InstanceError, "canonical", "symmetric", "3 choices", "attribute", "limit"):
        x.canonical(limit=2)
    huge = graph(104, [(a, b) for a in range(104) for b in range(104) if a != b])
    with refused(InstanceError, "canonical", "symmetric"):
        huge.canonical()


@QUICK
@given(several(1, 3), st.data())
def test_forced_images_are_those_of_every_isomorphism(drawn, data):
    (x,) = drawn
    order = {ob: data.draw(st.permutations(x.parts(ob).tolist())) for ob in x.schema.obs}
    y = x.restrict(order).instance
    forced, left = forced_images(x, y, {})
    found = list(isomorphisms(x, y, {}))
    assert found
    assert left == sum(sort_sizes(x).values()) - sum(map(len, forced.values()))
    assert (left == 0) <= (len(found) == 1)
    for sort, images in forced.items():
        for part, image in images.items():
            assert {int(each[sort][part]) for each in found} == {image.k if isinstance(image, Var) else image}
