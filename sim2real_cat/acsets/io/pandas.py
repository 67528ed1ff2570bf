"""Instances as pandas data frames, with the columns of :mod:`sim2real_cat.acsets.io.arrow`.

The ids are the index, named ``_id``. Columns have the nullable dtypes Int64, Float64, boolean and string,
where NA is undefined and NaN is a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from sim2real_cat.acsets.coercion import brief
from sim2real_cat.acsets.io.arrow import arrow_table, from_arrow
from sim2real_cat.acsets.storage import Storage
from sim2real_cat.errors import EngineError, ExchangeError, SchemaError, one_line, unknown_name

if TYPE_CHECKING:
    import pandas

S = TypeVar("S", bound=Storage)


def to_pandas(instance: Storage, table: str) -> pandas.DataFrame:
    """Return the data frame of an object; or of an attribute type, with its variables as index and no columns.

    Raises:
        SchemaError: for an unknown object or attribute type.
        EngineError: where pandas is not installed.
        ExchangeError: as :func:`sim2real_cat.acsets.io.arrow.to_arrow`.
    """
    pd = _pandas()
    import pyarrow as pa

    valid = (*instance.schema.obs, *instance.schema.attrtypes)
    if table not in valid:
        raise SchemaError(unknown_name("table", str(table), valid))
    dtypes = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype(), pa.string(): pd.StringDtype()}
    arrays = arrow_table(instance, table)
    columns = {}
    for name in arrays.column_names[1:]:
        column = arrays.column(name)
        if column.type == pa.float64():  # pandas' own conversion would make NA of NaN
            columns[name] = pd.arrays.FloatingArray(column.fill_null(0.0).to_numpy(), column.is_null().to_numpy())
        else:
            columns[name] = dtypes[column.type].__from_arrow__(column)
    return pd.DataFrame(columns, index=pd.Index(arrays.column("_id").to_numpy(), name="_id"))


def to_frames(instance: Storage) -> dict[str, pandas.DataFrame]:
    """Return the data frames of all objects and attribute types, in schema order, as :func:`from_pandas` reads them.

    Raises:
        EngineError: where pandas is not installed.
        ExchangeError: as :func:`sim2real_cat.acsets.io.arrow.to_arrow`.
    """
    return {name: to_pandas(instance, name) for name in (*instance.schema.obs, *instance.schema.attrtypes)}


def from_pandas(frames: Mapping[str, pandas.DataFrame], into: S, source: str) -> S:
    """Read data frames, one for each object, into an empty instance of their schema, which is returned.

    The index holds the ids 0..n-1 in any order. What pandas calls missing is undefined, so NaN is undefined
    in a column of numpy's floats and a value in one of the nullable dtype Float64. An attribute type
    without variables may be left out.

    Raises:
        EngineError: where pandas is not installed.
        ExchangeError: as :func:`sim2real_cat.acsets.io.arrow.from_arrow`.
    """
    _pandas()
    return from_arrow({name: _table(frame, f"{source}: {name}") for name, frame in frames.items()}, into, source)


def _table(frame: pandas.DataFrame, place: str) -> Any:
    import pyarrow as pa

    if not isinstance(frame, _pandas().DataFrame):
        raise ExchangeError(f"{place} must be a pandas.DataFrame, not {brief(frame)}")
    names, arrays = ["_id"], [_array(frame.index, f"{place}: the index")]
    for position, name in enumerate(frame.columns):
        names.append(str(name))
        arrays.append(_array(frame.iloc[:, position], f"{place}: column '{name}'"))
    return pa.table(arrays, names)


def _array(values: Any, place: str) -> Any:
    import pyarrow as pa

    try:
        return pa.array(values)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        reason = one_line(error)
        raise ExchangeError(f"{place} holds values of several types ({reason}): give it one dtype") from None


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise EngineError("pandas is not installed, and data frames need it: pip install pandas") from None
    return pandas
