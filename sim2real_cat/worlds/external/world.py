"""A world whose physics is another simulator's: it can only roll out, a few episodes side by side."""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import PolicyError, WorldError, listed, one_line, unknown_name, with_kind
from sim2real_cat.worlds.randomization.change import Mode
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.sensors.noise import GaussianNoise

Row = Mapping[str, float]
"""The values of a world's parameters by name, in the simulator's own units."""

Noise = float | GaussianNoise | Mapping[str, float | GaussianNoise] | None
"""Standard deviation of the Gaussian noise on each sensor, one for all or by name."""


@dataclass(frozen=True, eq=False)
class Frame:
    """What m lanes show after a reset or a control step; rows of lanes that did not run mean nothing.

    Attributes:
        observations: (m, d) without noise.
        rewards: (m,); 0 after a reset.
        terminated: (m,) whether the task ended the episode.
        truncated: (m,) whether the simulator cut the episode off, by its time limit for example.
        qpos: (m, nq) generalized positions; nq is 0 where the simulator does not tell.
        qvel: (m, nv) generalized velocities; nv is 0 where the simulator does not tell.
        failures: by lane, what the simulator raised.
    """

    observations: Floats
    rewards: Floats
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    qpos: Floats
    qvel: Floats
    failures: dict[int, str] = field(default_factory=dict)


class Lanes(ABC):
    """Simulators side by side, each of which plays one episode after the other.

    Attributes:
        count: how many episodes they play at once.
    """

    count: int

    @abstractmethod
    def reset(self, seeds: Sequence[int], rows: Sequence[Row]) -> Frame:
        """Start an episode in each of the first m lanes.

        Args:
            seeds: m seeds, m <= count.
            rows: m rows of parameters; empty rows where the world has none.
        """

    @abstractmethod
    def step(self, actions: Floats, running: NDArray[np.bool_]) -> Frame:
        """One control step of the m lanes that were reset.

        Args:
            actions: (m, nu), as `ExternalWorld.taken` gives them; in lanes that do not run, some valid action.
            running: (m,) the lanes whose episode goes on.
        """

    @abstractmethod
    def close(self) -> None:
        """Give back what the simulators hold."""


class ExternalWorld(ABC):
    """A world that another simulator computes.

    Args:
        name: what people call it.
        sensors: names of the d observed channels.
        actuators: names of the nu actions.
        control_period: seconds between two actions.
        steps: control steps of an episode at most; None where the simulator has no limit of its own.
        noise: standard deviation of the Gaussian noise on each sensor, one for all or by name, in the sensor's
            unit; ``"*"`` holds for the sensors that are not named. `GaussianNoise` is its deviation; other noise
            models, latency and loss are for MuJoCo's worlds.
        parameters: nominal values of what an ensemble may change.

    Raises:
        WorldError: a name given twice, a sensor that there is not, or a number that is out of range.
    """

    nq = 0
    nv = 0

    def __init__(
        self,
        name: str,
        sensors: tuple[str, ...],
        actuators: tuple[str, ...],
        control_period: float,
        steps: int | None,
        noise: Noise,
        parameters: Mapping[str, float],
    ) -> None:
        for kind, names in (("sensor", sensors), ("actuator", actuators)):
            twice = sorted({entry for entry in names if names.count(entry) > 1})
            if twice:
                raise WorldError(f"world '{name}': {kind} names are taken twice: {listed(twice)}")
        if not (math.isfinite(control_period) and control_period > 0):
            raise WorldError(f"world '{name}': the control period needs to be > 0 seconds, got {control_period}")
        for parameter, value in parameters.items():
            if not math.isfinite(value):
                raise WorldError(f"world '{name}', parameter '{parameter}': needs a finite nominal value, got {value}")
        self.name = name
        self.sensors = sensors
        self.actuators = actuators
        self.control_period = control_period
        self.steps = steps
        self.parameters = dict(parameters)
        self.deviations = _deviations(name, sensors, noise)

    @abstractmethod
    def lanes(self, episodes: int) -> Lanes:
        """Simulators for so many episodes."""

    @property
    @abstractmethod
    def answers(self) -> tuple[int, ...]:
        """How many columns a policy's answer may have; the first is nu."""

    @abstractmethod
    def taken(self, answer: Floats, place: Callable[[int], str]) -> Floats:
        """The actions that the simulator gets for a policy's answer, (k, nu), in the precision of its action space.

        Args:
            answer: (k, one of `answers`) finite numbers.
            place: where a row of the answer was given, for messages.

        Raises:
            PolicyError: a number that is none of the simulator's actions.
        """

    @property
    def task(self) -> NoReturn:
        """Not there: the simulator has its own task; always raises, as `compile`."""
        self.compile()

    def compile(self) -> NoReturn:
        """Not there: always raises, so that what needs a model says so.

        Raises:
            WorldError: always.
        """
        raise WorldError(
            f"world '{self.name}' is computed by another simulator and can only be rolled out in memory; what trains, "
            "replays, predicts or streams needs a model, for example that of World.from_xml"
        )

    def actions(self, answer: Floats, episodes: NDArray[np.intp], step: int) -> Floats:
        """The actions, (k, nu), for what a policy answered in some episodes.

        Raises:
            PolicyError: the wrong shape, NaN or infinity, or no action of this world.
        """
        shapes = [(len(episodes), width) for width in self.answers]
        if answer.shape not in shapes:
            expected = " or ".join(str(shape) for shape in shapes)
            raise PolicyError(
                f"world '{self.name}' expects actions of shape {expected}, the policy answered {answer.shape}"
            )

        def place(row: int) -> str:
            return f"in episode {episodes[row]}, control step {step}, of world '{self.name}'"

        if not np.isfinite(answer).all():
            row, column = np.argwhere(~np.isfinite(answer))[0]
            raise PolicyError(
                f"the policy answered {answer[row, column]} in column {column} {place(row)}; check its weights and "
                "its observations"
            )
        return self.taken(answer, place)

    def rows(self, fibre: Ensemble) -> list[Row]:
        """The parameters of every member of an ensemble.

        Raises:
            WorldError: a parameter that the world does not have.
        """
        for parameter in fibre.parameters:
            if not self.parameters:
                raise WorldError(
                    f"world '{self.name}' has no parameter '{parameter}', as nobody said how to change it: give it a "
                    "function configure and parameters with their nominal values"
                )
            if parameter not in self.parameters:
                raise WorldError(f"world '{self.name}': " + unknown_name("parameter", parameter, self.parameters))
        rows: list[Row] = []
        for drawn in fibre.values:
            row = dict(self.parameters)
            for parameter, mode, number in zip(fibre.parameters, fibre.modes, drawn, strict=True):
                row[parameter] = _changed(row[parameter], mode, float(number))
            rows.append(row)
        return rows


