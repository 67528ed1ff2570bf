"""Both engines give the same limits, part by part."""

from __future__ import annotations

import math

from acset_strategies import FIXED, study
from hypothesis import given, settings
from hypothesis import strategies as st
from morphism_strategies import graph, morphisms_into, parallel, several

from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.maps.limits import equalizer, product, pullback
from sim2real_cat.acsets.maps.morphism import Morphism
from sim2real_cat.errors import InstanceError, Sim2RealError

CROSSING = settings(FIXED, max_examples=25)


def outcome(action):
    """What an action returns, or the error it raises."""
    try:
        return action()
    except Sim2RealError as error:
        return type(error), str(error)


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
