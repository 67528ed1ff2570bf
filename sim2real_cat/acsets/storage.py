"""The storage of an instance: its columns, rows on their way in, and reading along paths.

:class:`Storage` is all that the functions of the package need of an instance. A function that exports, restricts,
checks or queries an instance takes a ``Storage``; one that builds another instance asks it for an empty one
(:meth:`Storage.like`). So these modules know nothing of :class:`~sim2real_cat.acsets.acset.ACSet`, whose methods call
them.

**The rule.** A module that `acsets/acset.py` imports, at its head or in a method, never imports
`acsets/acset.py`: those are `parts`, `equations`, all of `io`, `maps/isomorphism`, the queries and
`catlab/instances`. All others may: morphisms, limits, colimits, migrations.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim2real_cat.acsets import coercion
from sim2real_cat.acsets.codecs import Codec, type_name
from sim2real_cat.acsets.coercion import MisfitError, allowed_ids, as_cells, as_sequence, as_targets, brief, check_range
from sim2real_cat.acsets.columns import (
    DEFINED,
    UNDEFINED,
    AttrColumn,
    Cells,
    Fibres,
    Hits,
    HomColumn,
    Ids,
    UniqueOwners,
    Var,
    fibres,
    keys_at,
    keys_of,
)
from sim2real_cat.acsets.engines import EngineName
from sim2real_cat.acsets.schema import Path, PathLike, Schema
from sim2real_cat.errors import InstanceError, SchemaError, unknown_name


def engine_of(*instances: Storage) -> EngineName:
    """Return the engine that computes with these instances together: Catlab where one of them lives there."""
    return "catlab" if any(instance.engine == "catlab" for instance in instances) else "embedded"


class PathReader(Protocol):
    """The part of an engine that reads along paths."""

    def follow(self, storage: Storage, route: Path, ids: Ids | None) -> Ids | Cells:
        """Return what a path sends ``ids``, or all parts of its domain, to: undefined from the first undefined arrow.

        The empty path needs ids. The arrays are new.
        """
        ...

    def follow_one(self, storage: Storage, route: Path, part: int) -> Any:
        """Return what a path sends one id to: an id, a value, ``Var(k)``, or None where undefined."""
        ...

    def preimage(self, storage: Storage, route: Path, value: Any) -> Ids:
        """Return the sorted ids of the path's domain that the path sends to one value.

        Raises:
            MisfitError: as :meth:`preimages`.
        """
        ...

    def preimages(self, storage: Storage, route: Path, values: list[Any] | NDArray[Any]) -> list[Ids]:
        """Return for each value the sorted ids of the path's domain that the path sends to it.

        Raises:
            MisfitError: for an id that does not exist, or a value that is undefined or of a wrong type.
        """
        ...

    def fibres(self, storage: Storage, route: Path) -> Fibres:
        """Return the preimages of every part of the codomain of a path of homs, in read-only arrays."""
        ...


class Storage:
    """The columns of an instance, one for each hom and attribute, and the numbers of parts and variables.

    Columns are kept here for every engine. What is stored is checked before, by :func:`checked_rows`.

    Attributes:
        schema: the schema of the instance.
        index: the homs and attributes that were named as searched by value.
        unique_index: the homs and attributes in which no defined value may occur twice.
        engine: where the instance lives.
        reader: the engine's way to read along paths.
        version: a number that grows with every change.
        hom_columns: the column of each hom.
        attr_columns: the column of each attribute.
        owners: for each name of ``unique_index`` the parts that own its values.
    """

    def __init__(
        self,
        schema: Schema,
        index: Iterable[str] = (),
        unique_index: Iterable[str] = (),
        engine: EngineName = "embedded",
    ) -> None:
        self.schema = schema
        self.index, self.unique_index = tuple(index), tuple(unique_index)
        self.engine: EngineName = engine
        self.reader: PathReader = COLUMN_READER
        self.version = 0
        self.hom_columns = {name: HomColumn(codom) for name, (_, codom) in schema.homs.items()}
        self.attr_columns = {name: AttrColumn(schema.attrtypes[kind]) for name, (_, kind) in schema.attrs.items()}
        self.owners = {name: UniqueOwners() for name in self.unique_index}
        self._nparts = dict.fromkeys(schema.obs, 0)
        self._nvars = dict.fromkeys(schema.attrtypes, 0)

    def like(
        self,
        schema: Schema | None = None,
        index: Iterable[str] = (),
        unique_index: Iterable[str] = (),
        engine: EngineName = "embedded",
    ) -> Self:
        """Return an empty instance of this instance's class, of its schema where no other is given."""
        return type(self)(schema or self.schema, index, unique_index, engine)

    def fill(
        self,
        nparts: Mapping[str, int],
        nvars: Mapping[str, int],
        homs: Mapping[str, Ids],
        attrs: Mapping[str, Cells],
    ) -> Self:
        """Fill an empty instance with whole columns that fit its schema, and return it; what is left out is undefined.

        Args:
            nparts: the number of parts of each object.
            nvars: the number of variables of attribute types, none where one is not named.
            homs: columns of homs.
            attrs: columns of attributes.
        """
        for attrtype, n in nvars.items():
            self.add_vars(attrtype, n)
        for ob in self.schema.obs:
            rows = PartRows(
                {name: homs[name] for name in self.schema.homs_from(ob) if name in homs},
                {name: attrs[name] for name in self.schema.attrs_from(ob) if name in attrs},
            )
            self.append_rows(ob, nparts[ob], rows)
        return self

    # Parts and variables

    def nparts(self, ob: str) -> int:
        """Return the number of parts of an object.

        Raises:
            SchemaError: for an unknown object.
        """
        if ob not in self._nparts:
            raise SchemaError(unknown_name("object", str(ob), self.schema.obs))
        return self._nparts[ob]

    def parts(self, ob: str) -> Ids:
        """Return the ids of an object, 0..n-1."""
        return np.arange(self.nparts(ob))

    def nvars(self, attrtype: str) -> int:
        """Return the number of attribute variables of an attribute type.

        Raises:
            SchemaError: for an unknown attribute type.
        """
        if attrtype not in self._nvars:
            raise SchemaError(unknown_name("attribute type", str(attrtype), self.schema.attrtypes))
        return self._nvars[attrtype]

    def add_vars(self, attrtype: str, n: int = 1) -> tuple[Var, ...]:
        """Add ``n`` new attribute variables and return them; they stand for values not known yet."""
        first = self.nvars(attrtype)
        if not coercion.is_int(n) or n < 0:
            raise InstanceError(f"cannot add {brief(n)} variables of '{attrtype}': the number must be an integer >= 0")
        self.version += 1
        self._nvars[attrtype] += int(n)
        return tuple(Var(k) for k in range(first, first + int(n)))

    def variables(self, name: str) -> Ids:
        """Return for each part the number k of the variable ``Var(k)`` that an attribute holds there, or -1.

        Raises:
            SchemaError: for an unknown attribute.
        """
        if name not in self.attr_columns:
            raise SchemaError(unknown_name("attribute", str(name), self.attr_columns))
        return np.maximum(self.attr_columns[name].cells.status, UNDEFINED)

    # Columns as they are stored

    def column_ids(self, name: str) -> Ids:
        """Return a hom as plain ids, read-only, -1 where undefined: numpy takes -1 for the last part.

        Raises:
            SchemaError: for an unknown hom.
        """
        if name not in self.hom_columns:
            raise SchemaError(unknown_name("hom", str(name), self.hom_columns))
        return self.hom_columns[name].targets

    def cells(self, name: str) -> Cells:
        """Return an attribute's values and what each slot holds, read-only.

        Raises:
            SchemaError: for an unknown attribute.
        """
        if name not in self.attr_columns:
            raise SchemaError(unknown_name("attribute", str(name), self.attr_columns))
        return self.attr_columns[name].cells

    def value(self, name: str, part: int) -> Any:
        """Return what a hom or an attribute holds at a part that exists: an id, a value, ``Var(k)`` or None."""
        if name in self.attr_columns:
            return self.attr_columns[name].one(part)
        target = self.hom_columns[name].one(part)
        return None if target == UNDEFINED else target

    def column_of(self, name: str) -> HomColumn | AttrColumn:
        """Return the column of a hom or an attribute."""
        return self.hom_columns[name] if name in self.hom_columns else self.attr_columns[name]

    def subpart_ids(self, path: PathLike, ids: ArrayLike | None = None, *, ob: str | None = None) -> Ids:
        """Follow a path of homs from some parts, or all, to plain ids in a new array, -1 where undefined.

        Raises:
            SchemaError: for a path that the schema does not have, or that ends in an attribute.
            InstanceError: for ids that do not exist.
        """
        route = self.schema.path(path, ob)
        if route.codom in self.schema.attrtypes:
            raise SchemaError(f"path '{route}' ends in an attribute, whose values are no ids: use subpart")
        if ids is not None:
            ids = self.checked_ids(route.dom, ids, f"subpart '{route}'" if route.arrows else "subpart")
        elif not route.arrows:
            ids = self.parts(route.dom)
        reached = self.reader.follow(self, route, ids)
        assert not isinstance(reached, Cells)
        return reached

    # Changes

    def checked_ids(self, ob: str, ids: object, where: str, *, distinct: bool = False) -> Ids:
        """Return ids of an object as an array, shape (n,).

        Args:
            ob: the object.
            ids: one id or a sequence of them.
            where: what asks for them, for the message.
            distinct: whether no id may occur twice.

        Raises:
            SchemaError: for an unknown object.
            InstanceError: for ids that do not exist, or occur twice.
        """
        size = self.nparts(ob)
        try:
            parts = coercion.as_ids(ids, size)
            if distinct:
                coercion.check_distinct(parts)
            return parts
        except MisfitError as misfit:
            raise InstanceError(f"{where}: '{ob}' ids: {misfit} ({allowed_ids(ob, size)})") from None

    def append_rows(self, ob: str, n: int, rows: PartRows) -> Ids:
        """Store checked rows as new parts and return their ids; columns that are not given stay undefined.

        Raises:
            InstanceError: where a column that is unique would hold a value twice.
        """
        ids = np.arange(self._nparts[ob], self._nparts[ob] + n)
        self._check_unique(ob, ids, rows)
        self.version += 1
        for name in self.schema.homs_from(ob):
            if name in rows.homs:
                self.hom_columns[name].extend(rows.homs[name])
            else:
                self.hom_columns[name].grow(n)
        for name in self.schema.attrs_from(ob):
            if name in rows.attrs:
                self.attr_columns[name].extend(rows.attrs[name])
            else:
                self.attr_columns[name].grow(n)
        self._nparts[ob] += n
        for name, owners in self.owners.items():
            if name in rows:
                owners.move(ids.tolist(), (), keys_of(rows[name]))
        return ids

    def drop_rows(self, ob: str, renumbered: Ids, removed: Ids) -> None:
        """Take the removed parts of one object out of its columns and out of the homs into it.

        Args:
            ob: the object.
            renumbered: for each of its n parts the new id, -1 where removed, shape (n,).
            removed: the removed parts, sorted.
        """
        self.version += 1
        schema, size = self.schema, len(renumbered) - len(removed)
        moved = np.flatnonzero(renumbered[size:] != UNDEFINED) + size
        freed = renumbered[moved]
        for name in (*schema.homs_from(ob), *schema.attrs_from(ob)):
            column, owners = self.column_of(name), self.owners.get(name)
            gone = keys_at(column, removed) if owners else []
            column.move(moved, freed, size)
            if owners:
                owners.move(freed.tolist(), gone, keys_at(column, freed))
        self._nparts[ob] = size
        # One more slot, so that what was undefined stays so.
        lookup = np.append(renumbered, UNDEFINED)
        for name in schema.homs_into(ob):
            hom, owners = self.hom_columns[name], self.owners.get(name)
            targets = lookup[hom.targets]
            if owners:
                changed = np.flatnonzero(targets != hom.targets)
                before = keys_at(hom, changed)
                hom.replace(targets)
                owners.move(changed.tolist(), before, keys_at(hom, changed))
            else:
                hom.replace(targets)

    def take_from(self, other: Storage) -> None:
        """Take on the content of another instance of the schema."""
        self.version += 1
        self._nparts, self._nvars = dict(other._nparts), dict(other._nvars)
        self.hom_columns = {name: column.copy() for name, column in other.hom_columns.items()}
        self.attr_columns = {name: column.copy() for name, column in other.attr_columns.items()}
        self.owners = {name: owners.copy() for name, owners in other.owners.items()}

    def _agrees_with(self, other: Storage) -> bool:
        """Return whether another instance of the schema has the same content."""
        return (
            self._nparts == other._nparts
            and self._nvars == other._nvars
            and self.hom_columns == other.hom_columns
            and self.attr_columns == other.attr_columns
        )

    def _push(self, ob: str, row: Mapping[str, Any]) -> None:
        """Store one row of :func:`quick_row` as a new part."""
        self.version += 1
        for name in self.schema.homs_from(ob):
            self.hom_columns[name].push(row.get(name))
        for name in self.schema.attrs_from(ob):
            self.attr_columns[name].push(row.get(name))
        self._nparts[ob] += 1

    def _put(self, ob: str, ids: Ids, rows: PartRows) -> None:
        """Store checked rows at parts that exist."""
        self._check_unique(ob, ids, rows)
        self.version += 1
        for name, owners in self.owners.items():
            if name in rows:
                owners.move(ids.tolist(), keys_at(self.column_of(name), ids), keys_of(rows[name]))
        for name, targets in rows.homs.items():
            self.hom_columns[name].put(ids, targets)
        for name, cells in rows.attrs.items():
            self.attr_columns[name].put(ids, cells)

    def _put_one(self, part: int, row: Mapping[str, Any]) -> None:
        """Store some columns of one row of :func:`quick_row` at a part that exists."""
        self.version += 1
        for name, value in row.items():
            self.column_of(name).put_one(part, value)

    def _check_unique(self, ob: str, ids: Ids, rows: PartRows) -> None:
        for name, owners in self.owners.items():
            if name in rows:
                clash = owners.clash(ids.tolist(), keys_of(rows[name]))
                if clash is not None:
                    first, second, value = clash
                    raise InstanceError(
                        f"column '{name}' of '{ob}' is unique, but ids {first} and {second} would share {brief(value)}"
                    )


