"""Storage of one hom or one attribute: growing numpy arrays, and the preimages read from them.

A hom is an array of ids, an attribute an array of values beside an array that says which of them are
defined. A preimage is read from an index, made when it is first asked for and dropped when the column
changes; short columns are searched as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets._buffer import Buffer
from sim2real_cat.acsets._index import Fibres, Hits, ValueIndex, fibres
from sim2real_cat.acsets._index import Ids as Ids
from sim2real_cat.acsets.codecs import Codec

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

_SHORT = 256  # to scan so many slots takes about as long as to look into an index


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

    @property
    def all_defined(self) -> bool:
        """Whether every slot holds a value."""
        if self.status.strides == (0,):  # one status for all of them, see all_defined()
            return len(self.status) == 0 or bool(self.status[0] == DEFINED)
        return bool((self.status == DEFINED).all())

    def copied(self) -> Cells:
        """The same in new arrays."""
        return Cells(self.data.copy(), self.status.copy())


def dtype_of(python_type: type | Codec) -> np.dtype[Any]:
    """The dtype of the array that holds values of an attribute type; object where there is a codec."""
    return DTYPES.get(python_type, DTYPES[str])


def fill_of(python_type: type | Codec) -> Any:
    """What stands in that array where no value does; None where there is a codec."""
    return FILL.get(python_type)


def all_defined(n: int) -> Ids:
    """The status of n slots that all hold a value, as a read-only array that takes no memory."""
    return np.broadcast_to(np.int64(DEFINED), n)


class HomColumn:
    """A hom as the array of its values: ``targets[i]`` is an id of the codomain, or -1 where undefined."""

    def __init__(self, codom: str) -> None:
        self.codom = codom
        self._targets = Buffer(np.dtype(np.int64), UNDEFINED)
        self._fibres: Fibres | None = None

    @property
    def targets(self) -> Ids:
        """Shape (n,), read-only; -1 where undefined."""
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
        """The value at one id, -1 where undefined."""
        return int(self._targets.one(i))

    def take(self, ids: Ids) -> Ids:
        """The values at ``ids`` as a new array; -1 where an id is -1."""
        return self._targets.take(ids)

    def fibres(self, size: int) -> Fibres:
        """The preimages of all ids below ``size``, which is at least the size of the codomain; read-only."""
        if self._fibres is None:
            self._fibres = fibres(self.targets, size)
        elif len(self._fibres.offsets) <= size:  # parts have come to the codomain, and nothing is sent to them
            offsets, ids = self._fibres
            self._fibres = Fibres(np.pad(offsets, (0, size + 1 - len(offsets)), "edge"), ids)
        for array in self._fibres:
            array.flags.writeable = False
        return self._fibres

    def preimages(self, values: Ids, size: int) -> Hits:
        """Which slots are mapped to which of the given ids of a codomain of this size."""
        return self.fibres(size).of(values)

    def preimage(self, value: int, size: int) -> Ids:
        """The sorted slots that are mapped to one id of a codomain of this size, as a new array."""
        if self._targets.size <= _SHORT:
            found: Ids = (self.targets == value).nonzero()[0]
            return found
        offsets, ids = self.fibres(size)
        preimage: Ids = ids[offsets[value] : offsets[value + 1]].copy()
        return preimage

    def preimage_of(self, values: Ids, size: int) -> Ids:
        """The sorted slots that are mapped to any of some distinct ids of a codomain of this size."""
        if max(self._targets.size, size) > _SHORT:
            return np.sort(self.preimages(values, size).ids)
        wanted = np.zeros(size + 1, np.bool_)  # and one more, which is found by -1
        wanted[values] = True
        return wanted[self.targets].nonzero()[0]

    def copy(self) -> HomColumn:
        """An independent column with the same content."""
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
        """All slots, read-only."""
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
        """One slot as a Python value: None where undefined, ``Var(k)`` for a variable."""
        status = DEFINED if self._status is None else self._status.one(i)
        if status == DEFINED:
            return self._data.one(i)
        return None if status == UNDEFINED else Var(status)

    def take(self, ids: Ids) -> Cells:
        """The slots ``ids`` as new arrays; undefined where an id is -1."""
        if self._status is not None:
            status = self._status.take(ids)
        elif len(ids) and ids.min() == UNDEFINED:
            status = np.where(ids == UNDEFINED, UNDEFINED, DEFINED)
        else:
            status = all_defined(len(ids))
        return Cells(self._data.take(ids), status)

    def preimages(self, wanted: Cells) -> Hits:
        """Which slots hold which of the given values or variables (none of them undefined)."""
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
        """The sorted slots that hold one value of exactly the column's type; None where an index is needed."""
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
        """An independent column with the same content."""
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
        """The second array, made now if it was not there, as it was before the last ``n`` slots came."""
        if self._status is None:
            self._status = Buffer(np.dtype(np.int64), UNDEFINED)
            self._status.extend(all_defined(self._data.size - n))
        return self._status
