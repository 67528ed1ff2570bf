"""A law as a value, and what checking it gave."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Ids
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import listed
from sim2real_cat.transfer.laws.witnesses import Verdict, Witness, ids_of, told_apart, verdicts_of

DEFAULT_EPSILON = 0.5
"""Nats per control step under which a policy transfers: above it the source document calls a transition a mismatch."""


@dataclass(frozen=True)
class Law:
    """A law as a value.

    Attributes:
        name: what it is called on the command line.
        statement: what it says, in words.
        symbols: what it says, in symbols.
        witnesses: the rows of an instance that break it or leave it open, given epsilon; those of the verdict
            ``holds`` are notes: what it reports of rows that keep it.
        needs: the objects, homs and attributes that it asks about; it is not asked of a schema without them.
        lacking: why it cannot be asked of an instance that has these, such as columns that are empty; '' where it can.
        in_julia: whether the Julia module states it too, so that Catlab evaluates it for instances that live there.
    """

    name: str
    statement: str
    symbols: str
    witnesses: Callable[[ACSet, float], Iterable[Witness]]
    needs: tuple[str, ...] = ()
    lacking: Callable[[ACSet], str] | None = None
    in_julia: bool = False

    def check(self, instance: ACSet, epsilon: float = DEFAULT_EPSILON) -> LawResult:
        """Whether the law holds in an instance, with every row that says otherwise.

        A law whose needs are not met is not asked: it is undecided, and `LawResult.reason` says why.
        """
        reason = self.unasked(instance)
        if reason:
            return LawResult(self, "undecided", (), reason)
        found, notes = told_apart(self.witnesses(instance, epsilon))
        if instance.engine == "catlab" and self.in_julia:
            found = _by_catlab(self, instance, epsilon, found)
        verdicts = verdicts_of(found)
        if "violated" in verdicts:
            return LawResult(self, "violated", found, notes=notes)
        return LawResult(self, "undecided" if verdicts else "holds", found, notes=notes)

    def unasked(self, instance: ACSet) -> str:
        """Why the law cannot be asked of an instance, '' where it can."""
        absent = missing(instance.schema, self.needs)
        if absent:
            return f"schema {instance.schema.name} has no {listed(absent)}"
        return "" if self.lacking is None else self.lacking(instance)


@dataclass(frozen=True)
class LawResult:
    """What checking one law gave.

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
        """Whether the instance had what the law needs."""
        return not self.reason

    def ids(self, ob: str, verdict: Verdict | None = None) -> Ids:
        """The sorted ids of an object that witnesses name, of one verdict or of any; quick for a million of them."""
        return ids_of(self.witnesses, ob, verdict)


def missing(schema: Schema, needs: Sequence[str]) -> list[str]:
    """Those of some objects, homs and attributes that a schema does not have."""
    return [name for name in needs if name not in {*schema.obs, *schema.homs, *schema.attrs}]


def _by_catlab(law: Law, instance: ACSet, epsilon: float, here: Sequence[Witness]) -> tuple[Witness, ...]:
    """The rows that Catlab finds, with the words that are found here for them."""
    from sim2real_cat.acsets.catlab.laws import law_rows

    rows = dict.fromkeys(law_rows(instance, law.name, epsilon))
    known = {(witness.verdict, witness.ob, witness.id) for witness in here}
    agreed = [witness for witness in here if (witness.verdict, witness.ob, witness.id) in rows]
    unshared = [
        Witness(cast("Verdict", verdict), ob, part, f"{verdict} according to Catlab alone")
        for verdict, ob, part in rows
        if (verdict, ob, part) not in known
    ]
    return (*agreed, *unshared)
