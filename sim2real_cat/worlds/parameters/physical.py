"""Rules for changes of a model: the fields that may change, and the values that make a physical model.

Source of the rules: MuJoCo's manual, "Programming: mjModel changes", and the table
``MJSETCONST_ARRAYS`` of its header ``mjxmacro.h``.
"""

from __future__ import annotations

import re
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import WorldError, listed
from sim2real_cat.worlds.parameters.fields import FieldElements, element_name, field_values, resolve_parts, split
from sim2real_cat.worlds.randomization.change import Mode

TOGETHER = {
    "body_inertial": (("body_mass", None), ("body_inertia", None)),
    "actuator_kp": (("actuator_gainprm", "0"), ("actuator_biasprm", "1")),
}
"""Parameters that stand for several fields: a link of another density scales mass and inertia alike, a position
actuator of another stiffness its gain and the bias that holds against it."""

DERIVED = re.compile(
    r"body_(invweight0|margin|subtreemass)|dof_(M0|invweight0|length)|tendon_(invweight0|length0)|geom_(rbound|aabb)"
    r"|actuator_(acc0|length0)|(cam|light)_(pos0|poscom0|mat0|dir0)|flexedge_(invweight0|length0)|bvh_aabb|efm0_L"
)
"""Fields that mj_setConst computes from others, so that a change of them would be lost."""

WHOLE = re.compile(
    r"opt\.(?!timestep)\w+|\w+_(limited|ctrllimited|forcelimited|actlimited|actfrclimited|group|matid|texid)"
    r"|geom_(condim|priority|contype|conaffinity|castshadow)|flex_(contype|conaffinity|condim|priority)"
    r"|eq_active0|cam_resolution|light_(castshadow|active)|pair_dim|jnt_actgravcomp"
)
"""Fields of whole numbers and flags that can change; the others are the structure of the model."""

NON_NEGATIVE = re.compile(
    r"body_mass|body_inertia|(dof|tendon|actuator)_(damping|armature|frictionloss)|(geom|pair|flex)_friction"
    r"|(actuator|sensor)_delay|opt\.(density|viscosity|impratio|tolerance|ls_tolerance|noslip_tolerance|ccd_tolerance"
    r"|o_friction)|geom_size|flex_(damping|edgestiffness|edgedamping|radius)|actuator_cranklength|tendon_width"
)
"""Fields whose values cannot be negative."""

POSITIVE = re.compile(r"body_mass|body_inertia|geom_size|opt\.impratio")
"""Fields of which a positive value cannot fall to 0 or below mjMINVAL, which MuJoCo's compiler takes for 0: the model
would be singular, or a shape would vanish."""

_UNIT = re.compile(r"\w+_i?quat|jnt_axis")
"""Fields whose rows are of length 1."""

_INTERVAL = re.compile(r"\w+range")


def targets(model: mujoco.MjModel, parameter: str, mode: Mode) -> list[FieldElements]:
    """Find the elements that a change of a parameter changes.

    Raises:
        WorldError: the model does not have them, or they cannot change.
    """
    field, parts = split(parameter)
    if field == "opt.timestep":
        raise WorldError(f"'{parameter}': the control period hangs on the timestep; change it in the model's file")
    if field == "sensor_noise":
        raise WorldError(f"'{parameter}': MuJoCo computes no noise from it; change observation_noise instead")
    if DERIVED.fullmatch(field):
        raise WorldError(
            f"'{parameter}': MuJoCo computes {field} from other fields and would overwrite it; change those, "
            "as body_mass, dof_armature or geom_size"
        )
    if field not in TOGETHER:
        return [_variable(model, parameter, mode, resolve_parts(model, parameter, field, parts))]
    fields = TOGETHER[field]
    if mode != "scale":
        names = listed(name for name, _ in fields)
        raise WorldError(f"'{parameter}': {field} can only scale, as {names} differ in units")
    if len(parts) > 1:
        raise WorldError(f"'{parameter}': {field} means several fields; name elements, but no column")
    rows = parts or [":"]
    return [
        resolve_parts(model, parameter, name, rows if column is None else [*rows, column]) for name, column in fields
    ]


