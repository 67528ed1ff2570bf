"""Policies read from files of every kind, and the tables of actions that files hold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.arrays import Bools, Floats, Ints
from sim2real_cat.errors import PolicyError, listed, one_line
from sim2real_cat.policies.external import OnnxPolicy, Sb3Policy
from sim2real_cat.policies.mlp import MlpPolicy
from sim2real_cat.policies.policy import LinearPolicy, Policy, as_numbers, digest_of, read_archive, write_archive
from sim2real_cat.recordings.parquet import logged_actuators

if TYPE_CHECKING:
    import pyarrow as pa

KINDS = {
    ".npz": "linear policies, networks and tables of actions written by sim2real_cat",
    ".csv": "tables of actions",
    ".parquet": "tables of actions, and logs",
    ".onnx": "graphs for onnxruntime",
    ".zip": "models of Stable-Baselines3",
}
"""Contents of the files that policies are read from, by their ending."""

_INDEX = ("episode_index", "frame_index", "timestamp")
"""Columns of a table of actions that are not actuators."""


class PolicyWorld(Protocol):
    """The part of a world that a policy must fit; every `World` and `ExternalWorld` has it."""

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
    world: PolicyWorld | None = None,
    allow_pickle: bool = False,
    vecnormalize: str | Path | None = None,
) -> Policy:
    """Read a policy from a file: ``.npz``, ``.csv``, ``.parquet``, ``.onnx`` or ``.zip``.

    The digest of a graph or a zip is the SHA-256 of the file. That of any other policy is the SHA-256 of its numbers,
    the same for every kind of file.

    Args:
        path: the file.
        world: the world in which the policy is to act; its widths and the actuators of a table are checked.
        allow_pickle: whether you trust a ``.zip`` of Stable-Baselines3, which can run any code when it is opened.
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
    """Build the policy of an archive; the names of its arrays tell its kind."""
    if "actions" in arrays:
        return ActionTable.of_arrays(arrays)
    if "digest" not in arrays:
        raise KeyError("digest")
    return MlpPolicy.of_arrays(arrays) if "weight_0" in arrays else LinearPolicy.of_arrays(arrays)


def _fitted(policy: Policy, world: PolicyWorld, path: Path) -> Policy:
    """Return the policy if it fits the world; a table with its columns in the order of the world's actuators."""
    actuators = world.actuators
    try:
        if isinstance(policy, ActionTable) and sorted(policy.actuators) == sorted(actuators):
            policy = policy.ordered(actuators)
        policy.check_fit(world.sensors, actuators, world.name, world.answers)
        return policy
    except PolicyError as error:
        raise PolicyError(f"{path}: {error}") from None


@dataclass(frozen=True, eq=False)
class ActionTable(Policy):
    """A policy that plays row t of its table in control step t and does not look at the sensors (open loop).

    Attributes:
        actions: (T, nu), the same in every episode, or (n, T, nu), one table for each; rows of NaN at the end of a
            table mean that its episode is shorter.
        actuators: nu names of the columns; () where they are not known, and the columns stand in the model's order.
    """

    actions: Floats
    actuators: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "actions", as_numbers(self.actions, "a table of actions"))
        object.__setattr__(self, "actuators", tuple(self.actuators))
        if self.actions.ndim not in (2, 3) or 0 in self.actions.shape:
            raise PolicyError(f"a table of actions needs shape (T, nu) or (n, T, nu), got {self.actions.shape}")
        if self.actuators and len(self.actuators) != self.actions.shape[-1]:
            raise PolicyError(
                f"a table of {self.actions.shape[-1]} actions per step has {len(self.actuators)} names of actuators: "
                f"{listed(self.actuators)}"
            )
        absent = np.isnan(self.actions if self.actions.ndim == 3 else self.actions[None])
        missing: Bools = np.asarray(absent.any(axis=2))
        holes = (
            missing[:, :1].any() or (missing[:, :-1] & ~missing[:, 1:]).any() or (missing != absent.all(axis=2)).any()
        )
        if holes or np.isinf(self.actions).any():
            raise PolicyError("a table of actions needs finite numbers; NaN only fills up the end of short episodes")

    def start(self, n: int) -> Policy:
        if self.actions.ndim == 3 and n != len(self.actions):
            raise PolicyError(f"the table has actions for {len(self.actions)} episodes, the rollout has {n}")
        return self

    def act(self, observations: Floats, episodes: Ints, step: int) -> Floats:
        steps = self.actions.shape[-2]
        if step >= steps:
            raise PolicyError(f"the table has actions for {steps} control steps, step {step} was asked for")
        if self.actions.ndim == 2:
            return np.tile(self.actions[step], (len(observations), 1))
        rows = np.asarray(self.actions[episodes, step])
        ended = np.isnan(rows).any(axis=1)
        if ended.any():
            episode = int(np.asarray(episodes)[ended][0])
            length = int(np.isfinite(self.actions[episode]).all(axis=1).sum())
            raise PolicyError(
                f"the table has actions for {length} control steps of episode {episode}, step {step} was asked for"
            )
        return rows

    @property
    def widths(self) -> tuple[None, int]:
        return None, self.actions.shape[-1]

    def check_fit(
        self, sensors: Sequence[str], actuators: Sequence[str], world: str, answers: Sequence[int] = ()
    ) -> None:
        """Refuse a table that does not fit a world, as `Policy.check_fit`; named columns need the world's order."""
        super().check_fit(sensors, actuators, world, answers)
        if not self.actuators or self.actuators == tuple(actuators):
            return
        if sorted(self.actuators) == sorted(actuators):
            raise PolicyError(
                f"the table has the actuators in the order {listed(self.actuators)}, world '{world}' has them in the "
                f"order {listed(actuators)}: call .ordered(actuators) on the table, or load it with load_policy(path, "
                "world=world)"
            )
        raise PolicyError(
            f"the table drives {listed(self.actuators)}, but world '{world}' has the actuators {listed(actuators)}; if "
            "they are the same in this order, take ActionTable(table.actions), without names"
        )

    @property
    def digest(self) -> str:
        """SHA-256 of the numbers and of the names of the actuators; named columns may stand in any order."""
        if not self.actuators:
            return digest_of(self.actions)
        order = sorted(range(len(self.actuators)), key=self.actuators.__getitem__)
        names = json.dumps([self.actuators[column] for column in order])
        return hashlib.sha256((names + digest_of(self.actions[..., order])).encode()).hexdigest()

    def ordered(self, actuators: Sequence[str]) -> ActionTable:
        """Return the table with its columns in the order of a model's actuators; unnamed columns stay as they are.

        Raises:
            PolicyError: the columns are those of other actuators.
        """
        if not self.actuators:
            return self
        if sorted(self.actuators) != sorted(actuators):
            raise PolicyError(f"the table drives {listed(self.actuators)}, the model has {listed(actuators)}")
        columns = [self.actuators.index(name) for name in actuators]
        return replace(self, actions=np.ascontiguousarray(self.actions[..., columns]), actuators=tuple(actuators))

    def save(self, path: str | Path) -> None:
        """Write the table to an ``.npz`` file, whole or not at all."""
        write_archive(path, self.digest, actions=self.actions, actuators=np.array(self.actuators, dtype=np.str_))

    @staticmethod
    def load(path: str | Path) -> ActionTable:
        """Read a table from an ``.npz``, ``.csv`` or ``.parquet`` file.

        An ``.npz`` file holds ``actions`` and perhaps ``actuators``. In the others every row is a control step: the
        column ``action`` holds lists of nu numbers (as in LeRobot's logs and ours), or else every actuator has a
        column of its name. Our logs name the actuators of the lists. With a column ``episode_index`` each episode is a
        table of its own; with a column ``frame_index`` the rows are put in its order. Other columns of logs are left
        out.

        Raises:
            PolicyError: the file is missing, truncated or holds no actions.
        """
        path = Path(path)
        if not path.is_file():
            raise PolicyError(f"{path}: no such policy file")
        if path.suffix == ".npz":
            return read_archive(path, ActionTable.of_arrays, signed=False)
        return _of_table(_read_table(path), path)

    @staticmethod
    def of_arrays(arrays: Mapping[str, NDArray[Any]]) -> ActionTable:
        """Return the table whose ``actions``, and perhaps ``actuators``, are given by name."""
        names = tuple(str(name) for name in arrays.get("actuators", ()))
        return ActionTable(np.asarray(arrays["actions"], dtype=np.float64), names)


