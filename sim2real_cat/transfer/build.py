"""Build an instance from deployments: its arrows say which policy ran in which world, `kl_gap` the measured gap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.engines import EngineName
from sim2real_cat.errors import InstanceError
from sim2real_cat.gaps.estimate import Estimate, Null
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.transfer.deployment import Deployment
from sim2real_cat.transfer.instance import TransferInstance
from sim2real_cat.transfer.laws.law import DEFAULT_EPSILON
from sim2real_cat.transfer.measurement import MeasuredGap, WorldGaps, measure
from sim2real_cat.transfer.schema import SchTransferStudy


@dataclass(frozen=True)
class RecordingFile:
    """The file in which the episodes of an observation lie.

    Attributes:
        path: the file, relative to the study's folder.
        digest: SHA-256 of its bytes.
    """

    path: str
    digest: str


def build_instance(
    deployments: Sequence[Deployment],
    gaps: Sequence[MeasuredGap] | None = None,
    epsilon: float = DEFAULT_EPSILON,
    recordings: Mapping[str, RecordingFile] | None = None,
    *,
    rng: np.random.Generator | int = 0,
    threads: int = 0,
    engine: EngineName = "embedded",
) -> TransferInstance:
    """Build the instance of `SchTransferStudy` of some deployments.

    Args:
        deployments: every policy on its robot.
        gaps: their gaps, in the same order; measured by `measure`, with its defaults, where none are given.
        epsilon: bound, in nats per control step, under which a policy transfers.
        recordings: where the episodes lie, by policy name (simulated side) and robot name (real side).
        rng: a generator, or a seed for one, where gaps are measured.
        threads: physics threads where gaps are measured; 0 means one per core.
        engine: where the instance is built and computed with, "embedded" or "catlab".

    Raises:
        EngineError: for an engine that is not known, or not installed.
        InstanceError: two policies of one name, a policy and a robot of one name, gaps that do not go with
            the deployments, or an epsilon that is not a positive number.
    """
    acset = ACSet(SchTransferStudy, unique_index=["policy_name", "real_name", "sim_name"], engine=engine)
    if gaps is None:
        generator = np.random.default_rng(rng)
        gaps = [measure(deployment, rng=generator, threads=threads) for deployment in deployments]
    names = [deployment.policy for deployment in deployments]
    robots = list(dict.fromkeys(deployment.robot for deployment in deployments))
    if not 0 < epsilon < np.inf:
        raise InstanceError(f"epsilon must be a positive number of nats, got {epsilon}")
    if len(gaps) != len(deployments):
        raise InstanceError(f"{len(deployments)} deployments need as many gaps, got {len(gaps)}")
    for name in names:
        if names.count(name) > 1 or name in robots:
            raise InstanceError(f"the name '{name}' is taken twice; give every policy and robot a name of its own")
    known = {} if recordings is None else recordings
    for robot in robots:
        parts = [deployment.real for deployment in deployments if deployment.robot == robot]
        seen = _observation(acset, f"{robot} (real)", parts, known.get(robot))
        acset.add("RealEnv", real_name=robot, observe_real=seen)
    taken_over = takeovers(deployments, gaps, epsilon)
    for deployment, measured in zip(deployments, gaps, strict=True):
        acset.add(
            "Policy",
            policy_name=deployment.policy,
            deploy=robots.index(deployment.robot),
            weights_digest=deployment.weights_digest,
            birth_digest=deployment.birth_digest,
            trainer=deployment.trainer,
            entropy_coefficient=deployment.entropy_coefficient,
            return_sim=_mean_return(deployment.sim),
            return_real=_mean_return(deployment.real),
            **_measurements(measured),
        )
    acset.set("Policy", acset.parts("Policy"), transfer=taken_over)
    for policy, deployment in enumerate(deployments):
        _add_fibre(acset, policy, deployment, gaps[policy].by_world, known.get(deployment.policy))
    return TransferInstance(acset)


def takeovers(deployments: Sequence[Deployment], gaps: Sequence[MeasuredGap], epsilon: float) -> NDArray[np.int64]:
    """Compute the endomorphism `transfer`: the policy that each policy goes to, -1 where there is none.

    A policy whose gap is under epsilon goes to itself. Where the gap is not, the policy of the same robot with
    the highest real return among those under epsilon takes over, the first where no rewards were recorded. A policy
    whose gap was not measured, or that no policy can replace, goes nowhere.

    Returns:
        (n,) 0-based policies.
    """
    gap = np.array([np.nan if g.transition is None else g.transition.value for g in gaps])
    real = [_mean_return(deployment.real) for deployment in deployments]
    returns = np.array([-np.inf if mean is None else mean for mean in real])
    transfers = gap < epsilon
    target = np.full(len(deployments), -1, dtype=np.int64)
    for policy, deployment in enumerate(deployments):
        if transfers[policy]:
            target[policy] = policy
        elif not np.isnan(gap[policy]):
            heirs = [i for i, d in enumerate(deployments) if d.robot == deployment.robot and transfers[i]]
            if heirs:
                target[policy] = max(heirs, key=lambda heir: (returns[heir], -heir))
    return target


def _add_fibre(
    acset: ACSet, policy: int, deployment: Deployment, by_world: WorldGaps | None, recording: RecordingFile | None
) -> None:
    """Add a SimEnv, its observation and its draws for every member of a policy's fibre."""
    fibre = deployment.fibre
    for member in range(len(fibre)):
        name = f"{deployment.policy}/{member}"
        seen = _observation(acset, name, [deployment.sim.select(deployment.sim.member_index == member)], recording)
        env = acset.add(
            "SimEnv",
            sim_name=name,
            train=policy,
            observe_sim=seen,
            sim_weight=float(fibre.weights[member]),
            sim_level=float(fibre.level),
            **({} if by_world is None else _of_world(by_world, member)),
        )
        acset.add_parts(
            "Draw",
            len(fibre.parameters),
            drawn_in=[env] * len(fibre.parameters),
            parameter=list(fibre.parameters),
            change=list(fibre.modes),
            drawn_value=fibre.values[member],
        )


