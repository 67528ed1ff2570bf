r"""The laws that compare a policy's gap with what was measured of its worlds, or measure it again.

`fibre-bound`: a mixture is at most worse than any of its members by the weight it gives it. A mixture is at least w_e
times its member e, so that along a trajectory of T steps ln P_sim >= ln w_e + ln P_e and
T fibre_gap(π) <= T kl_gap(e) + ln 1/w_e. It is a bound for whole trajectories, whose mixture remembers which member the
past spoke for. A method that compares single steps forgets it, and pays ln 1/w_e again at every step: its gaps are not
asked about.

`square`: what simulation showed is what reality showed, up to a divergence that is reported.

    SimEnv --train--> Policy --deploy--> RealEnv
        \                                  |
      observe_sim                      observe_real
          `--------> Observation <----------'

No square of a useful instance commutes exactly. That of a single world may be far from it without anything being wrong
with the data: a policy that was trained in a wide range saw mostly worlds that are not the real one, and one that does
not transfer saw none that is. So the divergence of a single square is a finding, reported in the notes and never held
to epsilon. The law is about how the squares of a fibre relate: push the observations of the worlds forward along
`train`, and the mixture differs from the robot's observation by no more than any world does, plus ln 1/w_e. That the
mixture's own divergence is under epsilon exactly where a policy transfers is `transfer-identity`.

`gap-recomputes`: the estimator, run again on the recordings that the instance refers to, says the same. The recordings
lie in files, and some methods need the world that was simulated. So the law is given something that measures again;
`sim2real_cat.study.recompute_gaps` makes one of a study's folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Ids
from sim2real_cat.arrays import Bools, Floats
from sim2real_cat.transfer.laws.law import (
    Law,
    Witness,
    Witnesses,
    doubtful,
    intervals,
    minus,
    numbers,
    of_mask,
    shares,
    texts,
    values_at,
    with_interval,
)

_MEASURED = "It compares numbers of measurements, which a category does not see."

# Relative difference that is rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class FibreBounds:
    """Both sides of `fibre-bound` for every policy, (n,) each, in nats per episode; NaN where one is not known.

    Attributes:
        gap: T fibre_gap(π).
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
        """Return the SimEnv whose bound is the smallest of a policy's fibre."""
        fibre = np.flatnonzero(self.train == policy)
        return int(fibre[self.of_world[fibre].argmin()])


def fibre_bounds(instance: ACSet) -> FibreBounds:
    """Read both sides of the inequality from an instance."""
    gap, low, _ = _of_fibre(instance)
    steps = _steps(instance)
    train = instance.column_ids("train")
    names = ("member_gap", "member_gap_low", "member_gap_high")
    member, _, member_high = with_interval(*(numbers(instance, "SimEnv", name) for name in names))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # a member of weight 0 never binds
        cost = -np.log(shares(instance))
        of_world, high = (values_at(steps, train) * side + cost for side in (member, member_high))
    of_world, high = (np.where(np.isnan(side), np.inf, side) for side in (of_world, high))
    bound, bound_high = (_least(side, train, len(gap)) for side in (of_world, high))
    bound = np.where(np.isinf(bound), np.nan, bound)
    with np.errstate(over="ignore"):
        return FibreBounds(steps * gap, steps * low, bound, bound_high, of_world, train)


def _of_fibre(instance: ACSet) -> tuple[Floats, Floats, Floats]:
    """Return the gap of one episode of each policy's finite mixture, with its interval; NaN where undefined."""
    return with_interval(*(numbers(instance, "Policy", f"fibre_gap{end}") for end in ("", "_low", "_high")))


def _steps(instance: ACSet) -> Floats:
    """Return the control steps of an episode, for policies whose gap is that of whole trajectories; NaN for others."""
    steps = numbers(instance, "Policy", "gap_steps")
    steps = np.where(np.isfinite(steps) & (steps > 0), steps, np.nan)
    if "gap_method" not in instance.schema.attrs:
        return steps
    method = texts(instance, "gap_method")
    return np.where((method == "predictive") | (method == ""), steps, np.nan)


