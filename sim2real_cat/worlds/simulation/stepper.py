"""A batch of simulations that somebody else steps: where an episode ends, the next one starts in its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.engine_log import to_logging
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.sensors.sensing import Readings
from sim2real_cat.worlds.simulation.simulator import Simulator
from sim2real_cat.worlds.tasks.task import Carry, State
from sim2real_cat.worlds.world import World


@dataclass(frozen=True, eq=False)
class Stepped:
    """What one control step did in n simulations.

    Attributes:
        observations: (n, d) what the sensors read after it; before it, where the simulation diverged.
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
        """(n,) episodes that ended for any reason."""
        return self.terminated | self.truncated | self.diverged


class Stepper(Simulator):
    """A `Simulator` stepped from outside, whose simulations are reset one by one.

    An episode started with a generator is, action for action, the one that `Simulator.run` plays with it.

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
        """Start an episode in some simulations, all of them the first time, and return what their sensors read.

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
        """One control step in every simulation, with actions (n, nu).

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
            rewards[rows] = task.reward(start, after, actions[rows], self.control_period)
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
        """What the sensors of some simulations read in their present states."""
        observed = self._observe(state, self._carry, rows)
        self._observations[rows] = self._started().read(observed, rows, self.elapsed[rows])

    def _started(self) -> Readings:
        """The sensors, once all simulations have been reset."""
        if self._readings is None:
            raise WorldError(f"world '{self.world.name}': reset all simulations before the first step")
        return self._readings
