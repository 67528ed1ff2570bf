import itertools

import numpy as np
import pytest
from acset_strategies import refused
from hypothesis import given
from hypothesis import strategies as st
from morphism_strategies import (
    GRAPH,
    QUICK,
    WEIGHTED,
    cycle,
    graph,
    instances,
    parallel,
    path,
    several,
    spans,
)

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.maps.colimits import coequalizer, coproduct, initial, pushout
from sim2real_cat.acsets.maps.homomorphisms import count_homomorphisms, homomorphisms, is_isomorphic
from sim2real_cat.acsets.maps.morphism import Morphism
from sim2real_cat.acsets.maps.subobjects import SubInstance
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import InstanceError, SchemaError


def some(morphisms, n=40):
    return list(itertools.islice(morphisms, n))


@QUICK
@given(several(3))
def test_a_morphism_from_a_coproduct_is_a_pair(xs):
    x, y, z = xs
    colimit = coproduct(x, y)
    assert all(leg.is_natural and leg.is_monic for leg in colimit.legs)
    assert count_homomorphisms(colimit.apex, z) == count_homomorphisms(x, z) * count_homomorphisms(y, z)
    for cocone in itertools.product(some(homomorphisms(x, z), 4), some(homomorphisms(y, z), 4)):
        out = colimit.universal(*cocone)
        assert out.is_natural
        assert tuple(leg.then(out) for leg in colimit.legs) == cocone
    assert colimit.universal(*colimit.legs) == Morphism.identity(colimit.apex)


@QUICK
@given(spans(), st.data())
def test_a_morphism_from_a_pushout_is_a_pair_that_agrees(span, data):
    f, g = span
    z = data.draw(instances(f.dom.schema))
    pairs = itertools.product(homomorphisms(f.codom, z), homomorphisms(g.codom, z))
    cocones = [(u, v) for u, v in itertools.islice(pairs, 2000) if f.then(u) == g.then(v)]
    try:
        colimit = pushout(f, g)
    except InstanceError:
        assert not cocones  # two values that must be one have no common image
        return
    assert all(leg.is_natural for leg in colimit.legs)
    assert f.then(colimit.legs[0]) == g.then(colimit.legs[1])
    assert colimit.universal(*colimit.legs) == Morphism.identity(colimit.apex)
    if count_homomorphisms(f.codom, z) * count_homomorphisms(g.codom, z) <= 2000:
        assert count_homomorphisms(colimit.apex, z) == len(cocones)
    for cocone in cocones[:5]:
        out = colimit.universal(*cocone)
        assert out.is_natural
        assert tuple(leg.then(out) for leg in colimit.legs) == cocone


@QUICK
@given(parallel(3), st.data())
def test_a_morphism_from_a_coequalizer_is_one_that_coequalizes(pair, data):
    f, g = pair
    z = data.draw(instances(f.dom.schema))
    coequalizing = [h for h in homomorphisms(f.codom, z) if f.then(h) == g.then(h)]
    try:
        colimit = coequalizer(f, g)
    except InstanceError:
        assert not coequalizing
        return
    (leg,) = colimit.legs
    assert leg.is_natural
    assert leg.is_epic
    assert f.then(leg) == g.then(leg)
    assert count_homomorphisms(colimit.apex, z) == len(coequalizing)
    for h in coequalizing[:5]:
        assert leg.then(colimit.universal(h)) == h
        assert colimit.universal(h).is_natural


@QUICK
@given(several(1))
def test_there_is_one_morphism_from_the_initial_instance(xs):
    (x,) = xs
    assert count_homomorphisms(initial(x.schema), x) == 1
    assert coproduct(initial(x.schema), x).apex == x


def test_gluing_paths_makes_a_longer_path():
    end, start = Morphism(graph(1), path(3), {"V": [2]}), Morphism(graph(1), path(4), {"V": [0]})
    assert is_isomorphic(pushout(end, start).apex, path(6))
    ends = Morphism(graph(2), path(4), {"V": [0, 3]}), Morphism(graph(2), path(4), {"V": [3, 0]})
    assert is_isomorphic(coequalizer(*ends).apex, cycle(3))


def test_a_pushout_of_inclusions_is_the_union():
    x = path(4)
    one, two = SubInstance.generated(x, {"E": [0, 1]}), SubInstance.generated(x, {"E": [1, 2]})
    meet = one.meet(two)
    legs = []
    for sub in (one, two):
        small, _ = sub.to_instance()
        components = {ob: np.searchsorted(sub.parts[ob], meet.parts[ob]) for ob in x.schema.obs}
        legs.append(Morphism(meet.to_instance()[0], small, components))
    assert is_isomorphic(pushout(*legs).apex, x)


def test_parts_are_numbered_by_their_first_members():
    f, g = (Morphism(graph(1), path(4), {"V": [v]}) for v in (3, 1))
    (leg,) = coequalizer(f, g).legs
    assert leg.components["V"].tolist() == [0, 1, 2, 1]
    assert leg.codom.column("tgt").tolist() == [1, 2, 1]


def test_identified_parts_have_identified_images():
    """The homs of the domain are undefined, so what follows from the first pair is only in the codomain."""
    steps = Schema("Steps", obs=["X"], homs={"next": ("X", "X")})
    two_chains, point = ACSet(steps), ACSet(steps)
    two_chains.add_parts("X", 6, next=[1, 2, None, 4, 5, None])
    point.add("X")
    f, g = (Morphism(point, two_chains, {"X": [x]}) for x in (0, 3))
    (leg,) = coequalizer(f, g).legs
    assert leg.components["X"].tolist() == [0, 1, 2, 0, 1, 2]
    assert leg.codom.column("next").tolist() == [1, 2, None]


