"""Targets of the channels of a mapping: columns of qpos and qvel, of the observation and of the action."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim2real_cat.errors import WorldError, listed, unknown_name
from sim2real_cat.model_names import Joint, actuator_names, in_brackets, joint_named, joints, names
from sim2real_cat.recordings.logs.mapping import DERIVATIVES, Channel, LogMapping, unit_factor

if TYPE_CHECKING:
    import mujoco

_SLICE = re.compile(r"^(\d*):(\d*)$")

_MEASURED = {
    "qpos": {"hinge": "angle", "slide": "length", "ball": "plain number"},
    "qvel": {"hinge": "angular velocity", "slide": "velocity", "ball": "angular velocity"},
}
"""The quantity that a coordinate of each kind of joint measures; a free joint is three slides and a ball."""


@dataclass(frozen=True)
class Target:
    """The place of one channel.

    Attributes:
        name: the key in the mapping.
        channel: its columns, unit, sign and zero.
        factor: the factor of ``(column - zero)``.
        columns: the columns of its array that it fills.
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
        qpos: targets among nq columns; empty where positions are not known.
        qvel: targets among nv columns; empty where velocities are not known.
        observation: targets among one column for each of `sensors`.
        action: targets among one column for each of `actuators`.
        sensors: the observed channels, in the world's order.
        actuators: the actuators, in the model's order.
        sizes: nq and nv of what was recorded; 0 where that is not known.
    """

    qpos: tuple[Target, ...]
    qvel: tuple[Target, ...]
    observation: tuple[Target, ...]
    action: tuple[Target, ...]
    sensors: tuple[str, ...]
    actuators: tuple[str, ...]
    sizes: tuple[int, int]


def find_targets(mapping: LogMapping, model: mujoco.MjModel | None) -> Targets:
    """Find every channel of a mapping in its world.

    Args:
        mapping: the mapping.
        model: the model of its world; None where it has none.

    Raises:
        WorldError: a joint, sensor or actuator that the world does not have (the message lists near names), one that
            is missing or mapped twice, or a unit of another quantity.
    """
    qpos, qvel = _state(mapping, model)
    sensors, observation = _observation(mapping, model)
    actuators, action = _action(mapping, model)
    sizes = (model.nq if qpos else 0, model.nv if qvel else 0) if model is not None else (0, 0)
    return Targets(qpos, qvel, observation, action, sensors, actuators, sizes)


def _state(mapping: LogMapping, model: mujoco.MjModel | None) -> tuple[tuple[Target, ...], tuple[Target, ...]]:
    """Return the targets in qpos and those in qvel."""
    if model is None:
        return (), ()
    found: dict[str, list[Target]] = {"qpos": [], "qvel": []}
    for key, channel in mapping.state.items():
        place = f"[state] '{key}'"
        quantity, parts = in_brackets(key) or (key, [])
        if quantity not in found or not 1 <= len(parts) <= 2:
            raise WorldError(f"{place}: write qpos[joint] or qvel[joint], or elements as in qpos[joint, 0:3]")
        try:
            joint = joint_named(model, parts[0])
        except WorldError as error:
            raise WorldError(f"{place}: {error}") from None
        columns, expected, rotations = _coordinates(joint, quantity, parts[1:], place)
        found[quantity].append(Target(key, channel, _factor(channel, expected, place), columns, rotations))
    for quantity, targets in found.items():
        if targets:
            _check_complete(targets, "[state]", _labels(model, quantity))
    if found["qvel"] and not found["qpos"]:
        raise WorldError("[state] has velocities without positions; map qpos of every joint, or neither")
    return tuple(found["qpos"]), tuple(found["qvel"])


def _observation(mapping: LogMapping, model: mujoco.MjModel | None) -> tuple[tuple[str, ...], tuple[Target, ...]]:
    """Return the observed sensors, in the world's order, and their targets."""
    if mapping.world is None:
        sensors = tuple(mapping.observation)
        return sensors, _by_name(mapping.observation, sensors, "observation", "sensor")
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
        expected, rotations = _measured(model, key, place)
        targets.append(Target(key, channel, _factor(channel, expected, place), columns, rotations))
    # an entry of [observation] takes its sensors away from an entry of [state]
    own = {name for key in mapping.observation for name in wanted[key]}
    targets = [t for t in targets if t.name in mapping.observation or not own.intersection(wanted[t.name])]
    _check_complete(targets, "[observation]", sensors)
    return sensors, tuple(targets)


def _action(mapping: LogMapping, model: mujoco.MjModel | None) -> tuple[tuple[str, ...], tuple[Target, ...]]:
    """Return the actuators, in the model's order, and their targets."""
    actuators = tuple(mapping.action) if model is None or not mapping.action else actuator_names(model)
    targets = _by_name(mapping.action, actuators, "action", "actuator")
    _check_complete(targets, "[action]", actuators)
    return actuators, targets


