"""What a world's sensors make of true observations after the fact: delay, bias and noise, as in a rollout."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sim2real_cat.errors import WorldError, listed
from sim2real_cat.worlds.parameters import sensor_parameters
from sim2real_cat.worlds.randomization import Ensemble
from sim2real_cat.worlds.sensing import Sensing
from sim2real_cat.worlds.streams import spawn_streams
from sim2real_cat.worlds.trajectories import Trajectories
from sim2real_cat.worlds.world import World


def sensed(
    world: World, trajectories: Trajectories, *, rng: np.random.Generator | int, members: Ensemble | None = None
) -> Trajectories:
    """The trajectories with observations as the world's sensors would have read them.

    Right where nobody acted on the observations, as in a replay; a policy that reacts meets its sensors in `rollout`.

    Args:
        world: the world whose noise the sensors have.
        trajectories: episodes that observe the truth, as `replay` gives them; `member_index` says which member of
            the ensemble each ran in.
        rng: a generator, or a seed for one; every episode has a stream of its own, spawned in order.
        members: the ensemble, for what is particular to its members' sensors; none where the world is as it is.

    Raises:
        WorldError: other sensors than the world's, or an ensemble that does not fit the world.
    """
    if trajectories.sensors != world.sensors:
        raise WorldError(
            f"world '{world.name}' has the sensors {listed(world.sensors)}; the trajectories have "
            f"{listed(trajectories.sensors)}"
        )
    ensemble = Ensemble.nominal() if members is None else members
    parameters = sensor_parameters(world, ensemble, trajectories.member_index)
    sensing = Sensing(world.noise_chains(), parameters, trajectories.control_period)
    generators = np.random.default_rng(rng).spawn(len(trajectories))
    truth = trajectories.observations
    normals, observations = np.empty_like(truth), np.empty_like(truth)
    for episode, generator in zip(normals, generators, strict=True):
        generator.standard_normal(out=episode)
    readings = sensing.start(normals, spawn_streams(generators) if sensing.needs_streams else [])
    for frame in range(truth.shape[1]):
        observations[:, frame] = readings.read(truth[:, frame], slice(None), frame)
    observations[np.arange(truth.shape[1]) > trajectories.lengths[:, None]] = np.nan
    return replace(trajectories, observations=observations)
