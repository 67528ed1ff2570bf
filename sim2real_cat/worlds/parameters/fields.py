"""Names for the numbers of a model: ``"body_mass[torso]"``, ``"geom_friction[foot*, 0]"``, ``"opt.gravity[2]"``.

A *parameter* is a field of the MuJoCo model and, in brackets, some of its elements: a name, a name pattern, an index or
``:``, then after a comma the column. Without brackets it stands for every element. It can also be written in words,
``<object> <quantity> of <pattern>``: ``"joint damping of leg_*"`` for ``"dof_damping[leg_*]"``; without a pattern it
stands for every element.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sim2real_cat.errors import WorldError, unknown_name
from sim2real_cat.model_names import in_brackets, joints, matches, names

if TYPE_CHECKING:
    import mujoco

OBJECT_OF_PREFIX = {
    "body": "BODY",
    "geom": "GEOM",
    "jnt": "JOINT",
    "dof": "JOINT",
    "qpos0": "JOINT",
    "qpos": "JOINT",
    "actuator": "ACTUATOR",
    "site": "SITE",
    "tendon": "TENDON",
    "sensor": "SENSOR",
    "cam": "CAMERA",
    "light": "LIGHT",
    "mat": "MATERIAL",
    "pair": "PAIR",
    "exclude": "EXCLUDE",
    "eq": "EQUALITY",
    "flex": "FLEX",
    "key": "KEY",
}
"""The kind of MuJoCo objects that the rows of a field belong to, by the prefix of the field's name."""

_PARTS_OF_FLEXES = re.compile(
    r"flex_(matid|(node|vert)(0|bodyid|cell)?|edge(flap)?|elem\w*(?<!adr)(?<!num)|shell"
    r"|stiffness|bending|texcoord)"
)
"""Fields whose rows are vertices, edges or elements of flexes rather than flexes."""


@dataclass(frozen=True)
class FieldElements:
    """Some elements of a model field.

    Attributes:
        name: the field.
        elements: flat indices of the elements.
    """

    name: str
    elements: tuple[int, ...]


def split(parameter: str) -> tuple[str, list[str]]:
    """Split a parameter into its field and the comma-separated parts in its brackets.

    Raises:
        WorldError: it is neither a field with elements nor a quantity of objects in words.
    """
    words = _in_words(parameter.strip())
    if words is not None:
        return words
    taken = in_brackets(parameter)
    if taken is None:
        raise WorldError(f"'{parameter}' is no parameter: write a field and elements, as in 'body_mass[torso]'")
    return taken


def field_values(model: mujoco.MjModel, field: str) -> np.ndarray:
    """Return the values of a model field by its name; fields of the options are ``opt.<name>``."""
    from mujoco.batch import MODEL_FIELDS

    if field not in MODEL_FIELDS:
        raise WorldError(unknown_field(field, MODEL_FIELDS))
    owner = model.opt if field.startswith("opt.") else model
    return np.asarray(getattr(owner, field.removeprefix("opt.")))


def unknown_field(field: str, valid: frozenset[str]) -> str:
    """Return the message for a field that a model does not have; it lists the fields of the same kind only."""
    prefix = field.split("_")[0]
    related = sorted(name for name in valid if name.startswith(f"{prefix}_")) or ["body_mass", "geom_friction"]
    return unknown_name("model field", field, related)


def resolve(model: mujoco.MjModel, parameter: str) -> FieldElements:
    """Find the elements of the model that a parameter names.

    Raises:
        WorldError: no such field, element or column in this model, or a pattern that matches nothing.
    """
    return resolve_parts(model, parameter, *split(parameter))


def resolve_parts(model: mujoco.MjModel, parameter: str, field: str, parts: list[str]) -> FieldElements:
    """Find the elements as `resolve` does, from a split parameter; `parameter` itself is for the messages."""
    shape = field_values(model, field).shape
    if len(parts) > max(len(shape), 1):
        raise WorldError(f"'{parameter}': {field} has {len(shape)} axes, the brackets name {len(parts)}")
    shape = shape or (1,)
    named = bool(parts) and _has_names(field) and parts[0] not in (":", "") and not _is_index(parts[0])
    if 0 in shape and not named:  # a wrong name is refused below, with the names that there are
        raise WorldError(f"'{parameter}': the model has nothing that has a {field}")
    selected = [_select(model, parameter, field, axis, part, shape[axis]) for axis, part in enumerate(parts)]
    selected += [list(range(size)) for size in shape[len(parts) :]]
    grid = np.ix_(*selected)
    return FieldElements(field, tuple(int(i) for i in np.ravel_multi_index(grid, shape).ravel()))


def element_name(model: mujoco.MjModel, field: str, element: int) -> str:
    """Return the parameter of one element of a field, with the name of its row where that is unique."""
    shape = field_values(model, field).shape
    if not shape:
        return field
    row, *columns = (str(int(i)) for i in np.unravel_index(element, shape))
    name = _row_names(model, field)[int(row)]
    for first in (name, row) if name else (row,):
        parameter = f"{field}[{', '.join([first, *columns])}]"
        try:
            if resolve(model, parameter).elements == (element,):
                return parameter
        except WorldError:  # a name with a comma, say
            continue
    raise WorldError(f"{field} has no element {element}")


