"""What the comparisons of a query mean."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_ORDER = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}


def compare(left: Any, op: str, right: Any) -> NDArray[np.bool_]:
    """Elementwise comparison: NaN equals NaN, and nothing is less or greater than it."""
    if op not in ("==", "!="):
        return np.asarray(_ORDER[op](left, right), np.bool_)
    left, right = _array(left), _array(right)
    if not left.dtype.kind == right.dtype.kind == "f":
        return np.asarray(left == right if op == "==" else left != right, np.bool_)
    equal: NDArray[np.bool_] = (left == right) | (np.isnan(left) & np.isnan(right))
    return equal if op == "==" else ~equal


def _array(values: Any) -> NDArray[Any]:
    """An array as it is, a value as an array without dimensions, also where numpy would take it for a sequence."""
    if isinstance(values, np.ndarray) or not hasattr(values, "__len__"):
        return np.asarray(values)
    array = np.empty((), object)
    array[()] = values
    return array
