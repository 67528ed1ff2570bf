"""Tables: named columns of numbers or text, rows in the order of the file, into which every format is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.arrays import Floats, Ints
from sim2real_cat.errors import ExchangeError, WorldError, unknown_name

Column = NDArray[Any]

_INDEXED = re.compile(r"^(?P<name>.*?)\s*\[(?:\s*:\s*,)?\s*(?P<element>[^\[\]]+?)\s*\]$")


def _row(row: int) -> str:
    return f"row {row}"


@dataclass(frozen=True, eq=False)
class LogTable:
    """Columns of one file of a log, or of one episode in it.

    Attributes:
        place: the file, for messages.
        columns: by name, (rows,) or (rows, k): numbers, dates or text. A column may have one row less than the
            others (actions of Minari): its last row is then not known.
        components: names of the k components of a column of vectors, where they have some.
        label: the name of a row in a message.
        time: the column of timestamps that the format itself has.
        clocks: that column for each other one, in formats in which every stream has its own.
        time_unit: the unit of `time`, where the format fixes it.
        period: seconds between two rows, where the format fixes them.
        episode_column: the column that tells episodes apart, where the format has one.
    """

    place: str
    columns: Mapping[str, Column]
    components: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    label: Callable[[int], str] = _row
    time: str | None = None
    clocks: Mapping[str, str] = field(default_factory=dict)
    time_unit: str | None = None
    period: float | None = None
    episode_column: str | None = None

    def find(self, text: str) -> tuple[str, slice | int | None]:
        """Return the column that a text names, and which of its components.

        Raises:
            WorldError: no such column or component; the message lists them.
        """
        if text in self.columns:
            return text, None
        match = _INDEXED.match(text)
        if match is None or match["name"] not in self.columns:
            name = text if match is None else match["name"]
            raise WorldError(f"{self.place}: " + unknown_name("column", name, self.columns))
        name, element = match["name"], match["element"]
        width = self.columns[name].shape[1] if self.columns[name].ndim == 2 else 0
        if not width:
            raise WorldError(f"{self.place}: column '{name}' has one number a row, '{text}' asks for a component")
        known = self.components.get(name, ())
        if element in known:
            return name, known.index(element)
        start, colon, stop = element.partition(":")
        if colon and all(part.strip() == "" or part.strip().isdigit() for part in (start, stop)):
            chosen = slice(int(start) if start.strip() else 0, int(stop) if stop.strip() else width)
            if chosen.start < chosen.stop <= width:
                return name, chosen
        elif element.isdigit() and int(element) < width:
            return name, int(element)
        if known and not element.replace(":", "").strip().isdigit():
            raise WorldError(f"{self.place}: " + unknown_name(f"component of column '{name}'", element, known))
        raise WorldError(f"{self.place}: column '{name}' has components 0..{width - 1}, '{text}' asks for another")

    def numbers(self, text: str) -> Floats:
        """Return a column, or some of its components, as (rows, k) floats.

        Raises:
            WorldError: no such column or component, or text where numbers are expected.
        """
        name, chosen = self.find(text)
        column = self.columns[name]
        if column.dtype.kind not in "fiub":
            if column.dtype.kind == "M":
                raise WorldError(f"{self.place}: column '{name}' holds dates, a channel needs numbers")
            raise ExchangeError(f"{self.place}, {self.first_text(column)}: column '{name}' needs numbers")
        part = column[:, None] if column.ndim == 1 else column if chosen is None else column[:, chosen]
        return np.asarray(part.reshape(len(column), -1), dtype=np.float64)

    def rows(self, index: Ints) -> LogTable:
        """Return the table with some of its rows only."""
        columns = {name: column[index[index < len(column)]] for name, column in self.columns.items()}
        return replace(self, columns=columns, label=lambda row: self.label(int(index[row])))

    def first_text(self, column: Column) -> str:
        """Return the place and the text of the first entry of a column that cannot be read as a number."""
        for row, value in enumerate(column if column.ndim == 1 else column[:, 0]):
            try:
                float(value)
            except (TypeError, ValueError):
                if value is not None:
                    return f"{self.label(row)}: {str(value)[:40]!r} is no number"
        return f"{self.label(0)}: its numbers are stored as text"
