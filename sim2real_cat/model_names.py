"""Names of the objects of a MuJoCo model, and the addresses of the coordinates of its joints."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sim2real_cat.errors import WorldError, unknown_name

if TYPE_CHECKING:
    import mujoco

JointKind = Literal["free", "ball", "slide", "hinge"]

_JOINT_KINDS: tuple[JointKind, ...] = ("free", "ball", "slide", "hinge")
"""Kinds of joints in the order of ``mujoco.mjtJoint``."""

_WIDTHS: dict[JointKind, tuple[int, int]] = {"free": (7, 6), "ball": (4, 3), "slide": (1, 1), "hinge": (1, 1)}
"""Coordinates in ``qpos`` and in ``qvel`` of a joint of each kind."""

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
"""Fields of the model that count the objects of each kind."""

_BRACKETS = re.compile(r"^(?P<field>[A-Za-z_][\w.]*)(?:\[(?P<elements>.*)\])?$")


def names(model: mujoco.MjModel, kind: str) -> list[str]:
    """Return the names of all objects of a kind (``"BODY"``, ``"JOINT"``, ...), '' for unnamed ones."""
    import mujoco

    object_type = getattr(mujoco.mjtObj, f"mjOBJ_{kind}")
    return [mujoco.mj_id2name(model, object_type, i) or "" for i in range(getattr(model, _COUNTS[kind]))]


def actuator_names(model: mujoco.MjModel) -> tuple[str, ...]:
    """Return the names of a model's nu actuators, ``"actuator 0"`` and so on for unnamed ones."""
    return tuple(name or f"actuator {i}" for i, name in enumerate(names(model, "ACTUATOR")))


@dataclass(frozen=True)
class Joint:
    """A joint of a model.

    Attributes:
        name: its name, '' where it has none.
        kind: its kind.
        qpos: where its coordinates stand in ``qpos``.
        qvel: where its velocities stand in ``qvel``.
    """

    name: str
    kind: JointKind
    qpos: tuple[int, ...]
    qvel: tuple[int, ...]

    @property
    def quaternion(self) -> tuple[int, ...]:
        """Addresses of its unit quaternion in ``qpos``; () for joints without one."""
        return self.qpos[-4:] if self.kind in ("free", "ball") else ()


def joints(model: mujoco.MjModel) -> list[Joint]:
    """Return the joints of a model, in its order."""
    found = []
    for joint, name in enumerate(names(model, "JOINT")):
        kind = _JOINT_KINDS[int(model.jnt_type[joint])]
        positions, velocities = _WIDTHS[kind]
        qpos, qvel = int(model.jnt_qposadr[joint]), int(model.jnt_dofadr[joint])
        found.append(Joint(name, kind, tuple(range(qpos, qpos + positions)), tuple(range(qvel, qvel + velocities))))
    return found


def joint_named(model: mujoco.MjModel, name: str) -> Joint:
    """Return the joint of that name.

    Raises:
        WorldError: the model has none.
    """
    known = {joint.name: joint for joint in joints(model) if joint.name}
    if name not in known:
        raise WorldError(unknown_name("joint", name, known))
    return known[name]


def joint_address(model: mujoco.MjModel, joint: str, quantity: str) -> list[int]:
    """Return the addresses of a joint's coordinates in ``qpos`` or ``qvel``.

    Raises:
        WorldError: the model has no joint of that name, or joints have no such quantity.
    """
    found = joint_named(model, joint)
    if quantity not in ("qpos", "qvel"):
        raise WorldError(f"joints have qpos, qvel, not '{quantity}'")
    return list(found.qpos if quantity == "qpos" else found.qvel)


def in_brackets(text: str) -> tuple[str, list[str]] | None:
    """Split ``"field[a, b]"`` into the field and the parts in its brackets; None for a text of another form."""
    match = _BRACKETS.match(text.strip())
    if match is None:
        return None
    elements = match["elements"]
    return match["field"], [] if elements is None else [part.strip() for part in elements.split(",")]


def matches(name: str, pattern: str) -> bool:
    """Return whether a name fits a pattern of ``*`` and ``?``; brackets are taken literally."""
    return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))
