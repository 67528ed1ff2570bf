"""Friction of geared servos: what holds a joint back depends on its speed and on the load of its gear.

The friction of a joint is at most a budget, which MuJoCo's own dry friction (``dof_frictionloss``) gets anew before
every physics step; damping stays ``dof_damping``. With the speed v, the force τ_m of the joint's actuators and the
force τ_e of the rest of the robot on it,

    budget = frictionloss + |k_e τ_e - k_m τ_m| + S (stribeck + |s_e τ_e - s_m τ_m| + Q),   S = exp(-|v / v_s|^α),

    Q = q_e τ_e² where |τ_e| < |τ_m|, q_m τ_m² where |τ_e| > |τ_m|, 0 where both point the same way.

These are the models M1 (frictionloss and damping alone) to M6 of M. Duclusaud, G. Passault, V. Padois and O. Ly,
"Extended Friction Models for the Physics Simulation of Servo Actuators", 2024 (arXiv 2410.08650), as their package
better-actuator-models computes them: M2 adds ``joint_stribeck``, M3 ``joint_load_friction``, M4 both and
``joint_load_stribeck``, M5 gives motor and load their own numbers, M6 adds ``joint_load_quadratic``.

τ_e holds gravity, inertia, springs, contacts and limits, as if the joint itself had no friction.
"""

from __future__ import annotations

from typing import NamedTuple

import mujoco
import numpy as np
from mujoco.batch import Batch
from numpy.typing import NDArray

from sim2real_cat.arrays import Bools, Floats
from sim2real_cat.errors import WorldError
from sim2real_cat.model_names import joints
from sim2real_cat.worlds.parameters.channels import changed, chosen, drawn_numbers
from sim2real_cat.worlds.parameters.fields import split
from sim2real_cat.worlds.randomization.change import Change
from sim2real_cat.worlds.randomization.ensemble import Ensemble

_NOMINAL = {
    "joint_stribeck": 0.0,
    "joint_load_friction_motor": 0.0,
    "joint_load_friction_external": 0.0,
    "joint_load_stribeck_motor": 0.0,
    "joint_load_stribeck_external": 0.0,
    "joint_load_quadratic_motor": 0.0,
    "joint_load_quadratic_external": 0.0,
    "joint_stribeck_velocity": 0.2,
    "joint_stribeck_exponent": 1.35,
}
"""Every parameter of a joint and its nominal value; speed and exponent are those from which the authors' fits start."""

_BOTH = {
    f"joint_{name}": (f"joint_{name}_motor", f"joint_{name}_external")
    for name in ("load_friction", "load_stribeck", "load_quadratic")
}
"""Parameters that stand for that of the motor and that of the load."""

_POSITIVE = ("joint_stribeck_velocity", "joint_stribeck_exponent")

JOINT_FIELDS = frozenset((*_NOMINAL, *_BOTH))
"""All parameters that are defined here."""


class FrictionParameters(NamedTuple):
    """Parameters of the k hinges and slides in n simulations, (n, k) each, in SI units of the joint.

    Attributes:
        stribeck: friction at rest beyond that in motion [N m, or N].
        motor, external: parts of the forces on the two sides of the gear that become friction.
        motor_stribeck, external_stribeck: further parts at rest.
        motor_quadratic, external_quadratic: further parts of their squares at rest [1/(N m), or 1/N].
        velocity: speed at which the friction of rest has fallen by the factor e [rad/s, or m/s].
        exponent: how sharply it falls.
    """

    stribeck: Floats
    motor: Floats
    external: Floats
    motor_stribeck: Floats
    external_stribeck: Floats
    motor_quadratic: Floats
    external_quadratic: Floats
    velocity: Floats
    exponent: Floats

    def rows(self, rows: NDArray[np.intp]) -> FrictionParameters:
        """Return the parameters of some simulations."""
        return FrictionParameters(*(values[rows] for values in self))

    @property
    def loaded(self) -> Bools:
        """(n, k) whether the friction depends on the load."""
        return np.asarray(np.any(self[1:7], axis=0))

    @property
    def acting(self) -> Bools:
        """(n,) whether there is any of this friction."""
        return np.asarray((self.loaded | (self.stribeck > 0)).any(axis=1))

    def budget(self, speed: Floats, motor: Floats, external: Floats) -> Floats:
        """Return the friction (n, k) beyond the constant one, at speeds and forces (n, k)."""
        rest = np.exp(-(np.abs(speed / self.velocity) ** self.exponent))
        moving = np.abs(self.external * external - self.motor * motor)
        resting = np.abs(self.external_stribeck * external - self.motor_stribeck * motor)
        driving = np.abs(external) < np.abs(motor)
        backwards = np.abs(external) > np.abs(motor)
        square = driving * self.external_quadratic * external**2 + backwards * self.motor_quadratic * motor**2
        return np.asarray(moving + rest * (self.stribeck + resting + square * (np.sign(external) != np.sign(motor))))