def _least(values: Floats, fibre: Ids, n: int) -> Floats:
    """Return the smallest value over each of n fibres, (n,), infinite for an empty one."""
    found = np.full(n, np.inf)
    inside = fibre >= 0
    np.minimum.at(found, fibre[inside], values[inside])
    return found


def _above(left: Floats, right: Floats) -> Bools:
    """Tell where the left side is the larger one by more than rounding; never where one is NaN."""
    with np.errstate(invalid="ignore"):
        return minus(left, right) > _ROUNDING * (1.0 + np.abs(right))


def _fibre_bound_witnesses(instance: ACSet, epsilon: float) -> Witnesses:
    sides = fibre_bounds(instance)
    broken = _above(sides.gap, sides.bound)
    known = ~np.isnan(sides.gap) & ~np.isnan(sides.bound)
    certain = broken & _above(sides.gap_low, sides.bound_high) & ~doubtful(instance)

    def message(row: int) -> str:
        return (
            f"T·fibre_gap is {sides.gap[row]:.4g} nats, but SimEnv {sides.binding(row)} alone bounds it by "
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
                    f"T·fibre_gap is {sides.gap[row]:.4g} nats; SimEnv {sides.binding(row)} binds it, "
                    f"at {sides.bound[row]:.4g}"
                ),
                minus(sides.gap, sides.bound),
            ),
        ]
    )


def _fibre_bound_lacking(instance: ACSet) -> str:
    known = ~np.isnan(_steps(instance)) & ~np.isnan(_of_fibre(instance)[0])
    measured = ~np.isnan(numbers(instance, "SimEnv", "member_gap"))
    if (measured & np.append(known, False)[instance.column_ids("train")]).any():
        return ""
    return "no policy has a fibre_gap, its gap_steps, and the member_gap of a world that trained it"


FIBRE_BOUND = Law(
    "fibre-bound",
    "The gap of the mixture over an episode is at most that of any world of the fibre, plus ln 1/weight of that world.",
    "T·fibre_gap(π) <= min_{e ∈ train⁻¹(π)} (T·kl_gap(e) + ln 1/w_e)",
    _fibre_bound_witnesses,
    needs=("train", "fibre_gap", "gap_steps", "member_gap"),
    lacking=_fibre_bound_lacking,
    python_only=_MEASURED,
)
"""Violated where the inequality fails beyond both intervals, undecided where only the estimates break it. A world
without a member_gap, which cannot have produced what was read or was not measured, bounds nothing."""


_UNITS = {"occupancy": "nats per observation", "transition": "nats per control step"}
_ATTRIBUTES = {
    "square": ("square_gap", "square_low", "square_high"),
    "occupancy": ("occupancy_gap", "occupancy_low", "occupancy_high"),
}


@dataclass(frozen=True, eq=False)
class SquareDivergences:
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
    unreliable: Bools


def square_divergences(instance: ACSet) -> SquareDivergences:
    """Read the squares of an instance, with the mixtures they are part of."""
    train, level = instance.column_ids("train"), texts(instance, "square_level")
    gap, low, high = with_interval(*(numbers(instance, "SimEnv", name) for name in _ATTRIBUTES["square"]))
    mixtures = {
        "occupancy": with_interval(*(numbers(instance, "Policy", name) for name in _ATTRIBUTES["occupancy"])),
        "transition": tuple(
            np.where(np.isnan(fibre), whole, fibre)
            for fibre, whole in zip(_of_fibre(instance), intervals(instance), strict=True)
        ),
    }
    mixture, mixture_low = np.full((2, len(train)), np.nan)
    for name, (value, least, _) in mixtures.items():
        mixture = np.where(level == name, values_at(value, train), mixture)
        mixture_low = np.where(level == name, values_at(least, train), mixture_low)
    steps = values_at(numbers(instance, "Policy", "gap_steps"), train)
    with np.errstate(divide="ignore", invalid="ignore"):  # a member of weight 0 bounds nothing
        cost = -np.log(shares(instance)) / np.where(level == "transition", steps, 1.0)
    unreliable = (level == "transition") & np.append(doubtful(instance), False)[train]
    return SquareDivergences(train, level, gap, low, high, mixture, mixture_low, cost, unreliable)


