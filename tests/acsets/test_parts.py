"""Removal, restriction and disjoint union."""

import numpy as np
import pytest
from acset_strategies import FIXED, STUDY, acsets, refused, schemas, study
from hypothesis import given
from hypothesis import strategies as st

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import InstanceError, SchemaError


def one_by_one(n, ids):
    """ACSets.jl's removal, literally: which old part each new one is."""
    parts = list(range(n))
    for part in sorted(ids, reverse=True):
        parts[part] = parts[-1]
        parts.pop()
    return parts


def closure(x, ob, ids):
    """Everything that points at the parts, by plain search."""
    doomed = {(ob, part) for part in ids}
    while True:
        more = {
            (dom, part)
            for name, (dom, codom) in x.schema.homs.items()
            for part, target in enumerate(x.column(name).tolist())
            if (codom, target) in doomed
        } - doomed
        if not more:
            return doomed
        doomed |= more


@FIXED
@given(acsets(), st.booleans(), st.data())
def test_what_stays_is_as_it_was(x, cascade, data):
    ob = data.draw(st.sampled_from(x.schema.obs))
    ids = data.draw(st.lists(st.sampled_from(range(x.nparts(ob))), unique=True)) if x.nparts(ob) else []
    doomed = closure(x, ob, ids) if cascade else {(ob, part) for part in ids}
    before = x.copy()
    maps = x.remove(ob, ids, cascade)
    assert list(maps) == list(x.schema.obs)
    for name in x.schema.obs:
        gone = [part for other, part in doomed if other == name]
        old = one_by_one(before.nparts(name), gone)
        assert x.nparts(name) == len(old)
        expected = np.full(before.nparts(name), -1)
        expected[old] = np.arange(len(old))
        assert maps[name].dtype == np.int64
        assert maps[name].tolist() == expected.tolist()
        for hom in x.schema.homs_from(name):
            onto = maps[x.schema.homs[hom][1]].tolist()
            was = before.column_ids(hom)[old].tolist()
            assert x.column_ids(hom).tolist() == [-1 if target == -1 else onto[target] for target in was]
            assert not cascade or x.column(hom).mask.tolist() == [target == -1 for target in was]
        for attr in x.schema.attrs_from(name):
            assert [x.subpart(attr, new) for new in range(len(old))] == [before.subpart(attr, part) for part in old]
    assert [x.nvars(kind) for kind in x.schema.attrtypes] == [before.nvars(kind) for kind in x.schema.attrtypes]


@given(st.data())
@FIXED
def test_many_parts_are_numbered_like_one_after_the_other(data):
    n = data.draw(st.integers(0, 60))
    ids = data.draw(st.lists(st.integers(0, n - 1), unique=True)) if n else []
    x = ACSet(Schema("Set", ["X"], attrtypes={"T": int}, attrs={"old": ("X", "T")}))
    x.add_parts("X", n, old=range(n))
    x.remove("X", ids)
    assert x.column("old").tolist() == one_by_one(n, ids)


@FIXED
@given(acsets(), st.data())
def test_removal_is_restriction_to_what_stays(x, data):
    ob = data.draw(st.sampled_from(x.schema.obs))
    ids = data.draw(st.lists(st.sampled_from(range(x.nparts(ob))), unique=True)) if x.nparts(ob) else []
    removed = x.copy()
    maps = removed.remove(ob, ids, cascade=True)
    stays = {name: np.argsort(old)[np.count_nonzero(old == -1) :] for name, old in maps.items()}
    part, others = x.restrict(stays, dangling="error")
    assert part == removed
    assert all(np.array_equal(maps[name], others[name]) for name in maps)


def test_removed_parts_leave_holes_or_take_all_with_them():
    x = study()
    maps = x.remove("Policy", 0)
    assert maps["Policy"].tolist() == [-1, 1, 0]
    assert maps["SimEnv"].tolist() == [0, 1, 2, 3]
    assert x.column("train").tolist() == [0, None, None, 1]
    assert x.column("transfer").tolist() == [None, None]
    assert x.column("policy_name").tolist() == ["naïve", None]
    x = study()
    maps = x.remove("RealEnv", [1], cascade=True)
    assert [(ob, x.nparts(ob)) for ob in x.schema.obs] == [("SimEnv", 1), ("RealEnv", 1), ("Policy", 1)]
    assert maps["SimEnv"].tolist() == [0, -1, -1, -1]
    assert x.subpart("train.policy_name", 0) == "naïve"


def test_an_index_made_before_is_not_used_after():
    x = ACSet(STUDY)
    x.add_parts("Policy", 400, policy_name=[f"p{i}" for i in range(400)])
    x.add_parts("SimEnv", 800, train=np.arange(800) % 400)
    assert x.incident(399, "train").tolist() == [399, 799]
    assert x.incident("p399", "policy_name").tolist() == [399]
    x.remove("Policy", [0])
    assert x.incident("p399", "policy_name").tolist() == [0]
    assert x.incident(0, "train").tolist() == [399, 799]
    assert [ids.tolist() for ids in x.incident([0, 1], "train")] == [[399, 799], [1, 401]]
    x.remove("SimEnv", 399)
    assert x.incident(0, "train").tolist() == [399]
    assert x.incident(398, "train").tolist() == [398, 798]


