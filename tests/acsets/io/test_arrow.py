"""Instances as Arrow tables and Parquet folders: what is written is read, what is not an instance is refused."""

import datetime
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from acset_strategies import FIXED, STUDY, acsets, refused, study
from hypothesis import given
from hypothesis import strategies as st

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.codecs import Codec
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.io.arrow import to_arrow, to_parquet
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import ExchangeError

DATES = Schema(
    "Dates",
    ["Log"],
    attrtypes={"Day": Codec(datetime.date, datetime.date.isoformat, datetime.date.fromisoformat)},
    attrs={"day": ("Log", "Day")},
)


def hard():
    """Values that a careless way out changes: NaN beside undefined, infinities, -0.0, large ints, odd texts."""
    x = study()
    x.add_parts("Policy", 5, kl_gap=[np.nan, np.inf, -np.inf, -0.0, None])
    x.set("Policy", range(8), policy_name=["", "NULL", "nan", "'; DROP TABLE Policy; --", '"\\\0', "🤖", "a\nb", None])
    x.add_parts("SimEnv", 2, seed=[2**63 - 1, -(2**63)])
    return x


@FIXED
@given(acsets())
def test_what_is_written_can_be_read(x):
    assert ACSet.from_arrow(x.schema, to_arrow(x)) == x


def test_what_is_hard_to_write_can_be_read(tmp_path):
    x = hard()
    assert ACSet.from_arrow(STUDY, to_arrow(x)) == x
    to_parquet(x, tmp_path)
    y = ACSet.from_parquet(STUDY, tmp_path)
    assert y == x
    assert np.signbit(y.subpart("kl_gap", 6))


def test_the_tables_are_what_the_documentation_says():
    tables = to_arrow(study())
    assert list(tables) == ["SimEnv", "RealEnv", "Policy", "TransferGap"]
    assert tables["Policy"].to_pydict() == {
        "_id": [0, 1, 2],
        "deploy": [1, 0, None],
        "transfer": [0, 0, None],
        "kl_gap": [0.02, 0.7, None],
        "kl_gap._var": [None, None, 1],
        "policy_name": ["ours", None, "naïve"],
    }
    assert tables["SimEnv"].schema == pa.schema(
        {"_id": pa.int64(), "train": pa.int64(), "seed": pa.int64(), "noisy": pa.bool_()}
    )
    assert tables["TransferGap"].to_pydict() == {"_id": [0, 1]}


@FIXED
@given(acsets(), st.randoms(use_true_random=False))
def test_rows_may_come_in_any_order(x, rng):
    tables = {}
    for name, table in to_arrow(x).items():
        order = list(range(len(table)))
        rng.shuffle(order)
        tables[name] = table.take(pa.array(order, pa.int64()))
    assert ACSet.from_arrow(x.schema, tables) == x


def test_other_layouts_of_the_same_values_are_read():
    tables = to_arrow(study())
    tables["Policy"] = pa.table(
        {
            "_id": pa.array([0, 1, 2], pa.uint8()),
            "deploy": pa.chunked_array([[1], [0, None]], pa.int32()),
            "transfer": pa.array([0, 0, None], pa.uint64()),
            "kl_gap": pa.array([0.5, 1, None], pa.float32()),
            "policy_name": pa.array(["ours", None, "naïve"]).dictionary_encode(),
        }
    )
    tables["SimEnv"] = tables["SimEnv"].set_column(3, "noisy", pa.nulls(4))
    y = ACSet.from_arrow(STUDY, tables)
    assert (y.column("kl_gap").tolist(), y.column("noisy").tolist()) == ([0.5, 1.0, None], [None] * 4)
    assert (y.column("deploy").tolist(), y.column("policy_name").tolist()) == ([1, 0, None], ["ours", None, "naïve"])
    tables["Policy"] = tables["Policy"].set_column(4, "policy_name", pa.array(["a", "b", "c"], pa.large_string()))
    tables["Policy"] = tables["Policy"].set_column(3, "kl_gap", pa.array([1, 2, 3]))
    y = ACSet.from_arrow(STUDY, tables)
    assert (y.column("kl_gap").tolist(), y.column("policy_name").tolist()) == ([1.0, 2.0, 3.0], ["a", "b", "c"])


def test_a_codec_writes_its_json(tmp_path):
    x = ACSet(DATES)
    x.add_vars("Day", 1)
    x.add_parts("Log", 3, day=[datetime.date(2025, 3, 1), None, Var(0)])
    assert to_arrow(x)["Log"]["day"].to_pylist() == ['"2025-03-01"', None, None]
    to_parquet(x, tmp_path)
    assert ACSet.from_parquet(DATES, tmp_path) == x
    for text in ('"yesterday"', "2025", "{"):
        table = pa.table({"_id": [0], "day": [text]})
        with refused(ExchangeError, "t: Log row _id=0", "'day' is", "not the JSON of a date"):
            ACSet.from_arrow(DATES, {"Log": table}, "t")


