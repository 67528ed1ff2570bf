"""Joins in DuckDB, which reads the same columns where they are.

No name and no value of a query ever becomes SQL: the tables are called ``r0``, ``r1``, ..., their columns ``c`` and
``x`` with a number, and they hold nothing but ids, ranks and numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.query.join import Block, concatenated, too_many
from sim2real_cat.acsets.query.relations import Problem, ranks
from sim2real_cat.errors import EngineError

if TYPE_CHECKING:
    import duckdb
    import pyarrow

_BATCH = 2**18


def join(problem: Problem, needed: Sequence[int], distinct: bool, limit: int) -> Block:
    """Return the answers, in no order; with ``distinct`` without repetitions.

    Raises:
        EngineError: if DuckDB is not installed.
        InstanceError: for more than ``limit`` rows.
    """
    if not needed and distinct:
        return Block(min(count(problem), 1), {})
    query = _Sql(problem)
    outputs = ", ".join(query.owner(variable) for variable in needed) or "1"
    blocks: list[Block] = []
    n = 0
    with _connection(query.tables) as connection:
        reader = connection.sql(query.select(f"{'DISTINCT ' * distinct}{outputs}")).to_arrow_reader(_BATCH)
        for batch in reader:
            columns = (column.to_numpy(zero_copy_only=False) for column in batch.columns)
            blocks.append(Block(batch.num_rows, dict(zip(needed, columns, strict=False))))
            n += batch.num_rows
            if n > limit:
                raise too_many(limit)
    return concatenated(blocks, needed)


def count(problem: Problem) -> int:
    """Return the number of answers.

    Raises:
        EngineError: if DuckDB is not installed.
    """
    query = _Sql(problem)
    with _connection(query.tables) as connection:
        return int(connection.sql(query.select("count(*)")).fetchall()[0][0])


class _Sql:
    """A problem as tables and the text of one query.

    Args:
        problem: a join of at least one relation.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._values: list[dict[str, pyarrow.Array]] = [{} for _ in problem.relations]
        self._owners: dict[int, int] = {}
        self._conditions: list[str] = []
        for k, relation in enumerate(problem.relations):
            for variable in sorted(relation.variables):
                first = self._owners.setdefault(variable, k)
                if first != k:
                    self._conditions.append(f"{self.owner(variable)} = r{k}.c{variable}")
        self._conditions += [self._condition(number) for number in range(len(problem.conditions))]

    @property
    def tables(self) -> list[pyarrow.Table]:
        """The tables r0, r1, ... with the columns of the relations, not copied unless parts were selected."""
        import pyarrow

        found = []
        for relation, values in zip(self._problem.relations, self._values, strict=True):
            parts = relation.parts()
            columns = {f"c{relation.part}": pyarrow.array(parts)}
            for variable, column in relation.columns.items():
                columns[f"c{variable}"] = pyarrow.array(column if relation.ids is None else column[parts])
            found.append(pyarrow.table(columns | values))
        return found

    def owner(self, variable: int) -> str:
        """Return a column that holds a variable."""
        return f"r{self._owners[variable]}.c{variable}"

    def select(self, outputs: str) -> str:
        """Return the query for some outputs."""
        tables = ", ".join(f"r{k}" for k in range(len(self._problem.relations)))
        where = f" WHERE {' AND '.join(self._conditions)}" if self._conditions else ""
        return f"SELECT {outputs} FROM {tables}{where}"

    def _condition(self, number: int) -> str:
        """Return a condition as SQL, over columns ``x`` that are added for the values that it reads."""
        import pyarrow

        condition = self._problem.conditions[number]
        left, right = (self._problem.lookups[variable] for variable in condition.variables)
        if left.values is None or right.values is None:
            return f"{self.owner(left.key)} {condition.op} {self.owner(right.key)}"
        tables: Sequence[NDArray[Any]] = (left.values, right.values)
        if left.values.dtype == object:
            tables, _ = ranks(tables)
        names = []
        for side, (key, table) in enumerate(zip((left.key, right.key), tables, strict=True)):
            values = table[self._problem.relations[self._owners[key]].at(key)]
            # DuckDB takes NaN for the greatest number; null is neither less nor greater, as NaN should be.
            unordered = np.isnan(values) if values.dtype.kind == "f" and condition.op not in ("==", "!=") else None
            column = f"x{2 * number + side}"
            self._values[self._owners[key]][column] = pyarrow.array(values, mask=unordered)
            names.append(f"r{self._owners[key]}.{column}")
        return f"{names[0]} {condition.op} {names[1]}"


@contextmanager
def _connection(tables: Sequence[pyarrow.Table]) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a new database over some tables, in memory only: it never touches a disk."""
    try:
        import duckdb
    except ImportError:
        raise EngineError("DuckDB is not installed: pip install 'sim2real-cat[duckdb]', or engine=\"numpy\"") from None
    with duckdb.connect(config={"temp_directory": ""}) as connection:
        for k, table in enumerate(tables):
            connection.register(f"r{k}", table)
        yield connection
