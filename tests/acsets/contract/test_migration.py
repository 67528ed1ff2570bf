"""Both engines migrate instances alike: Δ to the same parts, Σ up to isomorphism."""

from __future__ import annotations

import math

import pytest
from acset_strategies import FIXED, acsets, refused, schemas, study
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from migration_strategies import functors_into

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.maps.homomorphisms import is_isomorphic
from sim2real_cat.acsets.migration.delta import delta
from sim2real_cat.acsets.migration.functor import SchemaFunctor
from sim2real_cat.acsets.migration.sigma import sigma
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import EngineError, InstanceError
from sim2real_cat.transfer.schema import SchSim2RealTransfer, SchTransferStudy

CROSSING = settings(FIXED, max_examples=25)


@CROSSING
@given(st.data())
def test_delta(catlab, data):
    """Paths, identities, attributes, variables, undefined arrows and NaN."""
    x = data.draw(acsets())
    functor = data.draw(functors_into(x.schema))
    there = delta(functor, catlab(x))
    assert there.engine == "catlab"
    assert there == delta(functor, x)


def test_a_study_is_seen_as_a_graph_of_transfers(catlab):
    graph = Schema("Graph", ["V", "E"], {"src": ("E", "V"), "tgt": ("E", "V")}, {"W": float}, {"weight": ("E", "W")})
    functor = SchemaFunctor(
        graph,
        study().schema,
        {"V": "Policy", "E": "SimEnv"},
        {"src": "train", "tgt": "train.transfer"},
        {"W": "TransferGap"},
        {"weight": "train.kl_gap"},
    )
    there = delta(functor, catlab(study()))
    assert there.subpart("src").tolist() == [2, 0, 0, 1]
    assert there.subpart("tgt").tolist() == [None, 0, 0, 0]
    assert [there.subpart("weight", e) for e in range(4)] == [Var(1), 0.02, 0.02, 0.7]
    assert there.nvars("W") == 2


def test_a_study_is_restricted_to_the_schema_of_the_seed(catlab, make_instance):
    x = make_instance({"kl_gap": 0.9, "transfer": 1}, {"kl_gap": math.nan, "transfer": 1}, {}).acset
    inclusion = SchemaFunctor.inclusion(SchSim2RealTransfer, SchTransferStudy)
    there = delta(inclusion, catlab(x))
    assert there == delta(inclusion, x)
    assert there.subpart("transfer").tolist() == [1, 1, None]


def finite(functor, x):
    """The extension; a test that would take a large one is not made."""
    try:
        return sigma(functor, x, limit=6)
    except InstanceError:
        assume(False)


@CROSSING
@given(st.data())
def test_sigma_without_attributes(catlab, data):
    """Paths, identities and undefined homs, which give no condition."""
    bare = schemas().filter(lambda schema: not schema.attrtypes)
    functor = data.draw(bare.flatmap(functors_into))
    x = data.draw(acsets(functor.dom))
    mine = finite(functor, x)
    there = sigma(functor, catlab(x))
    assert there.engine == "catlab"
    assert is_isomorphic(there.to_engine("embedded"), mine)


def test_sigma_along_a_path_and_an_identity_that_are_undefined_somewhere(catlab):
    steps = Schema("Steps", ["A", "B", "C"], {"f": ("A", "B"), "h": ("A", "C")})
    road = Schema("Road", ["X", "Y", "Z"], {"p": ("X", "Y"), "q": ("Y", "Z")})
    functor = SchemaFunctor(steps, road, {"A": "X", "B": "Z", "C": "X"}, {"f": "p.q", "h": ""})
    x = ACSet(steps)
    x.add_parts("B", 2)
    x.add_parts("C", 2)
    x.add_parts("A", 3, f=[0, 0, None], h=[0, None, 0])
    there = sigma(functor, catlab(x)).to_engine("embedded")
    assert {ob: there.nparts(ob) for ob in road.obs} == {"X": 3, "Y": 3, "Z": 3}
    assert is_isomorphic(there, sigma(functor, x))


ROUTE = Schema("Route", ["A", "B"], {"f": ("A", "B")}, {"T": float, "N": str}, {"t": ("B", "T"), "n": ("A", "N")})
LONGER = ROUTE.extend("Longer", ["C"], {"g": ("B", "C")}, attrs={"c": ("C", "T")})


def routes(*values):
    x = ACSet(ROUTE)
    x.add_parts("B", 3, t=list(values))
    x.add_parts("A", 3, f=[0, 1, None], n=["ä", None, "b"])
    return x


def test_sigma_with_attributes(catlab):
    """Into a schema without an endomorphism, which Catlab 0.17.4 computes; undefined attributes give no condition."""
    inclusion = SchemaFunctor.inclusion(ROUTE, LONGER)
    for x in (routes(0.5, 0.5, 1.5), routes(math.nan, None, -0.0)):
        there = sigma(inclusion, catlab(x))
        assert there.engine == "catlab"
        assert is_isomorphic(there.to_engine("embedded"), sigma(inclusion, x))


def test_sigma_where_attribute_types_become_one(catlab):
    two = Schema("Two", ["A"], {}, {"T": float, "U": float}, {"t": ("A", "T"), "u": ("A", "U")})
    one = Schema("One", ["A"], {}, {"T": float}, {"t": ("A", "T"), "u": ("A", "T")})
    functor = SchemaFunctor(two, one, {"A": "A"}, {}, {"T": "T", "U": "T"}, {"t": "t", "u": "u"})
    x = ACSet(two)
    x.add_parts("A", 2, t=[0.5, 1.5], u=[1.5, 2.5])
    assert is_isomorphic(sigma(functor, catlab(x)).to_engine("embedded"), sigma(functor, x))


def with_a_variable():
    x = routes(0.5, None, 1.5)
    x.add_vars("T")
    x.set("B", 1, t=Var(0))
    return x


AT_C = Schema("AtC", ["B"], {}, {"T": float}, {"t": ("B", "T")})
NOT_BY_CATLAB = {
    "variables": (SchemaFunctor.inclusion(ROUTE, LONGER), with_a_variable, "'T' has 1 of them"),
    "paths": (
        SchemaFunctor(AT_C, LONGER, {"B": "B"}, {}, {"T": "T"}, {"t": "g.c"}),
        lambda: ACSet(AT_C),
        "'t' goes to 'g.c'",
    ),
    "equations": (
        SchemaFunctor.inclusion(ROUTE, LONGER.extend("Equal", equations=[("g.c", "t")])),
        lambda: routes(0.5, 0.5, 1.5),
        "Equal has 'g.c' = 't'",
    ),
    "endomorphisms": (
        SchemaFunctor.inclusion(ROUTE, ROUTE.extend("Loop", homs={"e": ("A", "A")}, equations=[("e.e", "e")])),
        lambda: routes(0.5, 0.5, 1.5),
        "'e' of Loop goes from 'A' to itself",
    ),
}


@pytest.mark.parametrize("what", NOT_BY_CATLAB)
def test_what_catlab_cannot_push_forward_is_refused(catlab, what):
    functor, instance, why = NOT_BY_CATLAB[what]
    with refused(EngineError, "Catlab computes Σ of instances with attributes", why, "ask the embedded engine"):
        sigma(functor, catlab(instance()))
