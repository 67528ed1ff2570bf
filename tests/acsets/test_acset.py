import numpy as np
import pytest
from acset_strategies import FIXED, STUDY, acsets, refused, study
from hypothesis import given

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Var
from sim2real_cat.errors import EngineError, InstanceError, SchemaError


def test_parts_are_counted_from_zero():
    x = study()
    assert x.nparts("SimEnv") == 4
    assert x.parts("SimEnv").tolist() == [0, 1, 2, 3]
    assert x.add("SimEnv", train=1) == 4
    assert x.add_parts("SimEnv", 0).tolist() == []
    assert x.add_parts("SimEnv", 2).tolist() == [5, 6]
    assert x.subpart("train", 6) is None
    assert repr(x).startswith("<ACSet Study {SimEnv: 7, RealEnv: 2, Policy: 3")


def test_a_path_is_read_left_to_right():
    x = study()
    assert x.subpart("train.deploy").tolist() == [None, 1, 1, 0]
    assert x.subpart(("train", "deploy"), [1, 3]).tolist() == [1, 0]
    assert x.subpart("train.deploy", 0) is None
    assert x.subpart("train.deploy", 1) == 1
    assert x.subpart("", ob="Policy").tolist() == [0, 1, 2]
    assert x.subpart("", [2, 2, 0], ob="Policy").tolist() == [2, 2, 0]
    assert type(x.subpart("train", np.int64(1))) is int


def test_an_undefined_hom_is_masked_and_plain_ids_have_minus_one():
    x = study()
    for column in (x.column("deploy"), x.subpart("train.deploy", [0, 1]), x.subpart("", ob="Policy")):
        assert isinstance(column, np.ma.MaskedArray)
        assert column.dtype == np.int64
    assert x.column("deploy").mask.tolist() == [False, False, True]
    assert x.column("deploy").tolist() == [1, 0, None]
    assert x.column_ids("deploy").tolist() == [1, 0, -1]
    assert np.count_nonzero(x.column("deploy") >= 0) == 2
    with pytest.raises(IndexError):
        np.array(["arm", "leg"])[x.column("deploy")]  # numpy looks under the mask, where -1 would be the last row
    assert x.subpart("train.deploy", [0, 1]).mask.tolist() == [True, False]
    assert x.subpart_ids("train.deploy", [0, 1]).tolist() == [-1, 1]
    assert x.subpart_ids("", ob="Policy").tolist() == [0, 1, 2]
    twin = ACSet(STUDY)
    twin.add_parts("RealEnv", 2)
    twin.add_parts("Policy", 3, deploy=x.column("deploy"))  # what a column is read as can be written again
    assert twin.column("deploy").tolist() == [1, 0, None]
    with refused(InstanceError, "-1 is undefined", "'Policy'"):
        x.subpart("deploy", x.column("transfer"))
    with refused(SchemaError, "'kl_gap' ends in an attribute", "use subpart"):
        x.subpart_ids("kl_gap")
    with refused(SchemaError, "unknown hom 'kl_gap'", "train, deploy, transfer"):
        x.column_ids("kl_gap")


def test_an_attribute_is_a_value_or_nothing_or_a_variable():
    x = study()
    gaps = x.subpart("train.kl_gap")
    assert gaps.tolist() == [None, 0.02, 0.02, 0.7]
    assert gaps.dtype == np.float64
    assert x.subpart("train.kl_gap", 0) == Var(1)
    assert x.subpart("seed", 2) is None
    assert x.subpart("noisy", 0) is True
    assert type(x.subpart("seed", 0)) is int
    assert x.variables("kl_gap").tolist() == [-1, -1, 1]
    assert x.nvars("TransferGap") == 2
    assert x.add_vars("Name", 2) == (Var(0), Var(1))


