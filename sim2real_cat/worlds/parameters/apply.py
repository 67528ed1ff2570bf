"""Write the parameters of an ensemble into the simulations of a batch, and read those of sensors and actions."""

from __future__ import annotations

from typing import Any, NamedTuple

import mujoco
import numpy as np
from mujoco.batch import MODEL_FIELDS, Batch, SimulationError
from numpy.typing import NDArray

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import WorldError, one_line, unknown_name
from sim2real_cat.model_names import matches
from sim2real_cat.worlds.engine_log import to_logging
from sim2real_cat.worlds.parameters.fields import resolve, split, unknown_field
from sim2real_cat.worlds.parameters.physical import TOGETHER, checked_elements, checked_field, targets
from sim2real_cat.worlds.randomization.change import Mode
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.world import BUFFERS, World, check_buffers, require_model

SENSOR_FIELDS = ("observation_noise", "observation_bias", "observation_delay")
"""Parameters of the sensors rather than of the model, as in ``"observation_bias[pole angle]"``."""

ACTION_FIELDS = ("action_delay_spread", "action_jitter", "action_drop")
"""Parameters of the way from the policy to the actuators; an action is one packet, so they have no elements."""


class SensorParameters(NamedTuple):
    """Parameters of the sensors in n simulations, (n, d) each.

    Attributes:
        deviations: standard deviation of the (first) Gaussian noise, in the sensor's unit.
        biases: offsets that are added to the truth, in the sensor's unit.
        delays: times by which the task's observations arrive late [s].
    """

    deviations: Floats
    biases: Floats
    delays: Floats


class ActionParameters(NamedTuple):
    """Random delays and losses on the way to the actuators in n simulations, (n,) each.

    Attributes:
        spread: largest further delay of all actions of an episode, drawn once per episode, uniform from 0 [s].
        jitter: largest further delay of the action of one control step, drawn per step, uniform from 0 [s].
        drop: probability that an action is lost, so that the last one holds.
    """

    spread: Floats
    jitter: Floats
    drop: Floats


def compile_members(world: World, fibre: Ensemble) -> mujoco.MjModel:
    """Compile the world's model with history buffers that are long enough for the longest delays of the members.

    Raises:
        WorldError: as `World.compile`, or a delay of an actuator or sensor that the model does not have.
    """
    model = require_model(world).compile()
    random = action_parameters(fibre, np.arange(len(fibre)))
    actuators = _delays(model, fibre, "actuator_delay") + (random.spread + random.jitter)[:, None]
    sensors = _delays(model, fibre, "sensor_delay")
    if (actuators == model.actuator_delay).all() and (sensors == model.sensor_delay).all():
        return model
    return world.compile(actuators.max(axis=0), sensors.max(axis=0))


def actuator_delays(world: World, fibre: Ensemble) -> Floats:
    """Return the delay of each actuator in each member, (members, nu) [s]; its mean where it is random."""
    random = action_parameters(fibre, np.arange(len(fibre)))
    return _delays(world.compile(), fibre, "actuator_delay") + 0.5 * (random.spread + random.jitter)[:, None]


def _delays(model: mujoco.MjModel, fibre: Ensemble, field: str) -> Floats:
    """Return a field of delays in each member, (members, elements)."""
    delays = np.tile(np.asarray(getattr(model, field)), (len(fibre), 1))
    for parameter, mode, drawn in _numbers(fibre, np.arange(len(fibre))):
        if split(parameter)[0] == field:
            elements = list(resolve(model, parameter).elements)
            delays[:, elements] = _changed(delays[:, elements], mode, drawn, parameter)
    return delays


def apply_to_model(batch: Batch, model: mujoco.MjModel, fibre: Ensemble, member_index: NDArray[np.int64]) -> None:
    """Write the model's parameters into the batch and recompute the constants derived from them.

    Raises:
        WorldError: a field or element that the model does not have, or a value that makes no physical model.
    """
    changed: dict[str, NDArray[Any]] = {}
    written: list[tuple[str, str, set[int]]] = []
    for parameter, mode, drawn in _numbers(fibre, member_index):
        field = split(parameter)[0]
        if field in SENSOR_FIELDS + ACTION_FIELDS:
            continue
        if field not in (*MODEL_FIELDS, *TOGETHER):
            raise WorldError(unknown_field(field, MODEL_FIELDS.union(SENSOR_FIELDS, ACTION_FIELDS)))
        for target in targets(model, parameter, mode):
            values = changed.setdefault(target.name, batch.expand(target.name))
            elements = list(target.elements)
            for earlier, name, others in written:
                if mode == "set" and name == target.name and others <= set(elements):
                    raise WorldError(f"'{parameter}' sets all that '{earlier}' changes before it; keep one of them")
            written.append((parameter, target.name, set(elements)))
            flat = values.reshape(len(member_index), -1).copy()
            with np.errstate(over="ignore"):  # infinite numbers are refused by name
                new = _changed(flat[:, elements], mode, drawn, parameter)
            flat[:, elements] = checked_elements(model, parameter, mode, target, new)
            values[...] = flat.reshape(values.shape)
    for name, values in changed.items():
        values[...] = checked_field(model, name, values)
    for field in BUFFERS:
        delays = batch.expanded(field)
        if delays is not None:
            check_buffers(model, field, delays)
    try:
        batch.set_const()
    except SimulationError as error:
        raise WorldError(f"the drawn parameters give no physical model: {one_line(error)}") from None


