"""Distances between real and simulated observations that are not divergences: context for a gap.

None of them is in nats, and none is the `kl_gap`; they are what other people report. Three compare the
distributions of observations with every sensor in units of its pooled standard deviation:

- sliced Wasserstein-1: the mean over random directions of the earth mover's distance along them (Bonneel et
  al. 2015, J. Math. Imaging and Vision 51:22-45), by POT;
- energy distance, 2 E|X - Y| - E|X - X'| - E|Y - Y'| (Székely and Rizzo 2013, J. Stat. Planning and Inference
  143:1249-1272);
- maximum mean discrepancy with a Gaussian kernel (Gretton et al. 2012, JMLR 13:723-773), its bandwidth the
  median distance between pooled points.

One compares each sensor alone, Wasserstein-1 in the sensor's own unit, and two compare episodes paired in
time, the root mean square difference and dynamic time warping.

Every p-value is of the hypothesis that nothing tells the real episodes from the simulated ones: labels are
permuted over whole episodes, never over steps.

Distances of episodes paired in time: step by step, or along the best alignment of their steps.

Distances under permuted labels: the same statistic for every way to call the episodes real or simulated.

A point keeps its weight u when its episode changes sides, and each side is scaled to a total of 1. With the
signed weights c = (real weights) - (simulated weights) every statistic here is a function of c: energy distance
and squared maximum mean discrepancy are quadratic forms -cᵀ D c and cᵀ K c in the matrices of distances and of
kernel values (Sejdinovic et al. 2013, Annals of Statistics 41:2263-2291), summed once over pairs of episodes;
Wasserstein-1 on a line is the integral of |running sum of c|.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.spatial.distance import cdist, pdist

from sim2real_cat.arrays import Floats, Ints
from sim2real_cat.errors import GapError
from sim2real_cat.gaps.samples import Observations, Samples, as_samples, comparable, fibre_weights, of_members
from sim2real_cat.linear_algebra import on_one_thread

_DIRECTIONS = 64
# The most points of a side, since the cost is the square of it; more are thinned evenly in time.
_MOST_POINTS = 2000
_STANDARD = "pooled standard deviations"


@dataclass(frozen=True)
class Distance:
    """One distance between the two sides.

    Attributes:
        name: E.g. "energy distance", or "wasserstein of SENSOR".
        value: The distance, >= 0.
        units: What it is measured in.
        null: The mean of the same distance over permuted labels: what two samples of one distribution show at
            this size. None without a permutation test.
        p_value: How often permuted labels show as much; None where there is no such test.
        why: What the reader should know.
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
    """Sliced Wasserstein, energy distance, MMD and Wasserstein per sensor; RMSE and DTW of paired episodes.

    Args:
        real: Independent rows (n, d) or (n,), episodes as a list of (T_i, d), or an object that has
            `episodes`, `member_index`, `sensors` and `control_period`.
        sim: Likewise; its members are the fibre, and the simulated distribution the mixture over them.
        weights: Of the members: a mapping, or one number each in the order of the sorted members; equal by
            default.
        paired: Whether the j-th real episode and the j-th simulated one of every member started alike, so that
            they can be compared step by step.
        window: How many steps dynamic time warping may shift; any number by default.
        permutations: How many relabellings of the episodes a p-value comes from; all there are, if fewer.
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
    real_samples, sim_samples = comparable(as_samples(real, "real"), as_samples(sim, "simulated"))
    fibre = fibre_weights(weights, sim_samples.member_index)
    sim_samples = of_members(sim_samples, fibre)
    generator = np.random.default_rng(rng)
    pooled = np.concatenate([real_samples.points, sim_samples.points])
    spread = pooled.std(axis=0)
    # A sensor that never moves differs by 0 in any unit.
    scale = np.where(spread > 0, spread, 1.0)
    scaled = [replace(s, points=(s.points - pooled.mean(axis=0)) / scale) for s in (real_samples, sim_samples)]
    with on_one_thread():
        found = _of_distributions(scaled[0], scaled[1], fibre, scale, permutations, generator)
        if paired:
            found += _of_pairs(scaled[0], scaled[1], fibre, window)
    return found


def _of_distributions(
    real: Samples, sim: Samples, fibre: Mapping[int, float], scale: Floats, permutations: int, rng: np.random.Generator
) -> tuple[Distance, ...]:
    try:
        import ot
    except ModuleNotFoundError:
        raise GapError(
            "the sliced Wasserstein distance needs POT, which is not installed: pip install 'sim2real-cat[gaps]'"
        ) from None

    ours, theirs = _thinned(real, dict.fromkeys(real.member_index.tolist(), 1.0)), _thinned(sim, fibre)
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


def _of_pairs(real: Samples, sim: Samples, fibre: Mapping[int, float], window: int | None) -> tuple[Distance, ...]:
    if real.independent or sim.independent:
        raise GapError("paired=True needs episodes on both sides, not independent rows: give lists of (T, d) arrays")
    counts = {e: int((sim.member_index == e).sum()) for e in fibre}
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
        for e, weight in fibre.items()
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


def _thinned(samples: Samples, fibre: Mapping[int, float]) -> Side:
    """At most `_MOST_POINTS` rows of a side, evenly in time, each member's adding up to its weight."""
    n = len(samples.points)
    count = min(n, _MOST_POINTS)
    rows = np.arange(count) * n // count
    labels, member, counts = np.unique(
        samples.member_index[samples.episode[rows]], return_inverse=True, return_counts=True
    )
    weight = np.array([fibre[e] for e in labels.tolist()])[member] / counts[member]
    return Side(samples.points[rows], weight / weight.sum(), samples.episode[rows])


