"""ONNX graphs as policies; skipped, with the reason, where the extra is not installed."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from rig import equal, rig_world

from sim2real_cat.errors import PolicyError
from sim2real_cat.policies.files import load_policy
from sim2real_cat.policies.mlp import MlpPolicy
from sim2real_cat.worlds.simulation.rollout import rollout
from sim2real_cat.worlds.world import World

pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install 'sim2real-cat[onnx]'")
pytest.importorskip("onnx", reason="the graphs of these tests are made with onnx: pip install onnx")

import graphs
import onnx
from graphs import DOUBLE, FLOAT, graph_bytes, network, save, summing

from sim2real_cat.policies.external import OnnxPolicy

RNG = np.random.default_rng(0)
WEIGHTS = [RNG.standard_normal(shape) for shape in ((64, 4), (64, 64), (2, 64))]
BIASES = [RNG.standard_normal(len(weight)) for weight in WEIGHTS]


def act(policy, rows):
    return policy.act(rows, np.arange(len(rows)), 0)


@pytest.mark.parametrize("batch", ["batch", 1, 8])
@pytest.mark.parametrize(("dtype", "tolerance"), [(FLOAT, 1e-4), (DOUBLE, 1e-12)])
def test_a_graph_answers_as_the_network_does_in_numpy(batch, dtype, tolerance):
    unbounded = np.full(2, np.inf)
    reference = MlpPolicy(tuple(WEIGHTS), tuple(BIASES), np.zeros(4), np.ones(4), -unbounded, unbounded)
    policy = OnnxPolicy(network(WEIGHTS, BIASES, batch=batch, dtype=dtype))
    assert policy.widths == (4, 2)
    rows = np.random.default_rng(1).standard_normal((37, 4))
    np.testing.assert_allclose(act(policy, rows), act(reference, rows), atol=tolerance)


def test_a_graph_says_what_it_is_in_a_line():
    policy = OnnxPolicy(network(WEIGHTS, BIASES))
    assert repr(policy) == f"OnnxPolicy(4 observations, 2 actions, digest {policy.digest[:12]})"


@pytest.mark.parametrize("dtype", [FLOAT, DOUBLE])
@pytest.mark.parametrize("rows", [1, 2, 15, 16, 17, 64, 256])
def test_a_row_is_answered_alike_whatever_stands_beside_it(rows, dtype):
    policy = OnnxPolicy(network(WEIGHTS, BIASES, dtype=dtype))
    observations = np.random.default_rng(rows).standard_normal((rows, 4))
    whole = act(policy, observations)
    for some in ([0], [rows - 1], list(range(rows // 2, rows)), list(range(0, rows, 3)), list(range(rows))[::-1]):
        np.testing.assert_array_equal(act(policy, observations[some]), whole[some])


def test_a_rollout_does_not_depend_on_the_batch(tmp_path):
    """The first 4 of 40 episodes, which end at different times, are those of a rollout of 4."""
    world = World.gymnasium("InvertedPendulum", noise=0.02)
    weights = [*WEIGHTS[:2], 0.05 * WEIGHTS[2][:1]]
    path = save(tmp_path / "policy.onnx", network(weights, [*BIASES[:2], BIASES[2][:1]]))
    policy = load_policy(path, world=world)
    many, few = (rollout(world, policy, rng=0, episodes=n, steps=30, threads=t) for n, t in ((40, 2), (4, 1)))
    assert len(set(many.lengths.tolist())) > 1
    frames = few.actions.shape[1]
    np.testing.assert_array_equal(many.actions[:4, :frames], few.actions)


STATES = {
    "in the first axis": {},
    "in the second axis": {"state": ("h_in", "h_out"), "shape": (1, "batch", 4)},
    "of one episode": {"state": ("h", "h_out"), "shape": (1, 1, 4), "batch": 1},
}


@pytest.mark.parametrize("form", STATES.values(), ids=STATES)
def test_a_graph_with_state_remembers_each_episode(form):
    policy = OnnxPolicy(summing(**form))
    plan = np.random.default_rng(2).standard_normal((5, 7, 4)).astype(np.float32).astype(float)
    acting = policy.start(7)
    sums = np.zeros((7, 4))
    for step, rows in enumerate(plan):
        running = np.arange(7)[[True, step < 2, True, step % 2 == 0, True, True, step > 2]]
        sums[running] += rows[running]
        np.testing.assert_allclose(acting.act(rows[running], running, step), sums[running, :2], atol=1e-5)
    assert acting.digest == policy.digest
    assert acting.widths == policy.widths == (4, 2)


def test_a_graph_with_state_in_a_rollout(rig):
    policy = OnnxPolicy(summing())
    assert equal(rollout(rig, policy, rng=0, episodes=3), rollout(rig, policy, rng=0, episodes=3))
    with pytest.raises(PolicyError, match=r"call start\(number of episodes\)"):
        act(policy, np.zeros((1, 4)))


def test_a_state_whose_axis_of_episodes_is_not_known():
    nodes = [("Identity", ["obs"], ["actions"], {}), ("Identity", ["h"], ["h_out"], {})]
    ports = {"obs": (FLOAT, [8, 2]), "h": (FLOAT, [8, 8])}
    content = graph_bytes(nodes, ports, {"actions": (FLOAT, [8, 2]), "h_out": (FLOAT, [8, 8])})
    with pytest.raises(PolicyError, match=r"state 'h' \(8, 8\) needs one axis for the episodes"):
        OnnxPolicy(content)


def test_the_digest_is_that_of_the_file(tmp_path):
    content = network(WEIGHTS, BIASES)
    path = save(tmp_path / "policy.onnx", content)
    assert load_policy(path).digest == hashlib.sha256(content).hexdigest()


def test_among_several_outputs_the_one_called_actions(rig):
    """As Stable-Baselines3's documentation exports them: action, value and logarithm of the probability."""
    nodes = [("Identity", ["obs"], ["actions"], {}), ("ReduceSum", ["obs"], ["values"], {"keepdims": 1})]
    outputs = {"values": (FLOAT, [1, 1]), "actions": (FLOAT, ["batch", 4])}
    content = graph_bytes(nodes, {"obs": (FLOAT, ["batch", 4])}, outputs)
    assert act(OnnxPolicy(content), np.ones((3, 4))).tolist() == [[1.0] * 4] * 3
    renamed = content.replace(b"actions", b"results")
    with pytest.raises(PolicyError, match=r"needs one output of actions, the graph has 'values' \(1, 1\), 'results'"):
        OnnxPolicy(renamed)


