"""Open loop: what the worlds of an ensemble do under recorded actions, from where the recording started."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.policy import Policy
from sim2real_cat.worlds.randomization import Ensemble
from sim2real_cat.worlds.rollout import rollout
from sim2real_cat.worlds.task import Array, State, Task
from sim2real_cat.worlds.trajectories import Trajectories
from sim2real_cat.worlds.world import World

if TYPE_CHECKING:
    import mujoco


@dataclass(frozen=True, eq=False)
class AsRecorded(Policy):
    """Plays the actions of n recorded episodes, whatever the sensors read.

    A rollout of more episodes plays them again: its episode i is the recorded one i modulo n.

    Attributes:
        actions: (n, T, nu); nu is 0 where nobody acts, as on a body that was tossed. Past its end an episode repeats
            its last action.
        lengths: (n,) control steps of each episode.
    """

    actions: Array
    lengths: NDArray[np.int64]

    @classmethod
    def of(cls, recording: Trajectories) -> AsRecorded:
        """The actions of a recording."""
        steps = np.minimum(np.arange(recording.actions.shape[1]), recording.lengths[:, None] - 1)
        return cls(np.take_along_axis(recording.actions, steps[:, :, None], axis=1), recording.lengths)

    def act(self, observations: Array, episodes: NDArray[np.intp], step: int) -> Array:
        """The recorded actions of one control step, (len(episodes), nu)."""
        return np.asarray(self.actions[episodes % len(self.actions), step])

    @property
    def digest(self) -> str:
        """SHA-256 of the actions as hexadecimal text."""
        parts = [actions[:length] for actions, length in zip(self.actions, self.lengths, strict=True)]
        content = [str(part.shape).encode() + np.ascontiguousarray(part, dtype="<f8").tobytes() for part in parts]
        return hashlib.sha256(b"".join(content)).hexdigest()


def open_loop(
    world: World,
    recording: Trajectories,
    *,
    rng: np.random.Generator | int,
    members: Ensemble | None = None,
    threads: int = 0,
) -> Trajectories:
    """Play the actions of every recorded episode in every member of an ensemble, from the recorded first state.

    The sensors have the world's noise. An episode goes on where the task would end it, until the recording ends.

    Args:
        world: the world; its sensors, actuators and control period must be those of the recording.
        recording: episodes whose states are known, at least the first of each; diverged ones are left out.
        rng: a generator, or a seed for one: the noise of the sensors.
        members: the ensemble; the world as it is where none is given.
        threads: physics threads; 0 means one per available core.

    Returns:
        Episodes in the order of `rollout`: all of the recording in the first member, then in the second, ...

    Raises:
        WorldError: the recording holds no episode, has no states, or does not fit the world.
    """
    kept = recording.select(recording.kept)
    _fits(world, kept)
    count = 1 if members is None else len(members)
    starts = _Starts(world.task, np.tile(kept.qpos[:, 0], (count, 1)), np.tile(kept.qvel[:, 0], (count, 1)))
    played = rollout(
        replace(world, task=starts),
        AsRecorded.of(kept),
        rng=rng,
        members=members,
        episodes=len(kept),
        steps=int(kept.lengths.max()),
        threads=threads,
        until_terminated=False,
    )
    return _ended(played, np.tile(kept.lengths, count), kept.policies * count)


class _Starts(Task):
    """Another task whose episodes start in given states.

    A simulator starts its episodes one after the other, so the states are handed out in order, for one rollout.
    """

    def __init__(self, task: Task, qpos: Array, qvel: Array) -> None:
        self.task = task
        self._states = zip(qpos, qvel, strict=True)
        self.name, self.sensors, self.steps = task.name, task.sensors, task.steps
        self.derived, self.fresh = task.derived, task.fresh

    def start(self, model: mujoco.MjModel, rng: np.random.Generator) -> tuple[Array, Array]:
        return next(self._states)

    def observe(self, state: State) -> Array:
        return self.task.observe(state)

    def reward(self, before: State, after: State, action: Array, seconds: float) -> Array:
        return self.task.reward(before, after, action, seconds)

    def terminated(self, state: State) -> NDArray[np.bool_]:
        return self.task.terminated(state)


def _ended(played: Trajectories, ends: NDArray[np.int64], policies: tuple[str, ...]) -> Trajectories:
    """Episodes cut where the recorded ones end."""
    lengths = np.minimum(played.lengths, ends)
    over = {
        name: np.arange(getattr(played, name).shape[1]) >= lengths[:, None] + extra
        for name, extra in (("observations", 1), ("qpos", 1), ("qvel", 1), ("actions", 0), ("rewards", 0))
    }
    cut = {}
    for name, past in over.items():
        cut[name] = getattr(played, name).copy()
        cut[name][past] = np.nan
    return replace(
        played,
        **cut,
        lengths=lengths,
        terminated=played.terminated & (played.lengths <= ends),
        diverged=played.diverged & (played.lengths < ends),
        policies=policies,
    )


def _fits(world: World, recording: Trajectories) -> None:
    """Refuse a recording that was not made on such a robot, or cannot be started from."""
    if not (recording.lengths > 0).any():
        raise WorldError(f"world '{world.name}': the recording holds no episode with a control step")
    if not (recording.lengths > 0).all():
        raise WorldError(
            f"episode {int(recording.lengths.argmin())} of the recording has no control step; leave it out"
        )
    model = world.compile()
    wanted = (model.nq, model.nv, model.nu)
    found = (recording.qpos.shape[2], recording.qvel.shape[2], recording.actions.shape[2])
    if wanted != found or recording.sensors != world.sensors:
        raise WorldError(
            f"world '{world.name}' has {wanted[0]} positions, {wanted[1]} velocities, {wanted[2]} actuators and "
            f"{len(world.sensors)} sensors; the recording has {found[0]}, {found[1]}, {found[2]} and "
            f"{len(recording.sensors)}"
        )
    period = world.substeps * float(model.opt.timestep)
    if not math.isclose(period, recording.control_period):
        raise WorldError(
            f"world '{world.name}' has a control period of {period:g} s, the recording of "
            f"{recording.control_period:g} s"
        )
    first = np.concatenate([recording.qpos[:, 0], recording.qvel[:, 0]], axis=1)
    if not np.isfinite(first).all():
        episode = int(np.argmin(np.isfinite(first).all(axis=1)))
        raise WorldError(f"episode {episode} of the recording has no state to start from, its first one holds NaN")
