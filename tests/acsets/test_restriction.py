import numpy as np
import pytest
from acset_strategies import FIXED, STUDY, acsets, refused, study
from hypothesis import given
from hypothesis import strategies as st

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.errors import InstanceError, SchemaError


@st.composite
def kept_parts(draw, x):
    """Some parts of some objects, in any order."""
    obs = [ob for ob in x.schema.obs if draw(st.booleans())]
    return {ob: [part for part in draw(st.permutations(range(x.nparts(ob)))) if draw(st.booleans())] for ob in obs}


@FIXED
@given(acsets(), st.data())
def test_what_is_kept_keeps_its_values(x, data):
    before = x.copy()
    kept = data.draw(kept_parts(x))
    part, maps = x.restrict(kept)
    assert x == before
    assert list(maps) == list(x.schema.obs)
    for ob in x.schema.obs:
        old = kept.get(ob, range(x.nparts(ob)))
        assert part.nparts(ob) == len(old)
        assert [maps[ob][i] for i in old] == list(range(len(old)))
        assert np.count_nonzero(maps[ob] == -1) == x.nparts(ob) - len(old)
        for hom in x.schema.homs_from(ob):
            onto = maps[x.schema.homs[hom][1]]
            targets = [x.subpart(hom, i) for i in old]
            assert part.column_ids(hom).tolist() == [-1 if target is None else onto[target] for target in targets]
        for attr in x.schema.attrs_from(ob):
            assert [part.subpart(attr, i) for i in range(len(old))] == [x.subpart(attr, i) for i in old]


@FIXED
@given(acsets(), st.data())
def test_restrictions_compose(x, data):
    first = x.restrict(data.draw(kept_parts(x)))
    second = first.instance.restrict(data.draw(kept_parts(first.instance)))
    both = x.restrict(
        {
            ob: [np.flatnonzero(first.maps[ob] == np.flatnonzero(second.maps[ob] == i)[0])[0] for i in parts]
            for ob, parts in ((ob, range(second.instance.nparts(ob))) for ob in x.schema.obs)
        }
    )
    assert both.instance == second.instance


@FIXED
@given(acsets())
def test_restriction_to_everything_changes_nothing(x):
    assert x.restrict({}).instance == x
    assert x.restrict({ob: x.parts(ob) for ob in x.schema.obs}, dangling="error").instance == x


def test_homs_to_what_is_left_out():
    x = study()
    part, maps = x.restrict({"Policy": [2, 1]})
    assert part.column("train").tolist() == [0, None, None, 1]
    assert maps["Policy"].tolist() == [-1, 1, 0]
    with refused(InstanceError, "'train' sends 'SimEnv' 1 to 'Policy' 0", "left out", "dangling='undefined'"):
        x.restrict({"Policy": [2, 1]}, dangling="error")
    whole, _ = x.restrict({"Policy": [0, 2], "SimEnv": [0, 1]}, dangling="error")
    assert whole.column("train").tolist() == [1, 0]


def test_indexes_are_kept():
    x = ACSet(STUDY, index=["train"], unique_index=["policy_name"])
    x.add_parts("Policy", 2, policy_name=["a", "b"])
    part, _ = x.restrict({"Policy": 1})
    assert (part.index, part.unique_index) == (("train",), ("policy_name",))
    part.add("Policy", policy_name="a")
    with refused(InstanceError, "unique", "ids 0 and 2"):
        part.add("Policy", policy_name="b")


@pytest.mark.parametrize(
    ("parts", "dangling", "error", "message"),
    [
        ({"Polcy": [0]}, "undefined", SchemaError, ["unknown object 'Polcy'", "did you mean 'Policy'"]),
        ({"Policy": [3]}, "undefined", InstanceError, ["restrict", "3 does not exist", "0..2"]),
        ({"Policy": [-1]}, "undefined", InstanceError, ["-1"]),
        ({"Policy": [1, 1]}, "undefined", InstanceError, ["1 is given twice"]),
        ({"Policy": [1]}, "total", InstanceError, ["dangling='total'", "'undefined' or 'error'"]),
    ],
)
def test_what_is_no_restriction_is_refused(parts, dangling, error, message):
    with refused(error, *message):
        study().restrict(parts, dangling)
