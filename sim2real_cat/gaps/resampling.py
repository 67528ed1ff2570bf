"""Blocks of whole episodes, and what leaving out one at a time says about bias and spread.

Steps of one episode are dependent, so a step is never resampled by itself: the unit is the episode.
The real side is one stratum; each member of the simulated fibre is another, because the fibre is
given and only the episodes within a member are random.

Blocks are left out, never drawn with replacement: the naive bootstrap repeats points, which are then each other's
nearest neighbours at distance 0, and is wrong for nearest neighbours whatever the sample size. Leaving out a fixed
share of the sample at a time, as the delete-d jackknife does, is right for them too (Shao and Wu 1989, Annals of
Statistics 17:1176-1197).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from sim2real_cat.arrays import Floats, Ints

PIECES = 8
"""Into how many stretches of time a stratum's only episode is cut."""

# A quantile so far out that the tail beyond it cannot be inverted with any accuracy.
_FAR = 6.0


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
        """The number of blocks."""
        return len(self.stratum)

    @property
    def sizes(self) -> Ints:
        """(n_blocks,) points in each block."""
        return np.bincount(self.label, minlength=self.count).astype(np.intp)


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
class Jackknife:
    """What the strata say together.

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
        """The t interval around a centre whose systematic error has the standard deviation `doubt`."""
        half = self._quantile(confidence) * float(np.sqrt(self.variance))
        return _widened((centre - half, centre + half), centre, confidence, doubt)

    def interval_of_divergence(
        self, plug_in: float, raw: float, confidence: float, doubt: float
    ) -> tuple[float, float]:
        """The interval of a plug-in divergence, which behaves like a sum of squares and not like a mean.

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
    """The interval with a systematic error added to each side's distance from the centre, in quadrature."""
    extra = float(stats.norm.ppf(0.5 + confidence / 2)) * doubt
    if extra == 0:
        return ends
    return centre - float(np.hypot(centre - ends[0], extra)), centre + float(np.hypot(ends[1] - centre, extra))


def jackknife(statistic: float, strata: Sequence[LeftOut]) -> Jackknife:
    """Bias and variance of a statistic of several independent samples, each cut into blocks.

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
