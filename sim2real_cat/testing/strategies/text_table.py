"""An instance as a small table of text, with a mark at the rows to look at."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.io.display import shown
from sim2real_cat.transfer.instance import TransferInstance

PartName = tuple[str, int]
"""An object and the 0-based id of one of its parts."""

_MARK = "  <--"


class LazyText:
    """A text that is made only when it is shown: for `hypothesis.note`."""

    def __init__(self, text: Callable[[], str]) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text()


def describe(instance: TransferInstance | ACSet, marked: Collection[PartName] = ()) -> str:
    """Return the instance as text: a table for each object, without the columns in which nothing is defined.

    Numbers have six digits, or all where six would be another number: a gap just under epsilon is seen to be.

    Args:
        instance: an instance of any schema.
        marked: rows to point at, as ``("Policy", 2)``.

    >>> from sim2real_cat.acsets.schema import Schema
    >>> x = ACSet(Schema("Graph", ["V", "E"], {"src": ("E", "V"), "tgt": ("E", "V")}))
    >>> _ = x.add_parts("V", 2), x.add("E", src=0)
    >>> print(describe(x, [("E", 0)]))
    Graph
    V  (2, no columns)
    E  src
    0  0  <--
    """
    acset = instance.acset if isinstance(instance, TransferInstance) else instance
    lines = [acset.schema.name]
    for ob in acset.schema.obs:
        lines += _table(acset, ob, {part for other, part in marked if other == ob})
    return "\n".join(lines)


def _table(acset: ACSet, ob: str, marked: Collection[int]) -> list[str]:
    """Return the lines of one object."""
    schema, n = acset.schema, acset.nparts(ob)
    names = [name for name in (*schema.homs_from(ob), *schema.attrs_from(ob)) if _defined(acset, name)]
    if not names:
        rest = "".join(f" {part}{_MARK}" for part in sorted(marked))
        return [f"{ob}  ({n}, no columns){rest}" if n else f"{ob}  (none)"]
    rows = [[ob, *names]]
    rows += [[str(part), *(_told(acset.subpart((name,), part)) for name in names)] for part in range(n)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [lines[0], *(line + _MARK * (part in marked) for part, line in enumerate(lines[1:]))]


def _defined(acset: ACSet, name: str) -> bool:
    """Tell if a column holds anything: an id, a value or a variable."""
    if not np.ma.getmaskarray(acset.column(name)).all():
        return True
    return name in acset.schema.attrs and bool((acset.variables(name) >= 0).any())


def _told(value: object) -> str:
    """Return a value on one line; a number with all its digits where six would be another number."""
    if type(value) is float and np.isfinite(value) and float(f"{value:.6g}") != value:
        return repr(value)
    if isinstance(value, Var) or value is None:
        return "-" if value is None else f"Var({value.k})"
    return shown(value)