def glued(one, two):
    """Two loops with weights, identified."""
    edge = graph(1, (0, 0), weights=[None])
    x, y = (graph(1, (0, 0), weights=[weight]) for weight in (one, two))
    f, g = (Morphism(edge, z, {"V": [0], "E": [0]}) for z in (x, y))
    return pushout(f, g)


@pytest.mark.parametrize(
    ("one", "two", "together"),
    [
        (0.5, 0.5, 0.5),
        (0.5, None, 0.5),
        (None, 0.5, 0.5),
        (None, None, None),
        (Var(0), 0.5, 0.5),
        (Var(0), None, Var(0)),
        (Var(0), Var(0), Var(0)),
    ],
)
def test_attributes_of_identified_parts_merge(one, two, together):
    colimit = glued(one, two)
    assert colimit.apex.subpart("weight", 0) == together
    assert colimit.apex.nvars("Weight") == int(isinstance(together, Var))
    assert all(leg.is_natural for leg in colimit.legs)


def test_nan_is_one_value():
    assert np.isnan(glued(float("nan"), float("nan")).apex.subpart("weight", 0))


def test_different_values_of_identified_parts_are_an_error():
    with refused(InstanceError, "identifies E 0 and 1", "'weight' is 0.5 at one and 0.25 at the other", "equal"):
        glued(0.5, 0.25)


def test_a_variable_cannot_become_two_values():
    x = graph(1, *[(0, 0)] * 4, weights=[Var(0), Var(0), 0.5, 0.25])
    pair = graph(1, (0, 0), (0, 0), weights=[None, None])
    f = Morphism(pair, x, {"V": [0], "E": [0, 1]})
    with refused(InstanceError, "no colimit", "a variable of 'Weight' would have to be 0.25 and 0.5"):
        coequalizer(f, Morphism(pair, x, {"V": [0], "E": [2, 3]}))
    (leg,) = coequalizer(f, Morphism(pair, x, {"V": [0], "E": [2, 2]})).legs
    assert leg.variables["Weight"] == (0.5,)


def test_variables_are_identified_where_morphisms_say_so():
    x = graph(0, weights=[])
    x.add_vars("Weight", 3)
    one = graph(0, weights=[])
    one.add_vars("Weight", 1)
    f, g = (Morphism(one, x, {}, {"Weight": [Var(k)]}) for k in (0, 2))
    assert coequalizer(f, g).legs[0].variables["Weight"] == (Var(0), Var(1), Var(0))
    value = Morphism(one, x, {}, {"Weight": [0.5]})
    assert coequalizer(f, value).legs[0].variables["Weight"] == (0.5, Var(0), Var(1))
    with refused(InstanceError, "0.5", "0.25"):
        coequalizer(value, Morphism(one, x, {}, {"Weight": [0.25]}))


def test_what_is_no_diagram_is_refused():
    inclusion = Morphism(path(2), path(3), {"V": [0, 1], "E": [0]})
    with refused(SchemaError, "schema"):
        coproduct(path(2), ACSet(WEIGHTED))
    with refused(InstanceError, "pushout", "start apart"):
        pushout(inclusion, Morphism.identity(path(3)))
    with refused(InstanceError, "coequalizer", "parallel"):
        coequalizer(inclusion, Morphism.identity(path(2)))
    unnatural = Morphism(path(2), path(3), {"V": [0, 2], "E": [0]})
    for operation in (pushout, coequalizer):
        with refused(InstanceError, "not natural", "'tgt' at part 0"):
            operation(inclusion, unnatural)
    assert initial(GRAPH) == graph(0)


@pytest.mark.parametrize(
    ("cocone", "parts"),
    [
        ([], ["2 legs here, not 0"]),
        ([Morphism.identity(path(2)), Morphism(path(2), path(3), {"V": [0, 1], "E": [0]})], ["share one end"]),
        ([Morphism.identity(path(3))] * 2, ["leg 0", "must be at"]),
        ([Morphism(path(2), path(3), {"V": [k, k + 1], "E": [k]}) for k in (0, 1)], ["no cocone", "V 0", "0 and to 1"]),
    ],
)
def test_what_is_no_cocone_is_refused(cocone, parts):
    start = Morphism(graph(1), path(2), {"V": [0]})
    with refused(InstanceError, *parts):
        pushout(start, start).universal(*cocone)


def test_a_cocone_agrees_on_variables():
    x = graph(0, weights=[])
    x.add_vars("Weight", 2)
    one = graph(0, weights=[])
    one.add_vars("Weight", 1)
    f, g, value = (Morphism(one, x, {}, {"Weight": [image]}) for image in (Var(0), Var(1), 0.5))
    to_values = Morphism(x, x, {}, {"Weight": [0.5, 0.25]})
    with refused(InstanceError, "no cocone", "Var(k=0) of 'Weight' goes to 0.5 and to 0.25"):
        coequalizer(f, g).universal(to_values)
    with refused(InstanceError, "no cocone", "identifies as 0.5", "goes to 0.5 and to 0.25"):
        coequalizer(g, value).universal(to_values)
    assert coequalizer(f, value).universal(to_values).variables["Weight"] == (0.25,)
