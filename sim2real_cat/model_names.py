"""Names of the objects of a MuJoCo model, and where the coordinates of its joints lie."""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING

from sim2real_cat.errors import WorldError, listed, unknown_name

if TYPE_CHECKING:
    import mujoco

_COUNTS = {
    "BODY": "nbody",
    "GEOM": "ngeom",
    "JOINT": "njnt",
    "ACTUATOR": "nu",
    "SITE": "nsite",
    "TENDON": "ntendon",
    "SENSOR": "nsensor",
    "CAMERA": "ncam",
    "LIGHT": "nlight",
    "MATERIAL": "nmat",
    "PAIR": "npair",
    "EXCLUDE": "nexclude",
    "EQUALITY": "neq",
    "FLEX": "nflex",
    "KEY": "nkey",
}

_BRACKETS = re.compile(r"^(?P<field>[A-Za-z_][\w.]*)(?:\[(?P<elements>.*)\])?$")


def names(model: mujoco.MjModel, kind: str) -> list[str]:
    """Names of all objects of a kind (``"BODY"``, ``"JOINT"``, ...), '' for unnamed ones."""
    import mujoco

    object_type = getattr(mujoco.mjtObj, f"mjOBJ_{kind}")
    return [mujoco.mj_id2name(model, object_type, i) or "" for i in range(getattr(model, _COUNTS[kind]))]


def actuator_names(model: mujoco.MjModel) -> tuple[str, ...]:
    """Names of a model's nu actuators, ``"actuator 0"`` and so on for unnamed ones."""
    return tuple(name or f"actuator {i}" for i, name in enumerate(names(model, "ACTUATOR")))


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


def in_brackets(text: str) -> tuple[str, list[str]] | None:
    """Split ``"field[a, b]"`` into the field and the parts in its brackets; None for a text of another form."""
    match = _BRACKETS.match(text.strip())
    if match is None:
        return None
    elements = match["elements"]
    return match["field"], [] if elements is None else [part.strip() for part in elements.split(",")]


def matches(name: str, pattern: str) -> bool:
    """Whether a name is meant by a pattern of ``*`` and ``?``; brackets are taken literally."""
    return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))
