"""Laws as values, the results of checking them with the rows that break them, and readers of the columns they need.

Rows that break a law or leave it open are kept as columns, and put into words when they are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, cast, overload

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Ids
from sim2real_cat.arrays import Bools, Floats
from sim2real_cat.errors import listed

DEFAULT_EPSILON = 0.5
"""Nats per control step under which a policy transfers: above it the source document calls a transition a mismatch."""

OWN_LAW = "It is not a law of the design, which julia/laws.jl states."
"""The reason why the Julia module does not have a law, where none is given."""

Verdict = Literal["holds", "violated", "undecided"]
"""The answer of a law that was asked."""


@dataclass(frozen=True)
class Witness:
    """One row that breaks a law or leaves it open.

    Attributes:
        verdict: ``violated`` or ``undecided``; ``holds`` for what a law reports of a row that keeps it.
        ob: the object the row belongs to.
        id: its 0-based id.
        message: what is wrong with it, with the values.
        excess: by how much it is wrong, in the unit of the values; None where that is not finite.
        more_episodes: an estimate of how many more real episodes would decide it; None where that is not known.
    """

    verdict: Verdict
    ob: str
    id: int
    message: str
    excess: float | None = None
    more_episodes: int | None = None


@dataclass(frozen=True, eq=False)
class WitnessRows:
    """Rows of one object with the same verdict and message, kept as columns.

    Attributes:
        verdict: as in `Witness`.
        ob: likewise.
        ids: (k,) 0-based ids, ascending.
        message: gives the message of a row, from its id; called when the row is read.
        excess: (k,) by how much each is wrong, NaN or infinite where that cannot be said; None where it never can.
        more_episodes: (k,) how many more real episodes would decide each, NaN where that is not known; None likewise.
    """

    verdict: Verdict
    ob: str
    ids: Ids
    message: Callable[[int], str]
    excess: Floats | None = None
    more_episodes: Floats | None = None

    def witness(self, position: int) -> Witness:
        """Return the row at a position, in words."""
        row = int(self.ids[position])
        excess, more = _finite(self.excess, position), _finite(self.more_episodes, position)
        return Witness(self.verdict, self.ob, row, self.message(row), excess, None if more is None else int(more))


class Witnesses(Sequence[Witness]):
    """The witnesses of a law in order, kept as columns until they are read one by one: there may be a million.

    Args:
        groups: rows with one verdict and message, one group after the other; empty groups are left out.
    """

    def __init__(self, groups: Sequence[WitnessRows] = ()) -> None:
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
        """Compare with any other sequence of witnesses, in order."""
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
    mask: Bools,
    message: Callable[[int], str],
    excess: Floats | None = None,
    more_episodes: Floats | None = None,
) -> WitnessRows:
    """Return the rows where a mask over all parts of an object is set; the other columns are over all parts, too."""
    ids = np.flatnonzero(mask)
    chosen = (None if column is None else column[ids] for column in (excess, more_episodes))
    return WitnessRows(verdict, ob, ids, message, *chosen)


def _finite(column: Floats | None, position: int) -> float | None:
    """Return a number of a column, None where it is NaN or infinite."""
    return None if column is None or not np.isfinite(column[position]) else float(column[position])


@dataclass(frozen=True)
class Law:
    """A law as a value.

    Attributes:
        name: its name on the command line.
        statement: the law in words.
        symbols: the law in symbols.
        witnesses: the rows of an instance that break it or leave it open, given epsilon; those of the verdict
            ``holds`` are notes: what it reports of rows that keep it.
        needs: the objects, homs and attributes that it asks about; it is not asked of a schema without them.
        lacking: why it cannot be asked of an instance that has these, such as columns that are empty; '' where it can.
        python_only: why the Julia module does not state it too, as a sentence; '' where ``LAWS`` of julia/laws.jl has a
            twin, by which Catlab evaluates it for instances that live there.
    """

    name: str
    statement: str
    symbols: str
    witnesses: Callable[[ACSet, float], Iterable[Witness]]
    needs: tuple[str, ...] = ()
    lacking: Callable[[ACSet], str] | None = None
    python_only: str = OWN_LAW

    def check(self, instance: ACSet, epsilon: float = DEFAULT_EPSILON) -> LawResult:
        """Check the law in an instance and return the verdict, with every row that breaks it or leaves it open.

        A law whose needs are not met is not asked: it is undecided, and `LawResult.reason` says why.
        """
        reason = self.unasked(instance)
        if reason:
            return LawResult(self, "undecided", (), reason)
        found, notes = _without_notes(self.witnesses(instance, epsilon))
        if instance.engine == "catlab" and not self.python_only:
            found = _by_catlab(self, instance, epsilon, found)
        verdicts = {one.verdict for one in (found.groups if isinstance(found, Witnesses) else found)}
        if "violated" in verdicts:
            return LawResult(self, "violated", found, notes=notes)
        return LawResult(self, "undecided" if verdicts else "holds", found, notes=notes)

    def unasked(self, instance: ACSet) -> str:
        """Return why the law cannot be asked of an instance, '' where it can."""
        known = {*instance.schema.obs, *instance.schema.homs, *instance.schema.attrs}
        absent = [name for name in self.needs if name not in known]
        if absent:
            return f"schema {instance.schema.name} has no {listed(absent)}"
        return "" if self.lacking is None else self.lacking(instance)


@dataclass(frozen=True)
class LawResult:
    """The verdict on one law, with the rows it rests on.

    Attributes:
        law: the law.
        verdict: whether it holds.
        witnesses: the rows that break it or leave it open.
        reason: why it was not asked, '' where it was.
        notes: what else it reports of rows, whatever the verdict.
    """

    law: Law
    verdict: Verdict
    witnesses: Sequence[Witness]
    reason: str = ""
    notes: Sequence[Witness] = ()

    @property
    def asked(self) -> bool:
        """Tell whether the instance had what the law needs."""
        return not self.reason

    def ids(self, ob: str, verdict: Verdict | None = None) -> Ids:
        """Return the sorted ids of an object that witnesses name, once each, of one verdict or of any.

        No message is made on the way, so this is quick for a million rows.
        """
        witnesses = self.witnesses
        if isinstance(witnesses, Witnesses):
            found = [g.ids for g in witnesses.groups if g.ob == ob and verdict in (None, g.verdict)]
        else:
            found = [np.array([w.id for w in witnesses if w.ob == ob and verdict in (None, w.verdict)], dtype=np.int64)]
        return np.unique(np.concatenate([np.zeros(0, np.int64), *found]))


def _without_notes(found: Iterable[Witness]) -> tuple[Sequence[Witness], Sequence[Witness]]:
    """Split the rows that a law found into those that break it or leave it open, and notes on rows that keep it."""
    if isinstance(found, Witnesses):
        kept = [group for group in found.groups if group.verdict == "holds"]
        return Witnesses([group for group in found.groups if group.verdict != "holds"]), Witnesses(kept)
    given = tuple(found)
    return tuple(w for w in given if w.verdict != "holds"), tuple(w for w in given if w.verdict == "holds")


def _by_catlab(law: Law, instance: ACSet, epsilon: float, here: Sequence[Witness]) -> tuple[Witness, ...]:
    """Return the rows that Catlab finds, with the messages that are found here for them."""
    from sim2real_cat.acsets.catlab.instances import law_rows

    rows = dict.fromkeys(law_rows(instance, law.name, epsilon))
    known = {(witness.verdict, witness.ob, witness.id) for witness in here}
    agreed = [witness for witness in here if (witness.verdict, witness.ob, witness.id) in rows]
    unshared = [
        Witness(cast("Verdict", verdict), ob, part, f"{verdict} according to Catlab alone")
        for verdict, ob, part in rows
        if (verdict, ob, part) not in known
    ]
    return (*agreed, *unshared)


def numbers(instance: ACSet, ob: str, name: str) -> Floats:
    """Return a numeric attribute as (n,) floats, NaN where it is undefined, a variable or not in the schema."""
    if name not in instance.schema.attrs:
        return np.full(instance.nparts(ob), np.nan)
    return np.asarray(np.ma.filled(instance.column(name).astype(float), np.nan))


def texts(instance: ACSet, name: str) -> NDArray[np.object_]:
    """Return a text attribute of the schema as (n,) objects, '' where there is none."""
    return np.asarray(np.ma.filled(instance.column(name).astype(object), ""))


def with_interval(value: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats, Floats]:
    """Return a value with its interval, NaN where there is no value.

    A value without an interval is taken at its word; a lower end without an upper one reaches to infinity.
    """
    high = np.where(np.isnan(high) & ~np.isnan(low), np.inf, high)
    return value, np.where(np.isnan(low), value, low), np.where(np.isnan(high), value, high)


def intervals(instance: ACSet) -> tuple[Floats, Floats, Floats]:
    """Return gap, lower and upper end of every policy, (n,) each, NaN where the gap was not measured.

    A gap without an interval is taken at its word; a lower end without an upper one reaches to infinity.
    """
    return with_interval(*(numbers(instance, "Policy", name) for name in ("kl_gap", "gap_low", "gap_high")))


def doubtful(instance: ACSet) -> Bools:
    """Return a mask of the policies whose gap its own estimator called unreliable, (n,)."""
    if "gap_reliable" not in instance.schema.attrs:
        return np.zeros(instance.nparts("Policy"), dtype=bool)
    return ~np.ma.filled(instance.column("gap_reliable"), True).astype(bool)


def shares(instance: ACSet) -> Floats:
    """Compute the weight of each SimEnv in the mixture of its fibre, (m,), NaN where `train` is undefined.

    `sim_weight` over its sum in the fibre; equal weights in a fibre where one is missing.
    """
    train, weight = instance.column_ids("train"), numbers(instance, "SimEnv", "sim_weight")
    inside = train >= 0
    policies = instance.nparts("Policy")
    unknown = np.bincount(train[inside], weights=np.isnan(weight[inside]), minlength=policies) > 0
    weight[inside] = np.where(unknown[train[inside]], 1.0, weight[inside])
    total = np.bincount(train[inside], weights=weight[inside], minlength=policies)
    share = np.full(len(train), np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):  # a fibre whose weights are all 0 is no mixture
        share[inside] = weight[inside] / total[train[inside]]
    return share


def minus(left: Floats, right: Floats) -> Floats:
    """Return the difference of two columns, NaN where both are infinite."""
    with np.errstate(invalid="ignore", over="ignore"):
        return left - right


def values_at(column: Floats, targets: Ids) -> Floats:
    """Return the values at ids, NaN where these are undefined."""
    return np.append(column, np.nan)[targets]
