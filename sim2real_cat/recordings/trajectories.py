"""Episodes as one dataclass of arrays, padded to the longest, and functions that join and cut them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.arrays import Bools, Floats, Ints
from sim2real_cat.errors import WorldError


@dataclass(frozen=True, eq=False)
class Trajectories:
    """n episodes of at most T control steps, real or simulated.

    Frame t of `observations` was read before action t; past the end of an episode every float is NaN.

    Attributes:
        observations: (n, T + 1, d) readings of the sensors, noise included.
        actions: (n, T, nu) answers of the policy.
        rewards: (n, T).
        qpos: (n, T + 1, nq) true generalized positions; nq is 0 where they are not known.
        qvel: (n, T + 1, nv) true generalized velocities; nv is 0 where they are not known.
        lengths: (n,) control steps of each episode.
        terminated: (n,) whether the task ended the episode.
        diverged: (n,) whether the simulation blew up; the episode then ends before the bad step.
        member_index: (n,) the member of the ensemble in which each episode ran.
        policies: n names of the policies that acted.
        sensors: d names.
        actuators: nu names.
        control_period: seconds between two observations.
        notes: the source of recorded data and the changes made to them, a line each; empty for simulations.
        reasons: n texts that say why an episode diverged, '' where it did not or the reason is not known; () where no
            reason is known.
    """

    observations: Floats
    actions: Floats
    rewards: Floats
    qpos: Floats
    qvel: Floats
    lengths: NDArray[np.int64]
    terminated: Bools
    diverged: Bools
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
    def kept(self) -> Bools:
        """(n,) whether an episode did not diverge, so that it is of use."""
        return ~self.diverged

    @property
    def episodes(self) -> list[Floats]:
        """Observations of every episode that did not diverge, each (length + 1, d)."""
        return [self.observations[i, : self.lengths[i] + 1] for i in np.flatnonzero(self.kept)]

    @property
    def returns(self) -> Floats:
        """(n,) sum of the rewards of every episode."""
        return np.asarray(np.nansum(self.rewards, axis=1))

    def within(self) -> Bools:
        """Return which frames exist, (n, T + 1): those up to the end of their episode."""
        return np.asarray(np.arange(self.observations.shape[1]) <= self.lengths[:, None])

    def transitions(self) -> tuple[Ints, Ints]:
        """Return the episode and the step of each of the m transitions, (m,) each, episode by episode."""
        episode, step = np.nonzero(np.arange(self.actions.shape[1]) < self.lengths[:, None])
        return episode, step

    def select(self, chosen: Bools | Ints) -> Trajectories:
        """Return the episodes that an index or a mask chooses."""
        index = np.arange(len(self))[chosen]
        changed = {name: getattr(self, name)[index] for name in _PER_EPISODE}
        reasons = tuple(self.reasons[i] for i in index) if self.reasons else ()
        return replace(self, **changed, policies=tuple(self.policies[i] for i in index), reasons=reasons)

    def of_policy(self, name: str) -> Trajectories:
        """Return the episodes in which the policy of that name acted."""
        return self.select(np.array([policy == name for policy in self.policies], dtype=bool))


_PER_EPISODE = tuple(
    entry.name
    for entry in fields(Trajectories)
    if entry.name not in ("policies", "sensors", "actuators", "control_period", "notes", "reasons")
)
"""Fields that are arrays with a row for every episode."""


def concatenate(parts: Sequence[Trajectories]) -> Trajectories:
    """Join the episodes of several trajectories of one robot, padded with NaN to the longest.

    Raises:
        WorldError: nothing to join, or the parts differ in sensors, actuators, control period or number of
            coordinates.
    """
    if not parts:
        raise WorldError("no trajectories to join")
    first = parts[0]
    for part in parts[1:]:
        check_same_robot(first, part, "trajectories of different robots cannot be joined")
    joined: dict[str, object] = {}
    for name in _PER_EPISODE:
        arrays = [getattr(part, name) for part in parts]
        if arrays[0].ndim > 1:
            longest = max(array.shape[1] for array in arrays)
            arrays = [_padded(array, longest) for array in arrays]
        joined[name] = np.concatenate(arrays)
    policies = tuple(name for part in parts for name in part.policies)
    notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
    told = any(part.reasons for part in parts)
    reasons = tuple(why for part in parts for why in part.reasons or ("",) * len(part)) if told else ()
    return replace(first, **joined, policies=policies, notes=notes, reasons=reasons)  # type: ignore[arg-type]


def check_same_robot(one: Trajectories, other: Trajectories, complaint: str) -> None:
    """Refuse trajectories of two robots.

    Raises:
        WorldError: they differ in sensors, actuators, control period or number of coordinates; it begins with the
            complaint.
    """
    for name in ("sensors", "actuators", "control_period"):
        if getattr(one, name) != getattr(other, name):
            raise WorldError(f"{complaint}: {name} {getattr(one, name)} and {getattr(other, name)} differ")
    for name in ("observations", "actions", "qpos", "qvel"):
        widths = getattr(one, name).shape[2], getattr(other, name).shape[2]
        if widths[0] != widths[1]:
            raise WorldError(f"{complaint}: {name} of {widths[0]} and of {widths[1]} columns differ")


def segments(trajectories: Trajectories, steps: int, every: int | None = None) -> Trajectories:
    """Cut episodes into pieces of `steps` control steps, each of which a simulation can start anew.

    Comparing short pieces instead of long episodes is known as multiple shooting. The rest at the end of an episode is
    dropped. With the default `every`, the last observation of a piece is the first of the next. Only the last piece of
    an episode can be terminated, and only where there is no rest. Diverged episodes are left out.

    Args:
        trajectories: the episodes to cut.
        steps: control steps of a piece.
        every: control steps from the start of a piece to that of the next; `steps` where none is given.

    Raises:
        WorldError: a number below 1, or no episode is long enough.
    """
    every = steps if every is None else every
    if steps < 1 or every < 1:
        raise WorldError(f"pieces need steps >= 1 and every >= 1, got {steps} and {every}")
    lengths = np.where(trajectories.kept, trajectories.lengths, 0)
    starts = [(i, first) for i, length in enumerate(lengths) for first in range(0, length - steps + 1, every)]
    if not starts:
        raise WorldError(f"no episode has {steps} control steps, the longest has {lengths.max(initial=0)}")
    episode, first = np.array(starts).T
    frames = first[:, None] + np.arange(steps + 1)
    cut = episode[:, None], frames
    acted = episode[:, None], frames[:, :-1]
    return replace(
        trajectories,
        observations=trajectories.observations[cut],
        actions=trajectories.actions[acted],
        rewards=trajectories.rewards[acted],
        qpos=trajectories.qpos[cut],
        qvel=trajectories.qvel[cut],
        lengths=np.full(len(first), steps),
        terminated=trajectories.terminated[episode] & (first + steps == lengths[episode]),
        diverged=np.zeros(len(first), dtype=bool),
        member_index=trajectories.member_index[episode],
        policies=tuple(trajectories.policies[i] for i in episode),
        reasons=tuple(trajectories.reasons[i] for i in episode) if trajectories.reasons else (),
    )


def _padded(array: Floats, length: int) -> Floats:
    """Return the array with its second axis extended to `length` by NaN."""
    missing = length - array.shape[1]
    return np.pad(array, [(0, 0), (0, missing)] + [(0, 0)] * (array.ndim - 2), constant_values=np.nan)
