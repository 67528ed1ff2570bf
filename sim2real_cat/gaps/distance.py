"""Distances between real and simulated observations that are not divergences: context for a gap.

None of them is in nats, and none is the `kl_gap`; other publications report them. Three compare the
distributions of observations with every sensor in units of its pooled standard deviation:

- sliced Wasserstein-1: the mean over random directions of the earth mover's distance along them (Bonneel et
  al. 2015, J. Math. Imaging and Vision 51:22-45), by POT;
- energy distance, 2 E|X - Y| - E|X - X'| - E|Y - Y'| (Székely and Rizzo 2013, J. Stat. Planning and Inference
  143:1249-1272);
- maximum mean discrepancy with a Gaussian kernel (Gretton et al. 2012, JMLR 13:723-773), its bandwidth the
  median distance between pooled points.

One compares each sensor alone, Wasserstein-1 in the sensor's own unit, and two compare episodes paired in
time, step by step or along the best alignment: the root mean square difference and dynamic time warping.

Every p-value is of the hypothesis that nothing tells the real episodes from the simulated ones: labels are
permuted over whole episodes, never over steps. A point keeps its weight u when its episode changes sides, and each
side is scaled to a total of 1. With the signed weights c = (real weights) - (simulated weights) every statistic here is
a function of c: energy distance and squared maximum mean discrepancy are quadratic forms -cᵀ D c and cᵀ K c in the
matrices of distances and of kernel values (Sejdinovic et al. 2013, Annals of Statistics 41:2263-2291), summed once over
pairs of episodes; Wasserstein-1 on a line is the integral of |running sum of c|.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import comb
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from scipy.spatial.distance import cdist, pdist

from sim2real_cat.arrays import Bools, Floats, Ints
from sim2real_cat.errors import GapError
from sim2real_cat.gaps.permutation import every_choice, least_p_value, p_value, random_orders
from sim2real_cat.gaps.samples import Observations, Samples, weighted_samples
from sim2real_cat.linear_algebra import on_one_thread

_DIRECTIONS = 64
# The most points of a side, since the cost is the square of it; more are thinned evenly in time.
_MOST_POINTS = 2000
# How many pooled points tell the median distance.
_PROBES = 1000
# Rows of the matrix of distances that are held at once.
_ROWS = 500
_STANDARD = "pooled standard deviations"


@dataclass(frozen=True)
class Distance:
    """One distance between the two sides.

    Attributes:
        name: E.g. "energy distance", or "wasserstein of SENSOR".
        value: The distance, >= 0.
        units: The unit of the distance.
        null: The mean of the same distance over permuted labels: what two samples of one distribution show at
            this size. None without a permutation test.
        p_value: The share of permuted labels that show as much; None where there is no such test.
        why: Remarks for the reader.
    """

    name: str
    value: float
    units: str
    null: float | None
    p_value: float | None
    why: tuple[str, ...] = ()

    def __str__(self) -> str:
        """E.g. ``energy distance 0.213 pooled standard deviations (p = 0.005)``."""
        p = "" if self.p_value is None else f" (p = {self.p_value:.3g})"
        return f"{self.name} {self.value:.3g} {self.units}{p}"


def distances(
    real: Observations,
    sim: Observations,
    *,
    weights: Mapping[int, float] | ArrayLike | None = None,
    paired: bool = False,
    window: int | None = None,
    permutations: int = 199,
    rng: np.random.Generator | int = 0,
) -> tuple[Distance, ...]:
    """Compute sliced Wasserstein, energy distance, MMD and Wasserstein per sensor; RMSE and DTW of paired episodes.

    Args:
        real: Independent rows (n, d) or (n,), episodes as a list of (T_i, d), or an object that has
            `episodes`, `member_index`, `sensors` and `control_period`.
        sim: Likewise; its members are the fibre, and the simulated distribution the mixture over them.
        weights: Weight of each member: a mapping, or one number each in the order of the sorted members; equal by
            default.
        paired: Whether the j-th real episode and the j-th simulated one of every member started alike, so that
            they can be compared step by step.
        window: The most steps that dynamic time warping may shift; any number by default.
        permutations: The number of relabellings of the episodes for a p-value; all there are, if fewer.
        rng: Draws the directions and the relabellings. The default seed 0 makes the result reproducible.

    Returns:
        The distances: three of the joint distribution, one for each sensor, and two if `paired`.

    Raises:
        GapError: As for `gap`; a library of the extra "gaps" is missing; `paired` episodes do not pair up.
    """
    if permutations < 1:
        raise GapError(f"permutations is {permutations}: give at least 1, 199 for p-values down to 0.005")
    if window is not None and window < 0:
        raise GapError(f"window is {window}: give a number of steps, or None for any")
    real_samples, sim_samples, member_weights = weighted_samples(real, sim, weights)
    generator = np.random.default_rng(rng)
    pooled = np.concatenate([real_samples.points, sim_samples.points])
    spread = pooled.std(axis=0)
    # A sensor that never moves differs by 0 in any unit.
    scale = np.where(spread > 0, spread, 1.0)
    scaled = [replace(s, points=(s.points - pooled.mean(axis=0)) / scale) for s in (real_samples, sim_samples)]
    with on_one_thread():
        found = _of_distributions(scaled[0], scaled[1], member_weights, scale, permutations, generator)
        if paired:
            found += _of_pairs(scaled[0], scaled[1], member_weights, window)
    return found


def _of_distributions(
    real: Samples,
    sim: Samples,
    weights: Mapping[int, float],
    scale: Floats,
    permutations: int,
    rng: np.random.Generator,
) -> tuple[Distance, ...]:
    """Compute the distances of distributions, with the sensors on the scale of their pooled deviations."""
    try:
        import ot
    except ModuleNotFoundError:
        raise GapError(
            "the sliced Wasserstein distance needs POT, which is not installed: pip install 'sim2real-cat[gaps]'"
        ) from None

    ours, theirs = _thinned(real, dict.fromkeys(real.member_index.tolist(), 1.0)), _thinned(sim, weights)
    directions = rng.normal(size=(len(real.sensors), _DIRECTIONS))
    directions /= np.linalg.norm(directions, axis=0)
    relabelled = Relabelled.draw(ours, theirs, permutations, rng)
    sliced = ot.sliced_wasserstein_distance(ours.points, theirs.points, b=theirs.weight, projections=directions, p=1)
    notes = _about_permutations(real, sim, theirs.weight, relabelled)
    bandwidth = median_distance(relabelled.points)
    energy, squared = relabelled.energy_and_discrepancy(bandwidth)
    rows = [
        ("sliced wasserstein", float(sliced), _STANDARD, relabelled.wasserstein(directions)),
        ("energy distance", float(energy[0]), _STANDARD, energy),
        ("mmd", float(np.sqrt(squared[0])), f"of a Gaussian kernel of bandwidth {bandwidth:.2f}", np.sqrt(squared)),
    ]
    for i, (name, unit) in enumerate(zip(real.sensors, scale.tolist(), strict=True)):
        value = stats.wasserstein_distance(ours.points[:, i], theirs.points[:, i], v_weights=theirs.weight) * unit
        along = relabelled.wasserstein(np.eye(len(real.sensors))[:, [i]]) * unit
        rows.append((f"wasserstein of {name}", float(value), f"units of {name}", along))
    return tuple(
        Distance(name, value, units, relabelled.null(statistic), relabelled.p_value(statistic), notes)
        for name, value, units, statistic in rows
    )


def _of_pairs(real: Samples, sim: Samples, weights: Mapping[int, float], window: int | None) -> tuple[Distance, ...]:
    """Compute the distances of episodes paired in time."""
    if real.independent or sim.independent:
        raise GapError("paired=True needs episodes on both sides, not independent rows: give lists of (T, d) arrays")
    counts = {e: int((sim.member_index == e).sum()) for e in weights}
    wrong = {e: count for e, count in counts.items() if count != len(real.member_index)}
    if wrong:
        member, count = next(iter(wrong.items()))
        raise GapError(
            f"paired=True: simulated member {member} has {count} episodes, the real side {len(real.member_index)}: "
            "give every member one episode for each real one, in the same order"
        )
    ours, theirs = _split(real), _split(sim)
    pairs = [
        (ours[j], theirs[i], weight)
        for e, weight in weights.items()
        for j, i in enumerate(np.flatnonzero(sim.member_index == e).tolist())
    ]
    steps = sum(max(len(a), len(b)) for a, b, _ in pairs)
    common = sum(min(len(a), len(b)) for a, b, _ in pairs)
    untested = "a distance of pairs is above 0 wherever there is noise, and permuted labels do not test it"
    unequal = (f"{common / steps:.0%} of the steps have a partner; the others are left out",) if common < steps else ()
    return (
        Distance("rmse", root_mean_square(pairs), _STANDARD, None, None, (untested, *unequal)),
        Distance("dtw", warped(pairs, window), _STANDARD, None, None, (untested,)),
    )


def _thinned(samples: Samples, weights: Mapping[int, float]) -> WeightedPoints:
    """Return at most `_MOST_POINTS` rows of a side, evenly in time, each member's adding up to its weight."""
    n = len(samples.points)
    count = min(n, _MOST_POINTS)
    rows = np.arange(count) * n // count
    labels, member, counts = np.unique(
        samples.member_index[samples.episode[rows]], return_inverse=True, return_counts=True
    )
    weight = np.array([weights[e] for e in labels.tolist()])[member] / counts[member]
    return WeightedPoints(samples.points[rows], weight / weight.sum(), samples.episode[rows])


