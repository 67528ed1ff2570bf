"""Observations with a memory: a reading depends on earlier states.

The memory, the *carry*, is passed in and handed back: ``(state, carry) -> (observation, carry)``, as in ksim's
``StatefulObservation``. Here every array has the simulations as its first axis.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import WorldError, listed, unknown_name
from sim2real_cat.model_names import joint_address, names
from sim2real_cat.worlds.tasks.task import Carry, State, Task
from sim2real_cat.worlds.world import World, require_model

if TYPE_CHECKING:
    import mujoco


class StatefulObservation(ABC):
    """A sensor with a memory.

    Attributes:
        derived: MjData fields, besides qpos and qvel, that it reads. Where the task itself reads some and is not
            `fresh`, they are as the last substep found them; otherwise they are those of the new state.
    """

    derived: tuple[str, ...] = ()

    def bind(self, model: mujoco.MjModel) -> Self:
        """Return the observation fitted to a model; itself where it needs nothing of the model.

        Raises:
            WorldError: it names something that the model does not have.
        """
        return self

    @property
    @abstractmethod
    def sensors(self) -> tuple[str, ...]:
        """Names of the k channels, known once it is bound."""

    @abstractmethod
    def initial_carry(self, n: int, state: State, generators: Sequence[np.random.Generator]) -> Floats:
        """Return the memory at the start of n episodes, before the first observation, (n, ...).

        Args:
            n: episodes.
            state: where they start.
            generators: n generators, one for the random part of each episode's sensor.
        """

    @abstractmethod
    def observe_stateful(self, state: State, carry: Floats) -> tuple[Floats, Floats]:
        """Return the observations (m, k) in the present states of m episodes, and the new memory (m, ...).

        Called once for the start and once after every control step; must not write into `carry`.
        """


@dataclass(frozen=True)
class DelayedJointPositionObservation(StatefulObservation):
    """Positions of joints some control steps ago; before the start those at the start.

    The memory holds the last `delay_steps` positions, newest first: a ring buffer, as ksim's observation of the
    same name.

    Attributes:
        delay_steps: control steps by which the positions are late; 0 for no delay.
        joints: names of the joints, in order; where empty, all hinges and slides of the model.
        columns: their columns in qpos, found by `bind`.
    """

    delay_steps: int
    joints: tuple[str, ...] = ()
    columns: tuple[int, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if self.delay_steps < 0:
            raise WorldError(f"DelayedJointPositionObservation needs delay_steps >= 0, got {self.delay_steps}")

    def bind(self, model: mujoco.MjModel) -> Self:
        joints = self.joints or tuple(
            name or str(i) for i, name in enumerate(names(model, "JOINT")) if _scalar(model, i)
        )
        columns = []
        for joint in joints:
            address = joint_address(model, joint, "qpos")
            if len(address) != 1:
                raise WorldError(f"joint '{joint}' has {len(address)} coordinates; only hinges and slides have one")
            columns += address
        return replace(self, joints=joints, columns=tuple(columns))

    @property
    def sensors(self) -> tuple[str, ...]:
        return tuple(f"delayed qpos[{joint}]" for joint in self.joints)

    def initial_carry(self, n: int, state: State, generators: Sequence[np.random.Generator]) -> Floats:
        return np.repeat(state.qpos[:, None, list(self.columns)], self.delay_steps, axis=1)

    def observe_stateful(self, state: State, carry: Floats) -> tuple[Floats, Floats]:
        present = state.qpos[:, None, list(self.columns)]
        buffer = np.concatenate([present, carry], axis=1)
        return buffer[:, -1], buffer[:, :-1]


class StatefulTask(Task):
    """A task with sensors that have a memory, besides the task's own or instead of them; the rest is the task's.

    Args:
        task: starts, rewards and ends of episodes, and its own observations.
        observations: the sensors with a memory, bound to the task's model.
        keep: names of the task's own sensors that stay.

    Raises:
        WorldError: a sensor to keep that the task does not have, two sensors of one name, or none at all.
    """

    remembers = True

    def __init__(self, task: Task, observations: Sequence[StatefulObservation], keep: Sequence[str]) -> None:
        for name in keep:
            if name not in task.sensors:
                raise WorldError(unknown_name("sensor", name, task.sensors))
        self.inner = task
        self.observations = tuple(observations)
        self.sensors = (*keep, *(name for observation in observations for name in observation.sensors))
        if not self.sensors or len(set(self.sensors)) < len(self.sensors):
            raise WorldError(f"a task needs sensors, each with a name of its own, got {listed(self.sensors)}")
        self.name, self.steps = task.name, task.steps
        also = [name for observation in observations for name in observation.derived]
        self.fresh = task.fresh or bool(also and not task.derived)
        self.derived = tuple(dict.fromkeys([*task.derived, *also]))
        self._kept = [task.sensors.index(name) for name in keep]

    def start(self, model: mujoco.MjModel, rng: np.random.Generator) -> tuple[Floats, Floats]:
        return self.inner.start(model, rng)

    def initial_carry(self, n: int, state: State, generators: Sequence[np.random.Generator]) -> Carry:
        carries = self.inner.initial_carry(n, state, generators)
        own = tuple(np.array(part.initial_carry(n, state, generators)) for part in self.observations)
        for observation, carry in zip(self.observations, own, strict=True):
            if carry.shape[:1] != (n,):
                raise WorldError(f"{_called(observation)}: the carry of {n} episodes has the shape {carry.shape}")
        return (*carries, *own)

    def observe_stateful(self, state: State, carry: Carry) -> tuple[Floats, Carry]:
        first = len(carry) - len(self.observations)
        seen, kept = self.inner.observe_stateful(state, carry[:first])
        columns, memory = [seen[:, self._kept]], list(kept)
        for observation, part in zip(self.observations, carry[first:], strict=True):
            values, after = observation.observe_stateful(state, part)
            if values.shape != (len(state.qpos), len(observation.sensors)) or after.shape != part.shape:
                raise WorldError(
                    f"{_called(observation)}: of {len(state.qpos)} states it makes readings of shape {values.shape} "
                    f"for {len(observation.sensors)} sensors, and of the carry {part.shape} one of shape {after.shape}"
                )
            if not np.can_cast(after.dtype, part.dtype, "same_kind"):
                raise WorldError(
                    f"{_called(observation)}: its carry starts as {part.dtype} and goes on as {after.dtype}, which "
                    "would be cut; start it with the latter"
                )
            columns.append(values)
            memory.append(after)
        return np.concatenate(columns, axis=1), tuple(memory)

    def observe(self, state: State) -> Floats:
        raise WorldError(
            f"what is observed in task '{self.name}' depends on more than the state: "
            f"{listed(_called(part) for part in self.observations)}; ask `observe_stateful` with a carry"
        )

    def reward(self, before: State, after: State, action: Floats, seconds: float) -> Floats:
        return self.inner.reward(before, after, action, seconds)

    def terminated(self, state: State) -> NDArray[np.bool_]:
        return self.inner.terminated(state)


def with_observations(
    world: World, observations: Sequence[StatefulObservation], keep: Sequence[str] | None = None
) -> World:
    """Return a world with sensors that have a memory, besides its own or instead of them.

    Args:
        world: the world.
        observations: the sensors with a memory, which come after the world's own.
        keep: names of the world's own sensors that stay; all of them where it is not given.

    Raises:
        WorldError: an observation names something that the model does not have, or a sensor is not there, or twice.
    """
    model = require_model(world).compile()
    try:
        bound = [observation.bind(model) for observation in observations]
        task = StatefulTask(world.task, bound, world.sensors if keep is None else keep)
    except WorldError as error:
        raise WorldError(f"world '{world.name}': {error}") from None
    noise = {sensor: noise for sensor, noise in world.noise.items() if sensor == "*" or sensor in task.sensors}
    return replace(world, task=task, noise=noise)


def _scalar(model: mujoco.MjModel, joint: int) -> bool:
    """Return whether a joint is a hinge or a slide."""
    import mujoco

    return int(model.jnt_type[joint]) in (int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE))


def _called(observation: StatefulObservation) -> str:
    return type(observation).__name__
