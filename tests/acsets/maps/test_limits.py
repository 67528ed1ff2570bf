import itertools
import pickle

import pytest
from acset_strategies import refused, schemas
from hypothesis import given
from hypothesis import strategies as st
from morphism_strategies import (
    GRAPH,
    QUICK,
    WEIGHTED,
    cycle,
    graph,
    instances,
    morphisms_into,
    parallel,
    path,
    several,
)

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.codecs import Codec, EachOf
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.maps.homomorphisms import count_homomorphisms, homomorphisms, is_isomorphic
from sim2real_cat.acsets.maps.limits import equalizer, loose_product, product, pullback, terminal
from sim2real_cat.acsets.maps.morphism import Morphism
from sim2real_cat.acsets.maps.subobjects import SubInstance
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import InstanceError, SchemaError


def some(morphisms, n=40):
    return list(itertools.islice(morphisms, n))


@QUICK
@given(several(3))
def test_a_morphism_into_a_product_is_a_pair(xs):
    x, y, z = xs
    if disagree(x, y):
        with refused(InstanceError, "no limit", "must agree"):
            product(x, y)
        return
    limit = product(x, y)
    assert all(leg.is_natural for leg in limit.legs)
    assert count_homomorphisms(z, limit.apex) == count_homomorphisms(z, x) * count_homomorphisms(z, y)
    for cone in itertools.product(some(homomorphisms(z, x), 4), some(homomorphisms(z, y), 4)):
        into = limit.universal(*cone)
        assert into.is_natural
        assert tuple(into.then(leg) for leg in limit.legs) == cone
    assert limit.universal(*limit.legs) == Morphism.identity(limit.apex)


def disagree(x, y):
    """Whether some pair of parts has two values of an attribute."""
    for name, (ob, _) in x.schema.attrs.items():
        values = [
            {repr(v) for v in (z.subpart(name, p) for p in z.parts(ob)) if v is not None and not isinstance(v, Var)}
            for z in (x, y)
        ]
        if any(one != two for one, two in itertools.product(*values)):
            return True
    return False


@QUICK
@given(st.data())
def test_a_morphism_into_a_pullback_is_a_pair_that_agrees(data):
    schema = data.draw(schemas())
    z, w = data.draw(instances(schema)), data.draw(instances(schema))
    f, g = data.draw(morphisms_into(z)), data.draw(morphisms_into(z))
    limit = pullback(f, g)
    assert all(leg.is_natural for leg in limit.legs)
    assert limit.legs[0].then(f) == limit.legs[1].then(g)
    assert limit.universal(*limit.legs) == Morphism.identity(limit.apex)
    pairs = itertools.product(some(homomorphisms(w, f.dom)), some(homomorphisms(w, g.dom)))
    cones = [(u, v) for u, v in pairs if u.then(f) == v.then(g)]
    if count_homomorphisms(w, f.dom) <= 40 and count_homomorphisms(w, g.dom) <= 40:
        assert count_homomorphisms(w, limit.apex) == len(cones)
    for cone in cones[:5]:
        into = limit.universal(*cone)
        assert into.is_natural
        assert tuple(into.then(leg) for leg in limit.legs) == cone


@QUICK
@given(parallel(3), st.data())
def test_a_morphism_into_an_equalizer_is_one_that_equalizes(pair, data):
    f, g = pair
    limit = equalizer(f, g)
    (leg,) = limit.legs
    assert leg.is_natural
    assert leg.is_monic
    assert leg.then(f) == leg.then(g)
    z = data.draw(instances(f.dom.schema))
    equalizing = [h for h in homomorphisms(z, f.dom) if h.then(f) == h.then(g)]
    assert count_homomorphisms(z, limit.apex) == len(equalizing)
    for h in equalizing[:5]:
        assert limit.universal(h).then(leg) == h
        assert limit.universal(h).is_natural