def _read_table(path: Path) -> pa.Table:
    """Read a CSV or Parquet file as an Arrow table."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    try:
        return pa.csv.read_csv(path) if path.suffix == ".csv" else pa.parquet.read_table(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise PolicyError(f"{path}: not a table of actions ({one_line(error)})") from None


def _of_table(table: pa.Table, path: Path) -> ActionTable:
    """Return the actions in a table whose rows are control steps."""
    listing = "action" in table.column_names
    actuators = logged_actuators(table) if listing else tuple(n for n in table.column_names if n not in _INDEX)
    try:
        if listing:
            rows = _lists(table["action"].to_pylist())
        elif actuators:
            rows = np.stack([_numbers(table[name].to_numpy(), name) for name in actuators], axis=1)
        else:
            raise PolicyError("it has no column 'action', and none with the name of an actuator")
        if not rows.size:
            raise PolicyError("it has no rows of actions")
        episode, frame = (
            _numbers(table[name].to_numpy(), name) if name in table.column_names else default
            for name, default in (("episode_index", np.zeros(len(rows))), ("frame_index", np.arange(len(rows))))
        )
        order = np.lexsort([frame, episode])
        rows, episode, frame = rows[order], episode[order], frame[order]
        if ((np.diff(frame) != 1) & (np.diff(episode) == 0)).any():
            raise PolicyError("the numbers in frame_index do not follow one another within each episode")
        parts = [_trimmed(rows[episode == number]) for number in np.unique(episode)]
        actions = np.full((len(parts), max(map(len, parts)), rows.shape[1]), np.nan)
        for table_of_episode, part in zip(actions, parts, strict=True):
            table_of_episode[: len(part)] = part
        return ActionTable(actions if "episode_index" in table.column_names else actions[0], actuators)
    except (PolicyError, ValueError, TypeError) as error:
        raise PolicyError(f"{path}: not a table of actions ({one_line(error)})") from None


def _trimmed(rows: Floats) -> Floats:
    """Return the rows up to the last one that holds an action; the last frame of a log holds none."""
    acted = np.flatnonzero(np.isfinite(rows).any(axis=1))
    return rows[: acted[-1] + 1] if len(acted) else rows[:0]


def _numbers(column: NDArray[Any], name: str) -> Floats:
    """Return a column of numbers as floats."""
    if column.dtype.kind not in "biuf":
        raise PolicyError(f"column '{name}' holds {column.dtype}, not numbers")
    return np.asarray(column, dtype=np.float64)


def _lists(column: list[Any]) -> Floats:
    """Return a column of lists as a matrix, NaN where there is no list."""
    width = max((len(row) for row in column if row is not None), default=0)
    return np.array([[np.nan] * width if row is None else row for row in column], dtype=np.float64)
