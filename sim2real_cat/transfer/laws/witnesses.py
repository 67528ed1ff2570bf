"""What a law found: rows that break it or leave it open, kept as columns and put into words when they are looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, overload

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.columns import Ids

Verdict = Literal["holds", "violated", "undecided"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Witness:
    """One row that breaks a law or leaves it open.

    Attributes:
        verdict: ``violated`` or ``undecided``; ``holds`` for what a law reports of a row that keeps it.
        ob: the object the row belongs to.
        id: its 0-based id.
        message: what is wrong with it, with the values.
        excess: by how much it is wrong, in the unit of the values; None where that is no finite number.
        more_episodes: an estimate of how many more real episodes would decide it; None where nobody can say.
    """

    verdict: Verdict
    ob: str
    id: int
    message: str
    excess: float | None = None
    more_episodes: int | None = None


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of one object of which a law says the same.

    Attributes:
        verdict: as in `Witness`.
        ob: likewise.
        ids: (k,) 0-based ids, ascending.
        message: what to say of a row, given its id; called when somebody asks.
        excess: (k,) by how much each is wrong, NaN or infinite where that cannot be said; None where it never can.
        more_episodes: (k,) how many more real episodes would decide each, NaN where nobody can say; None likewise.
    """

    verdict: Verdict
    ob: str
    ids: Ids
    message: Callable[[int], str]
    excess: Floats | None = None
    more_episodes: Floats | None = None

    def witness(self, position: int) -> Witness:
        """The row at a position, in words."""
        row = int(self.ids[position])
        excess, more = _finite(self.excess, position), _finite(self.more_episodes, position)
        return Witness(self.verdict, self.ob, row, self.message(row), excess, None if more is None else int(more))


class Witnesses(Sequence[Witness]):
    """The witnesses of a law in order. A million of them are columns until they are read one by one.

    Args:
        groups: rows of which the same is said, one group after the other; empty groups are left out.
    """

    def __init__(self, groups: Sequence[Rows] = ()) -> None:
        self.groups = tuple(group for group in groups if len(group.ids))
        self._ends = np.cumsum([len(group.ids) for group in self.groups], dtype=np.int64)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    @overload
    def __getitem__(self, index: int) -> Witness: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Witness, ...]: ...

    def __getitem__(self, index: int | slice) -> Witness | tuple[Witness, ...]:
        if isinstance(index, slice):
            return tuple(self[position] for position in range(*index.indices(len(self))))
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(f"there are {len(self)} witnesses, none has the number {index}")
        which = int(np.searchsorted(self._ends, position, side="right"))
        group = self.groups[which]
        return group.witness(position - int(self._ends[which]) + len(group.ids))

    def __iter__(self) -> Iterator[Witness]:
        for group in self.groups:
            yield from map(group.witness, range(len(group.ids)))

    def __eq__(self, other: object) -> bool:
        """Whether the other sequence has the same witnesses in the same order."""
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(mine == yours for mine, yours in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        said = ", ".join(f"{len(group.ids)} {group.ob} {group.verdict}" for group in self.groups)
        return f"<Witnesses: {said or 'none'}>"


def of_mask(
    verdict: Verdict,
    ob: str,
    mask: NDArray[np.bool_],
    message: Callable[[int], str],
    excess: Floats | None = None,
    more_episodes: Floats | None = None,
) -> Rows:
    """The rows where a mask over all parts of an object is set; `excess` and `more_episodes` are over all parts too."""
    ids = np.flatnonzero(mask)
    chosen = (None if column is None else column[ids] for column in (excess, more_episodes))
    return Rows(verdict, ob, ids, message, *chosen)


def ids_of(witnesses: Sequence[Witness], ob: str, verdict: Verdict | None = None) -> Ids:
    """The sorted ids of an object that witnesses name, once each, without putting any into words."""
    if isinstance(witnesses, Witnesses):
        found = [g.ids for g in witnesses.groups if g.ob == ob and verdict in (None, g.verdict)]
    else:
        found = [np.array([w.id for w in witnesses if w.ob == ob and verdict in (None, w.verdict)], dtype=np.int64)]
    ids = np.sort(np.concatenate([np.zeros(0, np.int64), *found]))
    return ids[np.diff(ids, prepend=-1) > 0]


def told_apart(found: Iterable[Witness]) -> tuple[Sequence[Witness], Sequence[Witness]]:
    """Rows that break a law or leave it open, and notes on those that keep it."""
    if isinstance(found, Witnesses):
        kept = [group for group in found.groups if group.verdict == "holds"]
        return Witnesses([group for group in found.groups if group.verdict != "holds"]), Witnesses(kept)
    given = tuple(found)
    return tuple(w for w in given if w.verdict != "holds"), tuple(w for w in given if w.verdict == "holds")


def verdicts_of(witnesses: Sequence[Witness]) -> set[Verdict]:
    """The verdicts that occur, without putting any witness into words."""
    found = witnesses.groups if isinstance(witnesses, Witnesses) else witnesses
    return {one.verdict for one in found}


def _finite(column: Floats | None, position: int) -> float | None:
    """A number of a column, None where it is none."""
    return None if column is None or not np.isfinite(column[position]) else float(column[position])
