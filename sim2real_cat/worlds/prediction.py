"""What a world expects next: one control step ahead from every recorded state, all at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import mujoco
import numpy as np
from mujoco.batch import Batch
from numpy.typing import NDArray

from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.engine_log import to_logging
from sim2real_cat.worlds.task import Array, State
from sim2real_cat.worlds.trajectories import Trajectories
from sim2real_cat.worlds.world import World

_AT_ONCE = 4096
"""Transitions per batch; more only need more memory."""


@dataclass(frozen=True, eq=False)
class StepPrediction:
    """The next state and observation that a world expects after each recorded transition.

    Attributes:
        episode: (N,) which episode a transition belongs to.
        step: (N,) the control step within it.
        state: (N, nq + nv) expected positions and velocities after the step.
        observation: (N, d) what the sensors would read there without noise.
    """

    episode: NDArray[np.int64]
    step: NDArray[np.int64]
    state: Array
    observation: Array


def predict_steps(world: World, trajectories: Trajectories) -> StepPrediction:
    """Set the world as it is to every recorded state, apply the recorded action, and look one control step ahead.

    Args:
        world: the world that predicts; its sensors and actuators must be those of the recording.
        trajectories: episodes whose true states are known; diverged ones are left out.

    Raises:
        WorldError: the recording has no states, or other sensors, sizes or control period than the world.
    """
    model = world.compile()
    sizes = (trajectories.qpos.shape[2], trajectories.qvel.shape[2], trajectories.actions.shape[2])
    if sizes != (model.nq, model.nv, model.nu) or trajectories.sensors != world.sensors:
        raise WorldError(
            f"world '{world.name}' has {model.nq} positions, {model.nv} velocities, {model.nu} actuators and "
            f"{len(world.sensors)} sensors; the recording has {sizes[0]}, {sizes[1]}, {sizes[2]} and "
            f"{len(trajectories.sensors)}"
        )
    period = world.substeps * float(model.opt.timestep)
    if not math.isclose(period, trajectories.control_period):
        raise WorldError(
            f"world '{world.name}' has a control period of {period:g} s, the recording of "
            f"{trajectories.control_period:g} s"
        )
    lengths = np.where(trajectories.kept, trajectories.lengths, 0)
    episode = np.repeat(np.arange(len(lengths)), lengths)
    step = np.concatenate([np.arange(length) for length in lengths]) if len(lengths) else np.zeros(0, dtype=np.int64)
    state = np.empty((len(episode), model.nq + model.nv))
    observation = np.empty((len(episode), len(world.sensors)))
    with to_logging():
        for first in range(0, len(episode), _AT_ONCE):
            rows = slice(first, first + _AT_ONCE)
            after = _one_step(world, model, trajectories, episode[rows], step[rows])
            state[rows] = np.concatenate([after.qpos, after.qvel], axis=1)
            observation[rows] = world.task.observe(after)
    return StepPrediction(episode, step, state, observation)


def _one_step(
    world: World,
    model: mujoco.MjModel,
    trajectories: Trajectories,
    episode: NDArray[np.int64],
    step: NDArray[np.int64],
) -> State:
    """The states one control step after those recorded at (episode, step)."""
    batch = Batch(model, len(episode))
    derived = {name: batch.bind(name) for name in world.task.derived}
    batch.reset(stage=mujoco.mjtStage.mjSTAGE_NONE)
    batch.qpos[:], batch.qvel[:] = trajectories.qpos[episode, step], trajectories.qvel[episode, step]
    batch.ctrl[:] = trajectories.actions[episode, step]
    stage = mujoco.mjtStage.mjSTAGE_VEL if world.task.fresh else mujoco.mjtStage.mjSTAGE_NONE
    batch.step(nstep=world.substeps, stage=stage)
    return State(np.array(batch.qpos), np.array(batch.qvel), {name: np.array(v) for name, v in derived.items()})
