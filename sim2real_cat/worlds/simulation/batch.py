"""A batch of simulations of one world, each with the parameters of its own member of an ensemble."""

from __future__ import annotations

import os

import mujoco
import numpy as np
from mujoco.batch import Batch, SimulationError
from numpy.typing import NDArray

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import WorldError, one_line
from sim2real_cat.linear_algebra import on_one_thread
from sim2real_cat.worlds.engine_log import to_logging
from sim2real_cat.worlds.parameters.apply import apply_to_model
from sim2real_cat.worlds.parameters.channels import control_substeps, member_periods
from sim2real_cat.worlds.parameters.friction import JointFriction, friction_parameters
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.sensors.latency import SensorHistory, reads_delayed_sensors
from sim2real_cat.worlds.tasks.task import SimulationIndex, State
from sim2real_cat.worlds.world import World

_BAD = ("BADQPOS", "BADQVEL", "BADQACC", "BADCTRL")
_WARNINGS = [int(getattr(mujoco.mjtWarning, f"mjWARN_{name}")) for name in _BAD]


class WorldBatch:
    """Simulations of one world that MuJoCo steps together.

    Args:
        world: model, task, sensors.
        model: the world's model, with history buffers long enough for the members' delays (`compile_members`).
        fibre: the ensemble.
        member_index: (n,) the member of each simulation.
        threads: physics threads; 0 means one per available core.
        physics: a batch of the same model and size, for an ensemble with the same parameters, that is used again.

    Attributes:
        physics: MuJoCo's own batch.
        qpos: (n, nq) the present positions; writing to this array moves the simulations.
        qvel: (n, nv) the present velocities, likewise.
        ctrl: (n, nu) the controls of the next step, likewise.
        substeps: (n,) physics steps per control step.
        periods: (n,) seconds per control step.

    Raises:
        WorldError: a parameter that the model does not have, or a value that makes no physical model.
    """

    def __init__(
        self,
        world: World,
        model: mujoco.MjModel,
        fibre: Ensemble,
        member_index: NDArray[np.int64],
        threads: int,
        physics: Batch | None = None,
    ) -> None:
        self.world = world
        self.physics = physics or Batch(model, len(member_index), nthread=threads or available_cores())
        friction = friction_parameters(model, fibre, member_index)
        if friction is not None:  # an earlier ensemble may have left its budgets there
            self.physics.expand("dof_frictionloss")[...] = model.dof_frictionloss
        with to_logging(), on_one_thread():
            apply_to_model(self.physics, model, fibre, member_index)
        self.qpos, self.qvel, self.ctrl = (self.physics.bind(name) for name in ("qpos", "qvel", "ctrl"))
        self._n = len(member_index)
        self.substeps = control_substeps(world, model, fibre, member_index)
        self.periods = member_periods(world, model, fibre, member_index)
        rubbing = np.zeros(self._n, dtype=bool) if friction is None else friction.acting
        self._friction = None if friction is None else JointFriction(self.physics, model, friction)
        self._alike = [
            (int(count), bool(rubs), np.flatnonzero((self.substeps == count) & (rubbing == rubs)))
            for count, rubs in np.unique(np.stack([self.substeps, rubbing], axis=1), axis=0)
        ]
        self._derived = {name: self.physics.bind(name) for name in world.task.derived}
        delayed = reads_delayed_sensors(world.task, model)
        self._sensor_history = SensorHistory(self.physics, model) if delayed else None
        self._stage = mujoco.mjtStage.mjSTAGE_VEL if world.task.fresh else mujoco.mjtStage.mjSTAGE_NONE

    def __len__(self) -> int:
        return self._n

    def reset(self, rows: NDArray[np.intp] | None = None) -> None:
        """Set some simulations (all where none are named) to time 0 and empty their buffers; compute nothing yet."""
        self.physics.reset(ids=self._ids(rows), stage=mujoco.mjtStage.mjSTAGE_NONE)

    def settle(self, rows: NDArray[np.intp] | None = None) -> None:
        """Compute all that depends on the positions and velocities of some simulations after a reset.

        Delayed sensors start as if the robot had always stood there.
        """
        if self._sensor_history is None:
            self.physics.forward(self._ids(rows))
        else:
            self._sensor_history.start(np.arange(len(self)) if rows is None else rows)

    def step(self, rows: NDArray[np.intp] | None = None, step: int | None = None) -> None:
        """Do one control step of some simulations; no lock of Python is held while MuJoCo computes.

        Args:
            rows: which simulations; all where none are named.
            step: the number of the control step, for messages.

        Raises:
            WorldError: MuJoCo refused to simulate.
        """
        try:
            for count, rubs, group in self._alike:
                together = rows if len(self._alike) == 1 else _both(rows, group)
                if self._friction is not None and rubs:
                    self._rub(self._friction, group if together is None else together, count)
                else:
                    self.physics.step(ids=self._ids(together), nstep=count, stage=self._stage)
        except SimulationError as error:
            where = f"world '{self.world.name}'" + ("" if step is None else f", control step {step}")
            raise WorldError(f"{where}: {one_line(error)}") from None

    def _rub(self, friction: JointFriction, rows: NDArray[np.intp], substeps: int) -> None:
        """Do the physics steps of a control step one by one, each with the friction at its start."""
        for left in range(substeps, 0, -1):
            friction.update(rows)
            stage = self._stage if left == 1 else mujoco.mjtStage.mjSTAGE_NONE
            self.physics.step(ids=rows, nstep=1, stage=stage)

    def state(self, rows: SimulationIndex = slice(None)) -> State:
        """Return the present states of some simulations; they are views, which the next step changes, for a slice."""
        derived = {name: values[rows] for name, values in self._derived.items()}
        return State(self.qpos[rows], self.qvel[rows], derived)

    def reward(self, before: State, after: State, action: Floats, rows: SimulationIndex) -> Floats:
        """Return the task's rewards of a control step of some simulations, each over its own period."""
        periods = self.periods[rows]
        reward = self.world.task.reward
        if (self.substeps == self.substeps[0]).all():
            return reward(before, after, action, float(self.periods[0]))
        found = np.empty(len(periods))
        for period in np.unique(periods):
            part = np.flatnonzero(periods == period)
            found[part] = reward(_part(before, part), _part(after, part), action[part], float(period))
        return found

    def blown_up(self) -> NDArray[np.bool_]:
        """Return whether each simulation blew up in the last step, (n,).

        MuJoCo resets such a simulation with no more than a warning, and only when it steps on from a bad state; a bad
        state that the last step made is found here.
        """
        warned = self.physics.warning[:, _WARNINGS, 1].any(axis=1)
        return np.asarray(warned | _unbounded(self.qpos) | _unbounded(self.qvel))

    def _ids(self, rows: NDArray[np.intp] | None) -> NDArray[np.intp] | None:
        """Return the simulations as MuJoCo takes them: None for all of them."""
        return None if rows is None or len(rows) == len(self) else rows


def _both(rows: NDArray[np.intp] | None, group: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the simulations that are among the rows, all where None, and in the group."""
    return group if rows is None else np.intersect1d(rows, group, assume_unique=True)


def _part(state: State, rows: NDArray[np.intp]) -> State:
    """Return some rows of a state."""
    return State(state.qpos[rows], state.qvel[rows], {name: values[rows] for name, values in state.derived.items()})


def _unbounded(values: Floats) -> NDArray[np.bool_]:
    """Return whether each row holds NaN or a number beyond mjMAXVAL, which make a bad state for MuJoCo."""
    return np.asarray(~(np.abs(values) <= mujoco.mjMAXVAL).all(axis=1))


def available_cores() -> int:
    """Count the cores that this process may use; all of them where the system does not tell (macOS, Windows)."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed is not None else os.cpu_count() or 1
