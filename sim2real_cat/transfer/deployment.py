"""One policy on one robot: where it was trained, what was seen in simulation and in reality, and the gap.

What each simulated world of a fibre says by itself: its own gap, and how far its square is from commuting.

The deployment of a policy of which only recordings are known: its fibre plays the recorded actions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import GapError, InstanceError, WorldError, listed, unknown_name
from sim2real_cat.gaps.estimate import Estimate
from sim2real_cat.gaps.kl_gap import METHODS as SAMPLE_METHODS
from sim2real_cat.gaps.kl_gap import gap
from sim2real_cat.predictive.estimate import PredictiveGap
from sim2real_cat.predictive.gap import predictive_gap
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.sensors.sensing import sensed
from sim2real_cat.worlds.simulation.replay import replay
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
    predictive: PredictiveGap | None = field(default=None, compare=False)
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
) -> tuple[PredictiveGap | None, Estimate | None]:
    """The gap per control step, and what it was taken from where that is predictive."""
    if method not in METHODS:
        raise GapError(unknown_name("method", method, METHODS))
    found: PredictiveGap | None = None
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
) -> PredictiveGap:
    """The predictive gap."""
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
    predictive: PredictiveGap | None,
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


def deploy_recording(
    world: World,
    recording: Trajectories,
    *,
    robot: str,
    fibre: Ensemble,
    rng: np.random.Generator | int,
    threads: int = 0,
) -> Deployment:
    """The deployment that a recording is: the real side as recorded, the simulated one under the same actions.

    The policy itself is not known, so its digest is that of the actions, and it has no birth. A simulated episode
    starts in the recorded first state and runs open loop. It drifts away from the recording where the world is
    another, and further than under a policy that reacts; cut a long recording with `segments` first, or the gap
    says how long it was.

    Args:
        world: the simulated world, with the noise of its sensors; without noise a simulation has no density.
        recording: episodes of one policy, with states.
        robot: the name of the real world.
        fibre: the simulated worlds that play the actions.
        rng: a generator, or a seed for one: the noise of the simulated sensors.
        threads: physics threads; 0 means one per available core.

    Raises:
        InstanceError: the episodes are not all of one policy that has a name.
        WorldError: the recording does not fit the world.
    """
    names = sorted(set(recording.policies))
    if len(names) != 1 or not names[0]:
        raise InstanceError(f"a deployment is of one named policy, the recording is of {listed(map(repr, names))}")
    played = replay(world, recording, fibre=fibre, threads=threads)
    sim = sensed(world, played, rng=rng, fibre=fibre)
    return Deployment(names[0], robot, _digest(recording), None, fibre, sim, recording, world=world)


def _digest(recording: Trajectories) -> str:
    """SHA-256 of the actions of all episodes."""
    content = hashlib.sha256()
    for actions, length in zip(recording.actions, recording.lengths, strict=True):
        played = np.ascontiguousarray(actions[:length], dtype="<f8")
        content.update(str(played.shape).encode() + played.tobytes())
    return content.hexdigest()
