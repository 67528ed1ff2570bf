"""Named accessors of an instance, and its files."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import ExchangeError, InstanceError, SchemaError
from sim2real_cat.transfer.instance import TransferInstance
from sim2real_cat.transfer.schema import SchSim2RealTransfer, SchTransferStudy


@pytest.fixture
def three(make_instance):
    """Three policies on two robots: one transfers, one was replaced by it, one was not measured."""
    instance = make_instance(
        {"kl_gap": 0.02, "transfer": 0, "policy_name": "good"},
        {"kl_gap": 0.7, "transfer": 0, "policy_name": "poor"},
        {"deploy": 1, "policy_name": "new"},
        robots=2,
    )
    instance.acset.add("SimEnv", sim_name="good/1", train=0, observe_sim=2)
    return instance


@pytest.fixture
def bare():
    """An instance of the source document's own schema: one policy trained in two worlds."""
    x = ACSet(SchSim2RealTransfer)
    x.add_parts("Observation", 2)
    x.add("RealEnv", observe_real=0)
    x.add("Policy", deploy=0, kl_gap=0.25)
    x.add_parts("SimEnv", 2, train=0, observe_sim=1)
    return TransferInstance(x)


def test_an_instance_has_the_transfer_schema(refused):
    with refused(InstanceError, "schema 'Graph' does not extend SchSim2RealTransfer"):
        TransferInstance(ACSet(Schema("Graph", obs=["V"])))


@pytest.mark.parametrize(("policy", "fibre"), [(0, [0, 3]), ("good", [0, 3]), ("poor", [1]), (np.int64(2), [2])])
def test_a_fibre_is_the_preimage_under_train(three, policy, fibre):
    assert three.fibre(policy).tolist() == fibre


@pytest.mark.parametrize(
    ("policy", "parts"),
    [
        ("goood", ["unknown policy 'goood'", "did you mean 'good'?", "good, poor, new"]),
        (3, ["there is no policy 3", "has 3"]),
        (-1, ["there is no policy -1"]),
    ],
)
def test_an_unknown_policy_is_refused(three, refused, policy, parts):
    with refused(InstanceError, *parts):
        three.fibre(policy)


def test_transferring_and_failing(three, make_instance):
    assert three.transferring().tolist() == [0]
    assert three.failing().tolist() == [1]
    assert make_instance({"kl_gap": np.nan}, {"kl_gap": 0.0}).failing().tolist() == [1]


@pytest.mark.parametrize("schema", [SchSim2RealTransfer, SchTransferStudy])
def test_an_empty_instance_answers(schema, refused):
    empty = TransferInstance(ACSet(schema))
    assert empty.transferring().tolist() == empty.failing().tolist() == []
    assert len(empty.transfer_graph()) == 0
    assert empty.along(["kl_gap"]) == {"id": [], "kl_gap": []}
    with refused(InstanceError, "unknown policy 'x'", "(none)"):
        empty.policy("x")


def test_names(three, bare):
    assert [three.name("Policy", part) for part in range(3)] == ["good", "poor", "new"]
    assert (three.name("RealEnv", 1), three.name("SimEnv", 3), three.name("Draw", 0)) == ("robot1", "good/1", "Draw 0")
    assert (bare.name("Policy", 0), bare.policy("Policy 0")) == ("Policy 0", 0)
    three.acset.add_vars("Name", 1)
    three.acset.set("Policy", 2, policy_name=Var(0))
    assert three.name("Policy", 2) == "Policy 2"


def test_reading_along_paths(three):
    assert three.along(["policy_name", "deploy.real_name", "kl_gap", "transfer.policy_name", "transfer"]) == {
        "id": [0, 1, 2],
        "policy_name": ["good", "poor", "new"],
        "deploy.real_name": ["robot0", "robot0", "robot1"],
        "kl_gap": [0.02, 0.7, None],
        "transfer.policy_name": ["good", "good", None],
        "transfer": [0, 0, None],
    }
    assert three.along(["train.deploy.observe_real"])["train.deploy.observe_real"] == [0, 0, 1, 0]


def test_a_variable_reads_as_text(three):
    three.acset.add_vars("TransferGap", 1)
    three.acset.set("Policy", 2, kl_gap=Var(0))
    values = three.along(["kl_gap"])["kl_gap"]
    assert values == [0.02, 0.7, repr(Var(0))]
    assert json.loads(json.dumps(values)) == values


@pytest.mark.parametrize(
    ("paths", "error", "parts"),
    [
        (["polcy_name"], SchemaError, ["polcy_name", "policy_name"]),
        (["deploy.policy_name"], SchemaError, ["deploy.policy_name"]),
        ([""], SchemaError, []),
        ([], InstanceError, ["there is no path"]),
        ("policy_name", InstanceError, ["paths is a list, not the text 'policy_name': write ['policy_name']"]),
        (["policy_name", "real_name"], InstanceError, ["'policy_name' at Policy, 'real_name' at RealEnv"]),
    ],
)
def test_paths_that_cannot_be_read_together(three, refused, paths, error, parts):
    with refused(error, *parts):
        three.along(paths)