# Rows on their way into an instance: columns checked against the schema, all of them before any is stored.


@dataclass(frozen=True)
class PartRows:
    """Columns of one object, each of the same length, ready to be stored."""

    homs: dict[str, Ids]
    attrs: dict[str, Cells]

    def __contains__(self, name: str) -> bool:
        return name in self.homs or name in self.attrs

    def __getitem__(self, name: str) -> Ids | Cells:
        return self.homs[name] if name in self.homs else self.attrs[name]


def checked_rows(
    storage: Storage, ob: str, n: int, columns: Mapping[str, object], *, grown: int = 0, single: bool = False
) -> PartRows:
    """Check ``n`` rows of an object.

    Args:
        storage: where the rows will go.
        ob: their object.
        n: how many rows.
        columns: for each hom or attribute n values, or one value for all rows.
        grown: how many parts the object will have gained once the rows are stored, so that a new part
            may refer to itself or to another new one.
        single: whether each column is one value, not a sequence.

    Raises:
        SchemaError: for an unknown object.
        InstanceError: for anything that does not fit.
    """
    size = storage.nparts(ob)
    schema = storage.schema
    homs, attrs = schema.homs_from(ob), schema.attrs_from(ob)
    rows = PartRows({}, {})
    for name, values in columns.items():
        python_type: type | Codec = int
        if name not in homs and name not in attrs:
            raise InstanceError(f"'{ob}' has an {unknown_name('column', name, (*homs, *attrs))}")
        codom = (schema.homs if name in homs else schema.attrs)[name][1]
        if name in homs:
            limit = size + grown if codom == ob else storage.nparts(codom)
            allowed = f"{allowed_ids(codom, limit)}; None is undefined"
        else:
            python_type = schema.attrtypes[codom]
            allowed = f"{codom} is {type_name(python_type)}; None is undefined, Var(k) a variable"
        try:
            sequence = [values] if single else as_sequence(values, n, python_type)
            if len(sequence) != n:
                kind = "new parts" if grown else "parts"
                raise InstanceError(f"column '{name}' has {len(sequence)} values for {n} {kind} of '{ob}'")
            if name in homs:
                rows.homs[name] = as_targets(sequence)
                check_range(rows.homs[name], limit, undefined_allowed=True)
            else:
                rows.attrs[name] = as_cells(sequence, python_type)
                _check_variables(rows.attrs[name], storage.nvars(codom), codom)
        except MisfitError as misfit:
            place = "" if misfit.position is None or single else f" row {misfit.position}:"
            raise InstanceError(f"column '{name}' of '{ob}':{place} {misfit} ({allowed})") from None
    return rows