@QUICK
@given(several(1), st.booleans())
def test_there_is_one_morphism_into_the_terminal_instance(xs, drop):
    (x,) = xs
    schema = Schema("Plain", x.schema.obs, x.schema.homs)
    if x.schema.attrs and not drop:
        with refused(SchemaError, "terminal", *x.schema.attrs):
            terminal(x.schema)
        return
    plain = ACSet(schema)
    for ob in schema.obs:
        plain.add_parts(ob, x.nparts(ob))
    for name, (ob, _) in schema.homs.items():
        plain.set(ob, plain.parts(ob), **{name: x.column(name)})
    assert count_homomorphisms(plain, terminal(schema)) == 1
    assert is_isomorphic(product(plain, terminal(schema)).apex, plain)


def test_products_by_example():
    assert is_isomorphic(product(cycle(2), cycle(3)).apex, cycle(6))
    square = product(path(2), path(2)).apex
    assert (square.nparts("V"), square.nparts("E")) == (4, 1)
    assert product(graph(0), path(3)).apex.nparts("V") == 0


def test_an_arrow_is_defined_where_all_factors_define_it():
    x, y = graph(2, (0, 1), (0, None)), graph(1, (0, 0), (None, 0))
    apex = product(x, y).apex
    assert [(apex.subpart("src", e), apex.subpart("tgt", e)) for e in range(4)] == [
        (0, 1),
        (None, 1),
        (0, None),
        (None, None),
    ]


def test_values_of_a_product_are_equal_undefined_or_an_error():
    weights = [0.5, None]
    x = graph(1, (0, 0), (0, 0), weights=weights)
    limit = product(x, x)
    assert [limit.apex.subpart("weight", e) for e in range(4)] == [0.5, None, None, None]
    y = graph(1, (0, 0), weights=[0.25])
    with refused(InstanceError, "no limit", "'weight'", "E parts (0, 0)", "(0.5, 0.25)", "must agree"):
        product(x, y)
    nan = graph(1, (0, 0), weights=[float("nan")])
    assert product(nan, nan).apex == nan


def test_a_variable_of_a_limit_is_a_pair_of_images():
    x = graph(1, (0, 0), (0, 0), weights=[Var(0), Var(0)])
    y = graph(1, (0, 0), (0, 0), weights=[Var(0), 0.5])
    limit = product(x, y)
    assert [limit.apex.subpart("weight", e) for e in range(4)] == [Var(1), Var(0), Var(1), Var(0)]
    assert limit.legs[0].variables["Weight"] == (Var(0), Var(0))
    assert limit.legs[1].variables["Weight"] == (0.5, Var(0))


def test_a_pullback_of_inclusions_is_the_intersection():
    x = path(4)
    one, two = SubInstance.generated(x, {"E": [0, 1]}), SubInstance.generated(x, {"E": [1, 2]})
    limit = pullback(one.to_instance()[1], two.to_instance()[1])
    assert is_isomorphic(limit.apex, one.meet(two).to_instance()[0])


def test_a_loose_product_pairs_values():
    x = graph(2, (0, 1), (1, 0), weights=[0.5, None])
    y = graph(1, (0, 0), (0, None), weights=[0.25, float("nan")])
    found = loose_product(x, y)
    assert found.left["E"].tolist() == [0, 0, 1, 1]
    assert found.right["E"].tolist() == [0, 1, 0, 1]
    assert [found.instance.subpart("tgt", e) for e in range(4)] == [1, None, 0, None]
    pairs = [found.instance.subpart("weight", e) for e in range(4)]
    assert pairs[0] == (0.5, 0.25)
    assert repr(pairs[1:]) == "[(0.5, nan), None, None]"
    assert found.instance == loose_product(x, y).instance
    with refused(SchemaError, "one schema"):
        loose_product(x, path(2))


@QUICK
@given(several(2))
def test_a_loose_product_without_attributes_is_a_product(xs):
    bare = Schema("Bare", xs[0].schema.obs, xs[0].schema.homs)
    x, y = (x.like(bare).fill({ob: x.nparts(ob) for ob in bare.obs}, {}, homs_of(x), {}) for x in xs)
    loose, tight = loose_product(x, y), product(x, y)
    assert loose.instance == tight.apex
    for side, leg in zip((loose.left, loose.right), tight.legs, strict=True):
        assert all((side[ob] == leg.components[ob]).all() for ob in bare.obs)


