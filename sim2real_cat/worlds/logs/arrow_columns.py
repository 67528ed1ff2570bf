"""Columns of Arrow tables as numpy arrays."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa

from sim2real_cat.worlds.logs.tables import Column


def columns_of(table: pa.Table) -> dict[str, Column]:
    """Every column as (rows,) or, where it holds lists of one length, (rows, k).

    Whole numbers stay whole where none is missing, so that timestamps in nanoseconds keep all their digits; missing
    numbers are NaN, missing texts None. Columns of other types (images, lists of different lengths) are left out.
    """
    found = {}
    for name in table.column_names:
        column = table[name].combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
        values = _values(column)
        if values is not None:
            found[name] = values
    return found


def _values(column: pa.Array) -> Column | None:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    if pa.types.is_boolean(kind):
        return _values(column.cast(pa.int8()))
    if pa.types.is_decimal(kind):
        return _values(column.cast(pa.float64()))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return np.asarray(column.to_numpy(zero_copy_only=False))
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return np.asarray(column.cast(pa.timestamp("ns")).to_numpy(zero_copy_only=False))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return np.array(column.to_pylist(), dtype=object)
    if pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _vectors(column)
    return None


def _vectors(column: pa.Array) -> Column | None:
    """Lists as a matrix, NaN where one is missing; None where they differ in length."""
    valid = np.asarray(column.is_valid().to_numpy(zero_copy_only=False))
    flat = column.drop_null().flatten() if not valid.all() else column.flatten()
    inner = _values(flat)
    rows = int(valid.sum())
    if inner is None or inner.dtype.kind not in "fiu" or (rows and len(inner) % rows):
        return None
    fixed = pa.types.is_fixed_size_list(column.type)
    width = len(inner) // rows if rows else column.type.list_size if fixed else 0
    if not fixed:
        lengths = column.drop_null().value_lengths().to_numpy(zero_copy_only=False)
        if rows and (lengths != width).any():
            return None
    inner = inner.reshape(rows, width * math.prod(inner.shape[1:]))
    if valid.all():
        return inner
    matrix = np.full((len(column), inner.shape[1]), np.nan)
    matrix[valid] = inner
    return matrix
