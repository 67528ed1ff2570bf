"""Timestamps of a log: are they in order, even, without gaps, of one clock?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.trajectories import Array

GAP = 2.5
"""Median periods without a row that are a gap, where no longest gap is given: two rows in sequence are lost."""

_TWO_CLOCKS = 1000.0
"""Median periods of a jump that no lost row explains: the timestamps go on in another clock."""


@dataclass(frozen=True, eq=False)
class TimeReport:
    """What the timestamps of one episode are like.

    Attributes:
        rows: how many.
        period: median seconds between two rows.
        jitter: standard deviation of the seconds between two rows, gaps left out.
        longest: most seconds between two rows.
        uneven: most seconds that a row stands off the even grid from the first row to the last.
        duplicates: rows with the time of the row before.
        backwards: rows earlier than the row before.
        gaps: rows that come later than the longest allowed gap after the row before.
    """

    rows: int
    period: float
    jitter: float
    longest: float
    uneven: float
    duplicates: NDArray[np.intp]
    backwards: NDArray[np.intp]
    gaps: NDArray[np.intp]

    def __str__(self) -> str:
        jitter = round(self.jitter, 9)  # what is less than a nanosecond was rounded, not measured
        return (
            f"{self.rows} rows, period {self.period * 1e3:.4g} ms, jitter {jitter * 1e3:.3g} ms, longest "
            f"{self.longest * 1e3:.4g} ms, {len(self.gaps)} gaps"
        )


@dataclass(frozen=True)
class ClockComparison:
    """How a second clock runs against the first: ``second = offset + (1 + drift) · first``, by least squares.

    Attributes:
        offset: seconds between the two at the first row.
        drift: seconds gained per second.
        residual: most seconds that a row deviates from that line.
    """

    offset: float
    drift: float
    residual: float

    def __str__(self) -> str:
        return f"offset {self.offset:.6g} s, drift {self.drift * 1e6:.3g} ppm, residual {self.residual * 1e3:.3g} ms"


def report(times: Array, longest_gap: float | None = None) -> TimeReport:
    """Look at the timestamps of one episode.

    Args:
        times: (rows,) seconds.
        longest_gap: seconds without a row that are no gap yet; `GAP` median periods where none are given.
    """
    steps = np.diff(times)
    forward = steps[steps > 0]
    period = float(np.median(forward)) if len(forward) else 0.0
    limit = GAP * period if longest_gap is None else longest_gap
    gaps = np.flatnonzero(steps > limit) + 1
    within = forward[forward <= limit]
    grid = np.linspace(times[0], times[-1], len(times)) if len(times) else times
    return TimeReport(
        rows=len(times),
        period=period,
        jitter=float(within.std()) if len(within) else 0.0,
        longest=float(steps.max(initial=0.0)),
        uneven=float(np.abs(times - grid).max(initial=0.0)),
        duplicates=np.flatnonzero(steps == 0) + 1,
        backwards=np.flatnonzero(steps < 0) + 1,
        gaps=gaps,
    )


def refuse_disorder(found: TimeReport, times: Array, place: str, column: str, label: Callable[[int], str]) -> None:
    """Refuse timestamps that run backwards.

    Raises:
        WorldError: it names the first row and how many there are.
    """
    if len(found.backwards):
        row = int(found.backwards[0])
        back = float(times[row - 1] - times[row])
        hint = "two clocks in one column?" if back > _TWO_CLOCKS * found.period else "sort the rows, or split the file"
        raise WorldError(
            f"{place}, {label(row)}: '{column}' runs {back:.6g} s backwards, in {_counted(found.backwards)}; {hint}"
        )


def refuse_duplicates(found: TimeReport, place: str, column: str, label: Callable[[int], str]) -> None:
    """Refuse rows of the same time.

    Raises:
        WorldError: it names the first rows and how many there are.
    """
    if len(found.duplicates):
        shown = ", ".join(label(int(row)) for row in found.duplicates[:3])
        more = ", ..." if len(found.duplicates) > 3 else ""
        raise WorldError(
            f"{place}, {shown}{more}: '{column}' has the time of the row before, in {_counted(found.duplicates)}; "
            f'drop them with duplicates = "first" or "last" under [time]'
        )


def refuse_gaps(found: TimeReport, times: Array, place: str, column: str, label: Callable[[int], str]) -> None:
    """Refuse gaps.

    Raises:
        WorldError: it names the longest and how many there are.
    """
    if len(found.gaps):
        row = int(found.gaps[np.argmax(times[found.gaps] - times[found.gaps - 1])])
        missing = float(times[row] - times[row - 1])
        clocks = " (two clocks in one column?)" if missing > _TWO_CLOCKS * found.period else ""
        raise WorldError(
            f"{place}, {label(row)}: no row for {missing:.6g} s, {missing / found.period:.3g} times the period"
            f'{clocks}, {_counted(found.gaps)} with a gap in \'{column}\'; set at_gaps = "split" or "bridge", or '
            f"longest_gap, under [time]"
        )


def compare_clocks(first: Array, second: Array) -> ClockComparison:
    """Fit a second clock by the first.

    Args:
        first: (rows,) seconds, at least two different ones.
        second: (rows,) seconds of the other clock in the same rows.
    """
    elapsed, other = first - first[0], second - first[0]
    centred = elapsed - elapsed.mean()
    slope = float(centred @ (other - other.mean()) / (centred @ centred))
    offset = float(other.mean() - slope * elapsed.mean())
    residual = float(np.abs(other - offset - slope * elapsed).max())
    return ClockComparison(offset, slope - 1.0, residual)


def summary(reports: Sequence[TimeReport]) -> str:
    """One line over the episodes of a file: sums of rows and gaps, the median period, and the worst of the rest."""
    if len(reports) == 1:
        return str(reports[0])
    worst = TimeReport(
        rows=sum(one.rows for one in reports),
        period=float(np.median([one.period for one in reports])),
        jitter=max(one.jitter for one in reports),
        longest=max(one.longest for one in reports),
        uneven=max(one.uneven for one in reports),
        duplicates=np.concatenate([one.duplicates for one in reports]),
        backwards=np.concatenate([one.backwards for one in reports]),
        gaps=np.concatenate([one.gaps for one in reports]),
    )
    return f"{len(reports)} episodes, {worst}"


def _counted(rows: NDArray[np.intp]) -> str:
    return "1 row" if len(rows) == 1 else f"{len(rows)} rows"
