from __future__ import annotations

import pickle
import stat

import numpy as np
import pytest

from sim2real_cat.errors import PolicyError
from sim2real_cat.policies.files import load_policy
from sim2real_cat.policies.policy import LinearPolicy


@pytest.fixture
def policy():
    rng = np.random.default_rng(0)
    return LinearPolicy(rng.standard_normal((2, 3)), rng.standard_normal(3), rng.uniform(0.5, 2, 3))


def test_the_action_by_hand():
    policy = LinearPolicy(np.array([[1.0, 2.0], [0.0, -1.0]]), np.array([1.0, 0.0]), np.array([2.0, 0.5]))
    # ((3, 1) - (1, 0)) / (2, 0.5) = (1, 2)
    assert policy.act(np.array([[3.0, 1.0], [1.0, 0.0]]), np.arange(2), 0).tolist() == [[5.0, -2.0], [0.0, 0.0]]


@pytest.mark.parametrize("rows", [1, 2, 7, 64])
@pytest.mark.parametrize("shape", [(1, 1), (1, 17), (6, 17), (3, 11)])
def test_a_row_is_answered_alike_whatever_stands_beside_it(shape, rows):
    rng = np.random.default_rng(1)
    wide = LinearPolicy(rng.standard_normal(shape), np.zeros(shape[1]), np.ones(shape[1]))
    observations = rng.standard_normal((rows, shape[1]))
    whole = wide.act(observations, np.arange(rows), 0)
    for i in range(rows):
        assert np.array_equal(wide.act(observations[[i]], np.array([i]), 0)[0], whole[i])


def test_save_and_load(policy, tmp_path):
    policy.save(tmp_path / "policy.npz")
    loaded = load_policy(str(tmp_path / "policy.npz"))
    for name in ("gain", "mean", "scale"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(policy, name))
    assert loaded.digest == policy.digest
    assert len(policy.digest) == 64


def test_the_same_weights_are_the_same_bytes(policy, tmp_path):
    for name in ("one.npz", "two.npz"):
        policy.save(tmp_path / name)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_saving_leaves_one_readable_file(policy, tmp_path):
    path = tmp_path / "deep" / "policy.npz"
    policy.save(path)
    policy.save(path)
    assert [entry.name for entry in path.parent.iterdir()] == ["policy.npz"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_every_weight_and_the_shape_count_for_the_digest(policy):
    digests = {policy.digest}
    for name in ("gain", "mean", "scale"):
        parts = {key: getattr(policy, key).copy() for key in ("gain", "mean", "scale")}
        parts[name].flat[-1] = np.nextafter(parts[name].flat[-1], 9)
        digests.add(LinearPolicy(**parts).digest)
    zeros = [LinearPolicy(np.zeros((nu, 2)), np.zeros(2), np.ones(2)).digest for nu in (1, 2)]
    assert len(digests | set(zeros)) == 6


def test_the_layout_in_memory_does_not_count(policy):
    assert LinearPolicy(np.asfortranarray(policy.gain), policy.mean, policy.scale).digest == policy.digest


def refused(path):
    with pytest.raises(PolicyError) as caught:
        LinearPolicy.load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def test_a_missing_policy(tmp_path):
    assert refused(tmp_path / "none.npz").endswith("no such policy file")


def test_a_tampered_policy(policy, tmp_path):
    path = tmp_path / "policy.npz"
    np.savez(path, gain=policy.gain + 1e-9, mean=policy.mean, scale=policy.scale, digest=np.array(policy.digest))
    assert "the weights do not match their digest" in refused(path)


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.95])
def test_a_truncated_policy(policy, tmp_path, part):
    path = tmp_path / "policy.npz"
    policy.save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    assert "not a policy written by sim2real_cat" in refused(path)


@pytest.mark.parametrize(
    "content",
    [
        {"gain": np.ones((1, 2))},
        {"gain": np.array([[{}]], dtype=object), "mean": np.zeros(1), "scale": np.ones(1), "digest": "x"},
        {"gain": np.array([["a"]]), "mean": np.zeros(1), "scale": np.ones(1), "digest": "x"},
        {"gain": np.array(1.0), "mean": np.zeros(1), "scale": np.ones(1), "digest": "x"},
        {"gain": np.array([[np.nan]]), "mean": np.zeros(1), "scale": np.ones(1), "digest": "x"},
    ],
    ids=["missing", "object", "text", "scalar", "nan"],
)
def test_an_archive_of_something_else(tmp_path, content):
    np.savez(tmp_path / "policy.npz", **content)
    assert "not a policy written by sim2real_cat" in refused(tmp_path / "policy.npz")


def test_a_pickle_is_never_opened(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    path = tmp_path / "policy.npz"
    path.write_bytes(pickle.dumps(Trap()))
    assert "not a policy written by sim2real_cat" in refused(path)
    np.savez(path, gain=np.array(Trap(), dtype=object), mean=0, scale=0, digest="x")
    assert "not a policy written by sim2real_cat" in refused(path)
    assert not (tmp_path / "sprung").exists()


def test_a_bare_array_or_a_folder_is_no_policy(tmp_path):
    np.save(tmp_path / "array.npy", np.ones(3))
    assert "not a policy" in refused(tmp_path / "array.npy")
    assert "not a policy" in refused(tmp_path)


@pytest.mark.parametrize(
    ("gain", "mean", "scale", "message"),
    [
        (np.ones(2), np.ones(2), np.ones(2), r"got \(2,\), \(2,\) and \(2,\)"),
        (np.ones((1, 2)), np.ones(3), np.ones(2), r"needs gain \(nu, d\), mean \(d,\) and scale \(d,\)"),
        (np.ones((1, 2)), np.ones(2), np.ones(1), r"needs gain \(nu, d\)"),
        (np.array(1.0), np.ones(1), np.ones(1), r"got \(\), \(1,\)"),
        (np.array([[np.inf]]), np.ones(1), np.ones(1), "finite weights"),
        (np.ones((1, 1)), np.array([np.nan]), np.ones(1), "finite weights"),
        (np.ones((1, 1)), np.ones(1), np.zeros(1), "scale > 0, got 0.0"),
    ],
)
def test_weights_that_are_no_policy(gain, mean, scale, message):
    with pytest.raises(PolicyError, match=message):
        LinearPolicy(gain, mean, scale)


def test_lists_are_weights_too():
    policy = LinearPolicy([[1, 2]], [0] * 2, [1] * 2)
    assert policy.digest == LinearPolicy(np.array([[1.0, 2.0]]), np.zeros(2), np.ones(2)).digest
    assert policy.act(np.ones((1, 2)), np.arange(1), 0).tolist() == [[3.0]]


@pytest.mark.parametrize(
    ("gain", "message"),
    [
        ("strong", "the gain of a linear policy needs numbers, got str"),
        (None, "needs numbers, got NoneType"),
        ([["a", "b"]], r"needs numbers, got text of shape \(1, 2\)"),
        ([[1.0], [1.0, 2.0]], "the gain of a linear policy needs numbers in an array"),
    ],
)
def test_weights_that_are_no_numbers(gain, message):
    with pytest.raises(PolicyError, match=message):
        LinearPolicy(gain, np.zeros(2), np.ones(2))
