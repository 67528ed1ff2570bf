r"""The law `square`: what simulation showed is what reality showed, up to a divergence that is reported.

    SimEnv --train--> Policy --deploy--> RealEnv
        \                                  |
      observe_sim                      observe_real
          `--------> Observation <----------'

No square of a useful instance commutes exactly. That of a single world may be far from it without anything being wrong
with the data: a policy that was trained in a wide range saw mostly worlds that are not the real one, and one that does
not transfer saw none that is. So the divergence of a single square is a finding, reported in the notes and never held
to epsilon. What must hold is how the squares of a fibre relate: push the observations of the worlds forward along
`train`, and the mixture differs from the robot's observation by no more than any world does, plus ln 1/w_e. That the
mixture's own divergence is under epsilon exactly where a policy transfers is `transfer-identity`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Ids
from sim2real_cat.transfer.laws.columns import along, doubtful, intervals, minus, numbers, shares, texts, with_interval
from sim2real_cat.transfer.laws.fibre_bound import above
from sim2real_cat.transfer.laws.law import Law
from sim2real_cat.transfer.laws.witnesses import Floats, Witnesses, of_mask

_UNITS = {"occupancy": "nats per observation", "transition": "nats per control step"}
_ATTRIBUTES = {
    "square": ("square_gap", "square_low", "square_high"),
    "occupancy": ("occupancy_gap", "occupancy_low", "occupancy_high"),
}


@dataclass(frozen=True, eq=False)
class Squares:
    """The square of each SimEnv, and that of the mixture it is part of; (m,) each, NaN where one is not known.

    Attributes:
        train: the policy.
        level: of the divergences: "occupancy" or "transition".
        gap: the divergence of the world's observation, with its interval in `low` and `high`.
        mixture: the divergence of the fibre's mixture at the same level, with the lower end in `mixture_low`.
        cost: what the mixture may pay for the world's weight: ln 1/w_e at the level of observations, a T-th of it per
            control step.
        unreliable: whether the mixture's estimator doubts its number.
    """

    train: Ids
    level: NDArray[np.object_]
    gap: Floats
    low: Floats
    high: Floats
    mixture: Floats
    mixture_low: Floats
    cost: Floats
    unreliable: NDArray[np.bool_]


def squares(instance: ACSet) -> Squares:
    """What the instance says of its squares."""
    train, level = instance.column("train"), texts(instance, "square_level")
    gap, low, high = with_interval(*(numbers(instance, "SimEnv", name) for name in _ATTRIBUTES["square"]))
    mixtures = {
        "occupancy": with_interval(*(numbers(instance, "Policy", name) for name in _ATTRIBUTES["occupancy"])),
        "transition": intervals(instance),
    }
    mixture, mixture_low = np.full((2, len(train)), np.nan)
    for name, (value, least, _) in mixtures.items():
        mixture = np.where(level == name, along(value, train), mixture)
        mixture_low = np.where(level == name, along(least, train), mixture_low)
    steps = along(numbers(instance, "Policy", "gap_steps"), train)
    with np.errstate(divide="ignore", invalid="ignore"):  # a member of weight 0 bounds nothing
        cost = -np.log(shares(instance)) / np.where(level == "transition", steps, 1.0)
    unreliable = (level == "transition") & np.append(doubtful(instance), False)[train]
    return Squares(train, level, gap, low, high, mixture, mixture_low, cost, unreliable)


def _witnesses(instance: ACSet, epsilon: float) -> Witnesses:
    found = squares(instance)
    given = np.ma.getmaskarray(np.ma.asarray(instance.column("square_gap")))
    invalid = ~given & ~(np.isfinite(found.gap) & (found.gap >= 0))
    bound, most = found.gap + found.cost, found.high + found.cost
    broken = ~invalid & above(found.mixture, bound)
    certain = broken & above(found.mixture_low, most) & ~found.unreliable

    def message(row: int) -> str:
        return (
            f"differs from its robot by {found.gap[row]:.4g} {_units(found, row)}, which bounds the mixture of Policy "
            f"{found.train[row]} by {bound[row]:.4g}, but that differs by {found.mixture[row]:.4g}"
        )

    def commutes(row: int) -> str:
        text = (
            f"its square commutes up to {found.gap[row]:.4g} [{found.low[row]:.4g}, {found.high[row]:.4g}] "
            f"{_units(found, row)}"
        )
        return text if np.isnan(found.mixture[row]) else f"{text}, that of its fibre up to {found.mixture[row]:.4g}"

    return Witnesses(
        [
            of_mask(
                "violated",
                "SimEnv",
                invalid,
                lambda row: f"square_gap is {found.gap[row]:g}, but must be finite and >= 0",
                np.where(found.gap < 0, -found.gap, np.nan),
            ),
            of_mask("violated", "SimEnv", certain, message, minus(found.mixture_low, most)),
            of_mask(
                "undecided",
                "SimEnv",
                broken & ~certain,
                lambda row: f"{message(row)}, which the intervals leave open",
                minus(found.mixture, bound),
            ),
            of_mask("holds", "SimEnv", np.isfinite(found.gap) & (found.gap >= 0), commutes),
        ]
    )


def _units(found: Squares, row: int) -> str:
    return _UNITS.get(str(found.level[row]), "nats")


def _lacking(instance: ACSet) -> str:
    if not np.ma.getmaskarray(np.ma.asarray(instance.column("square_gap"))).all():
        return ""
    return "no SimEnv has a square_gap: how far what it showed is from what its policy's robot showed"


SQUARE = Law(
    "square",
    "What a policy's worlds showed is what its robot showed, up to a divergence reported for each world; the mixture's "
    "is at most that of any world, plus ln 1/weight of that world.",
    "observe_sim ≈ train·deploy·observe_real up to D_e; D(Σ w_e P_e) <= min_e (D_e + ln 1/w_e)",
    _witnesses,
    needs=("train", "square_gap", "square_level"),
    lacking=_lacking,
)
"""Violated where the mixture exceeds a world's bound beyond both intervals, or a divergence is none; undecided where
only the estimates do."""