def channels(kind: str, shape: tuple[int, ...]) -> tuple[str, ...]:
    """A name for every number of an array in row-major order, ``"action[1, 2]"``."""
    if not shape:
        return (kind,)
    return tuple(f"{kind}[{', '.join(map(str, index))}]" for index in itertools.product(*map(range, shape)))


def named(kind: str, given: Sequence[str] | None, default: tuple[str, ...], world: str) -> tuple[str, ...]:
    """The names that a user gave to a world's channels, or those that they have by default.

    Raises:
        WorldError: there are more or fewer names than channels.
    """
    if given is None:
        return default
    if len(given) != len(default):
        raise WorldError(f"world '{world}' has {len(default)} {kind}s, got {len(given)} names: {listed(given)}")
    return tuple(given)


def check_configure(
    configure: Callable[..., None] | None, parameters: Mapping[str, float] | None, world: str
) -> Mapping[str, float]:
    """The parameters, if there are both parameters and a function that sets them, or neither.

    Raises:
        WorldError: one without the other.
    """
    if bool(parameters) != (configure is not None):
        missing = "a function configure" if configure is None else "parameters with their nominal values"
        raise WorldError(f"world '{world}': parameters and configure go together; give {missing} as well")
    return parameters or {}


def configured(world: str, configure: Callable[[Any, Row], None], environment: Any, row: Any) -> None:
    """Set parameters.

    Raises:
        WorldError: the function raised.
    """
    try:
        configure(environment, row)
    except Exception as error:  # a user's function
        raise WorldError(f"world '{world}': configure failed on {row}: {with_kind(error)}") from None


def padded(entries: Sequence[Any] | Floats, count: int) -> list[Any]:
    """An entry for each of `count` lanes; lanes of which nothing is asked do as the first."""
    return [*entries, *[entries[0]] * (count - len(entries))]


def _changed(value: float, mode: Mode, drawn: float) -> float:
    if mode == "scale":
        return value * drawn
    return value + drawn if mode == "shift" else drawn


def _deviations(world: str, sensors: tuple[str, ...], noise: Noise) -> Floats:
    """Standard deviation of the noise on each sensor, (d,)."""
    given = noise if isinstance(noise, Mapping) else {"*": 0.0 if noise is None else noise}
    by_name: dict[str, float] = {}
    for sensor, entry in given.items():
        if sensor != "*" and sensor not in sensors:
            raise WorldError(f"noise of world '{world}': " + unknown_name("sensor", sensor, sensors))
        deviation: object = entry.deviation if isinstance(entry, GaussianNoise) else entry
        if isinstance(deviation, bool) or not isinstance(deviation, int | float | np.integer | np.floating):
            shown = one_line(repr(entry))
            raise WorldError(
                f"noise of world '{world}', sensor '{sensor}': another simulator takes one standard deviation per "
                f"sensor, got {shown if len(shown) <= 80 else shown[:77] + '...'}; noise models are for MuJoCo's worlds"
            )
        if not (math.isfinite(deviation) and deviation >= 0):
            raise WorldError(f"noise of world '{world}', sensor '{sensor}': needs to be >= 0, got {deviation}")
        by_name[sensor] = float(deviation)
    return np.array([by_name.get(sensor, by_name.get("*", 0.0)) for sensor in sensors], dtype=np.float64)
