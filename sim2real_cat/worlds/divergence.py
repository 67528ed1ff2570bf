"""Which simulations of a batch blew up: MuJoCo resets such a one, with no more than a warning."""

from __future__ import annotations

import mujoco
import numpy as np
from mujoco.batch import Batch
from numpy.typing import NDArray

from sim2real_cat.worlds.task import Array

_BAD = ("BADQPOS", "BADQVEL", "BADQACC", "BADCTRL")
_WARNINGS = [int(getattr(mujoco.mjtWarning, f"mjWARN_{name}")) for name in _BAD]


def blown_up(batch: Batch, qpos: Array, qvel: Array) -> NDArray[np.bool_]:
    """Which simulations blew up, (n,).

    MuJoCo looks for a bad state when it steps on from it; one that the last step made is looked for here.

    Args:
        batch: the simulations.
        qpos: (n, nq) their positions.
        qvel: (n, nv) their velocities.
    """
    warned = batch.warning[:, _WARNINGS, 1].any(axis=1)
    return np.asarray(warned | _unbounded(qpos) | _unbounded(qvel))


def _unbounded(values: Array) -> NDArray[np.bool_]:
    """Which rows hold a number that MuJoCo takes for a diverged one: NaN, or beyond mjMAXVAL."""
    return np.asarray(~(np.abs(values) <= mujoco.mjMAXVAL).all(axis=1))
