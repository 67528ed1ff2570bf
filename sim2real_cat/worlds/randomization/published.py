"""Randomizations that others published; each fits the models that have the parts it varies.

The figures and names are theirs, the code is not. Sources: Google DeepMind's MuJoCo Playground,
``mujoco_playground/_src/locomotion/go1/randomize.py``, for the quadruped Unitree Go1, as copied in two forks on GitHub
(yursds at commit 87a4bf9, PupperRecoilProject at 0f02e39); and K-Scale Labs' ksim, ``ksim/randomization.py`` at commit
a56be9c, the default ranges of its randomizers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sim2real_cat.errors import WorldError, listed, unknown_name
from sim2real_cat.model_names import names
from sim2real_cat.worlds.parameters.fields import element_name, field_values
from sim2real_cat.worlds.randomization.change import Change
from sim2real_cat.worlds.randomization.randomization import Randomization

if TYPE_CHECKING:
    import mujoco

KSIM = (
    "static_friction",
    "armature",
    "all_bodies_mass_multiplication",
    "joint_damping",
    "joint_zero_position",
    "floor_friction",
    "mass_multiplication",
    "mass_addition",
)
"""ksim's randomizers, by the names of their classes; the last two are for one body, `floor_friction` for a geom."""


def playground_go1(model: mujoco.MjModel, floor: str = "floor") -> Randomization:
    """Return the randomization of MuJoCo Playground for the Unitree Go1, ready to be drawn from.

    Friction of the floor set to U(0.4, 1.0); friction loss of every joint times U(0.9, 1.1); armature of every joint
    times U(1.0, 1.05); centre of mass of the trunk plus U(-0.05, 0.05) m along each axis; mass of every link times
    U(0.9, 1.1); mass of the trunk plus U(-1, 1) kg; zero position of every joint plus U(-0.05, 0.05) rad. The trunk
    is the body with the free joint.

    Args:
        model: a model of the Go1, or another with a floor, a floating trunk and joints with armature and friction loss.
        floor: the name of the geom that is the floor.

    Raises:
        WorldError: the model lacks some of these parts; the message lists them.
    """
    trunk = _floating_body(model)
    _require_parts(
        "Playground's ranges for the Go1",
        model,
        {
            f"a geom '{floor}'": floor in names(model, "GEOM"),
            "a body with a free joint": trunk is not None,
            "a hinge or slide joint": bool(_zero_positions(model)),
            "friction loss in a joint": bool((model.dof_frictionloss > 0).any()),
            "armature in a joint": bool((model.dof_armature > 0).any()),
        },
    )
    changes = {f"geom_friction[{floor}, 0]": Change("set", 0.4, 1.0)}
    changes |= _scaled(model, "dof_frictionloss", 0.9, 1.1)
    changes |= _scaled(model, "dof_armature", 1.0, 1.05)
    changes |= {f"body_ipos[{trunk}, {axis}]": Change("shift", -0.05, 0.05) for axis in range(3)}
    changes |= _scaled(model, "body_mass", 0.9, 1.1)
    changes[f"body mass of {trunk}"] = Change("shift", -1.0, 1.0)
    changes |= {name: Change("shift", -0.05, 0.05) for name in _zero_positions(model)}
    return Randomization(changes)