def _split(samples: Samples) -> list[Floats]:
    """Return the points of each episode."""
    return np.split(samples.points, np.cumsum(samples.lengths)[:-1])


def _about_permutations(real: Samples, sim: Samples, weight: Floats, relabelled: Relabelled) -> tuple[str, ...]:
    """List remarks on the permutations, for the reader."""
    notes = []
    if min(len(real.member_index), len(sim.member_index)) < 2:
        notes.append("a single episode on one side cannot be permuted: no p-value")
    elif relabelled.least_p_value > 0.05:
        notes.append(
            f"{len(real.member_index)} real and {len(sim.member_index)} simulated episodes can be relabelled in "
            f"{relabelled.count} ways: no p-value is below {relabelled.least_p_value:.2g}"
        )
    if weight.max() > 1.5 * weight.min():
        notes.append("members differ in weight per point, so that permuted episodes are exchangeable roughly only")
    n = max(len(real.points), len(sim.points))
    if n > _MOST_POINTS:
        notes.append(f"of {n} points on a side {_MOST_POINTS} are compared, evenly in time")
    return tuple(notes)


@dataclass(frozen=True)
class WeightedPoints:
    """Points (n, d) of one side, the weight of each (n,), and its episode (n,), not decreasing."""

    points: Floats
    weight: Floats
    episode: Ints


