"""Coercion: turn what a caller hands over into what a column stores, and refuse everything that does not fit.

Problems are raised as :class:`MisfitError`, which knows the position and the value; the caller, who knows
the table and the column, makes the one line of it.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.codecs import Codec, type_name
from sim2real_cat.acsets.columns import DEFINED, UNDEFINED, Cells, Ids, Var, all_defined, dtype_of, fill_of
from sim2real_cat.errors import one_line

_INT64 = np.iinfo(np.int64)
_ARRAY_KINDS: dict[type | Codec, str] = {float: "fiu", int: "iu", bool: "b"}
_EXACT_TYPES: dict[type | Codec, set[type]] = {float: {float, int}, int: {int}, bool: {bool}, str: {str}}


class MisfitError(Exception):
    """A value that does not fit.

    Attributes:
        position: where it stands in what was handed over, or None where it is all of it.
        value: the value.
        problem: what is wrong: the end of a sentence that begins with the value, or all of it where
            there is no position.
    """

    def __init__(self, position: int | None, value: object, problem: str) -> None:
        super().__init__(position, value, problem)
        self.position, self.value, self.problem = position, value, problem

    def __str__(self) -> str:
        return self.problem if self.position is None else f"{brief(self.value)} {self.problem}"


def brief(value: object) -> str:
    """Return a value on one short line."""
    return one_line(reprlib.repr(value))


def is_scalar(value: object, python_type: type | Codec = int) -> bool:
    """Return whether a value stands for itself, and not for a column of values. A str is a scalar."""
    if isinstance(python_type, Codec) and isinstance(value, python_type.python_type):
        return True
    return value is None or isinstance(value, (str, bool, int, float, complex, bytes, Var, np.generic, dict))


def is_int(value: object) -> bool:
    """Return whether a value is a whole number; a bool is not."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def as_sequence(values: object, n: int, python_type: type | Codec = int) -> list[Any] | NDArray[Any]:
    """Return a column as a list or a one-dimensional array (possibly masked); a scalar is repeated ``n`` times.

    Where the column has a codec, one value of its type is a scalar too, even a tuple.
    """
    if is_scalar(values, python_type):
        return [values] * n
    array = values if isinstance(values, np.ndarray) else None
    if array is None and hasattr(values, "__array__"):
        array = np.asarray(values)
    if array is not None:
        if array.ndim != 1:
            raise MisfitError(None, array, f"an array of shape {array.shape} is not a column: it needs one dimension")
        return np.ma.filled(array.astype(object), None) if array.dtype.kind in "OUT" else array
    if isinstance(values, Iterable) and not isinstance(values, (set, frozenset)):
        return list(values)
    raise MisfitError(None, values, f"{brief(values)} is not a column: hand over a list or an array")


def as_targets(values: list[Any] | NDArray[Any]) -> Ids:
    """Return ids, shape (n,), with -1 where undefined: None in a list, -1 or the mask in an integer array.

    An array of int64 without a mask comes back as it is.
    """
    if isinstance(values, np.ndarray) and values.dtype != object:
        data, masked = _plain(values)
        if data.dtype.kind not in "iu" and data.size:
            raise MisfitError(None, values, f"an array of {data.dtype} is not one of integer ids")
        targets = _int64(data)
        return targets if masked is None else np.where(masked, UNDEFINED, targets)
    types = set(map(type, values))
    if types == {int}:
        ids = _exact(values, np.dtype(np.int64))
        if ids is not None and ids.min() >= 0:
            return ids
    elif not types <= {int, type(None)}:
        for position, value in enumerate(values):
            if not (value is None or is_int(value)):
                raise MisfitError(position, value, "is not an integer id")
    data, status = as_cells(values, int)
    negative = np.flatnonzero((data < 0) & (status == DEFINED))
    if len(negative):
        raise MisfitError(int(negative[0]), int(data[negative[0]]), "is negative, which no id is")
    return np.where(status == DEFINED, data, UNDEFINED)


