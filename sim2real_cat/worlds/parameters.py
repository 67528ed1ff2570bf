"""Give every simulation of a batch the parameters of its member of the ensemble."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
from mujoco.batch import Batch, SimulationError
from numpy.typing import NDArray

from sim2real_cat.errors import WorldError, unknown_name
from sim2real_cat.worlds.engine_log import to_logging
from sim2real_cat.worlds.fields import matches, resolve, split
from sim2real_cat.worlds.physical import admissible, settled, targets
from sim2real_cat.worlds.randomization import Ensemble, Mode
from sim2real_cat.worlds.task import Array
from sim2real_cat.worlds.world import World

SENSOR_FIELDS = ("observation_noise", "observation_bias")
"""Parameters of the sensors rather than of the model, as in ``"observation_bias[pole angle]"``."""


def compile_members(world: World, members: Ensemble) -> mujoco.MjModel:
    """The world's model, with history buffers long enough for the longest actuator delay among the members.

    Raises:
        WorldError: as `World.compile`, or a delay of an actuator that the model does not have.
    """
    model = world.compile()
    delays = _delays(model, members)
    unchanged = (delays == model.actuator_delay).all()
    return model if unchanged else world.compile(delay=float(delays.max()))


def actuator_delays(world: World, members: Ensemble) -> Array:
    """How late each actuator acts in each member, (members, nu) [s]."""
    return _delays(world.compile(), members)


def _delays(model: mujoco.MjModel, members: Ensemble) -> Array:
    delays = np.tile(np.asarray(model.actuator_delay), (len(members), 1))
    for parameter, mode, drawn in _columns(members, np.arange(len(members))):
        if split(parameter)[0] == "actuator_delay":
            elements = list(resolve(model, parameter).elements)
            delays[:, elements] = _changed(delays[:, elements], mode, drawn)
    return delays


def apply_to_model(batch: Batch, model: mujoco.MjModel, members: Ensemble, member_index: NDArray[np.int64]) -> None:
    """Write the model's parameters into the batch and recompute the constants derived from them.

    Raises:
        WorldError: a field or element that the model does not have, or a value that makes no physics.
    """
    changed: dict[str, NDArray[Any]] = {}
    for parameter, mode, drawn in _columns(members, member_index):
        if split(parameter)[0] in SENSOR_FIELDS:
            continue
        for target in targets(model, parameter, mode):
            values = changed.setdefault(target.name, batch.expand(target.name))
            elements = list(target.elements)
            flat = values.reshape(len(member_index), -1).copy()
            with np.errstate(over="ignore"):  # what becomes infinite is refused by name
                new = _changed(flat[:, elements], mode, drawn)
            flat[:, elements] = admissible(model, parameter, mode, target, new)
            values[...] = flat.reshape(values.shape)
    for name, values in changed.items():
        values[...] = settled(model, name, values)
    try:
        batch.set_const()
    except SimulationError as error:
        raise WorldError(f"the drawn parameters give no physical model: {' '.join(str(error).split())}") from None


def sensor_noise(world: World, members: Ensemble, member_index: NDArray[np.int64]) -> tuple[Array, Array]:
    """Standard deviation and bias of every sensor in every simulation, (n, d) each, in the sensors' units.

    Raises:
        WorldError: a sensor that the world does not have, or a negative standard deviation.
    """
    deviations = np.tile(world.deviations(), (len(member_index), 1))
    biases = np.zeros_like(deviations)
    for parameter, mode, drawn in _columns(members, member_index):
        field, parts = split(parameter)
        if field not in SENSOR_FIELDS:
            continue
        sensor = ", ".join(parts)
        chosen = [i for i, name in enumerate(world.sensors) if sensor in ("", ":") or matches(name, sensor)]
        if not chosen:
            raise WorldError(f"'{parameter}': " + unknown_name("sensor", sensor, world.sensors))
        target = deviations if field == "observation_noise" else biases
        target[:, chosen] = _changed(target[:, chosen], mode, drawn)
    if (deviations < 0).any():
        name = world.sensors[int(np.argwhere(deviations < 0)[0, 1])]
        raise WorldError(f"the noise of sensor '{name}' would be {deviations.min():g}; it cannot be negative")
    return deviations, biases


def check_parameters(world: World, members: Ensemble) -> None:
    """Refuse parameters that the world does not have, without simulating.

    Raises:
        WorldError: as `apply_to_model` and `sensor_noise`.
    """
    member_index = np.arange(len(members))
    model = compile_members(world, members)
    with to_logging():
        apply_to_model(Batch(model, len(members), nthread=1), model, members, member_index)
    sensor_noise(world, members, member_index)


def _columns(members: Ensemble, member_index: NDArray[np.int64]) -> list[tuple[str, Mode, Array]]:
    """Each parameter with its mode and the number of every simulation, (n, 1)."""
    drawn = members.values[member_index]
    rows = zip(members.parameters, members.modes, strict=True)
    return [(parameter, mode, drawn[:, [i]]) for i, (parameter, mode) in enumerate(rows)]


def _changed(values: Array, mode: Mode, drawn: Array) -> Array:
    if mode == "scale":
        return values * drawn
    return values + drawn if mode == "shift" else np.broadcast_to(drawn, values.shape)
