"""Clocks: the times at which the rows of a table were recorded, in seconds since its first row.

Timestamps are checked: in order, without repeated times or gaps, of one clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sim2real_cat.arrays import Floats, Ints
from sim2real_cat.errors import ExchangeError, WorldError
from sim2real_cat.recordings.logs.alterations import Alterations, TimeGaps, counted, some_rows
from sim2real_cat.recordings.logs.mapping import Channel, Time, ticks_per_second
from sim2real_cat.recordings.logs.tables import LogTable

_GAP = 2.5
"""Median periods without a row that make a gap, where no longest gap is given: two rows or more are lost."""

_TWO_CLOCKS = 1000.0
"""Median periods of a jump that lost rows do not explain: the timestamps go on in another clock."""


@dataclass(frozen=True, eq=False)
class TimeReport:
    """Properties of the timestamps of one episode.

    Attributes:
        rows: number of rows.
        period: median seconds between two rows.
        jitter: standard deviation of the seconds between two rows, gaps left out.
        longest: most seconds between two rows.
        uneven: most seconds by which a row misses the even grid from the first row to the last.
        duplicates: rows with the time of the row before.
        backwards: rows earlier than the row before.
        gaps: rows that come after a gap.
    """

    rows: int
    period: float
    jitter: float
    longest: float
    uneven: float
    duplicates: Ints
    backwards: Ints
    gaps: Ints

    def __str__(self) -> str:
        jitter = round(self.jitter, 9)  # less than a nanosecond is the rounding of floats
        return (
            f"{counted(self.rows, 'row')}, period {self.period * 1e3:.4g} ms, jitter {jitter * 1e3:.3g} ms, longest "
            f"{self.longest * 1e3:.4g} ms, {counted(len(self.gaps), 'gap')}"
        )


@dataclass(frozen=True)
class ClockComparison:
    """The run of a second clock against the first: ``second = offset + (1 + drift) · first``, by least squares.

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


def time_report(times: Floats, longest_gap: float | None = None) -> TimeReport:
    """Report the properties of the timestamps of one episode.

    Args:
        times: (rows,) seconds.
        longest_gap: seconds without a row beyond which there is a gap; 2.5 median periods where none are given.
    """
    steps = np.diff(times)
    forward = steps[steps > 0]
    period = float(np.median(forward)) if len(forward) else 0.0
    limit = _GAP * period if longest_gap is None else longest_gap
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


def refuse_gaps(found: TimeReport, times: Floats, place: str, column: str, label: Callable[[int], str]) -> None:
    """Refuse gaps.

    Raises:
        WorldError: there are gaps; the message has the longest and their number.
    """
    if len(found.gaps):
        row = int(found.gaps[np.argmax(times[found.gaps] - times[found.gaps - 1])])
        missing = float(times[row] - times[row - 1])
        clocks = " (two clocks in one column?)" if missing > _TWO_CLOCKS * found.period else ""
        raise WorldError(
            f"{place}, {label(row)}: no row for {missing:.6g} s, {missing / found.period:.3g} times the period"
            f"{clocks}, {counted(len(found.gaps), 'row')} with a gap in '{column}'; "
            'set at_gaps = "split" or "bridge", or longest_gap, under [time]'
        )


def compare_clocks(first: Floats, second: Floats) -> ClockComparison:
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
    """Return a line on the episodes of a file: sums of rows and gaps, median period, and the worst of the rest."""
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


@dataclass(frozen=True, eq=False)
class Clock:
    """Checked times of some rows.

    Attributes:
        name: the column of timestamps, for messages.
        rows: the rows of the table that are kept, increasing in time.
        times: (rows,) seconds since the table's first row.
        resolution: least difference that the timestamps resolve [s].
        report: the properties of the times before rows were dropped.
    """

    name: str
    rows: Ints
    times: Floats
    resolution: float
    report: TimeReport

    def gaps(self) -> list[tuple[float, float]]:
        """Return the times of the rows before and after every gap of the report."""
        after = np.searchsorted(self.rows, self.report.gaps)
        return [(float(self.times[row - 1]), float(self.times[row])) for row in after]