@dataclass(frozen=True)
class Relabelled:
    """Points of both sides pooled, and labels of their episodes; the first labelling is the true one.

    Attributes:
        points: (N, d), episode after episode.
        weight: (N,) the weight of each point, in units of a real point's.
        start: (E,) the first row of each episode.
        real: (1 + labellings, E) the episodes called real.
        exact: Whether the labellings after the first are all there are.
    """

    points: Floats
    weight: Floats
    start: Ints
    real: Bools
    exact: bool

    @classmethod
    def draw(cls, real: WeightedPoints, sim: WeightedPoints, permutations: int, rng: np.random.Generator) -> Relabelled:
        """Pool both sides and draw labellings, or list them if there are few."""
        episode = np.concatenate([real.episode, real.episode.max() + 1 + sim.episode])
        start = np.flatnonzero(np.diff(episode, prepend=-1))
        count, ours = len(start), int((start < len(real.points)).sum())
        truth = np.arange(count) < ours
        exact = comb(count, ours) <= permutations
        labels = every_choice(count, ours) if exact else random_orders(count, permutations, rng) < ours
        weight = np.concatenate([side.weight * len(side.points) / side.weight.sum() for side in (real, sim)])
        points = np.concatenate([real.points, sim.points])
        return cls(points, weight, start, np.concatenate([truth[None], labels]), exact)

    @property
    def count(self) -> int:
        """Count the labellings that the true one is compared with, itself among them."""
        return len(self.real) - 1 if self.exact else len(self.real)

    @property
    def least_p_value(self) -> float:
        """Compute the smallest p-value that so many labellings can give."""
        return least_p_value(len(self.start), int(self.real[0].sum()), len(self.real) - 1)

    @property
    def _testable(self) -> bool:
        ours = int(self.real[0].sum())
        return 2 <= ours <= len(self.start) - 2

    def p_value(self, statistic: Floats) -> float | None:
        """Compute the p-value of (1 + labellings,) statistics; None where a side has a single episode."""
        return p_value(statistic[1:], float(statistic[0]), sampled=not self.exact) if self._testable else None

    def null(self, statistic: Floats) -> float | None:
        """Compute the mean statistic over the labellings; None where a side has a single episode."""
        return float(statistic[1:].mean()) if self._testable else None

    def energy_and_discrepancy(self, bandwidth: float) -> tuple[Floats, Floats]:
        """Compute (1 + labellings,) energy distance and squared MMD with a Gaussian kernel, for each labelling."""
        by_point = np.zeros((2, len(self.points), len(self.start)))
        for first in range(0, len(self.points), _ROWS):
            rows = slice(first, first + _ROWS)
            apart = cdist(self.points[rows], self.points)
            for total, values in zip(by_point, (apart, np.exp(-0.5 * (apart / bandwidth) ** 2)), strict=True):
                total[rows] = np.add.reduceat(values * self.weight, self.start, axis=1)
        distance, kernel = np.add.reduceat(by_point * self.weight[:, None], self.start, axis=1)
        signed = self._signed()
        energy = -((signed @ distance) * signed).sum(axis=1)
        squared = ((signed @ kernel) * signed).sum(axis=1)
        return np.maximum(energy, 0.0), np.maximum(squared, 0.0)

    def wasserstein(self, directions: Floats) -> Floats:
        """Compute (1 + labellings,) Wasserstein-1 along directions (d, n_directions), averaged over them."""
        per_point = np.repeat(self._signed(), np.diff(self.start, append=len(self.points)), axis=1) * self.weight
        total: Floats = np.zeros(len(per_point))
        for along in (self.points @ directions).T:
            order = np.argsort(along, kind="stable")
            below = np.cumsum(per_point[:, order[:-1]], axis=1)
            total += np.abs(below) @ np.diff(along[order])
        average: Floats = total / directions.shape[1]
        return average

    def _signed(self) -> Floats:
        """Compute (1 + labellings, E) the factor from weight to c, by episode."""
        mass = np.add.reduceat(self.weight, self.start)
        ours = self.real / (self.real @ mass)[:, None]
        theirs = ~self.real / (~self.real @ mass)[:, None]
        signed: Floats = ours - theirs
        return signed


