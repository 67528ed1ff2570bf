"""Checks that a recording and a world can be compared step by step: same coordinates, actuators, sensors and period."""

from __future__ import annotations

import math
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim2real_cat.errors import WorldError, unknown_name
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.worlds.parameters.apply import ACTION_FIELDS, action_parameters, compile_members
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.world import World


@dataclass(frozen=True, eq=False)
class Comparison:
    """The side of the world in a comparison with a recording.

    Attributes:
        fibre: the members of the world.
        model: the world's model, with room for the longest delays of its members.
        columns: (d,) for every sensor of the recording its column in the world's observation.
    """

    fibre: Ensemble
    model: mujoco.MjModel
    columns: NDArray[np.intp]


def compare(world: World, recording: Trajectories, fibre: Ensemble | None) -> Comparison:
    """Check that recorded actions can be sent to the members of a world from recorded states.

    Raises:
        WorldError: as `observed_columns` and `check_replayable`, or an ensemble that does not fit the world.
    """
    fibre = Ensemble.nominal() if fibre is None else fibre
    model = compile_members(world, fibre)
    columns = observed_columns(world, model, recording)
    check_replayable(recording, fibre)
    return Comparison(fibre, model, columns)


def observed_columns(world: World, model: mujoco.MjModel, recording: Trajectories) -> NDArray[np.intp]:
    """Check that a recording is one of this robot, and find its sensors among those of the world.

    Args:
        world: the world.
        model: its model.
        recording: episodes with states; its sensors may be some of the world's, in any order.

    Returns:
        (d,) for every sensor of the recording its column in the world's observation.

    Raises:
        WorldError: the recording has no states or actions, or other sizes, sensors or control period than the world.
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
    period = world.substeps * float(model.opt.timestep)
    if not math.isclose(period, recording.control_period):
        raise WorldError(
            f"world '{world.name}' has a control period of {period:g} s, the recording of "
            f"{recording.control_period:g} s"
        )
    return np.array([world.sensors.index(name) for name in recording.sensors], dtype=np.intp)


def check_replayable(recording: Trajectories, fibre: Ensemble) -> None:
    """Check that the recorded states and actions are numbers, and that all actions reach the actuators as recorded.

    Raises:
        WorldError: a state or action that is NaN or infinite, or members in which something random happens to the
            actions on their way: a recording does not tell what.
    """
    for name, later in (("qpos", 1), ("qvel", 1), ("actions", 0)):
        values = getattr(recording, name)
        within = np.arange(values.shape[1]) < (np.where(recording.kept, recording.lengths, -1) + later)[:, None]
        bad = within & ~np.isfinite(values).all(axis=2)
        if bad.any():
            episode, frame = np.argwhere(bad)[0]
            raise WorldError(f"the recording has no finite {name} in episode {episode}, frame {frame}; cut it there")
    for name, numbers in zip(ACTION_FIELDS, action_parameters(fibre, np.arange(len(fibre))), strict=True):
        if numbers.any():
            raise WorldError(
                f"'{name}' is random on the way to the actuators, and a recording does not say what happened there; "
                "leave it out, or deploy the policy with rollout"
            )


def _refuse_missing(world: World, model: mujoco.MjModel, sizes: tuple[int, int, int]) -> None:
    """Refuse a recording that has no positions, velocities or actions at all, and tell where to get them."""
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
