"""What each simulated world of a fibre says by itself: its own gap, and how far its square is from commuting."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim2real_cat.errors import GapError
from sim2real_cat.gaps.gap import gap
from sim2real_cat.gaps.predictive import Predictive
from sim2real_cat.gaps.samples import Floats
from sim2real_cat.worlds.randomization import Ensemble
from sim2real_cat.worlds.trajectories import Trajectories


@dataclass(frozen=True, eq=False)
class MemberGaps:
    """The worlds of a fibre one by one, in its order.

    Attributes:
        gaps: (M, 3) KL(P_real || P_e) with the ends of its interval, in nats per control step; NaN where it could not
            be measured, infinite where the world cannot have produced what was read.
        squares: (M, 3) the divergence between what the world showed and what the robot showed, likewise, in nats per
            observation.
        square_level: the level of `squares`.
    """

    gaps: Floats
    squares: Floats
    square_level: str = "occupancy"


def member_gaps(
    fibre: Ensemble,
    sim: Trajectories,
    real: Trajectories,
    predictive: Predictive | None,
    *,
    method: str,
    confidence: float,
    rng: np.random.Generator,
) -> MemberGaps:
    """The gap and the square of every world of a fibre.

    Args:
        fibre: the worlds.
        sim: episodes in them; `member_index` says in which.
        real: episodes on the robot.
        predictive: the fibre's predictive gap, which knows that of its members; None to compare the samples of each
            world by `method`, at the level "transition". The squares always compare samples.
        method: one of the methods of `sim2real_cat.gap`.
        confidence: nominal coverage of the intervals.
        rng: deals episodes into blocks.
    """

    def between(member: int, level: str) -> tuple[float, float, float]:
        own = sim.select(np.flatnonzero(sim.member_index == member))
        try:
            found = gap(real, own, method, level=level, confidence=confidence, rng=rng, splits=0)
        except GapError:  # too few episodes of one world are no fault of the fibre, whose gap has a note of its own
            return np.nan, np.nan, np.nan
        return found.value, found.low, found.high

    worlds = range(len(fibre))
    return MemberGaps(
        np.array([between(e, "transition") for e in worlds]) if predictive is None else predictive.member_gaps,
        np.array([between(e, "occupancy") for e in worlds]),
    )
