"""A world: an MJCF model, a task on it, the noise of its sensors and a control period."""

from __future__ import annotations

import importlib.util
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import WorldError, one_line, unknown_name
from sim2real_cat.model_names import actuator_names, names
from sim2real_cat.worlds.engine_log import compiling
from sim2real_cat.worlds.sensors.noise import NoiseChain, NoiseModel
from sim2real_cat.worlds.tasks.gymnasium import MODELS
from sim2real_cat.worlds.tasks.quadratic import QuadraticTask
from sim2real_cat.worlds.tasks.task import Task

if TYPE_CHECKING:
    import mujoco

    from sim2real_cat.recordings.logs.mapping import LogMapping
    from sim2real_cat.recordings.trajectories import Trajectories

Noise = float | NoiseModel | NoiseChain | Sequence[float | NoiseModel]
"""The noise of one sensor: a Gaussian deviation, a model, or several that act one after the other."""

BUFFERS = {"actuator_delay": "actuator_history", "sensor_delay": "sensor_history"}
"""The buffers of each field of delays; their first column holds the number of samples."""

_MOST_SAMPLES = 100_000
"""Samples of a history buffer beyond which a delay is probably in milliseconds."""


class BaseWorld(ABC):
    """A robot with a task, in which policies can be rolled out, on MuJoCo or another simulator.

    Attributes:
        name: its name.
        noise: noise of each sensor by name; a key ``"*"`` holds for the sensors that are not named.
    """

    name: str
    noise: Mapping[str, Noise]

    @property
    @abstractmethod
    def sensors(self) -> tuple[str, ...]:
        """Names of the d observed channels."""

    @property
    @abstractmethod
    def actuators(self) -> tuple[str, ...]:
        """Names of the nu actuators, in the order of a policy's answers."""

    @property
    @abstractmethod
    def answers(self) -> tuple[int, ...]:
        """The numbers of columns that a policy's answer may have; the first is nu."""

    @property
    @abstractmethod
    def control_period(self) -> float:
        """Seconds between two actions."""

    @property
    @abstractmethod
    def steps(self) -> int | None:
        """Control steps after which an episode ends at the latest; None where there is no limit."""

    def noise_chains(self) -> tuple[NoiseChain, ...]:
        """Return the noise of each of the d sensors."""
        default = self.noise.get("*", ())
        return tuple(NoiseChain.of(self.noise.get(sensor, default)) for sensor in self.sensors)

    def deviations(self) -> Floats:
        """Return the deviation of the Gaussian noise on each sensor (the first, where it has several), (d,)."""
        return np.array([chain.deviation for chain in self.noise_chains()])


@dataclass(frozen=True)
class World(BaseWorld):
    """A MuJoCo model and a task on it; an `Ensemble` says which of its parameters vary.

    Attributes:
        name: its name.
        path: the MJCF file.
        task: start, observation, reward and end of an episode.
        substeps: physics steps per control step.
        noise: noise of each sensor by name: a number, which is the standard deviation of Gaussian noise in the
            sensor's own unit, a noise model, or a sequence of them, which act one after the other; a key ``"*"``
            holds for the sensors that are not named.
    """

    name: str
    path: Path
    task: Task
    substeps: int
    noise: Mapping[str, Noise] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_noisy_sensors(self.name, self.sensors, self.noise)
        for sensor, noise in self.noise.items():
            try:
                NoiseChain.of(noise)
            except WorldError as error:
                raise WorldError(f"noise of world '{self.name}', sensor '{sensor}': {error}") from None

    @classmethod
    def gymnasium(cls, name: str, noise: Noise | Mapping[str, Noise] | None = None) -> World:
        """Make a world of Gymnasium's MuJoCo v5 environments, e.g. ``"Hopper"``; the model lies in Gymnasium's wheel.

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
        return cls(name, path, task(), substeps, by_sensor(noise))

    @classmethod
    def from_xml(
        cls,
        path: str | Path,
        task: QuadraticTask,
        control_period: float,
        *,
        name: str | None = None,
        noise: Noise | Mapping[str, Noise] | None = None,
    ) -> World:
        """Make a world from your own MJCF file.

        Args:
            path: the MJCF file.
            task: observations, rewards and ends of episodes.
            control_period: seconds between two actions; a whole multiple of the model's timestep.
            name: its name; the file's stem where none is given.
            noise: noise of the sensors, one for all or by name.

        Raises:
            WorldError: the file is missing or not MJCF, the task does not fit the model, or the control period is
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
        return cls(name or path.stem, path, bound, substeps, by_sensor(noise))

    @property
    def sensors(self) -> tuple[str, ...]:
        """Names of the d observed channels."""
        return self.task.sensors

    @property
    def actuators(self) -> tuple[str, ...]:
        """Names of the nu actuators, in the order of a policy's answers."""
        return actuator_names(self.compile())

    @property
    def answers(self) -> tuple[int, ...]:
        """The number of columns that a policy's answer has: nu."""
        return (self.compile().nu,)

    @property
    def control_period(self) -> float:
        """Seconds between two actions."""
        return self.substeps * float(self.compile().opt.timestep)

    @property
    def steps(self) -> int:
        """Control steps after which an episode ends at the latest."""
        return self.task.steps

    def compile(
        self, actuator_delays: Sequence[float] | Floats = (), sensor_delays: Sequence[float] | Floats = ()
    ) -> mujoco.MjModel:
        """Compile the model, with history buffers as `compile_model` makes them."""
        return compile_model(self.path, actuator_delays, sensor_delays)

    def read_log(
        self,
        path: str | Path | Sequence[str | Path],
        mapping: str | Path | Mapping[str, Any] | LogMapping,
        *,
        episodes: slice | None = None,
    ) -> Trajectories:
        """Read the log of a robot whose model this world has.

        Args:
            path: the log, or several, as `read_log` takes them.
            mapping: a TOML file, or a table as TOML gives it, that says which joint, sensor or actuator of this world
                each column is; or a mapping that was read.
            episodes: which episodes, as in ``slice(100, 200)``; all where none are given.

        Raises:
            ExchangeError: a file is missing, truncated, or not of its format.
            WorldError: the mapping cannot be read, or columns, names, units or timestamps do not fit it.
            EngineError: the format needs a package that is not installed.
        """
        from sim2real_cat.recordings.logs.mapping import LogMapping
        from sim2real_cat.recordings.logs.reader import read_log

        if isinstance(mapping, LogMapping):
            mapping = replace(mapping, world=self)
        elif isinstance(mapping, str | Path):
            mapping = LogMapping.from_toml(mapping, self)
        else:
            mapping = LogMapping.from_table(mapping, self)
        return read_log(path, mapping, episodes=episodes)


