"""What the embedded engine keeps of an instance: its columns, how checked rows get into them, and how they are read.

Rows on their way into an instance: columns checked against the schema, all of them before any is stored.

Reading along paths: left to right for values, right to left for preimages.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

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
from sim2real_cat.acsets.paths import Path
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import InstanceError, SchemaError, unknown_name

if TYPE_CHECKING:
    from sim2real_cat.acsets.acset import ACSet


class Storage:
    """The columns of an instance, one for each hom and attribute, and the numbers of parts and variables."""

    def __init__(self, schema: Schema, unique_index: Iterable[str]) -> None:
        self.schema = schema
        self._nparts = dict.fromkeys(schema.obs, 0)
        self._nvars = dict.fromkeys(schema.attrtypes, 0)
        self._homs = {name: HomColumn(codom) for name, (_, codom) in schema.homs.items()}
        self._attrs = {name: AttrColumn(schema.attrtypes[kind]) for name, (_, kind) in schema.attrs.items()}
        self._unique = {name: UniqueOwners() for name in unique_index}

    def nparts(self, ob: str) -> int:
        """The number of parts of an object.

        Raises:
            SchemaError: for an unknown object.
        """
        if ob not in self._nparts:
            raise SchemaError(unknown_name("object", str(ob), self.schema.obs))
        return self._nparts[ob]

    def nvars(self, attrtype: str) -> int:
        """The number of attribute variables of an attribute type.

        Raises:
            SchemaError: for an unknown attribute type.
        """
        if attrtype not in self._nvars:
            raise SchemaError(unknown_name("attribute type", str(attrtype), self.schema.attrtypes))
        return self._nvars[attrtype]

    def _take_from(self, other: Storage) -> None:
        """Take on the content of another instance of the schema."""
        self._nparts, self._nvars = dict(other._nparts), dict(other._nvars)
        self._homs = {name: column.copy() for name, column in other._homs.items()}
        self._attrs = {name: column.copy() for name, column in other._attrs.items()}
        self._unique = {name: owners.copy() for name, owners in other._unique.items()}

    def _agrees_with(self, other: Storage) -> bool:
        """Whether another instance of the schema has the same content."""
        return (
            self._nparts == other._nparts
            and self._nvars == other._nvars
            and self._homs == other._homs
            and self._attrs == other._attrs
        )

    def _checked_ids(self, ob: str, ids: object, where: str, *, distinct: bool = False) -> Ids:
        size = self.nparts(ob)
        try:
            parts = coercion.as_ids(ids, size)
            if distinct:
                coercion.check_distinct(parts)
            return parts
        except MisfitError as misfit:
            raise InstanceError(f"{where}: '{ob}' ids: {misfit} ({allowed_ids(ob, size)})") from None

    def _push(self, ob: str, row: Mapping[str, Any]) -> None:
        """Store one row of :func:`~sim2real_cat.acsets.storage.quick_row` as a new part."""
        for name in self.schema.homs_from(ob):
            self._homs[name].push(row.get(name))
        for name in self.schema.attrs_from(ob):
            self._attrs[name].push(row.get(name))
        self._nparts[ob] += 1

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

    def _put_one(self, part: int, row: Mapping[str, Any]) -> None:
        """Store some columns of one row of :func:`~sim2real_cat.acsets.storage.quick_row` at a part that exists."""
        for name, value in row.items():
            self._column(name).put_one(part, value)

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

    # Reading along paths, which is what another engine does in its own way

    def _follow(self, route: Path, ids: Ids | None) -> Ids | Cells:
        return follow(route, ids, self._homs, self._attrs)

    def _follow_one(self, route: Path, part: int) -> Any:
        return follow_one(route, part, self._homs, self._attrs)

    def _preimage(self, route: Path, value: Any) -> Ids:
        return preimage(route, value, self._nparts, self._homs, self._attrs)

    def _preimages(self, route: Path, values: list[Any] | NDArray[Any]) -> list[Ids]:
        return preimages(route, values, self._nparts, self._homs, self._attrs)

    def _fibres(self, route: Path) -> Fibres:
        return all_fibres(route, self._nparts, self._homs)


@dataclass(frozen=True)
class Rows:
    """Columns of one object, each of the same length, ready to be stored."""

    homs: dict[str, Ids]
    attrs: dict[str, Cells]

    def __contains__(self, name: str) -> bool:
        return name in self.homs or name in self.attrs

    def __getitem__(self, name: str) -> Ids | Cells:
        return self.homs[name] if name in self.homs else self.attrs[name]


def checked_rows(
    instance: ACSet, ob: str, n: int, columns: Mapping[str, object], *, grown: int = 0, single: bool = False
) -> Rows:
    """Check ``n`` rows of an object.

    Args:
        instance: where the rows will go.
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
    size = instance.nparts(ob)
    schema = instance.schema
    homs, attrs = schema.homs_from(ob), schema.attrs_from(ob)
    rows = Rows({}, {})
    for name, values in columns.items():
        python_type: type | Codec = int
        if name not in homs and name not in attrs:
            raise InstanceError(f"'{ob}' has an {unknown_name('column', name, (*homs, *attrs))}")
        codom = (schema.homs if name in homs else schema.attrs)[name][1]
        if name in homs:
            limit = size + grown if codom == ob else instance.nparts(codom)
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
                _check_variables(rows.attrs[name], instance.nvars(codom), codom)
        except MisfitError as misfit:
            place = "" if misfit.position is None or single else f" row {misfit.position}:"
            raise InstanceError(f"column '{name}' of '{ob}':{place} {misfit} ({allowed})") from None
    return rows


