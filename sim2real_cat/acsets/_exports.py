"""What an instance can be asked for as a whole, and what it can become: methods of `ACSet`, a module for each.

Those modules know `ACSet`, so they are imported when a method is first called.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

if TYPE_CHECKING:
    import duckdb
    import networkx
    import pandas
    import pyarrow

    from sim2real_cat.acsets.acset import ACSet
    from sim2real_cat.acsets.query import Table
    from sim2real_cat.acsets.query.engine import Engine


class Exports:
    """The base of `ACSet` that holds its queries and its ways out."""

    def query(
        self,
        body: str,
        out: Sequence[str] | None = None,
        *,
        where: str | None = None,
        params: Mapping[str, object] | None = None,
        distinct: bool = False,
        engine: Engine = "auto",
    ) -> Table:
        """Answer a conjunctive query, ``"SimEnv(_id=e, train=p), Policy(_id=p, kl_gap=g)"``, as Catlab's @relation.

        Args:
            body: atoms; a variable that stands in two places has the same value there.
            out: the variables to give out; None for all, in the order of their first appearance.
            where: comparisons joined by ``and``, such as ``g > 0.1 and name != $name``.
            params: values of ``$names`` and of variables, by name.
            distinct: whether to leave out repeated rows.
            engine: "numpy", "duckdb", or "auto".

        Raises:
            SchemaError: for a text that is no query, and where names or types do not fit the schema.
            InstanceError: for a value that does not fit, and an answer that is too large.
            EngineError: for an engine that is not known or not installed.
        """
        from sim2real_cat.acsets.query import query

        return query(self._acset, body, out, where=where, params=params, distinct=distinct, engine=engine)

    def to_networkx(self) -> networkx.MultiDiGraph[Any]:
        """The category of elements as a graph: nodes ``(ob, id)``, edges keyed by the hom."""
        from sim2real_cat.acsets.elements import to_networkx

        return to_networkx(self._acset)

    def to_arrow(self) -> dict[str, pyarrow.Table]:
        """An Arrow table for every object: ids, foreign keys and attributes as columns; see `acsets.arrow`."""
        from sim2real_cat.acsets.arrow import to_arrow

        return to_arrow(self._acset)

    def to_parquet(self, folder: str | os.PathLike[str]) -> None:
        """Write a Parquet file for every object, and the schema, to a folder; see `acsets.parquet`."""
        from sim2real_cat.acsets.parquet import to_parquet

        to_parquet(self._acset, folder)

    def to_pandas(self, ob: str) -> pandas.DataFrame:
        """The parts of one object as a data frame indexed by id; needs the extra ``pandas``."""
        from sim2real_cat.acsets.frames import to_pandas

        return to_pandas(self._acset, ob)

    def to_duckdb(
        self,
        connection: duckdb.DuckDBPyConnection,
        schema_name: str | None = None,
        keys: Literal["all", "primary"] = "all",
    ) -> None:
        """Create and fill a table with keys for every object, all or nothing; needs the extra ``duckdb``."""
        from sim2real_cat.acsets.duck import to_duckdb

        to_duckdb(self._acset, connection, schema_name, keys)

    def __str__(self) -> str:
        """The first rows of every object as text tables."""
        from sim2real_cat.acsets.display import text

        return text(self._acset)

    def _repr_html_(self) -> str:
        from sim2real_cat.acsets.display import html

        return html(self._acset)

    @property
    def _acset(self) -> ACSet:
        return cast("ACSet", self)
