import itertools

from acset_strategies import refused, study
from hypothesis import given
from hypothesis import strategies as st
from morphism_strategies import QUICK, graph, instances, morphisms_into, path, schemas, subs

from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.maps.subobjects import SubInstance, image, preimage
from sim2real_cat.errors import InstanceError, SchemaError


def closed_sets(x):
    """All sub-instances, found by trying every set of parts."""
    parts = [(ob, part) for ob in x.schema.obs for part in x.parts(ob).tolist()]
    for chosen in itertools.product([False, True], repeat=len(parts)):
        taken = {place for place, yes in zip(parts, chosen, strict=True) if yes}
        inside = {ob: [part for o, part in taken if o == ob] for ob in x.schema.obs}
        leads_out = any(
            (codom, target) not in taken
            for f, (ob, codom) in x.schema.homs.items()
            for target in (x.subpart(f, part) for part in inside[ob])
            if target is not None
        )
        yield inside, leads_out


@QUICK
@given(st.data())
def test_a_sub_instance_is_a_set_that_no_hom_leads_out_of(data):
    x = data.draw(instances(data.draw(schemas())))
    valid = []
    for parts, leads_out in closed_sets(x):
        if leads_out:
            with refused(InstanceError, "leads from", "generated"):
                SubInstance(x, parts)
        else:
            valid.append(SubInstance(x, parts))
    for parts, _ in itertools.islice(closed_sets(x), 0, None, 7):
        above = [s for s in valid if all(set(ids) <= set(s.parts[ob].tolist()) for ob, ids in parts.items())]
        smallest = SubInstance.generated(x, parts)
        assert smallest in above
        assert all(smallest <= other for other in above)


@QUICK
@given(st.data())
def test_they_are_a_bounded_distributive_lattice(data):
    x = data.draw(instances(data.draw(schemas()), 3))
    a, b, c = (data.draw(subs(x)) for _ in range(3))
    top, bottom = SubInstance.top(x), SubInstance.bottom(x)
    assert bottom <= a <= top
    assert a.meet(top) == a == a.join(bottom)
    assert a.meet(b) == b.meet(a) <= a <= a.join(b) == b.join(a)
    assert (c <= a and c <= b) == (c <= a.meet(b))
    assert (a <= c and b <= c) == (a.join(b) <= c)
    assert a.meet(b.join(c)) == a.meet(b).join(a.meet(c))
    assert a.join(b.meet(c)) == a.join(b).meet(a.join(c))
    assert a.join(a.meet(b)) == a == a.meet(a.join(b))
    assert (a <= b and b <= a) == (a == b)


@QUICK
@given(st.data())
def test_they_are_a_bi_heyting_algebra(data):
    x = data.draw(instances(data.draw(schemas()), 3))
    a, b, c = (data.draw(subs(x)) for _ in range(3))
    top, bottom = SubInstance.top(x), SubInstance.bottom(x)
    assert (c.meet(a) <= b) == (c <= a.implies(b))
    assert (a <= b.join(c)) == (a.subtract(b) <= c)
    assert a.negate() == a.implies(bottom)
    assert a.non() == top.subtract(a)
    assert a.meet(a.negate()) == bottom
    assert a.join(a.non()) == top
    assert a.negate() <= a.non()
    assert a <= a.negate().negate()
    assert a.non().non() <= a
    assert a.negate().negate().negate() == a.negate()
    assert a.implies(b.meet(c)) == a.implies(b).meet(a.implies(c))
    assert a.join(b).subtract(c) == a.subtract(c).join(b.subtract(c))


def test_a_path_and_its_boundary():
    """The edge 0 -> 1 of the path 0 -> 1 -> 2: what is not it has the vertex 1 too, which is its boundary."""
    x = path(3)
    edge = SubInstance.generated(x, {"E": [0]})
    assert edge.negate() == SubInstance(x, {"V": [2]})
    assert edge.negate().negate() == edge
    assert edge.non() == SubInstance.generated(x, {"E": [1]})
    assert edge.meet(edge.non()) == SubInstance(x, {"V": [1]})
    assert SubInstance(x, {"V": [0, 1]}).negate().negate() == edge


def test_an_undefined_hom_puts_no_condition():
    x = graph(2, (0, None), (0, 1))
    assert SubInstance(x, {"V": [1]}).negate() == SubInstance(x, {"V": [0], "E": [0]})
    assert SubInstance(x, {"V": [0, 1]}).non() == SubInstance.top(x)


@QUICK
@given(st.data())
def test_image_is_left_adjoint_to_preimage(data):
    y = data.draw(instances(data.draw(schemas()), 3))
    f = data.draw(morphisms_into(y))
    sub, other = data.draw(subs(f.dom)), data.draw(subs(y))
    assert (image(f, sub) <= other) == (sub <= preimage(f, other))
    assert image(f) == image(f, SubInstance.top(f.dom))
    assert preimage(f, SubInstance.top(y)) == SubInstance.top(f.dom)
    assert preimage(f, other.meet(image(f))) == preimage(f, other)


@QUICK
@given(st.data())
def test_an_inclusion_is_monic_and_natural_and_has_its_parts_as_image(data):
    x = data.draw(instances(data.draw(schemas()), 3))
    sub = data.draw(subs(x))
    small, inclusion = sub.to_instance()
    assert inclusion.dom is small
    assert inclusion.is_natural
    assert inclusion.is_monic
    assert image(inclusion) == sub


def test_a_study_of_one_policy():
    x = study()
    sub = SubInstance.generated(x, {"SimEnv": [3]})
    assert repr(sub) == "<SubInstance {SimEnv: [3], RealEnv: [0, 1], Policy: [0, 1]}>"
    small, _ = sub.to_instance()
    assert small.subpart("train.kl_gap").tolist() == [0.7]
    whole, inclusion = SubInstance.top(x).to_instance()
    assert whole == x
    assert inclusion.is_iso
    assert small.nvars("TransferGap") == 2
    assert inclusion.variables["TransferGap"] == (Var(0), Var(1))


def test_ids_may_come_in_any_order_and_twice():
    x = path(3)
    assert SubInstance(x, {"V": [2, 0, 2]}) == SubInstance(x, {"V": [0, 2]})
    assert SubInstance(x, {}) == SubInstance.bottom(x) != "bottom"


def test_what_is_no_sub_instance_is_refused():
    x = path(3)
    with refused(InstanceError, "'src' leads from E 1 to V 1"):
        SubInstance(x, {"E": [1], "V": [0, 2]})
    with refused(SchemaError, "unknown object 'W'"):
        SubInstance(x, {"W": [0]})
    with refused(InstanceError, "parts of 'V'", "3 does not exist", "V has ids 0..2"):
        SubInstance.generated(x, {"V": [3]})
    one, other = SubInstance.top(x), SubInstance.top(graph(1))
    for operation in (one.meet, one.join, one.implies, one.subtract, one.__le__):
        with refused(InstanceError, "different instances"):
            operation(other)
    inclusion = one.to_instance()[1]
    with refused(InstanceError, "codomain"):
        preimage(inclusion, other)
    with refused(InstanceError, "domain"):
        image(inclusion, other)
