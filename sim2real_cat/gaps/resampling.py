"""Blocks of whole episodes, and what leaving out one at a time says about bias and spread.

Steps of one episode are dependent, so a step is never resampled by itself: the unit is the episode.
The real side is one stratum; each member of the simulated fibre is another, because the fibre is
given and only the episodes within a member are random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from sim2real_cat.gaps.samples import Floats, Ints

PIECES = 8
"""Into how many stretches of time a stratum's only episode is cut."""


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
    """

    bias: float
    variance: float
    freedom: float

    def interval(self, centre: float, confidence: float, doubt: float) -> tuple[float, float]:
        """The t interval around a centre whose systematic error has the standard deviation `doubt`."""
        sampling = float(stats.t.ppf(0.5 + confidence / 2, self.freedom)) * float(np.sqrt(self.variance))
        half = float(np.hypot(sampling, stats.norm.ppf(0.5 + confidence / 2) * doubt))
        return centre - half, centre + half


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
    return Jackknife(bias, variance, variance**2 / spread if spread > 0 else float(sum(freedoms)))
