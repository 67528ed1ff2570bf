"""The tasks of Gymnasium's MuJoCo v5 environments, vectorised: same start, observation, reward and end.

Source of every formula: ``gymnasium.envs.mujoco.*_v5`` (Gymnasium 1.4), default arguments. A test steps both on the
same states and actions and compares them to 1e-9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.arrays import Floats
from sim2real_cat.worlds.tasks.task import State, Task

if TYPE_CHECKING:
    import mujoco


def _uniform_start(model: mujoco.MjModel, rng: np.random.Generator, scale: float) -> tuple[Floats, Floats]:
    """Return the model's reference state with uniform noise in (-scale, scale) on every coordinate."""
    qpos = model.qpos0 + rng.uniform(-scale, scale, model.nq)
    return qpos, rng.uniform(-scale, scale, model.nv)


class InvertedPendulum(Task):
    """Balance a pole on a cart; the episode ends when the pole leans more than 0.2 rad."""

    name = "InvertedPendulum"
    sensors = ("cart position", "pole angle", "cart velocity", "pole angular velocity")
    steps = 1000

    def start(self, model: mujoco.MjModel, rng: np.random.Generator) -> tuple[Floats, Floats]:
        return _uniform_start(model, rng, 0.01)

    def observe(self, state: State) -> Floats:
        return np.concatenate([state.qpos, state.qvel], axis=1)

    def reward(self, before: State, after: State, action: Floats, seconds: float) -> Floats:
        return np.asarray(1.0 - self.terminated(after), dtype=np.float64)

    def terminated(self, state: State) -> NDArray[np.bool_]:
        finite = np.isfinite(state.qpos).all(axis=1) & np.isfinite(state.qvel).all(axis=1)
        return ~finite | (np.abs(state.qpos[:, 1]) > 0.2)


class InvertedDoublePendulum(Task):
    """Balance two poles on a cart; the episode ends when the tip falls to 1 m."""

    name = "InvertedDoublePendulum"
    sensors = (
        "cart position",
        "sin pole 1 angle",
        "sin pole 2 angle",
        "cos pole 1 angle",
        "cos pole 2 angle",
        "cart velocity",
        "pole 1 angular velocity",
        "pole 2 angular velocity",
        "cart constraint force",
    )
    steps = 1000
    derived = ("site_xpos", "qfrc_constraint")

    def start(self, model: mujoco.MjModel, rng: np.random.Generator) -> tuple[Floats, Floats]:
        return model.qpos0 + rng.uniform(-0.1, 0.1, model.nq), 0.1 * rng.standard_normal(model.nv)

    def observe(self, state: State) -> Floats:
        angles = state.qpos[:, 1:]
        force = np.clip(state.derived["qfrc_constraint"][:, :1], -10, 10)
        velocity = np.clip(state.qvel, -10, 10)
        return np.concatenate([state.qpos[:, :1], np.sin(angles), np.cos(angles), velocity, force], axis=1)

    def reward(self, before: State, after: State, action: Floats, seconds: float) -> Floats:
        x, y = after.derived["site_xpos"][:, 0, 0], after.derived["site_xpos"][:, 0, 2]
        distance = 0.01 * x**2 + (y - 2) ** 2
        speed = 1e-3 * after.qvel[:, 1] ** 2 + 5e-3 * after.qvel[:, 2] ** 2
        return 10.0 * ~self.terminated(after) - distance - speed

    def terminated(self, state: State) -> NDArray[np.bool_]:
        return np.asarray(state.derived["site_xpos"][:, 0, 2] <= 1)


class Reacher(Task):
    """Bring the fingertip of a two-link arm to a target in the plane."""

    name = "Reacher"
    sensors = (
        "cos joint 0 angle",
        "cos joint 1 angle",
        "sin joint 0 angle",
        "sin joint 1 angle",
        "target x",
        "target y",
        "joint 0 angular velocity",
        "joint 1 angular velocity",
        "fingertip to target x",
        "fingertip to target y",
    )
    steps = 50
    derived = ("xpos",)
    fingertip, target = 3, 4
    """Body ids in reacher.xml: world 0, body0 1, body1 2, fingertip 3, target 4."""

    def start(self, model: mujoco.MjModel, rng: np.random.Generator) -> tuple[Floats, Floats]:
        qpos = rng.uniform(-0.1, 0.1, model.nq) + model.qpos0
        goal = rng.uniform(-0.2, 0.2, 2)
        while np.linalg.norm(goal) >= 0.2:
            goal = rng.uniform(-0.2, 0.2, 2)
        qpos[-2:] = goal
        qvel = rng.uniform(-0.005, 0.005, model.nv)
        qvel[-2:] = 0
        return qpos, qvel

    def _offset(self, state: State) -> Floats:
        """Return the vector from the target to the fingertip, (n, 3)."""
        return np.asarray(state.derived["xpos"][:, self.fingertip] - state.derived["xpos"][:, self.target])

    def observe(self, state: State) -> Floats:
        angles = state.qpos[:, :2]
        parts = [np.cos(angles), np.sin(angles), state.qpos[:, 2:], state.qvel[:, :2], self._offset(state)[:, :2]]
        return np.concatenate(parts, axis=1)

    def reward(self, before: State, after: State, action: Floats, seconds: float) -> Floats:
        return np.asarray(-np.linalg.norm(self._offset(after), axis=1) - np.square(action).sum(axis=1))

    def terminated(self, state: State) -> NDArray[np.bool_]:
        return np.zeros(len(state.qpos), dtype=bool)


