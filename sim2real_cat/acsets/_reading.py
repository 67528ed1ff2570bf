"""Reading along paths: left to right for values, right to left for preimages."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets._coerce import MisfitError, as_cells, as_targets, check_range
from sim2real_cat.acsets.columns import DEFINED, UNDEFINED, AttrColumn, Cells, Hits, HomColumn, Ids, Var
from sim2real_cat.acsets.paths import Path


def follow(route: Path, ids: Ids, homs: Mapping[str, HomColumn], attrs: Mapping[str, AttrColumn]) -> Ids | Cells:
    """What the composite of a path's arrows sends ``ids`` to; undefined from the first undefined arrow on."""
    for name in route.arrows:
        if name in attrs:
            return attrs[name].take(ids)
        ids = homs[name].take(ids)
    return ids


def one_value(reached: Ids | Cells) -> Any:
    """The first of some ids or cells as a Python value: None where undefined, ``Var(k)`` for a variable."""
    if not isinstance(reached, Cells):
        return None if reached[0] == UNDEFINED else int(reached[0])
    status = int(reached.status[0])
    if status == DEFINED:
        return reached.data.tolist()[0]
    return None if status == UNDEFINED else Var(status)


def whole_array(reached: Ids | Cells) -> NDArray[Any]:
    """Ids as they are; cells as an array with a mask wherever there is no value."""
    if not isinstance(reached, Cells):
        return reached
    return np.ma.MaskedArray(reached.data, mask=reached.status != DEFINED)


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
        hits = homs[name].preimages(ids)
        owner, ids = owner[hits.owner], hits.ids
    order = np.lexsort((ids, owner))
    bounds = np.searchsorted(owner[order], np.arange(len(values) + 1)).tolist()
    return [ids[order[start:end]] for start, end in itertools.pairwise(bounds)]


def _last_preimages(
    route: Path,
    values: list[Any] | NDArray[Any],
    nparts: Mapping[str, int],
    homs: Mapping[str, HomColumn],
    attrs: Mapping[str, AttrColumn],
) -> Hits:
    """Preimages along the last arrow of a path, or the values themselves where it has none."""
    if route.arrows and route.arrows[-1] in attrs:
        column = attrs[route.arrows[-1]]
        cells = as_cells(values, column.python_type)
        undefined = np.flatnonzero(cells.status == UNDEFINED)
        if len(undefined):
            raise MisfitError(int(undefined[0]), None, "is not a value")
        return column.preimages(cells)
    ids = as_targets(values)
    check_range(ids, nparts[route.codom], undefined_allowed=False)
    return homs[route.arrows[-1]].preimages(ids) if route.arrows else Hits(np.arange(len(ids)), ids)