def as_cells(values: list[Any] | NDArray[Any], python_type: type | Codec) -> Cells:
    """Return values of an attribute: None or the mask is undefined, ``Var(k)`` is a variable, NaN is a value.

    The data of an array that has the column's dtype and no mask is that array.
    """
    fill, dtype = fill_of(python_type), dtype_of(python_type)
    if isinstance(values, np.ndarray) and values.dtype != object:
        data, masked = _plain(values)
        if data.dtype.kind not in _ARRAY_KINDS.get(python_type, "") and data.size:
            raise MisfitError(None, values, f"an array of {data.dtype} is not {_called(python_type)} column")
        data = _int64(data) if python_type is int else data.astype(dtype, copy=False)
        if masked is None:
            return Cells(data, all_defined(len(data)))
        return Cells(np.where(masked, fill, data).astype(dtype, copy=False), np.where(masked, UNDEFINED, DEFINED))
    status = np.full(len(values), DEFINED, np.int64)
    if set(map(type, values)) <= _EXACT_TYPES.get(python_type, set()):
        exact = _exact(values, dtype)
        if exact is not None:
            return Cells(exact, all_defined(len(exact)))
    else:
        accepts = _accepts(python_type)
        for position, value in enumerate(values):
            if value is None:
                status[position] = UNDEFINED
            elif isinstance(value, Var):
                if not is_int(value.k) or value.k < 0:
                    raise MisfitError(position, value, "is no attribute variable: they are Var(0), Var(1), ...")
                status[position] = value.k
            elif not accepts(value):
                raise MisfitError(position, value, f"is not {_called(python_type)}")
    defined = np.flatnonzero(status == DEFINED)
    data = np.full(len(values), fill, dtype)
    stored: Callable[[Any], Any] = (lambda value: value) if isinstance(python_type, Codec) else python_type
    try:
        data[defined] = np.fromiter((stored(values[position]) for position in defined.tolist()), dtype, len(defined))
    except OverflowError:
        position = next(int(p) for p in defined if not _fits(values[p], stored, dtype))
        raise MisfitError(position, values[position], "does not fit into 64 bits") from None
    return Cells(data, status)


def as_ids(ids: object, size: int) -> Ids:
    """Return ids of existing parts, shape (n,), from one id or a sequence of them."""
    if type(ids) is int and 0 <= ids < size:
        return np.array([ids])
    try:
        array = as_targets(as_sequence(ids, 1))
    except MisfitError as misfit:
        remedy = (
            ": numpy.flatnonzero turns a mask into ids"
            if getattr(getattr(ids, "dtype", None), "kind", "") == "b"
            else ""
        )
        raise MisfitError(misfit.position, misfit.value, misfit.problem + remedy) from None
    check_range(array, size, undefined_allowed=False)
    return array


def check_range(targets: Ids, size: int, *, undefined_allowed: bool) -> None:
    """Refuse ids that are not in 0..size-1 (or -1 where undefined is allowed)."""
    low = UNDEFINED if undefined_allowed else 0
    if len(targets) and (targets.min() < low or targets.max() >= size):
        position = int(np.flatnonzero((targets < low) | (targets >= size))[0])
        problem = "is undefined" if targets[position] == UNDEFINED else "does not exist"
        raise MisfitError(position, int(targets[position]), problem)


def check_distinct(ids: Ids) -> None:
    """Refuse ids of which one occurs twice."""
    ordered = np.sort(ids)
    repeated = np.flatnonzero(ordered[1:] == ordered[:-1])
    if len(repeated):
        value = ordered[repeated[0]]
        raise MisfitError(int(np.flatnonzero(ids == value)[1]), int(value), "is given twice: give each id once")


def allowed_ids(ob: str, size: int) -> str:
    """Return the ids that an object has, for messages."""
    return f"{ob} has ids 0..{size - 1}" if size else f"{ob} has no parts"


def _plain(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Return an array without its mask, and the mask."""
    if not isinstance(values, np.ma.MaskedArray):
        return values, None
    return np.ma.getdata(values), np.ma.getmaskarray(values)


def _exact(values: list[Any] | NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """Return values of the Python type that a dtype stands for as an array; None where one needs more than 64 bits."""
    try:
        return np.array(values, dtype)
    except OverflowError:
        return None


def _int64(data: NDArray[Any]) -> Ids:
    if data.dtype.kind == "u":
        large = np.flatnonzero(data > _INT64.max)
        if len(large):
            raise MisfitError(int(large[0]), data[large[0]], "does not fit into 64 bits")
    return data.astype(np.int64, copy=False)


def _called(python_type: type | Codec) -> str:
    """Return the name of an attribute type's Python type with its article."""
    return f"{'an' if python_type is int else 'a'} {type_name(python_type)}"


def _accepts(python_type: type | Codec) -> Callable[[object], bool]:
    if isinstance(python_type, Codec):
        return python_type.accepts
    if python_type is int:
        return is_int
    if python_type is float:
        return lambda value: is_int(value) or isinstance(value, (float, np.floating))
    kinds = (bool, np.bool_) if python_type is bool else (str,)
    return lambda value: isinstance(value, kinds)


def _fits(value: Any, stored: Callable[[Any], Any], dtype: np.dtype[Any]) -> bool:
    try:
        np.asarray(stored(value), dtype)
    except OverflowError:
        return False
    return True
