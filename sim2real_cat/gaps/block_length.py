"""A single episode cut into stretches of time long enough to count as independent, or the reason why it cannot be.

The spread between episodes is unknown where there is one episode only. A long stationary one still tells it, by the
spread between its stretches, if they are much longer than the memory of the process. Two rules give a length, and the
longer counts: Politis and White's for the circular block bootstrap (Econometric Reviews 23:53-70, 2004, corrected
28:372-375, 2009) as the package `arch` has it, which looks back some 2 sqrt(n) steps and sees no longer memory; and
a multiple of the integrated autocorrelation time, which can.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from sim2real_cat.arrays import Floats, Ints
from sim2real_cat.gaps.samples import Cloud

FEWEST = 8
"""With fewer stretches their spread is hardly known, and neither is whether they are correlated."""

# More say nothing new about their spread.
_MOST = 64
# Stretches in units of the autocorrelation time: a first-order autoregression's mean over 4 of them has 7/8 of the
# variance that as many independent values would give it.
_MEMORIES = 4
# Sokal's window, in units of the autocorrelation time that it yields.
_WINDOW = 5
_EXTRA = "how long its stretches must be is found with the package arch: pip install 'sim2real-cat[gaps]'"

Rule: TypeAlias = Callable[[Floats], float]
"""Steps in a block, for a series (n,)."""


@dataclass(frozen=True)
class Cut:
    """One side with its single episodes cut, each stretch an episode of its own.

    Attributes:
        cloud: The same points under new episodes.
        reasons: Why there is no honest interval; empty if there is one.
        notes: What the reader should know.
    """

    cloud: Cloud
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def cut(cloud: Cloud) -> Cut:
    """Cut the only real episode, or that of each simulated member which has no other, into stretches.

    At the level "transition" a simulated member's only episode stays whole, and whoever leaves out blocks cuts it into
    a few: innovations of successive steps are all but uncorrelated, observations are not.

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
        return Cut(cloud)
    whose = "the single real episode" if real else f"the only episode of {len(single)} of {len(strata)} members"
    if cloud.level == "transition" and not real:
        note = f"{whose} is cut into stretches of time: the spread between episodes is taken from the spread within"
        return Cut(cloud, notes=(note,))
    rule = _block_length()
    if rule is None:
        return Cut(cloud, (f"no interval from {whose}: {_EXTRA}",))
    part = np.zeros(len(cloud.points), dtype=np.intp)
    counts = []
    for s in single:
        rows = np.flatnonzero(stratum == s)
        count = stretches(_series(cloud, rows), rule)
        if count < FEWEST:
            reason = (
                f"no interval from {whose}: {len(rows)} steps make fewer than {FEWEST} stretches of time that do not "
                "depend on each other; add episodes"
            )
            return Cut(cloud, (reason,))
        part[rows] = np.arange(len(rows)) * count // len(rows)
        counts.append(count)
    _, episode = np.unique(cloud.episode * (max(counts) + 1) + part, return_inverse=True)
    note = (
        f"{whose} is cut into {_range(counts)} stretches of time: the interval holds if the episode is stationary and "
        "others are like it"
    )
    return Cut(replace(cloud, episode=episode.astype(np.intp)), notes=(note,))


def stretches(series: Floats, rule: Rule) -> int:
    """Into how many stretches series (n, p) can be cut that hardly depend on each other.

    Args:
        series: (n, p) in time order; none is constant.
        rule: The shortest block worth a try, for one series.

    Returns:
        The number of stretches, at most 64.
    """
    n, width = series.shape
    columns = [series[:, j] for j in range(width)]
    length = max([1.0, n / _MOST, *(max(rule(x), _MEMORIES * autocorrelation_time(x)) for x in columns)])
    return int(n // length)


def autocorrelation_time(series: Floats) -> float:
    """τ = 1 + 2 Σ_h ρ(h) of a series (n,): how many steps say as much about the mean as one independent value.

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
    """(n, p) what an estimate averages over time: each sensor and its square; at "transition" what o leaves of o'."""
    points = cloud.points[rows]
    d = len(cloud.sensors)
    if cloud.level == "transition":
        before = np.column_stack([np.ones(len(points)), points[:, :d]])
        points = points[:, d:] - before @ np.linalg.lstsq(before, points[:, d:], rcond=None)[0]
    centred = points - points.mean(axis=0)
    both = np.hstack([centred, centred**2])
    varying = both.std(axis=0) > 1e-9 * np.abs(both).max(axis=0)
    return both[:, varying]


def _block_length() -> Rule | None:
    """The rule of `arch`, or None where it is not installed."""
    try:
        from arch.bootstrap import optimal_block_length
    except ImportError:
        return None
    return lambda series: float(optimal_block_length(series)["circular"].iloc[0])


def _range(counts: list[int]) -> str:
    return str(counts[0]) if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