def _observation(acset: ACSet, name: str, parts: Sequence[Trajectories], recording: RecordingFile | None) -> int:
    """Add a row for what was observed in one world."""
    return acset.add(
        "Observation",
        observation_name=name,
        recording=None if recording is None else recording.path,
        recording_digest=None if recording is None else recording.digest,
        episodes=sum(len(part) for part in parts),
        frames=sum(int((part.lengths + 1).sum()) for part in parts),
        diverged=sum(int(part.diverged.sum()) for part in parts),
    )


def _mean_return(trajectories: Trajectories) -> float | None:
    """Compute the mean return of the episodes that did not diverge; None where all did or no reward was recorded."""
    kept = trajectories.kept & (~np.isnan(trajectories.rewards).all(axis=1) | (trajectories.lengths == 0))
    return float(trajectories.returns[kept].mean()) if kept.any() else None


def _measurements(measured: MeasuredGap) -> dict[str, object]:
    """Return the attributes of a policy that its gap fills; an interval without an upper end leaves it undefined."""
    row: dict[str, object] = {"gap_note": measured.note or None}
    if (transition := measured.transition) is not None:
        row |= _interval("kl_gap", "gap_low", "gap_high", transition.value, transition.low, transition.high)
        row |= {"gap_method": transition.method, "gap_level": transition.level, "gap_reliable": transition.reliable}
        episodes = transition.episodes_real
        row |= {"gap_steps": transition.n_real / episodes, "gap_episodes": episodes} | _null(transition.null)
    if (predictive := measured.predictive) is not None:
        row |= {"gap_of": predictive.gap_of, "gap_uncorrected": float(predictive.terms.mean())}
        row |= _attributes("kl_gap_episode", predictive.episode) | _attributes("gap_complexity", predictive.complexity)
        row |= _null(predictive.estimate.null or predictive.episode.null)
    if measured.fibre is not None:
        row |= _attributes("fibre_gap", measured.fibre.episode)
    if (occupancy := measured.occupancy) is not None:
        numbers = (occupancy.value, occupancy.low, occupancy.high)
        row |= _interval("occupancy_gap", "occupancy_low", "occupancy_high", *numbers)
    return row


def _attributes(name: str, estimate: Estimate) -> dict[str, object]:
    """Return an estimate as an attribute and those of its interval."""
    return _interval(name, f"{name}_low", f"{name}_high", estimate.value, estimate.low, estimate.high)


def _null(null: Null | None) -> dict[str, object]:
    """Return the mean of the A/A values, at least 0, and the p-value: what the estimator says where there is no gap."""
    if null is None:
        return {}
    values = (*null.real, *null.simulated)
    return {"gap_null": max(float(np.mean(values)), 0.0) if values else None, "gap_p_value": null.p_value}


def _of_world(by_world: WorldGaps, member: int) -> dict[str, object]:
    """Return the attributes of a SimEnv that its own gap and its square fill, where these were measured."""
    row: dict[str, object] = {}
    if np.isfinite(by_world.gaps[member, 0]):
        row |= _interval("member_gap", "member_gap_low", "member_gap_high", *by_world.gaps[member].tolist())
    if np.isfinite(by_world.squares[member, 0]):
        row |= _interval("square_gap", "square_low", "square_high", *by_world.squares[member].tolist())
        row["square_level"] = by_world.square_level
    return row


def _interval(name: str, low_name: str, high_name: str, value: float, low: float, high: float) -> dict[str, object]:
    """Return a value with its interval; an infinite upper end stays undefined."""
    return {name: value, low_name: low, high_name: high if np.isfinite(high) else None}
