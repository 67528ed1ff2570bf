"""Reading along paths: left to right for values, right to left for preimages."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets._coerce import MisfitError, as_cells, as_targets, check_range
from sim2real_cat.acsets._index import Fibres, Hits, fibres
from sim2real_cat.acsets.columns import DEFINED, UNDEFINED, AttrColumn, Cells, HomColumn, Ids
from sim2real_cat.acsets.paths import Path


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


def whole_array(reached: Ids | Cells) -> NDArray[Any]:
    """Ids as they are; cells as an array with a mask wherever there is no value."""
    if not isinstance(reached, Cells):
        return reached
    return np.ma.MaskedArray(reached.data, mask=reached.status != DEFINED)


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
