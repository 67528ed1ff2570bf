"""CSV files as tables: the first line names the columns."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pyarrow as pa
from pyarrow import csv

from sim2real_cat.errors import ExchangeError
from sim2real_cat.worlds.logs.arrow_columns import columns_of
from sim2real_cat.worlds.logs.tables import Table


def read_csv(path: Path, delimiter: str | None = None, decimal_point: str = ".") -> Table:
    """Read a CSV file.

    Empty fields are missing values; a ``#`` before the first line, as numpy writes it, is not part of a name.

    Args:
        path: the file.
        delimiter: what separates the columns; the most frequent of ``, ; tab`` in the first line where none is given.
        decimal_point: ``.`` or ``,``.

    Raises:
        ExchangeError: the file is empty, or no CSV, or a line has another number of fields than the first; it says
            which line.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            first = next(file, "").rstrip("\r\n")
    except UnicodeDecodeError:
        raise ExchangeError(f"{path}: not a text file in UTF-8, so no CSV; save it again as UTF-8") from None
    if not first.strip():
        raise ExchangeError(f"{path}: an empty log; its first line has to name the columns")
    delimiter = delimiter or max((",", ";", "\t"), key=first.count)
    names = [name.strip().strip('"') for name in first.lstrip("# ").split(delimiter)]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ExchangeError(f"{path}, line 1: two columns have the name '{twice}'; rename one")
    ragged: list[csv.InvalidRow] = []

    def seen(row: csv.InvalidRow) -> str:
        ragged.append(row)
        return "skip"

    try:
        table = csv.read_csv(
            path,
            read_options=csv.ReadOptions(column_names=names, skip_rows=1, use_threads=False),
            parse_options=csv.ParseOptions(delimiter=delimiter, invalid_row_handler=seen),
            convert_options=csv.ConvertOptions(decimal_point=decimal_point, strings_can_be_null=True),
        )
    except pa.ArrowInvalid as error:
        raise ExchangeError(f"{path}: not a CSV file ({' '.join(str(error).split())})") from None
    if ragged:
        row = ragged[0]
        line = _line(path, row.number - 2)  # it counts the line of names and leaves out empty ones
        raise ExchangeError(
            f"{path}, line {line}: {row.actual_columns} fields where the first line has {row.expected_columns}; "
            f"the file is cut short or a field holds the delimiter '{delimiter}'"
        )
    if not table.num_rows:
        raise ExchangeError(f"{path}: an empty log, it has the line of names and no row")
    return Table(str(path), columns_of(table), label=lambda row: f"line {_line(path, row)}")


def _line(path: Path, row: int) -> int:
    """The line of the file in which a row stands; empty lines are no rows."""
    with path.open(encoding="utf-8-sig") as file:
        filled = (number for number, line in enumerate(file, start=1) if number > 1 and line.strip("\r\n"))
        return next(islice(filled, row, None))