def test_a_graph_that_does_not_fit_the_world(tmp_path):
    path = save(tmp_path / "policy.onnx", network(WEIGHTS, BIASES))
    with pytest.raises(PolicyError, match=r"reads 4 observations and answers 2 actions, .*'Hopper' has 11 sen.* 3 act"):
        load_policy(path, world=World.gymnasium("Hopper"))
    assert load_policy(path, world=rig_world(tmp_path)).widths == (4, 2)
    with pytest.raises(PolicyError, match="the graph reads 4 observations, it was given 3"):
        act(load_policy(path), np.zeros((2, 3)))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"obs": (FLOAT, [4])}, r"'obs' needs shape \(batch, channels\), the graph has \(4\)"),
        ({"obs": (FLOAT, ["n", 2, 2])}, r"the graph has \(batch, 2, 2\)"),
        ({"obs": (graphs.TensorProto.INT64, ["n", 4])}, "'obs' needs to hold floats or doubles"),
        ({"obs": (FLOAT, ["n", 4]), "time": (FLOAT, ["n", 1])}, "needs one input of observations, the graph has 'obs'"),
    ],
)
def test_graphs_that_are_no_policy(inputs, message):
    content = graph_bytes([("Identity", ["obs"], ["actions"], {})], inputs, {"actions": inputs["obs"]})
    with pytest.raises(PolicyError, match=message):
        OnnxPolicy(content)


@pytest.mark.parametrize("content", [b"", b"not a graph", b"\x08\x08", None], ids=["empty", "text", "bare", "cut"])
def test_files_that_are_no_graph(tmp_path, content):
    whole = network(WEIGHTS, BIASES)
    path = save(tmp_path / "policy.onnx", whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(PolicyError, match="not an ONNX graph that onnxruntime can read") as caught:
        load_policy(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    with pytest.raises(PolicyError, match="no such policy file"):
        load_policy(tmp_path / "none.onnx")


def test_weights_in_another_file_are_refused(tmp_path):
    """The digest would not cover them; the working directory, where onnxruntime would look, is where they lie."""
    model = onnx.load_from_string(network(WEIGHTS, BIASES))
    onnx.save(model, tmp_path / "policy.onnx", save_as_external_data=True, location="policy.data", size_threshold=0)
    with pytest.raises(PolicyError, match="the weights lie in another file"):
        load_policy(tmp_path / "policy.onnx")
