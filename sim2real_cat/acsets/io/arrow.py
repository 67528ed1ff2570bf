"""Instances as Arrow tables, as a folder of Parquet files, and as pandas data frames.

There is a table for each object, and one for each attribute type that has variables.

The table of an object has

- ``_id``, int64: the ids 0..n-1. rows are written in this order and may be read in any;
- each hom under its name, int64: null where undefined;
- each attribute under its name, as float64, int64, string or bool: null where there is no value. NaN is a
  value, not a null. A type with a codec is a string that holds the value's JSON;
- ``<attribute>._var``, int64, beside an attribute that holds a variable anywhere: the number k of
  ``Var(k)``, null elsewhere. No name of a schema has a dot in it, so it never collides.

The table of an attribute type holds the ids of its variables in ``_id`` and nothing else.

A data frame has the same columns in the nullable dtypes Int64, Float64, boolean and string, where NA is undefined and
NaN is a value. The ids are its index, named ``_id``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.codecs import Codec, type_name
from sim2real_cat.acsets.coercion import brief
from sim2real_cat.acsets.columns import DEFINED, UNDEFINED, Cells, Ids, dtype_of, fill_of
from sim2real_cat.acsets.io.strict_json import parse_json
from sim2real_cat.acsets.schema import AttrPythonType, Schema
from sim2real_cat.acsets.storage import PartRows, Storage, masked
from sim2real_cat.errors import EngineError, ExchangeError, SchemaError, one_line, unknown_name
from sim2real_cat.files import replacing, write_text

if TYPE_CHECKING:
    import pandas
    import pyarrow

S = TypeVar("S", bound=Storage)

SCHEMA_FILE = "schema.json"
"""The file that describes the schema, beside the Parquet files."""

VARIABLE = "._var"
"""The ending of the name of a column of variables, after the name of the attribute."""


def to_arrow(instance: Storage) -> dict[str, pyarrow.Table]:
    """Return the tables of an instance, in schema order.

    Raises:
        ExchangeError: for a text that is not Unicode, or a value that its codec cannot write.
    """
    schema = instance.schema
    kinds = (kind for kind in schema.attrtypes if instance.nvars(kind))
    return {name: _arrow_table(instance, name) for name in (*schema.obs, *kinds)}


def _arrow_table(instance: Storage, name: str) -> pyarrow.Table:
    """Return the table of one object, or of the variables of one attribute type."""
    import pyarrow as pa

    schema = instance.schema
    size = instance.nparts(name) if name in schema.obs else instance.nvars(name)
    arrays: dict[str, Any] = {"_id": pa.array(np.arange(size), pa.int64())}
    for hom in schema.homs_from(name):
        targets = instance.column_ids(hom)
        arrays[hom] = pa.array(targets, pa.int64(), mask=targets == UNDEFINED)
    for attribute in schema.attrs_from(name):
        arrays[attribute] = _attribute(instance, attribute)
        variables = instance.variables(attribute)
        if np.any(variables != UNDEFINED):
            arrays[attribute + VARIABLE] = pa.array(variables, pa.int64(), mask=variables == UNDEFINED)
    return pa.table(arrays)


def _attribute(instance: Storage, name: str) -> Any:
    import pyarrow as pa

    ob, kind = instance.schema.attrs[name]
    python_type = instance.schema.attrtypes[kind]
    column = masked(instance.cells(name))
    data, mask = np.ma.getdata(column), np.ma.getmaskarray(column)
    if isinstance(python_type, Codec):
        texts = np.full(len(data), "", object)
        for i in np.flatnonzero(~mask).tolist():
            try:
                texts[i] = json.dumps(python_type.to_json(data[i]), separators=(",", ":"))
            except ValueError as error:
                raise ExchangeError(
                    f"cannot write '{name}' of {ob} {i}: {brief(data[i])} {error}: mend the codec of {kind}"
                ) from None
        data = texts
    try:
        return pa.array(data, _arrow_type(python_type), mask=mask)
    except UnicodeEncodeError:
        i = next(i for i, text in enumerate(data.tolist()) if not _is_unicode(text))
        raise ExchangeError(
            f"cannot write '{name}' of {ob} {i}: {brief(data[i])} has half a character (a lone surrogate): mend it"
        ) from None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _arrow_type(python_type: AttrPythonType) -> Any:
    import pyarrow as pa

    plain: dict[object, Any] = {float: pa.float64(), int: pa.int64(), bool: pa.bool_()}
    return plain.get(python_type, pa.string())


def from_arrow(tables: Mapping[str, pyarrow.Table], into: S, source: str) -> S:
    """Read Arrow tables into an empty instance of their schema; the inverse of :func:`to_arrow`.

    Narrower integers and floats, texts in any of Arrow's layouts and columns of nothing but nulls are read
    too. Only the table of an attribute type without variables may be left out, and a column of variables.

    Args:
        tables: a table for each object.
        into: the empty instance, which is returned.
        source: what to call the tables in messages.

    Raises:
        ExchangeError: one line with the source, the table, the column, the row and what to do.
    """
    schema = into.schema
    for name in tables:
        if name not in (*schema.obs, *schema.attrtypes):
            raise ExchangeError(f"{source}: {unknown_name('table', str(name), (*schema.obs, *schema.attrtypes))}")
    for ob in schema.obs:
        if ob not in tables:
            raise ExchangeError(f"{source}: table {ob} is missing: give one without rows where it has no parts")
    readers = {name: _SortedTable(schema, name, table, f"{source}: {name}") for name, table in tables.items()}
    sizes = {name: len(reader.order) for name, reader in readers.items()}
    for kind in schema.attrtypes:
        into.add_vars(kind, sizes.get(kind, 0))
    for ob in schema.obs:
        rows = PartRows({}, {})
        for name in schema.homs_from(ob):
            codom = schema.homs[name][1]
            rows.homs[name] = readers[ob].ids(name, codom, sizes[codom])
        for name in schema.attrs_from(ob):
            kind = schema.attrs[name][1]
            rows.attrs[name] = readers[ob].cells(name, kind, schema.attrtypes[kind], into.nvars(kind))
        into.append_rows(ob, sizes[ob], rows)
    return into


class _SortedTable:
    """One table with its columns in the order of its ids.

    Attributes:
        order: the row of each id.
    """

    order: Ids

    def __init__(self, schema: Schema, name: str, table: pyarrow.Table, place: str) -> None:
        import pyarrow as pa

        self._table, self._place = table, place
        if not isinstance(table, pa.Table):
            raise ExchangeError(f"{place} must be a pyarrow.Table, not {brief(table)}")
        homs, attrs = schema.homs_from(name), schema.attrs_from(name)
        valid = ("_id", *homs, *(column for attr in attrs for column in (attr, attr + VARIABLE)))
        for column in table.column_names:
            if column not in valid:
                raise ExchangeError(f"{place}: {unknown_name('column', column, valid)}")
            if table.column_names.count(column) > 1:
                raise ExchangeError(f"{place}: column '{column}' occurs twice: keep one of them")
        for column in ("_id", *homs, *attrs):
            if column not in table.column_names:
                raise ExchangeError(f"{place}: column '{column}' is missing: nulls say that it is undefined")
        ids, mask = self._integers("_id")
        wrong = np.flatnonzero(mask | (ids < 0) | (ids >= len(ids)))
        if len(wrong):
            found = "null" if mask[wrong[0]] else ids[wrong[0]]
            raise ExchangeError(f"{place}: row {wrong[0]} has _id {found}: {len(ids)} rows have 0..{len(ids) - 1}")
        twice = np.flatnonzero(np.bincount(ids, minlength=len(ids)) > 1)
        if len(twice):
            raise ExchangeError(f"{place}: _id {twice[0]} occurs twice: {len(ids)} rows have 0..{len(ids) - 1}, once")
        self.order = np.argsort(ids)

    def ids(self, name: str, codom: str, size: int) -> Ids:
        """Return a column of ids below ``size``, -1 where null."""
        values, mask = self._ordered(self._integers(name))
        outside = np.flatnonzero(~mask & ((values < 0) | (values >= size)))
        if len(outside):
            i = outside[0]
            raise ExchangeError(
                f"{self._place} row _id={i}: '{name}' points to {codom} {values[i]}, but there are {size} "
                f"{codom} parts, counted from 0: add it, or write null if undefined"
            )
        return np.where(mask, UNDEFINED, values)

    def cells(self, name: str, kind: str, python_type: AttrPythonType, nvars: int) -> Cells:
        """Return the column of an attribute, with its variables."""
        values, mask = self._ordered(self._integers(name) if python_type is int else self._values(name, python_type))
        data = values.astype(dtype_of(python_type))
        data[mask] = fill_of(python_type)
        if isinstance(python_type, Codec):
            for i in np.flatnonzero(~mask).tolist():
                data[i] = self._decoded(name, i, values[i], python_type)
        status = np.where(mask, UNDEFINED, DEFINED)
        if name + VARIABLE in self._table.column_names:
            variables = self.ids(name + VARIABLE, f"variable of {kind}", nvars)
            both = np.flatnonzero((variables != UNDEFINED) & ~mask)
            if len(both):
                raise ExchangeError(
                    f"{self._place} row _id={both[0]}: '{name}' has a value and a variable: keep one of them"
                )
            status = np.where(variables != UNDEFINED, variables, status)
        return Cells(data, status)

    def _decoded(self, name: str, i: int, text: str, codec: Codec) -> Any:
        try:
            return codec.from_json(json.loads(text))
        except (ValueError, RecursionError) as error:
            reason = one_line(error)
            raise ExchangeError(
                f"{self._place} row _id={i}: '{name}' is {brief(text)}, which is not the JSON of a "
                f"{type_name(codec)} ({reason}): write it with the same codec"
            ) from None

    def _ordered(self, column: tuple[NDArray[Any], NDArray[np.bool_]]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        values, mask = column
        return values[self.order], mask[self.order]

    def _integers(self, name: str) -> tuple[Ids, NDArray[np.bool_]]:
        """Return a column of integers and where it is null."""
        import pyarrow as pa

        column = self._table.column(name)
        if not (pa.types.is_integer(column.type) or pa.types.is_null(column.type)):
            raise ExchangeError(f"{self._place}: column '{name}' is {column.type}: it must be one of integers")
        try:
            column = column.cast(pa.int64())
        except pa.ArrowInvalid:
            raise ExchangeError(f"{self._place}: column '{name}' has a number that does not fit into 64 bits") from None
        return column.fill_null(0).to_numpy(), column.is_null().to_numpy()

    def _values(self, name: str, python_type: AttrPythonType) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Return a column of floats, bools or texts and where it is null."""
        import pyarrow as pa

        column = self._table.column(name)
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
        is_number = pa.types.is_floating(kind) or pa.types.is_integer(kind)
        fits: dict[object, bool] = {float: is_number, bool: pa.types.is_boolean(kind)}
        if not (fits.get(python_type, is_text) or pa.types.is_null(kind)):
            raise ExchangeError(
                f"{self._place}: column '{name}' is {column.type}: it must be {_arrow_type(python_type)}"
            )
        column = column.cast(_arrow_type(python_type), safe=False)
        fills: dict[object, object] = {float: 0.0, bool: False}
        try:
            return column.fill_null(fills.get(python_type, "")).to_numpy(), column.is_null().to_numpy()
        except (pa.ArrowException, UnicodeDecodeError):
            problem = "has a text that is not UTF-8: write it again"
            raise ExchangeError(f"{self._place}: column '{name}' {problem}") from None


