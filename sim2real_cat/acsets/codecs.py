"""Attribute types beyond float, int, str and bool: any frozen Python type, through a codec to JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sim2real_cat.errors import SchemaError, with_kind


@dataclass(frozen=True, repr=False)
class Codec:
    """A Python type as an attribute type, with the functions that write its values to JSON and read them.

    The values must be hashable and must not change, and ``decode(encode(value)) == value``. They are
    stored as they are, compared with ``==`` and found by their hash. ``repr`` names the type and the two
    functions by their modules, so ``eval(repr(codec)) == codec`` where these modules and ``Codec`` are in
    scope, and pickle works, as long as all three can be imported by name (a lambda cannot).

    >>> import datetime
    >>> stamp = Codec(datetime.date, datetime.date.isoformat, datetime.date.fromisoformat)
    >>> stamp
    Codec(datetime.date, datetime.date.isoformat, datetime.date.fromisoformat)
    >>> eval(repr(stamp)) == stamp
    True
    >>> stamp.encode(datetime.date(2025, 3, 1))
    '2025-03-01'

    Args:
        python_type: the type; its values and those of its subclasses are accepted.
        encode: from a value to what :mod:`json` can write; not None, which means undefined, and not an
            object with the key ``_var``, which is an attribute variable.
        decode: from what :mod:`json` reads to a value; any exception it raises is reported with its row.

    Raises:
        SchemaError: for a type that is not a class, cannot be hashed or needs no codec, or what is not a function.
    """

    python_type: type
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]

    def __post_init__(self) -> None:
        if not isinstance(self.python_type, type):
            raise SchemaError(
                f"a codec needs a Python type, not {self.python_type!r}: write Codec(type, encode, decode)"
            )
        name = self.python_type.__name__
        if self.python_type in (float, int, str, bool):
            raise SchemaError(f"{name} needs no codec: write {name} for the attribute type")
        if self.python_type is type(None) or self.python_type.__hash__ is None:
            reason = "None means undefined" if self.python_type is type(None) else "its values cannot be hashed"
            raise SchemaError(f"{name} cannot be an attribute type ({reason}): use a frozen type")
        for role, function in (("encode", self.encode), ("decode", self.decode)):
            if not callable(function):
                raise SchemaError(f"codec of {name}: {role} must be a function, not {function!r}")

    def accepts(self, value: object) -> bool:
        """Return whether a value is one of the type, and can be hashed."""
        if not isinstance(value, self.python_type):
            return False
        try:
            hash(value)
        except TypeError:
            return False
        return True

    def to_json(self, value: Any) -> Any:
        """Return a value as JSON.

        Raises:
            ValueError: where ``encode`` fails, or gives what the exchange format cannot hold; one line.
        """
        try:
            encoded = self.encode(value)
            json.dumps(encoded, allow_nan=False)
        except Exception as error:
            raise ValueError(f"cannot be written by its codec ({with_kind(error)})") from None
        if encoded is None or (isinstance(encoded, dict) and "_var" in encoded):
            meaning = "undefined" if encoded is None else "an attribute variable"
            raise ValueError(f"is encoded as {encoded!r}, which means {meaning}")
        return encoded

    def from_json(self, encoded: Any) -> Any:
        """Return the value that is written as ``encoded``.

        Raises:
            ValueError: where ``decode`` fails, or gives anything but a hashable value of the type; one line.
        """
        try:
            value = self.decode(encoded)
        except Exception as error:
            raise ValueError(f"cannot be read as {self.python_type.__name__} ({with_kind(error)})") from None
        if not self.accepts(value):
            raise ValueError(f"is decoded to a {type(value).__name__}, not to a hashable {self.python_type.__name__}")
        return value

    def __repr__(self) -> str:
        return f"Codec({_name(self.python_type)}, {_name(self.encode)}, {_name(self.decode)})"


def pairs_of(python_type: type | Codec) -> Codec:
    """Return the attribute type of pairs of values of one type, written to JSON as lists of two.

    >>> pairs_of(float)
    Codec(tuple, list, tuple)
    >>> pairs_of(Codec(bytes, bytes.hex, bytes.fromhex)).encode((b"a", b"b"))
    ['61', '62']
    """
    if isinstance(python_type, Codec):
        return Codec(tuple, EachOf(python_type.encode, list), EachOf(python_type.decode, tuple))
    return Codec(tuple, list, tuple)


@dataclass(frozen=True, repr=False)
class EachOf:
    """A function on collections that applies another to each of their values.

    Args:
        function: the other function.
        made: the type of the collection that is returned.
    """

    function: Callable[[Any], Any]
    made: type

    def __call__(self, values: Any) -> Any:
        """Return the values of the function."""
        return self.made(map(self.function, values))

    def __repr__(self) -> str:
        return f"EachOf({_name(self.function)}, {_name(self.made)})"


def type_name(python_type: type | Codec) -> str:
    """Return the name of an attribute type's Python type, for messages."""
    return python_type.python_type.__name__ if isinstance(python_type, Codec) else python_type.__name__


def _name(thing: Any) -> str:
    """Return the dotted name under which something can be imported; its repr where it has none."""
    # A method written in C knows its class, but not the module.
    owner = getattr(thing, "__objclass__", None) or getattr(thing, "__self__", None)
    module = getattr(thing, "__module__", None) or getattr(owner, "__module__", None)
    name = getattr(thing, "__qualname__", None)
    if name is None:
        return repr(thing)
    return name if module in (None, "builtins") else f"{module}.{name}"
