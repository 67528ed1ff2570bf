"""Moves of states along their tangent space, where a rotation has three coordinates instead of four."""

from __future__ import annotations

from dataclasses import replace

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim2real_cat.arrays import Floats
from sim2real_cat.recordings.trajectories import Trajectories


def moved(model: mujoco.MjModel, trajectories: Trajectories, step: Floats) -> Trajectories:
    """Return the trajectories with every state moved by the same step, (2 nv,): positions, then velocities."""
    qpos = positions_moved(model, trajectories.qpos, step[: model.nv])
    return replace(trajectories, qpos=qpos, qvel=trajectories.qvel + step[model.nv :])


def positions_moved(model: mujoco.MjModel, qpos: Floats, step: Floats) -> Floats:
    """Move positions along tangent vectors, as ``mj_integratePos`` does for one.

    A quaternion is multiplied from the right by the rotation of the step's three coordinates, a rotation vector.

    Args:
        model: whose positions they are.
        qpos: (..., nq).
        step: (..., nv), in radians where it turns.
    """
    shape = np.broadcast_shapes(qpos.shape[:-1], step.shape[:-1])
    result = np.array(np.broadcast_to(qpos, (*shape, model.nq)))
    step = np.broadcast_to(step, (*shape, model.nv))
    linear, rotations = _coordinates(model)
    result[..., linear[:, 0]] += step[..., linear[:, 1]]
    for at, along in rotations:
        result[..., at : at + 4] = _turned(result[..., at : at + 4], step[..., along : along + 3])
    return result


def coordinate_names(model: mujoco.MjModel) -> list[str]:
    """Return names of the 2 nv coordinates: the position, then the velocity of every joint, as often as it has some."""
    joints = [model.joint(int(joint)).name or f"joint {joint}" for joint in model.dof_jntid]
    return [f"the {what} of {joint}" for what in ("position", "velocity") for joint in joints]


def positions_apart(model: mujoco.MjModel, after: Floats, before: Floats) -> Floats:
    """Return the tangent vectors (..., nv) that move the positions `before` (..., nq) to those `after`."""
    from scipy.spatial.transform import Rotation

    shape = np.broadcast_shapes(after.shape[:-1], before.shape[:-1])
    after, before = (np.broadcast_to(end, (*shape, model.nq)) for end in (after, before))
    result = np.empty((*shape, model.nv))
    linear, rotations = _coordinates(model)
    result[..., linear[:, 1]] = after[..., linear[:, 0]] - before[..., linear[:, 0]]
    for at, along in rotations:
        ends = [Rotation.from_quat(end[..., at : at + 4].reshape(-1, 4), scalar_first=True) for end in (before, after)]
        result[..., along : along + 3] = (ends[0].inv() * ends[1]).as_rotvec().reshape(*shape, 3)
    return result


def _turned(quaternion: Floats, step: Floats) -> Floats:
    """Turn quaternions (..., 4), scalar first, by rotation vectors (..., 3) in their own frame; NaN stays."""
    from scipy.spatial.transform import Rotation

    flat, by = quaternion.reshape(-1, 4), step.reshape(-1, 3)
    turned = np.full_like(flat, np.nan)
    known = np.isfinite(flat).all(axis=1)
    product = Rotation.from_quat(flat[known], scalar_first=True) * Rotation.from_rotvec(by[known])
    turned[known] = product.as_quat(scalar_first=True)
    return turned.reshape(quaternion.shape)


def _coordinates(model: mujoco.MjModel) -> tuple[NDArray[np.intp], list[tuple[int, int]]]:
    """Return pairs (position, velocity) of coordinates that add, and of starts of quaternions and their velocities."""
    linear: list[tuple[int, int]] = []
    rotations = []
    for joint in range(model.njnt):
        at, along = int(model.jnt_qposadr[joint]), int(model.jnt_dofadr[joint])
        kind = model.jnt_type[joint]
        if kind == mujoco.mjtJoint.mjJNT_FREE:
            linear += [(at + i, along + i) for i in range(3)]
            rotations.append((at + 3, along + 3))
        elif kind == mujoco.mjtJoint.mjJNT_BALL:
            rotations.append((at, along))
        else:
            linear.append((at, along))
    return np.array(linear, dtype=np.intp).reshape(-1, 2), rotations
