"""Both engines give the same limits, part by part."""

from __future__ import annotations

import math

import pytest
from acset_strategies import FIXED, acsets, refused, study
from both_engines import outcome
from hypothesis import given, settings
from hypothesis import strategies as st
from morphism_strategies import graph, morphisms_into, parallel, several

from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.maps.limits import equalizer, loose_product, product, pullback
from sim2real_cat.acsets.maps.morphism import Morphism
from sim2real_cat.errors import EngineError, InstanceError
from sim2real_cat.transfer.schema import SchSim2RealTransfer, SchTransferStudy

CROSSING = settings(FIXED, max_examples=25)


def moved(f, dom, codom):
    return Morphism(dom, codom, f.components, f.variables)


def same_limit(theirs, mine):
    """The same limit, or the same error."""
    if isinstance(mine, tuple):
        assert theirs == mine
        return
    assert theirs.apex.engine == "catlab"
    assert theirs.apex == mine.apex
    assert theirs.legs == mine.legs
    assert all(leg.dom is theirs.apex for leg in theirs.legs)


@CROSSING
@given(several(2))
def test_products(catlab, pair):
    x, y = pair
    same_limit(outcome(lambda: product(catlab(x), y)), outcome(lambda: product(x, y)))


@CROSSING
@given(st.data())
def test_pullbacks(catlab, data):
    z = data.draw(several(1))[0]
    f, g = data.draw(morphisms_into(z)), data.draw(morphisms_into(z))
    there = catlab(z)
    theirs = outcome(lambda: pullback(moved(f, catlab(f.dom), there), moved(g, catlab(g.dom), there)))
    same_limit(theirs, outcome(lambda: pullback(f, g)))


@CROSSING
@given(parallel(3))
def test_equalizers(catlab, pair):
    f, g = pair
    x, y = catlab(f.dom), catlab(f.codom)
    same_limit(outcome(lambda: equalizer(moved(f, x, y), moved(g, x, y))), outcome(lambda: equalizer(f, g)))


def test_limits_of_a_study(catlab):
    """A policy without a transfer, one without a measured gap, and attributes that are undefined."""
    x = study()
    identity, there = Morphism.identity(x), Morphism.identity(catlab(x))
    same_limit(pullback(there, there), pullback(identity, identity))
    same_limit(equalizer(there, there), equalizer(identity, identity))
    clash = outcome(lambda: product(x, x))
    assert clash[0] is InstanceError
    assert outcome(lambda: product(catlab(x), x)) == clash


def test_equal_values_are_those_of_python(catlab):
    """In Catlab 0.17.4 NaN is never NaN: values are compared here, by their codes."""
    nan = graph(1, (0, 0), weights=[math.nan])
    assert product(catlab(nan), nan).apex == nan
    variable = graph(1, (0, 0), weights=[Var(0)])
    same_limit(product(catlab(variable), nan), product(variable, nan))


def as_lists(found):
    return [{ob: ids.tolist() for ob, ids in side.items()} for side in (found.left, found.right)]


def without_variables(x):
    """The instance, undefined where an attribute is a variable."""
    for name, (ob, _) in x.schema.attrs.items():
        held = [part for part in x.parts(ob).tolist() if isinstance(x.subpart(name, part), Var)]
        x.set(ob, held, **{name: None})
    return x


@pytest.mark.parametrize("schema", [SchSim2RealTransfer, SchTransferStudy], ids=lambda schema: schema.name)
def test_loose_products(catlab, schema):
    @settings(FIXED, max_examples=10)
    @given(acsets(schema).map(without_variables), acsets(schema).map(without_variables))
    def check(x, y):
        mine, theirs = loose_product(x, y), loose_product(catlab(x), y)
        assert theirs.instance == mine.instance
        assert as_lists(theirs) == as_lists(mine)

    check()


def test_loose_products_of_other_schemas_are_refused(catlab):
    with refused(EngineError, "Catlab computes loose products", "these are of Weighted", "ask the embedded engine"):
        loose_product(catlab(graph(1, (0, 0), weights=[0.5])), graph(0, weights=[]))


def test_loose_products_have_no_pair_with_a_variable(catlab):
    x = study()
    for instance in (x, catlab(x)):
        with refused(InstanceError, "no loose product: 'kl_gap' of Policy 2 is Var(k=1)", "set it, or clear it"):
            loose_product(instance, x)
