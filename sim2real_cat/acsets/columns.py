"""Storage of one hom or one attribute: growing numpy arrays, and the preimages read from them.

A hom is an array of ids, an attribute an array of values beside an array that says which of them are
defined. A preimage is read from a stable sort of the column, made when it is first asked for and
dropped when the column changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]

UNDEFINED = -1
DEFINED = -2  # the status of an attribute's slot is DEFINED, UNDEFINED or the number k >= 0 of a variable

DTYPES: dict[type, np.dtype[Any]] = {
    float: np.dtype(np.float64),
    int: np.dtype(np.int64),
    bool: np.dtype(np.bool_),
    str: np.dtype(object),
}
# What stands where no value does. It is always the same, so equal columns are equal arrays.
FILL: dict[type, Any] = {float: np.nan, int: 0, bool: False, str: ""}


@dataclass(frozen=True, order=True)
class Var:
    """The attribute variable number ``k`` (from 0) of an attribute type: a value that is not known yet.

    Two slots with the same variable hold the same unknown value.
    """

    k: int


class Cells(NamedTuple):
    """Values on their way into an attribute, or out of it: both arrays have shape (n,).

    Attributes:
        data: the values; the type's fill where there is none.
        status: DEFINED, UNDEFINED or the number of a variable.
    """

    data: NDArray[Any]
    status: Ids


class Hits(NamedTuple):
    """Preimages of several values at once: ``ids[j]`` is mapped to the value at position ``owner[j]``."""

    owner: Ids
    ids: Ids


class _Buffer:
    """An array that grows at its end in amortised constant time, by doubling its capacity."""

    def __init__(self, dtype: np.dtype[Any], fill: object) -> None:
        self._array = np.full(0, fill, dtype)
        self._fill = fill
        self._size = 0

    @property
    def values(self) -> NDArray[Any]:
        """The content, shape (n,), as a view that cannot be written to."""
        view = self._array[: self._size]
        view.flags.writeable = False
        return view

    def grow(self, n: int) -> None:
        """Append ``n`` fills."""
        size = self._size + n
        if size > len(self._array):
            larger = np.full(max(size, 2 * len(self._array)), self._fill, self._array.dtype)
            larger[: self._size] = self._array[: self._size]
            self._array = larger
        self._size = size

    def put(self, ids: Ids, values: NDArray[Any]) -> None:
        self._array[ids] = values

    def copy(self) -> _Buffer:
        twin = _Buffer(self._array.dtype, self._fill)
        twin._array, twin._size = self._array[: self._size].copy(), self._size
        return twin


class _SortedIndex:
    """The ids of some slots, sorted by their keys; equal keys keep the order of their ids."""

    def __init__(self, keys: NDArray[Any], ids: Ids) -> None:
        order = np.argsort(keys, kind="stable")
        self._keys, self._ids = keys[order], ids[order]

    def find(self, values: NDArray[Any]) -> Hits:
        """All ids whose key equals one of the values, grouped by value. NaN equals NaN here."""
        low = np.searchsorted(self._keys, values, side="left")
        counts = np.searchsorted(self._keys, values, side="right") - low
        owner = np.repeat(np.arange(len(values)), counts)
        first = np.cumsum(counts) - counts
        within = np.arange(len(owner)) - first[owner]
        return Hits(owner, self._ids[low[owner] + within])


class HomColumn:
    """A hom as the array of its values: ``targets[i]`` is an id of the codomain, or -1 where undefined."""

    def __init__(self) -> None:
        self._targets = _Buffer(np.dtype(np.int64), UNDEFINED)
        self._index: _SortedIndex | None = None

    @property
    def targets(self) -> Ids:
        """Shape (n,), read-only; -1 where undefined."""
        return self._targets.values

    def grow(self, n: int) -> None:
        """Append ``n`` undefined slots."""
        self._targets.grow(n)
        self._index = None

    def put(self, ids: Ids, targets: Ids) -> None:
        """Overwrite the slots ``ids``."""
        self._targets.put(ids, targets)
        self._index = None

    def take(self, ids: Ids) -> Ids:
        """The values at ``ids`` as a new array; -1 where an id is -1."""
        if len(self.targets) == 0:  # then every id is -1, and nothing can be indexed
            return ids.copy()
        return np.where(ids == UNDEFINED, UNDEFINED, self.targets[ids])

    def preimages(self, values: Ids) -> Hits:
        """Which slots are mapped to which of the given ids (all >= 0)."""
        if self._index is None:
            self._index = _SortedIndex(self.targets, np.arange(len(self.targets)))
        return self._index.find(values)

    def copy(self) -> HomColumn:
        """An independent column with the same content."""
        twin = HomColumn()
        twin._targets = self._targets.copy()
        return twin

    def __eq__(self, other: object) -> bool:
        return np.array_equal(self.targets, other.targets) if isinstance(other, HomColumn) else NotImplemented


class AttrColumn:
    """An attribute as its values and, beside them, what each slot holds: a value, nothing or a variable."""

    def __init__(self, python_type: type) -> None:
        self.python_type = python_type
        self._data = _Buffer(DTYPES[python_type], FILL[python_type])
        self._status = _Buffer(np.dtype(np.int64), UNDEFINED)
        self._indexes: tuple[_SortedIndex, _SortedIndex] | None = None

    @property
    def cells(self) -> Cells:
        """All slots, read-only."""
        return Cells(self._data.values, self._status.values)

    def grow(self, n: int) -> None:
        """Append ``n`` undefined slots."""
        self._data.grow(n)
        self._status.grow(n)
        self._indexes = None

    def put(self, ids: Ids, cells: Cells) -> None:
        """Overwrite the slots ``ids``."""
        self._data.put(ids, cells.data)
        self._status.put(ids, cells.status)
        self._indexes = None

    def take(self, ids: Ids) -> Cells:
        """The slots ``ids`` as new arrays; undefined where an id is -1."""
        nowhere = ids == UNDEFINED
        if len(self.cells.status) == 0:  # then every id is -1, and nothing can be indexed
            return Cells(np.full(len(ids), FILL[self.python_type], DTYPES[self.python_type]), ids.copy())
        data, status = self.cells.data[ids], self.cells.status[ids]
        data[nowhere], status[nowhere] = FILL[self.python_type], UNDEFINED
        return Cells(data, status)

    def preimages(self, wanted: Cells) -> Hits:
        """Which slots hold which of the given values or variables (none of them undefined)."""
        if self._indexes is None:
            data, status = self.cells
            valued, variable = np.flatnonzero(status == DEFINED), np.flatnonzero(status >= 0)
            self._indexes = _SortedIndex(data[valued], valued), _SortedIndex(status[variable], variable)
        owners, ids = [], []
        questions = (wanted.status == DEFINED, wanted.data), (wanted.status >= 0, wanted.status)
        for index, (asked, keys) in zip(self._indexes, questions, strict=True):
            positions = np.flatnonzero(asked)
            hits = index.find(keys[positions])
            owners.append(positions[hits.owner])
            ids.append(hits.ids)
        return Hits(np.concatenate(owners), np.concatenate(ids))

    def copy(self) -> AttrColumn:
        """An independent column with the same content."""
        twin = AttrColumn(self.python_type)
        twin._data, twin._status = self._data.copy(), self._status.copy()
        return twin

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AttrColumn) or self.python_type is not other.python_type:
            return NotImplemented
        nan_equals_nan = self.python_type is float
        return np.array_equal(self.cells.status, other.cells.status) and np.array_equal(
            self.cells.data, other.cells.data, equal_nan=nan_equals_nan
        )


class UniqueOwners:
    """Which part owns each value of a column where no defined value may occur twice.

    Kept beside the column, because the sorted index would be rebuilt at every single insertion.
    """

    def __init__(self) -> None:
        self._owner: dict[object, int] = {}

    def clash(self, ids: Iterable[int], keys: Iterable[object]) -> tuple[int, int, object] | None:
        """The first two parts that would share a value if each of ``ids`` took its key, with the value."""
        ids = list(ids)
        moving = set(ids)
        taken: dict[object, int] = {}
        for part, key in zip(ids, keys, strict=True):
            if key is None:
                continue
            owner = self._owner.get(key)
            if owner is not None and owner not in moving:
                return owner, part, key
            if key in taken:
                return taken[key], part, key
            taken[key] = part
        return None

    def move(self, ids: Iterable[int], old: Iterable[object], new: Iterable[object]) -> None:
        """The parts give up their old keys and take new ones; None is no key."""
        for key in old:
            self._owner.pop(key, None)
        self._owner.update((key, part) for part, key in zip(ids, new, strict=True) if key is not None)

    def copy(self) -> UniqueOwners:
        """An independent copy."""
        twin = UniqueOwners()
        twin._owner = dict(self._owner)
        return twin


def target_keys(targets: Ids) -> list[object]:
    """A hom's values as keys of :class:`UniqueOwners`."""
    return [None if target == UNDEFINED else target for target in targets.tolist()]


def cell_keys(cells: Cells) -> list[object]:
    """An attribute's values as keys of :class:`UniqueOwners`; variables are not known to differ or agree."""
    # One NaN object stands for all, because a dictionary finds NaN only by identity.
    return [
        None if status != DEFINED else np.nan if value != value else value
        for value, status in zip(cells.data.tolist(), cells.status.tolist(), strict=True)
    ]
