"""Many episodes of a world at once, each in its own member of an ensemble, on MuJoCo's batch."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import mujoco
import numpy as np
from mujoco.batch import Batch, SimulationError
from numpy.typing import NDArray

from sim2real_cat.errors import PolicyError, WorldError
from sim2real_cat.worlds.fields import Field, names, resolve, split, unknown_field
from sim2real_cat.worlds.policy import Policy
from sim2real_cat.worlds.randomization import Ensemble, Mode
from sim2real_cat.worlds.task import Array, State
from sim2real_cat.worlds.trajectories import Trajectories
from sim2real_cat.worlds.world import World

SENSOR_FIELDS = ("observation_noise", "observation_bias")
"""Parameters of the sensors rather than of the model, as in ``"observation_bias[pole angle]"``."""

TOGETHER = {"body_inertial": ("body_mass", "body_inertia")}
"""Parameters that mean several fields: a link of another density changes mass and inertia alike."""

_NON_NEGATIVE = ("body_mass", "body_inertia", "dof_damping", "dof_armature", "geom_friction", "actuator_delay")

_DIVERGED = [int(getattr(mujoco.mjtWarning, f"mjWARN_{name}")) for name in ("BADQPOS", "BADQVEL", "BADQACC")]


class Simulator:
    """A batch of simulations of one world; `run` plays an episode in each.

    Args:
        world: model, task, sensors.
        members: the ensemble; the world as it is where none is given.
        member_index: (n,) which member each simulation is; every member once where none is given.
        threads: physics threads; 0 means one per available core.

    Raises:
        WorldError: a parameter that the model or the sensors do not have, or one whose value makes no physics.
    """

    def __init__(
        self,
        world: World,
        members: Ensemble | None = None,
        member_index: NDArray[np.int64] | None = None,
        threads: int = 0,
    ) -> None:
        self.world = world
        self.members = Ensemble.nominal() if members is None else members
        self.member_index = np.arange(len(self.members)) if member_index is None else member_index
        self.model = world.compile(delay=self.members.maximum("actuator_delay"))
        self.actuators = tuple(name or f"actuator {i}" for i, name in enumerate(names(self.model, "ACTUATOR")))
        n = len(self.member_index)
        self.batch = Batch(self.model, n, nthread=threads or len(os.sched_getaffinity(0)))
        self.deviations = np.tile(world.deviations(), (n, 1))
        self.biases = np.zeros((n, len(world.sensors)))
        self._apply()
        self._qpos, self._qvel = self.batch.bind("qpos"), self.batch.bind("qvel")
        self._derived = {name: self.batch.bind(name) for name in world.task.derived}
        self._stage = mujoco.mjtStage.mjSTAGE_VEL if world.task.fresh else mujoco.mjtStage.mjSTAGE_NONE

    def __len__(self) -> int:
        return len(self.member_index)

    def run(
        self,
        policy: Policy,
        steps: int,
        generators: Sequence[np.random.Generator],
        *,
        name: str = "",
        until_terminated: bool = True,
        progress: Callable[[int], None] | None = None,
    ) -> Trajectories:
        """Play one episode in every simulation, closed loop.

        Args:
            policy: what acts.
            steps: control steps at most.
            generators: n generators, one for each episode: where it starts and its sensor noise.
            name: the policy's name in the result.
            until_terminated: whether an episode stops where the task ends it; otherwise it goes on.
            progress: called after every control step with the number of steps done so far.

        Raises:
            PolicyError: the policy's actions have the wrong shape, or are NaN or infinite.
            WorldError: MuJoCo refused to simulate.
        """
        world, n = self.world, len(self)
        observations = self._begin(steps, generators)
        d, nu = observations.shape[2], self.model.nu
        actions, rewards = np.full((n, steps, nu), np.nan), np.full((n, steps), np.nan)
        qpos = np.full((n, steps + 1, self.model.nq), np.nan)
        qvel = np.full((n, steps + 1, self.model.nv), np.nan)
        lengths = np.zeros(n, dtype=np.int64)
        terminated, diverged = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
        seconds = world.substeps * self.model.opt.timestep

        running = np.arange(n)
        before = self._state(slice(None))
        observations[:, 0] += world.task.observe(before)
        qpos[:, 0], qvel[:, 0] = before.qpos, before.qvel
        for t in range(steps):
            everyone = len(running) == n
            rows: slice | NDArray[np.intp] = slice(None) if everyone else running
            action = self._checked(policy.act(observations[rows, t], running, t), running, t)
            self.batch.ctrl[rows] = action
            before = State(qpos[rows, t], qvel[rows, t])
            try:
                self.batch.step(ids=None if everyone else running, nstep=world.substeps, stage=self._stage)
            except SimulationError as error:
                raise WorldError(f"world '{world.name}', control step {t}: {' '.join(str(error).split())}") from None
            bad = self.batch.warning[running][:, _DIVERGED, 1].any(axis=1)
            if bad.any():
                diverged[running[bad]] = True
                running, action = running[~bad], action[~bad]
                before = State(before.qpos[~bad], before.qvel[~bad])
                rows = running
            after = self._state(rows)
            actions[rows, t] = action
            rewards[rows, t] = world.task.reward(before, after, action, seconds)
            observations[rows, t + 1] += world.task.observe(after)
            qpos[rows, t + 1], qvel[rows, t + 1] = after.qpos, after.qvel
            lengths[rows] = t + 1
            ended = world.task.terminated(after)
            if ended.any():
                terminated[running[ended]] = True
                if until_terminated:
                    running = running[~ended]
            if progress is not None:
                progress(t + 1)
            if not len(running):
                break
        _blank_the_rest(observations, lengths)
        longest = int(lengths.max(initial=0))
        return Trajectories(
            observations=observations[:, : longest + 1].reshape(n, longest + 1, d),
            actions=actions[:, :longest],
            rewards=rewards[:, :longest],
            qpos=qpos[:, : longest + 1],
            qvel=qvel[:, : longest + 1],
            lengths=lengths,
            terminated=terminated,
            diverged=diverged,
            member_index=self.member_index,
            policies=(name,) * n,
            sensors=world.sensors,
            actuators=self.actuators,
            control_period=seconds,
        )

    def _begin(self, steps: int, generators: Sequence[np.random.Generator]) -> Array:
        """Put every simulation at its start; return the sensors' noise and bias, (n, steps + 1, d)."""
        n, d = len(self), len(self.world.sensors)
        self.batch.reset(stage=mujoco.mjtStage.mjSTAGE_NONE)
        noise = np.empty((n, steps + 1, d))
        for i, generator in enumerate(generators):
            self._qpos[i], self._qvel[i] = self.world.task.start(self.model, generator)
            generator.standard_normal(out=noise[i])
        self.batch.forward()
        noise *= self.deviations[:, None, :]
        noise += self.biases[:, None, :]
        return noise

    def _state(self, rows: slice | NDArray[np.intp]) -> State:
        return State(self._qpos[rows], self._qvel[rows], {name: values[rows] for name, values in self._derived.items()})

    def _checked(self, action: Array, running: NDArray[np.intp], step: int) -> Array:
        """The policy's answer, if it has the right shape and is finite."""
        expected = (len(running), self.model.nu)
        if action.shape != expected:
            raise PolicyError(
                f"world '{self.world.name}' expects actions of shape {expected}, the policy answered {action.shape}"
            )
        if not np.isfinite(action).all():
            row, column = np.argwhere(~np.isfinite(action))[0]
            raise PolicyError(
                f"the policy answered {action[row, column]} for actuator '{self.actuators[column]}' in episode "
                f"{running[row]}, control step {step}, of world '{self.world.name}'; check its weights"
            )
        return action

    def _apply(self) -> None:
        """Give every simulation the parameters of its member."""
        for column, (parameter, mode) in enumerate(zip(self.members.parameters, self.members.modes, strict=True)):
            drawn = self.members.values[self.member_index, column][:, None]
            field, parts = split(parameter)
            if field in SENSOR_FIELDS:
                self._apply_to_sensors(field, parts, parameter, mode, drawn)
                continue
            for name in TOGETHER.get(field, (field,)):
                self._apply_to_model(resolve(self.model, parameter.replace(field, name, 1)), parameter, mode, drawn)
        try:
            self.batch.set_const()
        except SimulationError as error:
            raise WorldError(f"world '{self.world.name}': {' '.join(str(error).split())}") from None

    def _apply_to_model(self, field: Field, parameter: str, mode: Mode, drawn: Array) -> None:
        try:
            expanded = self.batch.expand(field.name)
        except (ValueError, KeyError):
            raise WorldError(unknown_field(field.name, mujoco.batch.MODEL_FIELDS)) from None
        flat = expanded.reshape(len(self), -1)
        elements = list(field.elements)
        flat[:, elements] = _changed(flat[:, elements], mode, drawn)
        if not np.shares_memory(flat, expanded):
            expanded[...] = flat.reshape(expanded.shape)
        if field.name in _NON_NEGATIVE and (flat[:, elements] < 0).any():
            raise WorldError(
                f"'{parameter}': {mode} gives {flat[:, elements].min():g}, but {field.name} cannot be negative"
            )

    def _apply_to_sensors(self, field: str, parts: list[str], parameter: str, mode: Mode, drawn: Array) -> None:
        sensors = self.world.sensors
        chosen = [i for i, sensor in enumerate(sensors) if not parts or parts == [":"] or sensor == ", ".join(parts)]
        if not chosen:
            raise WorldError(f"'{parameter}': world '{self.world.name}' has the sensors {', '.join(sensors)}")
        target = self.deviations if field == "observation_noise" else self.biases
        target[:, chosen] = _changed(target[:, chosen], mode, drawn)
        if field == "observation_noise" and (target < 0).any():
            raise WorldError(f"'{parameter}': {mode} gives {target.min():g}, but noise cannot be negative")


def _changed(values: Array, mode: Mode, drawn: Array) -> Array:
    if mode == "scale":
        return values * drawn
    return values + drawn if mode == "shift" else np.broadcast_to(drawn, values.shape)


def _blank_the_rest(observations: Array, lengths: NDArray[np.int64]) -> None:
    """NaN past the end of each episode, where only noise was drawn."""
    past = np.arange(observations.shape[1]) > lengths[:, None]
    observations[past] = np.nan
