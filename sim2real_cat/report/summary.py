"""Summaries of policies: the verdict in words, the returns, and the gap with its interval as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sim2real_cat.errors import listed
from sim2real_cat.gaps.estimate import Estimate
from sim2real_cat.predictive.estimate import PredictiveGap
from sim2real_cat.transfer.instance import TransferInstance
from sim2real_cat.transfer.laws.law import intervals
from sim2real_cat.transfer.laws.report import LawReport
from sim2real_cat.worlds.randomization.ensemble import Ensemble


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
        gap_of: the worlds of a predictive gap, '' of another.
        complexity: the price of not knowing the world when an episode starts, as text; '' where there is none.
        episode: the gap of one episode, as text; '' where there is none.
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
    gap_of: str
    complexity: str
    episode: str
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
                gap_of=_text(instance, policy, "gap_of"),
                complexity=_text(instance, policy, "gap_complexity"),
                episode=_text(instance, policy, "kl_gap_episode"),
                decided=decided,
                transfers=target == policy,
                verdict=verdict,
                note=note if isinstance(note, str) else "",
            )
        )
    return found


def _text(instance: TransferInstance, policy: int, attribute: str) -> str:
    """Return an attribute of a policy as text, '' where it has none."""
    value = instance.acset.subpart(attribute, policy) if attribute in instance.acset.schema.attrs else None
    return value if isinstance(value, str) else _short(value) if isinstance(value, float) else ""


def gap_lines(found: PredictiveGap, worlds: Ensemble) -> list[str]:
    """Return the parts of a predictive gap as lines: what it is of, its three numbers, and the nearest world.

    Args:
        found: the gap.
        worlds: the fibre, where it is of one.
    """
    fibre = found.members
    what = "the randomization, integrated" if fibre is None else f"a fibre of {len(fibre.weights)} worlds"
    null = found.estimate.null or found.episode.null
    lines = [
        f"gap of {what}: rate {_with_ends(found.estimate)}, complexity {_with_ends(found.complexity)}, "
        f"one episode {_with_ends(found.episode)}"
    ]
    if null is not None and null.p_value is not None:
        lines.append(f"p-value of a robot that is one of the worlds: {p_text(null.p_value)}")
    if fibre is not None and len(worlds) > 1:
        values = listed(f"{parameter} {value:.4g}" for parameter, value in worlds.row(fibre.best).items())
        lines.append(f"nearest of {len(worlds)} worlds: {fibre.best}, probability {fibre.chances.max():.3g}: {values}")
    if found.posterior is not None:
        for name in found.posterior.prior.parameters:
            middle, low, high = found.posterior.interval(name)
            lines.append(f"{name}: {middle:.4g} [{low:.4g}, {high:.4g}]")
    return lines


def p_text(p_value: float) -> str:
    """Return a p-value as text."""
    return "< 0.001" if p_value <= 0.001 else f"{p_value:.3f}"


def _with_ends(estimate: Estimate) -> str:
    """Return an estimate with its interval as text."""
    return f"{_short(estimate.value)} [{_short(estimate.low)}, {_short(estimate.high)}]"


def _short(value: float) -> str:
    """Return a number with three significant digits and no exponent."""
    if not np.isfinite(value):
        return "∞"
    if value < 1:
        return f"{value:.3f}"
    return f"{value:#.3g}".rstrip(".") if value < 1000 else f"{value:.0f}"
