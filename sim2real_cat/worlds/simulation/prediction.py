"""Predictions one control step ahead, from recorded or from estimated states."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import mujoco
import numpy as np
from mujoco.batch import Batch
from numpy.typing import NDArray

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import WorldError
from sim2real_cat.linear_algebra import on_one_thread
from sim2real_cat.model_names import actuator_names
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.worlds.engine_log import to_logging
from sim2real_cat.worlds.parameters.channels import changes_commands, command_parameters
from sim2real_cat.worlds.randomization.change import Mode
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.sensors.drives import driven
from sim2real_cat.worlds.sensors.latency import CommandHistory, reads_delayed_sensors
from sim2real_cat.worlds.simulation.batch import WorldBatch, available_cores
from sim2real_cat.worlds.simulation.replay import CheckedReplay, check_replay
from sim2real_cat.worlds.simulation.tangent import positions_apart, positions_moved
from sim2real_cat.worlds.tasks.task import State
from sim2real_cat.worlds.world import World

_AT_ONCE = 4096
"""The most simulations in a batch; so the memory beside the result does not grow with the recording."""

_FOR_A_THREAD = 128
"""Simulations in a batch for each thread. Each is stepped from many states, as to write the parameters of a simulation
costs as much as a step."""

_KEPT = 8
"""The most batches that are kept."""

_ACTED_AT_ONCE = 16_000_000
"""Numbers in the actions as drives change them, of all members that are stepped together."""


@dataclass(frozen=True, eq=False)
class StepPrediction:
    """The next state and observation that worlds expect after each recorded transition.

    Row ``m · N + i`` is the expectation of member m after transition i of N.

    Attributes:
        episode: (members · N,) which episode a transition belongs to.
        step: (members · N,) the control step within it.
        member_index: (members · N,) which member of the ensemble expects it.
        state: (members · N, nq + nv) expected positions and velocities after the step; NaN where the simulation
            blows up.
        observation: (members · N, d) the observation of the recorded sensors there, without noise; NaN as the state.
    """

    episode: NDArray[np.int64]
    step: NDArray[np.int64]
    member_index: NDArray[np.int64]
    state: Floats
    observation: Floats


class KeptBatches:
    """A compiled model and batches of it, which one prediction leaves for the next of the same world.

    Batches are told apart by their size and by the names of the parameters that were written into them.

    Attributes:
        model: the model; None before the first prediction.
    """

    def __init__(self) -> None:
        self.model: mujoco.MjModel | None = None
        self._batches: dict[tuple[int, tuple[str, ...], tuple[Mode, ...]], Batch] = {}

    def put(self, model: mujoco.MjModel) -> None:
        """Keep a model; the batches of another one are given up."""
        if model is not self.model:
            self.model, self._batches = model, {}

    def take(self, fibre: Ensemble, n: int, threads: int) -> Batch:
        """Return a batch of n simulations for the members of an ensemble."""
        key = (n, fibre.parameters, fibre.modes)
        if key not in self._batches:
            while len(self._batches) >= _KEPT:
                del self._batches[next(iter(self._batches))]
            self._batches[key] = Batch(self.model, n, nthread=threads or available_cores())
        return self._batches[key]


def predict_steps(
    world: World,
    trajectories: Trajectories,
    *,
    fibre: Ensemble | None = None,
    rows: NDArray[np.intp] | None = None,
    threads: int = 0,
    kept: KeptBatches | None = None,
) -> StepPrediction:
    """Set a world to every recorded state, apply the recorded action, and simulate one control step.

    Delayed actuators act on the recorded actions before, and drives with a play or a rate remember them. Nothing else
    that a simulator remembers is recorded: internal states of actuators start as after a reset.

    Args:
        world: the world that predicts; it has the sensors of the recording.
        trajectories: episodes whose states are known; diverged ones are left out.
        fibre: predict with the parameters of each member; with the world as it is where none are given.
        rows: some of the recording's transitions, as `Trajectories.transitions` counts them; all where none are given.
        threads: physics threads; 0 means one per available core.
        kept: what earlier predictions of the world left, to be used again; the numbers stay the same to the last bit.

    Raises:
        WorldError: the recording has no states, or other sensors, sizes or control period than the world, or an
            ensemble that does not fit the world; or the model delays sensors, whose past is not recorded.
    """
    kept = KeptBatches() if kept is None else kept
    side = check_replay(world, trajectories, fibre, kept.model)
    if reads_delayed_sensors(world.task, side.model):
        raise WorldError(
            f"world '{world.name}': its model delays sensors, so one step from a recorded state does not say what they "
            "read; replay whole episodes instead"
        )
    kept.put(side.model)
    episode, step = trajectories.transitions()
    if rows is not None:
        episode, step = episode[rows], step[rows]
    episode, step = (array[trajectories.kept[episode]] for array in (episode, step))
    n, members = len(episode), len(side.fibre)
    state = np.empty((members * n, side.model.nq + side.model.nv))
    observation = np.empty((members * n, len(side.columns)))
    at_once = min(_FOR_A_THREAD * (threads or available_cores()), _AT_ONCE)
    with to_logging(), on_one_thread():
        for some in _blocks(members, min(at_once, _members_at_once(side, trajectories))):
            each = _even(n, max(at_once // len(some), 1))
            physics = kept.take(side.fibre, each * len(some), threads)
            ahead = OneStep(world, side.model, side.fibre, np.repeat(some, each), threads, physics)
            for block in _blocks(n, each):
                chosen = np.tile(_filled_up(block, each), len(some))
                at = (episode[chosen], step[chosen])
                after = ahead(trajectories.qpos[at], trajectories.qvel[at], trajectories.actions, *at)
                wanted = np.tile(np.arange(each) < len(block), len(some))
                into = (some[:, None] * n + block).ravel()
                state[into] = np.concatenate([after.qpos, after.qvel], axis=1)[wanted]
                observation[into] = world.task.observe(after)[wanted][:, side.columns]
                lost = into[ahead.blown_up[wanted]]
                state[lost], observation[lost] = np.nan, np.nan
    member_index = np.repeat(np.arange(members), n)
    return StepPrediction(np.tile(episode, members), np.tile(step, members), member_index, state, observation)


def observe_states(
    world: World, trajectories: Trajectories, *, fibre: Ensemble | None = None, threads: int = 0
) -> Floats:
    """Compute the observations of the recorded sensors in every recorded state, without noise and without delay.

    Args:
        world: the world whose sensors they are.
        trajectories: episodes whose states are known.
        fibre: read in each member; in the world as it is where none are given.
        threads: physics threads; 0 means one per available core.

    Returns:
        (members, n, T + 1, d), NaN past the end of an episode and in episodes that diverged.

    Raises:
        WorldError: as `predict_steps`.
    """
    side = check_replay(world, trajectories, fibre)
    members = len(side.fibre)
    episode, frame = np.nonzero(trajectories.within() & trajectories.kept[:, None])
    seen = np.full((members, *trajectories.qpos.shape[:2], len(side.columns)), np.nan)
    if not world.task.derived:
        state = State(trajectories.qpos[episode, frame], trajectories.qvel[episode, frame])
        seen[:, episode, frame] = world.task.observe(state)[:, side.columns]
        return seen
    each = max(_AT_ONCE // members, 1)
    batch = WorldBatch(world, side.model, side.fibre, np.repeat(np.arange(members), each), threads)
    with to_logging(), on_one_thread():
        for block in _blocks(len(episode), each):
            rows = np.tile(_filled_up(block, each), members)
            batch.reset()
            batch.qpos[:] = trajectories.qpos[episode[rows], frame[rows]]
            batch.qvel[:] = trajectories.qvel[episode[rows], frame[rows]]
            batch.physics.forward()
            read = world.task.observe(batch.state())[:, side.columns].reshape(members, each, len(side.columns))
            seen[:, episode[block], frame[block]] = read[:, : len(block)]
    return seen


class OneStep:
    """A batch of simulations that is set to given states and stepped once, again and again.

    Args:
        world: the world.
        model: its model, with buffers long enough for the members' delays.
        fibre: the ensemble.
        member_index: (n,) the member of each simulation.
        threads: physics threads; 0 means one per available core.
        physics: a batch to be used again, as for `WorldBatch`.

    Attributes:
        blown_up: (n,) which of them blew up in the last step.
    """

    def __init__(
        self,
        world: World,
        model: mujoco.MjModel,
        fibre: Ensemble,
        member_index: NDArray[np.int64],
        threads: int,
        physics: Batch | None = None,
    ) -> None:
        self._batch = WorldBatch(world, model, fibre, member_index, threads, physics)
        self._history = CommandHistory(self._batch.physics, model, self._batch.substeps)
        self._fibre, self._actuators = fibre, actuator_names(model)
        self._members, self._row = np.unique(member_index, return_inverse=True)
        self._driven: tuple[Floats, Floats] | None = None
        self.blown_up = np.zeros(len(member_index), dtype=bool)

    def __call__(
        self, qpos: Floats, qvel: Floats, actions: Floats, episode: NDArray[np.int64], step: NDArray[np.int64]
    ) -> State:
        """Return the states one control step after given ones; they change with the next call.

        Args:
            qpos: (n, nq) positions at the start.
            qvel: (n, nv) velocities at the start.
            actions: (episodes, T, nu) all recorded actions; delayed actuators act on earlier ones.
            episode: (n,) the episode whose action each simulation takes.
            step: (n,) the control step of that action.
        """
        batch = self._batch
        batch.reset()
        batch.qpos[:], batch.qvel[:] = qpos, qvel
        acted = self._acted(actions)
        if acted is not actions:
            episode = self._row * len(actions) + episode
            actions = acted
        batch.ctrl[:] = actions[episode, step]
        self._history.fill(actions, episode, step)
        batch.step()
        self.blown_up = batch.blown_up()
        return batch.state()

    def _acted(self, actions: Floats) -> Floats:
        """Return what the members' drives make of all actions, (members · episodes, T, nu); nominal ones nothing."""
        if not changes_commands(self._fibre):
            return actions
        if self._driven is None or self._driven[0] is not actions:
            parameters = command_parameters(self._actuators, self._fibre, self._members)
            periods = np.empty(len(self._members))
            periods[self._row] = self._batch.periods
            self._driven = (actions, driven(parameters, periods, actions))
        return self._driven[1]