# Folders of Parquet files


def to_parquet(instance: Storage, folder: str | os.PathLike[str]) -> None:
    """Write an instance into a folder: ``<object>.parquet`` for each object, and ``schema.json``.

    An attribute type with variables has a file too. Each file is written whole or not at all; the schema
    is removed first and written last, so a folder whose writing was interrupted has none and is not
    read. The same instance gives the same bytes.

    Raises:
        ExchangeError: for a value that cannot be written, before the folder is touched; or where the
            folder cannot be written.
    """
    import pyarrow.parquet as pq

    tables = to_arrow(instance)
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SCHEMA_FILE).unlink(missing_ok=True)
        for kind in instance.schema.attrtypes:
            if kind not in tables:
                _file(folder, kind).unlink(missing_ok=True)
        for name, table in tables.items():
            with replacing(_file(folder, name)) as temporary:
                pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
        write_text(folder / SCHEMA_FILE, instance.schema.to_json())
    except OSError as error:
        raise ExchangeError(f"{folder}: cannot be written ({error.strerror or error}): choose another folder") from None


def from_parquet(folder: str | os.PathLike[str], into: S) -> S:
    """Read a folder that :func:`to_parquet` wrote into an empty instance of its schema.

    Args:
        folder: the folder.
        into: the empty instance, which is returned; its schema has the Python types that ``schema.json`` does not.

    Raises:
        ExchangeError: for a file that is missing, cut short, damaged or not a table of the schema, or an
            instance of another schema.
    """
    schema, folder = into.schema, Path(folder)
    described = folder / SCHEMA_FILE
    try:
        text = described.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise ExchangeError(f"{described}: cannot be read ({reason}): write the instance again") from None
    if parse_json(text, str(described)) != json.loads(schema.to_json()):
        raise ExchangeError(f"{described}: another schema than {schema.name}: read it with the one it was written with")
    tables = {ob: _read(_file(folder, ob)) for ob in schema.obs}
    tables |= {kind: _read(_file(folder, kind)) for kind in schema.attrtypes if _file(folder, kind).exists()}
    return from_arrow(tables, into, str(folder))


