"""Instances as a folder: one Parquet file for each table of :mod:`sim2real_cat.acsets.io.arrow`, and the schema."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.io.arrow import from_arrow, to_arrow
from sim2real_cat.acsets.io.json import parse
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import ExchangeError, one_line
from sim2real_cat.files import replacing, write_text

SCHEMA_FILE = "schema.json"


def to_parquet(instance: ACSet, folder: str | os.PathLike[str]) -> None:
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


def from_parquet(schema: Schema, folder: str | os.PathLike[str]) -> ACSet:
    """Read an instance of a schema from a folder that :func:`to_parquet` wrote.

    Args:
        schema: the schema of the instance, with the Python types that ``schema.json`` does not hold.
        folder: the folder.

    Raises:
        ExchangeError: for a file that is missing, cut short, damaged or not a table of the schema, or an
            instance of another schema.
    """
    folder = Path(folder)
    described = folder / SCHEMA_FILE
    try:
        text = described.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise ExchangeError(f"{described}: cannot be read ({reason}): write the instance again") from None
    if parse(text, str(described)) != json.loads(schema.to_json()):
        raise ExchangeError(f"{described}: another schema than {schema.name}: read it with the one it was written with")
    tables = {ob: _read(_file(folder, ob)) for ob in schema.obs}
    tables |= {kind: _read(_file(folder, kind)) for kind in schema.attrtypes if _file(folder, kind).exists()}
    return from_arrow(schema, tables, str(folder))


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
