"""A world as the vector environment of Stable-Baselines3 (extra ``rl``), stepped as one batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import PolicyError, WorldError
from sim2real_cat.worlds.randomization.ensemble import Ensemble, fibre_or_nominal
from sim2real_cat.worlds.simulation.simulator import Stepper
from sim2real_cat.worlds.world import World

try:
    from gymnasium.spaces import Box
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
except ImportError:

    class _NotInstalled:
        """A base whose classes can be looked up, as help and completion do, but not made."""

        def __new__(cls, *_arguments: object, **_options: object) -> _NotInstalled:
            raise PolicyError("training with PPO and VectorEnv need stable-baselines3: pip install 'sim2real-cat[rl]'")

    BaseCallback = VecEnv = VecEnvWrapper = _NotInstalled

Indices = None | int | Iterable[int]


class VectorEnv(VecEnv):  # type: ignore[misc]
    """Environments that are the members of an ensemble, in turn, and step together.

    Observations are the readings of the sensors, noise included. Actions are in the units of the model's controls and
    clipped to its ``ctrlrange``; where an actuator has none, to ±1e10, beyond which MuJoCo ignores controls (an
    algorithm that scales its actions by the space, such as SAC, needs a ``ctrlrange``). An episode that ends is
    followed at once by the next one: the ``infos`` then hold ``terminal_observation``, ``TimeLimit.truncated`` and
    ``episode`` (return ``r`` and length ``l``), as Stable-Baselines3 asks for. A simulation that blew up counts as
    truncated before the bad step, without reward, and ``diverged`` is true in its info.

    Environment i draws its episodes from its own random stream, so its episodes do not depend on when the others end,
    nor on threads. `seed`, which Stable-Baselines3 calls with its seed, starts all streams again at the next reset.

    Args:
        world: model, task, sensors.
        rng: a generator, or a seed for one.
        fibre: the ensemble; the world as it is where none is given.
        environments: how many at least; rounded up so that every member has equally many.
        steps: control steps after which an episode is truncated; the task's own number where none is given.
        threads: physics threads; 0 means one per available core.

    Raises:
        WorldError: no environments or steps asked for, or an ensemble that does not fit the world.
    """

    def __init__(
        self,
        world: World,
        *,
        rng: np.random.Generator | int = 0,
        fibre: Ensemble | None = None,
        environments: int = 1,
        steps: int | None = None,
        threads: int = 0,
    ) -> None:
        if environments < 1 or (steps is not None and steps < 1):
            raise WorldError(f"a VectorEnv needs at least one environment and one step, got {environments} and {steps}")
        fibre = fibre_or_nominal(fibre)
        member_index = np.tile(np.arange(len(fibre)), -(-environments // len(fibre)))
        self.world, self.render_mode = world, None
        self.stepper = Stepper(world, fibre, member_index, steps=steps, threads=threads)
        self.member_index = member_index
        self._streams = np.random.default_rng(rng).spawn(len(member_index))
        self._returns = np.zeros(len(member_index))
        self._actions = np.zeros((len(member_index), int(self.stepper.model.nu)))
        self.low, self.high = self.stepper.control_bounds()
        unbounded = np.full(len(world.sensors), np.inf)
        super().__init__(
            len(member_index),
            Box(-unbounded, unbounded, dtype=np.float64),
            Box(self.low.astype(np.float32), self.high.astype(np.float32), dtype=np.float32),
        )

    def reset(self) -> Floats:
        """Start an episode in every environment; return the readings, (n, d)."""
        if any(seed is not None for seed in self._seeds):
            self._streams = [
                stream if seed is None else np.random.default_rng(seed)
                for seed, stream in zip(self._seeds, self._streams, strict=True)
            ]
        self._reset_seeds()
        self._reset_options()
        self.reset_infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        return self._begin(np.arange(self.num_envs))

    def step_async(self, actions: NDArray[Any]) -> None:
        """Take the actions of the next step, (n, nu)."""
        self._actions = np.clip(np.asarray(actions, dtype=np.float64), self.low, self.high)

    def step_wait(self) -> tuple[Floats, Floats, NDArray[np.bool_], list[dict[str, Any]]]:
        """Take the step; return observations (n, d), rewards (n,), whether episodes ended (n,), and n infos.

        Raises:
            PolicyError: the actions have the wrong shape, or are NaN or infinite.
            WorldError: MuJoCo refused to simulate.
        """
        done = self.stepper.advance(self._actions)
        self._returns += done.rewards
        observations, ended = done.observations, np.flatnonzero(done.ended)
        infos: list[dict[str, Any]] = [{"TimeLimit.truncated": False} for _ in range(self.num_envs)]
        for i in ended:
            infos[i] = {
                "TimeLimit.truncated": bool(done.truncated[i] or done.diverged[i]),
                "terminal_observation": observations[i].copy(),
                "episode": {"r": float(self._returns[i]), "l": int(self.stepper.elapsed[i])},
                "diverged": bool(done.diverged[i]),
            }
        if len(ended):
            observations[ended] = self._begin(ended)
        return observations, done.rewards, done.ended, infos

    def close(self) -> None:
        """Do nothing: the simulations are memory only."""

    def get_attr(self, attr_name: str, indices: Indices = None) -> list[Any]:
        """Return an attribute of this object, which all environments share, once for each."""
        return [getattr(self, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Indices = None) -> None:
        """Refuse to set an attribute: the environments are one batch and share all attributes."""
        raise PolicyError(f"'{attr_name}' cannot be set: the environments are one batch; make another VectorEnv")

    def env_method(
        self, method_name: str, *method_args: Any, indices: Indices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Refuse to call a method: the environments are one batch and share all methods."""
        raise PolicyError(f"'{method_name}' cannot be called: the environments are one batch and have no methods")

    def env_is_wrapped(self, wrapper_class: type[Any], indices: Indices = None) -> list[bool]:
        """Return that no environment is wrapped by itself."""
        return [False for _ in self._get_indices(indices)]

    def _begin(self, rows: NDArray[np.intp]) -> Floats:
        """Start the next episode of some environments."""
        self._returns[rows] = 0
        return self.stepper.reset(rows, [self._streams[row].spawn(1)[0] for row in rows])


