"""A numpy array that grows at its end, and whose slot -1 is always empty."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


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
        """The content, shape (n,), as a view that cannot be written to."""
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
        """The content at ``ids`` as a new array; the fill where an id is -1."""
        return self._array[: self.size + 1].take(ids)  # a third faster than [ids]

    def one(self, i: int) -> Any:
        """The content of one slot as a Python value."""
        return self._array.item(i)

    def copy(self) -> Buffer:
        """An independent buffer with the same content."""
        twin = Buffer.__new__(Buffer)
        twin._array, twin._fill, twin.size = self._array[: self.size + 1].copy(), self._fill, self.size
        return twin

    def _reserve(self, n: int) -> None:
        if self.size + n >= len(self._array):
            larger = np.empty(max(self.size + n + 1, 2 * len(self._array)), self._array.dtype)
            larger[: self.size] = self._array[: self.size]
            self._array = larger
