"""ACSets: instances of a schema, that is, databases whose tables and foreign keys form a functor to sets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim2real_cat.acsets import _coerce
from sim2real_cat.acsets._coerce import MisfitError, allowed_ids, brief
from sim2real_cat.acsets._index import Fibres
from sim2real_cat.acsets._reading import all_fibres, follow, follow_one, preimage, preimages, whole_array
from sim2real_cat.acsets._rows import Rows, checked_rows, quick_row
from sim2real_cat.acsets._unique import UniqueOwners, keys_at, keys_of
from sim2real_cat.acsets.codecs import type_name
from sim2real_cat.acsets.columns import UNDEFINED, AttrColumn, HomColumn, Ids, Var
from sim2real_cat.acsets.paths import PathLike
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import EngineError, InstanceError, SchemaError, listed, unknown_name

if TYPE_CHECKING:
    import networkx

ENGINES = ("embedded",)


class ACSet:
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
        index: homs and attributes to be searched by value. This engine indexes every column when it is
            first searched, so the names are only checked and kept for engines that must know early.
        unique_index: homs and attributes in which no two parts may share a defined value. NaN equals
            NaN here; variables are never compared.
        engine: which engine holds the data; this version has "embedded".

    Raises:
        SchemaError: where an index names no hom or attribute.
        EngineError: for an engine that this version does not have.
    """

    def __init__(
        self, schema: Schema, index: Iterable[str] = (), unique_index: Iterable[str] = (), engine: str = "embedded"
    ) -> None:
        if engine not in ENGINES:
            raise EngineError(f"this version has no engine {engine!r}; it has: {listed(ENGINES)}")
        self.schema = schema
        self.engine = engine
        self.index, self.unique_index = tuple(index), tuple(unique_index)
        arrows = [*schema.homs, *schema.attrs]
        for name in (*self.index, *self.unique_index):
            if name not in arrows:
                raise SchemaError(f"an index needs a hom or an attribute: {unknown_name('arrow', str(name), arrows)}")
        self._nparts = dict.fromkeys(schema.obs, 0)
        self._nvars = dict.fromkeys(schema.attrtypes, 0)
        self._homs = {name: HomColumn(codom) for name, (_, codom) in schema.homs.items()}
        self._attrs = {name: AttrColumn(schema.attrtypes[kind]) for name, (_, kind) in schema.attrs.items()}
        self._unique = {name: UniqueOwners() for name in self.unique_index}

    # Parts

    def nparts(self, ob: str) -> int:
        """The number of parts of an object.

        Raises:
            SchemaError: for an unknown object.
        """
        if ob not in self._nparts:
            raise SchemaError(unknown_name("object", str(ob), self.schema.obs))
        return self._nparts[ob]

    def parts(self, ob: str) -> Ids:
        """The ids of an object, 0..n-1."""
        return np.arange(self.nparts(ob))

    def add(self, ob: str, /, **subparts: object) -> int:
        """Add one part and return its id; what is not given stays undefined.

        Raises:
            SchemaError: for an unknown object.
            InstanceError: for an unknown column, or a value that does not fit it.
        """
        new = self.nparts(ob)
        row = quick_row(self, ob, subparts)
        if row is None:
            self._append(ob, 1, checked_rows(self, ob, 1, subparts, grown=1, single=True))
            return new
        for name in self.schema.homs_from(ob):
            self._homs[name].push(row[name])
        for name in self.schema.attrs_from(ob):
            self._attrs[name].push(row[name])
        self._nparts[ob] = new + 1
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
        if not _coerce.is_int(n) or n < 0:
            raise InstanceError(f"cannot add {brief(n)} parts of '{ob}': the number must be an integer >= 0")
        return self._append(ob, int(n), checked_rows(self, ob, int(n), columns, grown=int(n)))

    def set(self, ob: str, ids: int | ArrayLike, /, **subparts: object) -> None:
        """Overwrite columns at one part (each a value) or at several distinct parts (each a column, or one value).

        Raises:
            SchemaError: for an unknown object.
            InstanceError: for an id that does not exist or occurs twice, an unknown column, a wrong
                length, or a value that does not fit.
        """
        parts = self._checked_ids(ob, ids, "set", distinct=True)
        rows = checked_rows(self, ob, len(parts), subparts, single=_coerce.is_scalar(ids))
        self._check_unique(ob, parts, rows)
        self._put(parts, rows)

    # Attribute variables

    def nvars(self, attrtype: str) -> int:
        """The number of attribute variables of an attribute type.

        Raises:
            SchemaError: for an unknown attribute type.
        """
        if attrtype not in self._nvars:
            raise SchemaError(unknown_name("attribute type", str(attrtype), self.schema.attrtypes))
        return self._nvars[attrtype]

    def add_vars(self, attrtype: str, n: int = 1) -> tuple[Var, ...]:
        """Add ``n`` new attribute variables and return them; they stand for values not known yet."""
        first = self.nvars(attrtype)
        if not _coerce.is_int(n) or n < 0:
            raise InstanceError(f"cannot add {brief(n)} variables of '{attrtype}': the number must be an integer >= 0")
        self._nvars[attrtype] += int(n)
        return tuple(Var(k) for k in range(first, first + int(n)))

    def variables(self, name: str) -> Ids:
        """For each part the number k of the variable ``Var(k)`` that an attribute holds there, or -1.

        Raises:
            SchemaError: for an unknown attribute.
        """
        if name not in self._attrs:
            raise SchemaError(unknown_name("attribute", str(name), self._attrs))
        return np.maximum(self._attrs[name].cells.status, UNDEFINED)

    # Reading along paths

    @overload
    def subpart(self, path: PathLike, ids: int | np.integer[Any], *, ob: str | None = None) -> Any: ...

    @overload
    def subpart(self, path: PathLike, ids: ArrayLike | None = None, *, ob: str | None = None) -> NDArray[Any]: ...

    def subpart(self, path: PathLike, ids: int | ArrayLike | None = None, *, ob: str | None = None) -> Any:
        """Follow a path from some parts: the function that the composite of its arrows is.

        Args:
            path: ``"train.deploy"`` or a tuple of names, left to right; empty for the identity of ``ob``.
            ids: one id, a sequence of ids, or None for all parts of the path's domain.
            ob: the domain, needed for the empty path.

        Returns:
            For one id a Python value: an id or None; for an attribute its value, None or ``Var(k)``.
            Otherwise new arrays of shape (n,): ids with -1 where undefined, or a masked array of values
            with the mask where the value is undefined or a variable.

        Raises:
            SchemaError: for a path that the schema does not have.
            InstanceError: for ids that do not exist.
        """
        route = self.schema.path(path, ob)
        if ids is None:
            whole = None if route.arrows else self.parts(route.dom)
            return whole_array(follow(route, whole, self._homs, self._attrs))
        if type(ids) is not int or not 0 <= ids < self._nparts[route.dom]:
            parts = self._checked_ids(route.dom, ids, f"subpart '{route}'" if route.arrows else "subpart")
            if not _coerce.is_scalar(ids):
                return whole_array(follow(route, parts, self._homs, self._attrs))
            ids = int(parts[0])
        return follow_one(route, ids, self._homs, self._attrs)

    def column(self, name: str) -> NDArray[Any]:
        """A whole hom or attribute, as :meth:`subpart` gives it for all parts; a copy."""
        return self.subpart((name,))

    def incident(self, values: object, path: PathLike, *, ob: str | None = None) -> Any:
        """The preimage along a path: which parts of its domain are sent to a value.

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
            if _coerce.is_scalar(values, python_type):
                return preimage(route, values, self._nparts, self._homs, self._attrs)
            sequence = _coerce.as_sequence(values, 1)
            return preimages(route, sequence, self._nparts, self._homs, self._attrs)
        except MisfitError as misfit:
            codom = route.codom
            is_attr = codom in self.schema.attrtypes
            allowed = f"{codom} is {type_name(python_type)}" if is_attr else allowed_ids(codom, self.nparts(codom))
            raise InstanceError(f"incident '{route}': {misfit} ({allowed})") from None

    def preimages(self, path: PathLike, *, ob: str | None = None) -> Fibres:
        """All preimages along a path of homs at once, its domain grouped by value.

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
        return all_fibres(route, self._nparts, self._homs)

    # The whole instance

    def copy(self) -> ACSet:
        """An independent instance with the same content."""
        twin = ACSet(self.schema, self.index, self.unique_index, self.engine)
        twin._nparts, twin._nvars = dict(self._nparts), dict(self._nvars)
        twin._homs = {name: column.copy() for name, column in self._homs.items()}
        twin._attrs = {name: column.copy() for name, column in self._attrs.items()}
        twin._unique = {name: owners.copy() for name, owners in self._unique.items()}
        return twin

    def to_json(self) -> str:
        """The instance in ACSets.jl's JSON; see :func:`sim2real_cat.acsets.exchange.write`.

        Raises:
            ExchangeError: where a float is not finite, which JSON cannot say.
        """
        from sim2real_cat.acsets import exchange

        return exchange.write(self)

    @staticmethod
    def from_json(schema: Schema, text: str, source: str = "instance.json") -> ACSet:
        """Read an instance from ACSets.jl's JSON; see :func:`sim2real_cat.acsets.exchange.read`.

        Raises:
            ExchangeError: where the text is not an instance of the schema, naming ``source`` and the row.
        """
        from sim2real_cat.acsets import exchange

        return exchange.read(schema, text, source)

    def to_networkx(self) -> networkx.MultiDiGraph[Any]:
        """The category of elements as a graph; see :func:`sim2real_cat.acsets.elements.to_networkx`."""
        from sim2real_cat.acsets import elements

        return elements.to_networkx(self)

    def __eq__(self, other: object) -> bool:
        """Whether schema, parts, variables and all values are the same; NaN equals NaN."""
        if not isinstance(other, ACSet):
            return NotImplemented
        return (
            self.schema == other.schema
            and self._nparts == other._nparts
            and self._nvars == other._nvars
            and self._homs == other._homs
            and self._attrs == other._attrs
        )

    def __repr__(self) -> str:
        counts = ", ".join(f"{ob}: {n}" for ob, n in {**self._nparts, **self._nvars}.items())
        return f"<ACSet {self.schema.name} {{{counts}}}>"

    def _checked_ids(self, ob: str, ids: object, where: str, *, distinct: bool = False) -> Ids:
        size = self.nparts(ob)
        try:
            parts = _coerce.as_ids(ids, size)
            if distinct:
                _coerce.check_distinct(parts)
            return parts
        except MisfitError as misfit:
            raise InstanceError(f"{where}: '{ob}' ids: {misfit} ({allowed_ids(ob, size)})") from None

    def _append(self, ob: str, n: int, rows: Rows) -> Ids:
        """Store checked rows as new parts."""
        ids = np.arange(self._nparts[ob], self._nparts[ob] + n)
        self._check_unique(ob, ids, rows)
        for name in self.schema.homs_from(ob):
            if name in rows.homs:
                self._homs[name].extend(rows.homs[name])
            else:
                self._homs[name].grow(n)
        for name in self.schema.attrs_from(ob):
            if name in rows.attrs:
                self._attrs[name].extend(rows.attrs[name])
            else:
                self._attrs[name].grow(n)
        self._nparts[ob] += n
        for name, owners in self._unique.items():
            if name in rows:
                owners.move(ids.tolist(), (), keys_of(rows[name]))
        return ids

    def _put(self, ids: Ids, rows: Rows) -> None:
        """Store checked rows at parts that exist."""
        for name, owners in self._unique.items():
            if name in rows:
                owners.move(ids.tolist(), keys_at(self._column(name), ids), keys_of(rows[name]))
        for name, targets in rows.homs.items():
            self._homs[name].put(ids, targets)
        for name, cells in rows.attrs.items():
            self._attrs[name].put(ids, cells)

    def _check_unique(self, ob: str, ids: Ids, rows: Rows) -> None:
        for name, owners in self._unique.items():
            if name in rows:
                clash = owners.clash(ids.tolist(), keys_of(rows[name]))
                if clash is not None:
                    first, second, value = clash
                    raise InstanceError(
                        f"column '{name}' of '{ob}' is unique, but ids {first} and {second} would share {brief(value)}"
                    )

    def _column(self, name: str) -> HomColumn | AttrColumn:
        return self._homs[name] if name in self._homs else self._attrs[name]
