"""How many more real episodes would decide whether a gap is under epsilon."""

from __future__ import annotations

import numpy as np

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.transfer.laws.columns import along, intervals, minus, numbers
from sim2real_cat.transfer.laws.witnesses import Floats


def more_episodes(instance: ACSet, epsilon: float) -> Floats:
    """An estimate for every policy whose interval straddles epsilon, (n,), NaN for all others.

    The half-width of an interval shrinks with the root of the number of episodes, so that the end on the other side
    of epsilon comes to it at n' = n (half / |gap - ε|)², of which n are there. Half is the distance from the gap to
    that end, as the other may have been cut off at 0. Nothing can be said where the gap is epsilon itself, the
    interval has no such end, or it is not known how many episodes it is from.
    """
    gap, low, high = intervals(instance)
    half = np.where(gap < epsilon, minus(high, gap), minus(gap, low))
    there = measured_episodes(instance)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        more = np.ceil(np.round(there * (np.square(half / (gap - epsilon)) - 1.0), 6))  # 30.000000000001 is 30
    open_ = (low < epsilon) & (high >= epsilon) & (gap != epsilon)
    return np.where(open_ & np.isfinite(more), np.maximum(more, 1.0), np.nan)


def measured_episodes(instance: ACSet) -> Floats:
    """From how many real episodes the gap of each policy was measured, (n,), NaN where that is not known.

    `gap_episodes`; where it is undefined, what the robot's observation counts, less what diverged, if no other policy
    ran on that robot.
    """
    known = numbers(instance, "Policy", "gap_episodes")
    if "episodes" not in instance.schema.attrs:
        return known
    deploy = instance.column("deploy")
    seen = numbers(instance, "Observation", "episodes")
    seen = seen - np.nan_to_num(numbers(instance, "Observation", "diverged"))
    alone = np.bincount(deploy[deploy >= 0], minlength=instance.nparts("RealEnv")) == 1
    of_robot = np.where(alone, along(seen, instance.column("observe_real")), np.nan)
    return np.where(np.isnan(known), along(of_robot, deploy), known)
