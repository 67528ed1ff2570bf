"""Delays and losses: of observations on their way to the policy, of actions on their way to the actuators.

Delays of actuators and of the model's sensors are MuJoCo's own, counted in physics steps. This module adds the random
delays of episodes and steps, and fills the buffers at a start.
"""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np
from mujoco.batch import Batch
from numpy.typing import NDArray

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.parameters.channels import ActionParameters
from sim2real_cat.worlds.sensors.drives import Drives
from sim2real_cat.worlds.sensors.streams import Streams
from sim2real_cat.worlds.tasks.task import FrameIndex, SimulationIndex, Task

_MOST_PERIODS = 100_000


def whole_periods(delays: Floats, period: float | Floats) -> NDArray[np.int64]:
    """Round delays (n, d) [s] up to whole numbers of periods, as a reading is held until the next one.

    Args:
        delays: the delays.
        period: seconds from one reading to the next, one for all or (n, 1).

    Raises:
        WorldError: a delay of more than 100,000 periods.
    """
    late = delays / period
    if late.max(initial=0.0) > _MOST_PERIODS:
        longest = np.unravel_index(np.argmax(late), late.shape)
        raise WorldError(
            f"a delay of {delays[longest]:g} s is {late[longest]:.0f} control periods; delays are in seconds, "
            "is this one?"
        )
    return np.ceil(late - 1e-9).astype(np.int64)


class DelayLine:
    """A line that holds observations back for a number of frames, by simulation and sensor.

    Until the first observation arrives, a sensor reads the start, as if the robot had always stood there.

    Args:
        frames: (n, d) how many frames late each sensor is in each simulation.
    """

    def __init__(self, frames: NDArray[np.int64]) -> None:
        self._late = frames
        self._ring = np.empty((len(frames), int(frames.max(initial=0)) + 1, frames.shape[1]))

    def through(self, observed: Floats, rows: SimulationIndex, frame: FrameIndex) -> Floats:
        """Take in the observations (m, d) of a frame, and return those that arrive in that frame."""
        size = self._ring.shape[1]
        self._ring[rows, frame % size] = observed
        slot = np.maximum(np.reshape(frame, (-1, 1)) - self._late[rows], 0) % size
        simulation = np.arange(len(self._ring))[rows, None]
        return np.asarray(self._ring[simulation, slot, np.arange(slot.shape[1])])


class Commands:
    """The channel from the policy to the actuators of a batch: some actions arrive late, some never.

    What arrived last goes through the drives in every control step, also where nothing new arrived.

    Args:
        batch: the simulations; the delays of its actuators are those without the random part.
        parameters: the random delays and losses of every simulation.
        drives: what becomes of an action that has arrived.
    """

    def __init__(self, batch: Batch, parameters: ActionParameters, drives: Drives) -> None:
        self._ctrl, self._drives = batch.bind("ctrl"), drives
        self._arrived = np.zeros(self._ctrl.shape)
        self._spread, self._jitter, self._drop = parameters
        self.random = bool(self._spread.any() or self._jitter.any() or self._drop.any())
        self._late, self._fates = np.zeros(0), np.zeros((0, 0, 2))
        self._delay: Floats | None = None
        if self._spread.any() or self._jitter.any():
            self._delay = batch.expand("actuator_delay")
            self._shortest = self._delay.copy()

    def start(self, steps: int, streams: Sequence[Streams], rows: NDArray[np.intp] | None = None) -> None:
        """Draw the delays and losses of the actions of an episode in some simulations.

        An episode has one uniform for its delay, then two for every step: one for its jitter, one for its loss.

        Args:
            steps: control steps at most.
            streams: a stream for each row; may be empty unless `random`.
            rows: which simulations start; all of them where none are given, and the first time.
        """
        rows = np.arange(len(self._drop)) if rows is None else rows
        self._drives.start(rows)
        self._arrived[rows] = 0.0
        if not self.random:
            return
        if len(rows) == len(self._drop):
            self._late = np.empty(len(rows))
            self._fates = np.empty((len(rows), steps, 2))
        for i, stream in zip(rows, streams, strict=True):
            self._late[i] = self._spread[i] * stream.actions.random()
            stream.actions.random(out=self._fates[i])

    def send(self, action: Floats, running: NDArray[np.intp], rows: SimulationIndex, step: FrameIndex) -> None:
        """Write the actions (m, nu) of the running simulations to their controls; a lost one changes nothing."""
        if not self.random:
            self._ctrl[rows] = action if self._drives.nominal else self._drives.drive(action, rows)
            return
        draws = self._fates[running, step]
        if self._delay is not None:
            late = self._late[running] + self._jitter[running] * draws[:, 0]
            self._delay[running] = self._shortest[running] + late[:, None]
        arrived = draws[:, 1] >= self._drop[running]
        if self._drives.nominal:
            self._ctrl[running[arrived]] = action[arrived]
            return
        self._arrived[running[arrived]] = action[arrived]
        self._ctrl[rows] = self._drives.drive(self._arrived[rows], rows)