_LEGS = ("thigh", "leg", "foot")


class _Locomotion(Task):
    """Run forward: velocity of the root minus a control cost, plus a bonus for every healthy step."""

    steps = 1000
    control_cost: float
    velocity_limit = 10.0
    survival_bonus = 1.0

    def observe(self, state: State) -> Floats:
        velocity = np.clip(state.qvel, -self.velocity_limit, self.velocity_limit)
        return np.concatenate([state.qpos[:, 1:], velocity], axis=1)

    def reward(self, before: State, after: State, action: Floats, seconds: float) -> Floats:
        forward = (after.qpos[:, 0] - before.qpos[:, 0]) / seconds
        cost = self.control_cost * np.square(action).sum(axis=1)
        return np.asarray(forward + self.survival_bonus * self._healthy(after) - cost)

    def terminated(self, state: State) -> NDArray[np.bool_]:
        return ~self._healthy(state)

    def _healthy(self, state: State) -> NDArray[np.bool_]:
        """Return whether the robot has not fallen, (n,)."""
        return np.ones(len(state.qpos), dtype=bool)


def _root_and(*joints: str) -> tuple[str, ...]:
    """Return the sensor names of a planar robot without its forward position: positions, then velocities."""
    positions = ("root height", "root angle", *(f"{joint} angle" for joint in joints))
    velocities = ("root forward velocity", "root vertical velocity", "root angular velocity")
    return (*positions, *velocities, *(f"{joint} angular velocity" for joint in joints))


class Hopper(_Locomotion):
    """Hop forward on one leg; the episode ends when the torso drops below 0.7 m or leans more than 0.2 rad."""

    name = "Hopper"
    sensors = _root_and(*_LEGS)
    control_cost = 1e-3

    def start(self, model: mujoco.MjModel, rng: np.random.Generator) -> tuple[Floats, Floats]:
        return _uniform_start(model, rng, 5e-3)

    def _healthy(self, state: State) -> NDArray[np.bool_]:
        rest = np.concatenate([state.qpos[:, 2:], state.qvel], axis=1)
        upright = (state.qpos[:, 1] > 0.7) & (np.abs(state.qpos[:, 2]) < 0.2)
        return np.asarray(upright & (np.abs(rest) < 100).all(axis=1))


class Walker2d(_Locomotion):
    """Walk forward on two legs; the episode ends outside 0.8 to 2 m of height or 1 rad of lean."""

    name = "Walker2d"
    sensors = _root_and(*_LEGS, *(f"left {part}" for part in _LEGS))
    control_cost = 1e-3

    def start(self, model: mujoco.MjModel, rng: np.random.Generator) -> tuple[Floats, Floats]:
        return _uniform_start(model, rng, 5e-3)

    def _healthy(self, state: State) -> NDArray[np.bool_]:
        height, lean = state.qpos[:, 1], state.qpos[:, 2]
        return (height > 0.8) & (height < 2.0) & (np.abs(lean) < 1.0)


class HalfCheetah(_Locomotion):
    """Run forward on two legs in the plane; nothing ends the episode early and surviving earns nothing."""

    name = "HalfCheetah"
    sensors = _root_and("back thigh", "back shin", "back foot", "front thigh", "front shin", "front foot")
    control_cost = 0.1
    velocity_limit = np.inf
    survival_bonus = 0.0

    def start(self, model: mujoco.MjModel, rng: np.random.Generator) -> tuple[Floats, Floats]:
        return model.qpos0 + rng.uniform(-0.1, 0.1, model.nq), 0.1 * rng.standard_normal(model.nv)


MODELS: dict[str, tuple[type[Task], str, int]] = {
    "InvertedPendulum": (InvertedPendulum, "inverted_pendulum.xml", 2),
    "InvertedDoublePendulum": (InvertedDoublePendulum, "inverted_double_pendulum.xml", 5),
    "Reacher": (Reacher, "reacher.xml", 2),
    "Hopper": (Hopper, "hopper.xml", 4),
    "HalfCheetah": (HalfCheetah, "half_cheetah.xml", 5),
    "Walker2d": (Walker2d, "walker2d_v5.xml", 4),
}
"""By name: the task, its model among Gymnasium's assets, and physics steps per control step."""
