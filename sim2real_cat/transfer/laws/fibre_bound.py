"""The law `fibre-bound`: a mixture is no worse than any of its members, but for the weight it gives it.

A mixture is at least w_e times its member e, so that along a trajectory of T steps ln P_sim >= ln w_e + ln P_e and
T kl_gap(π) <= T kl_gap(e) + ln 1/w_e. It is a bound for whole trajectories, whose mixture remembers which member the
past spoke for. A method that compares single steps forgets it, and pays ln 1/w_e again at every step: its gaps are not
asked about.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Ids
from sim2real_cat.transfer.laws.columns import along, doubtful, intervals, minus, numbers, shares, texts, with_interval
from sim2real_cat.transfer.laws.law import Law
from sim2real_cat.transfer.laws.witnesses import Floats, Witnesses, of_mask

_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Bounds:
    """Both sides of the inequality for every policy, (n,) each, in nats per episode; NaN where one is not known.

    Attributes:
        gap: T kl_gap(π).
        gap_low: lower end of its interval.
        bound: min over e of T member_gap(e) + ln 1/w_e.
        bound_high: the same from the upper ends of the members' intervals.
        of_world: (m,) what each SimEnv by itself contributes to `bound`; infinite where it is not known.
        train: (m,) the policy of each SimEnv.
    """

    gap: Floats
    gap_low: Floats
    bound: Floats
    bound_high: Floats
    of_world: Floats
    train: Ids

    def binding(self, policy: int) -> int:
        """The SimEnv whose bound is the smallest of a policy's fibre."""
        fibre = np.flatnonzero(self.train == policy)
        return int(fibre[self.of_world[fibre].argmin()])


def fibre_bounds(instance: ACSet) -> Bounds:
    """What the instance says of the inequality."""
    gap, low, _ = intervals(instance)
    steps = _steps(instance)
    train = instance.column("train")
    names = ("member_gap", "member_gap_low", "member_gap_high")
    member, _, member_high = with_interval(*(numbers(instance, "SimEnv", name) for name in names))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # a member of weight 0 never binds
        cost = -np.log(shares(instance))
        of_world, high = (along(steps, train) * side + cost for side in (member, member_high))
    of_world, high = (np.where(np.isnan(side), np.inf, side) for side in (of_world, high))
    bound, bound_high = (least(side, train, len(gap)) for side in (of_world, high))
    bound = np.where(np.isinf(bound), np.nan, bound)
    with np.errstate(over="ignore"):
        return Bounds(steps * gap, steps * low, bound, bound_high, of_world, train)


def _steps(instance: ACSet) -> Floats:
    """Control steps of an episode, for every policy whose gap is that of whole trajectories, NaN for others."""
    steps = numbers(instance, "Policy", "gap_steps")
    steps = np.where(np.isfinite(steps) & (steps > 0), steps, np.nan)
    if "gap_method" not in instance.schema.attrs:
        return steps
    method = texts(instance, "gap_method")
    return np.where((method == "predictive") | (method == ""), steps, np.nan)


def least(values: Floats, fibre: Ids, n: int) -> Floats:
    """The smallest value over each of n fibres, (n,), infinite for an empty one."""
    found = np.full(n, np.inf)
    inside = fibre >= 0
    np.minimum.at(found, fibre[inside], values[inside])
    return found


def above(left: Floats, right: Floats) -> NDArray[np.bool_]:
    """Whether the left side is the larger one by more than rounding; never where one is NaN."""
    with np.errstate(invalid="ignore"):
        return minus(left, right) > _ROUNDING * (1.0 + np.abs(right))


def _witnesses(instance: ACSet, epsilon: float) -> Witnesses:
    sides = fibre_bounds(instance)
    broken = above(sides.gap, sides.bound)
    known = ~np.isnan(sides.gap) & ~np.isnan(sides.bound)
    certain = broken & above(sides.gap_low, sides.bound_high) & ~doubtful(instance)

    def message(row: int) -> str:
        return (
            f"T·kl_gap is {sides.gap[row]:.4g} nats, but SimEnv {sides.binding(row)} alone bounds it by "
            f"{sides.bound[row]:.4g}"
        )

    return Witnesses(
        [
            of_mask("violated", "Policy", certain, message, minus(sides.gap_low, sides.bound_high)),
            of_mask(
                "undecided",
                "Policy",
                broken & ~certain,
                lambda row: f"{message(row)}, which the intervals leave open",
                minus(sides.gap, sides.bound),
            ),
            of_mask(
                "holds",
                "Policy",
                known & ~broken,
                lambda row: (
                    f"T·kl_gap is {sides.gap[row]:.4g} nats; SimEnv {sides.binding(row)} binds it, "
                    f"at {sides.bound[row]:.4g}"
                ),
                minus(sides.gap, sides.bound),
            ),
        ]
    )


def _lacking(instance: ACSet) -> str:
    known = ~np.isnan(_steps(instance)) & ~np.isnan(intervals(instance)[0])
    measured = ~np.isnan(numbers(instance, "SimEnv", "member_gap"))
    if (measured & np.append(known, False)[instance.column("train")]).any():
        return ""
    return "no policy has a predictive kl_gap, its gap_steps, and the member_gap of a world that trained it"


FIBRE_BOUND = Law(
    "fibre-bound",
    "The gap of the mixture over an episode is at most that of any world of the fibre, plus ln 1/weight of that world.",
    "T·kl_gap(π) <= min_{e ∈ train⁻¹(π)} (T·kl_gap(e) + ln 1/w_e)",
    _witnesses,
    needs=("train", "kl_gap", "gap_steps", "member_gap"),
    lacking=_lacking,
)
"""Violated where the inequality fails beyond both intervals, undecided where only the estimates break it. A world
without a member_gap, which cannot have produced what was read or was not measured, bounds nothing."""
