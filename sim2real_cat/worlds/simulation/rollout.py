"""Rollouts of a policy in a world: every episode in every member of the ensemble, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.errors import PolicyError, WorldError
from sim2real_cat.linear_algebra import on_one_thread
from sim2real_cat.policies.policy import Policy
from sim2real_cat.recordings.parquet import TrajectoryWriter
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.worlds.engine_log import to_logging
from sim2real_cat.worlds.external.world import ExternalWorld, external_rollout
from sim2real_cat.worlds.parameters.channels import changes_period, control_substeps
from sim2real_cat.worlds.randomization.ensemble import Ensemble, fibre_or_nominal
from sim2real_cat.worlds.simulation.batch import available_cores
from sim2real_cat.worlds.simulation.episode_record import EpisodeRecord, join_records
from sim2real_cat.worlds.simulation.simulator import Simulator
from sim2real_cat.worlds.simulation.turns import in_turns
from sim2real_cat.worlds.world import BaseWorld, World, require_model

_WORTH_HALVING = 128
"""Episodes from which on a batch is stepped in two halves on more than two threads: the physics of one half runs while
Python works on the other, for which all threads would wait. On two threads there is nothing to gain (measured)."""

_BATCH = 1024
"""Default number of episodes that are stepped together; more are hardly faster."""


def rollout(
    world: BaseWorld,
    policy: Policy,
    *,
    rng: np.random.Generator | int = 0,
    fibre: Ensemble | None = None,
    episodes: int = 1,
    steps: int | None = None,
    name: str = "",
    threads: int = 0,
    until_terminated: bool = True,
    batch: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Trajectories:
    """Deploy a policy: `episodes` closed-loop episodes in each member of an ensemble.

    Every episode has its own random stream, spawned from `rng` in order, so the result depends neither on threads
    nor on how many episodes are stepped together.

    Args:
        world: model, task, sensors; or a world that another simulator computes.
        policy: the policy; it is not changed.
        rng: a generator, or a seed for one.
        fibre: the ensemble; the world as it is where none is given.
        episodes: episodes per member.
        steps: control steps per episode at most; the task's own number where none is given.
        name: the policy's name in the result.
        threads: physics threads; 0 means one per available core.
        until_terminated: whether an episode stops where the task ends it.
        batch: episodes stepped together; up to 1024 where none is given. More need more memory while they run.
            Another simulator has its own number of lanes instead.
        progress: called with 1, 2, ... `steps`, as if all episodes were stepped together; not beyond the longest.

    Raises:
        WorldError: no episodes, steps or batch asked for, or an ensemble that does not fit the world.
        PolicyError: the policy's actions have the wrong shape, or are NaN or infinite.
    """
    fibre, steps = _checked(world, policy, fibre, steps, episodes=episodes, batch=batch, threads=threads)
    if isinstance(world, ExternalWorld):
        return external_rollout(
            world,
            policy,
            rng=np.random.default_rng(rng),
            fibre=fibre,
            episodes=episodes,
            steps=steps,
            name=name,
            until_terminated=until_terminated,
            progress=progress,
        )
    run = _Rollout(require_model(world), policy, fibre, episodes, steps, name, threads, until_terminated, batch)
    records = [record for _, played in run.batches(np.random.default_rng(rng), progress) for record in played]
    return run.trajectories(slice(None), records)


def rollout_to_parquet(
    path: str | Path,
    world: World,
    policy: Policy,
    *,
    rng: np.random.Generator | int = 0,
    fibre: Ensemble | None = None,
    episodes: int = 1,
    steps: int | None = None,
    name: str = "",
    threads: int = 0,
    until_terminated: bool = True,
    batch: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> str:
    """Roll a policy out to a Parquet file, batch by batch, so that memory holds one batch only.

    A policy with memory keeps that of all episodes.

    The file is the one that `write_log` would write of the same rollout, byte for byte, and is written whole or not
    at all. `read_log` and `iterate_log` read it, in parts where it is large. The world is one of MuJoCo's batch; a
    world of another simulator is rolled out with `rollout` and written with `write_log`.

    Returns:
        The SHA-256 of the file.

    Raises:
        WorldError: as `rollout`.
        PolicyError: as `rollout`.
    """
    fibre, steps = _checked(world, policy, fibre, steps, episodes=episodes, batch=batch, threads=threads)
    run = _Rollout(require_model(world), policy, fibre, episodes, steps, name, threads, until_terminated, batch)
    with TrajectoryWriter(Path(path)) as log:
        for played in run.batches(np.random.default_rng(rng), progress):
            log.append(run.trajectories(*played))
    return log.digest


def _checked(
    world: BaseWorld,
    policy: object,
    fibre: object,
    steps: int | None,
    *,
    episodes: int,
    batch: int | None,
    threads: int,
) -> tuple[Ensemble, int]:
    """Return the ensemble and the number of steps, with their defaults; refuse other types that users easily pass."""
    if not isinstance(policy, Policy):
        raise PolicyError(
            f"a rollout needs a Policy, got {type(policy).__name__}; CallablePolicy makes one of a function"
        )
    fibre = fibre_or_nominal(fibre)
    for name, count in (("episodes", episodes), ("steps", steps), ("batch", batch), ("threads", threads)):
        if not isinstance(count, int | np.integer | None) or (name == "threads" and count is not None and count < 0):
            raise WorldError(f"{name} is a whole number, got {count}")
    steps = world.steps if steps is None else steps
    if steps is None:
        raise WorldError(f"world '{world.name}' has no time limit of its own: say how many steps an episode has")
    if episodes < 1 or steps < 1:
        raise WorldError(f"a rollout needs at least one episode and one step, got {episodes} and {steps}")
    return fibre, steps


class _Rollout:
    """A rollout with checked arguments, played in batches."""

    def __init__(
        self,
        world: World,
        policy: Policy,
        fibre: Ensemble,
        episodes: int,
        steps: int,
        name: str,
        threads: int,
        until_terminated: bool,
        batch: int | None,
    ) -> None:
        self.world, self.policy, self.name, self.until_terminated = world, policy, name, until_terminated
        self.fibre, self.steps = fibre, steps
        self.member_index = np.repeat(np.arange(len(self.fibre)), episodes)
        self.batch = min(len(self.member_index), _BATCH if batch is None else batch)
        if self.batch < 1:
            raise WorldError(f"a rollout needs batches of at least one episode, got {batch}")
        self.threads = threads or available_cores()
        self._simulators: dict[int, Simulator] = {}
        self._acting: Policy | None = None
        self._note: str | None = None
        if changes_period(fibre):
            model = world.compile()
            substeps = control_substeps(world, model, fibre, np.arange(len(fibre)))
            if np.ptp(substeps):
                shortest, longest = (count * float(model.opt.timestep) for count in (substeps.min(), substeps.max()))
                self._note = f"control periods of members from {shortest:g} to {longest:g} s, recorded as the world's"

    def batches(
        self, rng: np.random.Generator, progress: Callable[[int], None] | None
    ) -> Iterator[tuple[slice, list[EpisodeRecord]]]:
        """Play batch by batch; yield the episodes of each and their records."""
        starts = range(0, len(self.member_index), self.batch)
        for number, first in enumerate(starts):
            rows = slice(first, min(first + self.batch, len(self.member_index)))
            share = None if progress is None else self._share(progress, number, len(starts))
            yield rows, self._play(rows, rng.spawn(rows.stop - rows.start), share)

    def _share(self, progress: Callable[[int], None], number: int, batches: int) -> Callable[[int], None]:
        """Return the progress function of batch `number`, with which `progress` counts the steps of all batches."""

        def report(done: int) -> None:
            if (number * self.steps + done) % batches == 0:
                progress((number * self.steps + done) // batches)

        return report

    def trajectories(self, rows: slice, records: list[EpisodeRecord]) -> Trajectories:
        """Return the episodes `rows`, from their records."""
        simulator = self._simulators[0]
        robot = (self.world.sensors, simulator.actuators, simulator.control_period)
        done = join_records(records, self.member_index[rows], self.name, *robot)
        return done if self._note is None else replace(done, notes=(self._note,))

    def _play(
        self,
        rows: slice,
        generators: list[np.random.Generator],
        progress: Callable[[int], None] | None,
    ) -> list[EpisodeRecord]:
        """Play one batch, in halves where that pays."""
        n = len(generators)
        room = np.empty((n, self.steps + 1, len(self.world.sensors)))
        halves = 2 if self.threads > 2 and n >= _WORTH_HALVING else 1
        edges = [n * half // halves for half in range(halves + 1)]
        plays = []
        for half, (begin, end) in enumerate(pairwise(edges)):
            first = rows.start + begin
            simulator = self._simulator(half, self.member_index[first : rows.start + end], -(-self.threads // halves))
            plays.append(
                simulator.play(
                    self._started(simulator),
                    self.steps,
                    generators[begin:end],
                    until_terminated=self.until_terminated,
                    first=first,
                    room=room[begin:end],
                )
            )
        with to_logging(), on_one_thread():
            return in_turns(plays, progress)

    def _started(self, simulator: Simulator) -> Policy:
        """Return the policy that acts in all batches, started once with room for every episode."""
        if self._acting is None:
            self.policy.check_fit(self.world.sensors, simulator.actuators, self.world.name)
            self._acting = self.policy.start(len(self.member_index))
        return self._acting

    def _simulator(self, half: int, member_index: NDArray[np.int64], threads: int) -> Simulator:
        """Return a simulator of these members; that of the last batch where its members are the same."""
        made = self._simulators.get(half)
        if made is None or not np.array_equal(made.member_index, member_index):
            made = self._simulators[half] = Simulator(self.world, self.fibre, member_index, threads)
        return made
