"""What every kind of file has in common; what needs an extra is in the tests of that kind."""

from __future__ import annotations

import importlib.util
import zipfile

import numpy as np
import pytest

from sim2real_cat.errors import PolicyError
from sim2real_cat.policies.files import KINDS, load_policy
from sim2real_cat.policies.mlp import MlpPolicy
from sim2real_cat.policies.policy import LinearPolicy
from sim2real_cat.worlds.simulation.rollout import rollout
from sim2real_cat.worlds.world import World

MISSING = {
    ".onnx": ("onnxruntime", "ONNX policies need onnxruntime: pip install 'sim2real-cat[onnx]'"),
    ".zip": ("stable_baselines3", "needs stable-baselines3: pip install 'sim2real-cat[rl]'"),
}


@pytest.fixture
def linear():
    return LinearPolicy(np.ones((1, 4)), np.zeros(4), np.ones(4))


def refused(path, **settings):
    with pytest.raises(PolicyError) as caught:
        load_policy(path, **settings)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def test_the_kind_is_read_from_the_content_of_an_archive(tmp_path, linear):
    linear.save(tmp_path / "linear.npz")
    MlpPolicy((linear.gain,), (np.zeros(1),), linear.mean, linear.scale, -np.ones(1), np.ones(1)).save(
        tmp_path / "network.npz"
    )
    kinds = {name: type(load_policy(tmp_path / f"{name}.npz")) for name in ("linear", "network")}
    assert kinds == {"linear": LinearPolicy, "network": MlpPolicy}
    assert load_policy(tmp_path / "linear.npz").digest == linear.digest


def test_the_suffix_may_be_in_capitals(tmp_path, linear):
    linear.save(tmp_path / "linear.NPZ")
    assert load_policy(tmp_path / "linear.NPZ").digest == linear.digest


def test_a_policy_has_to_fit_its_world(tmp_path, linear):
    linear.save(tmp_path / "linear.npz")
    world = World.gymnasium("InvertedPendulum")
    assert load_policy(tmp_path / "linear.npz", world=world).digest == linear.digest
    message = refused(tmp_path / "linear.npz", world=World.gymnasium("Hopper"))
    assert "reads 4 observations and answers 1 actions, but world 'Hopper' has 11 sensors (root height, " in message
    assert message.endswith("and 3 actuators (actuator 0, actuator 1, actuator 2)")


def test_a_rollout_says_so_before_it_starts(linear):
    with pytest.raises(PolicyError, match="reads 4 observations and answers 1 actions, but world 'Hopper' has 11"):
        rollout(World.gymnasium("Hopper"), linear, rng=0)


def test_a_kind_that_is_none(tmp_path):
    assert f"a policy is read from {', '.join(KINDS)}, not from '.pt'" in refused(tmp_path / "policy.pt")


@pytest.mark.parametrize("suffix", KINDS)
def test_a_missing_file(tmp_path, suffix):
    if suffix == ".zip" or suffix not in MISSING or importlib.util.find_spec(MISSING[suffix][0]):
        assert refused(tmp_path / f"none{suffix}").endswith("no such policy file")


def zipped(path, names):
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "x" * 1000)
    return path


def test_zips_without_a_policy(tmp_path):
    assert "no policy of Stable-Baselines3 is in this zip, it has no 'data'" in refused(
        zipped(tmp_path / "a.zip", ["b"])
    )
    message = refused(zipped(tmp_path / "a.zip", ["data"]), allow_pickle=True)
    assert "it has no 'policy.pth'" in message


@pytest.mark.parametrize("part", [0.0, 0.5, 0.95])
def test_a_truncated_zip(tmp_path, part):
    path = zipped(tmp_path / "a.zip", ["data", "policy.pth"])
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    assert "not a whole zip file" in refused(path, allow_pickle=True)


def test_a_damaged_zip(tmp_path):
    path = zipped(tmp_path / "a.zip", ["data", "policy.pth"])
    content = path.read_bytes()
    path.write_bytes(content.replace(b"xxx", b"xyx", 1))
    assert "'data' in this zip is damaged" in refused(path, allow_pickle=True)


def test_pickles_are_not_opened_unless_allowed(tmp_path):
    path = zipped(tmp_path / "a.zip", ["data", "policy.pth"])
    message = refused(path)
    assert (
        "holds pickles, which can run any code when they are opened; if you trust it, say allow_pickle=True" in message
    )


def test_statistics_go_with_a_zip_only(tmp_path, linear):
    linear.save(tmp_path / "linear.npz")
    assert "vecnormalize goes with a .zip" in refused(tmp_path / "linear.npz", vecnormalize="v.pkl")


@pytest.mark.parametrize("suffix", MISSING)
def test_an_extra_that_is_not_installed(tmp_path, suffix):
    package, message = MISSING[suffix]
    if importlib.util.find_spec(package):
        pytest.skip(f"{package} is installed here")
    path = zipped(tmp_path / f"policy{suffix}", ["data", "policy.pth"])
    assert refused(path, allow_pickle=True) == f"{path}: {message}"