def test_a_preimage_is_read_right_to_left():
    x = study()
    assert x.incident(1, "train.deploy").tolist() == [1, 2]
    assert [ids.tolist() for ids in x.incident([0, 1], "train.deploy")] == [[3], [1, 2]]
    assert x.incident(Var(1), "train.kl_gap").tolist() == [0]
    assert x.incident(1, "transfer.deploy").tolist() == [0, 1]  # and not 2, whose transfer is undefined
    assert x.incident("naïve", "train.policy_name").tolist() == [0]
    assert [ids.tolist() for ids in x.incident(["ours", "theirs"], "policy_name")] == [[0], []]
    assert [ids.tolist() for ids in x.incident([Var(0), 0.7, Var(1), 0.7], "kl_gap")] == [[], [1], [2], [1]]
    assert x.incident(2, "", ob="Policy").tolist() == [2]
    assert x.incident([], "train") == []
    assert x.incident(7, "seed").dtype == np.int64


def test_a_preimage_is_sorted_whatever_way_it_was_reached():
    x = ACSet(STUDY)
    x.add("RealEnv")
    x.add_parts("Policy", 2, deploy=0, policy_name="same")
    x.add_parts("SimEnv", 4, train=[1, 0, 1, 0])
    assert x.incident(0, "train.deploy").tolist() == [0, 1, 2, 3]
    assert [ids.tolist() for ids in x.incident(["same", "same"], "train.policy_name")] == [[0, 1, 2, 3]] * 2


def test_all_preimages_at_once():
    x = study()
    offsets, ids = x.preimages("train")
    assert offsets.tolist() == [0, 2, 3, 4]
    assert ids.tolist() == [1, 2, 3, 0]
    x.add_parts("Policy", 2)
    assert x.preimages("train").offsets.tolist() == [0, 2, 3, 4, 4, 4]
    assert x.incident(4, "train").tolist() == []
    x.set("SimEnv", 0, train=None)
    offsets, ids = x.preimages("train.deploy")
    assert (offsets.tolist(), ids.tolist()) == ([0, 1, 3], [3, 1, 2])
    offsets, ids = x.preimages("", ob="RealEnv")
    assert (offsets.tolist(), ids.tolist()) == ([0, 1, 2], [0, 1])
    assert [part.tolist() for part in ACSet(STUDY).preimages("train")] == [[0], []]
    with pytest.raises(ValueError, match="read-only"):
        x.preimages("train").ids[0] = 1
    with refused(SchemaError, "'train.kl_gap'", "attribute", "incident"):
        x.preimages("train.kl_gap")


@pytest.mark.parametrize("n", [3, 2000])
def test_preimages_of_short_and_of_long_columns(n):
    x = ACSet(STUDY)
    x.add_vars("Seed")
    x.add_parts("Policy", n, kl_gap=[0.5, None, np.nan] * (n // 3) + [0.5] * (n % 3))
    train, seed = [i % n for i in range(3 * n)], [None, Var(0), 0] * n
    x.add_parts("SimEnv", 3 * n, train=train, seed=seed, noisy=True)
    for value in (0, 1, n - 1):
        expected = [i for i, target in enumerate(train) if target == value]
        assert x.incident(value, "train").tolist() == x.incident([value, 0], "train")[0].tolist() == expected
        offsets, ids = x.preimages("train")
        assert ids[offsets[value] : offsets[value + 1]].tolist() == expected
    assert x.incident(0, "seed").tolist() == [i for i, value in enumerate(seed) if value == 0]
    assert x.incident(Var(0), "seed").tolist() == [i for i, value in enumerate(seed) if value == Var(0)]
    assert x.incident(False, "noisy").tolist() == []
    assert x.incident(np.nan, "kl_gap").tolist() == list(range(2, n, 3))[: n // 3]
    half = {i for i in range(n) if x.subpart("kl_gap", i) == 0.5}
    assert x.incident(0.5, "train.kl_gap").tolist() == [i for i, target in enumerate(train) if target in half]


def test_nan_is_a_value_that_can_be_found():
    x = study()
    x.set("Policy", 1, kl_gap=float("nan"))
    assert np.isnan(x.subpart("kl_gap", 1))
    assert x.incident(np.nan, "kl_gap").tolist() == [1]
    assert x == x.copy()


def test_new_parts_may_refer_to_themselves_and_to_each_other():
    x = ACSet(STUDY)
    assert x.add("Policy", transfer=0) == 0
    x.add_parts("Policy", 2, transfer=[2, 1])
    assert x.subpart("transfer").tolist() == [0, 2, 1]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (np.array([0.5, 1.0], np.float32), [0.5, 1.0]),
        (np.array([1, 2], np.uint8), [1.0, 2.0]),
        ([1, np.float64(2.5)], [1.0, 2.5]),
        (np.ma.MaskedArray([0.5, 0.6], mask=[True, False]), [None, 0.6]),
        (np.array([0.5, None], dtype=object), [0.5, None]),
        ((value for value in (1.5, None)), [1.5, None]),
        (0.25, [0.25, 0.25]),
        (None, [None, None]),
    ],
)
def test_what_a_float_column_takes(column, expected):
    x = ACSet(STUDY)
    x.add_parts("Policy", 2, kl_gap=column)
    assert x.column("kl_gap").tolist() == expected


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (np.array([1, -1], np.int32), [1, None]),
        (np.array([0, 1], np.uint64), [0, 1]),
        (np.ma.MaskedArray([7, 1], mask=[True, False]), [None, 1]),
        ([np.int64(1), None], [1, None]),
        (range(2), [0, 1]),
        (1, [1, 1]),
    ],
)
def test_what_a_hom_takes(column, expected):
    x = study()
    x.set("Policy", [0, 1], deploy=column)
    assert x.column("deploy").tolist()[:2] == expected


