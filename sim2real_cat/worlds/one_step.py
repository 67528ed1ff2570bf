"""Simulations that are set to given states and stepped once, again and again."""

from __future__ import annotations

import mujoco
import numpy as np
from mujoco.batch import Batch
from numpy.typing import NDArray

from sim2real_cat.worlds.command_history import CommandHistory
from sim2real_cat.worlds.divergence import blown_up
from sim2real_cat.worlds.parameters import apply_to_model
from sim2real_cat.worlds.randomization import Ensemble
from sim2real_cat.worlds.task import Array, State
from sim2real_cat.worlds.world import World


class OneStep:
    """A batch of simulations of given members.

    Attributes:
        diverged: which of them blew up in the last step.

    Args:
        world: the world.
        model: its model, with buffers long enough for the members' delays.
        members: the ensemble.
        member_index: (n,) the member of each simulation.
        threads: physics threads; 0 means one per core.
    """

    def __init__(
        self, world: World, model: mujoco.MjModel, members: Ensemble, member_index: NDArray[np.int64], threads: int
    ) -> None:
        self._world = world
        self._batch = Batch(model, len(member_index), nthread=threads)
        apply_to_model(self._batch, model, members, member_index)
        self._derived = {name: self._batch.bind(name) for name in world.task.derived}
        self._history = CommandHistory(self._batch, model, world.substeps)
        self._stage = mujoco.mjtStage.mjSTAGE_VEL if world.task.fresh else mujoco.mjtStage.mjSTAGE_NONE
        self.diverged = np.zeros(len(member_index), dtype=bool)

    def __call__(
        self, qpos: Array, qvel: Array, actions: Array, episode: NDArray[np.int64], step: NDArray[np.int64]
    ) -> State:
        """The states one control step after given ones.

        Args:
            qpos: (n, nq) where each simulation starts.
            qvel: (n, nv) likewise.
            actions: (episodes, T, nu) all recorded actions; delayed actuators act on earlier ones.
            episode: (n,) whose action each does.
            step: (n,) which of them.
        """
        batch = self._batch
        batch.reset(stage=mujoco.mjtStage.mjSTAGE_NONE)
        batch.qpos[:], batch.qvel[:] = qpos, qvel
        batch.ctrl[:] = actions[episode, step]
        self._history.fill(actions, episode, step)
        batch.step(nstep=self._world.substeps, stage=self._stage)
        self.diverged = blown_up(batch, batch.qpos, batch.qvel)
        return State(
            np.array(batch.qpos), np.array(batch.qvel), {name: np.array(v) for name, v in self._derived.items()}
        )
