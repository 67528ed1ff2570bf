"""How fast rollouts are, next to the bare physics and to Gymnasium, all measured in one run.

Every figure is physics steps per second on the Hopper, a control step being four of them. The measurements take
turns, so what else happens on the machine meets all of them alike; the median of the repeats counts.

    python benchmarks/rollout.py --episodes 256 --steps 200 --repeats 5 --threads 2
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial

import gymnasium
import mujoco
import numpy as np
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv, VectorEnv
from mujoco.batch import Batch

from sim2real_cat.worlds.policy import LinearPolicy
from sim2real_cat.worlds.randomization import Change, Ensemble, Randomization
from sim2real_cat.worlds.rollout import rollout
from sim2real_cat.worlds.task import Array
from sim2real_cat.worlds.trajectories import Trajectories
from sim2real_cat.worlds.world import World

VARIED = Randomization(
    {
        "body_inertial[*]": Change("scale", 0.9, 1.1),
        "geom_friction[:, 0]": Change("scale", 0.8, 1.2),
        "dof_damping": Change("scale", 0.8, 1.2),
        "actuator_delay": Change("set", 0.0, 0.01),
    }
)

Measurement = Callable[[], int]
"""Does its work once and says how many physics steps that was."""


def small_policy(world: World) -> LinearPolicy:
    """Small random weights: the robot moves, and no measurement depends on how well."""
    d, nu = len(world.sensors), int(world.compile().nu)
    return LinearPolicy(0.05 * np.random.default_rng(0).standard_normal((nu, d)), np.zeros(d), np.ones(d))


def bare_physics(world: World, start: Trajectories, actions: Array, threads: int) -> Measurement:
    """MuJoCo's batch alone: precomputed controls in, positions and velocities of every physics step out."""
    model = world.compile()
    batch = Batch(model, len(actions), nthread=threads)
    control = actions.repeat(world.substeps, axis=1)

    def measure() -> int:
        batch.reset(stage=mujoco.mjtStage.mjSTAGE_NONE)
        batch.bind("qpos")[:], batch.bind("qvel")[:] = start.qpos[:, 0], start.qvel[:, 0]
        batch.rollout(control.shape[1], control, control_spec=mujoco.mjtState.mjSTATE_CTRL, record=("qpos", "qvel"))
        assert not batch.warning[:, :, 1].any(), "a simulation with a warning stops, and would count too much"
        return control.shape[0] * control.shape[1]

    return measure


def closed_loop(world: World, members: Ensemble, episodes: int, steps: int, threads: int) -> Trajectories:
    """Our rollout: noise, policy, physics, reward, end and recording."""
    each, policy = episodes // len(members), small_policy(world)
    return rollout(
        world, policy, rng=0, members=members, episodes=each, steps=steps, threads=threads, until_terminated=False
    )


def counted(play: Callable[[], Trajectories], world: World) -> Measurement:
    """A rollout as a measurement."""

    def measure() -> int:
        return int(play().lengths.sum()) * world.substeps

    return measure


def gymnasium_loop(world: World, environments: VectorEnv, steps: int) -> Measurement:
    """The same policy and sensor noise in Gymnasium's vector of environments."""
    policy, rng = small_policy(world), np.random.default_rng(0)
    count = environments.num_envs

    def measure() -> int:
        observations, _ = environments.reset(seed=0)
        for step in range(steps):
            noisy = observations + 0.01 * rng.standard_normal(observations.shape)
            actions = policy.act(noisy, np.arange(count), step)
            observations, *_ = environments.step(actions.astype(np.float32))
        return count * steps * world.substeps

    return measure


def hopper() -> gymnasium.Env:
    return gymnasium.make("Hopper-v5", terminate_when_unhealthy=False)


def interleaved(measurements: dict[str, Measurement], repeats: int) -> dict[str, list[float]]:
    """Physics steps per second of every measurement, one of each in turn, after one of each to warm up."""
    rates: dict[str, list[float]] = {name: [] for name in measurements}
    for repeat in range(repeats + 1):
        for name, measure in measurements.items():
            begin = time.perf_counter()
            done = measure()
            if repeat:
                rates[name].append(done / (time.perf_counter() - begin))
    return rates


def ratio(rates: dict[str, list[float]], one: str, other: str) -> str:
    """Median over the repeats of the ratio within a repeat, and its range."""
    each = [a / b for a, b in zip(rates[one], rates[other], strict=True)]
    return f"{statistics.median(each):7.2f}   ({min(each):.2f} to {max(each):.2f})"


def profiled(play: Callable[[], Trajectories]) -> None:
    """Where the time of one rollout goes."""
    profile = cProfile.Profile()
    profile.runcall(play)
    pstats.Stats(profile).sort_stats("tottime").print_stats(14)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--episodes", type=int, default=256, help="episodes at once (default 256)")
    parser.add_argument("--steps", type=int, default=200, help="control steps of an episode (default 200)")
    parser.add_argument("--repeats", type=int, default=5, help="how often each is measured (default 5)")
    parser.add_argument("--threads", type=int, default=2, help="physics threads (default 2)")
    parser.add_argument("--members", type=int, default=32, help="worlds of the randomized rollout (default 32)")
    parser.add_argument(
        "--environments", type=int, nargs="+", default=[2, 16], help="Gymnasium's, async (default 2 16)"
    )
    parser.add_argument("--profile", action="store_true", help="only tell where the time of our rollout goes")
    options = parser.parse_args(arguments)
    size = (options.episodes, options.steps, options.threads)
    world = World.gymnasium("Hopper", noise=0.01)
    drawn = VARIED.draw(options.members, np.random.default_rng(0))
    nominal = partial(closed_loop, world, Ensemble.nominal(), *size)
    if options.profile:
        profiled(nominal)
        return
    played = nominal()
    controls = np.random.default_rng(1).uniform(-1, 1, played.actions.shape)
    measurements = {
        "bare physics": bare_physics(world, played, played.actions, options.threads),
        "bare physics, random controls": bare_physics(world, played, controls, options.threads),
        "rollout": counted(nominal, world),
        "rollout, randomized": counted(partial(closed_loop, world, drawn, *size), world),
    }
    sync = SyncVectorEnv([hopper] * 16)
    vectors = {"Gymnasium Sync, 16": sync}
    vectors |= {f"Gymnasium Async, {n}": AsyncVectorEnv([hopper] * n) for n in options.environments}
    for name, environments in vectors.items():
        measurements[name] = gymnasium_loop(world, environments, options.steps)
    try:
        rates = interleaved(measurements, options.repeats)
    finally:
        for environments in vectors.values():
            environments.close()
    print(f"{'physics steps per second':32}{'median':>12}{'least':>12}{'most':>12}")
    for name, measured in rates.items():
        print(f"{name:32}{statistics.median(measured):12,.0f}{min(measured):12,.0f}{max(measured):12,.0f}")
    print(f"\n{'ratio, within a repeat':54}{'median':>7}   (range)")
    pairs = [(name, other) for name in ("rollout", "rollout, randomized") for other in list(measurements)[:2]]
    pairs += [(name, other) for other in vectors for name in ("rollout", "bare physics")]
    for one, other in pairs:
        print(f"{one + ' / ' + other:54}{ratio(rates, one, other)}")


if __name__ == "__main__":
    main()