def quick_row(storage: Storage, ob: str, subparts: Mapping[str, object], grown: int) -> dict[str, Any] | None:
    """Return some columns of one row as plain Python values that fit as they are.

    Return None where a value is unusual or wrong, or its column unique: then :func:`checked_rows` decides.
    """
    schema, homs, attrs = storage.schema, storage.hom_columns, storage.attr_columns
    own_homs, own_attrs = schema.homs_from(ob), schema.attrs_from(ob)
    for name, value in subparts.items():
        if name in storage.owners:
            return None
        if name in own_homs:
            codom = homs[name].codom
            limit = storage._nparts[codom] + (grown if codom == ob else 0)
            fits = value is None or (type(value) is int and 0 <= value < limit)
        elif name in own_attrs:
            fits = value is None or type(value) is attrs[name].python_type
            fits = fits and (type(value) is not int or -(2**63) <= value < 2**63)
        else:
            fits = False
        if not fits:
            return None
    return dict(subparts)


def _check_variables(cells: Cells, nvars: int, attrtype: str) -> None:
    if not cells.all_defined and cells.status.max() >= nvars:
        position = int((cells.status >= nvars).nonzero()[0][0])
        problem = f"does not exist: {attrtype} has {nvars} variables, add_vars adds more"
        raise MisfitError(position, Var(int(cells.status[position])), problem)


