"""Simulations whose states are not known but estimated: the points of many estimates, stepped together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.arrays import Floats
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.worlds.comparison import compare
from sim2real_cat.worlds.engine_log import to_logging
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.simulation.prediction import OneStep
from sim2real_cat.worlds.simulation.tangent import positions_apart, positions_moved
from sim2real_cat.worlds.world import World


class HiddenStates:
    """Points of the estimated states of some lanes; a lane is one member in one episode.

    A state is a row of nq positions and nv velocities; it moves along 2 nv tangent coordinates.

    Args:
        world: the world.
        fibre: the ensemble.
        trajectories: the recording whose actions are done.
        lanes: (L, 2) member and episode of each lane.
        points: how many points stand for an estimate.
        threads: physics threads; 0 means one per available core.

    Raises:
        WorldError: a recording that does not fit the world, or something random on the way to its actuators.
    """

    def __init__(
        self,
        world: World,
        fibre: Ensemble,
        trajectories: Trajectories,
        lanes: NDArray[np.intp],
        points: int,
        threads: int,
    ) -> None:
        self._world, self._recording = world, trajectories
        side = compare(world, trajectories, fibre)
        self._model, self._columns = side.model, side.columns
        self._points, self._episode = points, np.repeat(lanes[:, 1], points)
        self._ahead = OneStep(world, side.model, side.fibre, np.repeat(lanes[:, 0], points), threads)

    def first(self) -> Floats:
        """Return the recorded first states, (L, nq + nv)."""
        episode = self._episode[:: self._points]
        return np.concatenate([self._recording.qpos[episode, 0], self._recording.qvel[episode, 0]], axis=1)

    def ahead(self, states: Floats, step: int) -> tuple[Floats, Floats]:
        """Return states (L, points, nq + nv) one control step later, and what the sensors read there, (L, points, d).

        Past the end of an episode its last action goes on; both are NaN where a simulation blows up.
        """
        shape, nq = states.shape[:2], self._model.nq
        flat = states.reshape(-1, states.shape[2])
        when = np.minimum(step, np.maximum(self._recording.lengths[self._episode] - 1, 0))
        with to_logging():
            after = self._ahead(flat[:, :nq], flat[:, nq:], self._recording.actions, self._episode, when)
        reached = np.concatenate([after.qpos, after.qvel], axis=1)
        read = self._world.task.observe(after)[:, self._columns]
        reached[self._ahead.blown_up], read[self._ahead.blown_up] = np.nan, np.nan
        return reached.reshape(*shape, -1), read.reshape(*shape, -1)

    def moved(self, states: Floats, step: Floats) -> Floats:
        """Return states (..., nq + nv) moved along tangent vectors (..., 2 nv)."""
        nq, nv = self._model.nq, self._model.nv
        velocities = states[..., nq:] + step[..., nv:]
        return np.concatenate([positions_moved(self._model, states[..., :nq], step[..., :nv]), velocities], axis=-1)

    def apart(self, after: Floats, before: Floats) -> Floats:
        """Return the tangent vectors (..., 2 nv) from the states `before` to those `after`."""
        nq = self._model.nq
        positions = positions_apart(self._model, after[..., :nq], before[..., :nq])
        return np.concatenate([positions, after[..., nq:] - before[..., nq:]], axis=-1)
