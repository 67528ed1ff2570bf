"""Instances of the Catlab engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim2real_cat.acsets.acset import ACSet
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
from sim2real_cat.acsets.columns import DEFINED, UNDEFINED, Cells, Fibres, Ids, Var
from sim2real_cat.acsets.io import json
from sim2real_cat.acsets.parts import renumbered
from sim2real_cat.acsets.paths import Path
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.acsets.storage import Rows, wanted
from sim2real_cat.errors import EngineError


class CatlabACSet(ACSet):
    """An instance in Julia: a ``DynamicACSet`` that Catlab reads, searches and removes from.

    What is added or set is checked and kept in columns here, and goes over to Julia at once when Catlab is next asked;
    a million rows one by one would take hours. ``ACSet(schema, engine="catlab")`` makes one.

    Raises:
        EngineError: for another engine, or a schema with attribute types other than float, int, str and bool.
    """

    def __init__(
        self, schema: Schema, index: Iterable[str] = (), unique_index: Iterable[str] = (), engine: str = "catlab"
    ) -> None:
        if engine != "catlab":
            raise EngineError(f"a CatlabACSet lives in Catlab, not in '{engine}': use ACSet(..., engine='{engine}')")
        check_types(schema)
        self._twin: Any = None
        super().__init__(schema, index, unique_index, engine)

    def in_julia(self) -> Any:
        """The instance in Julia, brought up to date; not to be changed there."""
        if self._twin is None:
            self._twin = sent(self)
        return self._twin

    def remove(self, ob: str, ids: int | ArrayLike, /, cascade: bool = False) -> dict[str, Ids]:
        """Remove parts, as :meth:`ACSet.remove` does, by Catlab."""
        parts = np.sort(self._checked_ids(ob, ids, "remove", distinct=True))
        handle = self.in_julia()
        self._twin = None  # until Catlab has done all of it
        maps = {name: self.parts(name) for name in self.schema.obs}
        if cascade:
            obs = sent_json(list(self.schema.obs))
            kept = julia.call("remove_cascading", handle, ob, sent_ids(parts), obs)
            for name, old in zip(self.schema.obs, kept, strict=True):
                stays = received_ids(old)
                maps[name] = np.full(len(maps[name]), UNDEFINED)
                maps[name][stays] = np.arange(len(stays))
        else:
            julia.call("remove_parts", handle, ob, sent_ids(parts))
            maps[ob] = renumbered(self.nparts(ob), parts)
        self._take_from(received(handle, self.schema, self.index, self.unique_index))
        self._twin = handle
        return maps

    def to_json(self) -> str:
        """The instance in ACSets.jl's JSON, written by it.

        Raises:
            ExchangeError: where a float is not finite, which JSON cannot say.
        """
        json.check_finite(self)
        return str(julia.call("json_text", self.in_julia()))

    def __repr__(self) -> str:
        return super().__repr__().replace("<ACSet", "<ACSet in Catlab:", 1)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_twin": None}

    # Reading along paths

    def _follow(self, route: Path, ids: Ids | None) -> Ids | Cells:
        ids = self.parts(route.dom) if ids is None else ids
        if not route.arrows:
            return np.array(ids, np.int64)
        *way, last = route.arrows
        homs = route.arrows if last in self.schema.homs else way
        if homs:
            ids = received_ids(julia.call("follow_homs", self.in_julia(), sent_json(homs), sent_ids(ids)))
        if last in self.schema.homs:
            return ids
        python_type = self.schema.attrtypes[route.codom]
        return received_cells(julia.call("attr_values", self.in_julia(), last, sent_ids(ids)), python_type)

    def _follow_one(self, route: Path, part: int) -> Any:
        reached = self._follow(route, np.array([part]))
        if not isinstance(reached, Cells):
            return None if reached[0] == UNDEFINED else int(reached[0])
        status = int(reached.status[0])
        if status == DEFINED:
            return reached.data.tolist()[0]
        return None if status == UNDEFINED else Var(status)

    def _preimage(self, route: Path, value: Any) -> Ids:
        return self._preimages(route, [value])[0]

    def _preimages(self, route: Path, values: list[Any] | NDArray[Any]) -> list[Ids]:
        if not route.arrows or not len(values):
            return super()._preimages(route, values)
        asked = wanted(route, values, self._nparts, self._attrs)
        handle, path = self.in_julia(), sent_json(route.arrows)
        if isinstance(asked, Cells):
            python_type = self.schema.attrtypes[route.codom]
            ids, ends = julia.call("preimages_of_values", handle, path, *sent_cells(asked, python_type))
        else:
            ids, ends = julia.call("preimages_of_parts", handle, path, sent_ids(asked))
        return np.split(received_ids(ids), np.asarray(ends, np.int64)[:-1])

    def _fibres(self, route: Path) -> Fibres:
        found = self._preimages(route, self.parts(route.codom))
        offsets = np.cumsum([0, *map(len, found)])
        ids = np.concatenate([np.zeros(0, np.int64), *found])
        for array in (offsets, ids):
            array.flags.writeable = False
        return Fibres(offsets, ids)

    # Every change makes the instance in Julia out of date

    def add_vars(self, attrtype: str, n: int = 1) -> tuple[Var, ...]:
        """Add attribute variables, as :meth:`ACSet.add_vars` does."""
        self._twin = None
        return super().add_vars(attrtype, n)

    def _push(self, ob: str, row: Mapping[str, Any]) -> None:
        self._twin = None
        super()._push(ob, row)

    def _append(self, ob: str, n: int, rows: Rows) -> Ids:
        self._twin = None
        return super()._append(ob, n, rows)

    def _put(self, ids: Ids, rows: Rows) -> None:
        self._twin = None
        super()._put(ids, rows)

    def _put_one(self, part: int, row: Mapping[str, Any]) -> None:
        self._twin = None
        super()._put_one(part, row)


def held(instance: ACSet) -> CatlabACSet:
    """An instance of the Catlab engine with the content of this one."""
    copy = CatlabACSet(instance.schema, instance.index, instance.unique_index)
    copy._take_from(instance)
    return copy
