"""Measure the gap of a deployment: of its fibre as a whole, and of each simulated world by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar, get_args

import numpy as np

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import GapError, WorldError, unknown_name
from sim2real_cat.gaps.estimate import Estimate, SampleMethod
from sim2real_cat.gaps.kl_gap import gap
from sim2real_cat.gaps.samples import Level
from sim2real_cat.predictive.estimate import GAPS_OF, GapOf, PredictiveGap
from sim2real_cat.predictive.gap import predictive_gap
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.transfer.deployment import Deployment
from sim2real_cat.worlds.parameters.channels import changes_period
from sim2real_cat.worlds.world import World

MeasureMethod = Literal["auto", "predictive", "gaussian", "knn", "ratio"]
"""The ways to measure the gap of a deployment: by predictions where the world allows it, or from samples."""

MEASURE_METHODS: tuple[MeasureMethod, ...] = get_args(MeasureMethod)

_T = TypeVar("_T")


@dataclass(frozen=True, eq=False)
class WorldGaps:
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
        fibre: the predictive gap of the finite fibre; the same where no randomization was integrated.
        by_world: the same of each world of the fibre by itself; None where that was not asked for.
    """

    transition: Estimate | None
    occupancy: Estimate | None
    note: str
    predictive: PredictiveGap | None = field(default=None, compare=False)
    fibre: PredictiveGap | None = field(default=None, compare=False)
    by_world: WorldGaps | None = field(default=None, compare=False)


def measure(
    deployment: Deployment,
    *,
    method: MeasureMethod = "auto",
    gap_of: GapOf = "randomization",
    confidence: float = 0.95,
    rng: np.random.Generator | int = 0,
    threads: int = 0,
) -> MeasuredGap:
    """Measure KL(P_real || P_sim) of a deployment.

    The simulated side is the randomization that its fibre was drawn from, integrated, where there is one and the method
    is "predictive". Otherwise it is the weighted mixture over its fibre.

    Episodes that diverged are left out. Where the samples allow no estimate, there is none, and the note says why.

    Args:
        deployment: what was deployed, and both recordings.
        method: "auto" is "predictive" where the world allows it and "gaussian", with a note why, where it does not.
            The gap of the marginal distributions is "gaussian" beside "predictive".
        gap_of: "fibre" takes the mixture over the fibre where there is a randomization too.
        confidence: nominal coverage of the intervals.
        rng: a generator, or a seed for one; deals episodes into blocks.
        threads: physics threads; 0 means one per core.

    Raises:
        GapError: a method that is not known.
    """
    asked = _Measuring(deployment, method, gap_of, confidence, np.random.default_rng(rng), threads)
    found, transition = asked.transition()
    fibre = asked.beside(found)
    occupancy = asked.noting("occupancy", lambda: asked.compare("occupancy"))
    for level, estimate in (("transition", transition), ("occupancy", occupancy)):
        if estimate is not None and not estimate.reliable:
            asked.notes.append(f"{level}: {'; '.join(estimate.why)}")
    by_world = member_gaps(deployment, fibre, method=asked.of_samples, confidence=confidence, rng=asked.rng)
    return MeasuredGap(transition, occupancy, " | ".join(asked.notes), found, fibre, by_world)


def measure_again(
    deployment: Deployment,
    *,
    method: MeasureMethod,
    gap_of: GapOf,
    confidence: float,
    rng: np.random.Generator,
    threads: int = 0,
) -> tuple[Estimate | None, Estimate | None, str]:
    """Measure a gap as `measure` does with the same generator.

    What takes most of `measure`'s time is left out: the null, the marginal distributions and single worlds.

    Returns:
        The gap per control step, that of one episode of the finite fibre, and notes.
    """
    asked = _Measuring(deployment, method, gap_of, confidence, rng, threads)
    found, transition = asked.transition(null=False)
    fibre = asked.beside(found)
    return transition, None if fibre is None else fibre.episode, " | ".join(asked.notes)


