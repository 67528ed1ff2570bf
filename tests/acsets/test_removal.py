import numpy as np
import pytest
from acset_strategies import FIXED, STUDY, acsets, refused, study
from hypothesis import given
from hypothesis import strategies as st

from sim2real_cat.acsets.acset import ACSet
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
