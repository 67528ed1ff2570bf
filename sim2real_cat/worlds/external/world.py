"""Worlds that another simulator computes; they can only be rolled out, a few episodes side by side."""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import PolicyError, WorldError, listed, unknown_name, with_kind
from sim2real_cat.policies.policy import Policy
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.worlds.randomization.change import Mode
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.sensors.noise import GaussianNoise
from sim2real_cat.worlds.simulation.episode_record import EpisodeRecord, join_records
from sim2real_cat.worlds.tasks.task import SimulationIndex, State
from sim2real_cat.worlds.world import BaseWorld, by_sensor, check_noisy_sensors

ParameterValues = Mapping[str, float]
"""The values of a world's parameters by name, in the simulator's own units."""

Deviations = float | GaussianNoise | Mapping[str, float | GaussianNoise] | None
"""Standard deviation of the Gaussian noise on each sensor, one for all or by name."""

_SEEDS = 2**31
"""The bound of seeds: every simulator takes a non-negative 32-bit integer."""


@dataclass(frozen=True, eq=False)
class Frame:
    """The output of m lanes after a reset or a control step; the rows of lanes that did not run are undefined.

    Attributes:
        observations: (m, d) without noise.
        rewards: (m,); 0 after a reset.
        terminated: (m,) whether the task ended the episode.
        truncated: (m,) whether the simulator cut the episode off, by its time limit for example.
        qpos: (m, nq) generalized positions; nq is 0 where the simulator does not tell them.
        qvel: (m, nv) generalized velocities; nv is 0 where the simulator does not tell them.
        failures: by lane, the message of the exception that the simulator raised.
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
    def reset(self, seeds: Sequence[int], rows: Sequence[ParameterValues]) -> Frame:
        """Start an episode in each of the first m lanes.

        Args:
            seeds: m seeds, m <= count.
            rows: m rows of parameters; empty rows where the world has none.
        """

    @abstractmethod
    def step(self, actions: Floats, running: NDArray[np.bool_]) -> Frame:
        """Do one control step of the m lanes that were reset.

        Args:
            actions: (m, nu), as `ExternalWorld.taken` gives them; in lanes that do not run, some valid action.
            running: (m,) whether the episode of each lane goes on.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the simulators."""


class ExternalWorld(BaseWorld):
    """A world that another simulator computes.

    Args:
        name: its name.
        sensors: names of the d observed channels.
        actuators: names of the nu actions.
        control_period: seconds between two actions.
        steps: control steps of an episode at most; None where the simulator has no limit.
        noise: standard deviation of the Gaussian noise on each sensor, one for all or by name, in the sensor's
            unit; ``"*"`` holds for the sensors that are not named. `GaussianNoise` is its deviation; other noise
            models, latency and loss are for MuJoCo's worlds.
        parameters: nominal values of the parameters that an ensemble may change.

    Raises:
        WorldError: a name given twice, noise of an unknown sensor, or a number that is out of range.
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
        noise: Deviations,
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
        self.noise = _plain_noise(name, sensors, noise)
        self.parameters = dict(parameters)
        self._sensors, self._actuators = sensors, actuators
        self._control_period, self._steps = control_period, steps

    @property
    def sensors(self) -> tuple[str, ...]:
        return self._sensors

    @property
    def actuators(self) -> tuple[str, ...]:
        return self._actuators

    @property
    def control_period(self) -> float:
        return self._control_period

    @property
    def steps(self) -> int | None:
        return self._steps

    @abstractmethod
    def lanes(self, episodes: int) -> Lanes:
        """Make simulators for a number of episodes."""

    @abstractmethod
    def taken(self, answer: Floats, place: Callable[[int], str]) -> Floats:
        """Convert a policy's answer to actions (k, nu), in the precision of the simulator's action space.

        Args:
            answer: (k, one of `answers`) finite numbers.
            place: a function that says where a row of the answer was given, for messages.

        Raises:
            PolicyError: a number that is not among the simulator's actions.
        """

    def actions(self, answer: Floats, episodes: NDArray[np.intp], step: int) -> Floats:
        """Convert a policy's answer in some episodes to actions (k, nu).

        Raises:
            PolicyError: the wrong shape, NaN or infinity, or not an action of this world.
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

    def rows(self, fibre: Ensemble) -> list[ParameterValues]:
        """Return the values of the parameters in every member of an ensemble.

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
        rows: list[ParameterValues] = []
        for drawn in fibre.values:
            row = dict(self.parameters)
            for parameter, mode, number in zip(fibre.parameters, fibre.modes, drawn, strict=True):
                row[parameter] = _changed(row[parameter], mode, float(number))
            rows.append(row)
        return rows