@pytest.mark.parametrize("column", [np.array(["a", "b"]), ["a", np.str_("b")], np.array(["a", "b"], dtype=object)])
def test_what_a_str_column_takes(column):
    x = ACSet(STUDY)
    x.add_parts("Policy", 2, policy_name=column)
    assert x.column("policy_name").tolist() == ["a", "b"]
    assert {type(value) for value in x.column("policy_name")} == {str}


def test_what_is_read_is_a_copy():
    x = study()
    before = x.copy()
    x.column("train")[:] = 0
    x.column("seed")[:] = 0
    x.subpart("", ob="Policy")[:] = 0
    x.incident(0, "train")[:] = 0
    twin = x.copy()
    twin.set("SimEnv", 0, train=1, seed=9)
    twin.add_vars("Seed")
    assert x == before != twin


def test_equality_is_schema_and_content():
    assert study() == study()
    assert study() != ACSet(STUDY)
    assert study() != "study"
    other = study()
    other.set("SimEnv", 2, seed=0)  # undefined before, and 0 is what fills the slot of nothing
    assert other != study()


def test_what_a_mask_covers_leaves_no_trace():
    masked, listed = ACSet(STUDY), ACSet(STUDY)
    masked.add_parts("Policy", 2, kl_gap=np.ma.MaskedArray([0.5, 0.6], mask=[True, False]))
    listed.add_parts("Policy", 2, kl_gap=[None, 0.6])
    assert masked == listed


def test_unique_columns_stay_unique():
    x = ACSet(STUDY, index=["train"], unique_index=["policy_name", "deploy"])
    x.add_parts("RealEnv", 3)
    x.add_parts("Policy", 3, policy_name=["a", "b", None], deploy=[0, 1, None])
    before = x.copy()
    with refused(InstanceError, "'policy_name' of 'Policy'", "unique", "ids 1 and 3", "'b'"):
        x.add("Policy", policy_name="b")
    with refused(InstanceError, "'deploy' of 'Policy'", "unique", "ids 0 and 2", "0"):
        x.set("Policy", 2, deploy=0, policy_name="c")
    with refused(InstanceError, "unique", "ids 3 and 4"):
        x.add_parts("Policy", 2, policy_name="z")
    assert x == before
    x.set("Policy", [0, 1], policy_name=["b", "a"])
    x.set("Policy", 0, policy_name=None)
    assert x.add("Policy", policy_name="b") == 3
    twin = x.copy()
    twin.add_parts("Policy", 2, policy_name=[None, "c"])
    with refused(InstanceError, "unique"):
        twin.add("Policy", policy_name="b")
    assert x.add("Policy", policy_name="c") == 4


def test_engines_and_indexes_are_checked_by_name():
    with refused(EngineError, "unknown engine 'catlb'", "did you mean 'catlab'? Valid: embedded, catlab"):
        ACSet(STUDY, engine="catlb")
    with refused(SchemaError, "unknown arrow 'trian'", "did you mean 'train'"):
        ACSet(STUDY, index=["trian"])
    with refused(SchemaError, "unknown arrow 'Policy'"):
        ACSet(STUDY, unique_index=["Policy"])


