"""Test whether reality lies inside the support of the randomized simulation, and name what sticks out.

Split conformal prediction (Vovk, Gammerman and Shafer 2005, "Algorithmic Learning in a Random World"; for outliers
Bates et al. 2023, Annals of Statistics 51:149-178) with the episode as the unit. Half of every simulated member's
episodes are the reference. A point is as odd as its distance to the nearest reference points of any member, in the
whitened space; an episode is as odd as its oddest tenth. The real episodes are ranked among simulated ones held out of
the reference. If a real episode is like one of a member drawn with its weight, its p-value is at most α with
probability at most α, whatever the distributions and the dependence within episodes.

Coverage looks one way: real episodes all in one corner of a wide randomization are covered, and have a gap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from scipy.spatial import cKDTree

from sim2real_cat.arrays import Bools, Floats
from sim2real_cat.errors import GapError
from sim2real_cat.gaps.null import PooledUnits, hold_out, pool
from sim2real_cat.gaps.permutation import p_value
from sim2real_cat.gaps.samples import Cloud, Level, Observations, clouds, require_density
from sim2real_cat.linear_algebra import on_one_thread, whitening

_DEALS = 999
# How many nearest reference points make a distance; one alone may be an outlier itself.
_NEIGHBOURS = 5
# More reference points make the distances no clearer and the search slower.
_MOST_REFERENCE = 5000
# Share of an episode's points, the oddest, whose mean is the episode's score.
_ODDEST = 0.1
# A point is outside if it is farther than this share of the simulated points held out.
_INSIDE = 0.99


@dataclass(frozen=True)
class Coverage:
    """The evidence on whether the real episodes look like simulated ones.

    Attributes:
        p_value: Of "the real episodes are like simulated ones": the smaller one of all sensors together and of the
            single sensors, doubled.
        p_joint: All sensors together, by the ranks of the real episodes' scores.
        p_episodes: One for each real episode; for each group of episodes where there are hundreds.
        p_sensors: One for each sensor, corrected for their number (Holm).
        outside_episodes: The places in `p_episodes` of those outside, at a false discovery rate of `significance`.
        outside_sensors: The sensors whose p-value is at most half of `significance`.
        share_outside: Share of the real points farther from simulated ones than 99 % of the points held out.
        floor: The smallest that `p_value` can be with so many episodes.
        significance: The chance of a false alarm that was asked for.
        level: "occupancy" or "transition".
        sensors: Names of the sensors compared.
        held_out: Simulated episodes that the real ones are ranked among.
        why: Remarks for the reader.
    """

    p_value: float
    p_joint: float
    p_episodes: tuple[float, ...]
    p_sensors: tuple[float, ...]
    outside_episodes: tuple[int, ...]
    outside_sensors: tuple[str, ...]
    share_outside: float
    floor: float
    significance: float
    level: Level
    sensors: tuple[str, ...]
    held_out: int
    why: tuple[str, ...]

    @property
    def covered(self) -> bool | None:
        """Tell whether nothing speaks against coverage; None where so few episodes could not speak against anything."""
        return None if self.floor > self.significance else self.p_value > self.significance

    def __str__(self) -> str:
        """E.g. ``not covered (p = 0.002, transition): 31 % of the real points outside; sensors outside: knee``."""
        word = {True: "covered", False: "not covered", None: "undecided"}[self.covered]
        odd = f"; sensors outside: {', '.join(self.outside_sensors)}" if self.outside_sensors else ""
        share = f"{self.share_outside:.0%} of the real points outside"
        return f"{word} (p = {self.p_value:.3g}, {self.level}): {share}{odd}"


def coverage(
    real: Observations,
    sim: Observations,
    *,
    level: Level | None = None,
    weights: Mapping[int, float] | ArrayLike | None = None,
    significance: float = 0.05,
    rng: np.random.Generator | int = 0,
) -> Coverage:
    """Test whether the real episodes lie in the support of the simulated mixture, and name what does not.

    Args:
        real: As for `gap`.
        sim: As for `gap`: at least two episodes of every member, or single ones of equally weighted members.
        level: "occupancy" compares observations, "transition" pairs of successive ones; by default as for `gap`.
        weights: Weight of each member, as for `gap`.
        significance: Chance of a false alarm, between 0 and 1.
        rng: Deals the simulated episodes. The default seed 0 makes the result reproducible.

    Returns:
        The p-values and what is outside.

    Raises:
        GapError: As for `gap`, or no simulated episode can be held out.
    """
    if not 0 < significance < 1:
        raise GapError(f"significance is {significance}: give a number between 0 and 1, such as 0.05")
    real_cloud, sim_cloud, member_weights, notes = clouds(real, sim, level, weights)
    generator = np.random.default_rng(rng)
    parts = hold_out(sim_cloud, member_weights, generator)
    if isinstance(parts, str):
        raise GapError(f"no coverage: {parts}")
    reference = _thinned(parts.sim.points, generator)
    require_density(reference, real_cloud.columns, f"half of the simulated {real_cloud.rows}")
    pooled = pool(real_cloud, parts.held, generator)
    chosen = pooled.deals(_DEALS, generator)
    with on_one_thread():
        distances = _distances(pooled.cloud.points, reference)
        joint = _scores(distances, pooled)
        alone = [_scores(_distances(pooled.cloud.points[:, c], reference[:, c]), pooled) for c in _own(real_cloud)]
    p_joint = _rank_test(joint, chosen)
    p_sensors = _holm([_rank_test(scores, chosen) for scores in alone])
    real_scores, others = joint[: pooled.n_first], np.sort(joint[pooled.n_first :])
    as_odd = len(others) - np.searchsorted(others, real_scores, side="left")
    p_episodes = (1 + as_odd) / (len(others) + 1)
    rows = pooled.cloud.episode < pooled.n_first
    limit = np.quantile(distances[~rows], _INSIDE)
    least = min(1.0, 2 * pooled.least_p_value(_DEALS))
    doubts = []
    if least > significance:
        doubts.append(
            f"{pooled.n_first} real and {len(others)} simulated episodes held out cannot give a p-value below "
            f"{least:.3f}"
        )
    if 1 / (len(others) + 1) > significance:
        doubts.append(f"{len(others)} simulated episodes held out are too few to single out a real one")
    return Coverage(
        p_value=min(1.0, 2 * min(p_joint, *p_sensors)),
        p_joint=p_joint,
        p_episodes=tuple(p_episodes.tolist()),
        p_sensors=tuple(p_sensors),
        outside_episodes=tuple(
            np.flatnonzero(stats.false_discovery_control(p_episodes) <= significance).tolist(),
        ),
        outside_sensors=tuple(
            name for name, p in zip(real_cloud.sensors, p_sensors, strict=True) if p <= significance / 2
        ),
        share_outside=float((distances[rows] > limit).mean()),
        floor=least,
        significance=significance,
        level=real_cloud.level,
        sensors=real_cloud.sensors,
        held_out=len(np.unique(parts.held.episode)),
        why=(*doubts, *notes, *parts.notes, *pooled.notes),
    )


def _own(cloud: Cloud) -> list[list[int]]:
    """Return the columns of each sensor: o, and o' at the level "transition"."""
    d = len(cloud.sensors)
    return [[j] if cloud.level == "occupancy" else [j, d + j] for j in range(d)]


