from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim2real_cat.errors import PolicyError
from sim2real_cat.policies.files import load_policy
from sim2real_cat.policies.mlp import MlpPolicy
from sim2real_cat.policies.policy import LinearPolicy


def network(d=3, hidden=(5, 4), nu=2, seed=0):
    rng = np.random.default_rng(seed)
    widths = (d, *hidden, nu)
    weights = tuple(rng.standard_normal((after, before)) for before, after in pairwise(widths))
    biases = tuple(rng.standard_normal(width) for width in widths[1:])
    return MlpPolicy(
        weights, biases, rng.standard_normal(d), rng.uniform(0.5, 2, d), np.full(nu, -3.0), np.full(nu, 3.0), clip=10.0
    )


def act(policy, rows):
    return policy.act(rows, np.arange(len(rows)), 0)


def test_the_action_by_hand():
    policy = MlpPolicy(
        (np.array([[2.0], [-1.0]]), np.array([[3.0, 1.0]])),
        (np.array([0.0, 0.5]), np.array([0.25])),
        np.array([1.0]),
        np.array([2.0]),
        np.array([-2.7]),
        np.array([2.7]),
        clip=1.0,
    )
    h = (2.0 - 1.0) / 2.0
    by_hand = 3 * np.tanh(2 * h) + np.tanh(0.5 - h) + 0.25
    np.testing.assert_allclose(act(policy, np.array([[2.0]])), [[by_hand]], rtol=1e-15)
    far = 3 * np.tanh(2.0) + np.tanh(-0.5) + 0.25  # 99 is cut to 1
    assert far < 2.7 < 3 * np.tanh(2.0) + 0.25
    np.testing.assert_allclose(act(policy, np.array([[200.0]])), [[far]], rtol=1e-15)
    tight = replace(policy, low=np.array([-1.0]), high=np.array([1.0]))
    assert act(tight, np.array([[2.0], [-200.0]])).tolist() == [[1.0], [-1.0]]


def test_one_layer_is_a_linear_policy():
    rng = np.random.default_rng(0)
    linear = LinearPolicy(rng.standard_normal((2, 3)), rng.standard_normal(3), rng.uniform(1, 2, 3))
    unbounded = np.full(2, np.inf)
    one = MlpPolicy((linear.gain,), (np.zeros(2),), linear.mean, linear.scale, -unbounded, unbounded)
    rows = rng.standard_normal((50, 3))
    np.testing.assert_allclose(act(one, rows), act(linear, rows), rtol=1e-15)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 20), st.lists(st.integers(1, 70), min_size=1, max_size=3), st.integers(1, 7), st.integers(1, 300))
def test_a_row_is_answered_alike_whatever_stands_beside_it(d, hidden, nu, rows):
    policy = network(d, hidden, nu)
    observations = np.random.default_rng(rows).standard_normal((rows, d))
    whole = act(policy, observations)
    for some in ([0], [rows - 1], range(rows // 2, rows), range(0, rows, 3)):
        np.testing.assert_array_equal(act(policy, observations[list(some)]), whole[list(some)])


def test_save_and_load(tmp_path):
    policy = network()
    for name in ("one.npz", "two.npz"):
        policy.save(tmp_path / name)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    rows = np.random.default_rng(1).standard_normal((9, 3))
    for loaded in (MlpPolicy.load(tmp_path / "one.npz"), load_policy(tmp_path / "one.npz")):
        assert loaded.digest == policy.digest
        np.testing.assert_array_equal(act(loaded, rows), act(policy, rows))


def test_every_number_counts_for_the_digest():
    policy = network()
    parts = {"weights": policy.weights, "biases": policy.biases, "mean": policy.mean, "scale": policy.scale}
    parts |= {"low": policy.low, "high": policy.high}
    digests = {policy.digest, replace(policy, clip=9.0).digest}
    for name, part in parts.items():
        changed = tuple(p + 1e-9 for p in part) if isinstance(part, tuple) else part + 1e-9
        digests.add(replace(policy, **{name: changed}).digest)
    assert len(digests) == 8


def test_a_tampered_network(tmp_path):
    policy = network()
    policy.save(tmp_path / "policy.npz")
    with np.load(tmp_path / "policy.npz") as content:
        arrays = {name: content[name] for name in content.files}
    arrays["weight_1"] = arrays["weight_1"] + 1e-9
    np.savez(tmp_path / "policy.npz", **arrays)
    with pytest.raises(PolicyError, match="do not match their digest"):
        MlpPolicy.load(tmp_path / "policy.npz")
    del arrays["bias_1"]
    np.savez(tmp_path / "policy.npz", **arrays)
    with pytest.raises(PolicyError, match="'bias_1' is missing"):
        load_policy(tmp_path / "policy.npz")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: {"weights": p.weights[:1]}, "do not fit together"),
        (lambda p: {"weights": (p.weights[0].T, *p.weights[1:])}, "do not fit together"),
        (lambda p: {"weights": (), "biases": ()}, "do not fit together"),
        (lambda p: {"biases": (p.biases[0][None], *p.biases[1:])}, "do not fit together"),
        (lambda p: {"low": p.low[:1]}, "do not fit together"),
        (lambda p: {"scale": np.ones(4)}, "do not fit together"),
        (lambda p: {"mean": p.mean * np.nan}, "finite weights"),
        (lambda p: {"scale": p.scale * 0}, "scale > 0"),
        (lambda p: {"low": p.high + 1}, "low <= high"),
        (lambda p: {"clip": 0.0}, "clip > 0"),
        (lambda p: {"clip": np.nan}, "clip > 0"),
    ],
)
def test_what_is_no_network(change, message):
    policy = network()
    with pytest.raises(PolicyError, match=message):
        replace(policy, **change(policy))
