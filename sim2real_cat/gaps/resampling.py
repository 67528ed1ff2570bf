"""Blocks of whole episodes, and the bias and spread that leaving out one at a time shows.

Steps of one episode are dependent, so the unit is the episode and never a step. The real side is one stratum; each
member of the simulated fibre is another, because the fibre is given and only the episodes within a member are random.

Blocks are left out, never drawn with replacement: the naive bootstrap repeats points, which are then each other's
nearest neighbours at distance 0, and is wrong for nearest neighbours whatever the sample size. Leaving out a fixed
share of the sample at a time, as the delete-d jackknife does, is right for them too (Shao and Wu 1989, Annals of
Statistics 17:1176-1197).

The spread between episodes is unknown where there is one episode only. A long stationary one still tells it, by the
spread between its stretches of time, if they are much longer than the memory of the process. Two rules give a length,
and the longer counts: Politis and White's for the circular block bootstrap (Econometric Reviews 23:53-70, 2004,
corrected 28:372-375, 2009) as the package `arch` has it, which looks back some 2 sqrt(n) steps and sees no longer
memory; and a multiple of the integrated autocorrelation time, which can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from scipy import special, stats

from sim2real_cat.arrays import Floats, Ints
from sim2real_cat.gaps.samples import Cloud

PIECES = 8
"""The number of stretches of time into which a stratum's only episode is cut."""

FEWEST = 8
"""With fewer stretches their spread is hardly known, and neither is whether they are correlated."""

# A quantile so far out that the tail beyond it cannot be inverted with any accuracy.
_FAR = 6.0
# More stretches say nothing new about their spread.
_MOST = 64
# Stretches in units of the autocorrelation time: a first-order autoregression's mean over 4 of them has 7/8 of the
# variance that as many independent values would give it.
_MEMORIES = 4
# Sokal's window, in units of the autocorrelation time that it yields.
_WINDOW = 5
_EXTRA = "how long its stretches must be is found with the package arch: pip install 'sim2real-cat[gaps]'"

BlockLength: TypeAlias = Callable[[Floats], float]
"""From a series (n,) to the steps in a block of it."""


@dataclass(frozen=True)
class LeftOut:
    """A statistic with each block of one stratum left out in turn.

    Attributes:
        sizes: (g,) points in each block.
        values: (g,) the statistic without it.
    """

    sizes: Ints
    values: Floats


@dataclass(frozen=True)
class Blocks:
    """The points of one side dealt into blocks.

    Attributes:
        label: (n,) the block of each point, from 0.
        stratum: (n_blocks,) the fibre member of each block; 0 on the real side.
    """

    label: Ints
    stratum: Ints

    @property
    def count(self) -> int:
        """Return the number of blocks."""
        return len(self.stratum)

    @property
    def sizes(self) -> Ints:
        """Count (n_blocks,) the points in each block."""
        return np.bincount(self.label, minlength=self.count).astype(np.intp)

    def by_stratum(self, values: Floats, strata: Iterable[int]) -> list[LeftOut]:
        """Group values (n_blocks,) of a statistic without each block by stratum, in the order given."""
        sizes, groups = self.sizes, [self.stratum == stratum for stratum in strata]
        return [LeftOut(sizes[mine], values[mine]) for mine in groups]


def deal(episode: Ints, stratum: Ints, at_most: int, rng: np.random.Generator) -> Blocks:
    """Deal whole episodes into blocks, each stratum for itself.

    Up to `at_most` episodes are a block each; more are dealt out at random, in turn. The only episode of
    a stratum is cut into `PIECES` stretches of time, since nothing else is there to leave out.

    Args:
        episode: (n,) the episode of each point, not decreasing.
        stratum: (n,) the stratum of each point, constant within an episode.
        at_most: The most blocks in a stratum, at least 2.
        rng: Deals the episodes.

    Returns:
        The blocks.
    """
    label = np.empty(len(episode), dtype=np.intp)
    strata: list[int] = []
    for s in np.unique(stratum):
        rows = np.flatnonzero(stratum == s)
        names, index = np.unique(episode[rows], return_inverse=True)
        if len(names) == 1:
            count = min(PIECES, len(rows))
            part = np.arange(len(rows)) * count // len(rows)
        elif len(names) <= at_most:
            count, part = len(names), index
        else:
            count, part = at_most, (rng.permutation(len(names)) % at_most)[index]
        label[rows] = len(strata) + part
        strata += [int(s)] * count
    return Blocks(label, np.array(strata, dtype=np.intp))


