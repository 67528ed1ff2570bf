"""Columns: one hom or one attribute as growing numpy arrays, and the preimages read from them.

A hom is an array of ids, an attribute an array of values beside an array that says which of them are
defined. A preimage is read from an index, made when it is first asked for and dropped when the column
changes; short columns are searched as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.codecs import Codec

Ids = NDArray[np.int64]

UNDEFINED = -1
DEFINED = -2  # the status of an attribute's slot is DEFINED, UNDEFINED or the number k >= 0 of a variable

DTYPES: dict[type | Codec, np.dtype[Any]] = {
    float: np.dtype(np.float64),
    int: np.dtype(np.int64),
    bool: np.dtype(np.bool_),
    str: np.dtype(object),
}
# What stands where no value does. It is always the same, so equal columns are equal arrays.
FILL: dict[type | Codec, Any] = {float: np.nan, int: 0, bool: False, str: ""}

_INT64_MAX = np.iinfo(np.int64).max
_SHORT = 256  # to scan so many slots takes about as long as to look into an index


@dataclass(frozen=True, order=True)
class Var:
    """The attribute variable number ``k`` (from 0) of an attribute type: a value that is not known yet.

    Two slots with the same variable hold the same unknown value.
    """

    k: int


class Cells(NamedTuple):
    """Values of an attribute and what each slot holds; both arrays have shape (n,).

    Attributes:
        data: the values; the type's fill where there is none.
        status: DEFINED, UNDEFINED or the number of a variable.
    """

    data: NDArray[Any]
    status: Ids

    @property
    def all_defined(self) -> bool:
        """Return whether every slot holds a value."""
        if self.status.strides == (0,):  # one status for all of them, see all_defined()
            return len(self.status) == 0 or bool(self.status[0] == DEFINED)
        return bool((self.status == DEFINED).all())

    def copied(self) -> Cells:
        """Return the same in new arrays."""
        return Cells(self.data.copy(), self.status.copy())

    def tolist(self) -> list[Any]:
        """Return the slots as Python values: None where undefined, ``Var(k)`` for a variable."""
        values: list[Any] = self.data.tolist()
        for i in np.flatnonzero(self.status != DEFINED).tolist():
            values[i] = None if self.status[i] == UNDEFINED else Var(int(self.status[i]))
        return values


def dtype_of(python_type: type | Codec) -> np.dtype[Any]:
    """Return the dtype of the array that holds values of an attribute type; object where there is a codec."""
    return DTYPES.get(python_type, DTYPES[str])


def fill_of(python_type: type | Codec) -> Any:
    """Return the fill, which stands in that array where no value does; None where there is a codec."""
    return FILL.get(python_type)


def all_defined(n: int) -> Ids:
    """Return the status of n slots that all hold a value, as a read-only array that takes no memory."""
    return np.broadcast_to(np.int64(DEFINED), n)


class Buffer:
    """An array that grows at its end in amortised constant time, by doubling its capacity.

    One more slot stands behind the last and always holds the fill. The id -1, undefined, finds it, so
    to read at an array of ids, some of them undefined, is plain fancy indexing.
    """

    def __init__(self, dtype: np.dtype[Any], fill: object) -> None:
        self._array = np.full(1, fill, dtype)
        self._fill = fill
        self.size = 0

    @property
    def values(self) -> NDArray[Any]:
        """Return the content, shape (n,), as a view that cannot be written to."""
        view = self._array[: self.size]
        view.flags.writeable = False
        return view

    def grow(self, n: int) -> None:
        """Append ``n`` fills."""
        self._reserve(n)
        self._array[self.size : self.size + n + 1] = self._fill
        self.size += n

    def extend(self, values: NDArray[Any]) -> None:
        """Append values, shape (n,)."""
        n = len(values)
        self._reserve(n)
        self._array[self.size : self.size + n] = values
        self._array[self.size + n] = self._fill
        self.size += n

    def push(self, value: object) -> None:
        """Append one value."""
        size = self.size + 1
        if size >= len(self._array):
            self._reserve(1)
        self._array[size - 1] = value
        self._array[size] = self._fill
        self.size = size

    def put(self, ids: NDArray[np.int64] | int, values: object) -> None:
        """Overwrite the slots ``ids``, or one slot."""
        self._array[ids] = values

    def overwrite(self, values: NDArray[Any]) -> None:
        """Overwrite all slots."""
        self._array[: self.size] = values

    def truncate(self, size: int) -> None:
        """Keep the first ``size`` slots; the memory goes back when most of it is not needed."""
        self._array[size : self.size] = self._fill
        self.size = size
        if 4 * (size + 1) < len(self._array):
            self._array = self._array[: size + 1].copy()

    def take(self, ids: NDArray[np.int64]) -> NDArray[Any]:
        """Return the content at ``ids`` as a new array; the fill where an id is -1."""
        return self._array[: self.size + 1].take(ids)  # a third faster than [ids]

    def one(self, i: int) -> Any:
        """Return the content of one slot as a Python value."""
        return self._array.item(i)

    def copy(self) -> Buffer:
        """Return an independent buffer with the same content."""
        twin = Buffer.__new__(Buffer)
        twin._array, twin._fill, twin.size = self._array[: self.size + 1].copy(), self._fill, self.size
        return twin

    def _reserve(self, n: int) -> None:
        if self.size + n >= len(self._array):
            larger = np.empty(max(self.size + n + 1, 2 * len(self._array)), self._array.dtype)
            larger[: self.size] = self._array[: self.size]
            self._array = larger


class Hits(NamedTuple):
    """Preimages of several values at once: ``ids[j]`` is mapped to the value at position ``owner[j]``."""

    owner: Ids
    ids: Ids


class Fibres(NamedTuple):
    """All fibres of a function into 0..m-1: that of ``v`` is ``ids[offsets[v]:offsets[v + 1]]``, sorted.

    Attributes:
        offsets: shape (m + 1,).
        ids: shape (n,), less the slots where the function is undefined.
    """

    offsets: Ids
    ids: Ids

    def of(self, values: Ids) -> Hits:
        """Return the fibres of some values, one after the other."""
        low = self.offsets[values]
        counts = self.offsets[values + 1] - low
        owner = np.repeat(np.arange(len(values)), counts)
        first = np.cumsum(counts) - counts
        return Hits(owner, self.ids[(low - first)[owner] + np.arange(len(owner))])


def fibres(targets: Ids, size: int) -> Fibres:
    """Group the slots of a function by value.

    Args:
        targets: shape (n,), the values, -1 where undefined.
        size: how many values there are; all of ``targets`` are below.
    """
    n = len(targets)
    if n * (size + 1) < _INT64_MAX:
        # Value and id in one number: plain sorting of numbers is several times faster than argsort.
        keys = targets * n
        keys += np.arange(n)
        keys.sort()
        ids = keys % max(n, 1)
    else:
        ids = np.argsort(targets, kind="stable")
    offsets = np.zeros(size + 1, np.int64)
    counts = np.bincount(targets + 1, minlength=size + 1)
    np.cumsum(counts[1:], out=offsets[1:])
    return Fibres(offsets, ids[counts[0] :])


class ValueIndex:
    """An index of the slots of an attribute by their value. NaN equals NaN here."""

    def __init__(self, values: NDArray[Any], ids: Ids) -> None:
        code_of: Callable[[NDArray[Any]], Ids]
        if values.dtype == object:
            codes: dict[object, int] = {}
            code = np.fromiter((codes.setdefault(v, len(codes)) for v in values), np.int64, len(values))
            size = len(codes)

            def code_of(wanted: NDArray[Any]) -> Ids:
                return np.fromiter((codes.get(v, size) for v in wanted), np.int64, len(wanted))
        else:
            distinct, code = np.unique(values, return_inverse=True)
            size = len(distinct)

            def code_of(wanted: NDArray[Any]) -> Ids:
                position = np.searchsorted(distinct, wanted)
                beyond = position >= size
                position[beyond] = 0
                found = distinct[position] if size else wanted
                equal = (found == wanted) | ((found != found) & (wanted != wanted))
                return np.where(equal & ~beyond, position, size)

        grouped = fibres(code, size + 1)
        self._code_of = code_of
        self._fibres = Fibres(grouped.offsets, ids[grouped.ids])

    def find(self, values: NDArray[Any]) -> Hits:
        """Find all slots that hold one of the values, grouped by value."""
        return self._fibres.of(self._code_of(values))


class HomColumn:
    """A hom as the array of its values: ``targets[i]`` is an id of the codomain, or -1 where undefined."""

    def __init__(self, codom: str) -> None:
        self.codom = codom
        self._targets = Buffer(np.dtype(np.int64), UNDEFINED)
        self._fibres: Fibres | None = None

    @property
    def targets(self) -> Ids:
        """Return the values, shape (n,), read-only; -1 where undefined."""
        return self._targets.values

    def grow(self, n: int) -> None:
        """Append ``n`` undefined slots."""
        self._targets.grow(n)
        self._fibres = None

    def extend(self, targets: Ids) -> None:
        """Append slots with these values."""
        self._targets.extend(targets)
        self._fibres = None

    def push(self, target: int | None) -> None:
        """Append one slot with this value, None for undefined."""
        self._targets.push(UNDEFINED if target is None else target)
        self._fibres = None

    def put(self, ids: Ids, targets: Ids) -> None:
        """Overwrite the slots ``ids``."""
        self._targets.put(ids, targets)
        self._fibres = None

    def put_one(self, i: int, target: int | None) -> None:
        """Overwrite one slot, None for undefined."""
        self._targets.put(i, UNDEFINED if target is None else target)
        self._fibres = None

    def move(self, sources: Ids, destinations: Ids, size: int) -> None:
        """Copy some slots over others, then keep the first ``size``."""
        self._targets.put(destinations, self.targets[sources])
        self._targets.truncate(size)
        self._fibres = None

    def replace(self, targets: Ids) -> None:
        """Overwrite all slots."""
        self._targets.overwrite(targets)
        self._fibres = None

    def one(self, i: int) -> int:
        """Return the value at one id, -1 where undefined."""
        return int(self._targets.one(i))

    def take(self, ids: Ids) -> Ids:
        """Return the values at ``ids`` as a new array; -1 where an id is -1."""
        return self._targets.take(ids)

    def fibres(self, size: int) -> Fibres:
        """Return the preimages of all ids below ``size``, which is at least the size of the codomain; read-only."""
        if self._fibres is None:
            self._fibres = fibres(self.targets, size)
        elif len(self._fibres.offsets) <= size:  # parts have come to the codomain, and nothing is sent to them
            offsets, ids = self._fibres
            self._fibres = Fibres(np.pad(offsets, (0, size + 1 - len(offsets)), "edge"), ids)
        for array in self._fibres:
            array.flags.writeable = False
        return self._fibres

    def preimages(self, values: Ids, size: int) -> Hits:
        """Find the slots that are mapped to each of the given ids of a codomain of this size."""
        return self.fibres(size).of(values)

    def preimage(self, value: int, size: int) -> Ids:
        """Return the sorted slots that are mapped to one id of a codomain of this size, as a new array."""
        if self._targets.size <= _SHORT:
            found: Ids = (self.targets == value).nonzero()[0]
            return found
        offsets, ids = self.fibres(size)
        preimage: Ids = ids[offsets[value] : offsets[value + 1]].copy()
        return preimage

    def preimage_of(self, values: Ids, size: int) -> Ids:
        """Return the sorted slots that are mapped to any of some distinct ids of a codomain of this size."""
        if max(self._targets.size, size) > _SHORT:
            return np.sort(self.preimages(values, size).ids)
        wanted = np.zeros(size + 1, np.bool_)  # and one more, which is found by -1
        wanted[values] = True
        return wanted[self.targets].nonzero()[0]

    def copy(self) -> HomColumn:
        """Return an independent column with the same content."""
        twin = HomColumn(self.codom)
        twin._targets = self._targets.copy()
        return twin

    def __eq__(self, other: object) -> bool:
        return np.array_equal(self.targets, other.targets) if isinstance(other, HomColumn) else NotImplemented


class AttrColumn:
    """An attribute as its values and, beside them, what each slot holds: a value, nothing or a variable.

    The second array is there only once a slot holds something else than a value.
    """

    def __init__(self, python_type: type | Codec) -> None:
        self.python_type = python_type
        self._data = Buffer(dtype_of(python_type), fill_of(python_type))
        self._status: Buffer | None = None
        self._indexes: tuple[ValueIndex, ValueIndex] | None = None

    @property
    def cells(self) -> Cells:
        """Return all slots, read-only."""
        return Cells(self._data.values, all_defined(self._data.size) if self._status is None else self._status.values)

    def grow(self, n: int) -> None:
        """Append ``n`` undefined slots."""
        self._data.grow(n)
        if n:
            self._status_before(n).grow(n)
        self._indexes = None

    def extend(self, cells: Cells) -> None:
        """Append slots with this content."""
        n = len(cells.data)
        self._data.extend(cells.data)
        if self._status is not None or not cells.all_defined:
            self._status_before(n).extend(cells.status)
        self._indexes = None

    def push(self, value: object) -> None:
        """Append one slot with this value, None for undefined."""
        self._data.push(fill_of(self.python_type) if value is None else value)
        if self._status is not None or value is None:
            self._status_before(1).push(UNDEFINED if value is None else DEFINED)
        self._indexes = None

    def put(self, ids: Ids, cells: Cells) -> None:
        """Overwrite the slots ``ids``."""
        self._data.put(ids, cells.data)
        if self._status is not None or not cells.all_defined:
            self._status_before(0).put(ids, cells.status)
        self._indexes = None

    def put_one(self, i: int, value: object) -> None:
        """Overwrite one slot, None for undefined."""
        self._data.put(i, fill_of(self.python_type) if value is None else value)
        if self._status is not None or value is None:
            self._status_before(0).put(i, UNDEFINED if value is None else DEFINED)
        self._indexes = None

    def move(self, sources: Ids, destinations: Ids, size: int) -> None:
        """Copy some slots over others, then keep the first ``size``."""
        for buffer in (self._data, self._status):
            if buffer is not None:
                buffer.put(destinations, buffer.values[sources])
                buffer.truncate(size)
        self._indexes = None

    def one(self, i: int) -> Any:
        """Return one slot as a Python value: None where undefined, ``Var(k)`` for a variable."""
        status = DEFINED if self._status is None else self._status.one(i)
        if status == DEFINED:
            return self._data.one(i)
        return None if status == UNDEFINED else Var(status)

    def take(self, ids: Ids) -> Cells:
        """Return the slots ``ids`` as new arrays; undefined where an id is -1."""
        if self._status is not None:
            status = self._status.take(ids)
        elif len(ids) and ids.min() == UNDEFINED:
            status = np.where(ids == UNDEFINED, UNDEFINED, DEFINED)
        else:
            status = all_defined(len(ids))
        return Cells(self._data.take(ids), status)

    def preimages(self, wanted: Cells) -> Hits:
        """Find the slots that hold each of the given values or variables (none of them undefined)."""
        if self._indexes is None:
            data, status = self.cells
            valued, variable = np.flatnonzero(status == DEFINED), np.flatnonzero(status >= 0)
            self._indexes = ValueIndex(data[valued], valued), ValueIndex(status[variable], variable)
        owners, ids = [], []
        questions = (wanted.status == DEFINED, wanted.data), (wanted.status >= 0, wanted.status)
        for index, (asked, keys) in zip(self._indexes, questions, strict=True):
            positions = np.flatnonzero(asked)
            hits = index.find(keys[positions])
            owners.append(positions[hits.owner])
            ids.append(hits.ids)
        return Hits(np.concatenate(owners), np.concatenate(ids))

    def short_preimage(self, value: object) -> Ids | None:
        """Return the sorted slots that hold one value of exactly the column's type; None where an index is needed."""
        if self._data.size > _SHORT or type(value) is not self.python_type or value != value:
            return None
        if type(value) is int and not -(2**63) <= value < 2**63:
            return None
        equal = self._data.values == value
        if self._status is not None:
            equal &= self._status.values == DEFINED
        found: Ids = equal.nonzero()[0]
        return found

    def copy(self) -> AttrColumn:
        """Return an independent column with the same content."""
        twin = AttrColumn(self.python_type)
        twin._data = self._data.copy()
        twin._status = None if self._status is None else self._status.copy()
        return twin

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AttrColumn) or self.python_type != other.python_type:
            return NotImplemented
        (data, status), (other_data, other_status) = self.cells, other.cells
        if not np.array_equal(status, other_status):
            return False
        if data.dtype == object:  # as lists, because there a value equals itself even where == denies it
            return bool(data.tolist() == other_data.tolist())
        return np.array_equal(data, other_data, equal_nan=self.python_type is float)

    def _status_before(self, n: int) -> Buffer:
        """Return the second array, made now if it was not there, as it was before the last ``n`` slots came."""
        if self._status is None:
            self._status = Buffer(np.dtype(np.int64), UNDEFINED)
            self._status.extend(all_defined(self._data.size - n))
        return self._status


