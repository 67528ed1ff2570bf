"""One policy on one robot: where it was trained, what was seen in simulation and in reality, and the gap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from sim2real_cat.errors import GapError, WorldError, unknown_name
from sim2real_cat.gaps.estimate import Estimate
from sim2real_cat.gaps.gap import METHODS as SAMPLE_METHODS
from sim2real_cat.gaps.gap import gap
from sim2real_cat.gaps.predictive import Predictive
from sim2real_cat.transfer.members import MemberGaps, member_gaps
from sim2real_cat.transfer.predictive_gap import predictive_gap
from sim2real_cat.worlds.randomization import Ensemble
from sim2real_cat.worlds.trajectories import Trajectories
from sim2real_cat.worlds.world import World

METHODS = ("auto", "predictive", *SAMPLE_METHODS)
"""How the gap of a deployment can be measured."""

_T = TypeVar("_T")


@dataclass(frozen=True, eq=False)
class Deployment:
    """A policy, its fibre and the rollouts on both sides.

    Attributes:
        policy: the policy's name.
        robot: the name of the real world it was deployed on.
        weights_digest: digest of its weights; the same in simulation and in reality.
        birth_digest: digest of the policy before training; None where it was not trained here.
        fibre: the simulated worlds it was trained in.
        sim: episodes in the fibre; `member_index` says in which of its worlds.
        real: episodes on the robot.
        trainer: how the policy was trained; None where it was not trained here.
        entropy_coefficient: the weight of the policy's entropy in training; None where it had none.
        world: the world that the fibre varies; None where it cannot be set to a recorded state.
        reality: the parameters of the real world where that is one of MuJoCo's, by `real.member_index`; None where
            only the recording is known.
    """

    policy: str
    robot: str
    weights_digest: str
    birth_digest: str | None
    fibre: Ensemble
    sim: Trajectories
    real: Trajectories
    trainer: str | None = None
    entropy_coefficient: float | None = None
    world: World | None = None
    reality: Ensemble | None = None


@dataclass(frozen=True)
class MeasuredGap:
    """The gap of one deployment at both levels.

    Attributes:
        transition: `kl_gap`, in nats per control step; None where it could not be measured.
        occupancy: the gap of the marginal distributions, in nats per observation; None likewise.
        note: why a gap is missing or not to be relied on, '' where there is nothing to say.
        predictive: what `transition` was taken from where its method is "predictive".
        members: what each world of the fibre says by itself; None where nobody asked.
    """

    transition: Estimate | None
    occupancy: Estimate | None
    note: str
    predictive: Predictive | None = field(default=None, compare=False)
    members: MemberGaps | None = field(default=None, compare=False)


def measure(
    deployment: Deployment, *, method: str, confidence: float, rng: np.random.Generator, threads: int = 0
) -> MeasuredGap:
    """KL(P_real || P_sim) of a deployment, the simulated side being the weighted mixture over its fibre.

    Episodes that diverged are left out. Where the samples allow no estimate, there is none, and the note says why.

    Args:
        deployment: what was deployed, and both recordings.
        method: one of `METHODS`; "auto" is "predictive" where the world allows it and "gaussian", with a note why,
            where it does not. The gap of the marginal distributions is "gaussian" beside "predictive".
        confidence: nominal coverage of the intervals.
        rng: deals episodes into blocks.
        threads: physics threads; 0 means one per core.

    Raises:
        GapError: a method that is not known.
    """
    notes: list[str] = []
    found, transition = _transition(deployment, method, confidence, rng, threads, notes)
    samples = "gaussian" if method in ("auto", "predictive") else method
    occupancy = _noting(notes, "occupancy", lambda: _compare(deployment, samples, "occupancy", confidence, rng))
    for level, estimate in (("transition", transition), ("occupancy", occupancy)):
        if estimate is not None and not estimate.reliable:
            notes.append(f"{level}: {'; '.join(estimate.why)}")
    members = member_gaps(
        deployment.fibre, deployment.sim, deployment.real, found, method=samples, confidence=confidence, rng=rng
    )
    return MeasuredGap(transition, occupancy, " | ".join(notes), found, members)


def measure_again(
    deployment: Deployment, *, method: str, confidence: float, rng: np.random.Generator, threads: int = 0
) -> tuple[Estimate | None, str]:
    """The gap per control step as `measure` finds it with the same generator, and its notes; no more than that.

    What takes most of `measure`'s time is left out: the null, the marginal distributions and single worlds.
    """
    notes: list[str] = []
    _, transition = _transition(deployment, method, confidence, rng, threads, notes, null=False)
    return transition, " | ".join(notes)


def _transition(
    deployment: Deployment,
    method: str,
    confidence: float,
    rng: np.random.Generator,
    threads: int,
    notes: list[str],
    *,
    null: bool = True,
) -> tuple[Predictive | None, Estimate | None]:
    """The gap per control step, and what it was taken from where that is predictive."""
    if method not in METHODS:
        raise GapError(unknown_name("method", method, METHODS))
    found: Predictive | None = None
    if method in ("auto", "predictive"):
        found = _noting(notes, "predictive", lambda: _predict(deployment, confidence, rng, threads, null))
    if found is not None or method == "predictive":
        return found, None if found is None else found.estimate
    samples, splits = "gaussian" if method == "auto" else method, None if null else 0
    return None, _noting(
        notes, "transition", lambda: _compare(deployment, samples, "transition", confidence, rng, splits)
    )


def _predict(
    deployment: Deployment, confidence: float, rng: np.random.Generator, threads: int, null: bool
) -> Predictive:
    """The predictive gap."""
    if deployment.world is None:
        raise GapError("the simulated world cannot be set to a recorded state")
    return predictive_gap(
        deployment.world,
        deployment.real,
        members=deployment.fibre,
        reality=deployment.reality,
        sim=deployment.sim if null else None,
        confidence=confidence,
        rng=rng,
        threads=threads,
    )


def _compare(
    deployment: Deployment,
    method: str,
    level: str,
    confidence: float,
    rng: np.random.Generator,
    splits: int | None = None,
) -> Estimate:
    """The gap of the samples of both sides."""
    weights = {member: float(weight) for member, weight in enumerate(deployment.fibre.weights)}
    sides = deployment.real, deployment.sim
    return gap(*sides, method, level=level, weights=weights, confidence=confidence, rng=rng, splits=splits)


def _noting(notes: list[str], what: str, estimate: Callable[[], _T]) -> _T | None:
    """An estimate, or None and a note where the samples or the world allow none."""
    try:
        return estimate()
    except (GapError, WorldError) as error:
        notes.append(f"{what}: {error}")
        return None
