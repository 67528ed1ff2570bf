"""Check the laws of the design, or any others, in one engine or in both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.engines import ENGINES
from sim2real_cat.errors import LawError, unknown_name
from sim2real_cat.transfer.laws.law import DEFAULT_EPSILON, Law, LawResult, Verdict, Witness
from sim2real_cat.transfer.laws.measured_laws import FIBRE_BOUND, GAP_RECOMPUTES, SQUARE, Recompute, gap_recomputes
from sim2real_cat.transfer.laws.table_laws import TABLE_LAWS

ALL: tuple[Law, ...] = (*TABLE_LAWS, FIBRE_BOUND, SQUARE, GAP_RECOMPUTES)
"""The laws of the design, in its order."""


@dataclass(frozen=True)
class LawReport:
    """The verdicts on several laws.

    Attributes:
        epsilon: the bound, in the unit of `kl_gap`, under which a policy transfers.
        results: one for each law, in the order asked.
    """

    epsilon: float
    results: tuple[LawResult, ...]

    @property
    def verdict(self) -> Verdict:
        """Return ``violated`` if any law is, else ``undecided`` if any that was asked is, else ``holds``.

        Laws whose needs are not met count only where no law at all could be asked.
        """
        asked = [result for result in self.results if result.asked] or self.results
        verdicts = {result.verdict for result in asked}
        if "violated" in verdicts:
            return "violated"
        return "undecided" if "undecided" in verdicts else "holds"

    def __getitem__(self, name: str) -> LawResult:
        for result in self.results:
            if result.law.name == name:
                return result
        raise LawError(unknown_name("law", name, [result.law.name for result in self.results]))

    def to_table(self) -> dict[str, object]:
        """Return the report as plain values for JSON."""
        return {
            "epsilon": self.epsilon,
            "verdict": self.verdict,
            "laws": [
                {
                    "name": result.law.name,
                    "statement": result.law.statement,
                    "symbols": result.law.symbols,
                    "verdict": result.verdict,
                    "asked": result.asked,
                    "reason": result.reason,
                    "witnesses": [asdict(witness) for witness in result.witnesses],
                    "notes": [asdict(note) for note in result.notes],
                }
                for result in self.results
            ],
        }


def check(
    instance: ACSet,
    epsilon: float = DEFAULT_EPSILON,
    laws: Sequence[str | Law] | None = None,
    *,
    recompute: Recompute | None = None,
) -> LawReport:
    """Check laws, all of `ALL` unless some are named.

    Args:
        instance: any ACSet; a law is asked where the instance has what it needs.
        epsilon: bound under which a policy transfers, in the unit of `kl_gap`.
        laws: names of laws of `ALL`, or your own laws.
        recompute: measures a policy's gap again, for the law `gap-recomputes`; `sim2real_cat.study.recompute_gaps`
            makes one of a study's folder.

    Raises:
        LawError: an unknown law, an epsilon that is not a positive number, or no ACSet.
    """
    if not isinstance(instance, ACSet):
        raise LawError(f"laws are checked of an ACSet, got {type(instance).__name__}; give instance.acset")
    chosen = _chosen(epsilon, laws, recompute)
    return LawReport(epsilon, tuple(law.check(instance, epsilon) for law in chosen))


def check_in_both(
    instance: ACSet,
    epsilon: float = DEFAULT_EPSILON,
    laws: Sequence[str | Law] | None = None,
    *,
    recompute: Recompute | None = None,
) -> LawReport:
    """Check laws in both engines, which must find the same rows; arguments are those of :func:`check`.

    A law that the Julia module does not state is evaluated once, here.

    Raises:
        LawError: the engines differ, with the law and the first row at which they do; and as :func:`check`.
        EngineError: Catlab is not installed.
    """
    one, other = (instance.to_engine(engine) for engine in ENGINES)
    results = []
    for law in _chosen(epsilon, laws, recompute):
        here = law.check(one, epsilon)
        if not law.python_only:
            _require_same(here, law.check(other, epsilon))
        results.append(here)
    return LawReport(epsilon, tuple(results))


def _chosen(epsilon: float, laws: Sequence[str | Law] | None, recompute: Recompute | None) -> tuple[Law, ...]:
    """Return the laws that are asked for."""
    if not (np.isfinite(epsilon) and epsilon > 0):
        raise LawError(f"epsilon must be a positive number of nats, got {epsilon}")
    if isinstance(laws, str):
        raise LawError(f"laws is a list of names, not the text {laws!r}: write [{laws!r}]")
    known: Mapping[str, Law] = {law.name: law for law in ALL}
    if recompute is not None:
        known = {**known, "gap-recomputes": gap_recomputes(recompute)}
    chosen = []
    for law in known.values() if laws is None else laws:
        if not isinstance(law, Law):
            if law not in known:
                raise LawError(unknown_name("law", law, known))
            law = known[law]
        chosen.append(law)
    return tuple(chosen)


def _require_same(here: LawResult, there: LawResult) -> None:
    """Refuse what one engine finds and the other does not."""
    mine, theirs = _rows(here.witnesses), _rows(there.witnesses)
    differing = sorted(mine ^ theirs, key=str)
    if differing:
        verdict, ob, row = differing[0]
        finds, not_ = ("Catlab", "embedded") if differing[0] in theirs else ("embedded", "Catlab")
        raise LawError(
            f"the engines differ on law '{here.law.name}' at {len(differing)} rows: {ob} {row} is {verdict} for "
            f"{finds} and not for {not_}; this is a fault of sim2real_cat: please report the instance"
        )


def _rows(witnesses: Iterable[Witness]) -> set[tuple[Verdict, str, int]]:
    return {(witness.verdict, witness.ob, witness.id) for witness in witnesses}
