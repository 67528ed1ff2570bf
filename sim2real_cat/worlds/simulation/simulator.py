"""Many episodes of a world at once, each in its own member of an ensemble, on MuJoCo's batch.

A `Simulator` plays whole episodes with a policy; a `Stepper` is stepped by its caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import PolicyError, WorldError
from sim2real_cat.linear_algebra import on_one_thread
from sim2real_cat.model_names import actuator_names
from sim2real_cat.policies.policy import Policy
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.worlds.engine_log import to_logging
from sim2real_cat.worlds.parameters.apply import compile_members
from sim2real_cat.worlds.parameters.channels import (
    action_parameters,
    command_parameters,
    recorded_period,
    sensor_parameters,
)
from sim2real_cat.worlds.randomization.ensemble import Ensemble, fibre_or_nominal
from sim2real_cat.worlds.sensors.drives import Drives
from sim2real_cat.worlds.sensors.latency import Commands
from sim2real_cat.worlds.sensors.sensing import Readings, SensorModel
from sim2real_cat.worlds.sensors.streams import Streams, spawn_streams
from sim2real_cat.worlds.simulation.batch import WorldBatch
from sim2real_cat.worlds.simulation.episode_record import EpisodeRecord, join_records
from sim2real_cat.worlds.simulation.turns import Play, in_turns
from sim2real_cat.worlds.tasks.task import Carry, SimulationIndex, State
from sim2real_cat.worlds.world import World


class Simulator:
    """A batch of simulations of one world; `run` plays an episode in each.

    Args:
        world: model, task, sensors.
        fibre: the ensemble; the world as it is where none is given.
        member_index: (n,) which member each simulation is; every member once where none is given.
        threads: physics threads; 0 means one per available core.

    Raises:
        WorldError: a parameter that the model or the sensors do not have, or one whose value makes no physics.
    """

    def __init__(
        self,
        world: World,
        fibre: Ensemble | None = None,
        member_index: NDArray[np.int64] | None = None,
        threads: int = 0,
    ) -> None:
        fibre = fibre_or_nominal(fibre)
        self.world = world
        self.member_index = np.arange(len(fibre)) if member_index is None else member_index
        self.model = compile_members(world, fibre)
        self.actuators = actuator_names(self.model)
        self._batch = WorldBatch(world, self.model, fibre, self.member_index, threads)
        self.control_period = recorded_period(world, self.model, fibre)
        sensors = sensor_parameters(world, fibre, self.member_index)
        self._sensing = SensorModel(world.noise_chains(), sensors, self._batch.periods)
        drives = Drives(command_parameters(self.actuators, fibre, self.member_index), self._batch.periods)
        self._commands = Commands(self._batch.physics, action_parameters(fibre, self.member_index), drives)

    def __len__(self) -> int:
        return len(self.member_index)

    def run(
        self,
        policy: Policy,
        steps: int,
        generators: Sequence[np.random.Generator],
        *,
        until_terminated: bool = True,
    ) -> Trajectories:
        """Play one episode in every simulation, closed loop.

        An episode whose simulation blows up is marked as diverged and ends before the bad step.

        Args:
            policy: the policy.
            steps: control steps at most.
            generators: n generators, one for each episode: its start, the noise of its sensors, its lost actions.
            until_terminated: whether an episode stops where the task ends it; otherwise it goes on.

        Raises:
            PolicyError: the policy does not fit the world, or its actions have the wrong shape, are NaN or infinite.
            WorldError: MuJoCo refused to simulate.
        """
        policy.check_fit(self.world.sensors, self.actuators, self.world.name)
        play = self.play(policy.start(len(self)), steps, generators, until_terminated=until_terminated)
        with to_logging(), on_one_thread():
            records = in_turns([play])
        robot = (self.world.sensors, self.actuators, self.control_period)
        return join_records(records, self.member_index, "", *robot)

    def play(
        self,
        policy: Policy,
        steps: int,
        generators: Sequence[np.random.Generator],
        *,
        until_terminated: bool = True,
        first: int = 0,
        room: Floats | None = None,
    ) -> Play[EpisodeRecord]:
        """Play as `run` does, but yield the physics of each control step as a function for the caller to call.

        The arguments are those of `run`, except that the policy has been started already, for the whole rollout. The
        first episode here is number `first` of the rollout. Observations are recorded in `room`, (n, steps + 1, d).
        """
        task = self.world.task
        streams = self._streams(generators)
        room = np.empty((len(self), steps + 1, len(self.world.sensors))) if room is None else room
        readings = self._start(room, generators, streams, np.arange(len(self)))
        start = self._batch.state(slice(None))
        carry = task.initial_carry(len(self), start, [stream.memory for stream in streams])
        read = readings.read(self._observe(start, carry, slice(None)), slice(None), 0)
        record = EpisodeRecord(readings.noise, int(self.model.nu), start, read)
        running = np.arange(len(self))
        for step in range(steps):
            rows = self._rows(running)
            answer = policy.act(record.observations[rows, step], first + running, step)
            action = self._checked(answer, first + running, step)
            self._commands.send(action, running, rows, step)
            yield partial(self._batch.step, running, step)
            bad = self._batch.blown_up()[rows]
            if bad.any():
                record.diverged[running[bad]] = True
                running, action = running[~bad], action[~bad]
                rows = self._rows(running)
            after = self._batch.state(rows)
            reward = self._batch.reward(record.state(rows, step), after, action, rows)
            read = readings.read(self._observe(after, carry, rows), rows, step + 1)
            record.step(rows, step, action, reward, after, read)
            ended = task.terminated(after)
            record.terminated[running[ended]] = True
            if until_terminated:
                running = running[~ended]
            if not len(running):
                break
        return record.finish()

    def _streams(self, generators: Sequence[np.random.Generator]) -> list[Streams]:
        """Return the streams of random numbers beside starts and plain Gaussian noise; [] where nothing else draws."""
        asked = self._sensing.needs_streams or self._commands.random or self.world.task.remembers
        return spawn_streams(generators) if asked else []

    def _start(
        self,
        normals: Floats,
        generators: Sequence[np.random.Generator],
        streams: Sequence[Streams],
        rows: NDArray[np.intp],
    ) -> Readings:
        """Put some simulations at their start and draw the noise, losses and delays of their episodes.

        Args:
            normals: (k, frames, d) an array that becomes the noise of the sensors.
            generators: k generators, one for each episode.
            streams: k streams; [] where nothing draws from them.
            rows: (k,) which simulations, in ascending order.
        """
        self._batch.reset(rows)
        for row, generator, episode in zip(rows, generators, normals, strict=True):
            self._batch.qpos[row], self._batch.qvel[row] = self.world.task.start(self.model, generator)
            generator.standard_normal(out=episode)
        self._batch.settle(rows)
        self._commands.start(normals.shape[1] - 1, streams, rows)
        return self._sensing.start(normals, streams, rows)

    def _observe(self, state: State, carry: Carry, rows: SimulationIndex) -> Floats:
        """Return the true observations of some simulations, and update the memory of their sensors."""
        if not self.world.task.remembers:
            return self.world.task.observe(state)
        observed, kept = self.world.task.observe_stateful(state, tuple(memory[rows] for memory in carry))
        for memory, rest in zip(carry, kept, strict=True):
            memory[rows] = rest
        return observed

    def _rows(self, running: NDArray[np.intp]) -> SimulationIndex:
        """Return the simulations that still run; a slice while all do, which numpy reads without copying."""
        return slice(None) if len(running) == len(self) else running

    def _checked(self, action: Floats, running: NDArray[np.intp], step: int) -> Floats:
        """Return the policy's answer, if it has the right shape and is finite."""
        where = f"world '{self.world.name}'"
        expected = (len(running), self.model.nu)
        if action.shape != expected:
            raise PolicyError(f"{where} expects actions of shape {expected}, the policy answered {action.shape}")
        if not np.isfinite(action).all():
            row, column = np.argwhere(~np.isfinite(action))[0]
            raise PolicyError(
                f"the policy answered {action[row, column]} for actuator '{self.actuators[column]}' in episode "
                f"{running[row]}, control step {step}, of {where}; check its weights and its observations"
            )
        return action


