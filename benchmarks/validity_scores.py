"""The scores of the validity experiment: the estimators of the gap, and the measures in use today."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import GapError, WorldError
from sim2real_cat.gaps.distance import distances
from sim2real_cat.gaps.kl_gap import gap
from sim2real_cat.policies.policy import Policy
from sim2real_cat.predictive.estimate import PredictiveGap
from sim2real_cat.predictive.gap import predictive_gap
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.simulation.prediction import predict_steps
from sim2real_cat.worlds.simulation.rollout import rollout
from sim2real_cat.worlds.world import World


@dataclass(frozen=True, eq=False)
class Case:
    """The data from which all scores of one real-like world are computed.

    Attributes:
        world: the simulation.
        fibre: its randomized worlds.
        real: episodes in a world that stands for reality.
        sim: episodes in the fibre, from other starts.
        paired: episodes in the middle of the fibre, each from the start of a real one, with other noise.
        spread: (d,) deviation of each sensor in `sim`.
    """

    world: World
    fibre: Ensemble
    real: Trajectories
    sim: Trajectories
    paired: Trajectories
    spread: Floats

    @cached_property
    def expected(self) -> PredictiveGap:
        """The predictive gap, from what the worlds of the fibre expect of every real transition."""
        return predictive_gap(self.world, self.real, fibre=self.fibre)

    @cached_property
    def distances(self) -> dict[str, float]:
        """Distances of the observations' distribution from the fibre's, and of the episodes from paired ones."""
        apart = distances(self.real, self.sim, permutations=1)
        along = distances(self.real, self.paired, paired=True, permutations=1)
        return {each.name: each.value for each in (*along, *apart)}


def spread_of(sim: Trajectories) -> Floats:
    """Compute the deviation of each sensor over all episodes, (d,)."""
    return np.concatenate(sim.episodes).std(axis=0)


def from_the_starts_of(world: World, policy: Policy, recorded: Trajectories, seed: int) -> Trajectories:
    """Roll out an episode of the world as it is from every recorded start, with other sensor noise."""
    starts = iter(zip(recorded.qpos[:, 0], recorded.qvel[:, 0], strict=True))
    task = copy.copy(world.task)
    task.start = lambda model, rng: next(starts)  # type: ignore[method-assign]
    steps = recorded.actions.shape[1]
    return rollout(replace(world, task=task), policy, rng=seed, episodes=len(recorded), steps=steps)


def one_step(case: Case) -> float:
    """Compute the RMS error of the simulation's prediction of the next observation, in spreads of each sensor."""
    ahead = predict_steps(case.world, case.real)
    after = case.real.observations[ahead.episode, ahead.step + 1]
    return float(np.sqrt(np.nanmean(np.square((after - ahead.observation) / case.spread))))


def ratio(case: Case) -> float:
    """Estimate the gap by a classifier, from as many simulated episodes as real ones, as it is slow."""
    number = np.concatenate([np.arange(count) for count in np.unique(case.sim.member_index, return_counts=True)[1]])
    few = case.sim.select(number < max(len(case.real) // len(case.fibre), 1))
    return gap(case.real, few, method="ratio", level="transition").value


SCORES: Mapping[str, Callable[[Case], float]] = {
    "predictive": lambda case: case.expected.estimate.value,
    "predictive, noise x 2": lambda case: max(case.expected.noise_sensitivity[2.0], 0.0),
    "predictive, no fibre": lambda case: predictive_gap(case.world, case.real).estimate.value,
    "gaussian": lambda case: gap(case.real, case.sim, method="gaussian", level="transition").value,
    "gaussian, plug-in": lambda case: gap(case.real, case.sim, method="gaussian", level="transition").plug_in,
    "knn": lambda case: gap(case.real, case.sim, method="knn", level="transition").value,
    "ratio": ratio,
    "marginal gaussian": lambda case: gap(case.real, case.sim, method="gaussian", level="occupancy").value,
    "marginal gaussian, plug-in": lambda case: gap(case.real, case.sim, method="gaussian", level="occupancy").plug_in,
    "marginal knn": lambda case: gap(case.real, case.sim, method="knn", level="occupancy").value,
    "sliced Wasserstein": lambda case: case.distances["sliced wasserstein"],
    "MMD": lambda case: case.distances["mmd"],
    "RMSE": lambda case: case.distances["rmse"],
    "DTW": lambda case: case.distances["dtw"],
    "one-step RMSE": one_step,
}
"""The functions that compute the scores, by name; a score should grow with the loss of return."""

SLOW = ("ratio",)
"""Scores that take longer than all others together; they are computed only where they are asked for."""


def scores(case: Case, names: Sequence[str]) -> tuple[dict[str, float], list[str]]:
    """Compute some scores of a case, NaN where one has no value, and return them with the reasons for NaN."""
    found, notes = {}, []
    for name in names:
        try:
            found[name] = SCORES[name](case)
        except (GapError, WorldError) as error:
            found[name] = np.nan
            notes.append(f"{name}: {error}")
    return found, notes
