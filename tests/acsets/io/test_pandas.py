"""Instances as pandas data frames."""

import sys

import numpy as np
import pytest
from acset_strategies import STUDY, acsets, refused, study
from hypothesis import given, settings

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.io.arrow import to_frames, to_pandas
from sim2real_cat.errors import EngineError, ExchangeError, SchemaError

pd = pytest.importorskip("pandas", reason="pandas is not installed")


@settings(derandomize=True, deadline=None, max_examples=40)
@given(acsets())
def test_what_is_written_can_be_read(x):
    assert ACSet.from_pandas(x.schema, to_frames(x)) == x


def test_the_frame_of_an_object():
    frame = to_pandas(study(), "Policy")
    assert (frame.index.name, frame.index.tolist()) == ("_id", [0, 1, 2])
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == {
        "deploy": "Int64",
        "transfer": "Int64",
        "kl_gap": "Float64",
        "kl_gap._var": "Int64",
        "policy_name": "string",
    }
    assert frame["kl_gap"].isna().tolist() == [False, False, True]
    assert frame["policy_name"].tolist() == ["ours", pd.NA, "naïve"]
    assert to_pandas(study(), "SimEnv")["noisy"].dtype == "boolean"
    assert to_pandas(study(), "RealEnv").shape == (2, 0)
    assert to_pandas(study(), "TransferGap").index.tolist() == [0, 1]
    assert to_frames(study()).keys() == {*STUDY.obs, *STUDY.attrtypes}


def test_nan_is_a_value_and_na_is_none():
    x = ACSet(STUDY)
    x.add_parts("Policy", 3, kl_gap=[np.nan, None, np.inf], policy_name=["'; DROP TABLE Policy; --", "", "🤖\0"])
    frame = to_pandas(x, "Policy")
    assert frame["kl_gap"].isna().tolist() == [False, True, False]
    assert ACSet.from_pandas(STUDY, to_frames(x)) == x


def test_frames_made_by_hand_are_read():
    frames = {
        "RealEnv": pd.DataFrame(index=range(2)),
        "Policy": pd.DataFrame(
            {
                "deploy": pd.array([1, None], "Int64"),
                "transfer": [0, 1],
                "kl_gap": [0.5, np.nan],
                "policy_name": ["a", None],
            }
        ).iloc[::-1],
        "SimEnv": pd.DataFrame({"train": [], "seed": [], "noisy": []}, dtype=object),
    }
    x = ACSet.from_pandas(STUDY, frames)
    assert [x.subpart(name, 1) for name in ("deploy", "transfer", "kl_gap", "policy_name")] == [None, 1, None, None]
    assert [x.subpart(name, 0) for name in ("deploy", "transfer", "kl_gap", "policy_name")] == [1, 0, 0.5, "a"]
    assert x.nparts("SimEnv") == 0


def changed(**columns):
    def change(frames):
        return {**frames, "Policy": frames["Policy"].assign(**columns)}

    return change


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (lambda f: {**f, "Policy": 3}, ["Policy must be a pandas.DataFrame, not 3"]),
        (lambda f: {**f, "Polcy": f["Policy"]}, ["unknown table 'Polcy'"]),
        (lambda f: {k: v for k, v in f.items() if k != "Policy"}, ["table Policy is missing"]),
        (lambda f: {**f, "Policy": f["Policy"].iloc[1:]}, ["Policy", "_id 2", "0..1"]),
        (lambda f: {**f, "Policy": f["Policy"].set_index("policy_name", drop=False)}, ["Policy: column '_id' is"]),
        (lambda f: {**f, "Policy": pd.concat([f["Policy"], f["Policy"]["deploy"]], axis=1)}, ["'deploy' occurs twice"]),
        (changed(deploy=[0.0, 1.0, np.nan]), ["column 'deploy' is double", "integers"]),
        (changed(deploy=[0, 1, 7]), ["Policy row _id=2", "'deploy' points to RealEnv 7"]),
        (changed(transfer=[0, 0, "x"]), ["Policy: column 'transfer'", "several types"]),
        (changed(policy_name=["a", 1, b"c"]), ["Policy: column 'policy_name'", "several types"]),
        (changed(policy_name=[2**70, 1, 2]), ["Policy: column 'policy_name'"]),
        (changed(surprise=1), ["unknown column 'surprise'"]),
    ],
)
def test_what_is_no_instance_is_refused(change, parts):
    with refused(ExchangeError, "there", *parts):
        ACSet.from_pandas(STUDY, change(to_frames(study())), "there")


def test_an_unknown_table_is_refused():
    with refused(SchemaError, "unknown table 'Polcy'", "did you mean 'Policy'"):
        to_pandas(study(), "Polcy")


def test_without_pandas_the_remedy_is_named(monkeypatch):
    frames = to_frames(study())
    monkeypatch.setitem(sys.modules, "pandas", None)
    for call in (lambda: to_pandas(study(), "Policy"), lambda: ACSet.from_pandas(STUDY, frames)):
        with refused(EngineError, "pandas is not installed", "pip install pandas"):
            call()


def test_variables_come_along():
    x = ACSet.from_pandas(STUDY, to_frames(study()))
    assert (x.subpart("kl_gap", 2), x.nvars("TransferGap")) == (Var(1), 2)
