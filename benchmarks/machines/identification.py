"""The identification by which the pendulum's authors found its parameters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim2real_cat.arrays import Floats

_GRAVITY = 9.81


@dataclass(frozen=True)
class Identified:
    """Parameters of ``torque = J·acc + mcx·g·sin(q) + Fv·vel + Fc·atan(100·vel) + offset``.

    Attributes:
        inertia: J, about the joint [kg m²].
        gravity_moment: mass times distance of the centre of mass from the joint [kg m].
        viscous: Fv [N m s/rad].
        coulomb: Fc [N m]; the friction saturates at Fc·π/2.
        offset: of the torque [N m].
        residual: root mean square of the torque that the parameters do not explain [N m].
    """

    inertia: float
    gravity_moment: float
    viscous: float
    coulomb: float
    offset: float
    residual: float


def identify(time: Floats, angle: Floats, velocity: Floats, torque: Floats) -> Identified:
    """Fit the parameters to one recording by ordinary least squares.

    The authors' filters: Butterworth of order 3 run forth and back, at 0.2 of the Nyquist frequency on the measured
    velocity before it is differentiated, at 0.1 on acceleration and torque. The friction takes the derivative of the
    angle as velocity.

    Args:
        time: (N,) time of each row [s].
        angle: (N,) measured [rad], 0 hanging down.
        velocity: (N,) measured [rad/s].
        torque: (N,) measured [N m].
    """
    from scipy.signal import butter, filtfilt

    wide, narrow = butter(3, 0.2), butter(3, 0.1)
    acceleration = filtfilt(*narrow, np.gradient(filtfilt(*wide, velocity), time))
    moving = np.gradient(angle, time)
    terms = [acceleration, _GRAVITY * np.sin(angle), moving, np.arctan(100 * moving), np.ones_like(angle)]
    columns, wanted = np.stack(terms, axis=1), filtfilt(*narrow, torque)
    found = np.linalg.lstsq(columns, wanted, rcond=None)[0]
    residual = float(np.sqrt(np.mean((columns @ found - wanted) ** 2)))
    inertia, moment, viscous, coulomb, offset = (float(value) for value in found)
    return Identified(inertia, moment, viscous, coulomb, offset, residual)
