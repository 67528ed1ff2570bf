"""Both engines have one algebra of sub-instances."""

from __future__ import annotations

from acset_strategies import FIXED, acsets, refused, study
from hypothesis import given, settings
from hypothesis import strategies as st
from morphism_strategies import subs

from sim2real_cat.acsets.catlab import pointed
from sim2real_cat.acsets.maps.subobjects import SubInstance
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import InstanceError

BINARY = {
    "meet": SubInstance.meet,
    "join": SubInstance.join,
    "implies": SubInstance.implies,
    "subtract": SubInstance.subtract,
}
UNARY = {"negate": SubInstance.negate, "non": SubInstance.non}
OF_ALL = {"top": SubInstance.top, "bottom": SubInstance.bottom}


def parts(sub):
    return {ob: ids.tolist() for ob, ids in sub.parts.items()}


@settings(FIXED, max_examples=25)
@given(st.data())
def test_the_algebra_of_sub_instances(catlab, data):
    x = data.draw(acsets())
    there, (a, b) = catlab(x), (data.draw(subs(x)) for _ in range(2))
    a_there, b_there = (SubInstance(there, sub.parts) for sub in (a, b))
    for operation in BINARY.values():
        found = operation(a_there, b_there)
        assert found.instance is there
        assert parts(found) == parts(operation(a, b))
    for operation in UNARY.values():
        assert parts(operation(a_there)) == parts(operation(a))
    for operation in OF_ALL.values():
        assert parts(operation(there)) == parts(operation(x))


def test_the_algebra_of_a_study_with_an_undefined_transfer(catlab):
    """A policy without a transfer, and one without a measured gap, are policies like others."""
    x = catlab(study())
    ours = SubInstance.generated(x, {"Policy": [0]})
    other = SubInstance.generated(x, {"SimEnv": [0]})
    assert parts(ours) == {"SimEnv": [], "RealEnv": [1], "Policy": [0]}
    assert parts(ours.negate()) == {"SimEnv": [0], "RealEnv": [0], "Policy": [2]}
    assert parts(ours.non()) == {"SimEnv": [0, 1, 2, 3], "RealEnv": [0, 1], "Policy": [0, 1, 2]}
    assert parts(other.subtract(ours)) == {"SimEnv": [0], "RealEnv": [], "Policy": [2]}
    assert parts(ours.implies(other)) == parts(ours.negate())


def test_only_sub_instances_of_one_instance_are_combined(catlab):
    one, other = SubInstance.top(catlab(study())), SubInstance.top(study())
    smaller = SubInstance.bottom(study().restrict({"SimEnv": []}).instance)
    assert one.implies(other) == one
    for operation in BINARY.values():
        with refused(InstanceError, "different instances"):
            operation(one, smaller)


@settings(FIXED, max_examples=200)
@given(st.data())
def test_points_keep_what_is_undefined_apart(data):
    """The pointed encoding alone, without Julia: it can be read back, and its algebra without points is ours."""
    x = data.draw(acsets())
    bare = Schema("Bare", x.schema.obs, x.schema.homs)
    encoded = pointed.with_points(x, bare)
    assert all((encoded.column_ids(f) >= 0).all() for f in bare.homs)
    back = pointed.without_points(encoded, x.like(bare), {})
    assert all((back.column_ids(f) == x.column_ids(f)).all() for f in bare.homs)
    a, b = (data.draw(subs(x)) for _ in range(2))
    with_point = [
        SubInstance(encoded, {ob: [*ids, x.nparts(ob)] for ob, ids in sub.parts.items()})
        for sub in (a, b, SubInstance.bottom(x))
    ]
    pairs = [(a.implies(b), with_point[0].implies(with_point[1])), (a.negate(), with_point[0].implies(with_point[2]))]
    pairs += [(a.subtract(b), with_point[0].subtract(with_point[1])), (a.non(), with_point[0].non())]
    for ours, theirs in pairs:
        assert parts(ours) == {ob: [i for i in ids if i < x.nparts(ob)] for ob, ids in parts(theirs).items()}
