"""Alterations that reading makes to the rows of a log, for its notes: rows dropped, gaps split or bridged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sim2real_cat.arrays import Ints

_SHOWN = 3
"""Number of rows that a note names; the rest are counted."""


@dataclass
class LogRows:
    """Some rows of a log: their number, and the places of the first ones."""

    count: int = 0
    where: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"({', '.join(self.where[:_SHOWN])}{', ...' if self.count > _SHOWN else ''})"

    def add(self, other: LogRows) -> None:
        """Count the rows of another episode too."""
        self.count += other.count
        self.where = [*self.where, *other.where][:_SHOWN]


def some_rows(rows: Ints | Sequence[int], label: Callable[[int], str]) -> LogRows:
    """Count rows by index; only those that are shown get a label, which may have to be looked up in the file."""
    return LogRows(len(rows), [label(int(row)) for row in rows[:_SHOWN]])


@dataclass
class TimeGaps:
    """Times without rows that were split or bridged.

    Attributes:
        rows: the rows after them.
        longest: seconds of the longest.
        steps: control steps that were interpolated within them.
        joined: number of gaps that became one step, as rows are taken as they are.
    """

    rows: LogRows = field(default_factory=LogRows)
    longest: float = 0.0
    steps: int = 0
    joined: int = 0

    def __str__(self) -> str:
        most = "up to " if self.rows.count > 1 else ""
        return f"{counted(self.rows.count, 'gap')} of {most}{self.longest:.4g} s {self.rows}"

    def add(self, other: TimeGaps) -> None:
        """Count the gaps of another episode too."""
        self.rows.add(other.rows)
        self.longest = max(self.longest, other.longest)
        self.steps += other.steps
        self.joined += other.joined


@dataclass
class EmptyRows:
    """Rows without a value that were dropped from one column.

    Attributes:
        rows: the rows.
        of: number of rows of the column.
        longest: most seconds between two values around dropped rows.
        filled: words for the values at the control steps in between, where rows were resampled.
    """

    rows: LogRows = field(default_factory=LogRows)
    of: int = 0
    longest: float = 0.0
    filled: str = ""

    def add(self, other: EmptyRows) -> None:
        """Count the rows of another episode too."""
        self.rows.add(other.rows)
        self.of += other.of
        self.longest = max(self.longest, other.longest)
        self.filled = self.filled or other.filled


@dataclass
class Alterations:
    """Alterations of the rows of an episode, or of all episodes of a file.

    Attributes:
        repeated: rows dropped as they repeat a time, by the column of timestamps.
        split: gaps at which a new episode starts.
        single: rows left out as they stand alone between two gaps.
        bridged: gaps within an episode, by the column of timestamps.
        empty: rows without a value, by column.
    """

    repeated: dict[str, LogRows] = field(default_factory=dict)
    split: TimeGaps = field(default_factory=TimeGaps)
    single: LogRows = field(default_factory=LogRows)
    bridged: dict[str, TimeGaps] = field(default_factory=dict)
    empty: dict[str, EmptyRows] = field(default_factory=dict)

    def add(self, other: Alterations) -> None:
        """Count the alterations of another episode too."""
        for name, rows in other.repeated.items():
            self.repeated.setdefault(name, LogRows()).add(rows)
        self.split.add(other.split)
        self.single.add(other.single)
        for name, gaps in other.bridged.items():
            self.bridged.setdefault(name, TimeGaps()).add(gaps)
        for name, empty in other.empty.items():
            self.empty.setdefault(name, EmptyRows()).add(empty)

    def within(self, place: str) -> None:
        """Add to the place of every row the part of the file that it stands in."""
        named = [*self.repeated.values(), self.split.rows, self.single]
        named += [gaps.rows for gaps in self.bridged.values()] + [empty.rows for empty in self.empty.values()]
        for rows in named:
            rows.where = [f"{row} in {place}" for row in rows.where]

    def notes(self) -> list[str]:
        """Return a line for each kind of alteration, none where nothing was done."""
        found = []
        for name, rows in self.repeated.items():
            verb = "repeats" if rows.count == 1 else "repeat"
            found.append(f"dropped {counted(rows.count, 'row')} that {verb} a time in '{name}' {rows}")
        if self.split.rows.count:
            found.append(f"split at {self.split}")
        if self.single.count:
            found.append(f"left out {counted(self.single.count, 'row')} alone between two gaps {self.single}")
        for gaps in self.bridged.values():
            what = []
            if gaps.joined < gaps.rows.count:
                what.append(f"{counted(gaps.steps, 'step')} interpolated, actions held")
            if gaps.joined:
                what.append(f"{counted(gaps.joined, 'gap')} taken as one step")
            found.append(f"bridged {gaps}: {'; '.join(what)}")
        for name, empty in self.empty.items():
            longest = f", up to {empty.longest:.4g} s from value to value" if empty.longest else ""
            found.append(
                f"'{name}': {empty.rows.count} of {counted(empty.of, 'row')} without a value dropped {empty.rows}"
                f"{longest}{empty.filled}"
            )
        return found


def counted(count: int, noun: str) -> str:
    """Return a number of things as text, ``"1 row"`` or ``"2 rows"``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
