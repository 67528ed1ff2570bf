"""The deployment of a policy of which only recordings are known: its fibre plays the recorded actions."""

from __future__ import annotations

import hashlib

import numpy as np

from sim2real_cat.errors import InstanceError, listed
from sim2real_cat.transfer.deployment import Deployment
from sim2real_cat.worlds.randomization import Ensemble
from sim2real_cat.worlds.replay import replay
from sim2real_cat.worlds.sensed import sensed
from sim2real_cat.worlds.trajectories import Trajectories
from sim2real_cat.worlds.world import World


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
    played = replay(world, recording, members=fibre, threads=threads)
    sim = sensed(world, played, rng=rng, members=fibre)
    return Deployment(names[0], robot, _digest(recording), None, fibre, sim, recording, world=world)


def _digest(recording: Trajectories) -> str:
    """SHA-256 of the actions of all episodes."""
    content = hashlib.sha256()
    for actions, length in zip(recording.actions, recording.lengths, strict=True):
        played = np.ascontiguousarray(actions[:length], dtype="<f8")
        content.update(str(played.shape).encode() + played.tobytes())
    return content.hexdigest()
