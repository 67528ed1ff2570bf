"""The estimate of a divergence: its value, its interval, and whether to rely on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from sim2real_cat.gaps.samples import Level, Unit

SampleMethod: TypeAlias = Literal["gaussian", "knn", "ratio"]
"""A method that compares samples of both sides."""

EstimateMethod: TypeAlias = Literal["predictive", "gaussian", "knn", "ratio"]
"""A method by which a gap is estimated."""

Variant: TypeAlias = Literal["anchored", "extrapolated", "plain", "reduced"]
"""The way in which the method "knn" reduces its bias."""

VARIANTS: tuple[Variant, ...] = get_args(Variant)
"""The variants of the method "knn"."""


@dataclass(frozen=True)
class MethodSettings:
    """Choices that `gap` hands to every method; each reads those that concern it.

    Attributes:
        confidence: Nominal coverage of the interval, between 0 and 1.
        neighbours: How many nearest neighbours count, at least 1.
        variant: Of the method "knn"; None for the best that the samples allow.
        theiler: Steps of the own episode on both sides in which no point is a neighbour; None for the whole block.
        dither: Whether quantised sensors get noise of their quantum's width before distances are taken.
        splits: A/A comparisons of each side; None for as many as the method's cost allows.
    """

    confidence: float = 0.95
    neighbours: int = 5
    variant: Variant | None = None
    theiler: int | None = None
    dither: bool = True
    splits: int | None = None


@dataclass(frozen=True)
class MethodResult:
    """The answer of one method at one level.

    Attributes:
        plug_in: The divergence of the two fitted distributions, in nats.
        raw: The same with its small-sample bias removed; may be negative.
        low: Lower end of the interval around `raw`; may be negative.
        high: Upper end; infinite where no interval can be relied on.
        reasons: Reasons not to rely on it; empty if reliable.
        notes: Further remarks for the reader.
    """

    plug_in: float
    raw: float
    low: float
    high: float
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Null:
    """A/A values and the p-value of an estimate.

    Attributes:
        real: Estimates of real episodes against other real episodes, in the units of the estimate; may be negative.
        simulated: Of simulated against other simulated episodes of the same fibre.
        p_value: Of "no more than A/A"; None where it cannot be had.
        splits: How often each side was split.
        why: What was not computed and why, and how small the p-value can be.
    """

    real: tuple[float, ...]
    simulated: tuple[float, ...]
    p_value: float | None
    splits: int
    why: tuple[str, ...]


@dataclass(frozen=True)
class Estimate:
    """An estimate of KL(P_real || P_sim) with an interval that respects episodes.

    Attributes:
        value: The estimate in nats, >= 0: `raw`, or 0 where that is negative.
        low: Lower end of the interval, >= 0.
        high: Upper end; infinite where the method can give none.
        raw: The estimate corrected for its small-sample bias, before clipping at 0.
        plug_in: The estimate before that correction; the mean of `pointwise` for the method "gaussian".
        confidence: The nominal coverage of the interval, e.g. 0.95.
        method: "predictive", "gaussian", "knn" or "ratio".
        level: "occupancy", "transition" or "trajectory".
        units: "nats per observation", "nats per control step" or "nats per episode".
        n_real: Real points compared: observations or transitions.
        n_sim: Simulated points compared.
        episodes_real: Real episodes; independent rows count as one each.
        episodes_sim: Simulated episodes.
        n_members: Members of the fibre with a positive weight.
        sensors: Names of the sensors compared.
        reliable: Whether value and interval can be relied on.
        why: Reasons why not, then notes.
        null: The values of the same method where there is no gap, and a p-value; None where it was not asked for.
    """

    value: float
    low: float
    high: float
    raw: float
    plug_in: float
    confidence: float
    method: EstimateMethod
    level: Level
    units: Unit
    n_real: int
    n_sim: int
    episodes_real: int
    episodes_sim: int
    n_members: int
    sensors: tuple[str, ...]
    reliable: bool
    why: tuple[str, ...]
    null: Null | None = None

    def __str__(self) -> str:
        """E.g. ``0.213 [0.180, 0.251] nats per control step (gaussian, transition)``."""
        doubt = "" if self.reliable else ", unreliable"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}] {self.units} ({self.method}, {self.level}{doubt})"
