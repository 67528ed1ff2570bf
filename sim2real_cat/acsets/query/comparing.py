"""What the comparisons of a query mean."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_ORDER = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}


def compare(left: Any, op: str, right: Any) -> NDArray[np.bool_]:
    """Elementwise comparison: NaN equals NaN, and nothing is less or greater than it."""
    if op in ("==", "!="):
        equal = np.asarray(_one(left) == _one(right), np.bool_)
        equal = np.logical_or(equal, np.logical_and(_is_nan(left), _is_nan(right)))
        result: NDArray[np.bool_] = equal if op == "==" else np.logical_not(equal)
        return result
    return np.asarray(_ORDER[op](left, right), np.bool_)


def _one(values: Any) -> NDArray[Any]:
    """An array as it is, a value as an array without dimensions, also where numpy would take it for a sequence."""
    if isinstance(values, np.ndarray) or not hasattr(values, "__len__"):
        return np.asarray(values)
    array = np.empty((), object)
    array[()] = values
    return array


def _is_nan(values: Any) -> Any:
    return np.isnan(values) if np.asarray(values).dtype.kind == "f" else np.False_