@dataclass(frozen=True, eq=False)
class _Measuring:
    """A deployment that is being measured, with the choices and the notes so far."""

    deployment: Deployment
    method: MeasureMethod
    gap_of: GapOf
    confidence: float
    rng: np.random.Generator
    threads: int
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.method not in MEASURE_METHODS:
            raise GapError(unknown_name("method", self.method, MEASURE_METHODS))
        if self.gap_of not in GAPS_OF:
            raise GapError(unknown_name("gap_of", self.gap_of, GAPS_OF))

    @property
    def of_samples(self) -> SampleMethod:
        """Return the method by which samples are compared."""
        return "gaussian" if self.method == "auto" or self.method == "predictive" else self.method

    def transition(self, *, null: bool = True) -> tuple[PredictiveGap | None, Estimate | None]:
        """Measure the gap per control step, and return the predictive gap too where it was taken from one."""
        found: PredictiveGap | None = None
        if self.method in ("auto", "predictive"):
            if self.gap_of == "randomization" and self.deployment.randomization is not None:
                found = self.noting("not of the randomization but of its fibre", self.integrate)
            if found is None:
                found = self.noting("predictive", lambda: self.predict(null=null))
        if found is not None or self.method == "predictive":
            return found, None if found is None else found.estimate
        splits = None if null else 0
        return None, self.noting("transition", lambda: self.compare("transition", splits))

    def beside(self, found: PredictiveGap | None) -> PredictiveGap | None:
        """Return the gap of the fibre, which is computed beside that of a randomization."""
        if found is None or found.gap_of == "fibre":
            return found
        return self.noting("fibre", lambda: self.predict(null=False))

    @property
    def _world(self) -> World:
        """Return the simulated world."""
        if self.deployment.world is None:
            raise GapError("the simulated world cannot be set to a recorded state")
        return self.deployment.world

    def integrate(self) -> PredictiveGap:
        """Compute the predictive gap of the deployment's randomization."""
        return predictive_gap(
            self._world,
            self.deployment.real,
            randomization=self.deployment.randomization,
            reality=self.deployment.reality,
            confidence=self.confidence,
            rng=self.rng,
            threads=self.threads,
        )

    def predict(self, *, null: bool) -> PredictiveGap:
        """Compute the predictive gap of the fibre, with its null where that is asked for."""
        deployment = self.deployment
        return predictive_gap(
            self._world,
            deployment.real,
            fibre=deployment.fibre,
            reality=deployment.reality,
            sim=deployment.sim if null else None,
            confidence=self.confidence,
            rng=self.rng,
            threads=self.threads,
        )

    def compare(self, level: Level, splits: int | None = None) -> Estimate:
        """Estimate the gap from the samples of both sides."""
        return gap(
            _real_steps(self.deployment),
            self.deployment.sim,
            method=self.of_samples,
            level=level,
            weights={member: float(weight) for member, weight in enumerate(self.deployment.fibre.weights)},
            confidence=self.confidence,
            rng=self.rng,
            splits=splits,
        )

    def noting(self, what: str, estimate: Callable[[], _T]) -> _T | None:
        """Return an estimate; None, with a note, where the samples or the world allow none."""
        try:
            return estimate()
        except (GapError, WorldError) as error:
            self.notes.append(f"{what}: {error}")
            return None


def _real_steps(deployment: Deployment) -> Trajectories:
    """Return the real episodes, as if a step took as long as in simulation where the control period is in question.

    A gap is per control step, so the steps are compared however long each took.
    """
    said = [deployment.fibre] if deployment.reality is None else [deployment.fibre, deployment.reality]
    if not any(changes_period(ensemble) for ensemble in said):
        return deployment.real
    return replace(deployment.real, control_period=deployment.sim.control_period)


def member_gaps(
    deployment: Deployment,
    predictive: PredictiveGap | None,
    *,
    method: SampleMethod,
    confidence: float,
    rng: np.random.Generator,
) -> WorldGaps:
    """Measure the gap and the square of every world of a fibre.

    Args:
        deployment: the fibre, with episodes in it and on the robot.
        predictive: the predictive gap of the fibre, which knows that of its members; None to compare the samples of
            each world by `method`, at the level "transition". The squares always compare samples.
        method: one of the methods of `sim2real_cat.gap`.
        confidence: nominal coverage of the intervals.
        rng: deals episodes into blocks.
    """
    real, sim = _real_steps(deployment), deployment.sim

    def between(member: int, level: Level) -> tuple[float, float, float]:
        own = sim.select(np.flatnonzero(sim.member_index == member))
        try:
            found = gap(real, own, method=method, level=level, confidence=confidence, rng=rng, splits=0)
        except GapError:  # too few episodes of one world; the gap of the fibre has a note of its own
            return np.nan, np.nan, np.nan
        return found.value, found.low, found.high

    worlds, known = range(len(deployment.fibre)), None if predictive is None else predictive.members
    return WorldGaps(
        np.array([between(e, "transition") for e in worlds]) if known is None else known.gaps,
        np.array([between(e, "occupancy") for e in worlds]),
    )
