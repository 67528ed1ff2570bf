"""Frames between Python and the process in which Julia runs: any value, its arrays as they lie in memory.

A frame is the number of its pieces, their lengths, and the pieces: a pickle, then the arrays in it. Objects that stay
on one side cross as numbers.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable, Sequence
from io import BytesIO, RawIOBase
from typing import Any


class _Packer(pickle.Pickler):
    """A pickler that writes the numbers of objects that stay on the other side, or on this one."""

    def __init__(self, file: BytesIO, number_of: Callable[[object], int | None], keep: Callable[[Any], Any]) -> None:
        super().__init__(file, protocol=5, buffer_callback=keep)
        self._number_of = number_of

    def persistent_id(self, obj: object) -> int | None:
        """Return the number of an object that does not cross, and None for one that does."""
        return self._number_of(obj)


class _Unpacker(pickle.Unpickler):
    """An unpickler that puts objects in the place of numbers."""

    def __init__(self, file: BytesIO, arrays: Sequence[bytearray], numbered: Callable[[int], object]) -> None:
        super().__init__(file, buffers=arrays)
        self._numbered = numbered

    def persistent_load(self, pid: int) -> object:
        """Return the object of a number."""
        return self._numbered(pid)


def packed(value: object, number_of: Callable[[object], int | None]) -> list[memoryview]:
    """Return the pieces of a frame.

    Args:
        value: anything that can be pickled, with objects in it that do not cross.
        number_of: the number of an object that does not cross; None for any other.
    """
    arrays: list[pickle.PickleBuffer] = []
    head = BytesIO()
    _Packer(head, number_of, arrays.append).dump(value)
    return [head.getbuffer(), *(array.raw() for array in arrays)]


def unpacked(pieces: Sequence[bytearray], numbered: Callable[[int], object]) -> Any:
    """Return the value of a frame.

    Args:
        pieces: the pieces; the arrays of the value live in them.
        numbered: the object that has a number.
    """
    return _Unpacker(BytesIO(pieces[0]), pieces[1:], numbered).load()


def write_frame(stream: RawIOBase, pieces: Sequence[memoryview]) -> None:
    """Write a frame.

    Raises:
        OSError: where nobody reads it.
    """
    head = struct.pack(f"<{len(pieces) + 1}Q", len(pieces), *(piece.nbytes for piece in pieces))
    for piece in (memoryview(head), *pieces):
        rest = piece.cast("B")
        while rest:
            rest = rest[stream.write(rest) :]


def read_frame(stream: RawIOBase) -> list[bytearray]:
    """Read the pieces of a frame.

    Raises:
        EOFError: where the stream ends.
    """
    (count,) = struct.unpack("<Q", _read(stream, 8))
    lengths = struct.unpack(f"<{count}Q", _read(stream, 8 * count))
    return [_read(stream, length) for length in lengths]


def _read(stream: RawIOBase, length: int) -> bytearray:
    found = bytearray(length)
    rest = memoryview(found)
    while rest:
        taken = stream.readinto(rest)
        if not taken:
            raise EOFError("the stream ended within a frame")
        rest = rest[taken:]
    return found