class UnitActions(VecEnvWrapper):  # type: ignore[misc]
    """Actions in [-1, 1] for the range of every actuator; as they are where an actuator has no range.

    Attributes:
        centre: (nu,) the control that 0 means.
        half: (nu,) half the width of the range.
    """

    def __init__(self, environment: VectorEnv) -> None:
        self.low, self.high = environment.low, environment.high
        bounded = np.asarray(environment.stepper.model.actuator_ctrllimited, dtype=bool)
        self.centre: Floats = np.where(bounded, (self.low + self.high) / 2, 0.0)
        self.half: Floats = np.where(bounded, (self.high - self.low) / 2, 1.0)
        bound = (self.high - self.centre) / self.half
        super().__init__(environment, action_space=Box(-bound.astype(np.float32), bound.astype(np.float32)))

    def reset(self) -> Floats:
        """Start an episode in every environment; return the readings, (n, d)."""
        return np.asarray(self.venv.reset())

    def step_async(self, actions: NDArray[Any]) -> None:
        """Take the actions of the next step, (n, nu), in [-1, 1] where the actuator has a range."""
        self.venv.step_async(self.centre + self.half * np.asarray(actions, dtype=np.float64))

    def step_wait(self) -> Any:
        """Take the step, see `VectorEnv.step_wait`."""
        return self.venv.step_wait()


class EpisodeReturns(BaseCallback):  # type: ignore[misc]
    """A callback that keeps the returns of the episodes that ended before each update."""

    def __init__(self, progress: Callable[[int, float], None] | None) -> None:
        super().__init__()
        self.progress = progress
        self.returns: list[float] = []
        self.episodes = self.diverged = 0
        self._ended: list[float] = []

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "episode" in info:
                self.episodes += 1
                self.diverged += info["diverged"]
                if not info["diverged"]:
                    self._ended.append(info["episode"]["r"])
        return True

    def _on_rollout_end(self) -> None:
        self.returns.append(float(np.mean(self._ended)) if self._ended else math.nan)
        self._ended = []
        if self.progress is not None:
            self.progress(len(self.returns), self.returns[-1])