def reads_delayed_sensors(task: Task, model: mujoco.MjModel) -> bool:
    """Return whether a task observes sensors that the model itself delays."""
    return "sensordata" in task.derived and bool((model.sensor_history[:, 0] > 0).any())


class SensorHistory:
    """The history buffers of the delayed sensors of a batch, and how they start.

    MuJoCo starts them with zeros, so a delayed sensor would first report a state in which the robot never was. Here
    they start with the first reading, as if the robot had always stood there.

    Args:
        batch: the simulations, with their own parameters.
        model: the model whose sensors have buffers.
    """

    def __init__(self, batch: Batch, model: mujoco.MjModel) -> None:
        self._batch = batch
        self._history, self._sensordata = batch.bind("history"), batch.bind("sensordata")
        self._delay, self._interval = batch.expand("sensor_delay"), batch.expand("sensor_interval")
        self._slots, self._columns = _sensor_slots(model)

    def start(self, rows: NDArray[np.intp]) -> None:
        """Fill the buffers of some simulations with their present readings, and compute the sensors from them."""
        delay, interval = self._delay[rows], self._interval[rows]
        self._delay[rows] = 0.0
        self._interval[rows] = 0.0
        self._batch.forward(rows)
        self._history[np.ix_(rows, self._slots)] = self._sensordata[np.ix_(rows, self._columns)]
        self._delay[rows] = delay
        self._interval[rows] = interval
        self._batch.forward(rows)


def _sensor_slots(model: mujoco.MjModel) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the slots of the history that hold values of sensors, and the column of the sensor data of each.

    MuJoCo does not document the layout of its buffers, so its own function writes marks and this one looks for them.
    """
    data = mujoco.MjData(model)
    slots, columns = [], []
    for sensor in np.flatnonzero(model.sensor_history[:, 0] > 0):
        samples, first, size = (
            int(a[sensor]) for a in (model.sensor_history[:, 0], model.sensor_adr, model.sensor_dim)
        )
        blank = np.full((samples, size), -7.0)
        mujoco.mj_initSensorHistory(model, data, sensor, None, blank, 0.0)
        before = data.history.copy()
        mujoco.mj_initSensorHistory(model, data, sensor, None, blank + 8.0 + np.arange(size), 0.0)
        written = np.flatnonzero(data.history != before)
        slots.append(written)
        columns.append(first + data.history[written].astype(np.intp) - 1)
    return np.concatenate(slots), np.concatenate(columns)


class CommandHistory:
    """The history buffers of the actuators of a batch, to be filled with recorded actions.

    MuJoCo's buffer of an actuator holds its commands of the last ``nsample`` physics steps; after a reset they are 0,
    as if nothing had been commanded before.

    Args:
        batch: the simulations, right after every reset at time 0.
        model: their model.
        substeps: (n,) physics steps per control step.
    """

    def __init__(self, batch: Batch, model: mujoco.MjModel, substeps: NDArray[np.int64]) -> None:
        self._slots, self._columns, age = _command_slots(model)
        self._steps_back = np.ceil(age / substeps[:, None]).astype(np.int64)
        self._history: Floats | None = batch.bind("history") if len(self._slots) else None

    def fill(self, actions: Floats, episode: NDArray[np.int64], step: NDArray[np.int64]) -> None:
        """Write the actions before control step `step` of each simulation's episode.

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


def _command_slots(model: mujoco.MjModel) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.int64]]:
    """Return the slots of the history that hold commands, the actuator of each, and its age in physics steps.

    MuJoCo does not document the layout of its buffers, so its own function writes marks and this one looks for them.
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
