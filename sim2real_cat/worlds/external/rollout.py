"""Roll a policy out in another simulator: as many episodes at once as it has lanes, wave after wave."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.errors import WorldError
from sim2real_cat.policies.policy import Policy
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.worlds.external.world import ExternalWorld, Frame, Lanes
from sim2real_cat.worlds.randomization.ensemble import Ensemble

_SEEDS = 2**31
"""Seeds lie below this number: every simulator takes a non-negative 32-bit integer."""


def external_rollout(
    world: ExternalWorld,
    policy: Policy,
    *,
    rng: np.random.Generator | int = 0,
    fibre: Ensemble | None = None,
    episodes: int = 1,
    steps: int | None = None,
    name: str = "",
    until_terminated: bool = True,
    progress: Callable[[int], None] | None = None,
) -> Trajectories:
    """Deploy a policy in a world that another simulator computes.

    Every episode has its own random stream, spawned from `rng` in order; the first number it draws is the seed of
    the simulator's reset, then comes the noise of the sensors, so the result does not depend on the number of lanes.
    An episode in which the simulator raises, or shows NaN or infinity, is marked as diverged, ends before the bad
    step, and `Trajectories.reasons` says what happened.

    Args:
        world: the simulator.
        policy: what acts; it is not changed.
        rng: a generator, or a seed for one.
        fibre: the ensemble; the world with its nominal parameters where none is given.
        episodes: episodes per member.
        steps: control steps per episode at most; the world's own number where none is given.
        name: the policy's name in the result.
        until_terminated: must be true: another simulator cannot be asked to go on after its end.
        progress: called after every control step of a wave with the share of `steps` that all waves have done.

    Raises:
        WorldError: no episodes or steps asked for, an ensemble that does not fit the world, or a simulator that
            cannot be made or started.
        PolicyError: the policy does not fit the world, or its actions do not or are NaN or infinite.
    """
    ensemble = Ensemble.nominal() if fibre is None else fibre
    steps = world.steps if steps is None else steps
    if steps is None:
        raise WorldError(f"world '{world.name}' has no time limit of its own: say how many steps an episode has")
    if episodes < 1 or steps < 1:
        raise WorldError(f"a rollout needs at least one episode and one step, got {episodes} and {steps}")
    if not until_terminated:
        raise WorldError(f"world '{world.name}' stops where its task ends an episode; until_terminated must be true")
    policy.check_fit(world.sensors, world.actuators, world.name, world.answers)
    rows = world.rows(ensemble)
    member_index = np.repeat(np.arange(len(ensemble)), episodes)
    n = len(member_index)
    generators = np.random.default_rng(rng).spawn(n)
    seeds = [int(generator.integers(_SEEDS)) for generator in generators]
    record = _Record(world, steps, generators)
    policy = policy.start(n)
    with closing(world.lanes(n)) as lanes:
        waves = range(0, n, lanes.count)
        for done, first in enumerate(waves):
            wave = np.arange(first, min(first + lanes.count, n))
            start = lanes.reset([seeds[i] for i in wave], [rows[member] for member in member_index[wave]])
            running = record.keep(start, 0, wave, np.arange(len(wave)))
            for step in _play(world, policy, lanes, record, wave, running):
                if progress is not None:
                    progress((done * steps + step) // len(waves))
    return record.trajectories(world, member_index, name)


def _play(
    world: ExternalWorld,
    policy: Policy,
    lanes: Lanes,
    record: _Record,
    wave: NDArray[np.intp],
    running: NDArray[np.intp],
) -> Iterator[int]:
    """Play the episodes of a wave, those of them whose lanes run; give the number of steps done after each."""
    held = np.zeros((len(wave), len(world.actuators)))
    for step in range(record.steps):
        if not len(running):
            return
        episodes = wave[running]
        answer = policy.act(record.observations[episodes, step], episodes, step)
        actions = world.actions(answer, episodes, step)
        if step == 0:
            held[:] = actions[0]  # a lane that never ran needs some valid action too
        held[running] = actions
        frame = lanes.step(held, np.isin(np.arange(len(wave)), running))
        running = record.keep(frame, step + 1, wave, running)
        record.actions[wave[running], step] = held[running]
        record.rewards[wave[running], step] = frame.rewards[running]
        record.lengths[wave[running]] = step + 1
        record.terminated[wave[running]] = frame.terminated[running]
        running = running[~(frame.terminated | frame.truncated)[running]]
        yield step + 1


class _Record:
    """Room for the episodes of all waves; blank where nothing was recorded."""

    def __init__(self, world: ExternalWorld, steps: int, generators: Sequence[np.random.Generator]) -> None:
        n, d = len(generators), len(world.sensors)
        self.steps = steps
        self.sensors = world.sensors
        self._noise = np.zeros((n, steps + 1, d))
        if world.deviations.any():
            for generator, noise in zip(generators, self._noise, strict=True):
                generator.standard_normal(out=noise)
            self._noise *= world.deviations
        self.observations = np.full((n, steps + 1, d), np.nan)
        self.qpos = np.full((n, steps + 1, world.nq), np.nan)
        self.qvel = np.full((n, steps + 1, world.nv), np.nan)
        self.actions = np.full((n, steps, len(world.actuators)), np.nan)
        self.rewards = np.full((n, steps), np.nan)
        self.lengths = np.zeros(n, dtype=np.int64)
        self.terminated = np.zeros(n, dtype=bool)
        self.reasons = [""] * n

    def keep(self, frame: Frame, step: int, wave: NDArray[np.intp], running: NDArray[np.intp]) -> NDArray[np.intp]:
        """Record what the running lanes show at a step, and why others fail; those that go on."""
        good = []
        for lane in running:
            reason = frame.failures.get(int(lane)) or _not_finite(frame, lane, self.sensors)
            if reason:
                self.reasons[wave[lane]] = f"control step {step - 1}: {reason}" if step else f"reset: {reason}"
            else:
                good.append(lane)
        lanes = np.array(good, dtype=np.intp)
        rows = wave[lanes]
        self.observations[rows, step] = frame.observations[lanes] + self._noise[rows, step]
        self.qpos[rows, step], self.qvel[rows, step] = frame.qpos[lanes], frame.qvel[lanes]
        return lanes

    def trajectories(self, world: ExternalWorld, member_index: NDArray[np.int64], name: str) -> Trajectories:
        """What was recorded, cut to the longest episode."""
        longest = int(self.lengths.max(initial=0))
        return Trajectories(
            observations=self.observations[:, : longest + 1],
            actions=self.actions[:, :longest],
            rewards=self.rewards[:, :longest],
            qpos=self.qpos[:, : longest + 1],
            qvel=self.qvel[:, : longest + 1],
            lengths=self.lengths,
            terminated=self.terminated,
            diverged=np.array([bool(reason) for reason in self.reasons]),
            member_index=member_index,
            policies=(name,) * len(self.lengths),
            sensors=world.sensors,
            actuators=world.actuators,
            control_period=world.control_period,
            reasons=tuple(self.reasons),
        )


def _not_finite(frame: Frame, lane: int, sensors: Sequence[str]) -> str:
    """What in a lane is NaN or infinite, '' where nothing is."""
    bad = np.flatnonzero(~np.isfinite(frame.observations[lane]))
    if len(bad):
        return f"sensor '{sensors[bad[0]]}' reads {frame.observations[lane, bad[0]]}"
    if not (np.isfinite(frame.qpos[lane]).all() and np.isfinite(frame.qvel[lane]).all()):
        return "a position or velocity is NaN or infinite"
    return "" if np.isfinite(frame.rewards[lane]) else f"the reward is {frame.rewards[lane]}"