def turning_joints(model: mujoco.MjModel) -> tuple[list[str], list[int]]:
    """Return the names of a model's hinges and slides, and where their velocities stand."""
    found = [(i, joint) for i, joint in enumerate(joints(model)) if joint.kind in ("hinge", "slide")]
    return [joint.name or f"joint {i}" for i, joint in found], [joint.qvel[0] for _, joint in found]


def friction_parameters(
    model: mujoco.MjModel, fibre: Ensemble, member_index: NDArray[np.int64]
) -> FrictionParameters | None:
    """Return the parameters of the friction in every simulation; None where no member says anything about it.

    Raises:
        WorldError: a joint that the model does not have, or other than a hinge or slide, or a number that is negative,
            or 0 where it cannot be.
    """
    if not any(split(parameter)[0] in JOINT_FIELDS for parameter in fibre.parameters):
        return None
    names = turning_joints(model)[0]
    values = {field: np.full((len(member_index), len(names)), nominal) for field, nominal in _NOMINAL.items()}
    for parameter, mode, drawn in drawn_numbers(fibre, member_index):
        field, parts = split(parameter)
        if field not in JOINT_FIELDS:
            continue
        columns = chosen("hinge or slide", names, parameter, parts)
        for one in _BOTH.get(field, (field,)):
            with np.errstate(over="ignore"):  # infinite numbers are refused by name
                values[one][:, columns] = changed(values[one][:, columns], mode, drawn, parameter)
    for field, of in values.items():
        bad = ~(np.isfinite(of) & ((of > 0) if field in _POSITIVE else (of >= 0)))
        if bad.any():
            row, column = np.argwhere(bad)[0]
            rule = "it needs to be finite and " + ("above 0" if field in _POSITIVE else "not negative")
            raise WorldError(f"'{field}[{names[column]}]' would be {of[row, column]:g}; {rule}")
    return FrictionParameters(*values.values())


def joint_columns(model: mujoco.MjModel, name: str, change: Change) -> list[str]:
    """Return the parameters that a change of friction stands for: itself, or one for each joint.

    Raises:
        WorldError: a joint that the model does not have, or other than a hinge or slide.
    """
    field, parts = split(name)
    names = turning_joints(model)[0]
    found = chosen("hinge or slide", names, name, parts)
    return [f"{field}[{names[i]}]" for i in found] if change.each else [name]


class JointFriction:
    """The friction of the joints of some simulations of a batch, as MuJoCo's dry friction with a changing budget.

    A budget for every physics step converges: a pendulum that swings one way for 0.4 s is 0.013, 0.006 and 0.003 rad
    off the differential equation at timesteps of 4, 2 and 1 ms. With one for every control step of 20 ms it stays 0.005
    rad off however small the timestep is. MuJoCo's dry friction is soft, so a joint that is held creeps a little.

    Args:
        physics: the batch, with the members' own constant friction.
        model: its model.
        parameters: those of all n simulations.
    """

    def __init__(self, physics: Batch, model: mujoco.MjModel, parameters: FrictionParameters) -> None:
        self._physics, self._parameters = physics, parameters
        self._dofs = np.array(turning_joints(model)[1], dtype=np.intp)
        self._loss = physics.expand("dof_frictionloss")
        self._constant = self._loss[:, self._dofs].copy()
        self._velocity = physics.bind("qvel")
        self._loaded = parameters.loaded
        wanted = ("actuator", "bias", "passive", "damper", "constraint") if self._loaded.any() else ()
        self._forces = {name: physics.bind(f"qfrc_{name}") for name in wanted}

    def update(self, rows: NDArray[np.intp]) -> None:
        """Give some simulations the budget of their present speeds and loads."""
        at = np.ix_(rows, self._dofs)
        motor, external = self._loads(rows, at)
        more = self._parameters.rows(rows).budget(self._velocity[at], motor, external)
        self._loss[at] = self._constant[rows] + more

    def _loads(self, rows: NDArray[np.intp], at: tuple[NDArray[np.intp], ...]) -> tuple[Floats, Floats]:
        """Return the forces (m, k) of the actuators and of the rest of the robot on the joints; 0 where none counts."""
        loaded = rows[self._loaded[rows].any(axis=1)]
        if not len(loaded):
            return np.zeros((len(rows), len(self._dofs))), np.zeros((len(rows), len(self._dofs)))
        self._loss[at] = np.where(self._loaded[rows], 0.0, self._loss[at])
        self._physics.forward(loaded)
        actuator, bias, passive, damper, constraint = (values[at] for values in self._forces.values())
        return actuator, passive - damper - bias + constraint
