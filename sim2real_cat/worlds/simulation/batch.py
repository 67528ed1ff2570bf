"""Simulations that are set to given states and stepped once, again and again.

The commands on their way to delayed actuators, so that a simulation can start in the middle of a recording.

Which simulations of a batch blew up: MuJoCo resets such a one, with no more than a warning.
"""

from __future__ import annotations

import mujoco
import numpy as np
from mujoco.batch import Batch
from numpy.typing import NDArray

from sim2real_cat.worlds.parameters.apply import apply_to_model
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.tasks.task import Array, State
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
        self, world: World, model: mujoco.MjModel, fibre: Ensemble, member_index: NDArray[np.int64], threads: int
    ) -> None:
        self._world = world
        self._batch = Batch(model, len(member_index), nthread=threads)
        apply_to_model(self._batch, model, fibre, member_index)
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


class CommandHistory:
    """Fills the history buffers of a batch's actuators with recorded actions.

    MuJoCo's buffer of an actuator holds its commands of the last ``nsample`` physics steps; after a reset they are 0,
    as if nothing had been commanded before.

    Args:
        batch: the simulations, right after every reset at time 0.
        model: their model.
        substeps: physics steps per control step.
    """

    def __init__(self, batch: Batch, model: mujoco.MjModel, substeps: int) -> None:
        self._slots, self._columns, age = _slots(model)
        self._steps_back = np.ceil(age / substeps).astype(np.int64)
        self._history: Array | None = batch.bind("history") if len(self._slots) else None

    def fill(self, actions: Array, episode: NDArray[np.int64], step: NDArray[np.int64]) -> None:
        """Command what was commanded before control step `step` of each simulation's episode.

        Args:
            actions: (episodes, T, nu) as recorded.
            episode: (n,) which episode each simulation continues.
            step: (n,) the control step at which it does.
        """
        if self._history is None:
            return
        before = step[:, None] - self._steps_back
        commanded = actions[episode[:, None], np.maximum(before, 0), self._columns]
        self._history[:, self._slots] = np.where(before < 0, 0.0, commanded)


def _slots(model: mujoco.MjModel) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.int64]]:
    """Where in the history commands stand, of which actuator each is, and how many physics steps ago it was given.

    MuJoCo does not tell where in a buffer a sample lies, so its own function writes marks that are looked for.
    """
    slots: list[int] = []
    columns: list[int] = []
    ages: list[int] = []
    for actuator in np.flatnonzero(model.actuator_history[:, 0] > 0):
        samples = int(model.actuator_history[actuator, 0])
        data = mujoco.MjData(model)
        before = data.history.copy()
        marks = np.arange(1, samples + 1, dtype=np.float64)
        mujoco.mj_initCtrlHistory(model, data, int(actuator), None, marks)
        written = np.flatnonzero(data.history != before)
        slots += written.tolist()
        columns += [int(actuator)] * samples
        ages += (samples + 1 - data.history[written]).astype(int).tolist()
    return np.array(slots, dtype=np.intp), np.array(columns, dtype=np.intp), np.array(ages, dtype=np.int64)


_BAD = ("BADQPOS", "BADQVEL", "BADQACC", "BADCTRL")
_WARNINGS = [int(getattr(mujoco.mjtWarning, f"mjWARN_{name}")) for name in _BAD]


def blown_up(batch: Batch, qpos: Array, qvel: Array) -> NDArray[np.bool_]:
    """Which simulations blew up, (n,).

    MuJoCo looks for a bad state when it steps on from it; one that the last step made is looked for here.

    Args:
        batch: the simulations.
        qpos: (n, nq) their positions.
        qvel: (n, nv) their velocities.
    """
    warned = batch.warning[:, _WARNINGS, 1].any(axis=1)
    return np.asarray(warned | _unbounded(qpos) | _unbounded(qvel))


def _unbounded(values: Array) -> NDArray[np.bool_]:
    """Which rows hold a number that MuJoCo takes for a diverged one: NaN, or beyond mjMAXVAL."""
    return np.asarray(~(np.abs(values) <= mujoco.mjMAXVAL).all(axis=1))