def test_what_cannot_be_written_is_named(tmp_path):
    x = study()
    x.set("Policy", 1, policy_name="\ud83e")
    to_parquet(study(), tmp_path)
    for write in (to_arrow, lambda x: to_parquet(x, tmp_path)):
        with refused(ExchangeError, "'policy_name' of Policy 1", "surrogate"):
            write(x)
    assert ACSet.from_parquet(STUDY, tmp_path) == study()


def put(table, column, values, kind=None):
    """Replace or add a column of the study's tables."""

    def change(tables):
        array = pa.array(values, kind)
        names = tables[table].column_names
        if column in names:
            return {**tables, table: tables[table].set_column(names.index(column), column, array)}
        return {**tables, table: tables[table].append_column(column, array)}

    return change


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (lambda t: {**t, "Polcy": t["Policy"]}, ["unknown table 'Polcy'", "did you mean 'Policy'"]),
        (lambda t: {k: v for k, v in t.items() if k != "RealEnv"}, ["table RealEnv is missing"]),
        (lambda t: {k: v for k, v in t.items() if k != "TransferGap"}, ["Policy row _id=2", "variable", "there are 0"]),
        (lambda t: {**t, "Policy": {}}, ["Policy must be a pyarrow.Table"]),
        (lambda t: {**t, "Policy": t["Policy"].drop(["deploy"])}, ["Policy: column 'deploy' is missing"]),
        (lambda t: {**t, "Policy": t["Policy"].drop(["kl_gap"])}, ["Policy: column 'kl_gap' is missing"]),
        (lambda t: {**t, "Policy": t["Policy"].drop(["_id"])}, ["Policy: column '_id' is missing"]),
        (put("Policy", "deplyo", [1, 0, 0]), ["Policy: unknown column 'deplyo'", "did you mean 'deploy'"]),
        (put("SimEnv", "train._var", [0] * 4), ["unknown column 'train._var'"]),
        (
            lambda t: {**t, "RealEnv": pa.table([pa.array([0, 1]), pa.array([0, 1])], ["_id", "_id"])},
            ["RealEnv: column '_id' occurs twice"],
        ),
        (put("Policy", "_id", [0, 1, None]), ["Policy: row 2 has _id null", "0..2"]),
        (put("Policy", "_id", [1, 2, 3]), ["Policy: row 2 has _id 3", "0..2"]),
        (put("Policy", "_id", [0, -1, 1]), ["Policy: row 1 has _id -1"]),
        (put("Policy", "_id", [0, 1, 1]), ["Policy: _id 1 occurs twice"]),
        (put("Policy", "_id", [0.0, 1.0, 2.0]), ["Policy: column '_id' is double", "integers"]),
        (put("SimEnv", "train", [0, 1, 3, 0]), ["SimEnv row _id=2", "'train' points to Policy 3", "3 Policy parts"]),
        (put("SimEnv", "train", [0, -1, 0, 0]), ["SimEnv row _id=1", "'train' points to Policy -1"]),
        (put("SimEnv", "train", [0.0, 1.0, 2.0, 0.0]), ["SimEnv: column 'train' is double", "integers"]),
        (put("SimEnv", "train", ["0", "1", "2", "0"]), ["SimEnv: column 'train' is string"]),
        (put("SimEnv", "train", [True] * 4), ["SimEnv: column 'train' is bool"]),
        (put("SimEnv", "seed", [2**63] * 4, pa.uint64()), ["SimEnv: column 'seed'", "64 bits"]),
        (put("SimEnv", "seed", [1.0] * 4), ["SimEnv: column 'seed' is double", "integers"]),
        (put("SimEnv", "noisy", [1] * 4), ["SimEnv: column 'noisy' is int64", "must be bool"]),
        (put("Policy", "kl_gap", ["a", "b", "c"]), ["Policy: column 'kl_gap' is string", "must be double"]),
        (put("Policy", "kl_gap", [True] * 3), ["Policy: column 'kl_gap' is bool", "must be double"]),
        (put("Policy", "policy_name", [1, 2, 3]), ["Policy: column 'policy_name' is int64", "must be string"]),
        (put("Policy", "policy_name", [b"a"] * 3), ["Policy: column 'policy_name' is binary", "must be string"]),
        (
            put("Policy", "policy_name", pa.array([b"\xff"] * 3).view(pa.string())),
            ["Policy: column 'policy_name'", "not UTF-8"],
        ),
        (put("Policy", "kl_gap", [1.0, 2.0, 3.0]), ["Policy row _id=2", "'kl_gap' has a value and a variable"]),
        (
            put("Policy", "kl_gap._var", [None, None, 2]),
            ["Policy row _id=2", "variable of TransferGap 2", "there are 2"],
        ),
        (put("Policy", "kl_gap._var", [None, None, "1"]), ["Policy: column 'kl_gap._var' is string"]),
    ],
)
def test_what_is_no_instance_is_refused(change, parts):
    with refused(ExchangeError, "there: ", *parts):
        ACSet.from_arrow(STUDY, change(to_arrow(study())), source="there")