def _split(samples: Samples) -> list[Floats]:
    return np.split(samples.points, np.cumsum(samples.lengths)[:-1])


def _about_permutations(real: Samples, sim: Samples, weight: Floats, relabelled: Relabelled) -> tuple[str, ...]:
    notes = []
    if min(len(real.member_index), len(sim.member_index)) < 2:
        notes.append("a single episode on one side cannot be permuted: no p-value")
    elif relabelled.smallest > 0.05:
        notes.append(
            f"{len(real.member_index)} real and {len(sim.member_index)} simulated episodes can be relabelled in "
            f"{relabelled.count} ways: no p-value is below {relabelled.smallest:.2g}"
        )
    if weight.max() > 1.5 * weight.min():
        notes.append("members differ in weight per point, so that permuted episodes are exchangeable roughly only")
    n = max(len(real.points), len(sim.points))
    if n > _MOST_POINTS:
        notes.append(f"of {n} points on a side {_MOST_POINTS} are compared, evenly in time")
    return tuple(notes)


Pairs: TypeAlias = Sequence[tuple[Floats, Floats, float]]
"""Real episode (T, d), simulated episode (T', d) of the same d sensors, and the weight of its fibre member."""


def root_mean_square(pairs: Pairs) -> float:
    """The root of the mean squared difference over steps, sensors and pairs.

    A pair counts for its weight and its number of common steps, min(T, T').
    """
    squares, steps = 0.0, 0.0
    for ours, theirs, weight in pairs:
        common = min(len(ours), len(theirs))
        squares += weight * float(((ours[:common] - theirs[:common]) ** 2).mean(axis=1).sum())
        steps += weight * common
    return float(np.sqrt(squares / steps))


