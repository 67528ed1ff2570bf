"""Columns in which no defined value may occur twice."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from sim2real_cat.acsets.columns import DEFINED, UNDEFINED, AttrColumn, Cells, HomColumn, Ids


class UniqueOwners:
    """Which part owns each value of a column where no defined value may occur twice.

    Kept beside the column, because the sorted index would be rebuilt at every single insertion.
    """

    def __init__(self) -> None:
        self._owner: dict[object, int] = {}

    def clash(self, ids: Iterable[int], keys: Iterable[object]) -> tuple[int, int, object] | None:
        """The first two parts that would share a value if each of ``ids`` took its key, with the value."""
        ids = list(ids)
        moving = set(ids)
        taken: dict[object, int] = {}
        for part, key in zip(ids, keys, strict=True):
            if key is None:
                continue
            owner = self._owner.get(key)
            if owner is not None and owner not in moving:
                return owner, part, key
            if key in taken:
                return taken[key], part, key
            taken[key] = part
        return None

    def move(self, ids: Iterable[int], old: Iterable[object], new: Iterable[object]) -> None:
        """The parts give up their old keys and take new ones; None is no key."""
        for key in old:
            self._owner.pop(key, None)
        self._owner.update((key, part) for part, key in zip(ids, new, strict=True) if key is not None)

    def copy(self) -> UniqueOwners:
        """An independent copy."""
        twin = UniqueOwners()
        twin._owner = dict(self._owner)
        return twin


def keys_at(column: HomColumn | AttrColumn, ids: Ids) -> list[object]:
    """What a column holds at some ids, as keys of :class:`UniqueOwners`."""
    return keys_of(column.take(ids))


def keys_of(values: Ids | Cells) -> list[object]:
    """Values of a hom or an attribute as keys; variables have none, as they are not known to differ or agree."""
    if not isinstance(values, Cells):
        return [None if target == UNDEFINED else target for target in values.tolist()]
    # One NaN object stands for all, because a dictionary finds NaN only by identity.
    return [
        None if status != DEFINED else np.nan if value != value else value
        for value, status in zip(values.data.tolist(), values.status.tolist(), strict=True)
    ]
