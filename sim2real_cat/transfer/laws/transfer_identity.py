"""The law `transfer-identity`, row by row; `transfer_equalizer` states the same of subobjects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.transfer.laws.columns import doubtful, intervals
from sim2real_cat.transfer.laws.episodes import more_episodes
from sim2real_cat.transfer.laws.law import Law
from sim2real_cat.transfer.laws.witnesses import Floats, Witnesses, of_mask

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Under:
    """What is known of "kl_gap(π) < ε", for every policy: masks of shape (n,) that exclude each other.

    Attributes:
        surely: measured, and under epsilon.
        surely_not: measured, and not under epsilon.
        straddles: the interval reaches over epsilon.
        unreliable: it does not, but the gap's own estimator calls it unreliable.
        unmeasured: there is no gap.
    """

    surely: Mask
    surely_not: Mask
    straddles: Mask
    unreliable: Mask
    unmeasured: Mask


def under(instance: ACSet, epsilon: float) -> Under:
    """Which policies are under epsilon, as far as it is known."""
    gap, low, high = intervals(instance)
    measured = ~np.isnan(gap)
    straddles = measured & (low < epsilon) & (high >= epsilon)
    unreliable = measured & ~straddles & doubtful(instance)
    sure = measured & ~straddles & ~unreliable
    return Under(sure & (gap < epsilon), sure & (gap >= epsilon), straddles, unreliable, ~measured)


def told(value: float, epsilon: float) -> str:
    """Four significant digits, or all where four would put the value on the other side of epsilon."""
    short = f"{value:.4g}"
    return short if (float(short) < epsilon) == (value < epsilon) else repr(float(value))


def arrow(target: int, row: int) -> str:
    """Where `transfer` sends a policy, in words."""
    if target < 0:
        return "is undefined"
    return "is the identity" if target == row else f"goes to Policy {target}"


def _witnesses(instance: ACSet, epsilon: float) -> Witnesses:
    gap, low, high = intervals(instance)
    known, transfer = under(instance, epsilon), instance.column("transfer")
    identity = transfer == instance.parts("Policy")
    off = np.abs(gap - epsilon)
    more = more_episodes(instance, epsilon)

    def too_few(row: int) -> str:
        ends = f"[{told(low[row], epsilon)}, {told(high[row], epsilon)}]"
        text = f"the interval {ends} of kl_gap straddles {epsilon:g}"
        return text if np.isnan(more[row]) else f"{text}; some {more[row]:.0f} more real episodes would decide it"

    return Witnesses(
        [
            of_mask(
                "violated",
                "Policy",
                known.surely & ~identity,
                lambda row: (
                    f"kl_gap {told(gap[row], epsilon)} < {epsilon:g}, "
                    f"but transfer {arrow(transfer[row], row)} instead of itself"
                ),
                off,
            ),
            of_mask(
                "violated",
                "Policy",
                known.surely_not & identity,
                lambda row: f"kl_gap {told(gap[row], epsilon)} >= {epsilon:g}, but transfer is the identity",
                off,
            ),
            of_mask("undecided", "Policy", known.straddles, too_few, _reach(low, high, epsilon), more),
            of_mask(
                "undecided",
                "Policy",
                known.unreliable,
                lambda row: f"kl_gap {gap[row]:.4g} is marked unreliable, see gap_note",
            ),
            of_mask(
                "undecided",
                "Policy",
                known.unmeasured & (transfer >= 0),
                lambda row: f"transfer {arrow(transfer[row], row)}, but kl_gap was not measured",
            ),
        ]
    )


def _reach(low: Floats, high: Floats, epsilon: float) -> Floats:
    """How far intervals reach to the nearer side of epsilon."""
    return np.minimum(epsilon - low, high - epsilon)


TRANSFER_IDENTITY = Law(
    "transfer-identity",
    "A policy is its own transfer exactly when its gap is under epsilon.",
    "transfer(π) = π ⇔ kl_gap(π) < ε",
    _witnesses,
    needs=("transfer", "kl_gap"),
    in_julia=True,
)
"""Undecided where the interval straddles epsilon or the estimate is called unreliable, or what transfers has no gap."""
