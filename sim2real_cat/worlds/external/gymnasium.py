"""Gymnasium environments as worlds: slower than MuJoCo's batch, and only to roll out policies.

Either several environments of one kind are stepped one by one, or one VectorEnv steps them all.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, cast

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import PolicyError, WorldError, one_line, with_kind
from sim2real_cat.worlds.external.world import (
    Deviations,
    ExternalWorld,
    Frame,
    Lanes,
    ParameterValues,
    channels,
    check_configure,
    configured,
    named,
    padded,
)

if TYPE_CHECKING:
    Environment = gymnasium.Env[Any, Any] | VectorEnv[Any, Any, Any]


class GymnasiumWorld(ExternalWorld):
    """A `gymnasium.Env` or `VectorEnv` with a Box of observations and a Box or Discrete space of actions.

    Each episode resets its environment with its own seed. From there on the environment must not depend on earlier
    episodes, on other environments or on random numbers other than its ``np_random``. An episode ends where
    the environment terminates it (`Trajectories.terminated`), truncates it, or raises or shows NaN
    (`Trajectories.diverged`, with the reason). Observations and actions are flattened in row-major order. Actions are
    rounded to the type of their space and otherwise passed on unchanged, as Gymnasium does; where bounds matter, wrap
    the environment in ``gymnasium.wrappers.ClipAction``. In a Discrete space a policy answers the
    number of its choice, (k, 1), or a score for each, (k, choices), of which the highest counts; the recorded action is
    the choice.

    Args:
        make: a function that makes an environment or a VectorEnv, or the id of a registered environment.
        name: its name; the id that the environment is registered under, or its class, where none is given.
        sensors: d names for the observed channels; ``"observation[0]"`` and so on where none are given.
        actuators: nu names for the actions; ``"action[0]"`` and so on, or ``"choice"``, where none are given.
        control_period: seconds between two actions; the environment's attribute ``dt`` or ``tau`` where none is
            given, then the frames per second of its metadata, which some environments do not keep to.
        steps: control steps of an episode at most; those of the environment's registration where none are given.
        noise: standard deviation of Gaussian noise on each sensor, one for all or by name; other noise models,
            latency and loss are for MuJoCo's worlds.
        configure: ``configure(env, row)`` sets the parameters of an environment before every reset; `row` has the value
            of each of `parameters`. For a VectorEnv it gets the VectorEnv, and `row` a tuple of values, one for
            each sub-environment, as ``VectorEnv.set_attr`` takes them.
        parameters: nominal values of the parameters that `configure` sets; an ensemble scales, shifts or sets them.
        environments: how many are stepped side by side; changes nothing in the result. A VectorEnv has its own number.

    Raises:
        WorldError: an environment that cannot be made, spaces of another kind, names that do not fit, or no control
            period.
    """

    def __init__(
        self,
        make: Callable[[], Environment] | str,
        *,
        name: str | None = None,
        sensors: Sequence[str] | None = None,
        actuators: Sequence[str] | None = None,
        control_period: float | None = None,
        steps: int | None = None,
        noise: Deviations = None,
        configure: Callable[[Any, Any], None] | None = None,
        parameters: Mapping[str, float] | None = None,
        environments: int = 32,
    ) -> None:
        traits = _traits(make, name or (make if isinstance(make, str) else repr(make)))
        title = name or traits.name
        if environments < 1:
            raise WorldError(f"world '{title}' needs at least one environment, got {environments}")
        parameters = check_configure(configure, parameters, title)
        self._make, self._configure, self._environments = make, configure, environments
        self._actions = action_columns(traits.actions, title)
        observed = observation_columns(traits.observations, title)
        if control_period is None and traits.control_period is None:
            raise WorldError(f"world '{title}' does not say how long a step takes: give its control_period in seconds")
        super().__init__(
            title,
            named("sensor", sensors, observed, title),
            named("actuator", actuators, self._actions.names, title),
            traits.control_period or 0.0 if control_period is None else control_period,
            traits.steps if steps is None else steps,
            noise,
            parameters,
        )

    def lanes(self, episodes: int) -> Lanes:
        d, configure = len(self.sensors), self._configure
        first = _made(self._make, self.name)
        if isinstance(first, VectorEnv):
            return VectorLanes(self.name, first, self._actions, d, configure)
        count = min(self._environments, episodes)
        return SeparateLanes(self.name, first, self._another, count, self._actions, d, configure)

    def __repr__(self) -> str:
        limit = "no limit" if self.steps is None else f"{self.steps} steps"
        return (
            f"GymnasiumWorld('{self.name}', {len(self.sensors)} sensors, {len(self.actuators)} actuators, "
            f"{self.control_period:g} s a step, {limit})"
        )

    @property
    def answers(self) -> tuple[int, ...]:
        return self._actions.answers

    def taken(self, answer: Floats, place: Callable[[int], str]) -> Floats:
        return self._actions.taken(answer, place)

    def _another(self) -> gymnasium.Env[Any, Any]:
        """Make one more environment, not a VectorEnv, as the first is none."""
        return cast("gymnasium.Env[Any, Any]", _made(self._make, self.name))


@dataclass(frozen=True)
class _Traits:
    """The properties of an environment, as far as it tells them; None where it does not."""

    name: str
    observations: gymnasium.Space[Any]
    actions: gymnasium.Space[Any]
    control_period: float | None
    steps: int | None


def _traits(make: Callable[[], Environment] | str, world: str) -> _Traits:
    """Make an environment, look at it and close it."""
    environment = _made(make, world)
    try:
        if not isinstance(environment, VectorEnv):
            return _described(environment, *_spaces(environment, world, ""))
        spaces = _spaces(environment, world, "single_")
        # a sub-environment knows more than the vector, but may live in another process: look at one of its kind
        makers = getattr(environment.unwrapped, "env_fns", None)
        if not makers:
            return _described(environment, *spaces)
        with closing(makers[0]()) as alone:
            return _described(alone, *spaces)
    finally:
        environment.close()


def _spaces(environment: Environment, world: str, prefix: str) -> tuple[gymnasium.Space[Any], gymnasium.Space[Any]]:
    """Return the spaces of observations and actions of an environment.

    Raises:
        WorldError: it does not have them.
    """
    found = []
    for name in (f"{prefix}observation_space", f"{prefix}action_space"):
        space = getattr(environment, name, None)
        if space is None:
            raise WorldError(
                f"world '{world}': its environment, a {type(environment.unwrapped).__name__}, has no {name}; set "
                f"self.{name} = gymnasium.spaces.Box(...) in its __init__"
            )
        found.append(space)
    return found[0], found[1]


def _described(environment: Environment, observations: gymnasium.Space[Any], actions: gymnasium.Space[Any]) -> _Traits:
    """Collect the properties of an environment besides its spaces."""
    spec, inner = environment.spec, environment.unwrapped
    frames = environment.metadata.get("render_fps")
    periods = (getattr(inner, "dt", None), getattr(inner, "tau", None), 1.0 / frames if frames else None)
    period = next((float(known) for known in periods if isinstance(known, Real)), None)
    if spec is None:
        return _Traits(type(inner).__name__, observations, actions, period, None)
    return _Traits(spec.id, observations, actions, period, spec.max_episode_steps)


def _made(make: Callable[[], Environment] | str, world: str) -> Environment:
    """Make an environment with a function, or by the id of a registered one.

    Raises:
        WorldError: it cannot be made, or is something else.
    """
    if not isinstance(make, str) and not callable(make):
        raise WorldError(
            f"world '{world}' needs a function that makes an environment, or the id of one, got a "
            f"{type(make).__name__}; write lambda: gymnasium.make(...)"
        )
    try:
        environment = gymnasium.make(make, disable_env_checker=True) if isinstance(make, str) else make()
    except Exception as error:  # a user's function, or a module that an id names
        raise WorldError(f"the environment of world '{world}' cannot be made: {with_kind(error)}") from None
    if not isinstance(environment, gymnasium.Env | VectorEnv):
        raise WorldError(
            f"world '{world}': the function made a {type(environment).__name__}, which is neither a gymnasium.Env nor "
            "a gymnasium.vector.VectorEnv"
        )
    return environment


class ActionColumns(ABC):
    """The nu columns of an action, and their conversion to the actions of an environment."""

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """The nu names."""

    @property
    @abstractmethod
    def answers(self) -> tuple[int, ...]:
        """The numbers of columns that an answer may have; the first is nu."""

    @abstractmethod
    def taken(self, answer: Floats, place: Callable[[int], str]) -> Floats:
        """Convert answers of a policy to actions, see `ExternalWorld.taken`."""

    @abstractmethod
    def native(self, actions: Floats) -> NDArray[Any]:
        """Return actions (k, nu) in the shape and type of the environment's action space, (k, ...)."""