class UniqueOwners:
    """The owners of the values of a column in which no defined value may occur twice.

    Kept beside the column, because the sorted index would be rebuilt at every single insertion.
    """

    def __init__(self) -> None:
        self._owner: dict[object, int] = {}

    def clash(self, ids: Iterable[int], keys: Iterable[object]) -> tuple[int, int, object] | None:
        """Return the first two parts that would share a value if each of ``ids`` took its key, with the value."""
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
        """Let parts give up their old keys and take new ones; None stands for no key."""
        for key in old:
            self._owner.pop(key, None)
        self._owner.update((key, part) for part, key in zip(ids, new, strict=True) if key is not None)

    def copy(self) -> UniqueOwners:
        """Return an independent copy."""
        twin = UniqueOwners()
        twin._owner = dict(self._owner)
        return twin


def keys_at(column: HomColumn | AttrColumn, ids: Ids) -> list[object]:
    """Return the content of a column at some ids, as keys of :class:`UniqueOwners`."""
    return keys_of(column.take(ids))


def keys_of(values: Ids | Cells) -> list[object]:
    """Return values of a hom or an attribute as keys; variables have none, as they are not known to differ or agree."""
    if not isinstance(values, Cells):
        return [None if target == UNDEFINED else target for target in values.tolist()]
    # One NaN object stands for all, because a dictionary finds NaN only by identity.
    return [
        None if status != DEFINED else np.nan if value != value else value
        for value, status in zip(values.data.tolist(), values.status.tolist(), strict=True)
    ]


def renumbered(n: int, removed: Ids) -> Ids:
    """Return old ids to new, shape (n,), -1 where removed, as ACSets.jl numbers what is left of n parts.

    It takes the sorted ids d_0 < ... < d_{k-1} away from the highest down, each time moving the part that
    is last then into the freed slot. With m = n - k left, the last slot when d_j goes is m + j. What is in
    there is its own part, unless that slot was freed before, as d_i with i > j: then it is what came
    into d_i. Chains of such moves are followed all at once, by doubling.
    """
    k = len(removed)
    m = n - k
    origin = np.arange(m, n)  # where what fills slot d_j comes from
    if k:
        freed = np.searchsorted(removed, origin)
        freed = np.where(removed[np.minimum(freed, k - 1)] == origin, freed, np.arange(k))
        while not np.array_equal(further := freed[freed], freed):
            freed = further
        origin = origin[freed]
    renumbered = np.arange(n)
    renumbered[removed] = UNDEFINED
    filled = removed < m
    renumbered[origin[filled]] = removed[filled]
    return renumbered