def deal_sides(
    real: Cloud, sim: Cloud, n_members: int, at_most: int, rng: np.random.Generator
) -> tuple[Blocks, Blocks]:
    """Deal the episodes of both sides into blocks, about as many on the one as on the other.

    Args:
        real: Real points, one stratum.
        sim: Simulated points, a stratum for each member.
        n_members: How many members there are.
        at_most: The most blocks on the real side.
        rng: Deals the episodes.

    Returns:
        The blocks of the real and of the simulated side.
    """
    real_blocks = deal(real.episode, np.zeros_like(real.episode), at_most, rng)
    return real_blocks, deal(sim.episode, sim.member_index, max(2, at_most // n_members), rng)


@dataclass(frozen=True)
class Jackknife:
    """Bias and variance of a statistic, from all strata together.

    Attributes:
        bias: Expected statistic minus the truth, to first order in 1/n.
        variance: Of the statistic corrected for it.
        freedom: Effective degrees of freedom of that variance.
        blocks: In the stratum that has fewest.
    """

    bias: float
    variance: float
    freedom: float
    blocks: int

    def interval(self, centre: float, confidence: float, doubt: float) -> tuple[float, float]:
        """Return the t interval around a centre whose systematic error has the standard deviation `doubt`."""
        half = self._quantile(confidence) * float(np.sqrt(self.variance))
        return _widened((centre - half, centre + half), centre, confidence, doubt)

    def interval_of_divergence(
        self, plug_in: float, raw: float, confidence: float, doubt: float
    ) -> tuple[float, float]:
        """Return the interval of a plug-in divergence, which behaves like a sum of squares and not like a mean.

        Near 0 a divergence of fitted parameters is a quadratic form in their errors. Its first-order influence
        vanishes there: the spread that the jackknife sees is proportional to the statistic T itself and the t
        interval covers 0 always and a small gap too rarely. The quadratic form is T = c u with u noncentral
        chi-squared with k degrees of freedom and noncentrality λ, the gap is c λ, the bias is c k, and the
        variance that a jackknife sees is 4 c T. The last two give c and k, and the interval of λ comes from
        inverting the distribution function of u. Where the gap is many standard errors from 0 it becomes the t
        interval. The uncertainty of the variance enters through the quantile of Student's t, taken as one of
        the normal distribution.

        Args:
            plug_in: T.
            raw: T with its bias removed.
            confidence: Nominal coverage.
            doubt: Standard deviation of the systematic error that is left after correcting for the bias.

        Returns:
            Lower end, >= 0 before the doubt is added, and upper end; negative where T is smaller than even a
            gap of 0 explains.
        """
        bias, quantile = plug_in - raw, self._quantile(confidence)
        # At a gap of 0 the standard deviation of a quadratic form is bias * sqrt(2 / k), and k is at least 2.
        below = float(np.sqrt(max(self.variance, bias**2)))
        # Without a positive bias there is no quadratic form; with a single degree of freedom no tail to invert.
        if plug_in <= 0 or bias <= 0 or self.variance <= 0 or quantile > _FAR:
            return _widened((raw - quantile * below, raw + quantile * below), raw, confidence, doubt)
        c = self.variance / (4 * plug_in)
        u, k, tail = plug_in / c, bias / c, float(stats.norm.sf(quantile))
        low = c * float(special.chndtrinc(u, k, 1 - tail)) if stats.chi2.sf(u, k) < tail else 0.0
        high = c * float(special.chndtrinc(u, k, tail)) if stats.chi2.cdf(u, k) > tail else raw + quantile * below
        return _widened((low, high), raw, confidence, doubt)

    def _quantile(self, confidence: float) -> float:
        return float(stats.t.ppf(0.5 + confidence / 2, self.freedom))


def _widened(ends: tuple[float, float], centre: float, confidence: float, doubt: float) -> tuple[float, float]:
    """Add a systematic error to the distance of both ends from the centre, in quadrature."""
    extra = float(stats.norm.ppf(0.5 + confidence / 2)) * doubt
    if extra == 0:
        return ends
    return centre - float(np.hypot(centre - ends[0], extra)), centre + float(np.hypot(ends[1] - centre, extra))


def jackknife(statistic: float, strata: Sequence[LeftOut]) -> Jackknife:
    """Compute bias and variance of a statistic of several independent samples, each cut into blocks.

    Within a stratum this is the delete-m_j jackknife for blocks of unequal size (Busing, Meijer and
    van der Leeden 1999, Statistics and Computing 9:3-8): with h_j = n / m_j,

        corrected = g θ - Σ_j (1 - 1/h_j) θ_(-j)
        variance  = 1/g Σ_j (h_j θ - (h_j - 1) θ_(-j) - corrected)² / (h_j - 1)

    Biases and variances of independent strata add up; the degrees of freedom are Welch and
    Satterthwaite's, with g - 1 for each stratum.

    Args:
        statistic: θ on all points.
        strata: The values without each block, one entry for each stratum of at least two blocks.

    Returns:
        Their sum.
    """
    bias, variances, freedoms = 0.0, [], []
    for stratum in strata:
        h = stratum.sizes.sum() / stratum.sizes
        corrected = len(h) * statistic - float(((1 - 1 / h) * stratum.values).sum())
        pseudo = h * statistic - (h - 1) * stratum.values
        bias += statistic - corrected
        variances.append(float(((pseudo - corrected) ** 2 / (h - 1)).mean()))
        freedoms.append(len(h) - 1)
    variance = sum(variances)
    spread = sum(v**2 / f for v, f in zip(variances, freedoms, strict=True))
    freedom = variance**2 / spread if spread > 0 else float(sum(freedoms))
    return Jackknife(bias, variance, freedom, min(freedoms) + 1)


@dataclass(frozen=True)
class CutSide:
    """One side with its single episodes cut, each stretch an episode of its own.

    Attributes:
        cloud: The same points under new episodes.
        reasons: Reasons why no interval can be relied on; empty if one can.
        notes: Remarks for the reader.
    """

    cloud: Cloud
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def cut_single_episodes(cloud: Cloud) -> CutSide:
    """Cut the only real episode, or that of each simulated member which has no other, into stretches.

    At the level "transition" a simulated member's only episode stays whole, and is cut into a few when blocks are left
    out: innovations of successive steps are all but uncorrelated, observations are not.

    Args:
        cloud: The points of one side.

    Returns:
        The points in stretches; as they were, with the reason, where stretches would not be independent.
    """
    real = cloud.side == "real"
    stratum = np.zeros_like(cloud.member_index) if real else cloud.member_index
    strata = np.unique(stratum)
    single = [int(s) for s in strata if len(np.unique(cloud.episode[stratum == s])) == 1]
    if not single:
        return CutSide(cloud)
    whose = "the single real episode" if real else f"the only episode of {len(single)} of {len(strata)} members"
    if cloud.level == "transition" and not real:
        note = f"{whose} is cut into stretches of time: the spread between episodes is taken from the spread within"
        return CutSide(cloud, notes=(note,))
    block_length = _politis_and_white()
    if block_length is None:
        return CutSide(cloud, (f"no interval from {whose}: {_EXTRA}",))
    part = np.zeros(len(cloud.points), dtype=np.intp)
    counts = []
    for s in single:
        rows = np.flatnonzero(stratum == s)
        count = stretches(_series(cloud, rows), block_length)
        if count < FEWEST:
            reason = (
                f"no interval from {whose}: {len(rows)} steps make fewer than {FEWEST} stretches of time that do not "
                "depend on each other; add episodes"
            )
            return CutSide(cloud, (reason,))
        part[rows] = np.arange(len(rows)) * count // len(rows)
        counts.append(count)
    _, episode = np.unique(cloud.episode * (max(counts) + 1) + part, return_inverse=True)
    note = (
        f"{whose} is cut into {_range(counts)} stretches of time: the interval holds if the episode is stationary and "
        "others are like it"
    )
    return CutSide(replace(cloud, episode=episode.astype(np.intp)), notes=(note,))


def stretches(series: Floats, block_length: BlockLength) -> int:
    """Count the stretches into which series (n, p) can be cut so that they hardly depend on each other.

    Args:
        series: (n, p) in time order; none is constant.
        block_length: The shortest block worth a try, for one series.

    Returns:
        The number of stretches, at most 64.
    """
    n, width = series.shape
    columns = [series[:, j] for j in range(width)]
    length = max([1.0, n / _MOST, *(max(block_length(x), _MEMORIES * autocorrelation_time(x)) for x in columns)])
    return int(n // length)


def autocorrelation_time(series: Floats) -> float:
    """Compute τ = 1 + 2 Σ_h ρ(h) of a series (n,): as many steps say as much about the mean as one independent value.

    The sum ends at Sokal's window, the first M with M >= 5 τ(M): "Monte Carlo methods in statistical mechanics", 1997,
    section 3.
    """
    n = len(series)
    spectrum = np.fft.rfft(series - series.mean(), 2 * n)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2)[:n]
    times = 2 * np.cumsum(covariance / covariance[0]) - 1
    enough = np.arange(n) >= _WINDOW * times
    return float(times[np.argmax(enough) if enough.any() else -1])


def _series(cloud: Cloud, rows: Ints) -> Floats:
    """Return (n, p) series to average: sensors and their squares; at "transition" what o leaves unexplained of o'."""
    points = cloud.points[rows]
    d = len(cloud.sensors)
    if cloud.level == "transition":
        before = np.column_stack([np.ones(len(points)), points[:, :d]])
        points = points[:, d:] - before @ np.linalg.lstsq(before, points[:, d:], rcond=None)[0]
    centred = points - points.mean(axis=0)
    both = np.hstack([centred, centred**2])
    varying = both.std(axis=0) > 1e-9 * np.abs(both).max(axis=0)
    return both[:, varying]


def _politis_and_white() -> BlockLength | None:
    """Return the rule of `arch`, or None where it is not installed."""
    try:
        from arch.bootstrap import optimal_block_length
    except ImportError:
        return None
    return lambda series: float(optimal_block_length(series)["circular"].iloc[0])


def _range(counts: list[int]) -> str:
    return str(counts[0]) if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