@FIXED
@given(acsets())
def test_a_folder_is_read_as_it_was_written(tmp_path_factory, x):
    folder = tmp_path_factory.mktemp("x") / "new"
    to_parquet(x, folder)
    assert ACSet.from_parquet(x.schema, folder) == x


def test_a_folder_holds_one_file_per_table_and_the_schema(tmp_path):
    to_parquet(study(), tmp_path)
    names = ["Policy.parquet", "RealEnv.parquet", "SimEnv.parquet", "TransferGap.parquet", "schema.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert json.loads((tmp_path / "schema.json").read_text()) == json.loads(STUDY.to_json())
    assert pq.read_table(tmp_path / "Policy.parquet", partitioning=None) == to_arrow(study())["Policy"]
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    to_parquet(study(), tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_is_overwritten_with_an_instance_that_has_no_variables(tmp_path):
    to_parquet(study(), tmp_path)
    to_parquet(ACSet(STUDY), tmp_path)
    assert ACSet.from_parquet(STUDY, tmp_path) == ACSet(STUDY)


def test_a_file_cut_or_damaged_anywhere_is_refused(tmp_path):
    n = 3000
    x = ACSet(STUDY)
    x.add_parts("Policy", n, kl_gap=np.linspace(0, 1, n), transfer=np.arange(n)[::-1], policy_name="p")
    to_parquet(x, tmp_path)
    path = tmp_path / "Policy.parquet"
    whole = path.read_bytes()
    for end in (0, 1, 4, len(whole) // 3, len(whole) // 2, len(whole) - 9, len(whole) - 1):
        path.write_bytes(whole[:end])
        with refused(ExchangeError, "Policy.parquet: not a whole Parquet file", "write the instance again"):
            ACSet.from_parquet(STUDY, tmp_path)
    for at in (100, len(whole) // 3, whole.index(b"kl_gap")):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xAA]) + whole[at + 1 :])
        with refused(ExchangeError, "Policy.parquet"):
            ACSet.from_parquet(STUDY, tmp_path)


def test_a_folder_without_a_file_is_refused(tmp_path):
    with refused(ExchangeError, "schema.json", "No such file"):
        ACSet.from_parquet(STUDY, tmp_path / "nowhere")
    for name in ("schema.json", "RealEnv.parquet"):
        to_parquet(study(), tmp_path)
        (tmp_path / name).unlink()
        with refused(ExchangeError, name, "write the instance again"):
            ACSet.from_parquet(STUDY, tmp_path)
    to_parquet(study(), tmp_path)
    (tmp_path / "schema.json").write_bytes(b"\xff")
    with refused(ExchangeError, "schema.json", "not UTF-8"):
        ACSet.from_parquet(STUDY, tmp_path)


def test_a_folder_of_another_schema_is_refused(tmp_path):
    to_parquet(study(), tmp_path)
    with refused(ExchangeError, "schema.json", "another schema than More"):
        ACSet.from_parquet(STUDY.extend("More", obs=["Extra"]), tmp_path)


def test_an_interrupted_writing_is_not_read(tmp_path, monkeypatch):
    """Between two tables the old ones are gone, so nothing may pass for an instance."""
    to_parquet(study(), tmp_path)
    write = pq.write_table

    def fail(table, path, **options):
        if "RealEnv" in path.name:
            raise OSError(28, "No space left on device")
        write(table, path, **options)

    monkeypatch.setattr(pq, "write_table", fail)
    with refused(ExchangeError, str(tmp_path), "No space left"):
        to_parquet(hard(), tmp_path)
    with refused(ExchangeError, "schema.json", "write the instance again"):
        ACSet.from_parquet(STUDY, tmp_path)


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "taken").write_text("")
    with refused(ExchangeError, "taken", "cannot be written"):
        to_parquet(study(), tmp_path / "taken")
