"""Replay of a recording in a world: the same actions from the same recorded starts, open loop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.linear_algebra import on_one_thread
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.worlds.comparison import compare
from sim2real_cat.worlds.engine_log import to_logging
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.simulation.batch import WorldBatch
from sim2real_cat.worlds.tasks.task import State
from sim2real_cat.worlds.world import World

_AT_ONCE = 4096
"""Simulations in a batch."""

_STEPWISE = ("actions", "rewards")
_FILLED = ("observations", *_STEPWISE, "qpos", "qvel")


def replay(
    world: World, trajectories: Trajectories, *, fibre: Ensemble | None = None, threads: int = 0
) -> Trajectories:
    """Start a world in the first recorded state of every episode and give it the recorded actions, step by step.

    Episode ``m · len(trajectories) + i`` of the result is episode i in member m; it goes on where the task would have
    ended it, and ends early only where the simulation blows up. Its observations are those of the recorded sensors,
    without noise; rewards are the task's.

    Args:
        world: the world; the sensors of the recording are some of its own.
        trajectories: episodes whose states are known.
        fibre: replay in each member of an ensemble; in the world as it is where none are given.
        threads: physics threads; 0 means one per available core.

    Raises:
        WorldError: the recording has no states or actions, or other sensors, sizes or control period than the world,
            or an ensemble that does not fit the world.
    """
    side = compare(world, trajectories, fibre)
    episode = np.tile(np.arange(len(trajectories)), len(side.fibre))
    member_index = np.repeat(np.arange(len(side.fibre)), len(trajectories))
    played = replace(
        trajectories,
        **{name: np.full_like(getattr(trajectories, name)[episode], np.nan) for name in _FILLED},
        lengths=np.zeros(len(episode), dtype=np.int64),
        terminated=np.zeros(len(episode), dtype=bool),
        diverged=np.zeros(len(episode), dtype=bool),
        member_index=member_index,
        policies=tuple(trajectories.policies[i] for i in episode),
        notes=(*trajectories.notes, f"replayed in world '{world.name}'"),
        reasons=(),
    )
    for first in range(0, len(episode), _AT_ONCE):
        into = np.arange(first, min(first + _AT_ONCE, len(episode)))
        batch = WorldBatch(world, side.model, side.fibre, member_index[into], threads)
        with to_logging(), on_one_thread():
            _play(batch, trajectories, episode[into], side.columns, played, into)
    longest = int(played.lengths.max(initial=0))
    cut = {name: getattr(played, name)[:, : longest + (name not in _STEPWISE)] for name in _FILLED}
    return replace(played, **cut)


def _play(
    batch: WorldBatch,
    recording: Trajectories,
    episode: NDArray[np.int64],
    columns: NDArray[np.intp],
    played: Trajectories,
    into: NDArray[np.intp],
) -> None:
    """Play the episodes of one batch and write them to the rows `into` of `played`."""
    task = batch.world.task
    batch.reset()
    batch.qpos[:], batch.qvel[:] = recording.qpos[episode, 0], recording.qvel[episode, 0]
    batch.settle()

    def frame(rows: NDArray[np.intp], step: int) -> State:
        """Record the states that the simulations are in."""
        state = batch.state(rows)
        played.qpos[into[rows], step], played.qvel[into[rows], step] = state.qpos, state.qvel
        played.observations[into[rows], step] = task.observe(state)[:, columns]
        return state

    before = frame(np.arange(len(into)), 0)
    running = np.flatnonzero(recording.lengths[episode] > 0)
    before = State(before.qpos[running], before.qvel[running])
    step = 0
    while len(running):
        batch.ctrl[running] = recording.actions[episode[running], step]
        batch.step(running, step)
        bad = batch.blown_up()[running]
        played.diverged[into[running[bad]]] = True
        running, before = running[~bad], State(before.qpos[~bad], before.qvel[~bad])
        rows, action = into[running], recording.actions[episode[running], step]
        after = frame(running, step + 1)
        played.actions[rows, step] = action
        played.rewards[rows, step] = task.reward(before, after, action, recording.control_period)
        played.terminated[rows] = task.terminated(after)
        step += 1
        played.lengths[rows] = step
        on = recording.lengths[episode[running]] > step
        running, before = running[on], State(after.qpos[on], after.qvel[on])