def test_unique_columns_know_what_went():
    x = ACSet(STUDY, unique_index=["policy_name", "deploy"])
    x.add_parts("RealEnv", 3)
    x.add_parts("Policy", 3, policy_name=["a", "b", "c"], deploy=[0, 1, 2])
    x.remove("RealEnv", 0)  # 2 becomes 0, and 'deploy' of Policy 0 undefined
    assert x.column("deploy").tolist() == [None, 1, 0]
    with refused(InstanceError, "unique", "ids 2 and 3"):
        x.add("Policy", deploy=0)
    x.remove("Policy", 0)  # 'c' is Policy 0 now
    assert x.add("Policy", policy_name="a") == 2
    with refused(InstanceError, "unique", "ids 0 and 3", "'c'"):
        x.add("Policy", policy_name="c")
    with refused(InstanceError, "unique", "ids 0 and 1"):
        x.set("Policy", 1, policy_name="c")


@pytest.mark.parametrize(
    ("ob", "ids", "error", "parts"),
    [
        ("Polcy", 0, SchemaError, ["unknown object 'Polcy'", "did you mean 'Policy'"]),
        ("Policy", 3, InstanceError, ["remove", "'Policy'", "3 does not exist", "0..2"]),
        ("Policy", -1, InstanceError, ["remove", "-1"]),
        ("Policy", np.array([0, -1]), InstanceError, ["-1"]),
        ("Policy", [1, 0, 1], InstanceError, ["remove", "1 is given twice"]),
        ("Policy", np.array([True, False, True]), InstanceError, ["bool", "flatnonzero"]),
        ("Policy", "0", InstanceError, ["'0'", "not an integer id"]),
        ("Policy", None, InstanceError, ["undefined"]),
    ],
)
@pytest.mark.parametrize("cascade", [False, True])
def test_what_cannot_be_removed_is_refused(ob, ids, error, parts, cascade):
    x = study()
    with refused(error, *parts):
        x.remove(ob, ids, cascade=cascade)
    assert x == study()


def test_long_chains_go_at_once():
    x = ACSet(Schema("List", ["X"], {"next": ("X", "X")}))
    n = 3000
    x.add_parts("X", n, next=[*range(1, n), None])
    twin = x.copy()
    maps = x.remove("X", n // 2, cascade=True)
    assert x.nparts("X") == n - n // 2 - 1
    assert (maps["X"][: n // 2 + 1] == -1).all()
    twin.remove("X", range(1, n, 2))
    assert twin.nparts("X") == n // 2


def test_ten_thousand_of_a_million_parts():
    schema = Schema("Big", ["E", "P", "R"], {"train": ("E", "P"), "deploy": ("P", "R")})
    rng = np.random.default_rng(0)
    x = ACSet(schema)
    x.add_parts("R", 50_000)
    deploy, train = rng.integers(0, 50_000, 200_000), rng.integers(0, 200_000, 750_000)
    x.add_parts("P", len(deploy), deploy=deploy)
    x.add_parts("E", len(train), train=train)
    gone = rng.choice(50_000, 500, replace=False)
    maps = x.remove("R", gone, cascade=True)
    gone_p = np.isin(deploy, gone)
    gone_e = gone_p[train]
    assert [(maps[ob] == -1).nonzero()[0].tolist() for ob in ("P", "E")] == [
        mask.nonzero()[0].tolist() for mask in (gone_p, gone_e)
    ]
    assert x.column("train")[maps["E"][~gone_e]].tolist() == maps["P"][train[~gone_e]].tolist()
    assert gone_p.sum() + gone_e.sum() > 9_000


def test_clear_makes_undefined():
    x = study()
    x.clear("Policy", [0, 2], "kl_gap", "deploy")
    assert x.column("deploy").tolist() == [None, 0, None]
    assert x.column("kl_gap").tolist() == [None, 0.7, None]
    assert x.variables("kl_gap").tolist() == [-1, -1, -1]
    x.clear("SimEnv", 0, "seed")
    assert x.subpart("seed", 0) is None


@pytest.mark.parametrize(
    ("arguments", "error", "parts"),
    [
        (("Policy", 0), InstanceError, ["which columns of 'Policy'", "deploy, transfer, kl_gap, policy_name"]),
        (("Policy", 0, "kl_gpa"), InstanceError, ["'kl_gpa'", "did you mean 'kl_gap'"]),
        (("Policy", 3, "kl_gap"), InstanceError, ["clear", "3 does not exist"]),
        (("Polcy", 0), SchemaError, ["unknown object 'Polcy'"]),
    ],
)
def test_what_cannot_be_cleared_is_refused(arguments, error, parts):
    x = study()
    with refused(error, *parts):
        x.clear(*arguments)
    assert x == study()


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
