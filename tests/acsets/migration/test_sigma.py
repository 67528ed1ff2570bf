"""Pushing instances forward along functors: the adjunction, counted, and chases that end or are ended."""

import itertools
import math

import networkx as nx
import numpy as np
import pytest
from acset_strategies import FIXED, acsets, refused, schemas, study
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from migration_strategies import functors_into

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.migration.delta import delta
from sim2real_cat.acsets.migration.functor import SchemaFunctor
from sim2real_cat.acsets.migration.sigma import left_kan_extension, sigma
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import InstanceError, SchemaError

FEWER = settings(FIXED, max_examples=40)
SET = Schema("Set", ["X"])
GRAPH = Schema("Graph", ["V", "E"], {"src": ("E", "V"), "tgt": ("E", "V")})
WEIGHTED = GRAPH.extend("Weighted", attrtypes={"W": float}, attrs={"weight": ("E", "W"), "mass": ("V", "W")})
DYNAMICS = Schema("Dynamics", ["X"], {"next": ("X", "X")})
REFLEXIVE = GRAPH.extend("Reflexive", homs={"loop": ("V", "E")}, equations=[("loop.src", ""), ("loop.tgt", "")])
CENTRED = Schema(
    "Centred",
    ["A", "B"],
    {"f": ("A", "B"), "g": ("B", "A"), "t": ("A", "A")},
    {"W": int},
    {"w": ("A", "W"), "v": ("B", "W")},
    [("f.g", "t"), ("t.t", "t"), ("g.f", ""), ("f.v", "w")],
)


def acts(*relations):
    """The schema of actions of the monoid with generators a and b and these relations."""
    return Schema("Action", ["X"], {"a": ("X", "X"), "b": ("X", "X")}, equations=relations)


def constants(x, python_type):
    names = [name for name, (_, kind) in x.schema.attrs.items() if x.schema.attrtypes[kind] is python_type]
    return {value for name in names for value in x.column(name).tolist() if value is not None}


def homomorphisms(x, y, universe):
    """The number of homomorphisms between instances, found by trying every function.

    Constants go to themselves and variables to a variable or to a constant of the universe; where `x` has
    no value nothing is asked.
    """
    elements, choices = [], []
    for ob in x.schema.obs:
        elements += [(ob, i) for i in range(x.nparts(ob))]
        choices += [range(y.nparts(ob))] * x.nparts(ob)
    for kind, python_type in x.schema.attrtypes.items():
        elements += [(kind, Var(k)) for k in range(x.nvars(kind))]
        choices += [[*universe[python_type], *(Var(k) for k in range(y.nvars(kind)))]] * x.nvars(kind)
    assume(math.prod(map(len, choices)) <= 2000)
    conditions = [
        ((dom, i), (codom, value), value, [y.subpart(name, j) for j in range(y.nparts(dom))])
        for name, (dom, codom) in {**x.schema.homs, **x.schema.attrs}.items()
        for i in range(x.nparts(dom))
        if (value := x.subpart(name, i)) is not None
    ]
    total = 0
    for images in itertools.product(*choices):
        image = dict(zip(elements, images, strict=True))
        total += all(column[image[part]] == image.get(target, value) for part, target, value, column in conditions)
    return total


def totalised(x):
    """The instance with every undefined hom or attribute set to the first part or to some value."""
    for name, (ob, codom) in {**x.schema.homs, **x.schema.attrs}.items():
        gaps = [i for i in range(x.nparts(ob)) if x.subpart(name, i) is None]
        if gaps:
            assume(codom in x.schema.attrtypes or x.nparts(codom))
            value = x.schema.attrtypes[codom]() if codom in x.schema.attrtypes else 0
            x.set(ob, gaps, **{name: [value] * len(gaps)})
    return x


def lawful(x):
    return all(
        [x.subpart(left.arrows, i, ob=left.dom) for i in range(x.nparts(left.dom))]
        == [x.subpart(right.arrows, i, ob=right.dom) for i in range(x.nparts(right.dom))]
        for left, right in x.schema.equations
    )


@st.composite
def adjoint_pairs(draw, codoms):
    """A functor F, an instance of its domain, its extension, and an instance of its codomain with total homs."""
    f = draw(functors_into(draw(codoms)))
    x = draw(acsets(f.dom))
    try:
        extension = left_kan_extension(f, x, limit=8)
        y = sigma(SchemaFunctor.identity(f.codom), draw(acsets(f.codom)), limit=3)
    except InstanceError:
        assume(False)
    return f, x, extension, y