BAD_MUTATIONS = {
    "unknown object": (SchemaError, lambda x: x.add("Polcy"), ["unknown object 'Polcy'", "'Policy'"]),
    "unknown column": (InstanceError, lambda x: x.add("SimEnv", trian=0), ["'SimEnv'", "'trian'", "'train'"]),
    "another table's column": (InstanceError, lambda x: x.add("SimEnv", deploy=0), ["'deploy'", "train, seed, noisy"]),
    "dangling id": (InstanceError, lambda x: x.add("SimEnv", train=9), ["'train' of 'SimEnv'", "9", "Policy", "0..2"]),
    "negative id": (InstanceError, lambda x: x.add("SimEnv", train=-1), ["-1", "negative", "None"]),
    "negative id in a list": (InstanceError, lambda x: x.set("SimEnv", [0, 1], train=[0, -1]), ["row 1", "-1"]),
    "below -1 in an array": (
        InstanceError,
        lambda x: x.set("SimEnv", [0, 1], train=np.array([0, -2])),
        ["row 1", "-2"],
    ),
    "bool as id": (InstanceError, lambda x: x.add("SimEnv", train=True), ["True", "not an integer id"]),
    "float as id": (InstanceError, lambda x: x.add("SimEnv", train=1.0), ["1.0", "not an integer id"]),
    "variable as id": (InstanceError, lambda x: x.add("SimEnv", train=Var(0)), ["Var(k=0)", "not an integer id"]),
    "float array as ids": (
        InstanceError,
        lambda x: x.set("SimEnv", [0], train=np.array([1.0])),
        ["float64", "integer"],
    ),
    "huge id": (InstanceError, lambda x: x.add("SimEnv", train=2**70), ["64 bits"]),
    "wrong length": (
        InstanceError,
        lambda x: x.add_parts("SimEnv", 2, train=[0, 0, 0]),
        ["column 'train' has 3 values for 2 new parts of 'SimEnv'"],
    ),
    "wrong length in set": (InstanceError, lambda x: x.set("SimEnv", [0, 1], train=[0]), ["1 values for 2 parts"]),
    "column for one part": (InstanceError, lambda x: x.add("Policy", kl_gap=[0.1]), ["[0.1]", "not a float"]),
    "two dimensions": (
        InstanceError,
        lambda x: x.add_parts("Policy", 2, kl_gap=np.eye(2)),
        ["(2, 2)", "one dimension"],
    ),
    "a set": (InstanceError, lambda x: x.add_parts("Policy", 2, kl_gap={1.0, 2.0}), ["not a column", "list"]),
    "str as float": (InstanceError, lambda x: x.add("Policy", kl_gap="0.1"), ["'kl_gap'", "'0.1'", "not a float"]),
    "bool as float": (InstanceError, lambda x: x.add("Policy", kl_gap=True), ["True", "not a float"]),
    "bool array as float": (InstanceError, lambda x: x.add_parts("Policy", 1, kl_gap=np.array([True])), ["bool"]),
    "float as int": (InstanceError, lambda x: x.add("SimEnv", seed=1.0), ["1.0", "not an int", "Seed is int"]),
    "bool as int": (InstanceError, lambda x: x.add_parts("SimEnv", 2, seed=[1, False]), ["row 1", "False"]),
    "int as bool": (InstanceError, lambda x: x.add("SimEnv", noisy=1), ["1 is not a bool"]),
    "int as str": (InstanceError, lambda x: x.add("Policy", policy_name=3), ["3 is not a str"]),
    "long str on one line": (InstanceError, lambda x: x.add("Policy", kl_gap="a\nb" * 99), ["not a float"]),
    "int of 65 bits": (InstanceError, lambda x: x.add_parts("SimEnv", 2, seed=[1, 2**63]), ["row 1", "64 bits"]),
    "uint of 64 bits": (InstanceError, lambda x: x.add_parts("SimEnv", 1, seed=np.array([2**63], np.uint64)), ["bits"]),
    "int too large for float": (InstanceError, lambda x: x.add("Policy", kl_gap=10**400), ["64 bits"]),
    "missing variable": (InstanceError, lambda x: x.add("Policy", kl_gap=Var(2)), ["Var(k=2)", "add_vars"]),
    "negative variable": (InstanceError, lambda x: x.add("Policy", kl_gap=Var(-1)), ["Var(0), Var(1)"]),
    "bad number of parts": (InstanceError, lambda x: x.add_parts("Policy", -1), ["-1", "'Policy'", ">= 0"]),
    "bool number of parts": (InstanceError, lambda x: x.add_parts("Policy", True), ["True"]),
    "bad number of variables": (InstanceError, lambda x: x.add_vars("Name", 1.5), ["1.5", "'Name'"]),
    "unknown attribute type": (SchemaError, lambda x: x.add_vars("Nmae"), ["'Nmae'", "did you mean 'Name'"]),
    "set out of range": (InstanceError, lambda x: x.set("Policy", 3, kl_gap=0.1), ["'Policy'", "3", "0..2"]),
    "set one of several": (InstanceError, lambda x: x.set("Policy", [0, 3], kl_gap=0.1), ["3 does not exist"]),
    "set negative": (InstanceError, lambda x: x.set("Policy", -1, kl_gap=0.1), ["'Policy'", "-1"]),
    "set twice": (InstanceError, lambda x: x.set("Policy", [1, 0, 1], kl_gap=0.1), ["'Policy'", "1", "twice"]),
    "set by mask": (InstanceError, lambda x: x.set("Policy", np.ones(3, bool), kl_gap=0.1), ["bool", "flatnonzero"]),
    "good column, then bad": (InstanceError, lambda x: x.set("Policy", 0, deploy=0, kl_gap="x"), ["'x'"]),
    "good column, then bad, on adding": (InstanceError, lambda x: x.add("Policy", deploy=0, kl_gap="x"), ["'x'"]),
}


