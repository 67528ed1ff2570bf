"""Attribute values as integers that are equal where the values are.

Maps between instances compare, join and identify values by the million; on integers that is one numpy
operation for every Python type of attribute.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.codecs import Codec
from sim2real_cat.acsets.coercion import as_cells
from sim2real_cat.acsets.columns import DEFINED, UNDEFINED, Cells, Ids, Var, fill_of
from sim2real_cat.acsets.storage import Storage

Variables = Mapping[str, tuple[Any, ...]]
"""For each attribute type the image of each attribute variable: a value or a ``Var``."""


class Codes(NamedTuple):
    """The attributes of some instances of one schema as integers.

    Attributes:
        values: for each attribute type its distinct values; a value's code is its position. NaN equals NaN.
        columns: for each instance and attribute the codes of its parts; -1 where undefined, and
            ``len(values[attrtype]) + k`` for the variable ``Var(k)``.
        also: for each attribute type the codes of the further values and variables that were given.
    """

    values: dict[str, NDArray[Any]]
    columns: tuple[dict[str, Ids], ...]
    also: dict[str, Ids]

    def image(self, attrtype: str, code: int) -> Any:
        """Return the value or variable with a code."""
        known = self.values[attrtype]
        return known[code : code + 1].tolist()[0] if code < len(known) else Var(int(code) - len(known))


def codes(*instances: Storage, also: Variables | None = None) -> Codes:
    """Return the attributes of instances of one schema as integers that are equal where the values are.

    Args:
        instances: at least one.
        also: further values and variables that need a code, such as the images of variables.
    """
    schema = instances[0].schema
    columns: tuple[dict[str, Ids], ...] = tuple({} for _ in instances)
    values, extra = {}, {}
    for attrtype, python_type in schema.attrtypes.items():
        names = schema.attrs_into(attrtype)
        places = [(column, name) for column in columns for name in names]
        read = [x.cells(name) for x in instances for name in names]
        read.append(as_cells(list((also or {}).get(attrtype, ())), python_type))
        values[attrtype], coded = _joint_codes(read)
        for (column, name), found in zip(places, coded, strict=False):
            column[name] = found
        extra[attrtype] = coded[-1]
    return Codes(values, columns, extra)


def _joint_codes(read: list[Cells]) -> tuple[NDArray[Any], list[Ids]]:
    """Return the distinct values of some columns, and the columns as codes."""
    valued = [found.data[found.status == DEFINED] for found in read]
    values, inverse = _distinct(np.concatenate(valued))
    coded = []
    for found, codes_of_values in zip(
        read, np.split(inverse, np.cumsum([len(piece) for piece in valued])), strict=False
    ):
        column = np.where(found.status >= 0, found.status + len(values), UNDEFINED)
        column[found.status == DEFINED] = codes_of_values
        coded.append(column)
    return values, coded


def _distinct(values: NDArray[Any]) -> tuple[NDArray[Any], Ids]:
    """Return the distinct values and the position of each in them; objects go by their hash, as they have no order."""
    if values.dtype != object:
        distinct, inverse = np.unique(values, return_inverse=True)
        return distinct, inverse
    positions: dict[Any, int] = {}
    inverse = np.array([positions.setdefault(value, len(positions)) for value in values.tolist()], np.int64)
    return np.fromiter(positions, object, len(positions)), inverse


def decoded(codes_of_parts: Ids, values: NDArray[Any], python_type: type | Codec) -> Cells:
    """Return codes as cells: the inverse of :func:`codes` on one column."""
    valued = (codes_of_parts >= 0) & (codes_of_parts < len(values))
    data = np.full(len(codes_of_parts), fill_of(python_type), values.dtype)
    data[valued] = values[codes_of_parts[valued]]
    variables = np.where(codes_of_parts < 0, UNDEFINED, codes_of_parts - len(values))
    return Cells(data, np.where(valued, DEFINED, variables))
