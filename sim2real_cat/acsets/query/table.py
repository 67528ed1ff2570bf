"""The table that answers a query."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.errors import SchemaError, one_line, unknown_name

if TYPE_CHECKING:
    import pandas
    import pyarrow

SHOWN = 10
"""The number of rows that a table shows when it is printed."""


class Table:
    """An answer as columns of equal length: ids as int64, attributes in the dtype of their column. It never changes.

    >>> table = Table({"e": np.array([0, 2]), "g": np.array([0.5, 0.7])}, 2)
    >>> len(table), table["g"], list(table)
    (2, array([0.5, 0.7]), [(0, 0.5), (2, 0.7)])

    Args:
        columns: arrays of shape (n,), which become read-only.
        n: the number of rows; a table without columns has one too.
    """

    __slots__ = ("_n", "columns")

    columns: Mapping[str, NDArray[Any]]
    _n: int

    def __init__(self, columns: Mapping[str, NDArray[Any]], n: int) -> None:
        for array in columns.values():
            array.flags.writeable = False
        object.__setattr__(self, "columns", MappingProxyType(dict(columns)))
        object.__setattr__(self, "_n", n)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Table never changes: {name!r} cannot be set")

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self.columns:
            raise SchemaError(unknown_name("column", str(name), self.columns))
        return self.columns[name]

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Yield the rows as tuples of Python values."""
        if not self.columns:
            return iter([()] * self._n)
        return zip(*(array.tolist() for array in self.columns.values()), strict=True)

    def __eq__(self, other: object) -> bool:
        """Return whether columns and rows are the same, in the same order; NaN equals NaN."""
        if not isinstance(other, Table):
            return NotImplemented
        return (
            len(self) == len(other)
            and list(self.columns) == list(other.columns)
            and all(
                np.array_equal(mine, yours, equal_nan=mine.dtype.kind == yours.dtype.kind == "f")
                for mine, yours in zip(self.columns.values(), other.columns.values(), strict=True)
            )
        )

    __hash__ = None  # type: ignore[assignment]

    def to_dict(self) -> dict[str, list[Any]]:
        """Return the columns as lists of Python values."""
        return {name: array.tolist() for name, array in self.columns.items()}

    def to_arrow(self) -> pyarrow.Table:
        """Return the table in Arrow."""
        import pyarrow

        def column(array: NDArray[Any]) -> pyarrow.Array:
            texts = array.dtype == object and all(isinstance(value, str) for value in array.tolist())
            return pyarrow.array(array, pyarrow.string() if texts else None)

        return pyarrow.table({name: column(array) for name, array in self.columns.items()})

    def to_pandas(self) -> pandas.DataFrame:
        """Return the table as a data frame; needs the extra ``pandas``."""
        import pandas

        return pandas.DataFrame(dict(self.columns), index=range(self._n))

    def __repr__(self) -> str:
        head, rows = self._shown()
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        lines = [
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in [head, *rows]
        ]
        return "\n".join([f"<Table of {self._size()}>", *lines])

    def _repr_html_(self) -> str:
        """Return the first rows as an HTML table, for notebooks."""
        head, rows = self._shown()

        def line(tag: str, cells: list[str]) -> str:
            return f"<tr>{''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in cells)}</tr>"

        body = "".join(line("td", row) for row in rows)
        return f"<table><caption>{self._size()}</caption><thead>{line('th', head)}</thead><tbody>{body}</tbody></table>"

    def _size(self) -> str:
        return f"{self._n} row{'' if self._n == 1 else 's'}"

    def _shown(self) -> tuple[list[str], list[list[str]]]:
        """Return the names of the columns, and the first rows as text."""
        columns = [[_cell(value) for value in array[:SHOWN].tolist()] for array in self.columns.values()]
        if self._n > SHOWN:
            columns = [[*column, "..."] for column in columns]
        return list(self.columns), [list(row) for row in zip(*columns, strict=True)]


def _cell(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else one_line(value)
