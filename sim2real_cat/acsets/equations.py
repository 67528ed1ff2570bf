"""The equations of a schema as laws of an instance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.coercion import brief
from sim2real_cat.acsets.columns import Cells, Ids
from sim2real_cat.acsets.schema import Path
from sim2real_cat.acsets.storage import Storage, masked

_SHOWN = 3


@dataclass(frozen=True, eq=False)
class EquationViolation:
    """An equation and the parts at which its two sides differ.

    Attributes:
        equation: the text ``left = right``, an identity written as ``id``.
        ob: the object in which both sides start.
        ids: the parts at which they differ, sorted, shape (n,).
        left: the values of the left side there, shape (n,): ids in a masked array, masked where undefined; for an
            attribute an object array of its values, None where undefined and ``Var(k)`` for a variable.
        right: the same for the right side.
    """

    equation: str
    ob: str
    ids: Ids
    left: NDArray[Any]
    right: NDArray[Any]

    def __str__(self) -> str:
        """Return one line with the equation, the number of parts that violate it, and the first of them."""
        shown = "; ".join(
            f"at {part}: {one} and {other}"
            for part, one, other in zip(self.ids[:_SHOWN].tolist(), _shown(self.left), _shown(self.right), strict=True)
        )
        more = "; ..." if len(self.ids) > _SHOWN else ""
        return f"{self.equation} fails at {len(self.ids)} of '{self.ob}' ({shown}{more})"


def violations(instance: Storage) -> list[EquationViolation]:
    """Return the violated equations; see :meth:`ACSet.check <sim2real_cat.acsets.acset.ACSet.check>`."""
    found = [violation(instance, left, right) for left, right in instance.schema.equations]
    return [one for one in found if len(one.ids)]


def violation(instance: Storage, left: Path, right: Path) -> EquationViolation:
    """Return the parts, maybe none, at which two parallel paths differ; they need not be an equation of the schema."""
    everything = instance.parts(left.dom)
    sides = [instance.reader.follow(instance, path, everything) for path in (left, right)]
    ids = np.flatnonzero(_differ(*sides))
    text = f"{str(left) or 'id'} = {str(right) or 'id'}"
    return EquationViolation(text, left.dom, ids, *(_values(side, ids) for side in sides))


def _differ(left: Ids | Cells, right: Ids | Cells) -> NDArray[np.bool_]:
    if not isinstance(left, Cells) or not isinstance(right, Cells):
        return np.not_equal(left, right)
    # Where nothing is defined both hold the same fill, so that only the status counts there.
    unequal = left.data != right.data
    if left.data.dtype.kind == "f":
        unequal &= ~(np.isnan(left.data) & np.isnan(right.data))
    differ: NDArray[np.bool_] = (left.status != right.status) | unequal.astype(np.bool_)
    return differ


def _values(side: Ids | Cells, ids: Ids) -> NDArray[Any]:
    if not isinstance(side, Cells):
        return masked(side[ids])
    values = Cells(side.data[ids], side.status[ids]).tolist()
    return np.fromiter(values, np.dtype(object), len(values))


def _shown(values: NDArray[Any]) -> list[str]:
    return ["undefined" if value is None else brief(value) for value in values[:_SHOWN].tolist()]