def _by_name(channels: Mapping[str, Channel], known: Sequence[str], table: str, kind: str) -> tuple[Target, ...]:
    """Return a target for each channel that is named as one of the known columns."""
    targets = []
    for key, channel in channels.items():
        if key not in known:
            raise WorldError(f"[{table}]: " + unknown_name(kind, key, known))
        place = f"[{table}] '{key}'"
        targets.append(Target(key, channel, _factor(channel, None, place), (list(known).index(key),)))
    return tuple(targets)


def _sensors_of(key: str, known: Sequence[str]) -> tuple[str, ...]:
    """Return the sensors of a key: one by its name, or the components ``"qpos[root] 0"``, ... of a channel."""
    if key in known:
        return (key,)
    field, comma, elements = key.rstrip("]").partition(",")
    base = f"{field.strip()}]" if comma else key
    components = [name for name in known if name.startswith(f"{base} ") and name[len(base) + 1 :].isdigit()]
    if not comma or not components:
        return tuple(components)
    return tuple(components[i] for i in _elements(elements.strip(), len(components), f"[observation] '{key}'"))


def _measured(model: mujoco.MjModel | None, key: str, place: str) -> tuple[str | None, tuple[int, ...]]:
    """Return the quantity that a sensor measures and its rotations, where it is a joint's coordinates."""
    quantity, parts = in_brackets(key) or ("", [])
    if model is None or quantity not in _MEASURED or not parts or parts[0] not in names(model, "JOINT"):
        return None, ()
    _, expected, rotations = _coordinates(joint_named(model, parts[0]), quantity, parts[1:2], place)
    return expected, rotations


def _coordinates(
    joint: Joint, quantity: str, elements: Sequence[str], place: str
) -> tuple[tuple[int, ...], str | None, tuple[int, ...]]:
    """Find some coordinates of a joint.

    Args:
        joint: the joint.
        quantity: ``"qpos"`` or ``"qvel"``.
        elements: the chosen elements, ``"2"`` or ``"0:3"``; all where the list is empty.
        place: the channel, for messages.

    Returns:
        Their columns; the quantity that they measure, None where they are of several kinds; and the index among them at
        which a unit quaternion begins, which is mapped whole, as its four numbers turn together.
    """
    whole = joint.qpos if quantity == "qpos" else joint.qvel
    columns = [whole[i] for text in elements for i in _elements(text, len(whole), place)] if elements else list(whole)
    if joint.kind == "free":
        kinds = {_MEASURED[quantity]["slide" if column in whole[:3] else "ball"] for column in columns}
    else:
        kinds = {_MEASURED[quantity][joint.kind]}
    measured = kinds.pop() if len(kinds) == 1 else None
    turning = [column for column in columns if quantity == "qpos" and column in joint.quaternion]
    if turning and len(turning) != 4:
        raise WorldError(f"{place}: a rotation is four numbers that turn together; list their columns in one entry")
    return tuple(columns), measured, (columns.index(joint.quaternion[0]),) if turning else ()


def _elements(text: str, size: int, place: str) -> list[int]:
    """Return the indices that ``"2"``, ``"0:3"`` or ``":"`` mean among `size`."""
    match = _SLICE.match(text)
    if match is not None:
        chosen = list(range(size))[slice(*(int(end) if end else None for end in match.groups()))]
    else:
        chosen = [int(text)] if text.isdigit() and int(text) < size else []
    if not chosen:
        raise WorldError(f"{place}: '{text}' is no element of 0..{size - 1}; write an index or a range as 0:3")
    return chosen


def _factor(channel: Channel, expected: str | None, place: str) -> float:
    """Return the number that turns ``column - zero`` into the unit that MuJoCo counts in."""
    if channel.derivative and expected is not None:
        integrals = [of for of, derivative in DERIVATIVES.items() if derivative == expected]
        if not integrals:
            raise WorldError(f"{place} measures {expected}, which is the derivative of nothing that is logged")
        expected = integrals[0]
    return channel.sign * channel.scale * unit_factor(channel.unit, expected, place)


def _check_complete(targets: Sequence[Target], table: str, labels: Sequence[str]) -> None:
    """Refuse columns that are filled twice or not at all; `labels` has the name of each."""
    filled: dict[int, str] = {}
    for target in targets:
        for column in target.columns:
            if column in filled:
                raise WorldError(f"{table}: '{filled[column]}' and '{target.name}' both fill {labels[column]}")
            filled[column] = target.name
    missing = [label for column, label in enumerate(labels) if column not in filled]
    if missing:
        raise WorldError(f"{table} is incomplete: map {listed(missing)} too")


def _labels(model: mujoco.MjModel, quantity: str) -> list[str]:
    """Return a label for every column of qpos or qvel."""
    labels = []
    for joint in joints(model):
        columns = joint.qpos if quantity == "qpos" else joint.qvel
        for i, column in enumerate(columns):
            if not joint.name:
                labels.append(f"{quantity} {column} (its joint has no name)")
            else:
                labels.append(f"{quantity}[{joint.name}]" if len(columns) == 1 else f"{quantity}[{joint.name}, {i}]")
    return labels
