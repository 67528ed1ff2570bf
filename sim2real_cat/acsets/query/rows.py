"""Blocks of rows: the answers on their way through a join."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.columns import Ids
from sim2real_cat.acsets.query.ordering import row_keys
from sim2real_cat.acsets.query.relations import Mask
from sim2real_cat.errors import InstanceError


@dataclass(frozen=True)
class Rows:
    """A block of rows.

    Attributes:
        n: how many rows.
        values: for each variable its value in each row.
        weights: how many answers each row stands for, int64 or, beyond 62 bits, Python integers; None for one.
    """

    n: int
    values: dict[int, Ids]
    weights: NDArray[Any] | None

    def take(self, rows: Ids | slice, n: int) -> Rows:
        """The ``n`` rows that were chosen."""
        weights = None if self.weights is None else self.weights[rows]
        return Rows(n, {variable: column[rows] for variable, column in self.values.items()}, weights)

    def only(self, mask: Mask) -> Rows:
        """The rows where the mask is true."""
        n = int(np.count_nonzero(mask))
        return self if n == self.n else self.take(np.flatnonzero(mask), n)


def concatenated(blocks: Sequence[Rows], variables: Iterable[int]) -> Rows:
    """The columns of some variables from blocks that follow each other."""
    if len(blocks) == 1:
        return blocks[0]
    none = [np.zeros(0, np.int64)]
    columns = {v: np.concatenate([block.values[v] for block in blocks] or none) for v in variables}
    weights = [block.weights for block in blocks if block.weights is not None]
    return Rows(sum(block.n for block in blocks), columns, np.concatenate(weights) if weights else None)


def unique(rows: Rows, domains: Mapping[int, int]) -> Rows:
    """The rows without repetitions."""
    keys = row_keys(list(rows.values.values()), [domains[variable] for variable in rows.values], rows.n)
    _, first = np.unique(keys, return_index=True)
    return rows.take(first, len(first))


def too_many(limit: int) -> InstanceError:
    """The error for an answer that is too large."""
    return InstanceError(
        f"the answer has more than {limit:,} rows: ask for less, raise limit=, or count the answers instead"
    )


def grouped(rows: Rows, domains: Mapping[int, int]) -> Rows:
    """One row, with the sum of the weights, for rows that agree; or the rows, where few can."""
    sizes = [domains[variable] for variable in rows.values]
    domain = math.prod(sizes)
    if rows.n < 2 or domain > 2 * rows.n:
        return rows
    keys = np.ravel_multi_index(tuple(rows.values.values()), sizes) if sizes else np.zeros(rows.n, np.int64)
    present = np.flatnonzero(np.bincount(keys, minlength=domain))
    columns = np.unravel_index(present, sizes) if sizes else ()
    return Rows(
        len(present),
        dict(zip(rows.values, columns, strict=True)),
        None if rows.weights is None else _sums(keys, rows.weights, domain)[present],
    )


def times(weights: NDArray[Any], counts: Ids) -> NDArray[Any]:
    """The products, as Python integers where they do not fit into 62 bits."""
    if weights.dtype != object and len(weights) and float(weights.max()) * float(counts.max()) >= 2.0**62:
        weights = weights.astype(object)
    return weights * counts


def _sums(keys: Ids, weights: NDArray[Any], domain: int) -> NDArray[Any]:
    """For each key the exact sum of its weights."""
    if weights.dtype != object and float(weights.max()) * len(weights) < 2.0**53:  # bincount adds floats
        return np.bincount(keys, weights, minlength=domain).astype(np.int64)
    sums = np.zeros(domain, object)
    np.add.at(sums, keys, weights.astype(object))
    return sums


def total(weights: NDArray[Any]) -> int:
    """The exact sum."""
    if weights.dtype != object and float(weights.max(initial=0)) * len(weights) < 2.0**62:
        return int(weights.sum())
    return sum(weights.tolist())
