"""The commands on their way to delayed actuators, so that a simulation can start in the middle of a recording."""

from __future__ import annotations

import mujoco
import numpy as np
from mujoco.batch import Batch
from numpy.typing import NDArray

from sim2real_cat.worlds.task import Array


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
