"""A world: an MJCF model, a task on it, the noise of its sensors and a control period."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.errors import WorldError, unknown_name
from sim2real_cat.worlds.engine_log import compiling
from sim2real_cat.worlds.gymnasium_tasks import MODELS
from sim2real_cat.worlds.quadratic_task import QuadraticTask
from sim2real_cat.worlds.task import Task

if TYPE_CHECKING:
    import mujoco


@dataclass(frozen=True)
class World:
    """A model and what is done on it; which of its parameters vary is said by an `Ensemble`.

    Attributes:
        name: what people call it.
        path: the MJCF file.
        task: start, observation, reward and end of an episode.
        substeps: physics steps per control step.
        noise: standard deviation of the Gaussian noise on each sensor by name, in the sensor's own unit; a key
            ``"*"`` holds for the sensors that are not named.
    """

    name: str
    path: Path
    task: Task
    substeps: int
    noise: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for sensor, deviation in self.noise.items():
            if sensor != "*" and sensor not in self.task.sensors:
                raise WorldError(f"noise of world '{self.name}': " + unknown_name("sensor", sensor, self.task.sensors))
            if not (math.isfinite(deviation) and deviation >= 0):
                raise WorldError(f"noise of world '{self.name}', sensor '{sensor}': needs to be >= 0, got {deviation}")

    @classmethod
    def gymnasium(cls, name: str, noise: float | Mapping[str, float] | None = None) -> World:
        """A world of Gymnasium's MuJoCo v5 environments, e.g. ``"Hopper"``; the model lies in Gymnasium's wheel.

        Raises:
            WorldError: no such environment, or a sensor it does not have.
        """
        if name not in MODELS:
            raise WorldError(unknown_name("Gymnasium world", name, MODELS))
        task, file, substeps = MODELS[name]
        package = importlib.util.find_spec("gymnasium")
        if package is None or package.origin is None:
            raise WorldError("the Gymnasium worlds need the package gymnasium: pip install 'gymnasium>=1.4,<2'")
        path = Path(package.origin).parent / "envs" / "mujoco" / "assets" / file
        return cls(name, path, task(), substeps, _by_sensor(noise))

    @classmethod
    def from_xml(
        cls,
        path: str | Path,
        task: QuadraticTask,
        control_period: float,
        *,
        name: str | None = None,
        noise: float | Mapping[str, float] | None = None,
    ) -> World:
        """A world from your own MJCF file.

        Args:
            path: the MJCF file.
            task: what is observed, rewarded and when an episode ends.
            control_period: seconds between two actions; a whole multiple of the model's timestep.
            name: what to call it; the file's stem where none is given.
            noise: standard deviation of the sensors, one for all or by name.

        Raises:
            WorldError: the file is missing or no MJCF, the task does not fit the model, or the control period is
                not a multiple of the timestep.
        """
        path = Path(path)
        model = compile_model(path)
        ratio = control_period / model.opt.timestep
        substeps = round(ratio) if math.isfinite(ratio) else 0
        if substeps < 1 or abs(ratio - substeps) > 1e-9 * max(ratio, 1.0):
            raise WorldError(
                f"{path}: control period {control_period:g} s is not a whole multiple of the model's "
                f"timestep {model.opt.timestep:g} s"
            )
        if model.nu == 0:
            raise WorldError(f"{path}: the model has no actuator, so no policy can act on it")
        try:
            bound = task.bind(model)
        except WorldError as error:
            raise WorldError(f"{path}: {error}") from None
        return cls(name or path.stem, path, bound, substeps, _by_sensor(noise))

    @property
    def sensors(self) -> tuple[str, ...]:
        """Names of the d observed channels."""
        return self.task.sensors

    def deviations(self) -> NDArray[np.float64]:
        """Standard deviation of the noise on each sensor, (d,)."""
        default = self.noise.get("*", 0.0)
        return np.array([self.noise.get(sensor, default) for sensor in self.sensors])

    def compile(self, delay: float = 0.0) -> mujoco.MjModel:
        """The model, with history buffers on its actuators long enough for `delay` seconds."""
        return compile_model(self.path, delay)


def compile_model(path: Path, delay: float = 0.0) -> mujoco.MjModel:
    """Compile an MJCF file; actuators get history buffers where a delay is asked for.

    MuJoCo silently cuts a delay to the length of its buffer, so the buffer is made as long as the delay.

    Raises:
        WorldError: the file cannot be read or is no MJCF model.
    """
    import mujoco

    if not path.is_file():
        raise WorldError(f"{path}: no such model file; give the path of an MJCF .xml file")
    try:
        with compiling():
            spec = mujoco.MjSpec.from_file(str(path))
            if delay > 0:
                buffer = math.ceil(delay / spec.option.timestep - 1e-9)
                for actuator in spec.actuators:
                    actuator.nsample = max(actuator.nsample, buffer)
            return spec.compile()
    except (ValueError, mujoco.FatalError) as error:
        reason = " ".join(str(error).split())
        raise WorldError(f"{path}: not a model that MuJoCo can read: {reason}") from None


def _by_sensor(noise: float | Mapping[str, float] | None) -> Mapping[str, float]:
    """Noise as a mapping from sensors."""
    if noise is None:
        return {}
    return dict(noise) if isinstance(noise, Mapping) else {"*": float(noise)}