def ksim_randomizers(
    model: mujoco.MjModel, randomizers: Sequence[str] = KSIM[:5], *, body: str | None = None, floor: str = "floor"
) -> Randomization:
    """Return the randomization of ksim's randomizers at their defaults, ready to be drawn from.

    ``static_friction``: friction loss of every joint times U(0.5, 2.0). ``armature``: of every joint times
    U(0.95, 1.05). ``all_bodies_mass_multiplication``: mass of every body times U(0.98, 1.02). ``joint_damping``: of
    every joint times U(0.9, 1.1). ``joint_zero_position``: of every joint plus U(-0.01, 0.01) rad.
    ``floor_friction``: sliding friction of the floor set to U(0.4, 1.0). ``mass_multiplication``: mass of one body
    times U(0.95, 1.05). ``mass_addition``: mass of one body plus U(-1, 1) kg.

    Args:
        model: the model.
        randomizers: which of `KSIM`; those that need neither a body nor a floor where none are given.
        body: the body of ``mass_multiplication`` and ``mass_addition``.
        floor: the geom of ``floor_friction``.

    Raises:
        WorldError: no such randomizer, or a model without the parts that one varies; the message lists which.
    """
    for name in randomizers:
        if name not in KSIM:
            raise WorldError(unknown_name("randomizer of ksim", name, KSIM))
    one_body = "mass_multiplication" in randomizers or "mass_addition" in randomizers
    parts = {
        "friction loss in a joint": "static_friction" not in randomizers or bool((model.dof_frictionloss > 0).any()),
        "armature in a joint": "armature" not in randomizers or bool((model.dof_armature > 0).any()),
        "damping in a joint": "joint_damping" not in randomizers or bool((model.dof_damping > 0).any()),
        "a hinge or slide joint": "joint_zero_position" not in randomizers or bool(_zero_positions(model)),
        f"a geom '{floor}'": "floor_friction" not in randomizers or floor in names(model, "GEOM"),
        f"a body '{body}'": not one_body or body in names(model, "BODY"),
    }
    _require_parts("ksim's randomizers", model, parts)
    made = {
        "static_friction": lambda: _scaled(model, "dof_frictionloss", 0.5, 2.0),
        "armature": lambda: _scaled(model, "dof_armature", 0.95, 1.05),
        "all_bodies_mass_multiplication": lambda: _scaled(model, "body_mass", 0.98, 1.02),
        "joint_damping": lambda: _scaled(model, "dof_damping", 0.9, 1.1),
        "joint_zero_position": lambda: {name: Change("shift", -0.01, 0.01) for name in _zero_positions(model)},
        "floor_friction": lambda: {f"geom_friction[{floor}, 0]": Change("set", 0.4, 1.0)},
        "mass_multiplication": lambda: {f"body mass of {body}": Change("scale", 0.95, 1.05)},
        # by its index, as `mass_multiplication` uses the parameter with its name
        "mass_addition": lambda: {f"body_mass[{names(model, 'BODY').index(str(body))}]": Change("shift", -1.0, 1.0)},
    }
    changes: dict[str, Change] = {}
    for name in KSIM:
        if name in randomizers:
            changes |= made[name]()
    return Randomization(changes)


def _scaled(model: mujoco.MjModel, field: str, low: float, high: float) -> dict[str, Change]:
    """Return a change for every element of a field that is not 0; each draws its own factor."""
    found = field_values(model, field)
    return {element_name(model, field, i): Change("scale", low, high) for i in range(len(found)) if found[i] != 0}


def _zero_positions(model: mujoco.MjModel) -> list[str]:
    """Return the parameters of the zero positions of all hinge and slide joints."""
    joints = [joint for joint in range(model.njnt) if model.jnt_type[joint] >= 2]
    return [element_name(model, "qpos0", int(model.jnt_qposadr[joint])) for joint in joints]


def _floating_body(model: mujoco.MjModel) -> str | None:
    """Return the name of the first body with a free joint, its index where it has no name; None without such a body."""
    for joint in range(model.njnt):
        if model.jnt_type[joint] == 0:
            body = int(model.jnt_bodyid[joint])
            return names(model, "BODY")[body] or str(body)
    return None


def _require_parts(ranges: str, model: mujoco.MjModel, parts: dict[str, bool]) -> None:
    """Refuse a model that lacks some parts, which are keys with false as value."""
    missing = [part for part, there in parts.items() if not there]
    if missing:
        raise WorldError(f"{ranges} do not fit the model '{_model_name(model)}', which lacks {listed(missing)}")


def _model_name(model: mujoco.MjModel) -> str:
    """Return the name that the model's file gives it."""
    return bytes(model.names).split(b"\0", 1)[0].decode(errors="replace")
