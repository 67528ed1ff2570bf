"""Instances that live in Julia, where Catlab reads, removes, unites and writes parts, and answers queries and laws.

An instance of the Catlab engine keeps its columns in Python as every instance does. What is added or set goes over to
Julia at once, as a ``DynamicACSet``, when Catlab is next asked; a million rows one by one would take hours.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.catlab import julia
from sim2real_cat.acsets.catlab.crossing import (
    check_types,
    received,
    received_cells,
    received_ids,
    sent,
    sent_cells,
    sent_ids,
    sent_json,
)
from sim2real_cat.acsets.columns import DEFINED, UNDEFINED, Cells, Fibres, Ids, renumbered
from sim2real_cat.acsets.schema import Path, Schema
from sim2real_cat.acsets.storage import COLUMN_READER, Storage, sought

S = TypeVar("S", bound=Storage)


class CatlabReader:
    """The reader of the Catlab engine, for one instance, whose twin in Julia it keeps.

    Raises:
        EngineError: for a schema with attribute types other than float, int, str and bool.
    """

    def __init__(self, schema: Schema) -> None:
        check_types(schema)
        self._twin: tuple[int, Any] | None = None

    def twin(self, storage: Storage) -> Any:
        """Return the instance in Julia, brought up to date; not to be changed there."""
        if self._twin is None or self._twin[0] != storage.version or not julia.lives(self._twin[1]):
            self._twin = storage.version, sent(storage)
        return self._twin[1]

    def keep(self, storage: Storage, handle: Any) -> None:
        """Take an instance in Julia, of the same content, for the twin; or forget the twin where there is none."""
        self._twin = None if handle is None else (storage.version, handle)

    def __getstate__(self) -> dict[str, Any]:
        return {"_twin": None}

    def follow(self, storage: Storage, route: Path, ids: Ids | None) -> Ids | Cells:
        """Follow the homs at once, then read the attribute."""
        ids = storage.parts(route.dom) if ids is None else ids
        if not route.arrows:
            return np.array(ids, np.int64)
        *way, last = route.arrows
        schema = storage.schema
        homs = route.arrows if last in schema.homs else way
        handle = self.twin(storage)
        if homs:
            ids = received_ids(julia.call("follow_homs", handle, sent_json(homs), sent_ids(ids)))
        if last in schema.homs:
            return ids
        return received_cells(julia.call("attr_values", handle, last, sent_ids(ids)), schema.attrtypes[route.codom])

    def follow_one(self, storage: Storage, route: Path, part: int) -> Any:
        """Follow a path from one part."""
        reached = self.follow(storage, route, np.array([part]))
        if isinstance(reached, Cells):
            return reached.tolist()[0]
        return None if reached[0] == UNDEFINED else int(reached[0])

    def preimage(self, storage: Storage, route: Path, value: Any) -> Ids:
        """Ask for the preimage of one value."""
        return self.preimages(storage, route, [value])[0]

    def preimages(self, storage: Storage, route: Path, values: list[Any] | NDArray[Any]) -> list[Ids]:
        """Ask for the preimages of all values at once."""
        if not route.arrows or not len(values):
            return COLUMN_READER.preimages(storage, route, values)
        asked = sought(storage, route, values)
        handle, path = self.twin(storage), sent_json(route.arrows)
        if isinstance(asked, Cells):
            python_type = storage.schema.attrtypes[route.codom]
            ids, ends = julia.call("preimages_of_values", handle, path, *sent_cells(asked, python_type))
        else:
            ids, ends = julia.call("preimages_of_parts", handle, path, sent_ids(asked))
        return np.split(received_ids(ids), np.asarray(ends, np.int64)[:-1])

    def fibres(self, storage: Storage, route: Path) -> Fibres:
        """Ask for the preimages of all parts of the codomain."""
        found = self.preimages(storage, route, storage.parts(route.codom))
        offsets = np.cumsum([0, *map(len, found)])
        ids = np.concatenate([np.zeros(0, np.int64), *found])
        for array in (offsets, ids):
            array.flags.writeable = False
        return Fibres(offsets, ids)


def handle_of(instance: Storage) -> Any:
    """Return an instance of any engine as an object in Julia, not to be changed there."""
    reader = instance.reader
    return reader.twin(instance) if isinstance(reader, CatlabReader) else sent(instance)


def remove(instance: Storage, ob: str, parts: Ids, *, cascade: bool) -> dict[str, Ids]:
    """Remove sorted parts of an instance of this engine, by Catlab; the rest is as in `acsets.parts.remove`."""
    reader = instance.reader
    assert isinstance(reader, CatlabReader)
    handle = reader.twin(instance)
    reader.keep(instance, None)  # until Catlab has done all of it
    maps = {name: instance.parts(name) for name in instance.schema.obs}
    if cascade:
        obs = sent_json(list(instance.schema.obs))
        kept = julia.call("remove_cascading", handle, ob, sent_ids(parts), obs)
        for name, old in zip(instance.schema.obs, kept, strict=True):
            stays = received_ids(old)
            maps[name] = np.full(len(maps[name]), UNDEFINED)
            maps[name][stays] = np.arange(len(stays))
    else:
        julia.call("remove_parts", handle, ob, sent_ids(parts))
        maps[ob] = renumbered(instance.nparts(ob), parts)
    instance.take_from(received(handle, instance.like(None, instance.index, instance.unique_index)))
    reader.keep(instance, handle)
    return maps


def union(left: S, right: S) -> S:
    """Return the parts and variables of two instances of one schema, one after the other, with the indexes of both.

    ACSets.jl cannot copy undefined attributes: some value goes over in their place, and is not read back.
    """
    found = julia.call("union_of", *(handle_of(_with_all_attributes(instance)) for instance in (left, right)))
    empty = left.like(None, dict.fromkeys((*left.index, *right.index)), engine="catlab")
    undefined = {name: np.append(_undefined(left, name), _undefined(right, name)) for name in left.schema.attrs}
    return received(found, empty, undefined)


def _with_all_attributes(instance: S) -> S:
    """Return the instance, or one that has a value wherever an attribute of this one is undefined."""
    schema = instance.schema
    if not any(_undefined(instance, name).any() for name in schema.attrs):
        return instance
    cells = {name: instance.cells(name) for name in schema.attrs}
    attrs = {
        name: Cells(data, np.where(status == UNDEFINED, DEFINED, status)) for name, (data, status) in cells.items()
    }
    return instance.like(engine="embedded").fill(
        {ob: instance.nparts(ob) for ob in schema.obs},
        {attrtype: instance.nvars(attrtype) for attrtype in schema.attrtypes},
        {name: instance.column_ids(name) for name in schema.homs},
        attrs,
    )


def _undefined(instance: Storage, name: str) -> NDArray[np.bool_]:
    return np.asarray(instance.cells(name).status == UNDEFINED)


def json_text(instance: Storage) -> str:
    """Return the instance in ACSets.jl's JSON, written by it."""
    return str(julia.call("json_text", handle_of(instance)))


def law_rows(instance: Storage, law: str, epsilon: float) -> list[tuple[str, str, int]]:
    """Return the rows that break a law of the sim-to-real schema or leave it open: verdict, object and id.

    Args:
        instance: an instance of `SchSim2RealTransfer` or an extension.
        law: a name in the Julia module's `LAWS`.
        epsilon: the bound under which a policy transfers, in the unit of ``kl_gap``.

    Raises:
        EngineError: where the Julia module does not know the law.
    """
    rows = json.loads(str(julia.call("law_rows", handle_of(instance), law, float(epsilon))))
    return [(str(verdict), str(ob), int(number) - 1) for verdict, ob, number in rows]
