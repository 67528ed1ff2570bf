"""Cut long episodes into short ones, each of which a simulation can start anew (multiple shooting)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sim2real_cat.errors import WorldError
from sim2real_cat.recordings.trajectories import Trajectories


def segments(trajectories: Trajectories, steps: int, every: int | None = None) -> Trajectories:
    """Pieces of `steps` control steps, each an episode of its own; what is left at an episode's end is dropped.

    The last observation of a piece is the first of the next where they follow each other closely. Only the last
    piece of an episode can be terminated, and only where nothing is left over. Diverged episodes are left out.

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
    rows = episode[:, None]
    return replace(
        trajectories,
        observations=trajectories.observations[rows, frames],
        actions=trajectories.actions[rows, frames[:, :-1]],
        rewards=trajectories.rewards[rows, frames[:, :-1]],
        qpos=trajectories.qpos[rows, frames],
        qvel=trajectories.qvel[rows, frames],
        lengths=np.full(len(first), steps),
        terminated=trajectories.terminated[episode] & (first + steps == lengths[episode]),
        diverged=np.zeros(len(first), dtype=bool),
        member_index=trajectories.member_index[episode],
        policies=tuple(trajectories.policies[i] for i in episode),
        reasons=tuple(trajectories.reasons[i] for i in episode) if trajectories.reasons else (),
    )