# Reading along paths: left to right for values, right to left for preimages.


class ColumnReader:
    """The reader of the embedded engine; see :class:`PathReader`."""

    def follow(self, storage: Storage, route: Path, ids: Ids | None) -> Ids | Cells:
        """Follow a path by fancy indexing."""
        homs, attrs = storage.hom_columns, storage.attr_columns
        if not route.arrows:
            return np.array(ids, np.int64)
        first, *others = route.arrows
        if first in attrs:
            return attrs[first].take(ids) if ids is not None else attrs[first].cells.copied()
        if ids is None and not others:
            return homs[first].targets.copy()
        ids = homs[first].targets if ids is None else homs[first].take(ids)
        for name in others:
            if name in attrs:
                return attrs[name].take(ids)
            ids = homs[name].take(ids)
        return ids

    def follow_one(self, storage: Storage, route: Path, part: int) -> Any:
        """Follow a path from slot to slot."""
        homs, attrs = storage.hom_columns, storage.attr_columns
        for name in route.arrows:
            if name in attrs:
                return attrs[name].one(part)
            part = homs[name].one(part)
            if part == UNDEFINED:
                return None
        return part

    def preimage(self, storage: Storage, route: Path, value: Any) -> Ids:
        """Scan short columns; look long ones up in their index."""
        homs, attrs, nparts = storage.hom_columns, storage.attr_columns, storage._nparts
        *others, last = route.arrows or ("",)
        ids: Ids | None = None
        if last in attrs:
            ids = attrs[last].short_preimage(value)
        elif last and type(value) is int and 0 <= value < nparts[route.codom]:
            ids = homs[last].preimage(value, nparts[route.codom])
        if ids is None:
            return self.preimages(storage, route, [value])[0]
        for name in reversed(others):
            ids = homs[name].preimage_of(ids, nparts[homs[name].codom])
        return ids

    def preimages(self, storage: Storage, route: Path, values: list[Any] | NDArray[Any]) -> list[Ids]:
        """Look all values up in the index of the last arrow, and what is found in that of the arrow before."""
        homs, nparts = storage.hom_columns, storage._nparts
        owner, ids = _last_preimages(storage, route, values)
        for name in reversed(route.arrows[:-1]):
            hits = homs[name].preimages(ids, nparts[homs[name].codom])
            owner, ids = owner[hits.owner], hits.ids
        order = np.lexsort((ids, owner))
        bounds = np.searchsorted(owner[order], np.arange(len(values) + 1)).tolist()
        return [ids[order[start:end]] for start, end in itertools.pairwise(bounds)]

    def fibres(self, storage: Storage, route: Path) -> Fibres:
        """Take the index of a single hom, and group the composite of several."""
        size = storage._nparts[route.codom]
        if len(route.arrows) == 1:
            return storage.hom_columns[route.arrows[0]].fibres(size)
        composite = self.follow(storage, route, None if route.arrows else storage.parts(route.dom))
        assert not isinstance(composite, Cells)
        return fibres(composite, size)


