"""MuJoCo Playground's dm_control_suite tasks as worlds: rolled out by jitted, vmapped steps on JAX.

Needs the extra ``playground``. Source: K. Zakka et al., "MuJoCo Playground", 2025, package ``playground`` 0.2.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import WorldError, unknown_name
from sim2real_cat.worlds.engine_log import compiling
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

Implementation = Literal["jax", "warp"]
"""The physics engine of MuJoCo Playground that computes a world."""


class PlaygroundWorld(ExternalWorld):
    """A task of MuJoCo Playground, computed in single precision; see `playground_world`, which makes one."""

    def __init__(
        self,
        environment: Any,
        name: str,
        *,
        sensors: Sequence[str] | None,
        actuators: Sequence[str] | None,
        steps: int,
        noise: Deviations,
        configure: Callable[[mujoco.MjModel, Any], None] | None,
        parameters: Mapping[str, float] | None,
        environments: int,
        implementation: Implementation,
    ) -> None:
        import jax

        if environments < 1:
            raise WorldError(f"world '{name}' needs at least one environment, got {environments}")
        size = environment.observation_size
        if not isinstance(size, int):
            raise WorldError(f"world '{name}' observes {size}; sensors need one vector")
        model = environment.mj_model
        acted = tuple(model.actuator(i).name or default for i, default in enumerate(channels("action", (model.nu,))))
        if environment.action_size != model.nu:
            acted = channels("action", (environment.action_size,))
        super().__init__(
            name,
            named("sensor", sensors, channels("observation", (size,)), name),
            named("actuator", actuators, acted, name),
            float(environment.dt),
            steps,
            noise,
            check_configure(configure, parameters, name),
        )
        self.nq, self.nv = int(model.nq), int(model.nv)
        self._environment, self._configure, self._environments = environment, configure, environments
        self._implementation = implementation
        self._models: dict[tuple[float, ...], Any] = {}
        # compiled once for the world, as every rollout has the same width
        self._reset: Any = jax.jit(jax.vmap(self._on(environment.reset)))
        self._step: Any = jax.jit(jax.vmap(self._on(environment.step)))

    def lanes(self, episodes: int) -> Lanes:
        return _PlaygroundLanes(self, self._environments)

    @property
    def answers(self) -> tuple[int, ...]:
        return (len(self.actuators),)

    def taken(self, answer: Floats, place: Callable[[int], str]) -> Floats:
        return answer.astype(np.float32).astype(np.float64)

    def models(self, rows: Sequence[ParameterValues]) -> Any:
        """Return the models of some rows of parameters, stacked; None where the world has no parameters.

        Raises:
            WorldError: configure failed, or changed more than numbers.
        """
        import jax

        if self._configure is None:
            return None
        made = [self._model(row) for row in rows]
        if len({jax.tree.structure(model) for model in made}) > 1:
            raise WorldError(f"world '{self.name}': configure may only change numbers, not what the model consists of")
        return jax.tree.map(lambda *leaves: jax.numpy.stack(leaves), *made)

    def _model(self, row: ParameterValues) -> Any:
        """Return the model of one row of parameters, with the constants that follow from them."""
        from mujoco import mjx

        key = tuple(row.values())
        if key not in self._models:
            assert self._configure is not None
            model = copy.copy(self._environment.mj_model)
            configured(self.name, self._configure, model, row)
            if model.opt.timestep != self._environment.mj_model.opt.timestep:
                raise WorldError(f"world '{self.name}': the control period hangs on the timestep; leave it as it is")
            mujoco.mj_setConst(model, mujoco.MjData(model))
            self._models[key] = mjx.put_model(model, impl=self._implementation)
        return self._models[key]

    def _on(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return a method of the environment as a function of a model too, as Playground's own randomization does."""
        environment = self._environment.unwrapped

        def call(model: Any, *arguments: Any) -> Any:
            if model is None:
                return method(*arguments)
            before = environment._mjx_model
            environment._mjx_model = model
            try:
                return method(*arguments)
            finally:
                environment._mjx_model = before

        return call


def playground_world(
    task: str,
    *,
    name: str | None = None,
    sensors: Sequence[str] | None = None,
    actuators: Sequence[str] | None = None,
    noise: Deviations = None,
    configure: Callable[[mujoco.MjModel, Any], None] | None = None,
    parameters: Mapping[str, float] | None = None,
    environments: int = 16,
    implementation: Implementation = "jax",
) -> PlaygroundWorld:
    """Make a world of a dm_control_suite task of MuJoCo Playground, e.g. ``"CartpoleBalance"``.

    The same seed gives the same bytes for the same `environments`, however many episodes are asked for. Another number
    of environments is compiled to another program, which rounds otherwise in single precision.

    Args:
        task: the task's name.
        name: its name; the task's name where none is given.
        sensors: d names for the observed channels; ``"observation[0]"`` and so on where none are given.
        actuators: nu names; the model's own where none are given.
        noise: standard deviation of Gaussian noise on each sensor, one for all or by name.
        configure: ``configure(model, row)`` changes numbers of a copy of the task's `mujoco.MjModel`; `row` has the
            value of each of `parameters`.
        parameters: nominal values of the parameters that `configure` sets; an ensemble scales, shifts or sets them.
        environments: how many episodes are stepped at once.
        implementation: the physics, ``"jax"`` or ``"warp"``.

    Raises:
        WorldError: the package is missing, there is no such task, or names that do not fit.
    """
    try:
        from mujoco_playground import dm_control_suite
    except ImportError as error:
        raise WorldError(
            f"Playground tasks need the package playground ({error}): pip install 'sim2real-cat[playground]'"
        ) from None
    if task not in dm_control_suite.ALL_ENVS:
        raise WorldError(unknown_name("Playground task", task, dm_control_suite.ALL_ENVS))
    settings = dm_control_suite.get_default_config(task)
    with compiling():
        environment = dm_control_suite.load(task, config_overrides={"impl": implementation})
    return PlaygroundWorld(
        environment,
        name or task,
        sensors=sensors,
        actuators=actuators,
        steps=int(settings.episode_length),
        noise=noise,
        configure=configure,
        parameters=parameters,
        environments=environments,
        implementation=implementation,
    )


class _PlaygroundLanes(Lanes):
    """Episodes of one compiled program; unused lanes do the same as the first."""

    def __init__(self, world: PlaygroundWorld, count: int) -> None:
        self.count = count
        self._world = world

    def reset(self, seeds: Sequence[int], rows: Sequence[ParameterValues]) -> Frame:
        import jax

        self._asked = len(seeds)
        keys = jax.vmap(jax.random.PRNGKey)(np.array(padded(seeds, self.count), dtype=np.uint32))
        self._models = self._world.models(padded(rows, self.count))
        self._state = self._world._reset(self._models, keys)
        return self._frame()

    def step(self, actions: Floats, running: NDArray[np.bool_]) -> Frame:
        every = np.array(padded(actions, self.count), dtype=np.float32)
        self._state = self._world._step(self._models, self._state, every)
        return self._frame()

    def close(self) -> None:
        self._state = self._models = None

    def _frame(self) -> Frame:
        state, asked = self._state, slice(self._asked)
        observations, rewards, qpos, qvel = (
            np.array(values, dtype=np.float64)[asked]
            for values in (state.obs, state.reward, state.data.qpos, state.data.qvel)
        )
        terminated = np.array(state.done, dtype=bool)[asked]
        return Frame(observations, rewards, terminated, np.zeros_like(terminated), qpos, qvel)