def quick_row(instance: ACSet, ob: str, subparts: Mapping[str, object], grown: int) -> dict[str, Any] | None:
    """Some columns of one row as plain Python values that fit as they are.

    None where a value is unusual or wrong, or its column unique: then :func:`checked_rows` decides.
    """
    schema, homs, attrs = instance.schema, instance._homs, instance._attrs
    own_homs, own_attrs = schema.homs_from(ob), schema.attrs_from(ob)
    for name, value in subparts.items():
        if name in instance._unique:
            return None
        if name in own_homs:
            codom = homs[name].codom
            limit = instance._nparts[codom] + (grown if codom == ob else 0)
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


def follow(route: Path, ids: Ids | None, homs: Mapping[str, HomColumn], attrs: Mapping[str, AttrColumn]) -> Ids | Cells:
    """What the composite of a path's arrows sends ``ids`` to; undefined from the first undefined arrow on.

    Without ids, which the empty path needs, it is the whole composite. The arrays are new.
    """
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


def follow_one(route: Path, part: int, homs: Mapping[str, HomColumn], attrs: Mapping[str, AttrColumn]) -> Any:
    """What a path sends one id to, as a Python value: an id, a value, ``Var(k)``, or None where undefined."""
    for name in route.arrows:
        if name in attrs:
            return attrs[name].one(part)
        part = homs[name].one(part)
        if part == UNDEFINED:
            return None
    return part


def masked(reached: Ids | Cells) -> NDArray[Any]:
    """Ids or values as an array with a mask wherever there is none."""
    if isinstance(reached, Cells):
        return np.ma.MaskedArray(reached.data, mask=reached.status != DEFINED)
    return np.ma.MaskedArray(reached, mask=reached == UNDEFINED)


def preimage(
    route: Path,
    value: Any,
    nparts: Mapping[str, int],
    homs: Mapping[str, HomColumn],
    attrs: Mapping[str, AttrColumn],
) -> Ids:
    """The sorted ids of the path's domain that the path sends to one value.

    Raises:
        MisfitError: as :func:`preimages`.
    """
    *others, last = route.arrows or ("",)
    ids: Ids | None = None
    if last in attrs:
        ids = attrs[last].short_preimage(value)
    elif last and type(value) is int and 0 <= value < nparts[route.codom]:
        ids = homs[last].preimage(value, nparts[route.codom])
    if ids is None:
        return preimages(route, [value], nparts, homs, attrs)[0]
    for name in reversed(others):
        ids = homs[name].preimage_of(ids, nparts[homs[name].codom])
    return ids


def preimages(
    route: Path,
    values: list[Any] | NDArray[Any],
    nparts: Mapping[str, int],
    homs: Mapping[str, HomColumn],
    attrs: Mapping[str, AttrColumn],
) -> list[Ids]:
    """For each value the sorted ids of the path's domain that the path sends to it.

    Raises:
        MisfitError: for an id that does not exist, or a value that is undefined or of a wrong type.
    """
    owner, ids = _last_preimages(route, values, nparts, homs, attrs)
    for name in reversed(route.arrows[:-1]):
        hits = homs[name].preimages(ids, nparts[homs[name].codom])
        owner, ids = owner[hits.owner], hits.ids
    order = np.lexsort((ids, owner))
    bounds = np.searchsorted(owner[order], np.arange(len(values) + 1)).tolist()
    return [ids[order[start:end]] for start, end in itertools.pairwise(bounds)]


def wanted(
    route: Path, values: list[Any] | NDArray[Any], nparts: Mapping[str, int], attrs: Mapping[str, AttrColumn]
) -> Ids | Cells:
    """The values whose preimages along a path are asked for, checked.

    Raises:
        MisfitError: for an id that does not exist, or a value that is undefined or of a wrong type.
    """
    if route.arrows and route.arrows[-1] in attrs:
        cells = as_cells(values, attrs[route.arrows[-1]].python_type)
        undefined = np.flatnonzero(cells.status == UNDEFINED)
        if len(undefined):
            raise MisfitError(int(undefined[0]), None, "is not a value")
        return cells
    ids = as_targets(values)
    check_range(ids, nparts[route.codom], undefined_allowed=False)
    return ids


def all_fibres(route: Path, nparts: Mapping[str, int], homs: Mapping[str, HomColumn]) -> Fibres:
    """The preimages of every part of the codomain of a path of homs."""
    size = nparts[route.codom]
    if len(route.arrows) == 1:
        return homs[route.arrows[0]].fibres(size)
    composite = follow(route, np.arange(nparts[route.dom]) if not route.arrows else None, homs, {})
    assert not isinstance(composite, Cells)
    return fibres(composite, size)


def _last_preimages(
    route: Path,
    values: list[Any] | NDArray[Any],
    nparts: Mapping[str, int],
    homs: Mapping[str, HomColumn],
    attrs: Mapping[str, AttrColumn],
) -> Hits:
    """Preimages along the last arrow of a path, or the values themselves where it has none."""
    asked = wanted(route, values, nparts, attrs)
    if isinstance(asked, Cells):
        return attrs[route.arrows[-1]].preimages(asked)
    if not route.arrows:
        return Hits(np.arange(len(asked)), asked)
    return homs[route.arrows[-1]].preimages(asked, nparts[route.codom])
