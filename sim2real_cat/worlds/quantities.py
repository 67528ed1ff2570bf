"""Parameters in words: ``"joint damping of leg_*"`` for ``"dof_damping[leg_*]"``.

The form is ``<object> <quantity> of <pattern>``; without a pattern every element is meant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from sim2real_cat.errors import WorldError, unknown_name

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
    "sensor": {"noise": ("observation_noise", None), "bias": ("observation_bias", None)},
}
"""The fields, and the column of each, that the quantities of an object are."""

_WORDS = re.compile(r"^(?P<object>[a-z]+) (?P<rest>[a-z].*)$")


def in_words(parameter: str) -> tuple[str, list[str]] | None:
    """The field and the parts of the brackets that a parameter in words means; None where it is not in words.

    Raises:
        WorldError: an object that has no quantities, or a quantity that the object does not have.
    """
    match = _WORDS.match(parameter)
    if match is None:
        return None
    kind, rest = match["object"], match["rest"]
    if kind not in QUANTITIES:
        raise WorldError(f"'{parameter}': " + unknown_name("object", kind, QUANTITIES))
    # the longest first, as "centre of mass of trunk" is no "centre" of something
    for quantity in sorted(QUANTITIES[kind], key=len, reverse=True):
        if rest == quantity or (rest.startswith(f"{quantity} of ") and rest.removeprefix(f"{quantity} of ").strip()):
            pattern = rest.removeprefix(quantity).removeprefix(" of ") or ":"
            field, column = QUANTITIES[kind][quantity]
            return field, [pattern] if column is None else [pattern, str(column)]
    named = rest.partition(" of ")[0]
    raise WorldError(f"'{parameter}': " + unknown_name(f"quantity of a {kind}", named, QUANTITIES[kind]))
