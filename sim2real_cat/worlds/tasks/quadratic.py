"""Tasks that need no code: named channels, a quadratic cost and healthy ranges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import WorldError, listed
from sim2real_cat.model_names import joint_address, names
from sim2real_cat.worlds.parameters.fields import split
from sim2real_cat.worlds.tasks.task import State, Task

if TYPE_CHECKING:
    import mujoco

READ_BY_CHANNELS = ("qpos", "qvel", "sensordata")
"""The quantities that a channel can read: a joint's position or velocity, or a sensor of the model."""


@dataclass(frozen=True)
class QuadraticTask:
    """A task described by names of the model's joints and sensors, to be bound to a model.

    Channels are written ``"qpos[joint]"``, ``"qvel[joint]"`` or ``"sensordata[sensor]"``. The reward of a
    control step is ``alive + Σ forward·value - Σ cost·(value - target)² - action_cost·|action|²`` at the new
    state, and an episode ends when a channel leaves its healthy range.

    Attributes:
        observe: the observed channels, in order.
        steps: control steps of an episode.
        alive: reward for every step.
        forward: weight of a channel's value.
        cost: weight of a channel's squared distance from its target.
        target: the value a channel should have; 0 where none is given.
        action_cost: weight of the squared action.
        healthy: range (low, high) of a channel outside which the episode ends.
        start_noise: half-width of the uniform noise on the model's reference state.
    """

    observe: Sequence[str]
    steps: int = 1000
    alive: float = 0.0
    forward: Mapping[str, float] = field(default_factory=dict)
    cost: Mapping[str, float] = field(default_factory=dict)
    target: Mapping[str, float] = field(default_factory=dict)
    action_cost: float = 0.0
    healthy: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    start_noise: float = 0.01

    def bind(self, model: mujoco.MjModel) -> Task:
        """Return the task on a model.

        Raises:
            WorldError: a channel names a joint or sensor that the model does not have, nothing is observed, or a
                number is out of its range.
        """
        if self.steps < 1 or not 0 <= self.start_noise < np.inf:
            raise WorldError(f"the task needs steps >= 1 and start_noise >= 0, got {self.steps} and {self.start_noise}")
        for channel, (low, high) in self.healthy.items():
            if not low < high:
                raise WorldError(f"the healthy range of '{channel}' needs low < high, got [{low}, {high}]")
        if isinstance(self.observe, str):
            raise WorldError(f"observe is a list of channels, not the text {self.observe!r}: write [{self.observe!r}]")
        if not self.observe:
            raise WorldError("the task observes nothing: list channels such as 'qpos[hinge]' under observe")
        return _BoundQuadraticTask(self, model)


class _Channel:
    """One channel: the quantity that it reads, and the columns in it."""

    def __init__(self, model: mujoco.MjModel, text: str) -> None:
        quantity, parts = split(text)
        if quantity not in READ_BY_CHANNELS or len(parts) != 1:
            raise WorldError(f"channel '{text}': write one of {listed(f'{name}[...]' for name in READ_BY_CHANNELS)}")
        self.quantity = quantity
        if quantity == "sensordata":
            known = names(model, "SENSOR")
            if parts[0] not in known:
                raise WorldError(f"channel '{text}': the model has no sensor '{parts[0]}'; it has {listed(known)}")
            entry = model.sensor(parts[0])
            self.columns = list(range(int(entry.adr[0]), int(entry.adr[0]) + int(entry.dim[0])))
        else:
            try:
                self.columns = joint_address(model, parts[0], quantity)
            except WorldError as error:
                raise WorldError(f"channel '{text}': {error}") from None
        self.sensors = [text] if len(self.columns) == 1 else [f"{text} {i}" for i in range(len(self.columns))]

    def read(self, state: State) -> Floats:
        source = {"qpos": state.qpos, "qvel": state.qvel}.get(self.quantity)
        return np.asarray((state.derived["sensordata"] if source is None else source)[:, self.columns])


class _BoundQuadraticTask(Task):
    """A `QuadraticTask` whose channels are found in one model."""

    name = "QuadraticTask"

    def __init__(self, spec: QuadraticTask, model: mujoco.MjModel) -> None:
        self.spec = spec
        self.steps = spec.steps
        self._observed = [_Channel(model, text) for text in spec.observe]
        self.sensors = tuple(name for channel in self._observed for name in channel.sensors)
        self._forward = [(_Channel(model, text), weight) for text, weight in spec.forward.items()]
        self._cost = [(_Channel(model, text), weight, spec.target.get(text, 0.0)) for text, weight in spec.cost.items()]
        self._healthy = [(_Channel(model, text), low, high) for text, (low, high) in spec.healthy.items()]
        read = [*spec.observe, *spec.forward, *spec.cost, *spec.healthy]
        # computing the sensors at the new state costs about half a physics step: only where one is read
        self.fresh = any(split(channel)[0] == "sensordata" for channel in read)
        self.derived = ("sensordata",) if self.fresh else ()
        for text in spec.target:
            if text not in spec.cost:
                raise WorldError(f"target '{text}' has no cost: give it a weight under cost")

    def start(self, model: mujoco.MjModel, rng: np.random.Generator) -> tuple[Floats, Floats]:
        scale = self.spec.start_noise
        return model.qpos0 + rng.uniform(-scale, scale, model.nq), rng.uniform(-scale, scale, model.nv)

    def observe(self, state: State) -> Floats:
        return np.concatenate([channel.read(state) for channel in self._observed], axis=1)

    def reward(self, before: State, after: State, action: Floats, seconds: float) -> Floats:
        total = self.spec.alive - self.spec.action_cost * np.square(action).sum(axis=1)
        for channel, weight in self._forward:
            total = total + weight * channel.read(after).sum(axis=1)
        for channel, weight, target in self._cost:
            total = total - weight * np.square(channel.read(after) - target).sum(axis=1)
        return np.asarray(total)

    def terminated(self, state: State) -> NDArray[np.bool_]:
        ended = np.zeros(len(state.qpos), dtype=bool)
        for channel, low, high in self._healthy:
            values = channel.read(state)
            ended |= ((values < low) | (values > high)).any(axis=1)
        return ended