def warped(pairs: Pairs, window: int | None) -> float:
    """The same along the alignment of dynamic time warping, all sensors warped together.

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


# How many pooled points tell the median distance.
_PROBES = 1000
# Rows of the matrix of distances that are held at once.
_ROWS = 500
# A permuted statistic this close to the observed one, relative to it, is the same up to rounding.
_SAME = 1e-9


@dataclass(frozen=True)
class Side:
    """One side: points (n, d), what each counts for (n,), and its episode (n,), not decreasing."""

    points: Floats
    weight: Floats
    episode: Ints


@dataclass(frozen=True)
class Relabelled:
    """Points of both sides pooled, and labels of their episodes; the first labelling is the true one.

    Attributes:
        points: (N, d), episode after episode.
        weight: (N,) what each point counts for, in units of a real point's.
        start: (E,) the first row of each episode.
        real: (1 + labellings, E) which episodes are called real.
        exact: Whether the labellings after the first are all there are.
    """

    points: Floats
    weight: Floats
    start: Ints
    real: NDArray[np.bool_]
    exact: bool

    @classmethod
    def draw(cls, real: Side, sim: Side, permutations: int, rng: np.random.Generator) -> Relabelled:
        """Pool both sides and draw labellings, or list them if there are few."""
        episode = np.concatenate([real.episode, real.episode.max() + 1 + sim.episode])
        start = np.flatnonzero(np.diff(episode, prepend=-1))
        count, ours = len(start), int((start < len(real.points)).sum())
        truth = np.arange(count) < ours
        exact = comb(count, ours) <= permutations
        if exact:
            labels = np.zeros((comb(count, ours), count), dtype=bool)
            for row, chosen in enumerate(combinations(range(count), ours)):
                labels[row, list(chosen)] = True
        else:
            labels = np.stack([rng.permutation(truth) for _ in range(permutations)])
        weight = np.concatenate([side.weight * len(side.points) / side.weight.sum() for side in (real, sim)])
        points = np.concatenate([real.points, sim.points])
        return cls(points, weight, start, np.concatenate([truth[None], labels]), exact)

    @property
    def count(self) -> int:
        """Labellings that the true one is compared with, itself among them."""
        return len(self.real) - 1 if self.exact else len(self.real)

    @property
    def smallest(self) -> float:
        """The smallest p-value possible."""
        return 1 / self.count

    @property
    def _testable(self) -> bool:
        ours = int(self.real[0].sum())
        return 2 <= ours <= len(self.start) - 2

    def p_value(self, statistic: Floats) -> float | None:
        """The share of labellings whose statistic is at least the true one's, from (1 + labellings,) statistics.

        None where a side has a single episode. Drawn labellings are counted together with the true one, which keeps
        the level (Phipson and Smyth 2010, Stat. Appl. Genetics and Molecular Biology 9:39).
        """
        if not self._testable:
            return None
        against = statistic[1:] if self.exact else statistic
        return float((against >= statistic[0] * (1 - _SAME)).mean())

    def null(self, statistic: Floats) -> float | None:
        """The mean statistic over the labellings."""
        return float(statistic[1:].mean()) if self._testable else None

    def energy_and_discrepancy(self, bandwidth: float) -> tuple[Floats, Floats]:
        """(1 + labellings,) energy distance and squared MMD with a Gaussian kernel, for each labelling."""
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
        """(1 + labellings,) Wasserstein-1 along directions (d, n_directions), averaged over them."""
        per_point = np.repeat(self._signed(), np.diff(self.start, append=len(self.points)), axis=1) * self.weight
        total: Floats = np.zeros(len(per_point))
        for along in (self.points @ directions).T:
            order = np.argsort(along, kind="stable")
            below = np.cumsum(per_point[:, order[:-1]], axis=1)
            total += np.abs(below) @ np.diff(along[order])
        average: Floats = total / directions.shape[1]
        return average

    def _signed(self) -> Floats:
        """(1 + labellings, E) what one unit of weight counts for in c, by episode."""
        mass = np.add.reduceat(self.weight, self.start)
        ours = self.real / (self.real @ mass)[:, None]
        theirs = ~self.real / (~self.real @ mass)[:, None]
        signed: Floats = ours - theirs
        return signed


def median_distance(points: Floats) -> float:
    """The median distance between points, by which a Gaussian kernel is scaled; 1 where most coincide."""
    count = min(len(points), _PROBES)
    median = float(np.median(pdist(points[np.arange(count) * len(points) // count])))
    return median if median > 0 else 1.0