def _file(folder: Path, table: str) -> Path:
    return folder / f"{table}.parquet"


def _read(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.exists():
        raise ExchangeError(f"{path}: the file is missing: write the instance again")
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return file.read()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = one_line(error)
        raise ExchangeError(f"{path}: not a whole Parquet file ({reason}): write the instance again") from None


# Data frames of pandas


def to_pandas(instance: Storage, table: str) -> pandas.DataFrame:
    """Return the data frame of an object; or of an attribute type, with its variables as index and no columns.

    Raises:
        SchemaError: for an unknown object or attribute type.
        EngineError: where pandas is not installed.
        ExchangeError: as :func:`to_arrow`.
    """
    pd = _pandas()
    import pyarrow as pa

    valid = (*instance.schema.obs, *instance.schema.attrtypes)
    if table not in valid:
        raise SchemaError(unknown_name("table", str(table), valid))
    dtypes = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype(), pa.string(): pd.StringDtype()}
    arrays = _arrow_table(instance, table)
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
        ExchangeError: as :func:`to_arrow`.
    """
    return {name: to_pandas(instance, name) for name in (*instance.schema.obs, *instance.schema.attrtypes)}


def from_pandas(frames: Mapping[str, pandas.DataFrame], into: S, source: str) -> S:
    """Read data frames, one for each object, into an empty instance of their schema, which is returned.

    The index holds the ids 0..n-1 in any order. What pandas calls missing is undefined, so NaN is undefined
    in a column of numpy's floats and a value in one of the nullable dtype Float64. An attribute type
    without variables may be left out.

    Raises:
        EngineError: where pandas is not installed.
        ExchangeError: as :func:`from_arrow`.
    """
    _pandas()
    return from_arrow({name: _table_of(frame, f"{source}: {name}") for name, frame in frames.items()}, into, source)


def _table_of(frame: pandas.DataFrame, place: str) -> Any:
    import pyarrow as pa

    if not isinstance(frame, _pandas().DataFrame):
        raise ExchangeError(f"{place} must be a pandas.DataFrame, not {brief(frame)}")
    names, arrays = ["_id"], [_column_of(frame.index, f"{place}: the index")]
    for position, name in enumerate(frame.columns):
        names.append(str(name))
        arrays.append(_column_of(frame.iloc[:, position], f"{place}: column '{name}'"))
    return pa.table(arrays, names)


def _column_of(values: Any, place: str) -> Any:
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