def test_the_graph_of_transfers(three):
    graph = three.transfer_graph()
    assert {node: data["label"] for node, data in graph.nodes(data=True)} == {
        ("SimEnv", 0): "policy0/0",
        ("SimEnv", 1): "policy1/0",
        ("SimEnv", 2): "policy2/0",
        ("SimEnv", 3): "good/1",
        ("RealEnv", 0): "robot0",
        ("RealEnv", 1): "robot1",
        ("Policy", 0): "good",
        ("Policy", 1): "poor",
        ("Policy", 2): "new",
    }
    assert set(graph.edges(keys=True)) == {
        *((("SimEnv", env), ("Policy", policy), "train") for env, policy in [(0, 0), (1, 1), (2, 2), (3, 0)]),
        *((("Policy", policy), ("RealEnv", robot), "deploy") for policy, robot in [(0, 0), (1, 0), (2, 1)]),
        *((("Policy", policy), ("Policy", 0), "transfer") for policy in (0, 1)),
    }
    assert graph.nodes["Policy", 1]["kl_gap"] == 0.7
    assert "kl_gap" not in graph.nodes["Policy", 2]


# files


@pytest.mark.parametrize("which", ["three", "bare"])
def test_files_are_read_back_as_the_schema_they_are(which, request, tmp_path):
    instance = request.getfixturevalue(which)
    path = tmp_path / "instance.json"
    instance.write(path)
    read = TransferInstance.read(path)
    assert read == instance
    assert read.acset.schema is instance.acset.schema
    assert [entry.name for entry in tmp_path.iterdir()] == ["instance.json"]
    with pytest.raises(TypeError, match="unhashable"):
        hash(read)
    assert "Policy" in repr(read)


def test_a_failed_write_leaves_the_old_file(three, tmp_path, refused):
    path = tmp_path / "instance.json"
    three.write(path)
    before = path.read_bytes()
    three.acset.set("Policy", 1, kl_gap=np.nan)
    with refused(ExchangeError, "Policy row _id=2", "'kl_gap' is nan"):
        three.write(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["instance.json"]


def test_a_wrong_schema_is_refused(three, tmp_path, refused):
    path = tmp_path / "instance.json"
    three.write(path)
    with refused(ExchangeError, path, "unknown table 'Draw'"):
        TransferInstance.read(path, SchSim2RealTransfer)


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda path: None, "no such instance"),
        (lambda path: path.mkdir(), "cannot be read as text"),
        (lambda path: path.write_bytes(b"\xff\xfe{}"), "cannot be read as text"),
        (lambda path: path.write_text(""), "the text is empty"),
        (lambda path: path.write_text("[]"), "expected a JSON object"),
        (lambda path: path.write_text('{"SimEnv":[]}'), "table RealEnv is missing"),
    ],
)
def test_what_is_no_instance_is_refused(tmp_path, refused, make, part):
    path = tmp_path / "instance.json"
    make(path)
    with refused(ExchangeError, path, part):
        TransferInstance.read(path)


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.8, 0.99])
@pytest.mark.parametrize("which", ["three", "bare"])
def test_a_truncated_file_is_refused(which, share, request, tmp_path, refused):
    text = request.getfixturevalue(which).acset.to_json()
    path = tmp_path / "instance.json"
    path.write_text(text[: int(share * len(text))])
    with refused(ExchangeError, path, "cut short"):
        TransferInstance.read(path)


@pytest.mark.parametrize(
    ("table", "row", "column", "value", "parts"),
    [
        ("Policy", 0, "deploy", 3, ["Policy row _id=1", "'deploy' points to RealEnv 3", "2 RealEnv parts"]),
        ("SimEnv", 3, "train", 99, ["SimEnv row _id=4", "'train' points to Policy 99"]),
        ("Policy", 2, "_id", 1, ["Policy row _id=1 occurs twice"]),
        ("Policy", 2, "_id", 7, ["Policy row _id=7", "1..3"]),
        ("Policy", 2, "_id", None, ["Policy[2]", "'_id'"]),
        ("Policy", 1, "kl_gap", "0.7", ["Policy row _id=2", "'kl_gap'", "'0.7'"]),
        ("Policy", 1, "kl_gap", float("nan"), ["Policy row _id=2", "'kl_gap' is nan", "not a finite number"]),
        ("Policy", 1, "kl_gap", float("inf"), ["Policy row _id=2", "'kl_gap' is inf"]),
        ("Policy", 1, "kl_gap", {"_var": 1}, ["Policy row _id=2", "does not exist"]),
        ("Policy", 1, "policy_name", 5, ["Policy row _id=2", "'policy_name' is 5"]),
        ("Policy", 1, "deploy", 1.5, ["Policy row _id=2", "'deploy' is 1.5"]),
        ("Policy", 1, "colour", "red", ["Policy row _id=2", "unknown column 'colour'"]),
    ],
)
def test_a_damaged_row_is_named(three, tmp_path, refused, table, row, column, value, parts):
    document = json.loads(three.acset.to_json())
    document[table][row][column] = value
    path = tmp_path / "instance.json"
    path.write_text(json.dumps(document))
    with refused(ExchangeError, path, *parts):
        TransferInstance.read(path)
