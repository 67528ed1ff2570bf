"""Parquet files as Arrow tables."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sim2real_cat.errors import ExchangeError


def read_parquet(path: Path, wanted: Collection[str] | None = None) -> pa.Table:
    """A Parquet file, or those of its columns that are wanted, without the schema's own metadata.

    Raises:
        ExchangeError: it is cut short or no Parquet.
    """
    try:
        # one file: nothing in its folder's name is a column
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            names = file.schema_arrow.names
            columns = None if wanted is None else [name for name in names if name in wanted]
            table: pa.Table = file.read(columns)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ExchangeError(f"{path}: not a whole Parquet file ({reason}); write or copy it again") from None
    return table.replace_schema_metadata(None)
