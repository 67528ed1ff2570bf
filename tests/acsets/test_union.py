from acset_strategies import FIXED, STUDY, acsets, refused, schemas, study
from hypothesis import given
from hypothesis import strategies as st

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import SchemaError

PAIRS = schemas().flatmap(lambda schema: st.tuples(acsets(schema), acsets(schema)))


@FIXED
@given(PAIRS)
def test_the_inclusions_are_natural_injective_and_jointly_onto(pair):
    x, y = pair
    before = x.copy(), y.copy()
    union, left, right = x.disjoint_union(y)
    assert (x, y) == before
    for ob in x.schema.obs:
        assert [*left[ob], *right[ob]] == list(range(union.nparts(ob)))
    for kind in x.schema.attrtypes:
        assert [*left[kind], *right[kind]] == list(range(union.nvars(kind)))
    for part, inclusion in ((x, left), (y, right)):
        for name, (dom, codom) in {**x.schema.homs, **x.schema.attrs}.items():
            for i in range(part.nparts(dom)):
                value = part.subpart(name, i)
                if isinstance(value, Var):
                    value = Var(inclusion[codom][value.k])
                elif name in x.schema.homs and value is not None:
                    value = inclusion[codom][value]
                assert union.subpart(name, inclusion[dom][i]) == value


@FIXED
@given(PAIRS)
def test_each_half_is_the_restriction_to_its_inclusion(pair):
    x, y = pair
    union, left, right = x.disjoint_union(y)
    for part, inclusion in ((x, left), (y, right)):
        half, _ = union.restrict({ob: inclusion[ob] for ob in x.schema.obs}, dangling="error")
        for name, (dom, _) in {**x.schema.homs, **x.schema.attrs}.items():
            assert half.column(name).tolist() == part.column(name).tolist(), dom


@FIXED
@given(acsets())
def test_the_empty_instance_is_neutral(x):
    nothing = ACSet(x.schema)
    assert x.disjoint_union(nothing).instance == x == nothing.disjoint_union(x).instance


def test_an_instance_and_itself():
    union, left, right = study().disjoint_union(study())
    assert union.column("train").tolist() == [2, 0, 0, 1, 5, 3, 3, 4]
    assert [union.subpart("kl_gap", i) for i in (2, 5)] == [Var(1), Var(3)]
    assert left["Policy"].tolist() == [0, 1, 2]
    assert right["Policy"].tolist() == [3, 4, 5]
    assert right["TransferGap"].tolist() == [2, 3]
    x = ACSet(STUDY, index=["train"], unique_index=["policy_name"])
    x.add("Policy", policy_name="a")
    union = x.disjoint_union(x).instance
    assert union.column("policy_name").tolist() == ["a", "a"]
    assert (union.index, union.unique_index) == (("train",), ())


def test_two_schemas_have_no_union():
    with refused(SchemaError, "Study", "Other", "one schema"):
        study().disjoint_union(ACSet(Schema("Other", ["X"])))