@pytest.mark.parametrize("case", BAD_MUTATIONS)
def test_a_refused_mutation_says_why_and_changes_nothing(case):
    error, mutate, parts = BAD_MUTATIONS[case]
    x = study()
    with refused(error, *parts):
        mutate(x)
    assert x == study()


@pytest.mark.parametrize(
    ("ask", "error", "parts"),
    [
        (lambda x: x.subpart("train", 4), InstanceError, ["'train'", "'SimEnv'", "4", "0..3"]),
        (lambda x: x.subpart("train", [0, -1]), InstanceError, ["'SimEnv'", "-1"]),
        (lambda x: x.subpart("train", "0"), InstanceError, ["'0'", "not an integer id"]),
        (lambda x: x.subpart("train", [0.0]), InstanceError, ["0.0", "not an integer id"]),
        (lambda x: x.subpart("trian"), SchemaError, ["'trian'", "did you mean 'train'"]),
        (lambda x: x.column("Policy"), SchemaError, ["unknown arrow 'Policy'"]),
        (lambda x: x.variables("train"), SchemaError, ["unknown attribute 'train'"]),
        (lambda x: x.nparts("Name"), SchemaError, ["unknown object 'Name'"]),
        (lambda x: x.nvars("Policy"), SchemaError, ["unknown attribute type 'Policy'"]),
        (lambda x: x.incident(3, "train"), InstanceError, ["'train'", "3", "0..2"]),
        (lambda x: x.incident(None, "train"), InstanceError, ["undefined"]),
        (lambda x: x.incident([0.1, None], "kl_gap"), InstanceError, ["None", "not a value"]),
        (lambda x: x.incident("0.1", "kl_gap"), InstanceError, ["'0.1'", "TransferGap is float"]),
        (lambda x: ACSet(STUDY).incident(0, "train"), InstanceError, ["Policy has no parts"]),
    ],
)
def test_a_question_that_has_no_answer_is_refused(ask, error, parts):
    with refused(error, *parts):
        ask(study())


@FIXED
@given(acsets())
def test_a_copy_is_equal_and_apart(x):
    twin = x.copy()
    assert twin == x
    twin.add(x.schema.obs[0])
    assert twin != x
