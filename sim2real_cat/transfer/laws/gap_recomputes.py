"""The law `gap-recomputes`: the estimator, run again on the recordings that the instance refers to, says the same.

The recordings lie in files, and some methods need the world that was simulated. So the law is given something that
measures again; `sim2real_cat.recompute_gaps` makes one of a study's folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.transfer.laws.columns import intervals, texts
from sim2real_cat.transfer.laws.law import Law
from sim2real_cat.transfer.laws.witnesses import Witness

TOLERANCE = 1e-6
"""Relative difference of two numbers that count as the same: other processors and libraries round differently."""

_SMALL = 1e-9  # nats, under which the difference of two gaps is none


@dataclass(frozen=True)
class Recomputed:
    """What measuring a policy's gap again gave.

    Attributes:
        value: the gap, as `kl_gap`; None where it cannot be measured.
        low: the lower end of its interval, as `gap_low`.
        high: the upper end, infinite where there is none.
        reason: why it could not be measured again, '' where it was.
        broken: what is wrong with the recordings it was measured from, '' where they are those.
        note: what explains a difference, such as other versions.
    """

    value: float | None = None
    low: float = 0.0
    high: float = np.inf
    reason: str = ""
    broken: str = ""
    note: str = ""


class Recompute(Protocol):
    """What measures the gap of a policy again."""

    def __call__(self, instance: ACSet, policy: int) -> Recomputed:
        """The gap of a policy of an instance, from the recordings that its observations name."""


def gap_recomputes(recompute: Recompute | None = None) -> Law:
    """The law, with something that measures again; without it, the law is not asked."""

    def witnesses(instance: ACSet, epsilon: float) -> Iterator[Witness]:
        columns = intervals(instance)
        for policy in instance.parts("Policy").tolist():
            if not np.isnan(columns[0][policy]) and recompute is not None:
                recorded = tuple(float(column[policy]) for column in columns)
                yield from _compare(policy, recorded, recompute(instance, policy))

    def lacking(instance: ACSet) -> str:
        if recompute is None:
            return "the gaps were not measured again: that takes --recompute and a study beside the instance"
        if np.isnan(intervals(instance)[0]).all():
            return "no policy has a kl_gap"
        return "" if (texts(instance, "recording") != "").any() else "no observation names its recording"

    return Law(
        "gap-recomputes",
        "A gap is what its estimator says, run again on the recordings that the instance refers to.",
        "kl_gap(π) = KL(observe_real(deploy π) || observe_sim(train⁻¹(π)))",
        witnesses,
        needs=("kl_gap", "deploy", "observe_real", "recording", "recording_digest"),
        lacking=lacking,
    )


def _compare(policy: int, recorded: tuple[float, ...], again: Recomputed) -> Iterator[Witness]:
    """What differs between the recorded gap with its interval and the one measured again."""
    because = f" ({again.note})" if again.note else ""
    if again.broken:
        yield Witness("violated", "Policy", policy, again.broken)
    elif again.reason:
        yield Witness("undecided", "Policy", policy, again.reason)
    elif again.value is None:
        yield Witness("violated", "Policy", policy, f"kl_gap is {recorded[0]:.8g}, but there is none again{because}")
    else:
        found = (again.value, again.low, again.high)
        for name, old, new in zip(("kl_gap", "gap_low", "gap_high"), recorded, found, strict=True):
            if not np.isclose(old, new, rtol=TOLERANCE, atol=_SMALL):
                off = abs(old - new)
                text = f"{name} is {old:.8g}, but measured again it is {new:.8g}{because}"
                yield Witness("violated", "Policy", policy, text, excess=float(off) if np.isfinite(off) else None)


GAP_RECOMPUTES = gap_recomputes()
"""The law before it is given something that measures again."""
