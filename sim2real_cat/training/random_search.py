"""Augmented random search: a linear policy trained by finite differences in random directions.

Source: H. Mania, A. Guy, B. Recht, "Simple random search provides a competitive approach to
reinforcement learning", NeurIPS 2018, algorithm 1, version V2-t (normalised observations, top
directions only).

The worlds of a training stay the same, or are widened by a curriculum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import PolicyError, WorldError
from sim2real_cat.policies.policy import LinearPolicy, Policy
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.training.curriculum import CurriculumState, Measure, Widening
from sim2real_cat.training.trained import Trained, Trainer
from sim2real_cat.worlds.randomization.ensemble import Ensemble, fibre_or_nominal
from sim2real_cat.worlds.simulation.simulator import Simulator
from sim2real_cat.worlds.world import World


@dataclass(frozen=True)
class RandomSearch:
    """The settings of augmented random search, named as in the paper.

    Attributes:
        iterations: updates of the policy.
        directions: N, random directions per update; each is tried forwards and backwards.
        top: b, directions that count, those with the best of their two returns.
        step_size: alpha.
        noise: nu, length of a step along a direction (its entries are standard normal).
        steps: control steps of an episode.
        reward_shift: subtracted from every reward in training; 1 takes away the bonus for surviving.
    """

    iterations: int = 100
    directions: int = 8
    top: int = 4
    step_size: float = 0.02
    noise: float = 0.03
    steps: int = 1000
    reward_shift: float = 0.0

    def __post_init__(self) -> None:
        if min(self.iterations, self.directions, self.top, self.steps) < 1:
            raise PolicyError("random search needs iterations, directions, top and steps >= 1")
        if self.top > self.directions:
            raise PolicyError(
                f"random search keeps the top {self.top} of {self.directions} directions: top is too large"
            )
        if not (0 < self.step_size < np.inf and 0 < self.noise < np.inf):
            raise PolicyError(f"random search needs step_size and noise > 0, got {self.step_size} and {self.noise}")
        if not np.isfinite(self.reward_shift):
            raise PolicyError(f"random search needs a finite reward_shift, got {self.reward_shift}")


@dataclass(frozen=True, eq=False)
class Training(Trained):
    """A linear policy trained by random search, with the attributes of `Trained`.

    Attributes:
        returns: (iterations,) mean return of the tried policies in each update, over the randomized fibre.
        levels: (iterations,) the level of the worlds in each update; 1 where no curriculum narrowed their ranges.
    """

    policy: LinearPolicy
    birth: LinearPolicy
    levels: Floats
    trainer: ClassVar[Trainer] = "random-search"


class _Perturbed(Policy):
    """A linear policy with its own gain in every episode."""

    def __init__(self, gains: Floats, mean: Floats, scale: Floats) -> None:
        self.gains, self.mean, self.scale = gains, mean, scale

    def act(self, observations: Floats, episodes: NDArray[np.intp], step: int) -> Floats:
        normalised = (observations - self.mean) / self.scale
        return np.asarray(np.einsum("nad,nd->na", self.gains[episodes], normalised))

    @property
    def digest(self) -> str:
        raise PolicyError("a perturbed policy exists only while training and has no digest")


class _RunningMoments:
    """Mean and standard deviation of all observations seen so far (Chan, Golub and LeVeque 1979)."""

    def __init__(self, d: int) -> None:
        self.count, self.mean, self.squares = 0, np.zeros(d), np.zeros(d)

    def update(self, rows: Floats) -> None:
        count, mean = len(rows), rows.mean(axis=0)
        total, shift = self.count + count, mean - self.mean
        self.squares += np.square(rows - mean).sum(axis=0) + shift**2 * self.count * count / total
        self.mean = self.mean + shift * count / total
        self.count = total

    @property
    def scale(self) -> Floats:
        """Standard deviation; 1 for a sensor that has not moved."""
        deviation = np.sqrt(self.squares / max(self.count, 1))
        return np.where(deviation > 1e-8, deviation, 1.0)


def train(
    world: World,
    settings: RandomSearch,
    *,
    rng: np.random.Generator | int = 0,
    fibre: Ensemble | None = None,
    curriculum: Widening | None = None,
    threads: int = 0,
    progress: Callable[[int, float], None] | None = None,
) -> Training:
    """Train a linear policy in a world, over every member of its randomized fibre.

    In each update direction j is tried forwards and backwards in the same member from the same start, and the
    directions take turns through the members.

    Args:
        world: model, task, sensors.
        settings: the settings of the search.
        rng: a generator, or a seed for one.
        fibre: the randomized worlds; the world as it is where none is given.
        curriculum: randomized worlds that it widens between updates, instead of a fibre that stays the same.
        threads: physics threads; 0 means one per available core.
        progress: called after every update with its number and the mean return of the tried policies.

    Raises:
        PolicyError: settings of another trainer.
        WorldError: every episode of an update diverged, or both a fibre and a curriculum are given.
    """
    if not isinstance(settings, RandomSearch):
        raise PolicyError(
            f"train takes RandomSearch settings, got {type(settings).__name__}; training.train_ppo takes those of PPO"
        )
    rng = np.random.default_rng(rng)
    if fibre is not None and curriculum is not None:
        raise WorldError("training takes either a fibre or a curriculum, which draws its own; leave one out")
    seed = 0 if curriculum is None else int(rng.integers(2**63))
    worlds = _TrainingWorlds(world, fibre, curriculum, seed, settings.directions, threads)
    pairs = worlds.pairs
    direction_of = np.tile(np.arange(settings.directions), worlds.repeats)
    d, nu = len(world.sensors), int(worlds.simulator.model.nu)
    gain, moments = np.zeros((nu, d)), _RunningMoments(d)
    birth = LinearPolicy(gain, np.zeros(d), np.ones(d))
    history, levels, steps, episodes = np.zeros(settings.iterations), np.ones(settings.iterations), 0, 0
    for iteration in range(settings.iterations):
        levels[iteration] = worlds.level
        delta = settings.noise * rng.standard_normal((settings.directions, nu, d))
        direction_of = rng.permutation(direction_of)
        gains = np.concatenate([gain + delta[direction_of], gain - delta[direction_of]])
        seeds = rng.integers(2**63, size=pairs)
        generators = [np.random.default_rng(seed) for seed in (*seeds, *seeds)]
        tried = worlds.simulator.run(_Perturbed(gains, moments.mean, moments.scale), settings.steps, generators)
        seen = tried.observations[tried.kept][:, :-1]
        seen = seen[np.isfinite(seen).all(axis=2)]
        if not len(seen):
            raise WorldError(f"every episode diverged while training in world '{world.name}'; soften its randomization")
        moments.update(seen)
        returns = _shifted_returns(tried, settings.reward_shift)
        forwards = _mean_by(direction_of, returns[:pairs], settings.directions)
        backwards = _mean_by(direction_of, returns[pairs:], settings.directions)
        best = np.argsort(-np.maximum(forwards, backwards), kind="stable")[: settings.top]
        spread = np.concatenate([forwards[best], backwards[best]]).std()
        if spread > 0:
            difference = (forwards - backwards)[best]
            step = np.einsum("j,jad->ad", difference, delta[best] / settings.noise)
            gain = gain + settings.step_size / (settings.top * spread) * step
        history[iteration] = tried.returns.mean()
        steps += int(tried.lengths.sum())
        episodes += len(tried)
        if curriculum is not None and iteration + 1 < settings.iterations:
            policy = LinearPolicy(gain, moments.mean, moments.scale)
            judged = worlds.judged(tried, policy, settings.steps, rng)
            if judged is not tried:
                steps += int(judged.lengths.sum())
                episodes += len(judged)
            worlds.update(judged)
        if progress is not None:
            progress(iteration + 1, float(history[iteration]))
    policy = LinearPolicy(gain, moments.mean, moments.scale)
    return Training(policy, birth, history, episodes, steps, worlds.fibre, levels)


def _shifted_returns(tried: Trajectories, shift: float) -> Floats:
    """Return the returns less the shift per step; a diverged episode counts as the worst that was seen."""
    returns = tried.returns - shift * tried.lengths
    if tried.diverged.any():
        returns = np.where(tried.diverged, returns[tried.kept].min(), returns)
    return returns


def _mean_by(group: NDArray[np.intp], values: Floats, groups: int) -> Floats:
    """Return the mean of the values in each of the groups 0..groups-1."""
    return np.bincount(group, values, groups) / np.bincount(group, minlength=groups)


class _TrainingWorlds:
    """The worlds of a random search, through which the directions take turns, and their present level.

    Args:
        world: model, task, sensors.
        fibre: the worlds, where they stay the same; the world as it is where neither they nor a curriculum are given.
        curriculum: the worlds, where they widen.
        seed: the seed of the curriculum's draws, the same at every level, so that each world moves outwards.
        directions: how many directions take turns.
        threads: physics threads; 0 means one per available core.

    Attributes:
        fibre: the present worlds.
        simulator: a simulation for every try: `pairs` forwards, then as many backwards in the same worlds.
        repeats: how often every direction is tried forwards.
    """

    def __init__(
        self,
        world: World,
        fibre: Ensemble | None,
        curriculum: Widening | None,
        seed: int,
        directions: int,
        threads: int,
    ) -> None:
        self._world, self._curriculum, self._seed, self._threads = world, curriculum, seed, threads
        if curriculum is not None:
            self._state = curriculum.curriculum.start()
            self.fibre = curriculum.fibre(self._state, seed)
        else:
            self.fibre = fibre_or_nominal(fibre)
            self._state = CurriculumState(self.fibre.level)
        self.repeats = -(-max(directions, len(self.fibre)) // directions)
        self.pairs = self.repeats * directions
        self.simulator = self._simulator()

    @property
    def level(self) -> float:
        """The present level of the worlds, from 0 to 1."""
        return self._state.level

    def judged(self, tried: Trajectories, policy: Policy, steps: int, rng: np.random.Generator) -> Trajectories:
        """Return the episodes that the curriculum judges: those tried, or new ones of the policy on the boundary."""
        if self._curriculum is None or self._curriculum.curriculum.measure != "boundary return":
            return tried
        boundary = self._curriculum.boundary(self._state, int(rng.integers(2**63)))
        generators = [np.random.default_rng(seed) for seed in rng.integers(2**63, size=len(boundary))]
        return Simulator(self._world, boundary, threads=self._threads).run(policy, steps, generators)

    def update(self, seen: Trajectories) -> None:
        """Let the curriculum judge episodes, and draw the worlds anew where it changes their width."""
        if self._curriculum is None:
            return
        before = self.level
        performance = performance_of(seen, self._curriculum.curriculum.measure)
        self._state = self._curriculum.curriculum.update(self._state, performance)
        if self.level != before:
            self.fibre = self._curriculum.fibre(self._state, self._seed)
            self.simulator = self._simulator()

    def _simulator(self) -> Simulator:
        member_of = np.arange(self.pairs) % len(self.fibre)
        return Simulator(self._world, self.fibre, np.concatenate([member_of, member_of]), self._threads)


def performance_of(seen: Trajectories, measure: Measure) -> float:
    """Compute the performance that a curriculum asks for: the mean return, or the share that the task ended.

    A diverged episode counts as ended, and as the worst return that was seen; minus infinity where all diverged.
    """
    if measure == "terminations":
        return float((seen.terminated | seen.diverged).mean())
    if not seen.kept.any():
        return -np.inf
    return float(np.where(seen.diverged, seen.returns[seen.kept].min(), seen.returns).mean())
