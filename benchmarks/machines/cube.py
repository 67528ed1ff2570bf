"""An acrylic cube tossed onto a table and followed by motion capture: its model and its recordings.

The recordings are those of S. Pfrommer, M. Halm and M. Posa, "ContactNets: Learning Discontinuous Contact Dynamics
with Smooth, Implicit Representations", CoRL 2020, github.com/DAIRLab/contact-nets (BSD-3).
"""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np

from sim2real_cat.arrays import Floats
from sim2real_cat.recordings.logs.mapping import Channel, LogMapping, Time
from sim2real_cat.recordings.logs.reader import read_log
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.worlds.tasks.quadratic import QuadraticTask
from sim2real_cat.worlds.world import World, compile_model

HALF_WIDTH = 0.0524
"""Half the length of the cube's edge [m]; the recordings count lengths in it."""

PERIOD = 1 / 148
"""Seconds between two frames of the motion capture."""


def cube() -> World:
    """Make the cube with its authors' parameters; it has no actuator, so a policy's actions have width 0.

    All coordinates of the free joint are observed: position [m], quaternion (w first), linear velocity [m/s] in the
    world and angular velocity [rad/s] in the cube.
    """
    path = Path(str(files("benchmarks.machines") / "cube.xml"))
    model = compile_model(path)
    task = QuadraticTask(observe=("qpos[free]", "qvel[free]"), start_noise=0.0).bind(model)
    return World("cube", path, task, round(PERIOD / model.opt.timestep))


def read_tosses(path: str | Path) -> Trajectories:
    """Read the recorded tosses, one episode each.

    A recorded velocity is the difference to the frame before, so it belongs to the middle between the two frames. Each
    state takes the mean of its own and the next frame's velocity, which belongs to its own time.

    Raises:
        ExchangeError: the file is missing or damaged.
    """
    mapping = LogMapping(
        world=cube(),
        state={
            "qpos[free, 0:3]": Channel("toss_*[:, 0:3]", scale=HALF_WIDTH),
            "qpos[free, 3:7]": Channel("toss_*[:, 3:7]"),
            "qvel[free, 0:3]": Channel("toss_*[:, 7:10]", scale=HALF_WIDTH),
            "qvel[free, 3:6]": Channel("toss_*[:, 10:13]"),
        },
        time=Time(period=PERIOD),
        control_period=PERIOD,
        resampling="none",
    )
    return centred(read_log(path, mapping))


def rotation_between(one: Floats, other: Floats) -> Floats:
    """Return the angle [rad] of the rotation from one orientation to the other.

    Args:
        one: (..., 4) unit quaternions.
        other: (..., 4) likewise.
    """
    return np.asarray(2 * np.arccos(np.clip(np.abs((one * other).sum(axis=-1)), 0.0, 1.0)))


def lowest_corner(qpos: Floats) -> Floats:
    """Return the height [m] of the lowest of the cube's eight corners above the table.

    Args:
        qpos: (..., 7) position [m] and unit quaternion, w first.
    """
    w, x, y, z = np.moveaxis(qpos[..., 3:], -1, 0)
    # The vertical's components along the cube's axes, of which the corners take every combination of signs.
    vertical = np.stack([2 * (x * z - w * y), 2 * (y * z + w * x), w**2 - x**2 - y**2 + z**2])
    return np.asarray(qpos[..., 2] - HALF_WIDTH * np.abs(vertical).sum(axis=0))


def centred(recording: Trajectories) -> Trajectories:
    """Return the recording with every velocity moved half a frame later, to the time of its position.

    The last frame of an episode, which has no next one, keeps its own.
    """
    qvel = recording.qvel.copy()
    for i, length in enumerate(recording.lengths):
        qvel[i, :length] = (recording.qvel[i, :length] + recording.qvel[i, 1 : length + 1]) / 2
    return replace(recording, qvel=qvel, notes=(*recording.notes, "velocities moved half a frame later"))
