"""Deploy a policy: episodes in the simulated worlds that trained it, and episodes on the robot."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sim2real_cat.errors import InstanceError, PolicyError, listed
from sim2real_cat.policies.policy import Policy
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.training.trained import Trained, Trainer
from sim2real_cat.worlds.external.world import ExternalWorld
from sim2real_cat.worlds.randomization.ensemble import Ensemble, fibre_or_nominal
from sim2real_cat.worlds.randomization.randomization import Randomization
from sim2real_cat.worlds.sensors.sensing import sensed
from sim2real_cat.worlds.simulation.replay import replay
from sim2real_cat.worlds.simulation.rollout import rollout
from sim2real_cat.worlds.world import World


@dataclass(frozen=True, eq=False)
class Deployment:
    """A policy on a robot: its fibre, and what was seen in simulation and in reality.

    Attributes:
        policy: the policy's name.
        robot: the name of the real world it was deployed on.
        weights_digest: digest of its weights; the same in simulation and in reality.
        birth_digest: digest of the policy before training; None where it was not trained here.
        fibre: the simulated worlds it was trained in.
        sim: episodes in the fibre; `member_index` says in which of its worlds.
        real: episodes on the robot.
        trainer: the algorithm that trained the policy; None where it was not trained here.
        entropy_coefficient: the weight of the policy's entropy in training; None where it had none.
        world: the world that the fibre varies; None where it cannot be set to a recorded state.
        reality: the parameters of the real world where that is one of MuJoCo's, by `real.member_index`; None where
            only the recording is known.
        randomization: the randomization that the fibre was drawn from; None where there is none, or it is not known.
    """

    policy: str
    robot: str
    weights_digest: str
    birth_digest: str | None
    fibre: Ensemble
    sim: Trajectories
    real: Trajectories
    trainer: Trainer | None = None
    entropy_coefficient: float | None = None
    world: World | None = None
    reality: Ensemble | None = None
    randomization: Randomization | None = None


def deploy(
    world: World | ExternalWorld,
    policy: Policy | Trained,
    *,
    name: str,
    robot: str,
    fibre: Ensemble | None = None,
    randomization: Randomization | None = None,
    reality: Ensemble | None = None,
    real: Trajectories | None = None,
    episodes: int = 24,
    sim_episodes: int = 4,
    steps: int | None = None,
    rng: np.random.Generator | int = 0,
    real_rng: np.random.Generator | int | None = None,
    threads: int = 0,
    progress: Callable[[str, int], None] | None = None,
) -> Deployment:
    """Roll a policy out in its fibre, and on the robot unless episodes of it were recorded there.

    Args:
        world: the simulated world, with the noise of its sensors.
        policy: the policy, or the result of its training, which also says how and in which worlds it was trained.
        name: the policy's name.
        robot: the name of the real world.
        fibre: the worlds that trained the policy. Where none is given, those of the training result, and the world as
            it is for a policy alone.
        randomization: the randomization that the fibre was drawn from, whose gap `measure` takes where it is given.
        reality: the parameters of the world that plays the robot. Beside `real`, those of the world that it was
            recorded in, by `real.member_index`.
        real: episodes of the policy on the robot; they are simulated in `reality` where none are given.
        episodes: episodes on the robot, and in the fibre where that is a single world.
        sim_episodes: episodes in each world of a larger fibre.
        steps: control steps of an episode at most; the task's own number where none is given.
        rng: a generator, or a seed for one: the simulated side, then the real one.
        real_rng: the same for the real side alone; it goes on with `rng` where none is given.
        threads: physics threads; 0 means one per available core.
        progress: called with what is being done and with 1, 2, ... control steps.

    Raises:
        InstanceError: neither `real` nor `reality`, or a recording of another policy or of another type.
        WorldError: a world that cannot be simulated, or an ensemble that does not fit it.
        PolicyError: a policy that does not fit the world.
    """
    _require_real_side(name, real, reality)
    if not isinstance(policy, Policy | Trained):
        raise PolicyError(
            f"a deployment needs a Policy or the result of a training, got {type(policy).__name__}; load_policy reads "
            "one from a file"
        )
    trained = None if isinstance(policy, Policy) else policy
    acting = policy if isinstance(policy, Policy) else policy.policy
    fibre = trained.fibre if fibre is None and trained is not None else fibre_or_nominal(fibre)
    generator = np.random.default_rng(rng)

    def play(doing: str, where: Ensemble, count: int, stream: np.random.Generator) -> Trajectories:
        return rollout(
            world,
            acting,
            rng=stream,
            fibre=where,
            episodes=count,
            steps=steps,
            name=name,
            threads=threads,
            progress=None if progress is None else lambda done: progress(f"{doing} {name}", done),
        )

    sim = play("simulating", fibre, sim_episodes if len(fibre) > 1 else episodes, generator)
    if real is None:
        assert reality is not None, "refused above"
        stream = generator if real_rng is None else np.random.default_rng(real_rng)
        real = play("deploying", reality, episodes, stream)
    return Deployment(
        name,
        robot,
        acting.digest,
        None if trained is None else trained.birth.digest,
        fibre,
        sim,
        real,
        None if trained is None else trained.trainer,
        None if trained is None else trained.entropy_coefficient,
        world=world if isinstance(world, World) else None,
        reality=reality,
        randomization=randomization,
    )


def _require_real_side(name: str, real: Trajectories | None, reality: Ensemble | None) -> None:
    """Refuse a deployment without a real side, or with the recording of another policy."""
    if real is None and reality is None:
        raise InstanceError(
            f"policy '{name}' has no real side: give the recording as real, or as reality the parameters of the world "
            "that plays the robot"
        )
    if not isinstance(real, Trajectories | None):
        raise InstanceError(f"real is Trajectories, got {type(real).__name__}; World.read_log reads a log")
    if real is not None and (others := set(real.policies) - {"", name}):
        raise InstanceError(
            f"the recording is of {listed(map(repr, sorted(others)))}, not of '{name}' alone: select its episodes "
            "with of_policy"
        )


def deploy_recording(
    world: World,
    recording: Trajectories,
    *,
    robot: str,
    fibre: Ensemble,
    randomization: Randomization | None = None,
    rng: np.random.Generator | int = 0,
    threads: int = 0,
) -> Deployment:
    """Make a deployment of a recording alone: the simulated side plays the recorded actions.

    The policy itself is not known, so its digest is that of the actions, and it has no birth. A simulated episode
    starts in the recorded first state and runs open loop. It drifts away from the recording where the world is
    another, and further than under a policy that reacts; cut a long recording with `segments` first, or the gap
    says how long it was.

    Args:
        world: the simulated world, with the noise of its sensors; without noise a simulation has no density.
        recording: episodes of one policy, with states.
        robot: the name of the real world.
        fibre: the simulated worlds that play the actions.
        randomization: the randomization that the fibre was drawn from, whose gap `measure` takes where it is given.
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
    return Deployment(
        names[0], robot, _digest(recording), None, fibre, sim, recording, world=world, randomization=randomization
    )


def _digest(recording: Trajectories) -> str:
    """Return the SHA-256 of the actions of all episodes."""
    content = hashlib.sha256()
    for actions, length in zip(recording.actions, recording.lengths, strict=True):
        played = np.ascontiguousarray(actions[:length], dtype="<f8")
        content.update(str(played.shape).encode() + played.tobytes())
    return content.hexdigest()