def _row_names(model: mujoco.MjModel, field: str) -> list[str]:
    """Return the name of each row of a field, '' where it has none."""
    rows = field_values(model, field).shape[0]
    prefix = field.split("_")[0]
    if not _has_names(field):
        return [""] * rows
    known = names(model, OBJECT_OF_PREFIX[prefix])
    owners = _joint_of_rows(model, prefix, rows)
    return known if owners is None else [known[joint] for joint in owners]


def _has_names(field: str) -> bool:
    """Return whether the rows of a field are objects, which have names."""
    return field.split("_")[0] in OBJECT_OF_PREFIX and not _PARTS_OF_FLEXES.fullmatch(field)


def _joint_of_rows(model: mujoco.MjModel, prefix: str, rows: int) -> list[int] | None:
    """Return the joint that each row of a field of coordinates belongs to; None for the other fields."""
    if prefix == "dof":
        return [int(joint) for joint in model.dof_jntid[:rows]]
    if prefix in ("qpos0", "qpos"):
        return [i for i, joint in enumerate(joints(model)) for _ in joint.qpos]
    return None


def _select(model: mujoco.MjModel, parameter: str, field: str, axis: int, part: str, size: int) -> list[int]:
    """Return the indices along one axis that one part of the brackets selects."""
    if part in (":", ""):
        return list(range(size))
    if _is_index(part):
        index = int(part)
        if not 0 <= index < size:
            raise WorldError(f"'{parameter}': index {index} is outside 0..{size - 1} of axis {axis} of {field}")
        return [index]
    if axis > 0 or not _has_names(field):
        raise WorldError(f"'{parameter}': axis {axis} of {field} has no names, write an index 0..{size - 1} or ':'")
    known = _row_names(model, field)
    found = [row for row, name in enumerate(known) if name and matches(name, part)]
    if not found:
        kind = OBJECT_OF_PREFIX[field.split("_")[0]].lower()
        raise WorldError(f"'{parameter}': " + unknown_name(kind, part, dict.fromkeys(name for name in known if name)))
    return found


def _is_index(part: str) -> bool:
    return part.lstrip("-").isdigit()


QUANTITIES: Mapping[str, Mapping[str, tuple[str, int | None]]] = {
    "joint": {
        "damping": ("dof_damping", None),
        "armature": ("dof_armature", None),
        "friction loss": ("dof_frictionloss", None),
        "static friction": ("dof_frictionloss", None),
        "stiffness": ("jnt_stiffness", None),
        "zero position": ("qpos0", None),
        "spring position": ("qpos_spring", None),
        "lower limit": ("jnt_range", 0),
        "upper limit": ("jnt_range", 1),
    },
    "body": {
        "mass": ("body_mass", None),
        "inertia": ("body_inertia", None),
        "mass and inertia": ("body_inertial", None),
        "centre of mass": ("body_ipos", None),
        "position": ("body_pos", None),
        "gravity compensation": ("body_gravcomp", None),
    },
    "geom": {
        "friction": ("geom_friction", None),
        "sliding friction": ("geom_friction", 0),
        "torsional friction": ("geom_friction", 1),
        "rolling friction": ("geom_friction", 2),
        "size": ("geom_size", None),
        "position": ("geom_pos", None),
        "margin": ("geom_margin", None),
    },
    "actuator": {
        "gain": ("actuator_gainprm", 0),
        "position gain": ("actuator_kp", None),
        "gear": ("actuator_gear", 0),
        "armature": ("actuator_armature", None),
        "damping": ("actuator_damping", None),
        "delay": ("actuator_delay", None),
    },
    "tendon": {
        "stiffness": ("tendon_stiffness", None),
        "damping": ("tendon_damping", None),
        "armature": ("tendon_armature", None),
        "friction loss": ("tendon_frictionloss", None),
    },
    "site": {"position": ("site_pos", None)},
    "sensor": {
        "noise": ("observation_noise", None),
        "bias": ("observation_bias", None),
        "gain": ("observation_gain", None),
    },
}
"""The field, and the column in it, of every quantity of an object."""

_WORDS = re.compile(r"^(?P<object>[a-z]+) (?P<rest>[a-z].*)$")


def _in_words(parameter: str) -> tuple[str, list[str]] | None:
    """Return the field and the bracketed parts of a parameter in words; None where it is not in words.

    Raises:
        WorldError: an object that has no quantities, or a quantity that the object does not have.
    """
    match = _WORDS.match(parameter)
    if match is None:
        return None
    kind, rest = match["object"], match["rest"]
    if kind not in QUANTITIES:
        raise WorldError(f"'{parameter}': " + unknown_name("object", kind, QUANTITIES))
    # the longest first, as a quantity may itself contain "of": "centre of mass of trunk"
    for quantity in sorted(QUANTITIES[kind], key=len, reverse=True):
        if rest == quantity or (rest.startswith(f"{quantity} of ") and rest.removeprefix(f"{quantity} of ").strip()):
            pattern = rest.removeprefix(quantity).removeprefix(" of ") or ":"
            field, column = QUANTITIES[kind][quantity]
            return field, [pattern] if column is None else [pattern, str(column)]
    named = rest.partition(" of ")[0]
    raise WorldError(f"'{parameter}': " + unknown_name(f"quantity of a {kind}", named, QUANTITIES[kind]))
