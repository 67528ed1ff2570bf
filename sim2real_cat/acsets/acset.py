"""ACSets: instances of a schema, that is, databases whose tables and foreign keys form a functor to sets.

Operations on whole instances, such as checks, canonical forms and files, are functions over the storage in other
modules. The method here is one line that imports the function when called; such a module never imports this one (see
:mod:`sim2real_cat.acsets.storage`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim2real_cat.acsets import coercion, equations
from sim2real_cat.acsets.codecs import type_name
from sim2real_cat.acsets.coercion import MisfitError, allowed_ids, brief
from sim2real_cat.acsets.columns import Fibres, Ids
from sim2real_cat.acsets.engines import EngineName, require_engine
from sim2real_cat.acsets.equations import EquationViolation
from sim2real_cat.acsets.parts import Dangling, DisjointUnion, Restriction, disjoint_union, remove, restrict
from sim2real_cat.acsets.schema import PathLike, Schema
from sim2real_cat.acsets.storage import Storage, checked_rows, masked, quick_row
from sim2real_cat.errors import InstanceError, SchemaError, listed, unknown_name

if TYPE_CHECKING:
    import duckdb
    import networkx
    import pandas
    import pyarrow

    from sim2real_cat.acsets.io.duckdb import Keys
    from sim2real_cat.acsets.query.engine import QueryEngine
    from sim2real_cat.acsets.query.table import Table


class ACSet(Storage):
    """An attributed C-set: a set of parts for each object of a schema C, a function for each hom.

    The parts of an object with n parts are the ids 0..n-1. A hom may be undefined at a part (None, or
    -1 in an integer array); an attribute's value may be undefined or a variable ``Var(k)``. Every
    mutation checks all it is given first: when it raises, nothing has changed. Equations of the
    schema are not enforced here, they are laws to check.

    >>> graph = Schema("Graph", obs=["V", "E"], homs={"src": ("E", "V"), "tgt": ("E", "V")})
    >>> x = ACSet(graph)
    >>> x.add_parts("V", 3)
    array([0, 1, 2])
    >>> x.add("E", src=0, tgt=2)
    0
    >>> x.subpart("tgt", 0), x.incident(2, "tgt")
    (2, array([0]))

    Args:
        schema: the shape of the database.
        index: homs and attributes to be searched by value. Every column is indexed when it is first searched, so
            the names are only checked and kept.
        unique_index: homs and attributes in which no two parts may share a defined value. NaN equals
            NaN here; variables are never compared.
        engine: where the instance is built and who computes: "embedded", here in numpy, or "catlab", in Julia by
            Catlab.jl. The columns in Python are then the checked copy of those in Julia: what is added or set goes
            over in bulk when Catlab is next asked.

    Raises:
        SchemaError: where an index names no hom or attribute.
        EngineError: for an engine that is not known, or not installed.
    """

    def __init__(
        self,
        schema: Schema,
        index: Iterable[str] = (),
        unique_index: Iterable[str] = (),
        engine: EngineName = "embedded",
    ) -> None:
        require_engine(engine)
        super().__init__(schema, index, unique_index, engine)
        if engine == "catlab":
            from sim2real_cat.acsets.catlab.instances import CatlabReader

            self.reader = CatlabReader(schema)
        arrows = [*schema.homs, *schema.attrs]
        for name in (*self.index, *self.unique_index):
            if name not in arrows:
                raise SchemaError(f"an index needs a hom or an attribute: {unknown_name('arrow', str(name), arrows)}")

    # Parts

    def add(self, ob: str, /, **subparts: object) -> int:
        """Add one part and return its id; what is not given stays undefined.

        Raises:
            SchemaError: for an unknown object.
            InstanceError: for an unknown column, or a value that does not fit it.
        """
        new = self.nparts(ob)
        row = quick_row(self, ob, subparts, grown=1)
        if row is not None:
            self._push(ob, row)
        else:
            self.append_rows(ob, 1, checked_rows(self, ob, 1, subparts, grown=1, single=True))
        return new

    def add_parts(self, ob: str, n: int, /, **columns: object) -> Ids:
        """Add ``n`` parts and return their ids, shape (n,).

        Args:
            ob: the object.
            n: how many parts.
            columns: for each hom or attribute of the object n values, or one value for all of them.
                None is undefined, and so are -1 in an integer array of ids and what a mask covers.

        Raises:
            SchemaError: for an unknown object.
            InstanceError: for an unknown column, a wrong length, or a value that does not fit.
        """
        self.nparts(ob)
        if not coercion.is_int(n) or n < 0:
            raise InstanceError(f"cannot add {brief(n)} parts of '{ob}': the number must be an integer >= 0")
        return self.append_rows(ob, int(n), checked_rows(self, ob, int(n), columns, grown=int(n)))

    def set(self, ob: str, ids: int | ArrayLike, /, **subparts: object) -> None:
        """Overwrite columns at one part (each a value) or at several distinct parts (each a column, or one value).

        Raises:
            SchemaError: for an unknown object.
            InstanceError: for an id that does not exist or occurs twice, an unknown column, a wrong
                length, or a value that does not fit.
        """
        parts = self.checked_ids(ob, ids, "set", distinct=True)
        row = quick_row(self, ob, subparts, grown=0) if type(ids) is int else None
        if row is not None:
            self._put_one(int(parts[0]), row)
            return
        rows = checked_rows(self, ob, len(parts), subparts, single=coercion.is_scalar(ids))
        self._put(ob, parts, rows)

    def clear(self, ob: str, ids: int | ArrayLike, /, *names: str) -> None:
        """Make homs and attributes undefined at one part or at several distinct ones.

        Raises:
            SchemaError: for an unknown object.
            InstanceError: where no name is given or one is not a column of the object, or for ids as in :meth:`set`.
        """
        self.checked_ids(ob, ids, "clear")
        if not names:
            columns = (*self.schema.homs_from(ob), *self.schema.attrs_from(ob))
            raise InstanceError(f"clear: say which columns of '{ob}' become undefined: {listed(columns)}")
        self.set(ob, ids, **dict.fromkeys(names))

    def remove(self, ob: str, ids: int | ArrayLike, /, cascade: bool = False) -> dict[str, Ids]:
        """Remove parts, with ACSets.jl's dense numbering: the last part takes the freed id, highest ids first.

        Args:
            ob: the object.
            ids: one id, or distinct ids in any order.
            cascade: whether everything that points at a removed part goes too, and what points at that.
                Otherwise the homs that pointed at a removed part become undefined.

        Returns:
            For every object of the schema, changed or not, old ids to new, shape (n,), -1 where removed.

        Raises:
            SchemaError: for an unknown object.
            InstanceError: for ids that do not exist or occur twice.
        """
        return remove(self, ob, ids, cascade=cascade)

    # Reading along paths

    @overload
    def subpart(self, path: PathLike, ids: int | np.integer[Any], *, ob: str | None = None) -> Any: ...

    @overload
    def subpart(self, path: PathLike, ids: ArrayLike | None = None, *, ob: str | None = None) -> NDArray[Any]: ...

    def subpart(self, path: PathLike, ids: int | ArrayLike | None = None, *, ob: str | None = None) -> Any:
        """Follow a path from some parts: apply the composite of its arrows.

        Args:
            path: ``"train.deploy"`` or a tuple of names, left to right; empty for the identity of ``ob``.
            ids: one id, a sequence of ids, or None for all parts of the path's domain.
            ob: the domain, needed for the empty path.

        Returns:
            For one id a Python value: an id or None; for an attribute its value, None or ``Var(k)``.
            Otherwise a new masked array of shape (n,): ids, with the mask where the path is undefined, or values,
            with the mask where the value is undefined or a variable.

        Raises:
            SchemaError: for a path that the schema does not have.
            InstanceError: for ids that do not exist.
        """
        route = self.schema.path(path, ob)
        if ids is None:
            whole = None if route.arrows else self.parts(route.dom)
            return masked(self.reader.follow(self, route, whole))
        if type(ids) is not int or not 0 <= ids < self._nparts[route.dom]:
            parts = self.checked_ids(route.dom, ids, f"subpart '{route}'" if route.arrows else "subpart")
            if not coercion.is_scalar(ids):
                return masked(self.reader.follow(self, route, parts))
            ids = int(parts[0])
        return self.reader.follow_one(self, route, ids)

    def column(self, name: str) -> NDArray[Any]:
        """Return a whole hom or attribute as :meth:`subpart` does for all parts: a new masked array."""
        return self.subpart((name,))

    def incident(self, values: object, path: PathLike, *, ob: str | None = None) -> Any:
        """Return the preimage along a path: the parts of its domain that are sent to a value.

        Args:
            values: an id of the path's codomain, or a value or ``Var(k)`` where the path ends in an
                attribute; or a sequence of them. A str is one value. NaN finds NaN.
            path: as in :meth:`subpart`.
            ob: the domain, needed for the empty path.

        Returns:
            Sorted ids, shape (m,); for a sequence of values a list of such arrays, one for each.

        Raises:
            SchemaError: for a path that the schema does not have.
            InstanceError: for ids that do not exist, or values of a wrong type or undefined.
        """
        route = self.schema.path(path, ob)
        python_type = self.schema.attrtypes.get(route.codom, int)
        try:
            if coercion.is_scalar(values, python_type):
                return self.reader.preimage(self, route, values)
            sequence = coercion.as_sequence(values, 1)
            return self.reader.preimages(self, route, sequence)
        except MisfitError as misfit:
            codom = route.codom
            is_attr = codom in self.schema.attrtypes
            allowed = f"{codom} is {type_name(python_type)}" if is_attr else allowed_ids(codom, self.nparts(codom))
            raise InstanceError(f"incident '{route}': {misfit} ({allowed})") from None

    def preimages(self, path: PathLike, *, ob: str | None = None) -> Fibres:
        """Return all preimages along a path of homs at once: its domain grouped by value.

        Returns:
            ``(offsets, ids)``, read-only: the preimage of the part v of the codomain, which has m parts,
            is ``ids[offsets[v]:offsets[v + 1]]``, sorted; offsets has shape (m + 1,). Where the path is
            undefined there is no value, so ids may be shorter than the domain.

        Raises:
            SchemaError: for a path that the schema does not have, or that ends in an attribute.
        """
        route = self.schema.path(path, ob)
        if route.codom in self.schema.attrtypes:
            raise SchemaError(f"path '{route}' ends in an attribute, whose values are no parts: use incident")
        return self.reader.fibres(self, route)

    # Queries

    def query(
        self,
        body: str,
        out: Sequence[str] | None = None,
        *,
        where: str | None = None,
        params: Mapping[str, object] | None = None,
        distinct: bool = False,
        engine: QueryEngine = "auto",
    ) -> Table:
        """Answer a conjunctive query, written as the body of Catlab's ``@relation``.

        Args:
            body: atoms like ``SimEnv(_id=e, train=p), Policy(_id=p, kl_gap=g)``: a variable that stands in two
                places has the same value there; ``_id`` is the part itself. Numbers, texts in quotes, true, false and
                ``$parameters`` are values.
            out: the variables to give out; None for all of them, in the order of their first appearance.
            where: comparisons like ``g > 0.1 and name != $name``.
            params: values of ``$names``, and, as in Catlab, of variables, by name.
            distinct: whether to leave out repeated rows; otherwise each assignment of parts to atoms is a row.
            engine: "numpy", "duckdb", "catlab" or "auto"; see :func:`~sim2real_cat.acsets.query.engine.answer`, also
                for what matches and for the order of rows.

        Raises:
            SchemaError: for a text that is not a query, and for names or types that do not fit the schema.
            InstanceError: for a value that does not fit, and an answer that is too large.
            EngineError: for an engine that is not known or not installed.
        """
        from sim2real_cat.acsets.query.engine import query

        return query(self, body, out, where=where, params=params, distinct=distinct, engine=engine)

    def explain(
        self,
        body: str,
        out: Sequence[str] | None = None,
        *,
        where: str | None = None,
        params: Mapping[str, object] | None = None,
        engine: QueryEngine = "auto",
    ) -> str:
        """Say how :meth:`query` would answer: the engine and why, then the atoms in the order in which they are joined.

        With each atom stand the variables that join it to the rows before, the number of its parts that pass the
        conditions on it alone, and an estimate of the rows that there are then. Arguments and errors are those of
        :meth:`query`; nothing is joined, and Julia is not started.

        >>> graph = ACSet(Schema("Graph", obs=["V", "E"], homs={"src": ("E", "V"), "tgt": ("E", "V")}))
        >>> _ = graph.add_parts("V", 3), graph.add_parts("E", 4, src=[0, 1, 1, 2], tgt=[1, 2, 0, 2])
        >>> print(graph.explain("E(src=a, tgt=b), E(src=b, tgt=c)", where="b != 0"))
        numpy answers: it suits about 6 rows on the way better than DuckDB.
        E(src=a, tgt=b), to begin with: 3 of 4 parts, about 3 rows.
        E(src=b, tgt=c), joined by b: 3 of 4 parts, about 3 rows.
        The parts of the atoms sort the rows, as they come.
        """
        from sim2real_cat.acsets.query.engine import explain

        return explain(self, body, out, where=where, params=params, engine=engine)

    # The whole instance

    def copy(self) -> Self:
        """Return an independent instance with the same content."""
        return self.to_engine(self.engine)

    def to_engine(self, engine: EngineName) -> Self:
        """Return an independent instance with the same content in an engine, "embedded" or "catlab".

        Raises:
            EngineError: for an engine that is not known, or not installed.
        """
        twin = self.like(None, self.index, self.unique_index, engine)
        twin.take_from(self)
        return twin

    def restrict(self, parts: Mapping[str, int | ArrayLike], dangling: Dangling = "undefined") -> Restriction[ACSet]:
        """Return a new instance on some of the parts, numbered in the order they are given; also a way to renumber.

        Args:
            parts: for an object the distinct ids to keep; an object that is not named keeps all. All
                attribute variables stay.
            dangling: what becomes of a hom that leads from a part that is kept to one that is not:
                "undefined", or an "error" (then the result is a sub-instance, closed under homs).

        Returns:
            ``(instance, maps)`` with old ids to new for every object, -1 where left out.

        Raises:
            SchemaError: for an unknown object.
            InstanceError: for ids that do not exist or occur twice, or a dangling hom.
        """
        return restrict(self, parts, dangling)

    def disjoint_union(self, other: ACSet) -> DisjointUnion[ACSet]:
        """Return the coproduct of two instances: first the parts and variables of this one, then the other's.

        The new instance has the indexes of both but no unique ones: the union exists even where both
        have the same value.

        Returns:
            ``(instance, left, right)`` with the inclusions, for each object and each attribute type.

        Raises:
            SchemaError: where the schemas differ.
        """
        return disjoint_union(self, other)

    def canonical(self, limit: int = 10_000) -> ACSet:
        """Return an isomorphic instance that is the same for all instances isomorphic to this one.

        Isomorphisms renumber parts and attribute variables and keep all values.

        Raises:
            InstanceError: where symmetries ask for more than ``limit`` choices between parts.
        """
        from sim2real_cat.acsets.maps.isomorphism import canonical

        return canonical(self, limit)

    def check(self) -> list[EquationViolation]:
        """Return the equations of the schema that do not hold, in schema order, each with the parts that violate it.

        Two undefined sides agree; an undefined side and a defined one do not. An attribute variable agrees only
        with itself. NaN agrees with NaN.
        """
        return equations.violations(self)

    # Files and other libraries

    def to_json(self) -> str:
        """Return the instance in ACSets.jl's JSON; see :func:`sim2real_cat.acsets.io.json.write`.

        Raises:
            ExchangeError: where a float is not finite, which JSON cannot say.
        """
        from sim2real_cat.acsets.io import json

        return json.write(self)

    @staticmethod
    def from_json(schema: Schema, text: str, source: str = "instance.json", engine: EngineName = "embedded") -> ACSet:
        """Read an instance from ACSets.jl's JSON into an engine; see :func:`sim2real_cat.acsets.io.json.read`.

        Raises:
            ExchangeError: where the text is not an instance of the schema, naming ``source`` and the row.
            EngineError: for an engine that is not known, or not installed.
        """
        from sim2real_cat.acsets.io import json

        return json.read(text, ACSet(schema, engine=engine), source)

    @staticmethod
    def from_arrow(schema: Schema, tables: Mapping[str, pyarrow.Table], source: str = "Arrow tables") -> ACSet:
        """Read an instance from Arrow tables; see :func:`sim2real_cat.acsets.io.arrow.from_arrow`."""
        from sim2real_cat.acsets.io.arrow import from_arrow

        return from_arrow(tables, ACSet(schema), source)

    @staticmethod
    def from_parquet(schema: Schema, folder: str | os.PathLike[str]) -> ACSet:
        """Read an instance from a folder; see :func:`sim2real_cat.acsets.io.arrow.from_parquet`."""
        from sim2real_cat.acsets.io.arrow import from_parquet

        return from_parquet(folder, ACSet(schema))

    @staticmethod
    def from_pandas(schema: Schema, frames: Mapping[str, pandas.DataFrame], source: str = "data frames") -> ACSet:
        """Read an instance from data frames; see :func:`sim2real_cat.acsets.io.arrow.from_pandas`."""
        from sim2real_cat.acsets.io.arrow import from_pandas

        return from_pandas(frames, ACSet(schema), source)

    @staticmethod
    def from_duckdb(schema: Schema, connection: duckdb.DuckDBPyConnection, schema_name: str | None = None) -> ACSet:
        """Read an instance from the tables of a database; see :func:`sim2real_cat.acsets.io.duckdb.from_duckdb`."""
        from sim2real_cat.acsets.io.duckdb import from_duckdb

        return from_duckdb(connection, ACSet(schema), schema_name)

    def to_networkx(self) -> networkx.MultiDiGraph[Any]:
        """Return the category of elements as a graph: nodes ``(ob, id)``, edges keyed by the hom."""
        from sim2real_cat.acsets.io.display import to_networkx

        return to_networkx(self)

    def to_arrow(self) -> dict[str, pyarrow.Table]:
        """Return an Arrow table for every object: ids, foreign keys and attributes as columns."""
        from sim2real_cat.acsets.io.arrow import to_arrow

        return to_arrow(self)

    def to_parquet(self, folder: str | os.PathLike[str]) -> None:
        """Write a Parquet file for every object, and the schema, to a folder."""
        from sim2real_cat.acsets.io.arrow import to_parquet

        to_parquet(self, folder)

    def to_pandas(self, ob: str) -> pandas.DataFrame:
        """Return the parts of one object as a data frame indexed by id; needs the extra ``pandas``."""
        from sim2real_cat.acsets.io.arrow import to_pandas

        return to_pandas(self, ob)

    def to_duckdb(
        self,
        connection: duckdb.DuckDBPyConnection,
        schema_name: str | None = None,
        keys: Keys = "all",
    ) -> None:
        """Create and fill a table with keys for every object, all or nothing; needs the extra ``duckdb``."""
        from sim2real_cat.acsets.io.duckdb import to_duckdb

        to_duckdb(self, connection, schema_name, keys)

    def __str__(self) -> str:
        """Return the first rows of every object as text tables."""
        from sim2real_cat.acsets.io.display import text

        return text(self)

    def _repr_html_(self) -> str:
        from sim2real_cat.acsets.io.display import html

        return html(self)

    __copy__ = copy

    def __eq__(self, other: object) -> bool:
        """Return whether schema, parts, variables and all values are the same; NaN equals NaN."""
        if not isinstance(other, ACSet):
            return NotImplemented
        return self.schema == other.schema and self._agrees_with(other)

    def __repr__(self) -> str:
        counts = ", ".join(f"{ob}: {n}" for ob, n in {**self._nparts, **self._nvars}.items())
        place = " in Catlab:" if self.engine == "catlab" else ""
        return f"<ACSet{place} {self.schema.name} {{{counts}}}>"