COLUMN_READER = ColumnReader()


def _last_preimages(storage: Storage, route: Path, values: list[Any] | NDArray[Any]) -> Hits:
    """Return the preimages along the last arrow of a path, or the values themselves where it has none."""
    asked = sought(storage, route, values)
    if isinstance(asked, Cells):
        return storage.attr_columns[route.arrows[-1]].preimages(asked)
    if not route.arrows:
        return Hits(np.arange(len(asked)), asked)
    return storage.hom_columns[route.arrows[-1]].preimages(asked, storage._nparts[route.codom])


def sought(storage: Storage, route: Path, values: list[Any] | NDArray[Any]) -> Ids | Cells:
    """Return the values whose preimages along a path are asked for, checked.

    Raises:
        MisfitError: for an id that does not exist, or a value that is undefined or of a wrong type.
    """
    if route.codom in storage.schema.attrtypes:
        cells = as_cells(values, storage.schema.attrtypes[route.codom])
        undefined = np.flatnonzero(cells.status == UNDEFINED)
        if len(undefined):
            raise MisfitError(int(undefined[0]), None, "is not a value")
        return cells
    ids = as_targets(values)
    check_range(ids, storage._nparts[route.codom], undefined_allowed=False)
    return ids


def masked(reached: Ids | Cells) -> NDArray[Any]:
    """Return ids or values as an array with a mask wherever there is none.

    Under the mask of ids is the least integer: numpy indexes with what is under a mask, and would take -1 for the last
    row.
    """
    if isinstance(reached, Cells):
        return np.ma.MaskedArray(reached.data, mask=reached.status != DEFINED)
    undefined = reached == UNDEFINED
    return np.ma.MaskedArray(np.where(undefined, np.iinfo(reached.dtype).min, reached), mask=undefined)
