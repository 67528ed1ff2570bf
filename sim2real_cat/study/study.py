"""Run a study: train, roll out in simulation and reality, measure, build the instance, check the laws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.engines import EngineName, require_engine
from sim2real_cat.errors import GapError, StudyError, WorldError, unknown_name
from sim2real_cat.evidence.events import EventLog
from sim2real_cat.evidence.proof import verify_transfer_success
from sim2real_cat.gaps.kl_gap import pointwise
from sim2real_cat.policies.policy import Policy
from sim2real_cat.study.description import Candidate, Description, generator, read_description
from sim2real_cat.study.folder import check_folder, write_folder, write_recordings
from sim2real_cat.study.result import StudyResult
from sim2real_cat.training.random_search import train
from sim2real_cat.training.trained import Trained
from sim2real_cat.transfer.build import build_instance
from sim2real_cat.transfer.deployment import Deployment, deploy
from sim2real_cat.transfer.measurement import MeasuredGap, measure
from sim2real_cat.worlds.parameters.apply import actuator_delays
from sim2real_cat.worlds.parameters.channels import with_period
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.randomization.randomization import Randomization
from sim2real_cat.worlds.simulation.prediction import predict_steps
from sim2real_cat.worlds.world import World

Progress = Callable[[str, int, int], None]
"""A function that is called with the task at hand, how much of it is done, and how much there is."""


@dataclass(frozen=True)
class Study:
    """A study that can be run.

    Attributes:
        description: robots, worlds and policies, as read from TOML.
    """

    description: Description

    @classmethod
    def from_toml(cls, path: str | Path) -> Study:
        """Read a study from a TOML file.

        Raises:
            StudyError: the file is missing, is not TOML, or has a wrong, missing or unknown entry.
            WorldError: a model, sensor or parameter that does not exist.
            PolicyError: saved weights that are missing, damaged or made for another robot.
        """
        return cls(read_description(Path(path)))

    @classmethod
    def demo(cls) -> Study:
        """Return the study that ships with the package: six policies on two of Gymnasium's robots."""
        return cls.from_toml(Path(str(files("sim2real_cat.study") / "demo.toml")))

    def fibre(self, policy: str) -> tuple[World, Ensemble]:
        """Return the simulated world of a policy's robot, and its fibre as `run` draws it.

        Raises:
            StudyError: the study has no policy of that name.
        """
        chosen = self._candidate(policy)
        return chosen.robot.world, _fibre(self.description, chosen)

    def randomization(self, policy: str) -> Randomization | None:
        """Return the randomization from which a policy's fibre is drawn; None where nothing varies in it.

        Raises:
            StudyError: the study has no policy of that name.
        """
        return self._candidate(policy).varying

    def _candidate(self, policy: str) -> Candidate:
        """Return a policy of the study by name."""
        candidates = {candidate.name: candidate for candidate in self.description.candidates}
        if policy not in candidates:
            raise StudyError(f"study '{self.description.name}': " + unknown_name("policy", policy, candidates))
        return candidates[policy]

    def run(
        self,
        out: str | Path | None = None,
        progress: Progress | None = None,
        threads: int = 0,
        engine: EngineName = "embedded",
    ) -> StudyResult:
        """Run the study; the same study and seed give the same result.

        Args:
            out: the folder to write to; nothing is written where none is given.
            progress: called with the progress of the long parts.
            threads: physics threads; 0 means one per available core.
            engine: the engine in which the instance is built and its laws are checked, "embedded" or "catlab".

        Raises:
            EngineError: an engine that is not known, or not installed.
            StudyError: the folder cannot be written to, or holds something other than a study.
            WorldError, PolicyError: a world that cannot be simulated, a policy that does not fit it.
        """
        described, show = self.description, progress or _silent
        folder = None if out is None else Path(out)
        require_engine(engine)
        if folder is not None:
            check_folder(folder)
        policies, deployments, gaps, events = {}, [], [], []
        for candidate in described.candidates:
            policies[candidate.name], deployment = _deploy(described, candidate, show, threads)
            deployments.append(deployment)
        for done, (candidate, deployment) in enumerate(zip(described.candidates, deployments, strict=True)):
            show("measuring gaps", done, len(deployments))
            measured, log = _measure(described, candidate, deployment, threads)
            gaps.append(measured)
            if log is not None:
                events.append(log)
        show("measuring gaps", len(deployments), len(deployments))
        proofs = {log.policy: verify_transfer_success(log) for log in events}
        recordings = {} if folder is None else write_recordings(folder, deployments)
        instance = build_instance(deployments, gaps, described.epsilon, recordings, engine=engine)
        result = StudyResult(
            description=described,
            policies=policies,
            deployments=tuple(deployments),
            gaps=tuple(gaps),
            instance=instance,
            report=instance.check(described.epsilon),
            events=tuple(events),
            proofs=proofs,
        )
        if folder is not None:
            write_folder(folder, result)
        return result


