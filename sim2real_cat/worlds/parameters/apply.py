"""Write the parameters of an ensemble into the simulations of a batch."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
from mujoco.batch import MODEL_FIELDS, Batch, SimulationError
from numpy.typing import NDArray

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import WorldError, one_line
from sim2real_cat.model_names import actuator_names
from sim2real_cat.worlds.engine_log import to_logging
from sim2real_cat.worlds.parameters.channels import (
    CHANNEL_FIELDS,
    action_parameters,
    changed,
    command_parameters,
    control_substeps,
    drawn_numbers,
    sensor_parameters,
)
from sim2real_cat.worlds.parameters.fields import field_values, resolve, split, unknown_field
from sim2real_cat.worlds.parameters.friction import JOINT_FIELDS, friction_parameters
from sim2real_cat.worlds.parameters.physical import TOGETHER, checked_elements, checked_field, targets
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.world import BUFFERS, World, check_buffers, require_model


def compile_members(world: World, fibre: Ensemble, kept: mujoco.MjModel | None = None) -> mujoco.MjModel:
    """Compile the world's model with history buffers that are long enough for the longest delays of the members.

    Args:
        world: the world.
        fibre: the members.
        kept: the model that was compiled for other members; it is returned if its buffers are long enough.

    Raises:
        WorldError: as `World.compile`, or a delay of an actuator or sensor that the model does not have.
    """
    model = require_model(world).compile() if kept is None else kept
    random = action_parameters(fibre, np.arange(len(fibre)))
    actuators = _delays(model, fibre, "actuator_delay") + (random.spread + random.jitter)[:, None]
    sensors = _delays(model, fibre, "sensor_delay")
    if (actuators == model.actuator_delay).all() and (sensors == model.sensor_delay).all():
        return model
    if kept is not None and _has_room(kept, actuators, sensors):
        return kept
    return world.compile(actuators.max(axis=0), sensors.max(axis=0))


def _has_room(model: mujoco.MjModel, actuators: Floats, sensors: Floats) -> bool:
    """Tell if the history buffers of a model hold delays of its actuators and sensors."""
    try:
        check_buffers(model, "actuator_delay", actuators)
        check_buffers(model, "sensor_delay", sensors)
    except WorldError:
        return False
    return True


def actuator_delays(world: World, fibre: Ensemble) -> Floats:
    """Return the delay of each actuator in each member, (members, nu) [s]; its mean where it is random."""
    random = action_parameters(fibre, np.arange(len(fibre)))
    return _delays(world.compile(), fibre, "actuator_delay") + 0.5 * (random.spread + random.jitter)[:, None]


def _delays(model: mujoco.MjModel, fibre: Ensemble, field: str) -> Floats:
    """Return a field of delays in each member, (members, elements)."""
    delays = np.tile(np.asarray(getattr(model, field)), (len(fibre), 1))
    for parameter, mode, drawn in drawn_numbers(fibre, np.arange(len(fibre))):
        if split(parameter)[0] == field:
            elements = list(resolve(model, parameter).elements)
            delays[:, elements] = changed(delays[:, elements], mode, drawn, parameter)
    return delays


def apply_to_model(batch: Batch, model: mujoco.MjModel, fibre: Ensemble, member_index: NDArray[np.int64]) -> None:
    """Write the model's parameters into the batch and recompute the constants derived from them.

    What an earlier ensemble with the same parameters wrote there is written over: every change starts from the model.

    Raises:
        WorldError: a field or element that the model does not have, or a value that makes no physical model.
    """
    fields: dict[str, NDArray[Any]] = {}
    written: list[tuple[str, str, set[int]]] = []
    for parameter, mode, drawn in drawn_numbers(fibre, member_index):
        field = split(parameter)[0]
        if field in CHANNEL_FIELDS | JOINT_FIELDS:
            continue
        if field not in (*MODEL_FIELDS, *TOGETHER):
            raise WorldError(unknown_field(field, MODEL_FIELDS.union(CHANNEL_FIELDS, JOINT_FIELDS)))
        for target in targets(model, parameter, mode):
            if target.name not in fields:
                fields[target.name] = batch.expand(target.name)
                fields[target.name][...] = field_values(model, target.name)
            values = fields[target.name]
            elements = list(target.elements)
            for earlier, name, others in written:
                if mode == "set" and name == target.name and others <= set(elements):
                    raise WorldError(f"'{parameter}' sets all that '{earlier}' changes before it; keep one of them")
            written.append((parameter, target.name, set(elements)))
            flat = values.reshape(len(member_index), -1).copy()
            with np.errstate(over="ignore"):  # infinite numbers are refused by name
                new = changed(flat[:, elements], mode, drawn, parameter)
            flat[:, elements] = checked_elements(model, parameter, mode, target, new)
            values[...] = flat.reshape(values.shape)
    for name, values in fields.items():
        values[...] = checked_field(model, name, values)
    for field in BUFFERS:
        delays = batch.expanded(field)
        if delays is not None:
            check_buffers(model, field, delays)
    try:
        batch.set_const()
    except SimulationError as error:
        raise WorldError(f"the drawn parameters give no physical model: {one_line(error)}") from None


def check_parameters(world: World, fibre: Ensemble) -> None:
    """Refuse parameters that the world does not have, without simulating.

    Raises:
        WorldError: as `apply_to_model` and the readers of `channels` and `friction`.
    """
    member_index = np.arange(len(fibre))
    model = compile_members(world, fibre)
    with to_logging():
        apply_to_model(Batch(model, len(fibre), nthread=1), model, fibre, member_index)
    sensor_parameters(world, fibre, member_index)
    command_parameters(actuator_names(model), fibre, member_index)
    control_substeps(world, model, fibre, member_index)
    friction_parameters(model, fibre, member_index)