def sensor_parameters(world: World, fibre: Ensemble, member_index: NDArray[np.int64]) -> SensorParameters:
    """Return the parameters of the sensors in every simulation.

    Raises:
        WorldError: a sensor that the world does not have, or a negative deviation or delay.
    """
    shape = (len(member_index), len(world.sensors))
    found = SensorParameters(np.tile(world.deviations(), (shape[0], 1)), np.zeros(shape), np.zeros(shape))
    by_field = dict(zip(SENSOR_FIELDS, found, strict=True))
    for parameter, mode, drawn in _numbers(fibre, member_index):
        field, parts = split(parameter)
        if field not in SENSOR_FIELDS:
            continue
        sensor = ", ".join(parts)
        chosen = [i for i, name in enumerate(world.sensors) if sensor in ("", ":") or matches(name, sensor)]
        if not chosen:
            raise WorldError(f"'{parameter}': " + unknown_name("sensor", sensor, world.sensors))
        values = by_field[field]
        values[:, chosen] = _changed(values[:, chosen], mode, drawn, parameter)
    for kind, values in (("noise", found.deviations), ("delay", found.delays)):
        if (values < 0).any():
            name = world.sensors[int(np.argwhere(values < 0)[0, 1])]
            raise WorldError(f"the {kind} of sensor '{name}' would be {values.min():g}; it cannot be negative")
    return found


def action_parameters(fibre: Ensemble, member_index: NDArray[np.int64]) -> ActionParameters:
    """Return the random delays and losses on the way to the actuators in every simulation.

    Raises:
        WorldError: a negative time, a probability above 1, or elements, though an action goes as a whole.
    """
    by_field = {field: np.zeros((len(member_index), 1)) for field in ACTION_FIELDS}
    for parameter, mode, drawn in _numbers(fibre, member_index):
        field, parts = split(parameter)
        if field not in ACTION_FIELDS:
            continue
        if parts not in ([], [":"]):
            raise WorldError(f"'{parameter}': an action goes to all actuators at once; write '{field}'")
        by_field[field] = np.array(_changed(by_field[field], mode, drawn, parameter))
    for field, values in by_field.items():
        if (values < 0).any():
            raise WorldError(f"'{field}' would be {values.min():g}; it cannot be negative")
    if (by_field["action_drop"] > 1).any():
        raise WorldError(f"'action_drop' would be {by_field['action_drop'].max():g}; a probability is at most 1")
    return ActionParameters(*(values[:, 0] for values in by_field.values()))


def check_parameters(world: World, fibre: Ensemble) -> None:
    """Refuse parameters that the world does not have, without simulating.

    Raises:
        WorldError: as `apply_to_model`, `sensor_parameters` and `action_parameters`.
    """
    member_index = np.arange(len(fibre))
    model = compile_members(world, fibre)
    with to_logging():
        apply_to_model(Batch(model, len(fibre), nthread=1), model, fibre, member_index)
    sensor_parameters(world, fibre, member_index)


def _numbers(fibre: Ensemble, member_index: NDArray[np.int64]) -> list[tuple[str, Mode, Floats]]:
    """Return each parameter with its mode and the number drawn for every simulation, (n, 1).

    Raises:
        WorldError: a simulation of a member that does not exist.
    """
    if member_index.max(initial=-1) >= len(fibre):
        raise WorldError(f"there is no member {member_index.max()}: the ensemble has {len(fibre)}, counted from 0")
    drawn = fibre.values[member_index]
    rows = zip(fibre.parameters, fibre.modes, strict=True)
    return [(parameter, mode, drawn[:, [i]]) for i, (parameter, mode) in enumerate(rows)]


def _changed(values: Floats, mode: Mode, drawn: Floats, parameter: str) -> Floats:
    """Return the values after a change.

    Raises:
        WorldError: all of them are 0, which no scaling changes.
    """
    if mode == "scale":
        if values.size and not values.any():
            raise WorldError(f"'{parameter}' is 0 without the change, and scaling 0 changes nothing; set or shift it")
        return values * drawn
    return values + drawn if mode == "shift" else np.broadcast_to(drawn, values.shape)