@dataclass(frozen=True)
class BoxColumns(ActionColumns):
    """A Box, flattened in row-major order. Bounds are left to the environment, as Gymnasium leaves them."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def names(self) -> tuple[str, ...]:
        return channels("action", self.shape)

    @property
    def answers(self) -> tuple[int, ...]:
        return (len(self.names),)

    def taken(self, answer: Floats, place: Callable[[int], str]) -> Floats:
        whole = np.issubdtype(self.dtype, np.integer)
        if whole and (answer != np.round(answer)).any():
            row, column = np.argwhere(answer != np.round(answer))[0]
            raise PolicyError(
                f"the policy answered {answer[row, column]} for '{self.names[column]}' {place(row)}, which takes whole "
                f"numbers ({self.dtype})"
            )
        return answer.astype(self.dtype).astype(np.float64)

    def native(self, actions: Floats) -> NDArray[Any]:
        return actions.reshape(len(actions), *self.shape).astype(self.dtype)


@dataclass(frozen=True)
class ChoiceColumns(ActionColumns):
    """A Discrete space: one column, the number of the choice.

    A policy answers that number, or one score for every choice, of which the highest counts; of equal scores the
    first.
    """

    start: int
    count: int

    @property
    def names(self) -> tuple[str, ...]:
        return ("choice",)

    @property
    def answers(self) -> tuple[int, ...]:
        return (1, self.count) if self.count > 1 else (1,)

    def taken(self, answer: Floats, place: Callable[[int], str]) -> Floats:
        if answer.shape[1] > 1:
            return np.asarray(self.start + answer.argmax(axis=1)[:, None], dtype=np.float64)
        last = self.start + self.count - 1
        wrong = (answer != np.round(answer)) | (answer < self.start) | (answer > last)
        if wrong.any():
            row = int(np.argmax(wrong[:, 0]))
            raise PolicyError(
                f"the policy answered {answer[row, 0]} {place(row)}, which takes a whole number from {self.start} to "
                f"{last}, or {self.count} scores of which the highest counts"
            )
        return answer

    def native(self, actions: Floats) -> NDArray[Any]:
        return actions[:, 0].astype(np.int64)


def action_columns(space: gymnasium.Space[Any], world: str) -> ActionColumns:
    """Return the columns of an action space.

    Raises:
        WorldError: a space that is neither Box nor Discrete.
    """
    if isinstance(space, gymnasium.spaces.Box):
        return BoxColumns(tuple(space.shape), np.dtype(space.dtype))
    if isinstance(space, gymnasium.spaces.Discrete):
        return ChoiceColumns(int(space.start), int(space.n))
    raise WorldError(
        f"world '{world}' has the action space {_short(space)}; a policy needs a Box or a Discrete space: wrap the "
        "environment in one of Gymnasium's TransformAction wrappers"
    )


def observation_columns(space: gymnasium.Space[Any], world: str) -> tuple[str, ...]:
    """Name the d channels of an observation space, flattened in row-major order.

    Raises:
        WorldError: another space than a Box.
    """
    if isinstance(space, gymnasium.spaces.Box):
        return channels("observation", tuple(space.shape))
    raise WorldError(
        f"world '{world}' has the observation space {_short(space)}; sensors need a Box: wrap the environment in "
        "gymnasium.wrappers.FlattenObservation"
    )


def _short(space: gymnasium.Space[Any]) -> str:
    """Return a space as a text of at most one line."""
    text = one_line(space)
    return text if len(text) <= 120 else f"{text[:117]}..."


class SeparateLanes(Lanes):
    """Environments that are stepped one after the other, so that one that raises ends only its own episode.

    Args:
        world: the world's name, for messages.
        first: an environment.
        make: makes another of its kind.
        count: how many of them.
        actions: the columns of an action.
        d: observed channels.
        configure: sets an environment's parameters before a reset.

    `reset` raises a WorldError where `make` gives an environment that is in use already.
    """

    def __init__(
        self,
        world: str,
        first: gymnasium.Env[Any, Any],
        make: Callable[[], gymnasium.Env[Any, Any]],
        count: int,
        actions: ActionColumns,
        d: int,
        configure: Callable[[Any, ParameterValues], None] | None,
    ) -> None:
        self.count = count
        self._world, self._make, self._actions, self._d, self._configure = world, make, actions, d, configure
        self._environments = {0: first}

    def reset(self, seeds: Sequence[int], rows: Sequence[ParameterValues]) -> Frame:
        frame = _blank(len(seeds), self._d)
        for lane, (seed, row) in enumerate(zip(seeds, rows, strict=True)):
            if lane not in self._environments:
                self._environments[lane] = self._another()
            if self._configure is not None:
                configured(self._world, self._configure, self._environments[lane], row)
            try:
                observation, _ = self._environments[lane].reset(seed=seed)
                frame.observations[lane] = _flat(observation, self._d)
            except Exception as error:  # another simulator may raise anything; it ends the episode
                frame.failures[lane] = self._broken(lane, error)
        return frame

    def step(self, actions: Floats, running: NDArray[np.bool_]) -> Frame:
        frame = _blank(len(actions), self._d)
        native = self._actions.native(actions)
        for lane in np.flatnonzero(running).tolist():
            try:
                observation, reward, terminated, truncated, _ = self._environments[lane].step(native[lane])
                frame.observations[lane] = _flat(observation, self._d)
                frame.rewards[lane] = float(reward)
                frame.terminated[lane], frame.truncated[lane] = bool(terminated), bool(truncated)
            except Exception as error:  # as in reset
                frame.failures[lane] = self._broken(lane, error)
        return frame

    def close(self) -> None:
        for environment in self._environments.values():
            environment.close()
        self._environments = {}

    def _another(self) -> gymnasium.Env[Any, Any]:
        """Make an environment for a lane that has none."""
        made = self._make()
        _check_apart([*self._environments.values(), made], self._world)
        return made

    def _broken(self, lane: int, error: Exception) -> str:
        """Close and forget an environment that raised, as its state may be anything; return its error in one line."""
        with contextlib.suppress(Exception):
            self._environments[lane].close()
        del self._environments[lane]
        return with_kind(error)


class VectorLanes(Lanes):
    """The sub-environments of a VectorEnv, which are always stepped together.

    After the end of an episode its sub-environment goes on until the others have ended, too; this is ignored.

    Args:
        world: the world's name, for messages.
        environments: the VectorEnv; it is closed with the lanes.
        actions: the columns of an action.
        d: observed channels.
        configure: sets the parameters of all sub-environments before a reset.

    Raises:
        WorldError: the VectorEnv does not tell its autoreset mode, or one environment is several
            of its sub-environments.
    """

    def __init__(
        self,
        world: str,
        environments: VectorEnv[Any, Any, Any],
        actions: ActionColumns,
        d: int,
        configure: Callable[[Any, ParameterValues], None] | None,
    ) -> None:
        self.count = environments.num_envs
        self._world, self._environments, self._actions, self._d = world, environments, actions, d
        self._configure = configure
        mode = environments.metadata.get("autoreset_mode")
        if mode is None:
            environments.close()
            raise WorldError(
                f"world '{world}': its VectorEnv has no metadata 'autoreset_mode' (gymnasium.vector.AutoresetMode)"
            )
        self._mode = AutoresetMode(mode)
        try:
            _check_apart(getattr(environments.unwrapped, "envs", ()), world)
        except WorldError:
            environments.close()
            raise

    def reset(self, seeds: Sequence[int], rows: Sequence[ParameterValues]) -> Frame:
        self._asked = len(seeds)
        if self._configure is not None:
            columns = {name: tuple(row[name] for row in padded(rows, self.count)) for name in rows[0]}
            configured(self._world, self._configure, self._environments, columns)
        observations, _ = self._call(self._environments.reset, seed=padded(seeds, self.count))
        frame = _blank(self._asked, self._d)
        frame.observations[:] = self._rows(observations)
        return frame

    def step(self, actions: Floats, running: NDArray[np.bool_]) -> Frame:
        native = self._actions.native(np.array(padded(actions, self.count)))
        observations, rewards, terminated, truncated, info = self._call(self._environments.step, native)
        ended = np.asarray(terminated, dtype=bool) | np.asarray(truncated, dtype=bool)
        rows = self._rows(observations)
        if ended.any() and self._mode is AutoresetMode.SAME_STEP:
            for lane in np.flatnonzero(ended[: self._asked]):
                rows[lane] = _flat(info["final_obs"][lane], self._d)
        if ended.any() and self._mode is AutoresetMode.DISABLED:
            self._call(self._environments.reset, options={"reset_mask": ended})
        frame = _blank(self._asked, self._d)
        frame.observations[:] = rows
        frame.rewards[:] = rewards[: self._asked]
        frame.terminated[:], frame.truncated[:] = terminated[: self._asked], truncated[: self._asked]
        return frame

    def close(self) -> None:
        self._environments.close()

    def _call(self, method: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        try:
            return method(*arguments, **options)
        except Exception as error:  # a sub-environment may raise anything
            with contextlib.suppress(Exception):
                self._environments.close(terminate=True)
            raise WorldError(
                f"world '{self._world}': its VectorEnv failed in {method.__name__} ({with_kind(error)}) and cannot say "
                "in which episode; it must take a list of seeds, and an environment that may raise is better given "
                "alone, as a function that makes one"
            ) from None

    def _rows(self, observations: Any) -> Floats:
        """Return the observations of the lanes that were asked for, (m, d)."""
        flat = np.array(observations, dtype=np.float64).reshape(self.count, -1)
        return flat[: self._asked]


def _check_apart(environments: Sequence[gymnasium.Env[Any, Any]], world: str) -> None:
    """Refuse environments of which two are the same object: each would go on where the other stands."""
    if len({id(environment.unwrapped) for environment in environments}) < len(environments):
        raise WorldError(
            f"world '{world}': the function that makes an environment gave the same one twice, so that episodes would "
            "run into each other; let it make a new one in every call"
        )


def _flat(observation: Any, d: int) -> Floats:
    """Return an observation as d numbers."""
    flat = np.array(observation, dtype=np.float64).ravel()
    if len(flat) != d:
        raise ValueError(f"an observation of {len(flat)} numbers, where the observation space has {d}")
    return flat


def _blank(m: int, d: int) -> Frame:
    """Return the output of m lanes that did not run."""
    return Frame(
        np.full((m, d), np.nan),
        np.zeros(m),
        np.zeros(m, dtype=bool),
        np.zeros(m, dtype=bool),
        np.zeros((m, 0)),
        np.zeros((m, 0)),
    )
