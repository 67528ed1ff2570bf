"""When the rows of a table were recorded, in seconds since its first row, checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.errors import ExchangeError, WorldError
from sim2real_cat.worlds.logs.changes import Changes, Gaps, some_rows
from sim2real_cat.worlds.logs.mapping import Channel, Time
from sim2real_cat.worlds.logs.tables import Table
from sim2real_cat.worlds.logs.times import (
    TimeReport,
    compare_clocks,
    refuse_disorder,
    refuse_duplicates,
    refuse_gaps,
    report,
)
from sim2real_cat.worlds.logs.units import per_second
from sim2real_cat.worlds.trajectories import Array


@dataclass(frozen=True, eq=False)
class Clock:
    """Checked times of some rows.

    Attributes:
        name: the column of timestamps, for messages.
        rows: which rows of the table are kept, increasing in time.
        times: (rows,) seconds since the table's first row.
        resolution: seconds that the timestamps resolve.
        report: what they were like before rows were dropped.
    """

    name: str
    rows: NDArray[np.intp]
    times: Array
    resolution: float
    report: TimeReport

    def gaps(self) -> list[tuple[float, float]]:
        """The times of the rows before and after every gap of the report."""
        after = np.searchsorted(self.rows, self.report.gaps)
        return [(float(self.times[row - 1]), float(self.times[row])) for row in after]


class Clocks:
    """The clocks of one table, each read and checked once.

    Args:
        table: the table.
        time: how its timestamps are to be read.
    """

    def __init__(self, table: Table, time: Time) -> None:
        self._table, self._time = table, time
        self._known: dict[tuple[str, float], Clock] = {}
        self._origin: Any = None

    def of(self, channel: Channel) -> Clock:
        """The clock of a channel: its own, that of its stream, or that of the log.

        Raises:
            WorldError: there is none, or its timestamps are out of order, repeated or have gaps.
        """
        table = self._table
        stream = table.find(channel.columns[0])[0]
        name = channel.time or self._time.column or table.clocks.get(stream) or table.time or ""
        key = (name or f"rows of {len(table.columns[stream])}", channel.delay)
        if key not in self._known:
            self._known[key] = self._read(name, len(table.columns[stream]), channel.delay)
        return self._known[key]

    def known(self) -> list[Clock]:
        """The clocks that were read."""
        return list(self._known.values())

    def reports(self) -> dict[str, TimeReport]:
        """What the clocks that were read are like, by column; '' for rows without timestamps, the longest of them."""
        found = sorted(self._known.values(), key=lambda clock: clock.report.rows)
        return {clock.name: clock.report for clock in found}

    def comparison(self) -> str | None:
        """How the second clock runs against the first, None where there is none.

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
        found = report(seconds, time.longest_gap)
        refuse_disorder(found, seconds, place, name, label)
        keep = np.arange(len(seconds))
        if time.duplicates == "refuse":
            refuse_duplicates(found, place, name, label)
        elif len(found.duplicates):
            keep = np.setdiff1d(keep, found.duplicates - (time.duplicates == "last"))
        if time.at_gaps == "refuse":
            refuse_gaps(found, seconds, place, name, label)
        return Clock(name, keep, seconds[keep] - delay, resolution, found)

    def _seconds(self, name: str) -> tuple[Array, float]:
        """A column of timestamps as seconds since the table's first, and what they resolve [s].

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
        scale = per_second(unit, "[time]")
        resolution = 0.0
        if column.dtype.kind == "f":
            resolution = 2 * float(np.spacing(np.abs(column[np.isfinite(column)]).max(initial=0))) / scale
            column = column.astype(np.float64)
        return (column - self._origin) / scale, resolution


def split_at_gaps(table: Table, time: Time, changes: Changes) -> list[Table]:
    """The pieces of a table between its gaps, those of one row left out.

    Args:
        table: the table.
        time: how its timestamps are to be read.
        changes: where the gaps and the rows left out are counted.

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
    changes.split.add(Gaps(some_rows(found.report.gaps, table.label), longest))
    changes.single.add(some_rows([int(piece[0]) for piece in pieces if len(piece) == 1], table.label))
    return [table.rows(piece) for piece in pieces if len(piece) > 1]


def _few(table: Table, rows: int) -> str:
    return f"one row ({table.label(0)})" if rows == 1 else "no row"