def _variable(model: mujoco.MjModel, parameter: str, mode: Mode, target: FieldElements) -> FieldElements:
    """Return a field's elements, if they can change."""
    field = field_values(model, target.name)
    if not np.issubdtype(field.dtype, np.floating):
        if not WHOLE.fullmatch(target.name):
            raise WorldError(
                f"'{parameter}': {target.name} holds whole numbers or flags of the model's structure, not a quantity "
                "that can vary; compile another model instead"
            )
        if mode != "set":
            raise WorldError(f"'{parameter}': {target.name} holds whole numbers or flags; they can only be set")
    if target.name in ("body_pos", "body_quat"):
        _refuse_static(model, parameter, {element // field.shape[1] for element in target.elements})
    return target


def _refuse_static(model: mujoco.MjModel, parameter: str, bodies: set[int]) -> None:
    """Refuse to move a body that is fixed to the world: MuJoCo looks for its contacts where it was compiled."""
    for body in sorted(bodies):
        if model.body_weldid[body] == 0:
            name = model.body(body).name or body
            raise WorldError(
                f"'{parameter}': body '{name}' is fixed to the world; move its geoms with geom_pos instead"
            )


def checked_elements(
    model: mujoco.MjModel, parameter: str, mode: Mode, target: FieldElements, new: Floats
) -> NDArray[Any]:
    """Return the new values (n, elements) of a target in the field's own type, if each of them is possible.

    Raises:
        WorldError: a value that is not finite, negative or zero where it cannot be, or a fraction in a field of
            whole numbers.
    """
    field = field_values(model, target.name)
    old = field.reshape(-1)[list(target.elements)]
    bad = ~np.isfinite(new)
    reason = "it needs to be finite"
    if not bad.any() and NON_NEGATIVE.fullmatch(target.name):
        bad, reason = new < 0, f"{target.name} cannot be negative"
    if not bad.any() and POSITIVE.fullmatch(target.name):
        least = mujoco.mjMINVAL
        bad, reason = (new < least) & (old > 0), f"{target.name} needs to stay above {least:g} for a physical model"
    if not bad.any() and not np.issubdtype(field.dtype, np.floating):
        limits = (0, 1) if field.dtype == bool else (np.iinfo(np.int32).min, np.iinfo(np.int32).max)
        bad = (new != np.round(new)) | (new < limits[0]) | (new > limits[1])
        reason = "it needs to be " + ("0 or 1" if field.dtype == bool else "a whole number, as a discrete change draws")
    if bad.any():
        row, column = np.argwhere(bad)[np.argmin(new[bad])] if np.isfinite(new).all() else np.argwhere(bad)[0]
        element = element_name(model, target.name, target.elements[column])
        place = "" if element == parameter else f" for {element}"
        raise WorldError(f"'{parameter}': {mode} gives {new[row, column]:g}{place}, but {reason}")
    return new.astype(field.dtype)


def checked_field(model: mujoco.MjModel, field: str, rows: NDArray[Any]) -> NDArray[Any]:
    """Return all values of a changed field, (n, *shape), if they are possible together; unit vectors are normalised.

    Raises:
        WorldError: principal inertias that are physically impossible, an empty range, or a direction of length 0.
    """
    if _UNIT.fullmatch(field):
        length = np.linalg.norm(rows, axis=-1, keepdims=True)
        if not (length > 0).all():
            raise WorldError(
                f"{_row(model, field, length[..., 0] <= 0)} becomes 0, which is no direction; narrow its change"
            )
        return np.asarray(rows / length)
    if field == "body_inertia":
        largest = rows.max(axis=-1)
        impossible = 2 * largest > rows.sum(axis=-1) * (1 + 1e-9)
        if impossible.any():
            raise WorldError(
                f"{_row(model, field, impossible)}: a principal inertia exceeds the sum of the other two, which no "
                "body has; scale the three together, or by less"
            )
    if _INTERVAL.fullmatch(field) and rows.shape[-1] == 2:
        empty = rows[..., 0] > rows[..., 1]
        if empty.any():
            raise WorldError(f"{_row(model, field, empty)} becomes an empty range, its low end above its high end")
    return rows


def _row(model: mujoco.MjModel, field: str, bad: NDArray[np.bool_]) -> str:
    """Return the name of the first row that is bad in some simulation."""
    row = int(np.argwhere(bad)[0, -1])
    width = int(np.prod(field_values(model, field).shape[1:], dtype=int))
    name = element_name(model, field, row * width)
    return f"'{name.rsplit(',', 1)[0]}]'" if width > 1 else f"'{name}'"
