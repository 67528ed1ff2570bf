"""Roll a policy out in a world: every episode and every member of the ensemble together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.external_rollout import external_rollout
from sim2real_cat.worlds.external_world import ExternalWorld
from sim2real_cat.worlds.policy import Policy
from sim2real_cat.worlds.randomization import Ensemble
from sim2real_cat.worlds.simulator import Simulator
from sim2real_cat.worlds.trajectories import Trajectories
from sim2real_cat.worlds.world import World


def rollout(
    world: World | ExternalWorld,
    policy: Policy,
    *,
    rng: np.random.Generator | int,
    members: Ensemble | None = None,
    episodes: int = 1,
    steps: int | None = None,
    name: str = "",
    threads: int = 0,
    until_terminated: bool = True,
    progress: Callable[[int], None] | None = None,
) -> Trajectories:
    """Deploy a policy: `episodes` closed-loop episodes in each member of an ensemble, stepped as one batch.

    Every episode has its own random stream, spawned from `rng` in order, so the result does not depend on threads.

    Args:
        world: model, task, sensors; or a world that another simulator computes, see `external_rollout`.
        policy: what acts; it is not changed.
        rng: a generator, or a seed for one.
        members: the ensemble; the world as it is where none is given.
        episodes: episodes per member.
        steps: control steps per episode at most; the task's own number where none is given.
        name: the policy's name in the result.
        threads: physics threads; 0 means one per available core.
        until_terminated: whether an episode stops where the task ends it.
        progress: called after every control step with the number of steps done so far.

    Raises:
        WorldError: no episodes or steps asked for, or an ensemble that does not fit the world.
        PolicyError: the policy's actions have the wrong shape, or are NaN or infinite.
    """
    if isinstance(world, ExternalWorld):
        return external_rollout(
            world,
            policy,
            rng=rng,
            members=members,
            episodes=episodes,
            steps=steps,
            name=name,
            until_terminated=until_terminated,
            progress=progress,
        )
    ensemble = Ensemble.nominal() if members is None else members
    steps = world.task.steps if steps is None else steps
    if episodes < 1 or steps < 1:
        raise WorldError(f"a rollout needs at least one episode and one step, got {episodes} and {steps}")
    member_index = np.repeat(np.arange(len(ensemble)), episodes)
    simulator = Simulator(world, ensemble, member_index, threads)
    generators = np.random.default_rng(rng).spawn(len(member_index))
    return simulator.run(policy, steps, generators, name=name, until_terminated=until_terminated, progress=progress)
