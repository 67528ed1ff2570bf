"""Measure the gap of a deployment: of its fibre as a whole, and of each simulated world by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeVar, get_args

import numpy as np

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import GapError, WorldError, unknown_name
from sim2real_cat.gaps.estimate import Estimate, SampleMethod
from sim2real_cat.gaps.kl_gap import gap
from sim2real_cat.predictive.estimate import PredictiveGap
from sim2real_cat.predictive.gap import predictive_gap
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.transfer.deployment import Deployment
from sim2real_cat.worlds.randomization.ensemble import Ensemble

Method = Literal["auto", "predictive", "gaussian", "knn", "ratio"]
"""How the gap of a deployment can be measured: by predictions where the world allows it, or from samples."""

METHODS: tuple[Method, ...] = get_args(Method)

Level = Literal["occupancy", "transition"]
"""What is compared: single observations, or what follows an observation within a control step."""

_T = TypeVar("_T")


@dataclass(frozen=True, eq=False)
class MemberGaps:
    """The gap and the square of each world of a fibre, in its order.

    Attributes:
        gaps: (M, 3) KL(P_real || P_e) with the ends of its interval, in nats per control step; NaN where it could not
            be measured, infinite where the world cannot have produced what was read.
        squares: (M, 3) the divergence between what the world showed and what the robot showed, likewise, in nats per
            observation.
        square_level: the level of `squares`.
    """

    gaps: Floats
    squares: Floats
    square_level: Level = "occupancy"


@dataclass(frozen=True)
class MeasuredGap:
    """The gap of one deployment, per control step and of the marginal distributions.

    Attributes:
        transition: `kl_gap`, in nats per control step; None where it could not be measured.
        occupancy: the gap of the marginal distributions, in nats per observation; None likewise.
        note: why a gap is missing or not to be relied on, '' where there is nothing to say.
        predictive: what `transition` was taken from where its method is "predictive".
        by_world: the same of each world of the fibre by itself; None where nobody asked.
    """

    transition: Estimate | None
    occupancy: Estimate | None
    note: str
    predictive: PredictiveGap | None = field(default=None, compare=False)
    by_world: MemberGaps | None = field(default=None, compare=False)


def measure(
    deployment: Deployment,
    *,
    method: Method = "auto",
    confidence: float = 0.95,
    rng: np.random.Generator | int = 0,
    threads: int = 0,
) -> MeasuredGap:
    """Measure KL(P_real || P_sim) of a deployment, the simulated side being the weighted mixture over its fibre.

    Episodes that diverged are left out. Where the samples allow no estimate, there is none, and the note says why.

    Args:
        deployment: what was deployed, and both recordings.
        method: one of `METHODS`; "auto" is "predictive" where the world allows it and "gaussian", with a note why,
            where it does not. The gap of the marginal distributions is "gaussian" beside "predictive".
        confidence: nominal coverage of the intervals.
        rng: a generator, or a seed for one; deals episodes into blocks.
        threads: physics threads; 0 means one per core.

    Raises:
        GapError: a method that is not known.
    """
    notes: list[str] = []
    rng = np.random.default_rng(rng)
    found, transition = _transition(deployment, method, confidence, rng, threads, notes)
    samples = _of_samples(method)
    occupancy = _noting(notes, "occupancy", lambda: _compare(deployment, samples, "occupancy", confidence, rng))
    for level, estimate in (("transition", transition), ("occupancy", occupancy)):
        if estimate is not None and not estimate.reliable:
            notes.append(f"{level}: {'; '.join(estimate.why)}")
    by_world = member_gaps(
        deployment.fibre, deployment.sim, deployment.real, found, method=samples, confidence=confidence, rng=rng
    )
    return MeasuredGap(transition, occupancy, " | ".join(notes), found, by_world)


def measure_again(
    deployment: Deployment, *, method: Method, confidence: float, rng: np.random.Generator, threads: int = 0
) -> tuple[Estimate | None, str]:
    """Measure the gap per control step as `measure` does with the same generator, and return it with its notes.

    What takes most of `measure`'s time is left out: the null, the marginal distributions and single worlds.
    """
    notes: list[str] = []
    _, transition = _transition(deployment, method, confidence, rng, threads, notes, null=False)
    return transition, " | ".join(notes)


def _transition(
    deployment: Deployment,
    method: Method,
    confidence: float,
    rng: np.random.Generator,
    threads: int,
    notes: list[str],
    *,
    null: bool = True,
) -> tuple[PredictiveGap | None, Estimate | None]:
    """The gap per control step, and what it was taken from where that is predictive."""
    if method not in METHODS:
        raise GapError(unknown_name("method", method, METHODS))
    found: PredictiveGap | None = None
    if method in ("auto", "predictive"):
        found = _noting(notes, "predictive", lambda: _predict(deployment, confidence, rng, threads, null))
    if found is not None or method == "predictive":
        return found, None if found is None else found.estimate
    splits = None if null else 0
    return None, _noting(
        notes, "transition", lambda: _compare(deployment, _of_samples(method), "transition", confidence, rng, splits)
    )


def _of_samples(method: Method) -> SampleMethod:
    """The method by which samples are compared."""
    return "gaussian" if method == "auto" or method == "predictive" else method


def _predict(
    deployment: Deployment, confidence: float, rng: np.random.Generator, threads: int, null: bool
) -> PredictiveGap:
    """The predictive gap, with its null where that is asked for."""
    if deployment.world is None:
        raise GapError("the simulated world cannot be set to a recorded state")
    return predictive_gap(
        deployment.world,
        deployment.real,
        fibre=deployment.fibre,
        reality=deployment.reality,
        sim=deployment.sim if null else None,
        confidence=confidence,
        rng=rng,
        threads=threads,
    )


def _compare(
    deployment: Deployment,
    method: SampleMethod,
    level: Level,
    confidence: float,
    rng: np.random.Generator,
    splits: int | None = None,
) -> Estimate:
    """The gap of the samples of both sides."""
    weights = {member: float(weight) for member, weight in enumerate(deployment.fibre.weights)}
    sides = deployment.real, deployment.sim
    return gap(*sides, method=method, level=level, weights=weights, confidence=confidence, rng=rng, splits=splits)


def _noting(notes: list[str], what: str, estimate: Callable[[], _T]) -> _T | None:
    """An estimate, or None and a note where the samples or the world allow none."""
    try:
        return estimate()
    except (GapError, WorldError) as error:
        notes.append(f"{what}: {error}")
        return None


def member_gaps(
    fibre: Ensemble,
    sim: Trajectories,
    real: Trajectories,
    predictive: PredictiveGap | None,
    *,
    method: SampleMethod,
    confidence: float,
    rng: np.random.Generator,
) -> MemberGaps:
    """Measure the gap and the square of every world of a fibre.

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

    def between(member: int, level: Level) -> tuple[float, float, float]:
        own = sim.select(np.flatnonzero(sim.member_index == member))
        try:
            found = gap(real, own, method=method, level=level, confidence=confidence, rng=rng, splits=0)
        except GapError:  # too few episodes of one world are no fault of the fibre, whose gap has a note of its own
            return np.nan, np.nan, np.nan
        return found.value, found.low, found.high

    worlds = range(len(fibre))
    return MemberGaps(
        np.array([between(e, "transition") for e in worlds]) if predictive is None else predictive.member_gaps,
        np.array([between(e, "occupancy") for e in worlds]),
    )