def check_adjunction(f, x, extension, y):
    universe = {kind: sorted(constants(x, kind) | constants(y, kind), key=repr) for kind in (float, int, str, bool)}
    assert homomorphisms(extension.instance, y, universe) == homomorphisms(x, delta(f, y), universe)


@FEWER
@given(adjoint_pairs(schemas()))
def test_sigma_is_left_adjoint_to_delta(drawn):
    check_adjunction(*drawn)


@FEWER
@given(adjoint_pairs(st.sampled_from([REFLEXIVE, CENTRED, acts(("a.a", "a"), ("a.b", "b"), ("b.b", ""))])))
def test_sigma_is_left_adjoint_to_delta_under_equations(drawn):
    check_adjunction(*drawn)


@FEWER
@given(adjoint_pairs(st.one_of(schemas(), st.just(CENTRED))))
def test_the_result_is_total_and_lawful_and_the_unit_natural(drawn):
    f, x, (instance, unit), _ = drawn
    assert lawful(instance)
    pulled = delta(f, instance)
    for name, (dom, codom) in {**f.codom.homs, **f.codom.attrs}.items():
        assert None not in [instance.subpart(name, i) for i in range(instance.nparts(dom))], (name, codom)
    for name, (dom, codom) in f.dom.homs.items():
        for i in range(x.nparts(dom)):
            if (target := x.subpart(name, i)) is not None:
                assert pulled.subpart(name, int(unit[dom][i])) == unit[codom][target]
    for name, (dom, _) in f.dom.attrs.items():
        for i in range(x.nparts(dom)):
            value = x.subpart(name, i)
            if value is not None and not isinstance(value, Var):
                assert pulled.subpart(name, int(unit[dom][i])) == value


@FIXED
@given(acsets())
def test_along_the_identity_a_total_instance_stays_as_it_is(x):
    assert sigma(SchemaFunctor.identity(x.schema), totalised(x)) == x


def points(n):
    x = ACSet(SET)
    x.add_parts("X", n)
    return x


@pytest.mark.parametrize(
    ("relations", "order"),
    [
        ([("a.a", "a"), ("b", "a")], 2),
        ([("a.a.a.a.a", ""), ("b", "")], 5),
        ([("a.a", ""), ("b.b", ""), ("a.b", "b.a")], 4),
        ([("a.a", ""), ("b.b.b", ""), ("a.b.a.b", "")], 6),
        ([("a.a", ""), ("b.b.b", ""), ("a.b.a.b.a.b.a.b", "")], 24),
        ([("a.a", ""), ("b.b.b", ""), ("a.b.a.b.a.b.a.b.a.b", "")], 60),
        ([("a.a.a", "a"), ("b", "a.a")], 3),
    ],
)
def test_free_actions_have_the_order_of_their_monoid(relations, order):
    """The chase enumerates cosets, as Todd and Coxeter do: cyclic, dihedral, symmetric, alternating groups."""
    codom = acts(*relations)
    for n in (0, 1, 3):
        y = sigma(SchemaFunctor(SET, codom, {"X": "X"}), points(n))
        assert y.nparts("X") == n * order
        assert lawful(y)


def test_what_identified_parts_lead_to_is_identified_too():
    """That a^4 = a^3 = id makes a the identity is found when k already has values at a point and at its image."""
    codom = Schema("Late", ["X", "Y"], {"a": ("X", "X"), "k": ("X", "Y")}, equations=[("a.a.a.a", ""), ("a.a.a", "")])
    y = sigma(SchemaFunctor(SET, codom, {"X": "X"}), points(2))
    assert (y.nparts("X"), y.nparts("Y"), y.column("k").tolist()) == (2, 2, [0, 1])


def test_an_infinite_extension_ends_in_an_error():
    f = SchemaFunctor(SET, DYNAMICS, {"X": "X"})
    assert sigma(f, points(0)).nparts("X") == 0
    with refused(InstanceError, "sigma", "limit=1100", "'next'", "1 parts of 'X'", "infinite"):
        sigma(f, points(1))
    with refused(InstanceError, "limit=5", "3 parts of 'X'"):
        sigma(f, points(3), limit=5)


def test_the_limit_is_the_number_of_new_parts():
    f = SchemaFunctor(SET, acts(("a.a.a.a", ""), ("b", "")), {"X": "X"})
    assert sigma(f, points(2), limit=6).nparts("X") == 8
    with refused(InstanceError, "limit=5"):
        sigma(f, points(2), limit=5)


def test_a_graph_made_of_edges_alone_has_two_vertices_each():
    y = sigma(SchemaFunctor(SET, GRAPH, {"X": "E"}), points(3))
    assert (y.nparts("E"), y.nparts("V")) == (3, 6)
    assert y.column("src").tolist() + y.column("tgt").tolist() == [0, 1, 2, 3, 4, 5]