class Clocks:
    """The clocks of one table, each read and checked once.

    Args:
        table: the table.
        time: the mapping's entry on timestamps.
    """

    def __init__(self, table: LogTable, time: Time) -> None:
        self._table, self._time = table, time
        self._known: dict[tuple[str, float], Clock] = {}
        self._origin: Any = None

    def of(self, channel: Channel) -> Clock:
        """Return the clock of a channel: its own, that of its stream, or that of the log.

        Raises:
            WorldError: it has no clock, or the timestamps are out of order, repeated or have gaps.
        """
        table = self._table
        stream = table.find(channel.columns[0])[0]
        name = channel.time or self._time.column or table.clocks.get(stream) or table.time or ""
        key = (name or f"rows of {len(table.columns[stream])}", channel.delay)
        if key not in self._known:
            self._known[key] = self._read(name, len(table.columns[stream]), channel.delay)
        return self._known[key]

    def known(self) -> list[Clock]:
        """Return the clocks that were read."""
        return list(self._known.values())

    def reports(self) -> dict[str, TimeReport]:
        """Return the reports of the clocks that were read, by column; '' for rows without timestamps, the longest."""
        found = sorted(self._known.values(), key=lambda clock: clock.report.rows)
        return {clock.name: clock.report for clock in found}

    def comparison(self) -> str | None:
        """Return a text on how the second clock runs against the first; None without a second clock.

        Raises:
            WorldError: a clock is missing, or a value of it.
        """
        if self._time.second_clock is None:
            return None
        name = self._time.column or self._table.time or self._table.clocks.get(self._time.second_clock)
        if name is None:
            raise WorldError(f"{self._table.place}: second_clock needs a first one; name its column under [time]")
        first, second = self._seconds(name)[0], self._seconds(self._time.second_clock)[0]
        if len(first) != len(second) or len(first) < 2 or first[0] == first[-1]:
            raise WorldError(
                f"{self._table.place}: '{name}' and '{self._time.second_clock}' cannot be compared; they need two "
                f"different times in the same rows"
            )
        return f"clock '{self._time.second_clock}' against '{name}': {compare_clocks(first, second)}"

    def _read(self, name: str, rows: int, delay: float) -> Clock:
        """Read and check the clock of a column of timestamps, or of rows without timestamps."""
        place, time = self._table.place, self._time
        if name:
            seconds, resolution = self._seconds(name)
        elif (period := time.period or self._table.period) is not None:
            seconds, resolution = np.arange(rows, dtype=np.float64) * period, 0.0
        else:
            raise WorldError(f"{place}: nothing says when its rows were recorded; give column or period under [time]")
        if len(seconds) < 2:
            raise WorldError(f"{place}: {_few(self._table, len(seconds))}; an episode needs two rows or more")
        label = self._table.label
        if np.isnan(seconds).any():
            bad = np.flatnonzero(np.isnan(seconds))
            raise WorldError(
                f"{place}, {label(int(bad[0]))}: '{name}' has no time, in {len(bad)} of {len(seconds)} rows"
            )
        found = time_report(seconds, time.longest_gap)
        _refuse_disorder(found, seconds, place, name, label)
        keep = np.arange(len(seconds))
        if time.duplicates == "refuse":
            _refuse_duplicates(found, place, name, label)
        elif len(found.duplicates):
            keep = np.setdiff1d(keep, found.duplicates - (time.duplicates == "last"))
        if time.at_gaps == "refuse":
            refuse_gaps(found, seconds, place, name, label)
        return Clock(name, keep, seconds[keep] - delay, resolution, found)

    def _seconds(self, name: str) -> tuple[Floats, float]:
        """Return a column of timestamps in seconds since the table's first, and the least difference they resolve.

        Whole numbers and dates are subtracted as such: nanoseconds since 1970 have more digits than a float.
        """
        table = self._table
        column = table.columns[table.find(name)[0]]
        if column.ndim != 1:
            column = column.reshape(len(column), -1)[:, 0]
        unit = table.time_unit or self._time.unit
        if column.dtype.kind == "M":
            column, unit = column.astype("datetime64[ns]").astype(np.int64), "ns"
        if column.dtype.kind not in "fiu":
            raise ExchangeError(f"{table.place}, {table.first_text(column)}: '{name}' needs numbers or dates")
        if not len(column):
            return np.zeros(0), 0.0
        if column.dtype.kind in "iu":
            column = column.astype(np.int64)
        if self._origin is None:
            self._origin = column[0]
        scale = ticks_per_second(unit, "[time]")
        resolution = 0.0
        if column.dtype.kind == "f":
            resolution = 2 * float(np.spacing(np.abs(column[np.isfinite(column)]).max(initial=0))) / scale
            column = column.astype(np.float64)
        return (column - self._origin) / scale, resolution


def split_at_gaps(table: LogTable, time: Time, alterations: Alterations) -> list[LogTable]:
    """Cut a table at its gaps; pieces of one row are left out.

    Args:
        table: the table.
        time: the mapping's entry on timestamps.
        alterations: counts the gaps and the rows left out.

    Raises:
        WorldError: the table has no timestamps, or several streams with a clock each.
    """
    name = time.column or table.time
    if table.clocks or name is None:
        raise WorldError(f'{table.place}: at_gaps = "split" needs one column of timestamps for all rows; set "bridge"')
    clocks = Clocks(table, replace(time, at_gaps="bridge"))
    found = clocks.of(Channel(name))
    pieces = np.split(np.arange(found.report.rows), found.report.gaps)
    longest = max((after - before for before, after in found.gaps()), default=0.0)
    alterations.split.add(TimeGaps(some_rows(found.report.gaps, table.label), longest))
    alterations.single.add(some_rows([int(piece[0]) for piece in pieces if len(piece) == 1], table.label))
    return [table.rows(piece) for piece in pieces if len(piece) > 1]


def _refuse_disorder(found: TimeReport, times: Floats, place: str, column: str, label: Callable[[int], str]) -> None:
    """Refuse timestamps that run backwards.

    Raises:
        WorldError: rows are earlier than the row before; the message has the first and their number.
    """
    if len(found.backwards):
        row = int(found.backwards[0])
        back = float(times[row - 1] - times[row])
        hint = "two clocks in one column?" if back > _TWO_CLOCKS * found.period else "sort the rows, or split the file"
        raise WorldError(
            f"{place}, {label(row)}: '{column}' runs {back:.6g} s backwards, in "
            f"{counted(len(found.backwards), 'row')}; {hint}"
        )


def _refuse_duplicates(found: TimeReport, place: str, column: str, label: Callable[[int], str]) -> None:
    """Refuse rows of the same time.

    Raises:
        WorldError: rows have the time of the row before; the message has the first ones and their number.
    """
    if len(found.duplicates):
        shown = ", ".join(label(int(row)) for row in found.duplicates[:3])
        more = ", ..." if len(found.duplicates) > 3 else ""
        raise WorldError(
            f"{place}, {shown}{more}: '{column}' has the time of the row before, in "
            f"{counted(len(found.duplicates), 'row')}; "
            'drop them with duplicates = "first" or "last" under [time]'
        )


def _few(table: LogTable, rows: int) -> str:
    return f"one row ({table.label(0)})" if rows == 1 else "no row"