def _fibre(described: Description, candidate: Candidate) -> Ensemble:
    """Return the worlds that a policy is trained in."""
    return candidate.randomization.draw(candidate.members, rng=generator(described.seed, "fibre", candidate.name))


def _deploy(described: Description, candidate: Candidate, show: Progress, threads: int) -> tuple[Policy, Deployment]:
    """Train a policy in its fibre, unless it comes with weights, and roll it out on both sides."""
    seed, robot, name = described.seed, candidate.robot, candidate.name
    fibre = _fibre(described, candidate)
    policy: Policy | Trained
    if candidate.weights is not None:
        policy = candidate.weights.policy
    else:
        iterations = candidate.training.iterations
        policy = train(
            robot.world,
            candidate.training,
            rng=generator(seed, "train", name),
            fibre=fibre,
            threads=threads,
            progress=lambda done, _: show(f"training {name}", done, iterations),
        )
    deployment = deploy(
        robot.world,
        policy,
        name=name,
        robot=robot.name,
        fibre=fibre,
        randomization=candidate.varying,
        reality=robot.reality,
        episodes=described.real_episodes,
        sim_episodes=described.sim_episodes,
        steps=robot.steps,
        rng=generator(seed, "sim", name),
        real_rng=generator(seed, "real", name),
        threads=threads,
        progress=lambda doing, done: show(doing, done, robot.steps),
    )
    return policy if isinstance(policy, Policy) else policy.policy, deployment


def _measure(
    described: Description, candidate: Candidate, deployment: Deployment, threads: int
) -> tuple[MeasuredGap, EventLog | None]:
    """Measure the gap of a deployment and its events; where there are no events the gap's note says why."""
    rng = generator(described.seed, "gap", deployment.policy)
    measured = measure(
        deployment,
        method=described.method,
        gap_of=described.gap_of,
        confidence=described.confidence,
        rng=rng,
        threads=threads,
    )
    if measured.transition is None:
        return measured, None
    try:
        return measured, _events(candidate, deployment, measured)
    except (GapError, WorldError) as error:  # no Gaussian density, or no prediction from a single state
        note = " | ".join(filter(None, [measured.note, f"events: {error}"]))
        return replace(measured, note=note), None


def _events(candidate: Candidate, deployment: Deployment, measured: MeasuredGap) -> EventLog:
    """Return an event for every transition: the reading that the nominal world expected, and that of the robot."""
    real, world = deployment.real, candidate.robot.world
    expected = predict_steps(world, real, fibre=with_period(Ensemble.nominal(), candidate.robot.reality))
    if lost := int(np.isnan(expected.state).any(axis=1).sum()):
        raise GapError(f"the nominal world diverges from {lost} of {len(expected.state)} recorded states")
    after = real.observations[expected.episode, expected.step + 1]
    state = np.concatenate([real.qpos, real.qvel], axis=2)[expected.episode, expected.step + 1]
    late = actuator_delays(world, candidate.robot.reality).mean()
    later = late - deployment.fibre.weights @ actuator_delays(world, deployment.fibre).mean(axis=1)
    return EventLog(
        policy=deployment.policy,
        episode=expected.episode,
        step=expected.step,
        before=expected.observation,
        after=after,
        kl_gap=_terms(deployment, measured),
        observation_error=np.linalg.norm(after - expected.observation, axis=1),
        dynamics_error=np.linalg.norm(state - expected.state, axis=1),
        latency_delta=np.full(len(after), 1000.0 * later),
    )


def _terms(deployment: Deployment, measured: MeasuredGap) -> NDArray[np.float64]:
    """Return the gap of every transition."""
    if measured.predictive is not None:
        return measured.predictive.terms
    weights = {member: float(weight) for member, weight in enumerate(deployment.fibre.weights)}
    return np.concatenate(pointwise(deployment.real, deployment.sim, level="transition", weights=weights))


def _silent(doing: str, done: int, total: int) -> None:
    """Show no progress."""
