"""Finding the parts of a relation by what some of their columns are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.columns import Ids
from sim2real_cat.acsets.query.ordering import LARGEST, sorted_by
from sim2real_cat.acsets.query.relations import Relation

LARGEST_TABLE = 2**23
"""A table of keys has no more entries than four times this, however many rows will search it."""


class Run(NamedTuple):
    """Where the parts that fit each row lie among the parts sorted by key: ``first[i]`` and how many."""

    first: Ids
    counts: Ids

    def piece(self, rows: slice) -> Run:
        """The same for some of the rows."""
        return Run(self.first[rows], self.counts[rows])


class Index:
    """The parts of a relation, sorted by some of its columns and then by id.

    Args:
        relation: what to search.
        variables: the columns to search by.
        domains: the number of values of each variable.
        rows: how often it may be searched: a table of all keys, which is faster than a search among the sorted
            ones, may have some entries for each row and each part.
    """

    def __init__(self, relation: Relation, variables: Sequence[int], domains: Mapping[int, int], rows: float) -> None:
        self.variables = tuple(variables)
        self._domains = [domains[variable] for variable in variables]
        self._ends: Ids | None = None
        if relation.ids is None and len(variables) == 1 and variables[0] in relation.homs:
            self._ends, self.ids = relation.homs[variables[0]].fibres(self._domains[0])
            return
        keys = self._keys({variable: relation.at(variable) for variable in variables})
        self.ids, keys = sorted_by(keys, relation.parts(), relation.size)
        domain = math.prod(self._domains)
        if domain <= 4 * (len(keys) + min(rows, LARGEST_TABLE)) + 1024:
            self._ends = np.zeros(domain + 1, np.int64)
            np.cumsum(np.bincount(keys, minlength=domain), out=self._ends[1:])
        else:
            self._sorted_keys = keys
            bits = min(len(keys).bit_length() + 4, 26)
            self._shift = np.uint64(64 - bits)
            self._filter = np.zeros(2**bits, np.bool_)
            self._filter[self._hashes(keys)] = True

    def _keys(self, values: Mapping[int, Ids]) -> Ids:
        """One integer for the values of all the columns; :func:`searchable` sees that it fits."""
        first, *others = self.variables
        keys = values[first]
        for variable, size in zip(others, self._domains[1:], strict=True):
            keys = keys * size + values[variable]
        return keys

    def find(self, values: Mapping[int, Ids]) -> Run:
        """Which parts fit each row, whose values are given for each of the index's variables."""
        keys = self._keys(values)
        if self._ends is not None:
            first = self._ends[keys]
            return Run(first, self._ends[keys + 1] - first)
        # Most keys that are not there are told apart by a hash, which is faster than to search for them.
        present = np.flatnonzero(self._filter[self._hashes(keys)])
        first, counts = np.zeros(len(keys), np.int64), np.zeros(len(keys), np.int64)
        first[present] = np.searchsorted(self._sorted_keys, keys[present], side="left")
        counts[present] = np.searchsorted(self._sorted_keys, keys[present], side="right") - first[present]
        return Run(first, counts)

    def _hashes(self, keys: Ids) -> NDArray[np.uint64]:
        """The upper bits of each key times 2**64 over the golden ratio (Knuth's multiplicative hashing)."""
        return keys.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15) >> self._shift


def searchable(variables: Sequence[int], domains: Mapping[int, int]) -> tuple[int, ...]:
    """As many of the variables as fit together into one key of 62 bits; at least the first."""
    chosen: list[int] = []
    size = 1
    for variable in variables:
        if not chosen or size * domains[variable] < LARGEST:
            chosen.append(variable)
            size *= max(domains[variable], 1)
    return tuple(chosen)