class HiddenStates:
    """Simulations of the points that stand for estimated states, in some lanes; a lane is one member in one episode.

    A state is a row of nq positions and nv velocities; it moves along 2 nv tangent coordinates.

    Args:
        world: the world.
        fibre: the ensemble.
        trajectories: the recording whose actions are taken.
        lanes: (L, 2) member and episode of each lane.
        points: how many points stand for one estimate.
        threads: physics threads; 0 means one per available core.
        kept: what earlier simulations of the world left, to be used again.

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
        kept: KeptBatches | None = None,
    ) -> None:
        self._world, self._recording = world, trajectories
        kept = KeptBatches() if kept is None else kept
        side = check_replay(world, trajectories, fibre, kept.model)
        kept.put(side.model)
        self._model, self._columns = side.model, side.columns
        self._points, self._episode = points, np.repeat(lanes[:, 1], points)
        physics = kept.take(side.fibre, points * len(lanes), threads)
        self._ahead = OneStep(world, side.model, side.fibre, np.repeat(lanes[:, 0], points), threads, physics)

    def first(self) -> Floats:
        """Return the recorded first states, (L, nq + nv)."""
        episode = self._episode[:: self._points]
        return np.concatenate([self._recording.qpos[episode, 0], self._recording.qvel[episode, 0]], axis=1)

    def ahead(self, states: Floats, step: int) -> tuple[Floats, Floats]:
        """Return states (L, points, nq + nv) one control step later, and their observations, (L, points, d).

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


def _members_at_once(side: CheckedReplay, recording: Trajectories) -> int:
    """Return how many members are stepped together; fewer where each has the recorded actions in its own form."""
    if not changes_commands(side.fibre):
        return _AT_ONCE
    return int(np.clip(_ACTED_AT_ONCE // max(recording.actions.size, 1), 1, _AT_ONCE))


def _blocks(n: int, size: int) -> Iterator[NDArray[np.int64]]:
    """Yield 0..n-1 in blocks of at most `size`."""
    for first in range(0, n, size):
        yield np.arange(first, min(first + size, n))


def _even(n: int, most: int) -> int:
    """Return the size of blocks, at most `most`, that fill n evenly."""
    return -(-n // -(-n // most)) if n else 1


def _filled_up(block: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Return a block filled up to `size` entries with its first one, so that one batch serves all blocks."""
    return np.concatenate([block, np.full(size - len(block), block[0])])