def median_distance(points: Floats) -> float:
    """Compute the median distance between points, by which a Gaussian kernel is scaled; 1 where most coincide."""
    count = min(len(points), _PROBES)
    median = float(np.median(pdist(points[np.arange(count) * len(points) // count])))
    return median if median > 0 else 1.0


Pairs: TypeAlias = Sequence[tuple[Floats, Floats, float]]
"""Real episode (T, d), simulated episode (T', d) of the same d sensors, and the weight of its fibre member."""


def root_mean_square(pairs: Pairs) -> float:
    """Compute the root of the mean squared difference over steps, sensors and pairs.

    A pair counts for its weight and its number of common steps, min(T, T').
    """
    squares, steps = 0.0, 0.0
    for ours, theirs, weight in pairs:
        common = min(len(ours), len(theirs))
        squares += weight * float(((ours[:common] - theirs[:common]) ** 2).mean(axis=1).sum())
        steps += weight * common
    return float(np.sqrt(squares / steps))


def warped(pairs: Pairs, window: int | None) -> float:
    """Compute the root mean square along the alignment of dynamic time warping, all sensors warped together.

    Per pair, the smallest sum of squared differences over monotone alignments of all steps of both (Sakoe and
    Chiba 1978, IEEE Transactions on Acoustics, Speech and Signal Processing 26:43-49), over max(T, T') steps: for
    episodes of one length at most the root mean square, which is the alignment that shifts nothing.

    Args:
        pairs: The pairs.
        window: The most steps that the alignment may shift, beyond the difference of the lengths; None for any.

    Raises:
        GapError: dtaidistance is not installed.
    """
    try:
        from dtaidistance import dtw_ndim
    except ModuleNotFoundError:
        raise GapError(
            "dynamic time warping needs dtaidistance, which is not installed: pip install 'sim2real-cat[gaps]'"
        ) from None
    squares, steps = 0.0, 0.0
    for ours, theirs, weight in pairs:
        # The library's window counts the cells of the band on either side, the diagonal among them.
        band = None if window is None else window + 1
        apart = dtw_ndim.distance_fast(np.ascontiguousarray(ours), np.ascontiguousarray(theirs), window=band)
        squares += weight * float(apart) ** 2 / ours.shape[1]
        steps += weight * max(len(ours), len(theirs))
    return float(np.sqrt(squares / steps))
