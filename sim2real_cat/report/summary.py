"""Summaries of policies: the verdict in words, the returns, and the gap with its interval as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sim2real_cat.transfer.instance import TransferInstance
from sim2real_cat.transfer.laws.law import intervals
from sim2real_cat.transfer.laws.report import LawReport


@dataclass(frozen=True)
class PolicySummary:
    """The result of one policy, as a table or picture shows it.

    Attributes:
        name: the name of the policy.
        robot: the real world it was deployed on.
        return_sim: mean return in its fibre; NaN where there is none.
        return_real: mean return on the robot; NaN where there is none.
        gap: in nats; NaN where it was not measured.
        low: lower end of its interval, as `intervals` has it.
        high: upper end, infinite where there is none.
        decided: whether the law `transfer-identity` is decided for it.
        transfers: whether `transfer` sends it to itself.
        verdict: whether it transfers or is replaced, in words.
        note: why the gap is missing or not to be relied on.
    """

    name: str
    robot: str
    return_sim: float
    return_real: float
    gap: float
    low: float
    high: float
    decided: bool
    transfers: bool
    verdict: str
    note: str

    @property
    def interval(self) -> str:
        """Return the gap with its interval as text."""
        if np.isnan(self.gap):
            return "not measured"
        return f"{_short(self.gap)} [{_short(self.low)}, {_short(self.high)}]"

    @property
    def kind(self) -> Literal["transfers", "fails", "open"]:
        """Return the verdict in one word, by which tables and pictures choose a colour."""
        if np.isnan(self.gap) or not self.decided:
            return "open"
        return "transfers" if self.transfers else "fails"


def summaries(instance: TransferInstance, report: LawReport) -> list[PolicySummary]:
    """Return a summary of every policy of an instance of `SchTransferStudy`, in the order of its ids."""
    acset = instance.acset
    undecided = {
        witness.id
        for result in report.results
        if result.law.name == "transfer-identity"
        for witness in result.witnesses
        if witness.verdict == "undecided"
    }
    numbers = {name: np.asarray(np.ma.filled(acset.column(name), np.nan)) for name in ("return_sim", "return_real")}
    gaps, lows, highs = intervals(acset)
    found = []
    for policy in map(int, acset.parts("Policy")):
        target = acset.subpart("transfer", policy)
        robot = acset.subpart("deploy", policy)
        gap = float(gaps[policy])
        decided = policy not in undecided
        if np.isnan(gap):
            verdict = "not measured"
        elif target == policy:
            verdict = "transfers" if decided else "transfers (undecided)"
        else:
            verdict = "does not transfer" if target is None else f"replaced by {instance.name('Policy', target)}"
            verdict += "" if decided else " (undecided)"
        note = acset.subpart("gap_note", policy)
        found.append(
            PolicySummary(
                name=instance.name("Policy", policy),
                robot="" if robot is None else instance.name("RealEnv", robot),
                return_sim=float(numbers["return_sim"][policy]),
                return_real=float(numbers["return_real"][policy]),
                gap=gap,
                low=float(lows[policy]),
                high=float(highs[policy]),
                decided=decided,
                transfers=target == policy,
                verdict=verdict,
                note=note if isinstance(note, str) else "",
            )
        )
    return found


def _short(value: float) -> str:
    """Return a number with three significant digits and no exponent."""
    if not np.isfinite(value):
        return "∞"
    if value < 1:
        return f"{value:.3f}"
    return f"{value:#.3g}".rstrip(".") if value < 1000 else f"{value:.0f}"
