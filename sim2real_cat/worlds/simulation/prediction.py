"""What a world expects next: one control step ahead from every recorded state, all at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import mujoco
import numpy as np
from mujoco.batch import Batch
from numpy.typing import NDArray

from sim2real_cat.errors import WorldError
from sim2real_cat.linear_algebra import on_one_thread
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.worlds.comparable import check_replayable, observed_columns
from sim2real_cat.worlds.engine_log import to_logging
from sim2real_cat.worlds.parameters.apply import apply_to_model, compile_members
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.sensors.latency import reads_delayed_sensors
from sim2real_cat.worlds.simulation.batch import OneStep
from sim2real_cat.worlds.tasks.task import Array, State
from sim2real_cat.worlds.world import World

_AT_ONCE = 4096
"""Simulations in the batch; the memory that is used besides the result does not grow with the recording."""


@dataclass(frozen=True, eq=False)
class StepPrediction:
    """The next state and observation that worlds expect after each recorded transition.

    Row ``m · N + i`` is what member m expects after transition i of N.

    Attributes:
        episode: (members · N,) which episode a transition belongs to.
        step: (members · N,) the control step within it.
        member: (members · N,) which member of the ensemble expects it.
        state: (members · N, nq + nv) expected positions and velocities after the step; NaN where the world diverges.
        observation: (members · N, d) what the recorded sensors would read there without noise; NaN as the state.
    """

    episode: NDArray[np.int64]
    step: NDArray[np.int64]
    member: NDArray[np.int64]
    state: Array
    observation: Array


def predict_steps(
    world: World, trajectories: Trajectories, *, fibre: Ensemble | None = None, threads: int = 0
) -> StepPrediction:
    """Set a world to every recorded state, apply the recorded action, and look one control step ahead.

    Delayed actuators act on the recorded actions before. Nothing else that a simulator remembers is recorded: internal
    states of actuators start as after a reset.

    Args:
        world: the world that predicts; the sensors of the recording are some of its own.
        trajectories: episodes whose states are known; diverged ones are left out.
        fibre: predict with the parameters of each member; with the world as it is where none are given.
        threads: physics threads; 0 means one per core.

    Raises:
        WorldError: the recording has no states, or other sensors, sizes or control period than the world, or an
            ensemble that does not fit the world; or the model delays sensors, whose past is not recorded.
    """
    ensemble = Ensemble.nominal() if fibre is None else fibre
    model = compile_members(world, ensemble)
    columns = observed_columns(world, model, trajectories)
    check_replayable(trajectories, ensemble)
    if reads_delayed_sensors(world.task, model):
        raise WorldError(
            f"world '{world.name}': its model delays sensors, so one step from a recorded state does not say what they "
            "read; replay whole episodes instead"
        )
    lengths = np.where(trajectories.kept, trajectories.lengths, 0)
    n = int(lengths.sum())
    episode = np.repeat(np.arange(len(lengths)), lengths)
    step = np.arange(n) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    state = np.empty((len(ensemble) * n, model.nq + model.nv))
    observation = np.empty((len(ensemble) * n, len(columns)))
    with to_logging(), on_one_thread():
        for some in _blocks(len(ensemble), _AT_ONCE):
            each = min(max(_AT_ONCE // len(some), 1), max(n, 1))
            ahead = OneStep(world, model, ensemble, np.repeat(some, each), threads)
            for block in _blocks(n, each):
                # the last block is filled up with its own first transition, so that one batch serves all
                rows = np.concatenate([block, np.full(each - len(block), block[0])])
                rows = np.tile(rows, len(some))
                at = (episode[rows], step[rows])
                after = ahead(trajectories.qpos[at], trajectories.qvel[at], trajectories.actions, *at)
                kept = np.tile(np.arange(each) < len(block), len(some))
                into = (some[:, None] * n + block).ravel()
                state[into] = np.concatenate([after.qpos, after.qvel], axis=1)[kept]
                observation[into] = world.task.observe(after)[kept][:, columns]
                lost = into[ahead.diverged[kept]]
                state[lost], observation[lost] = np.nan, np.nan
    member = np.repeat(np.arange(len(ensemble)), n)
    return StepPrediction(np.tile(episode, len(ensemble)), np.tile(step, len(ensemble)), member, state, observation)


def observe_states(
    world: World, trajectories: Trajectories, *, fibre: Ensemble | None = None, threads: int = 0
) -> Array:
    """What the recorded sensors would read in every recorded state, without noise and without delay.

    Args:
        world: the world whose sensors they are.
        trajectories: episodes whose states are known.
        fibre: read in each member; in the world as it is where none are given.
        threads: physics threads; 0 means one per core.

    Returns:
        (members, n, T + 1, d), NaN past the end of an episode and in episodes that diverged.

    Raises:
        WorldError: as `predict_steps`.
    """
    ensemble = Ensemble.nominal() if fibre is None else fibre
    model = compile_members(world, ensemble)
    columns = observed_columns(world, model, trajectories)
    check_replayable(trajectories, ensemble)
    frames = np.arange(trajectories.qpos.shape[1])
    episode, frame = np.nonzero(frames < np.where(trajectories.kept, trajectories.lengths + 1, 0)[:, None])
    seen = np.full((len(ensemble), len(trajectories), len(frames), len(columns)), np.nan)
    if not world.task.derived:
        state = State(trajectories.qpos[episode, frame], trajectories.qvel[episode, frame])
        seen[:, episode, frame] = world.task.observe(state)[:, columns]
        return seen
    with to_logging(), on_one_thread():
        each = max(_AT_ONCE // len(ensemble), 1)
        batch = Batch(model, len(ensemble) * each, nthread=threads)
        apply_to_model(batch, model, ensemble, np.repeat(np.arange(len(ensemble)), each))
        derived = {name: batch.bind(name) for name in world.task.derived}
        for block in _blocks(len(episode), each):
            rows = np.tile(np.concatenate([block, np.full(each - len(block), block[0])]), len(ensemble))
            batch.reset(stage=mujoco.mjtStage.mjSTAGE_NONE)
            batch.qpos[:], batch.qvel[:] = (
                trajectories.qpos[episode[rows], frame[rows]],
                trajectories.qvel[episode[rows], frame[rows]],
            )
            batch.forward()
            state = State(np.array(batch.qpos), np.array(batch.qvel), {k: np.array(v) for k, v in derived.items()})
            read = world.task.observe(state)[:, columns].reshape(len(ensemble), each, len(columns))
            seen[:, episode[block], frame[block]] = read[:, : len(block)]
    return seen


def _blocks(n: int, size: int) -> Iterator[NDArray[np.int64]]:
    """0..n-1 in blocks of at most `size`."""
    for first in range(0, n, size):
        yield np.arange(first, min(first + size, n))
