"""Names for the numbers of a model: ``"body_mass[torso]"``, ``"geom_friction[foot*, 0]"``, ``"opt.gravity[2]"``.

A *parameter* is a field of the MuJoCo model and, in brackets, the elements meant: a name, a name
pattern, an index or ``:``, then after a comma the column. Without brackets every element is meant.
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sim2real_cat.errors import WorldError, listed, unknown_name

if TYPE_CHECKING:
    import mujoco

_PARAMETER = re.compile(r"^(?P<field>[A-Za-z_][\w.]*)(?:\[(?P<elements>.*)\])?$")

OBJECT_OF_PREFIX = {
    "body": "BODY",
    "geom": "GEOM",
    "jnt": "JOINT",
    "dof": "JOINT",
    "actuator": "ACTUATOR",
    "site": "SITE",
    "tendon": "TENDON",
    "sensor": "SENSOR",
}
"""Which MuJoCo objects the rows of a field are, by the prefix of the field's name."""


@dataclass(frozen=True)
class Field:
    """Elements of a model field: its `name` and the flat indices of its elements that are meant."""

    name: str
    elements: tuple[int, ...]


def split(parameter: str) -> tuple[str, list[str]]:
    """The field of a parameter and the comma-separated parts in its brackets."""
    match = _PARAMETER.match(parameter.strip())
    if match is None:
        raise WorldError(f"'{parameter}' is no parameter: write a field and elements, as in 'body_mass[torso]'")
    elements = match["elements"]
    return match["field"], [] if elements is None else [part.strip() for part in elements.split(",")]


def names(model: mujoco.MjModel, kind: str) -> list[str]:
    """Names of all objects of a kind (``"BODY"``, ``"JOINT"``, ...), '' for unnamed ones."""
    import mujoco

    object_type = getattr(mujoco.mjtObj, f"mjOBJ_{kind}")
    count = {"BODY": model.nbody, "GEOM": model.ngeom, "JOINT": model.njnt, "ACTUATOR": model.nu}
    count |= {"SITE": model.nsite, "TENDON": model.ntendon, "SENSOR": model.nsensor}
    return [mujoco.mj_id2name(model, object_type, i) or "" for i in range(count[kind])]


def values(model: mujoco.MjModel, field: str) -> np.ndarray:
    """The values of a model field by its name; fields of the options are ``opt.<name>``."""
    from mujoco.batch import MODEL_FIELDS

    if field not in MODEL_FIELDS:
        raise WorldError(unknown_field(field, MODEL_FIELDS))
    owner = model.opt if field.startswith("opt.") else model
    return np.asarray(getattr(owner, field.removeprefix("opt.")))


def unknown_field(field: str, valid: frozenset[str]) -> str:
    """The message for a field that a model does not have: the list of all is long, so name its relatives."""
    prefix = field.split("_")[0]
    related = sorted(name for name in valid if name.startswith(f"{prefix}_")) or ["body_mass", "geom_friction"]
    return unknown_name("model field", field, related)


def resolve(model: mujoco.MjModel, parameter: str) -> Field:
    """The elements of the model that a parameter names.

    Raises:
        WorldError: no such field, element or column in this model, a pattern that matches nothing, or a field
            of whole numbers.
    """
    field, parts = split(parameter)
    shape = values(model, field).shape
    if len(parts) > max(len(shape), 1):
        raise WorldError(f"'{parameter}': {field} has {len(shape)} axes, the brackets name {len(parts)}")
    if not np.issubdtype(values(model, field).dtype, np.floating):
        raise WorldError(f"'{parameter}': {field} holds whole numbers or flags, not a quantity that can vary")
    shape = shape or (1,)
    selected = [_select(model, parameter, field, axis, part, shape[axis]) for axis, part in enumerate(parts)]
    selected += [list(range(size)) for size in shape[len(parts) :]]
    grid = np.ix_(*selected)
    return Field(field, tuple(int(i) for i in np.ravel_multi_index(grid, shape).ravel()))


def _select(model: mujoco.MjModel, parameter: str, field: str, axis: int, part: str, size: int) -> list[int]:
    """Indices along one axis that one part of the brackets means."""
    if part in (":", ""):
        return list(range(size))
    if part.lstrip("-").isdigit():
        index = int(part)
        if not 0 <= index < size:
            raise WorldError(f"'{parameter}': index {index} is outside 0..{size - 1} of axis {axis} of {field}")
        return [index]
    prefix = field.split("_")[0]
    if axis > 0 or prefix not in OBJECT_OF_PREFIX:
        raise WorldError(f"'{parameter}': axis {axis} of {field} has no names, write an index 0..{size - 1} or ':'")
    known = names(model, OBJECT_OF_PREFIX[prefix])
    found = [i for i, name in enumerate(known) if name and matches(name, part)]
    if not found:
        kind = OBJECT_OF_PREFIX[prefix].lower()
        raise WorldError(f"'{parameter}': " + unknown_name(kind, part, [name for name in known if name]))
    if prefix == "dof":
        return [dof for dof in range(size) if int(model.dof_jntid[dof]) in found]
    return found


def matches(name: str, pattern: str) -> bool:
    """Whether a name is meant by a pattern of ``*`` and ``?``; brackets are taken literally."""
    return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))


def joint_address(model: mujoco.MjModel, joint: str, quantity: str) -> list[int]:
    """Addresses of a joint's coordinates in ``qpos`` or ``qvel``.

    Raises:
        WorldError: the model has no joint of that name.
    """
    known = names(model, "JOINT")
    if joint not in known:
        raise WorldError(unknown_name("joint", joint, [name for name in known if name]))
    entry = model.joint(joint)
    if quantity == "qpos":
        return list(range(int(entry.qposadr[0]), int(entry.qposadr[0]) + len(entry.qpos0)))
    if quantity == "qvel":
        return [dof for dof in range(model.nv) if int(model.dof_jntid[dof]) == int(entry.id)]
    raise WorldError(f"joints have {listed(['qpos', 'qvel'])}, not '{quantity}'")