def _square_witnesses(instance: ACSet, epsilon: float) -> Witnesses:
    found = square_divergences(instance)
    given = np.ma.getmaskarray(np.ma.asarray(instance.column("square_gap")))
    invalid = ~given & ~(np.isfinite(found.gap) & (found.gap >= 0))
    bound, most = found.gap + found.cost, found.high + found.cost
    broken = ~invalid & _above(found.mixture, bound)
    certain = broken & _above(found.mixture_low, most) & ~found.unreliable

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


def _units(found: SquareDivergences, row: int) -> str:
    return _UNITS.get(str(found.level[row]), "nats")


def _square_lacking(instance: ACSet) -> str:
    if not np.ma.getmaskarray(np.ma.asarray(instance.column("square_gap"))).all():
        return ""
    return "no SimEnv has a square_gap: how far what it showed is from what its policy's robot showed"


SQUARE = Law(
    "square",
    "A policy's worlds showed what its robot showed, up to a divergence reported for each world; the divergence of "
    "their mixture is at most that of any world, plus ln 1/weight of that world.",
    "observe_sim ≈ train·deploy·observe_real up to D_e; D(Σ w_e P_e) <= min_e (D_e + ln 1/w_e)",
    _square_witnesses,
    needs=("train", "square_gap", "square_level"),
    lacking=_square_lacking,
    python_only=_MEASURED,
)
"""Violated where the mixture exceeds a world's bound beyond both intervals, or a divergence is not a finite
number >= 0; undecided where only the estimates do."""


TOLERANCE = 1e-6
"""Relative difference of two numbers that count as the same: other processors and libraries round differently."""

_SMALL = 1e-9  # nats, under which the difference of two gaps is none


@dataclass(frozen=True)
class Recomputed:
    """A policy's gap, measured again.

    Attributes:
        value: the gap, as `kl_gap`; None where it cannot be measured.
        low: the lower end of its interval, as `gap_low`.
        high: the upper end, infinite where there is none.
        fibre_gap: the gap of one episode of the finite fibre, as `fibre_gap`; None where it cannot be measured.
        reason: why it could not be measured again, '' where it was.
        broken: what is wrong with the recordings it was measured from, '' where they are unchanged.
        note: what explains a difference, such as other versions.
    """

    value: float | None = None
    low: float = 0.0
    high: float = np.inf
    fibre_gap: float | None = None
    reason: str = ""
    broken: str = ""
    note: str = ""


class Recompute(Protocol):
    """A function that measures the gap of a policy again."""

    def __call__(self, instance: ACSet, policy: int) -> Recomputed:
        """Measure the gap of a policy of an instance, from the recordings that its observations name."""


def gap_recomputes(recompute: Recompute | None = None) -> Law:
    """Make the law from a function that measures again; without one, it is not asked."""

    def witnesses(instance: ACSet, epsilon: float) -> Iterator[Witness]:
        columns = (*intervals(instance), _of_fibre(instance)[0])
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
        python_only="It runs an estimator on recordings, and estimators are written in Python.",
    )


def _compare(policy: int, recorded: tuple[float, ...], again: Recomputed) -> Iterator[Witness]:
    """Yield the differences between the recorded gaps, with the interval of `kl_gap`, and those measured again."""
    because = f" ({again.note})" if again.note else ""
    if again.broken:
        yield Witness("violated", "Policy", policy, again.broken)
    elif again.reason:
        yield Witness("undecided", "Policy", policy, again.reason)
    elif again.value is None:
        yield Witness("violated", "Policy", policy, f"kl_gap is {recorded[0]:.8g}, but there is none again{because}")
    else:
        found = (again.value, again.low, again.high, np.nan if again.fibre_gap is None else again.fibre_gap)
        for name, old, new in zip(("kl_gap", "gap_low", "gap_high", "fibre_gap"), recorded, found, strict=True):
            if name == "fibre_gap" and (np.isnan(old) or np.isnan(new)):
                continue
            if not np.isclose(old, new, rtol=TOLERANCE, atol=_SMALL):
                off = abs(old - new)
                text = f"{name} is {old:.8g}, but measured again it is {new:.8g}{because}"
                yield Witness("violated", "Policy", policy, text, excess=float(off) if np.isfinite(off) else None)


GAP_RECOMPUTES = gap_recomputes()
"""The law without a function that measures again: not asked."""
