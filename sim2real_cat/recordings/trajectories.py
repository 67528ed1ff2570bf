"""What episodes leave behind: one dataclass of arrays, padded to the longest episode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.errors import WorldError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Trajectories:
    """n episodes of at most T control steps, real or simulated.

    Row t of `observations` is what the policy saw before its action t; past the end of an episode
    every float is NaN.

    Attributes:
        observations: (n, T + 1, d) what the sensors read, noise included.
        actions: (n, T, nu) what the policy answered.
        rewards: (n, T).
        qpos: (n, T + 1, nq) true generalized positions; nq is 0 where they are not known.
        qvel: (n, T + 1, nv) true generalized velocities; nv is 0 where they are not known.
        lengths: (n,) control steps of each episode.
        terminated: (n,) whether the task ended the episode.
        diverged: (n,) whether the simulation blew up; the episode then ends before the bad step.
        member_index: (n,) which world of the ensemble the episode ran in.
        policies: n names of the policies that acted.
        sensors: d names.
        actuators: nu names.
        control_period: seconds between two observations.
        notes: where recorded data come from and what was done to them, a line each; empty for simulations.
        reasons: n texts, why an episode diverged, '' where it did not or nobody said; () where nobody ever says.
    """

    observations: Array
    actions: Array
    rewards: Array
    qpos: Array
    qvel: Array
    lengths: NDArray[np.int64]
    terminated: NDArray[np.bool_]
    diverged: NDArray[np.bool_]
    member_index: NDArray[np.int64]
    policies: tuple[str, ...]
    sensors: tuple[str, ...]
    actuators: tuple[str, ...]
    control_period: float
    notes: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def kept(self) -> NDArray[np.bool_]:
        """(n,) episodes that can be learned from: those that did not diverge."""
        return ~self.diverged

    @property
    def episodes(self) -> list[Array]:
        """Observations of every episode that did not diverge, each (length + 1, d)."""
        return [self.observations[i, : self.lengths[i] + 1] for i in np.flatnonzero(self.kept)]

    @property
    def returns(self) -> Array:
        """(n,) sum of the rewards of every episode."""
        return np.asarray(np.nansum(self.rewards, axis=1))

    def within(self) -> NDArray[np.bool_]:
        """(n, T + 1) the frames that exist: those up to the end of their episode."""
        return np.asarray(np.arange(self.observations.shape[1]) <= self.lengths[:, None])

    def transitions(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Episode and step of each of the m transitions, (m,) each, episode by episode."""
        episode, step = np.nonzero(np.arange(self.actions.shape[1]) < self.lengths[:, None])
        return episode, step

    def select(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Trajectories:
        """The episodes in `rows`, an index or a mask."""
        index = np.arange(len(self))[rows]
        changed = {name: getattr(self, name)[index] for name in _PER_EPISODE}
        reasons = tuple(self.reasons[i] for i in index) if self.reasons else ()
        return replace(self, **changed, policies=tuple(self.policies[i] for i in index), reasons=reasons)

    def of_policy(self, name: str) -> Trajectories:
        """The episodes in which the policy of that name acted."""
        return self.select(np.array([policy == name for policy in self.policies], dtype=bool))


_PER_EPISODE = tuple(
    entry.name
    for entry in fields(Trajectories)
    if entry.name not in ("policies", "sensors", "actuators", "control_period", "notes", "reasons")
)


def concatenate(parts: Sequence[Trajectories]) -> Trajectories:
    """All episodes of several trajectories of one robot, padded with NaN to the longest.

    Raises:
        WorldError: nothing to join, or the parts differ in sensors, actuators, control period or number of
            coordinates.
    """
    if not parts:
        raise WorldError("no trajectories to join")
    first = parts[0]
    for part in parts[1:]:
        for name in ("sensors", "actuators", "control_period"):
            if getattr(part, name) != getattr(first, name):
                raise WorldError(
                    f"trajectories of different robots cannot be joined: {name} {getattr(first, name)} "
                    f"and {getattr(part, name)}"
                )
    joined: dict[str, object] = {}
    for name in _PER_EPISODE:
        arrays = [getattr(part, name) for part in parts]
        widths = {array.shape[2:] for array in arrays}
        if len(widths) > 1:
            raise WorldError(f"trajectories of different robots cannot be joined: {name} has {len(widths)} widths")
        if arrays[0].ndim > 1:
            longest = max(array.shape[1] for array in arrays)
            arrays = [_pad(array, longest) for array in arrays]
        joined[name] = np.concatenate(arrays)
    policies = tuple(name for part in parts for name in part.policies)
    notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
    told = any(part.reasons for part in parts)
    reasons = tuple(why for part in parts for why in part.reasons or ("",) * len(part)) if told else ()
    return replace(first, **joined, policies=policies, notes=notes, reasons=reasons)  # type: ignore[arg-type]


def _pad(array: Array, length: int) -> Array:
    """The array with its second axis extended to `length` by NaN."""
    missing = length - array.shape[1]
    return np.pad(array, [(0, 0), (0, missing)] + [(0, 0)] * (array.ndim - 2), constant_values=np.nan)
