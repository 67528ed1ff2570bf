"""What the embedded engine keeps of an instance: its columns, how checked rows get into them, and how they are read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets import _coerce
from sim2real_cat.acsets._coerce import MisfitError, allowed_ids, brief
from sim2real_cat.acsets._index import Fibres
from sim2real_cat.acsets._reading import all_fibres, follow, follow_one, preimage, preimages
from sim2real_cat.acsets._rows import Rows
from sim2real_cat.acsets._unique import UniqueOwners, keys_at, keys_of
from sim2real_cat.acsets.columns import AttrColumn, Cells, HomColumn, Ids
from sim2real_cat.acsets.paths import Path
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import InstanceError, SchemaError, unknown_name


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
            parts = _coerce.as_ids(ids, size)
            if distinct:
                _coerce.check_distinct(parts)
            return parts
        except MisfitError as misfit:
            raise InstanceError(f"{where}: '{ob}' ids: {misfit} ({allowed_ids(ob, size)})") from None

    def _push(self, ob: str, row: Mapping[str, Any]) -> None:
        """Store one row of :func:`~sim2real_cat.acsets._rows.quick_row` as a new part."""
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
        """Store some columns of one row of :func:`~sim2real_cat.acsets._rows.quick_row` at a part that exists."""
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
