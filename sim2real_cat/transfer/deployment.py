"""One policy on one robot: where it was trained, what was seen in simulation and in reality, and the gap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim2real_cat.errors import GapError
from sim2real_cat.gaps.estimate import Estimate
from sim2real_cat.gaps.gap import gap
from sim2real_cat.worlds.randomization import Ensemble
from sim2real_cat.worlds.trajectories import Trajectories


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


@dataclass(frozen=True)
class MeasuredGap:
    """The gap of one deployment at both levels.

    Attributes:
        transition: `kl_gap`, in nats per control step; None where it could not be measured.
        occupancy: the gap of the marginal distributions, in nats per observation; None likewise.
        note: why a gap is missing or not to be relied on, '' where there is nothing to say.
    """

    transition: Estimate | None
    occupancy: Estimate | None
    note: str


def measure(deployment: Deployment, *, method: str, confidence: float, rng: np.random.Generator) -> MeasuredGap:
    """KL(P_real || P_sim) of a deployment, the simulated side being the weighted mixture over its fibre.

    Episodes that diverged are left out. Where the samples allow no estimate, there is none, and the note says why.
    """
    weights = {member: float(weight) for member, weight in enumerate(deployment.fibre.weights)}
    estimates: dict[str, Estimate | None] = {}
    notes: list[str] = []
    for level in ("transition", "occupancy"):
        try:
            estimate = gap(
                deployment.real,
                deployment.sim,
                method,
                level=level,
                weights=weights,
                confidence=confidence,
                rng=rng,
            )
        except GapError as error:
            estimates[level] = None
            notes.append(f"{level}: {error}")
        else:
            estimates[level] = estimate
            if not estimate.reliable:
                notes.append(f"{level}: {'; '.join(estimate.why)}")
    return MeasuredGap(estimates["transition"], estimates["occupancy"], " | ".join(notes))
