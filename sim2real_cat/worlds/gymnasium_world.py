"""Any Gymnasium environment as a world: slower than MuJoCo's batch, and only to roll out policies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, cast

from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.external_world import Array, ExternalWorld, Lanes, Noise, check_configure, named, one_line

if TYPE_CHECKING:
    import gymnasium
    from gymnasium.vector import VectorEnv

    Environment = gymnasium.Env[Any, Any] | VectorEnv[Any, Any, Any]


class GymnasiumWorld(ExternalWorld):
    """A `gymnasium.Env` or `VectorEnv` with a Box of observations and a Box or Discrete space of actions.

    Each episode resets its environment with a seed of its own; from there on the environment must not depend on what
    it did before, on other environments or on random numbers other than its ``np_random``. An episode ends where
    the environment terminates it (`Trajectories.terminated`), truncates it, or raises or shows NaN
    (`Trajectories.diverged`, with the reason). Observations and actions are flattened in row-major order. Actions are
    rounded to the type of their space and otherwise passed on as they are, as Gymnasium does: an environment that
    minds its bounds is wrapped in ``gymnasium.wrappers.ClipAction``. In a Discrete space a policy answers the
    number of its choice, (k, 1), or a score for each, (k, choices), of which the highest counts; the recorded action is
    the choice.

    Args:
        make: a function that makes an environment or a VectorEnv, or the id of a registered environment.
        name: what people call it; the id that the environment is registered under, or its class, where none is given.
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
        parameters: what `configure` can change, with nominal values; an ensemble scales, shifts or sets these.
        environments: how many are stepped side by side; changes nothing in the result. A VectorEnv has its own number.

    Raises:
        WorldError: an environment that cannot be made, spaces that are no columns of numbers, names that do not fit,
            or no control period.
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
        noise: Noise = None,
        configure: Callable[[Any, Any], None] | None = None,
        parameters: Mapping[str, float] | None = None,
        environments: int = 32,
    ) -> None:
        from sim2real_cat.worlds.gymnasium_spaces import action_columns, observation_columns

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
        from gymnasium.vector import VectorEnv

        from sim2real_cat.worlds.gymnasium_lanes import SeparateLanes, VectorLanes

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

    def taken(self, answer: Array, place: Callable[[int], str]) -> Array:
        return self._actions.taken(answer, place)

    def _another(self) -> gymnasium.Env[Any, Any]:
        """One more environment, which is no VectorEnv if the first was none."""
        return cast("gymnasium.Env[Any, Any]", _made(self._make, self.name))


@dataclass(frozen=True)
class _Traits:
    """What an environment says of itself; None where it does not."""

    name: str
    observations: gymnasium.Space[Any]
    actions: gymnasium.Space[Any]
    control_period: float | None
    steps: int | None


def _traits(make: Callable[[], Environment] | str, world: str) -> _Traits:
    """Make an environment, look at it and close it."""
    from gymnasium.vector import VectorEnv

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
    """The spaces of observations and actions of an environment.

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
    """What an environment says of itself besides its spaces."""
    spec, inner = environment.spec, environment.unwrapped
    frames = environment.metadata.get("render_fps")
    periods = (getattr(inner, "dt", None), getattr(inner, "tau", None), 1.0 / frames if frames else None)
    period = next((float(known) for known in periods if isinstance(known, Real)), None)
    if spec is None:
        return _Traits(type(inner).__name__, observations, actions, period, None)
    return _Traits(spec.id, observations, actions, period, spec.max_episode_steps)


def _made(make: Callable[[], Environment] | str, world: str) -> Environment:
    """An environment from a function or the id of a registered one.

    Raises:
        WorldError: it cannot be made, or is something else.
    """
    import gymnasium
    from gymnasium.vector import VectorEnv

    if not isinstance(make, str) and not callable(make):
        raise WorldError(
            f"world '{world}' needs a function that makes an environment, or the id of one, got a "
            f"{type(make).__name__}; write lambda: gymnasium.make(...)"
        )
    try:
        environment = gymnasium.make(make, disable_env_checker=True) if isinstance(make, str) else make()
    except Exception as error:  # a user's function, or a module that an id names
        raise WorldError(f"the environment of world '{world}' cannot be made: {one_line(error)}") from None
    if not isinstance(environment, gymnasium.Env | VectorEnv):
        raise WorldError(
            f"world '{world}': the function made a {type(environment).__name__}, which is neither a gymnasium.Env nor "
            "a gymnasium.vector.VectorEnv"
        )
    return environment
