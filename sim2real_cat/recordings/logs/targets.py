"""Where the channels of a mapping belong: columns of qpos and qvel, of the observation and of the action."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim2real_cat.errors import WorldError, listed, unknown_name
from sim2real_cat.model_names import actuator_names, in_brackets, joint_address, names
from sim2real_cat.recordings.logs.mapping import DERIVATIVES, Channel, LogMapping, factor

if TYPE_CHECKING:
    import mujoco

_SLICE = re.compile(r"^(\d*):(\d*)$")


@dataclass(frozen=True)
class Target:
    """Where one channel belongs.

    Attributes:
        name: the key in the mapping.
        channel: its columns, unit, sign and zero.
        factor: what ``(column - zero)`` is multiplied by.
        columns: which columns of its array it fills.
        rotations: where in `columns` the four numbers of a unit quaternion begin.
    """

    name: str
    channel: Channel
    factor: float
    columns: tuple[int, ...]
    rotations: tuple[int, ...] = ()


@dataclass(frozen=True)
class Targets:
    """All channels of a mapping, resolved in its world.

    Attributes:
        qpos: (of nq columns) empty where positions are not known.
        qvel: (of nv columns) empty where velocities are not known.
        observation: of one column per name in `sensors`.
        action: of one column per name in `actuators`.
        sensors: the observed channels, in the world's order.
        actuators: the actuators, in the model's order.
        sizes: nq and nv as recorded; 0 where not known.
    """

    qpos: tuple[Target, ...]
    qvel: tuple[Target, ...]
    observation: tuple[Target, ...]
    action: tuple[Target, ...]
    sensors: tuple[str, ...]
    actuators: tuple[str, ...]
    sizes: tuple[int, int]


def resolve(mapping: LogMapping, model: mujoco.MjModel | None) -> Targets:
    """Find every channel of a mapping in its world.

    Args:
        mapping: the mapping.
        model: the model of its world; None where it has none.

    Raises:
        WorldError: a joint, sensor or actuator that the world does not have (near names are listed), one that is
            missing or filled twice, or a unit of another dimension.
    """
    qpos, qvel = _state(mapping, model)
    sensors, observation = _observation(mapping, model)
    actuators, action = _action(mapping, model)
    sizes = (model.nq if qpos else 0, model.nv if qvel else 0) if model is not None else (0, 0)
    return Targets(qpos, qvel, observation, action, sensors, actuators, sizes)


def _state(mapping: LogMapping, model: mujoco.MjModel | None) -> tuple[tuple[Target, ...], tuple[Target, ...]]:
    if model is None:
        return (), ()
    found: dict[str, list[Target]] = {"qpos": [], "qvel": []}
    for key, channel in mapping.state.items():
        place = f"[state] '{key}'"
        quantity, parts = in_brackets(key) or (key, [])
        if quantity not in found or not 1 <= len(parts) <= 2:
            raise WorldError(f"{place}: write qpos[joint] or qvel[joint], or elements as in qpos[joint, 0:3]")
        try:
            columns = joint_address(model, parts[0], quantity)
        except WorldError as error:
            raise WorldError(f"{place}: {error}") from None
        if len(parts) == 2:
            columns = [columns[i] for i in _elements(parts[1], len(columns), place)]
        expected = _dimension(model, parts[0], quantity, columns)
        rotations = _rotations(model, columns, place) if quantity == "qpos" else ()
        found[quantity].append(Target(key, channel, _factor(channel, expected, place), tuple(columns), rotations))
    for quantity, size in (("qpos", model.nq), ("qvel", model.nv)):
        if found[quantity]:
            _complete(found[quantity], size, "[state]", _coordinates(model, quantity))
    if found["qvel"] and not found["qpos"]:
        raise WorldError("[state] has velocities without positions; map qpos of every joint, or neither")
    return tuple(found["qpos"]), tuple(found["qvel"])


def _observation(mapping: LogMapping, model: mujoco.MjModel | None) -> tuple[tuple[str, ...], tuple[Target, ...]]:
    if mapping.world is None:
        sensors = tuple(mapping.observation)
        return sensors, _named(mapping.observation, sensors, "observation", None)
    known = mapping.world.sensors
    channels = {key: channel for key, channel in mapping.state.items() if _sensors_of(key, known)}
    channels |= mapping.observation
    wanted: dict[str, tuple[str, ...]] = {}
    for key in channels:
        wanted[key] = _sensors_of(key, known)
        if not wanted[key]:
            raise WorldError("[observation]: " + unknown_name("sensor", key, known))
    mapped = {name for entry in wanted.values() for name in entry}
    sensors = tuple(name for name in known if name in mapped)
    targets = []
    for key, channel in channels.items():
        place = f"[observation] '{key}'"
        columns = tuple(sensors.index(name) for name in wanted[key])
        expected, rotations = _meaning(model, key, place)
        targets.append(Target(key, channel, _factor(channel, expected, place), columns, rotations))
    # an entry of [observation] takes its sensors away from an entry of [state]
    own = {name for key in mapping.observation for name in wanted[key]}
    targets = [t for t in targets if t.name in mapping.observation or not own.intersection(wanted[t.name])]
    _complete(targets, len(sensors), "[observation]", sensors)
    return sensors, tuple(targets)


def _action(mapping: LogMapping, model: mujoco.MjModel | None) -> tuple[tuple[str, ...], tuple[Target, ...]]:
    actuators = tuple(mapping.action) if model is None or not mapping.action else actuator_names(model)
    targets = _named(mapping.action, actuators, "action", "actuator")
    _complete(targets, len(actuators), "[action]", actuators)
    return actuators, targets


def _named(channels: Mapping[str, Channel], known: Sequence[str], table: str, kind: str | None) -> tuple[Target, ...]:
    targets = []
    for key, channel in channels.items():
        if kind is not None and key not in known:
            raise WorldError(f"[{table}]: " + unknown_name(kind, key, known))
        place = f"[{table}] '{key}'"
        targets.append(Target(key, channel, _factor(channel, None, place), (list(known).index(key),)))
    return tuple(targets)


def _sensors_of(key: str, known: Sequence[str]) -> tuple[str, ...]:
    """The sensors that a key means: one by its name, or the components ``"qpos[root] 0"``, ... of a channel."""
    if key in known:
        return (key,)
    field, comma, elements = key.rstrip("]").partition(",")
    base = f"{field.strip()}]" if comma else key
    components = [name for name in known if name.startswith(f"{base} ") and name[len(base) + 1 :].isdigit()]
    if not comma or not components:
        return tuple(components)
    return tuple(components[i] for i in _elements(elements.strip(), len(components), f"[observation] '{key}'"))


def _elements(text: str, size: int, place: str) -> list[int]:
    """Indices that ``"2"``, ``"0:3"`` or ``":"`` mean among `size`."""
    match = _SLICE.match(text)
    if match is not None:
        chosen = list(range(size))[slice(*(int(end) if end else None for end in match.groups()))]
    else:
        chosen = [int(text)] if text.isdigit() and int(text) < size else []
    if not chosen:
        raise WorldError(f"{place}: '{text}' is no element of 0..{size - 1}; write an index or a range as 0:3")
    return chosen


def _factor(channel: Channel, expected: str | None, place: str) -> float:
    if channel.derivative and expected is not None:
        integrals = [of for of, derivative in DERIVATIVES.items() if derivative == expected]
        if not integrals:
            raise WorldError(f"{place} measures {expected}, which is the derivative of nothing that is logged")
        expected = integrals[0]
    return channel.sign * channel.scale * factor(channel.unit, expected, place)


def _complete(targets: Sequence[Target], size: int, table: str, labels: Sequence[str]) -> None:
    """Refuse columns that are filled twice or not at all."""
    filled: dict[int, str] = {}
    for target in targets:
        for column in target.columns:
            if column in filled:
                raise WorldError(f"{table}: '{filled[column]}' and '{target.name}' both fill {labels[column]}")
            filled[column] = target.name
    missing = [labels[column] for column in range(size) if column not in filled]
    if missing:
        raise WorldError(f"{table} is incomplete: map {listed(missing)} too")


def _coordinates(model: mujoco.MjModel, quantity: str) -> list[str]:
    """A label for every column of qpos or qvel."""
    labels = [""] * (model.nq if quantity == "qpos" else model.nv)
    for joint in names(model, "JOINT"):
        columns = joint_address(model, joint, quantity) if joint else []
        for i, column in enumerate(columns):
            labels[column] = f"{quantity}[{joint}]" if len(columns) == 1 else f"{quantity}[{joint}, {i}]"
    return [label or f"{quantity} {i} (its joint has no name)" for i, label in enumerate(labels)]


def _rotations(model: mujoco.MjModel, columns: Sequence[int], place: str) -> tuple[int, ...]:
    """Where among some columns of qpos the unit quaternions begin; they are mapped whole, as they turn together."""
    import mujoco

    first = []
    for joint in range(model.njnt):
        kind = int(model.jnt_type[joint])
        address = int(model.jnt_qposadr[joint]) + (3 if kind == mujoco.mjtJoint.mjJNT_FREE else 0)
        if kind not in (mujoco.mjtJoint.mjJNT_FREE, mujoco.mjtJoint.mjJNT_BALL):
            continue
        inside = [column for column in columns if address <= column < address + 4]
        if len(inside) == 4:
            first.append(columns.index(address))
        elif inside:
            raise WorldError(f"{place}: a rotation is four numbers that turn together; list their columns in one entry")
    return tuple(first)


_DIMENSIONS = {"qpos": ("angle", "length", "plain number"), "qvel": ("angular velocity", "velocity", "")}


def _dimension(model: mujoco.MjModel, joint: str, quantity: str, columns: Sequence[int]) -> str | None:
    """What some coordinates of a joint measure; None where they are of several kinds."""
    import mujoco

    entry = model.joint(joint)
    kind = int(entry.type[0])
    angle, length, number = _DIMENSIONS[quantity]
    if kind == mujoco.mjtJoint.mjJNT_HINGE:
        return angle
    if kind == mujoco.mjtJoint.mjJNT_SLIDE:
        return length
    if kind == mujoco.mjtJoint.mjJNT_BALL:
        return number or angle
    first = int((entry.qposadr if quantity == "qpos" else entry.dofadr)[0])
    kinds = {length if column - first < 3 else number or angle for column in columns}
    return kinds.pop() if len(kinds) == 1 else None


def _meaning(model: mujoco.MjModel | None, key: str, place: str) -> tuple[str | None, tuple[int, ...]]:
    """What a sensor measures and which of its numbers are rotations, where it is a joint's coordinates."""
    quantity, bracket, rest = key.rstrip("]").partition("[")
    parts = [part.strip() for part in rest.split(",")]
    if model is None or not bracket or quantity not in _DIMENSIONS or parts[0] not in names(model, "JOINT"):
        return None, ()
    columns = joint_address(model, parts[0], quantity)
    if len(parts) == 2:
        columns = [columns[i] for i in _elements(parts[1], len(columns), place)]
    rotations = _rotations(model, columns, place) if quantity == "qpos" else ()
    return _dimension(model, parts[0], quantity, columns), rotations