def compile_model(
    path: Path, actuator_delays: Sequence[float] | Floats = (), sensor_delays: Sequence[float] | Floats = ()
) -> mujoco.MjModel:
    """Compile an MJCF file; actuators and sensors get history buffers where delays are asked for.

    MuJoCo silently cuts a delay to the length of its buffer, so each buffer is made as long as its delay.

    Args:
        path: the MJCF file.
        actuator_delays: the longest delay of each actuator [s]; none where it is empty.
        sensor_delays: the longest delay of each of the model's sensors [s]; none where it is empty.

    Raises:
        WorldError: the file cannot be read or is not an MJCF model, or a delay is longer than its buffer can be.
    """
    import mujoco

    if not path.is_file():
        raise WorldError(f"{path}: no such model file; give the path of an MJCF .xml file")
    try:
        with compiling():
            spec = mujoco.MjSpec.from_file(str(path))
            model = spec.compile()
            for field in BUFFERS:
                check_buffers(model, field, np.atleast_2d(getattr(model, field)))
            asked = ((spec.actuators, actuator_delays), (spec.sensors, sensor_delays))
            grown = [_make_room(elements, delays, spec.option.timestep) for elements, delays in asked]
            return spec.compile() if any(grown) else model
    except WorldError as error:
        raise WorldError(f"{path}: {error}") from None
    except (ValueError, mujoco.FatalError) as error:
        reason = one_line(error)
        raise WorldError(f"{path}: not a model that MuJoCo can read: {reason}") from None


def check_buffers(model: mujoco.MjModel, field: str, delays: Floats) -> None:
    """Refuse delays that MuJoCo would silently cut to the length of their buffers.

    Args:
        model: the model with the buffers.
        field: ``"actuator_delay"`` or ``"sensor_delay"``.
        delays: (n, elements) [s].

    Raises:
        WorldError: it names the element, its delay and how long its buffer is.
    """
    timestep = float(model.opt.timestep)
    room = timestep * getattr(model, BUFFERS[field])[:, 0]
    beyond = np.argwhere(delays > room + 1e-9 * timestep)
    if len(beyond):
        row, element = beyond[0]
        kind = field.removesuffix("_delay")
        name = names(model, kind.upper())[element] or str(element)
        raise WorldError(
            f"{kind} '{name}' has a delay of {delays[row, element]:g} s, but its history buffer holds "
            f"{room[element]:g} s; it needs nsample={_samples(delays[row, element], timestep)}"
        )


def _make_room(elements: Sequence[Any], delays: Sequence[float] | Floats, timestep: float) -> bool:
    """Lengthen the history buffers of a model's elements to their delays; return whether any grew."""
    grown = False
    for element, delay in zip(elements, delays, strict=len(delays) > 0):
        samples = _samples(delay, timestep)
        if samples > _MOST_SAMPLES:
            raise WorldError(f"a delay of {delay:g} s is {samples} timesteps; delays are in seconds, is this one?")
        if samples > element.nsample:
            element.nsample = samples
            grown = True
    return grown


def _samples(delay: float, timestep: float) -> int:
    """Count the samples that the buffer of a delay needs."""
    return math.ceil(delay / timestep - 1e-9)


def by_sensor(noise: Noise | Mapping[str, Noise] | None) -> Mapping[str, Noise]:
    """Return noise as a mapping from sensors to noise; one noise for all stands under ``"*"``."""
    if noise is None:
        return {}
    return dict(noise) if isinstance(noise, Mapping) else {"*": noise}


def check_noisy_sensors(world: str, sensors: tuple[str, ...], noise: Mapping[str, object]) -> None:
    """Refuse noise of a sensor that a world does not have.

    Raises:
        WorldError: it names the sensor, and those that there are.
    """
    for sensor in noise:
        if sensor != "*" and sensor not in sensors:
            raise WorldError(f"noise of world '{world}': " + unknown_name("sensor", sensor, sensors))


def require_model(world: BaseWorld) -> World:
    """Return the world, if it has a MuJoCo model.

    Raises:
        WorldError: another simulator computes it.
    """
    if not isinstance(world, World):
        raise WorldError(
            f"world '{world.name}' is computed by another simulator and can only be rolled out in memory; what trains, "
            "replays, predicts or streams needs a model, for example that of World.from_xml"
        )
    return world