@dataclass(frozen=True, eq=False)
class Stepped:
    """The outcome of one control step in n simulations.

    Attributes:
        observations: (n, d) readings after the step; before it where the simulation diverged.
        rewards: (n,); 0 where the simulation diverged.
        terminated: (n,) whether the task ended the episode.
        truncated: (n,) whether the episode's time was up.
        diverged: (n,) whether the simulation blew up.
    """

    observations: Floats
    rewards: Floats
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    diverged: NDArray[np.bool_]

    @property
    def ended(self) -> NDArray[np.bool_]:
        """Episodes that ended for any reason, (n,)."""
        return self.terminated | self.truncated | self.diverged


class Stepper(Simulator):
    """A `Simulator` that its caller steps, and whose simulations are reset one by one.

    An episode started with a generator is, action for action, the one that `Simulator.run` plays with that generator.

    Args:
        world: model, task, sensors.
        fibre: the ensemble; the world as it is where none is given.
        member_index: (n,) which member each simulation is; every member once where none is given.
        steps: control steps after which an episode is truncated; the task's own number where none is given.
        threads: physics threads; 0 means one per available core.

    Raises:
        WorldError: as `Simulator`.
    """

    def __init__(
        self,
        world: World,
        fibre: Ensemble | None = None,
        member_index: NDArray[np.int64] | None = None,
        *,
        steps: int | None = None,
        threads: int = 0,
    ) -> None:
        super().__init__(world, fibre, member_index, threads)
        self.steps = world.task.steps if steps is None else steps
        self.elapsed = np.zeros(len(self), dtype=np.int64)
        self._readings: Readings | None = None
        self._carry: Carry = ()
        self._observations = np.zeros((len(self), len(world.sensors)))

    def reset(self, rows: NDArray[np.intp], generators: Sequence[np.random.Generator]) -> Floats:
        """Start an episode in some simulations (all of them the first time), and return their readings.

        Args:
            rows: (k,) which simulations, in ascending order.
            generators: k generators, one for each episode.

        Returns:
            (k, d) readings.
        """
        if not len(rows):
            return self._observations[rows]
        with to_logging():
            streams = self._streams(generators)
            room = np.empty((len(rows), self.steps + 1, len(self.world.sensors)))
            fresh = self._start(room, generators, streams, rows)
            start = self._batch.state(rows)
            carry = self.world.task.initial_carry(len(rows), start, [stream.memory for stream in streams])
            if len(rows) == len(self):
                self._readings, self._carry = fresh, carry
            else:
                self._started().begin(rows, fresh)
                for memory, part in zip(self._carry, carry, strict=True):
                    memory[rows] = part
            self.elapsed[rows] = 0
            self._read(start, rows)
        return self._observations[rows]

    def advance(self, actions: Floats) -> Stepped:
        """Do one control step in every simulation, with actions (n, nu).

        Raises:
            PolicyError: the actions have the wrong shape, or are NaN or infinite.
            WorldError: MuJoCo refused to simulate, or a simulation has not been reset before.
        """
        self._started()
        if (self.elapsed >= self.steps).any():
            row = int(np.argmax(self.elapsed >= self.steps))
            raise WorldError(f"world '{self.world.name}': the time of episode {row} is up; reset it before it goes on")
        task, everywhere = self.world.task, np.arange(len(self))
        longest = int(self.elapsed.max())
        self._checked(actions, everywhere, longest)
        with to_logging():
            before = State(self._batch.qpos.copy(), self._batch.qvel.copy())
            self._commands.send(actions, everywhere, slice(None), self.elapsed)
            self._batch.step(step=longest)
            diverged = self._batch.blown_up()
            self.elapsed += 1
            rows = np.flatnonzero(~diverged)
            rewards, terminated = np.zeros(len(self)), np.zeros(len(self), dtype=bool)
            after = self._batch.state(rows)
            start = State(before.qpos[rows], before.qvel[rows])
            rewards[rows] = self._batch.reward(start, after, actions[rows], rows)
            terminated[rows] = task.terminated(after)
            self._read(after, rows)
        truncated = (self.elapsed >= self.steps) & ~terminated & ~diverged
        return Stepped(self._observations.copy(), rewards, terminated, truncated, diverged)

    def control_bounds(self) -> tuple[Floats, Floats]:
        """Return the smallest and the largest controls, (nu,) each.

        Where an actuator has no range they are ±mjMAXVAL, beyond which MuJoCo ignores controls.
        """
        limited = np.asarray(self.model.actuator_ctrllimited, dtype=bool)
        bounds = np.where(limited[:, None], self.model.actuator_ctrlrange, [-mujoco.mjMAXVAL, mujoco.mjMAXVAL])
        return bounds[:, 0], bounds[:, 1]

    def _read(self, state: State, rows: NDArray[np.intp]) -> None:
        """Read the sensors of some simulations in their present states."""
        observed = self._observe(state, self._carry, rows)
        self._observations[rows] = self._started().read(observed, rows, self.elapsed[rows])

    def _started(self) -> Readings:
        """Return the sensors, once all simulations have been reset."""
        if self._readings is None:
            raise WorldError(f"world '{self.world.name}': reset all simulations before the first step")
        return self._readings
