"""What every format is read into: named columns of numbers or text, rows in the order of the file.

Columns of Arrow tables as numpy arrays.

CSV files as tables: the first line names the columns.

Parquet files as Arrow tables.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import csv

from sim2real_cat.arrays import Floats, Ints
from sim2real_cat.errors import ExchangeError, WorldError, one_line, unknown_name

Column = NDArray[Any]

_INDEXED = re.compile(r"^(?P<name>.*?)\s*\[(?:\s*:\s*,)?\s*(?P<element>[^\[\]]+?)\s*\]$")


def _row(row: int) -> str:
    return f"row {row}"


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of one file, or of one episode in it.

    Attributes:
        place: the file, for messages.
        columns: by name, (rows,) or (rows, k): numbers, dates or text. A column may have one row less than the
            others (actions of Minari): its last row is then not known.
        components: names of the k components of a column of vectors, where they have some.
        label: what to call a row in a message.
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
        """The column that a text names, and which of its components.

        Raises:
            WorldError: no such column or component; it says which exist.
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
        """A column, or some of its components, as (rows, k) floats.

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

    def rows(self, index: Ints) -> Table:
        """The table with some of its rows only."""
        columns = {name: column[index[index < len(column)]] for name, column in self.columns.items()}
        return replace(self, columns=columns, label=lambda row: self.label(int(index[row])))

    def first_text(self, column: Column) -> str:
        """Where in a column of text the first entry stands that is no number, and what it is."""
        for row, value in enumerate(column if column.ndim == 1 else column[:, 0]):
            try:
                float(value)
            except (TypeError, ValueError):
                if value is not None:
                    return f"{self.label(row)}: {str(value)[:40]!r} is no number"
        return f"{self.label(0)}: its numbers are stored as text"


def columns_of(table: pa.Table) -> dict[str, Column]:
    """Every column as (rows,) or, where it holds lists of one length, (rows, k).

    Whole numbers stay whole where none is missing, so that timestamps in nanoseconds keep all their digits; missing
    numbers are NaN, missing texts None. Columns of other types (images, lists of different lengths) are left out.
    """
    found = {}
    for name in table.column_names:
        column = table[name].combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
        values = _values(column)
        if values is not None:
            found[name] = values
    return found


def _values(column: pa.Array) -> Column | None:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    if pa.types.is_boolean(kind):
        return _values(column.cast(pa.int8()))
    if pa.types.is_decimal(kind):
        return _values(column.cast(pa.float64()))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return np.asarray(column.to_numpy(zero_copy_only=False))
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return np.asarray(column.cast(pa.timestamp("ns")).to_numpy(zero_copy_only=False))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return np.array(column.to_pylist(), dtype=object)
    if pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _vectors(column)
    return None


def _vectors(column: pa.Array) -> Column | None:
    """Lists as a matrix, NaN where one is missing; None where they differ in length."""
    valid = np.asarray(column.is_valid().to_numpy(zero_copy_only=False))
    flat = column.drop_null().flatten() if not valid.all() else column.flatten()
    inner = _values(flat)
    rows = int(valid.sum())
    if inner is None or inner.dtype.kind not in "fiu" or (rows and len(inner) % rows):
        return None
    fixed = pa.types.is_fixed_size_list(column.type)
    width = len(inner) // rows if rows else column.type.list_size if fixed else 0
    if not fixed:
        lengths = column.drop_null().value_lengths().to_numpy(zero_copy_only=False)
        if rows and (lengths != width).any():
            return None
    inner = inner.reshape(rows, width * math.prod(inner.shape[1:]))
    if valid.all():
        return inner
    matrix = np.full((len(column), inner.shape[1]), np.nan)
    matrix[valid] = inner
    return matrix


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
        raise ExchangeError(f"{path}: not a CSV file ({one_line(error)})") from None
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


def read_parquet(path: Path, wanted: Collection[str] | None = None) -> pa.Table:
    """A Parquet file, or those of its columns that are wanted, without the schema's own metadata.

    Raises:
        ExchangeError: it is cut short or no Parquet.
    """
    try:
        # one file: nothing in its folder's name is a column
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            names = file.schema_arrow.names
            columns = None if wanted is None else [name for name in names if name in wanted]
            table: pa.Table = file.read(columns)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = one_line(error)
        raise ExchangeError(f"{path}: not a whole Parquet file ({reason}); write or copy it again") from None
    return table.replace_schema_metadata(None)
