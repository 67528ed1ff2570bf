"""A torque-controlled pendulum that five controllers swung up: its model and its recordings.

The machine and the recordings are those of F. Wiebe et al., "Torque-limited simple pendulum", Journal of Open Source
Software 7(74):3884, 2022, github.com/dfki-ric-underactuated-lab/torque_limited_simple_pendulum (BSD-3).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

import numpy as np

from sim2real_cat.errors import WorldError, unknown_name
from sim2real_cat.recordings.logs.mapping import Channel, LogMapping, Time
from sim2real_cat.recordings.logs.reader import read_log
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.worlds.randomization.change import Change
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.randomization.randomization import Randomization
from sim2real_cat.worlds.tasks.quadratic import QuadraticTask
from sim2real_cat.worlds.world import World

ANGLE, VELOCITY = "qpos[hinge]", "qvel[hinge]"
"""The channels of the machine's encoder: rad, 0 hanging down, and rad/s."""

NOISE: Mapping[str, float] = {ANGLE: 0.0029144731822 / math.sqrt(12), VELOCITY: 0.145}
"""Standard deviation of the sensors.

The angle is rounded to steps of 0.0029 rad. The deviation of the velocity is that of the reading less the derivative of
the smoothed angle, in the smoothest recordings, those of DDP and direct collocation.
"""

PLANNED = Ensemble.single(
    {
        "body_ipos[pendulum, 2]": {"set": -0.5},
        "body_inertia[pendulum]": {"set": 1e-6},  # a point mass; MuJoCo wants some inertia about the rod
        "dof_damping[hinge]": {"set": 0.35},
        "dof_frictionloss[hinge]": {"set": 1.3},
        "actuator_biasprm[motor, 0]": {"set": 0.0},
    }
)
"""The parameters that the authors planned their trajectories with, ``sp_parameters_trajectory.yaml``.

A mass of 0.6755 kg at 0.5 m, damping 0.35 N m s/rad, Coulomb friction 1.3 N m.
"""

RIGID = Ensemble.single(
    {
        "body_ipos[pendulum, 2]": {"set": -0.5},
        "body_inertia[pendulum]": {"set": 1e-6},
        "dof_damping[hinge]": {"set": 0.0},
        "dof_frictionloss[hinge]": {"set": 0.0},
        "actuator_biasprm[motor, 0]": {"set": 0.0},
    }
)
"""The mass and length of `PLANNED` alone, without any friction."""

AROUND = Randomization(
    {
        "body_inertial[pendulum]": Change("scale", 1.0, 3.3),
        "dof_damping[hinge]": Change("scale", 0.0, 1.5),
        "dof_frictionloss[hinge]": Change("scale", 0.0, 1.2),
        "actuator_gainprm[motor, 0]": Change("scale", 0.8, 1.2),
        "actuator_biasprm[motor, 0]": Change("scale", -1.0, 1.5),
    }
)
"""A randomization around the identified parameters that reaches the mass and length that were planned with.

The identified moment of gravity m·cx is 0.1022 kg m, the planned one 0.6755·0.5 = 0.338 kg m, 3.3 times as much.
"""


@dataclass(frozen=True)
class Controller:
    """One of the five controllers.

    Attributes:
        recording: the file of its recording.
        period: seconds between two of its control steps.
    """

    recording: str
    period: float


CONTROLLERS: Mapping[str, Controller] = {
    "DDP": Controller("control_method_ddp__data_measured.csv", 0.002),
    "direct collocation": Controller("control_method_direct_collocation__data_measured.csv", 0.003),
    "energy shaping": Controller("control_method_energy_shaping__data_measured.csv", 0.005),
    "iLQR": Controller("control_method_ilqr__data_measured.csv", 0.02),
    "PD": Controller("control_method_pd_system_identification__data_measured.csv", 1 / 300),
}
"""The controllers by name. The period is the median of the recorded ones, rounded to the timestep of 1/3000 s."""


def pendulum(control_period: float, *, noise: Mapping[str, float] | None = None) -> World:
    """Make the pendulum with the parameters that its authors identified.

    Other parameters are an ensemble in that world, such as `PLANNED`. Nothing is rewarded: every return is 0.

    Args:
        control_period: seconds between two actions, a whole multiple of 1/3000 s.
        noise: standard deviation of the sensors by name; none where none is given, `NOISE` for the machine's own.

    Raises:
        WorldError: the control period is no multiple of the timestep.
    """
    path = Path(str(files("benchmarks.machines") / "pendulum.xml"))
    task = QuadraticTask(observe=(ANGLE, VELOCITY), start_noise=0.0)
    return World.from_xml(path, task, control_period, name="pendulum", noise=noise)


def read_swing_up(folder: str | Path, controller: str) -> Trajectories:
    """Read the run of one controller: an episode of angle [rad], velocity [rad/s] and torque [N m].

    The observations are the readings of the sensors. The states are estimated from the angle, see `estimated_states`.
    Timestamps jitter by up to 0.4 ms; the rows are resampled to the controller's period.

    Args:
        folder: the folder of the recordings.
        controller: a key of `CONTROLLERS`.

    Raises:
        WorldError: there is no such controller.
        ExchangeError: the file is missing or damaged.
    """
    if controller not in CONTROLLERS:
        raise WorldError(unknown_name("controller", controller, CONTROLLERS))
    recorded = CONTROLLERS[controller]
    mapping = LogMapping(
        world=pendulum(recorded.period),
        state={ANGLE: Channel("position", "rad"), VELOCITY: Channel("velocity", "rad/s")},
        action={"motor": Channel("torque", "N m")},
        time=Time("time"),
        control_period=recorded.period,
        policy=controller,
    )
    return estimated_states(read_log(Path(folder) / recorded.recording, mapping))


def estimated_states(recording: Trajectories, cutoff: float = 40.0) -> Trajectories:
    """Return the recording with states estimated from the whole record of the angle.

    The velocity sensor scatters by 0.145 rad/s, too much to start a simulation from. A Butterworth filter of order 3,
    run forth and back so that it shifts nothing in time, smooths the angle; its derivative is the velocity.

    Args:
        recording: episodes that observe `ANGLE`.
        cutoff: Hz; at most 0.8 of the Nyquist frequency is taken.
    """
    from scipy.signal import butter, filtfilt

    nyquist = 0.5 / recording.control_period
    share = min(cutoff / nyquist, 0.8)
    b, a = butter(3, share)
    column = recording.sensors.index(ANGLE)
    qpos, qvel = np.full_like(recording.qpos, np.nan), np.full_like(recording.qvel, np.nan)
    for i, length in enumerate(recording.lengths):
        angle = filtfilt(b, a, recording.observations[i, : length + 1, column])
        qpos[i, : length + 1, 0] = angle
        qvel[i, : length + 1, 0] = np.gradient(angle, recording.control_period)
    note = f"states estimated from '{ANGLE}', smoothed at {share * nyquist:.3g} Hz forth and back"
    return replace(recording, qpos=qpos, qvel=qvel, notes=(*recording.notes, note))
