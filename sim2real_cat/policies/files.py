"""Policies read from files of every kind."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from sim2real_cat.errors import PolicyError, listed
from sim2real_cat.policies.action_table import ActionTable
from sim2real_cat.policies.external import OnnxPolicy, Sb3Policy
from sim2real_cat.policies.mlp import MlpPolicy
from sim2real_cat.policies.policy import LinearPolicy, Policy, read_archive

KINDS = {
    ".npz": "linear policies, networks and tables of actions written by sim2real_cat",
    ".csv": "tables of actions",
    ".parquet": "tables of actions, and logs",
    ".onnx": "graphs for onnxruntime",
    ".zip": "models of Stable-Baselines3",
}
"""Contents of the files that policies are read from, by their ending."""


class ActedOn(Protocol):
    """The part of a world that a policy is held against: any `World` or `ExternalWorld` is one."""

    @property
    def name(self) -> str:
        """Name of the world, for messages."""

    @property
    def sensors(self) -> tuple[str, ...]:
        """Names of the d observed channels."""

    @property
    def actuators(self) -> tuple[str, ...]:
        """Names of the nu actuators, in the order of a policy's answers."""

    @property
    def answers(self) -> tuple[int, ...]:
        """Numbers of columns that a policy's answer may have; the first is nu."""


def load_policy(
    path: str | Path,
    *,
    world: ActedOn | None = None,
    allow_pickle: bool = False,
    vecnormalize: str | Path | None = None,
) -> Policy:
    """Read a policy from a file: ``.npz``, ``.csv``, ``.parquet``, ``.onnx`` or ``.zip``.

    The digest of a graph or a zip is the SHA-256 of the file; that of any other policy is the SHA-256 of its numbers,
    in whatever file they stand.

    Args:
        path: the file.
        world: the world in which the policy is to act; its widths and the actuators of a table are checked.
        allow_pickle: that you trust a ``.zip`` of Stable-Baselines3, which can run any code when it is opened.
        vecnormalize: the file in which ``VecNormalize.save`` left the statistics that go with a ``.zip``.

    Raises:
        PolicyError: the file is missing, truncated or something else, needs a package that is not installed, holds
            pickles that are not allowed, or a policy that does not fit the world.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in KINDS:
        raise PolicyError(f"{path}: a policy is read from {listed(KINDS)}, not from '{suffix}'")
    if vecnormalize is not None and suffix != ".zip":
        raise PolicyError(f"{path}: vecnormalize goes with a .zip of Stable-Baselines3 only")
    policy: Policy
    if suffix == ".onnx":
        policy = OnnxPolicy.load(path)
    elif suffix == ".zip":
        policy = Sb3Policy.load(path, allow_pickle=allow_pickle, vecnormalize=vecnormalize)
    elif suffix == ".npz":
        policy = read_archive(path, _of_arrays, signed=False)
    else:
        policy = ActionTable.load(path)
    return policy if world is None else _fitted(policy, world, path)


def _of_arrays(arrays: Mapping[str, NDArray[Any]]) -> Policy:
    """Build the policy of an archive, whose kind the names of its arrays tell."""
    if "actions" in arrays:
        return ActionTable.of_arrays(arrays)
    if "digest" not in arrays:
        raise KeyError("digest")
    return MlpPolicy.of_arrays(arrays) if "weight_0" in arrays else LinearPolicy.of_arrays(arrays)


def _fitted(policy: Policy, world: ActedOn, path: Path) -> Policy:
    """Return the policy if it fits the world; a table with its columns in the order of the world's actuators."""
    actuators = world.actuators
    try:
        if isinstance(policy, ActionTable) and sorted(policy.actuators) == sorted(actuators):
            policy = policy.ordered(actuators)
        policy.check_fit(world.sensors, actuators, world.name, world.answers)
        return policy
    except PolicyError as error:
        raise PolicyError(f"{path}: {error}") from None
