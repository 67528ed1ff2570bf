"""Gymnasium environments as lanes: some of one kind, each on its own, or one VectorEnv."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.external_world import Array, Frame, Lanes, Row, configured, one_line, padded
from sim2real_cat.worlds.gymnasium_spaces import ActionColumns


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

    `reset` raises a WorldError where an environment that was made is one of those that there are already.
    """

    def __init__(
        self,
        world: str,
        first: gymnasium.Env[Any, Any],
        make: Callable[[], gymnasium.Env[Any, Any]],
        count: int,
        actions: ActionColumns,
        d: int,
        configure: Callable[[Any, Row], None] | None,
    ) -> None:
        self.count = count
        self._world, self._make, self._actions, self._d, self._configure = world, make, actions, d, configure
        self._environments = {0: first}

    def reset(self, seeds: Sequence[int], rows: Sequence[Row]) -> Frame:
        frame = _blank(len(seeds), self._d)
        for lane, (seed, row) in enumerate(zip(seeds, rows, strict=True)):
            if lane not in self._environments:
                self._environments[lane] = self._another()
            if self._configure is not None:
                configured(self._world, self._configure, self._environments[lane], row)
            try:
                observation, _ = self._environments[lane].reset(seed=seed)
                frame.observations[lane] = _flat(observation, self._d)
            except Exception as error:  # whatever another simulator raises is what its episode ends with
                frame.failures[lane] = self._broken(lane, error)
        return frame

    def step(self, actions: Array, running: NDArray[np.bool_]) -> Frame:
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
        """An environment that no lane has yet."""
        made = self._make()
        _check_apart([*self._environments.values(), made], self._world)
        return made

    def _broken(self, lane: int, error: Exception) -> str:
        """Throw away an environment that raised, as its state may be anything; what it raised, in one line."""
        with contextlib.suppress(Exception):
            self._environments[lane].close()
        del self._environments[lane]
        return one_line(error)


class VectorLanes(Lanes):
    """The sub-environments of a VectorEnv, which are always stepped together.

    Where an episode has ended, what its sub-environment goes on to do until the others have ended is not looked at.

    Args:
        world: the world's name, for messages.
        environments: the VectorEnv; it is closed with the lanes.
        actions: the columns of an action.
        d: observed channels.
        configure: sets the parameters of all sub-environments before a reset.

    Raises:
        WorldError: the VectorEnv does not say what it does at the end of an episode, or one environment is several
            of its sub-environments.
    """

    def __init__(
        self,
        world: str,
        environments: VectorEnv[Any, Any, Any],
        actions: ActionColumns,
        d: int,
        configure: Callable[[Any, Row], None] | None,
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

    def reset(self, seeds: Sequence[int], rows: Sequence[Row]) -> Frame:
        self._asked = len(seeds)
        if self._configure is not None:
            columns = {name: tuple(row[name] for row in padded(rows, self.count)) for name in rows[0]}
            configured(self._world, self._configure, self._environments, columns)
        observations, _ = self._call(self._environments.reset, seed=padded(seeds, self.count))
        frame = _blank(self._asked, self._d)
        frame.observations[:] = self._rows(observations)
        return frame

    def step(self, actions: Array, running: NDArray[np.bool_]) -> Frame:
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
        except Exception as error:  # whatever a sub-environment raises
            with contextlib.suppress(Exception):
                self._environments.close(terminate=True)
            raise WorldError(
                f"world '{self._world}': its VectorEnv failed in {method.__name__} ({one_line(error)}) and cannot say "
                "in which episode; it must take a list of seeds, and an environment that may raise is better given "
                "alone, as a function that makes one"
            ) from None

    def _rows(self, observations: Any) -> Array:
        """The observations of the lanes that were asked for, (m, d)."""
        flat = np.array(observations, dtype=np.float64).reshape(self.count, -1)
        return flat[: self._asked]


def _check_apart(environments: Sequence[gymnasium.Env[Any, Any]], world: str) -> None:
    """Refuse environments of which two are the same: each would go on where the other stands."""
    if len({id(environment.unwrapped) for environment in environments}) < len(environments):
        raise WorldError(
            f"world '{world}': the function that makes an environment gave the same one twice, so that episodes would "
            "run into each other; let it make a new one in every call"
        )


def _flat(observation: Any, d: int) -> Array:
    """An observation as d numbers."""
    flat = np.array(observation, dtype=np.float64).ravel()
    if len(flat) != d:
        raise ValueError(f"an observation of {len(flat)} numbers, where the observation space has {d}")
    return flat


def _blank(m: int, d: int) -> Frame:
    return Frame(
        np.full((m, d), np.nan),
        np.zeros(m),
        np.zeros(m, dtype=bool),
        np.zeros(m, dtype=bool),
        np.zeros((m, 0)),
        np.zeros((m, 0)),
    )