def channels(kind: str, shape: tuple[int, ...]) -> tuple[str, ...]:
    """Name every number of an array in row-major order, ``"action[1, 2]"``."""
    if not shape:
        return (kind,)
    return tuple(f"{kind}[{', '.join(map(str, index))}]" for index in itertools.product(*map(range, shape)))


def named(kind: str, given: Sequence[str] | None, default: tuple[str, ...], world: str) -> tuple[str, ...]:
    """Return the names that a user gave to a world's channels, or the default ones.

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
    """Return the parameters, if a function sets them; {} where neither is given.

    Raises:
        WorldError: one without the other.
    """
    if bool(parameters) != (configure is not None):
        missing = "a function configure" if configure is None else "parameters with their nominal values"
        raise WorldError(f"world '{world}': parameters and configure go together; give {missing} as well")
    return parameters or {}


def configured(world: str, configure: Callable[[Any, ParameterValues], None], environment: Any, row: Any) -> None:
    """Set the parameters of an environment by a user's function.

    Raises:
        WorldError: the function raised.
    """
    try:
        configure(environment, row)
    except Exception as error:  # a user's function
        raise WorldError(f"world '{world}': configure failed on {row}: {with_kind(error)}") from None


def padded(entries: Sequence[Any] | Floats, count: int) -> list[Any]:
    """Return an entry for each of `count` lanes; unused lanes get the first entry."""
    return [*entries, *[entries[0]] * (count - len(entries))]


def _changed(value: float, mode: Mode, drawn: float) -> float:
    if mode == "scale":
        return value * drawn
    return value + drawn if mode == "shift" else drawn


def _plain_noise(world: str, sensors: tuple[str, ...], noise: Deviations) -> dict[str, float]:
    """Return the standard deviation of the noise on each sensor that is named."""
    given = by_sensor(noise)
    check_noisy_sensors(world, sensors, given)
    deviations: dict[str, float] = {}
    for sensor, entry in given.items():
        deviation: object = entry.deviation if isinstance(entry, GaussianNoise) else entry
        if isinstance(deviation, bool) or not isinstance(deviation, int | float | np.integer | np.floating):
            shown = " ".join(repr(entry).split())
            raise WorldError(
                f"noise of world '{world}', sensor '{sensor}': another simulator takes one standard deviation per "
                f"sensor, got {shown if len(shown) <= 80 else shown[:77] + '...'}; noise models are for MuJoCo's worlds"
            )
        if not (math.isfinite(deviation) and deviation >= 0):
            raise WorldError(f"noise of world '{world}', sensor '{sensor}': needs to be >= 0, got {deviation}")
        deviations[sensor] = float(deviation)
    return deviations


def external_rollout(
    world: ExternalWorld,
    policy: Policy,
    *,
    rng: np.random.Generator,
    fibre: Ensemble,
    episodes: int,
    steps: int,
    name: str,
    until_terminated: bool,
    progress: Callable[[int], None] | None,
) -> Trajectories:
    """Roll a policy out as `rollout` does, as many episodes at once as there are lanes, wave after wave.

    Every episode has its own random stream, spawned from `rng` in order; the first number it draws is the seed of
    the simulator's reset, then comes the noise of the sensors, so the result does not depend on the number of lanes.
    An episode in which the simulator raises, or shows NaN or infinity, is marked as diverged, ends before the bad
    step, and `Trajectories.reasons` says why.

    The arguments are those of `rollout`, except that `until_terminated` must be true: another simulator cannot be asked
    to go on after its end. `progress` is called after every control step of a wave with the share of `steps` that all
    waves have done.

    Raises:
        WorldError: an ensemble that does not fit the world, or a simulator that cannot be made or started.
        PolicyError: the policy does not fit the world, or its actions do not or are NaN or infinite.
    """
    if not until_terminated:
        raise WorldError(f"world '{world.name}' stops where its task ends an episode; until_terminated must be true")
    policy.check_fit(world.sensors, world.actuators, world.name, world.answers)
    rows = world.rows(fibre)
    member_index = np.repeat(np.arange(len(fibre)), episodes)
    n = len(member_index)
    generators = rng.spawn(n)
    seeds = [int(generator.integers(_SEEDS)) for generator in generators]
    room = _noise(world, steps, generators)
    policy = policy.start(n)
    records: list[EpisodeRecord] = []
    reasons: list[str] = []
    with closing(world.lanes(n)) as lanes:
        waves = range(0, n, lanes.count)
        for done, first in enumerate(waves):
            wave = np.arange(first, min(first + lanes.count, n))
            start = lanes.reset([seeds[i] for i in wave], [rows[member] for member in member_index[wave]])
            play = _Wave(world, start, room[wave[0] : wave[-1] + 1], wave)
            for step in range(steps):
                if not len(play.running):
                    break
                play.step(policy, lanes, step)
                if progress is not None:
                    progress((done * steps + step + 1) // len(waves))
            records.append(play.record)
            reasons += play.reasons
    played = join_records(records, member_index, name, world.sensors, world.actuators, world.control_period)
    return replace(played, reasons=tuple(reasons))


class _Wave:
    """The episodes that the lanes of a simulator play side by side.

    Args:
        world: the simulator.
        start: the output of the lanes after their reset.
        room: (m, steps + 1, d) the noise of the sensors, which becomes the record of their readings.
        episodes: (m,) the number of each episode in the whole rollout.

    Attributes:
        record: the states, readings, actions and rewards so far.
        running: the lanes whose episodes go on.
        reasons: m reasons why an episode failed; '' where it did not.
    """

    def __init__(self, world: ExternalWorld, start: Frame, room: Floats, episodes: NDArray[np.intp]) -> None:
        self._world, self._episodes = world, episodes
        self.reasons = [""] * len(episodes)
        self.record = EpisodeRecord(room, len(world.actuators), *_shown(start, room[:, 0], slice(None)))
        self.running = np.arange(len(episodes))
        self._held = np.zeros((len(episodes), len(world.actuators)))
        self._keep_going(start, "reset")
        for lane in np.flatnonzero(self.record.diverged):  # its episode never started
            self.record.blank(int(lane))

    def step(self, policy: Policy, lanes: Lanes, step: int) -> None:
        """Do one control step of the running lanes and record it."""
        episodes = self._episodes[self.running]
        answer = policy.act(self.record.observations[self.running, step], episodes, step)
        actions = self._world.actions(answer, episodes, step)
        if step == 0:
            self._held[:] = actions[0]  # a lane that never ran needs some valid action too
        self._held[self.running] = actions
        frame = lanes.step(self._held, np.isin(np.arange(len(self._held)), self.running))
        self._keep_going(frame, f"control step {step}")
        rows = self.running
        after, readings = _shown(frame, self.record.observations[:, step + 1], rows)
        self.record.step(rows, step, self._held[rows], frame.rewards[rows], after, readings)
        self.record.terminated[rows] = frame.terminated[rows]
        self.running = rows[~(frame.terminated | frame.truncated)[rows]]

    def _keep_going(self, frame: Frame, when: str) -> None:
        """End the episodes of the running lanes that failed, and note why."""
        for lane in self.running.tolist():
            reason = frame.failures.get(lane) or _not_finite(frame, lane, self._world.sensors)
            if reason:
                self.reasons[lane] = f"{when}: {reason}"
                self.record.diverged[lane] = True
        self.running = self.running[~self.record.diverged[self.running]]


def _noise(world: ExternalWorld, steps: int, generators: Sequence[np.random.Generator]) -> Floats:
    """Draw the noise of the sensors in every frame of every episode, (n, steps + 1, d)."""
    noise, deviations = np.zeros((len(generators), steps + 1, len(world.sensors))), world.deviations()
    if deviations.any():
        for generator, episode in zip(generators, noise, strict=True):
            generator.standard_normal(out=episode)
        noise *= deviations
    return noise


def _shown(frame: Frame, noise: Floats, rows: SimulationIndex) -> tuple[State, Floats]:
    """Return the states of some lanes, and their readings, with the rows of `noise` (m, d) for these lanes."""
    return State(frame.qpos[rows], frame.qvel[rows]), frame.observations[rows] + noise[rows]


def _not_finite(frame: Frame, lane: int, sensors: Sequence[str]) -> str:
    """Name a number of a lane that is NaN or infinite; '' where all are finite."""
    bad = np.flatnonzero(~np.isfinite(frame.observations[lane]))
    if len(bad):
        return f"sensor '{sensors[bad[0]]}' reads {frame.observations[lane, bad[0]]}"
    if not (np.isfinite(frame.qpos[lane]).all() and np.isfinite(frame.qvel[lane]).all()):
        return "a position or velocity is NaN or infinite"
    return "" if np.isfinite(frame.rewards[lane]) else f"the reward is {frame.rewards[lane]}"
