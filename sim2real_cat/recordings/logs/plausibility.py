"""Warnings of recorded numbers that hardly are in the units that the mapping says."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import PlausibilityWarning
from sim2real_cat.model_names import joints, names
from sim2real_cat.recordings.logs.mapping import MappedWorld
from sim2real_cat.recordings.trajectories import Trajectories

if TYPE_CHECKING:
    import mujoco

_ALIKE = 0.8
"""Least correlation of velocities with the derivative of positions at which their ratio says something."""

_RATIO = 1.5
"""Factor by which a ratio may miss what it should be: filters and friction of sensors stay below it, units do not."""

_ANGLES = {
    180 / math.pi: "velocities look like deg/s, or positions need deg",
    math.pi / 180: "positions look like deg, or velocities need deg/s",
    30 / math.pi: "velocities look like rpm",
    1 / (2 * math.pi): "velocities look like turns per second",
    2 * math.pi: "positions look like turns",
}
_ANY = {
    1e3: "the unit of time looks off by 1000 (timestamps in ms?), or velocities by mm",
    1e6: "the unit of time looks off by 10^6 (timestamps in us?)",
    1e9: "the unit of time looks off by 10^9 (timestamps in ns?)",
    1e-3: "the unit of time looks off by 1000 (timestamps in s?), or positions by mm",
    1e-6: "the unit of time looks off by 10^6 (timestamps in s?)",
    1e-9: "the unit of time looks off by 10^9 (timestamps in s?)",
    1e2: "velocities look like cm/s",
    1e-2: "positions look like cm",
}
"""Explanations by the ratio of velocities to the derivative of positions."""


def warn_of_the_unlikely(recording: Trajectories, world: MappedWorld, model: mujoco.MjModel, place: str) -> None:
    """Warn of recorded numbers whose unit, sign or clock looks wrong; a `PlausibilityWarning` each.

    Args:
        recording: episodes in the units of the model.
        world: the world that the log was mapped to.
        model: its model.
        place: the log, for messages.
    """
    found = [*_velocities(recording, model), *_ranges(recording, model), *_rotations(recording, model)]
    found += [*_falls(recording, model), *_accelerometers(recording, model), *_commands(recording, model)]
    found += _period(recording, world, model)
    for message in found:
        warnings.warn(f"{place}: {message}", PlausibilityWarning, stacklevel=4)


def _velocities(recording: Trajectories, model: mujoco.MjModel) -> Iterator[str]:
    """Compare velocities with the derivative of positions, joint by joint."""
    if not recording.qvel.shape[2]:
        return
    for joint in joints(model):
        if not joint.name or joint.kind == "ball":
            continue
        count = 3 if joint.kind == "free" else 1
        positions = recording.qpos[:, :, joint.qpos[:count]]
        velocities = recording.qvel[:, :, joint.qvel[:count]]
        ratio = _velocity_ratio(positions, velocities, recording.control_period)
        if ratio is None:
            continue
        known = _ANY | _ANGLES if joint.kind == "hinge" else _ANY
        if ratio < 0:
            yield (
                f"joint '{joint.name}': the velocities have the opposite sign of the positions' derivative; check sign"
            )
        elif not 1 / _RATIO < ratio < _RATIO:
            meaning = next((text for value, text in known.items() if 0.8 < ratio / value < 1.25), "check both units")
            yield f"joint '{joint.name}': velocities are {ratio:.3g} times the derivative of the positions; {meaning}"


def _velocity_ratio(positions: Floats, velocities: Floats, period: float) -> float | None:
    """Return the ratio of velocities to the derivative of positions, (n, frames, k); None where they are not alike."""
    derivative = (positions[:, 2:] - positions[:, :-2]) / (2 * period)
    measured = velocities[:, 1:-1]
    both = np.isfinite(derivative) & np.isfinite(measured)
    derivative, measured = derivative[both], measured[both]
    size = float(np.linalg.norm(derivative) * np.linalg.norm(measured))
    product = float(derivative @ measured)
    if size == 0 or abs(product) / size < _ALIKE:
        return None
    # least squares that takes the velocities as given: the derivative of quantised positions is mostly noise
    return float(measured @ measured) / product


def _ranges(recording: Trajectories, model: mujoco.MjModel) -> Iterator[str]:
    """Find positions far outside the limits that the model gives their joint."""
    if not recording.qpos.size:
        return
    for i, joint in enumerate(joints(model)):
        if not joint.name or not model.jnt_limited[i] or joint.kind not in ("hinge", "slide"):
            continue
        low, high = (float(end) for end in model.jnt_range[i])
        largest = float(np.nanmax(np.abs(recording.qpos[:, :, joint.qpos[0]])))
        if largest > 5 * max(abs(low), abs(high)):
            unit = "rad, as deg would" if joint.kind == "hinge" else "m, as mm would"
            span = f"{low:.3g}..{high:.3g}"
            yield f"joint '{joint.name}': positions reach {largest:.4g} {unit}; its range in the model is {span}"


def _rotations(recording: Trajectories, model: mujoco.MjModel) -> Iterator[str]:
    """Find quaternions whose length is not 1."""
    if not recording.qpos.size:
        return
    for joint in joints(model):
        if not joint.quaternion:
            continue
        norms = np.linalg.norm(recording.qpos[:, :, joint.quaternion], axis=2)
        worst = float(norms.ravel()[np.nanargmax(np.abs(norms - 1))])
        if abs(worst - 1) > 0.01:
            yield f"joint '{joint.name}': a rotation has length {worst:.4g}, a unit quaternion 1"


def _falls(recording: Trajectories, model: mujoco.MjModel) -> Iterator[str]:
    """Compare with gravity how fast free bodies fall, over five steps or more of the same downward acceleration."""
    down = np.asarray(model.opt.gravity)
    gravity = float(np.linalg.norm(down))
    if not recording.qvel.size or gravity == 0:
        return
    for joint in joints(model):
        if joint.kind != "free":
            continue
        along = recording.qvel[:, :, joint.qvel[:3]] @ (down / gravity)
        acceleration = np.diff(along, axis=1) / recording.control_period
        windows = np.lib.stride_tricks.sliding_window_view(acceleration, min(5, acceleration.shape[1]), axis=1)
        middle = np.median(windows, axis=2)
        with np.errstate(invalid="ignore"):
            steady = (middle > 0) & (np.ptp(windows, axis=2) < 0.1 * middle)
        if steady.sum() < 10:
            continue
        fall = float(np.median(middle[steady]))
        if not 1 / _RATIO < fall / gravity < _RATIO:
            off = fall / gravity
            yield (
                f"joint '{joint.name}': it falls with {fall:.4g} m/s^2, gravity is {gravity:.4g}; "
                f"the unit of length looks off by {off:.3g}, or that of time by {math.sqrt(off):.3g}"
            )


def _accelerometers(recording: Trajectories, model: mujoco.MjModel) -> Iterator[str]:
    """Compare accelerometers with gravity, which they read on average wherever a robot stays on the ground."""
    import mujoco

    gravity = float(np.linalg.norm(model.opt.gravity))
    for sensor, name in enumerate(names(model, "SENSOR")):
        channels = [f"sensordata[{name}] {i}" for i in range(3)]
        if int(model.sensor_type[sensor]) != mujoco.mjtSensor.mjSENS_ACCELEROMETER or not gravity:
            continue
        if not set(channels) <= set(recording.sensors):
            continue
        columns = [recording.sensors.index(channel) for channel in channels]
        length = float(np.nanmedian(np.linalg.norm(recording.observations[:, :, columns], axis=2)))
        for value, text in {1 / 9.81: "g", 1000 / 9.81: "mg", 100.0: "cm/s^2", 1000.0: "mm/s^2"}.items():
            if 0.8 < length / gravity / value < 1.25:
                yield f"sensor '{name}': the median is {length:.4g}, gravity {gravity:.4g} m/s^2; it looks like {text}"


def _commands(recording: Trajectories, model: mujoco.MjModel) -> Iterator[str]:
    """Find actions far outside the range that the model cuts them to."""
    if not recording.actions.size:
        return
    for actuator, name in enumerate(recording.actuators):
        if not model.actuator_ctrllimited[actuator]:
            continue
        low, high = (float(end) for end in model.actuator_ctrlrange[actuator])
        values = recording.actions[:, :, actuator]
        largest = float(np.nanmax(np.abs(values)))
        if largest > _RATIO * max(abs(low), abs(high)):
            yield f"actuator '{name}': actions reach {largest:.4g}, the model cuts them to {low:.3g}..{high:.3g}"


def _period(recording: Trajectories, world: MappedWorld, model: mujoco.MjModel) -> list[str]:
    """Compare the control period with that of the world."""
    own = world.substeps * float(model.opt.timestep)
    for power in (3, 6, 9):
        for ratio in (10.0**power, 10.0**-power):
            if 1 / _RATIO < recording.control_period / own / ratio < _RATIO:
                return [
                    f"rows are {recording.control_period:.4g} s apart, control steps of world '{world.name}' {own:g} "
                    f"s; the unit of time looks off by 10^{power}"
                ]
    return []