def test_a_graph_gets_its_loops():
    x = ACSet(GRAPH)
    x.add_parts("V", 2)
    x.add("E", src=0, tgt=1)
    y = sigma(SchemaFunctor.inclusion(GRAPH, REFLEXIVE), x)
    assert (y.nparts("V"), y.column("src").tolist(), y.column("tgt").tolist()) == (2, [0, 0, 1], [1, 0, 1])
    assert y.column("loop").tolist() == [1, 2]


def test_what_is_collapsed_are_the_components():
    """Along the functor that sends both ends of an edge to the identity, a graph goes to its components."""
    rng = np.random.default_rng(0)
    ends = rng.integers(0, 30_000, (2, 20_000))
    x = ACSet(GRAPH)
    x.add_parts("V", 30_000)
    x.add_parts("E", 20_000, src=ends[0], tgt=ends[1])
    f = SchemaFunctor(GRAPH, SET, {"V": "X", "E": "X"}, {"src": "", "tgt": ""})
    y, unit = left_kan_extension(f, x)
    graph = nx.Graph(zip(*ends.tolist(), strict=True))
    graph.add_nodes_from(range(30_000))
    assert y.nparts("X") == nx.number_connected_components(graph)
    assert np.array_equal(unit["V"][ends[0]], unit["V"][ends[1]])
    # A class takes the place of its first member.
    assert unit["V"][np.unique(unit["V"], return_index=True)[1]].tolist() == list(range(y.nparts("X")))


def weighted(weights, masses):
    """Two edges from one vertex to another."""
    x = ACSet(WEIGHTED)
    x.add_vars("W", 2)
    x.add_parts("V", 2, mass=masses)
    x.add_parts("E", 2, src=[0, 0], tgt=[1, 1], weight=weights)
    return x


COLLAPSE = SchemaFunctor(
    WEIGHTED,
    SET.extend("Valued", attrtypes={"W": float}, attrs={"value": ("X", "W"), "other": ("X", "W")}),
    {"V": "X", "E": "X"},
    {"src": "", "tgt": ""},
    {"W": "W"},
    {"weight": "value", "mass": "other"},
)


@pytest.mark.parametrize(
    ("weights", "masses", "value", "other", "nvars"),
    [
        ([0.5, 0.5], [None, 2.0], 0.5, 2.0, 2),
        ([np.nan, np.nan], [1.0, 1.0], np.nan, 1.0, 2),
        ([Var(1), 0.5], [Var(1), None], 0.5, 0.5, 1),
        ([Var(1), Var(0)], [None, None], Var(0), Var(1), 2),
        ([None, None], [Var(1), Var(1)], Var(2), Var(1), 3),
        ([0.0, -0.0], [Var(0), Var(1)], 0.0, Var(0), 1),
    ],
)
def test_values_are_merged(weights, masses, value, other, nvars):
    y = sigma(COLLAPSE, weighted(weights, masses))
    assert y.nparts("X") == 1
    assert repr((y.subpart("value", 0), y.subpart("other", 0))) == repr((value, other))
    assert y.nvars("W") == nvars


def test_values_that_cannot_be_merged_are_named():
    with refused(InstanceError, "weight of E 0 (0.5)", "weight of E 1 (0.75)", "same W", "leave one undefined"):
        sigma(COLLAPSE, weighted([0.5, 0.75], [None, None]))
    with refused(InstanceError, "mass of V 1 (2.0)", "weight of E 1 (0.5)"):
        sigma(COLLAPSE, weighted([Var(0), 0.5], [Var(0), 2.0]))


def test_missing_attributes_become_variables():
    x = ACSet(GRAPH)
    x.add_parts("V", 1)
    x.add_parts("E", 2, src=0, tgt=0)
    y = sigma(SchemaFunctor.inclusion(GRAPH, WEIGHTED), x)
    assert [y.subpart("weight", 0), y.subpart("weight", 1), y.subpart("mass", 0)] == [Var(0), Var(1), Var(2)]
    assert y.nvars("W") == 3


def test_an_undefined_hom_says_nothing():
    x = ACSet(GRAPH)
    x.add_parts("V", 1)
    x.add("E", src=0)
    y = sigma(SchemaFunctor.identity(GRAPH), x)
    assert (y.nparts("V"), y.column("src").tolist(), y.column("tgt").tolist()) == (2, [0], [1])


def test_an_instance_of_another_schema_is_refused():
    with refused(SchemaError, "sigma", "starts in schema Graph", "Study"):
        sigma(SchemaFunctor.identity(GRAPH), study())