def homs_of(x):
    return {f: x.column_ids(f) for f in x.schema.homs}


def test_pairs_are_written_and_read():
    stamp = Codec(bytes, bytes.hex, bytes.fromhex)
    schema = Schema("Stamped", ["X"], {}, {"T": stamp, "N": int}, {"t": ("X", "T"), "n": ("X", "N")})
    x = ACSet(schema)
    x.add_parts("X", 2, t=[b"a", b"b"], n=[1, None])
    pairs = loose_product(x, x).instance
    assert pairs.subpart("t", 1) == (b"a", b"b")
    assert ACSet.from_json(pairs.schema, pairs.to_json()) == pairs
    codec = pairs.schema.attrtypes["T"]
    assert repr(codec) == "Codec(tuple, EachOf(bytes.hex, list), EachOf(bytes.fromhex, tuple))"
    assert eval(repr(codec), {"Codec": Codec, "EachOf": EachOf}) == codec == pickle.loads(pickle.dumps(codec))


def test_variables_at_no_part_are_in_pullbacks_and_equalizers():
    x = graph(0, weights=[])
    x.add_vars("Weight", 2)
    one = graph(0, weights=[])
    one.add_vars("Weight", 1)
    value = Morphism(x, one, {}, {"Weight": [0.5, Var(0)]})
    other = Morphism(x, one, {}, {"Weight": [0.5, 0.25]})
    limit = pullback(value, other)
    pairs = set(zip(*(leg.variables["Weight"] for leg in limit.legs), strict=True))
    assert pairs == {(Var(0), Var(0)), (Var(0), 0.5), (0.5, Var(0)), (0.25, Var(1))}
    assert limit.universal(*limit.legs) == Morphism.identity(limit.apex)
    assert equalizer(value, other).legs[0].variables["Weight"] == (Var(0),)


def test_what_is_no_diagram_is_refused():
    inclusion = Morphism(path(2), path(3), {"V": [0, 1], "E": [0]})
    with refused(SchemaError, "one schema"):
        product(path(2), ACSet(WEIGHTED))
    with refused(InstanceError, "pullback", "end apart"):
        pullback(inclusion, Morphism.identity(path(2)))
    with refused(InstanceError, "equalizer", "parallel"):
        equalizer(inclusion, Morphism.identity(path(3)))
    unnatural = Morphism(path(2), path(3), {"V": [0, 2], "E": [0]})
    for operation in (pullback, equalizer):
        with refused(InstanceError, "not natural", "'tgt' at part 0: 2 becomes 1"):
            operation(inclusion, unnatural)
    assert terminal(GRAPH) == cycle(1)


@pytest.mark.parametrize(
    ("cone", "parts"),
    [
        ([], ["2 legs here, not 0"]),
        ([Morphism.identity(path(2))] * 3, ["2 legs here, not 3"]),
        ([Morphism.identity(path(2)), Morphism(graph(1), path(2), {"V": [0]})], ["share one end"]),
        ([Morphism.identity(cycle(2))] * 2, ["leg 0", "must be at"]),
        ([Morphism(graph(1), path(2), {"V": [v]}) for v in (0, 1)], ["no cone", "V 0 goes to (0, 1)"]),
        ([Morphism(path(2), path(2), {"V": [0, 0], "E": [0]})] * 2, ["not natural"]),
    ],
)
def test_what_is_no_cone_is_refused(cone, parts):
    identity = Morphism.identity(path(2))
    with refused(InstanceError, *parts):
        pullback(identity, identity).universal(*cone)


def test_a_variable_without_its_pair_is_refused():
    x = graph(1, (0, 0), weights=[Var(0)])
    limit = product(x, x)
    floating = graph(0, weights=[])
    floating.add_vars("Weight")
    to_value, to_variable = (Morphism(floating, x, {}, {"Weight": [image]}) for image in (0.5, Var(0)))
    with refused(InstanceError, "no cone", "Var(0) of 'Weight' goes to (0.5, Var(k=0))"):
        limit.universal(to_value, to_variable)
    assert limit.universal(to_value, to_value).variables["Weight"] == (0.5,)
