"""Replay of a recording in a world: the same actions from the same recorded starts, open loop."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim2real_cat.errors import WorldError, unknown_name
from sim2real_cat.linear_algebra import on_one_thread
from sim2real_cat.model_names import actuator_names
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.worlds.engine_log import to_logging
from sim2real_cat.worlds.parameters.apply import compile_members
from sim2real_cat.worlds.parameters.channels import (
    RANDOM_ACTION_FIELDS,
    action_parameters,
    changes_period,
    command_parameters,
)
from sim2real_cat.worlds.randomization.ensemble import Ensemble, fibre_or_nominal
from sim2real_cat.worlds.sensors.drives import Drives
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
        world: the world; it has the sensors of the recording.
        trajectories: episodes whose states are known.
        fibre: replay in each member of an ensemble; in the world as it is where none are given.
        threads: physics threads; 0 means one per available core.

    Raises:
        WorldError: the recording has no states or actions, or other sensors, sizes or control period than the world,
            or an ensemble that does not fit the world.
    """
    side = check_replay(world, trajectories, fibre)
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
        drives = Drives(command_parameters(actuator_names(side.model), side.fibre, member_index[into]), batch.periods)
        with to_logging(), on_one_thread():
            _play(batch, drives, trajectories, episode[into], side.columns, played, into)
    longest = int(played.lengths.max(initial=0))
    cut = {name: getattr(played, name)[:, : longest + (name not in _STEPWISE)] for name in _FILLED}
    return replace(played, **cut)


def _play(
    batch: WorldBatch,
    drives: Drives,
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
        """Record the present states of some simulations, and return them."""
        state = batch.state(rows)
        played.qpos[into[rows], step], played.qvel[into[rows], step] = state.qpos, state.qvel
        played.observations[into[rows], step] = task.observe(state)[:, columns]
        return state

    before = frame(np.arange(len(into)), 0)
    running = np.flatnonzero(recording.lengths[episode] > 0)
    before = State(before.qpos[running], before.qvel[running])
    step = 0
    while len(running):
        batch.ctrl[running] = drives.drive(recording.actions[episode[running], step], running)
        batch.step(running, step)
        bad = batch.blown_up()[running]
        played.diverged[into[running[bad]]] = True
        running, before = running[~bad], State(before.qpos[~bad], before.qvel[~bad])
        rows, action = into[running], recording.actions[episode[running], step]
        after = frame(running, step + 1)
        played.actions[rows, step] = action
        played.rewards[rows, step] = batch.reward(before, after, action, running)
        played.terminated[rows] = task.terminated(after)
        step += 1
        played.lengths[rows] = step
        on = recording.lengths[episode[running]] > step
        running, before = running[on], State(after.qpos[on], after.qvel[on])


@dataclass(frozen=True, eq=False)
class CheckedReplay:
    """A recording that fits the members of a world, ready to be replayed in them.

    Attributes:
        fibre: the members of the world.
        model: the world's model, with room for the longest delays of its members.
        columns: (d,) for every sensor of the recording its column in the world's observation.
    """

    fibre: Ensemble
    model: mujoco.MjModel
    columns: NDArray[np.intp]


def check_replay(
    world: World, recording: Trajectories, fibre: Ensemble | None, kept: mujoco.MjModel | None = None
) -> CheckedReplay:
    """Check that recorded actions can be sent to the members of a world from recorded states.

    Args:
        world: the world.
        recording: episodes with states.
        fibre: the members; the world as it is where they are None.
        kept: the world's model as it was compiled for other members.

    Raises:
        WorldError: as `observed_columns` and `check_replayable`, or an ensemble that does not fit the world.
    """
    fibre = fibre_or_nominal(fibre)
    model = compile_members(world, fibre, kept)
    columns = observed_columns(world, model, recording)
    _check_period(world, model, recording, fibre)
    check_replayable(recording, fibre)
    return CheckedReplay(fibre, model, columns)


def observed_columns(world: World, model: mujoco.MjModel, recording: Trajectories) -> NDArray[np.intp]:
    """Check that a recording is one of this robot, and find its sensors among those of the world.

    Args:
        world: the world.
        model: its model.
        recording: episodes with states; its sensors may be some of the world's, in any order.

    Returns:
        (d,) for every sensor of the recording its column in the world's observation.

    Raises:
        WorldError: the recording has no states or actions, or other sizes or sensors than the world.
    """
    sizes = (recording.qpos.shape[2], recording.qvel.shape[2], recording.actions.shape[2])
    _refuse_missing(world, model, sizes)
    if sizes != (model.nq, model.nv, model.nu):
        raise WorldError(
            f"world '{world.name}' has {model.nq} positions, {model.nv} velocities, {model.nu} actuators and "
            f"{len(world.sensors)} sensors; the recording has {sizes[0]}, {sizes[1]}, {sizes[2]} and "
            f"{len(recording.sensors)}"
        )
    for name in recording.sensors:
        if name not in world.sensors:
            raise WorldError(f"the recording, in world '{world.name}': " + unknown_name("sensor", name, world.sensors))
    return np.array([world.sensors.index(name) for name in recording.sensors], dtype=np.intp)


def _check_period(world: World, model: mujoco.MjModel, recording: Trajectories, fibre: Ensemble) -> None:
    """Refuse a recording whose control period is not the world's, unless the members say what theirs is.

    Where they do, a step of a member is compared with a step of the recording, however long each takes.
    """
    period = world.substeps * float(model.opt.timestep)
    if not math.isclose(period, recording.control_period) and not changes_period(fibre):
        raise WorldError(
            f"world '{world.name}' has a control period of {period:g} s, the recording of "
            f"{recording.control_period:g} s; if the robot's loop is at fault, give the members a 'control_period'"
        )


def check_replayable(recording: Trajectories, fibre: Ensemble) -> None:
    """Check that recorded states and actions are finite, and that all actions reach the actuators as recorded.

    Raises:
        WorldError: a state or action that is NaN or infinite, or members in which actions are delayed or lost at
            random, which a recording does not tell.
    """
    for name, later in (("qpos", 1), ("qvel", 1), ("actions", 0)):
        values = getattr(recording, name)
        within = np.arange(values.shape[1]) < (np.where(recording.kept, recording.lengths, -1) + later)[:, None]
        bad = within & ~np.isfinite(values).all(axis=2)
        if bad.any():
            episode, frame = np.argwhere(bad)[0]
            raise WorldError(f"the recording has no finite {name} in episode {episode}, frame {frame}; cut it there")
    for name, numbers in zip(RANDOM_ACTION_FIELDS, action_parameters(fibre, np.arange(len(fibre))), strict=True):
        if numbers.any():
            raise WorldError(
                f"'{name}' is random on the way to the actuators, and a recording does not say what happened there; "
                "leave it out, or deploy the policy with rollout"
            )


def _refuse_missing(world: World, model: mujoco.MjModel, sizes: tuple[int, int, int]) -> None:
    """Refuse a recording that has no positions, velocities or actions at all, and say where they come from."""
    remedies = {
        "positions": "map qpos of every joint under [state]",
        "velocities": "log them, or map qvel under [state] to columns of positions with derivative = true",
        "actions": "map the columns of all actuators under [action]",
    }
    wanted = (model.nq, model.nv, model.nu)
    missing = [name for name, has, needs in zip(remedies, sizes, wanted, strict=True) if needs and not has]
    if missing:
        raise WorldError(
            f"the recording has no {' and no '.join(missing)}, world '{world.name}' needs them: "
            + "; ".join(remedies[name] for name in missing)
        )