def _thinned(points: Floats, rng: np.random.Generator) -> Floats:
    """Choose at most `_MOST_REFERENCE` points at random."""
    return points if len(points) <= _MOST_REFERENCE else points[rng.permutation(len(points))[:_MOST_REFERENCE]]


def _distances(points: Floats, reference: Floats) -> Floats:
    """Compute the distance (n,) of points to their nearest reference points, in units of the reference's spread."""
    white = whitening(reference)
    points, whole = white(points), white(reference)
    nearest: Floats = cKDTree(whole).query(points, k=[min(_NEIGHBOURS, len(whole))])[0][:, 0]
    return nearest


def _scores(distances: Floats, pooled: PooledUnits) -> Floats:
    """Compute (n_units,) the mean distance of the oddest tenth of each unit's points."""
    scores = np.empty(pooled.n_units)
    for unit in range(pooled.n_units):
        own = np.sort(distances[pooled.cloud.episode == unit])
        scores[unit] = own[-int(np.ceil(_ODDEST * len(own))) :].mean()
    return scores


def _rank_test(scores: Floats, chosen: Bools) -> float:
    """Compute the p-value of the sum of the real units' ranks."""
    sums = chosen @ stats.rankdata(scores)
    return p_value(sums[1:], float(sums[0]), sampled=True)


def _holm(p: Sequence[float]) -> list[float]:
    """Correct the p-values of several tests for their number (Holm 1979)."""
    order = np.argsort(p, kind="stable")
    corrected = np.maximum.accumulate(np.sort(p) * np.arange(len(p), 0, -1))
    out = np.empty(len(p))
    out[order] = np.minimum(corrected, 1.0)
    return [float(x) for x in out]
