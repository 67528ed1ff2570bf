"""Measure the speed and the memory of rollouts, beside the bare physics and Gymnasium, all in one run.

Measurements that are compared take turns, so that other work of the machine slows all of them alike; the median of the
repeats counts. Memory is measured in fresh processes.

    python benchmarks/worlds.py                       # everything: some minutes
    python benchmarks/worlds.py speed peers --repeats 9 --threads 2
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import gymnasium
import mujoco
import numpy as np
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv, VectorEnv
from mujoco.batch import Batch

from sim2real_cat.policies.policy import LinearPolicy
from sim2real_cat.recordings.parquet import iterate_log
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.worlds.parameters.apply import apply_to_model, compile_members
from sim2real_cat.worlds.randomization.change import Change
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.randomization.randomization import Randomization
from sim2real_cat.worlds.simulation.rollout import rollout, rollout_to_parquet
from sim2real_cat.worlds.tasks.quadratic import QuadraticTask
from sim2real_cat.worlds.world import World

VARIED = Randomization(
    {
        "body_inertial[*]": Change("scale", 0.9, 1.1),
        "geom_friction[:, 0]": Change("scale", 0.8, 1.2),
        "dof_damping": Change("scale", 0.8, 1.2),
        "actuator_delay": Change("set", 0.0, 0.01),
        "observation_noise": Change("scale", 0.5, 1.5),
        "observation_bias": Change("shift", -0.01, 0.01),
    }
)

Measurement = Callable[[], int]
"""A function that does its work once and returns its number of physics steps."""


def humanoid() -> World:
    """Make a world of Gymnasium's humanoid and this task: observe every joint, stay up, keep still."""
    path = Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets" / "humanoid.xml"
    model = mujoco.MjModel.from_xml_path(str(path))
    joints = [model.joint(i).name for i in range(model.njnt)]
    task = QuadraticTask(
        observe=[f"{quantity}[{joint}]" for quantity in ("qpos", "qvel") for joint in joints],
        alive=5.0,
        action_cost=0.1,
        cost={f"qvel[{joint}]": 1e-3 for joint in joints},
        healthy={f"qpos[{joint}]": (-1e3, 1e3) for joint in joints},
    )
    return World.from_xml(path, task, 5 * model.opt.timestep, name="humanoid", noise=0.01)


def small_policy(world: World) -> LinearPolicy:
    """Make a policy of small random weights: the robot moves, and no measurement depends on how well."""
    d, nu = len(world.sensors), int(world.compile().nu)
    return LinearPolicy(0.05 * np.random.default_rng(0).standard_normal((nu, d)), np.zeros(d), np.ones(d))


def bare_physics(world: World, fibre: Ensemble, played: Trajectories, threads: int) -> Measurement:
    """Measure MuJoCo's batch alone: the same members, starts and actions in, positions and velocities out."""
    model = compile_members(world, fibre)
    batch = Batch(model, len(played), nthread=threads)
    apply_to_model(batch, model, fibre, played.member_index)
    control = played.actions.repeat(world.substeps, axis=1)

    def measure() -> int:
        batch.reset(stage=mujoco.mjtStage.mjSTAGE_NONE)
        batch.bind("qpos")[:], batch.bind("qvel")[:] = played.qpos[:, 0], played.qvel[:, 0]
        batch.rollout(control.shape[1], control, control_spec=mujoco.mjtState.mjSTATE_CTRL, record=("qpos", "qvel"))
        assert not batch.warning[:, :, 1].any(), "a simulation with a warning stops, and would count too much"
        return control.shape[0] * control.shape[1]

    return measure


def everything_on(world: World, episodes: int, steps: int, threads: int) -> tuple[Ensemble, Callable[[], Trajectories]]:
    """Return 32 drawn worlds and our rollout in them, with delay, noise, policy, reward, end and recording."""
    members, policy = VARIED.draw(32, rng=np.random.default_rng(0)), small_policy(world)

    def play() -> Trajectories:
        each = episodes // len(members)
        return rollout(
            world, policy, rng=0, fibre=members, episodes=each, steps=steps, threads=threads, until_terminated=False
        )

    return members, play


def counted(play: Callable[[], Trajectories], world: World) -> Measurement:
    """Return a rollout as a measurement."""
    return lambda: int(play().lengths.sum()) * world.substeps


def gymnasium_loop(world: World, environments: VectorEnv, steps: int) -> Measurement:
    """Measure the same policy and sensor noise in Gymnasium's vector of environments."""
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


def hopper_environment() -> gymnasium.Env:
    return gymnasium.make("Hopper-v5", terminate_when_unhealthy=False)


@dataclass
class Rates:
    """Physics steps per second of a measurement, by the clock and by the processor time of this process."""

    clock: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)


def interleaved(measurements: dict[str, Measurement], repeats: int) -> dict[str, Rates]:
    """Measure the rates of all measurements, one of each in turn, after one of each to warm up."""
    rates = {name: Rates() for name in measurements}
    for repeat in range(repeats + 1):
        for name, measure in measurements.items():
            begin, busy = time.perf_counter(), time.process_time()
            done = measure()
            if repeat:
                rates[name].clock.append(done / (time.perf_counter() - begin))
                rates[name].processor.append(done / (time.process_time() - busy))
    return rates


def table(rates: dict[str, Rates]) -> None:
    print(f"{'physics steps per second':40}{'median':>12}{'least':>12}{'most':>12}")
    for name, rate in rates.items():
        print(f"{name:40}{statistics.median(rate.clock):12,.0f}{min(rate.clock):12,.0f}{max(rate.clock):12,.0f}")


def ratio(rates: dict[str, Rates], one: str, other: str, kind: str = "clock") -> None:
    """Print the median over the repeats of the ratio within a repeat, and its range."""
    each = [a / b for a, b in zip(getattr(rates[one], kind), getattr(rates[other], kind), strict=True)]
    label = f"{one} / {other}, by the {kind}"
    print(f"{label:64}{statistics.median(each):7.2f}   ({min(each):.2f} to {max(each):.2f})")


def speed(options: argparse.Namespace) -> None:
    """Speed with everything on, against the bare physics of the same motion."""
    for world, steps in ((World.gymnasium("Hopper", noise=0.01), 200), (humanoid(), 100)):
        members, play = everything_on(world, options.episodes, steps, options.threads)
        if options.profile:
            profile = cProfile.Profile()
            profile.runcall(play)
            pstats.Stats(profile).sort_stats("tottime").print_stats(14)
            continue
        bare = f"bare {world.name}"
        rates = interleaved(
            {
                bare: bare_physics(world, members, play(), options.threads),
                world.name: counted(play, world),
            },
            options.repeats,
        )
        table(rates)
        for kind in ("clock", "processor"):
            ratio(rates, world.name, bare, kind)


def peers(options: argparse.Namespace) -> None:
    """Speed against Gymnasium's vector environments, which record nothing and vary nothing."""
    world, steps = World.gymnasium("Hopper", noise=0.01), 100
    _, play = everything_on(world, options.episodes, steps, options.threads)
    vectors = {
        "Gymnasium Sync, 16": SyncVectorEnv([hopper_environment] * 16),
        "Gymnasium Async, 2": AsyncVectorEnv([hopper_environment] * 2),
        "Gymnasium Async, 16": AsyncVectorEnv([hopper_environment] * 16),
    }
    try:
        measurements = {"Hopper": counted(play, world)}
        measurements |= {name: gymnasium_loop(world, vector, steps) for name, vector in vectors.items()}
        rates = interleaved(measurements, options.repeats)
    finally:
        for vector in vectors.values():
            vector.close()
    table(rates)
    for name in vectors:
        ratio(rates, "Hopper", name)


def linear(options: argparse.Namespace) -> None:
    """Time per episode, for more and more episodes."""
    world = World.gymnasium("InvertedPendulum", noise=0.01)
    policy = small_policy(world)

    def play(episodes: int) -> Trajectories:
        return rollout(
            world, policy, rng=0, episodes=episodes, steps=100, threads=options.threads, until_terminated=False
        )

    sizes = [options.episodes * factor for factor in (1, 2, 4, 8)]
    measurements = {str(size): counted(lambda size=size: play(size), world) for size in sizes}
    rates = interleaved(measurements, options.repeats)
    print(f"{'episodes':>10}{'seconds':>12}{'ms per episode':>18}{'of the first':>14}")
    for size in sizes:
        per_episode = [100 * world.substeps / rate for rate in rates[str(size)].clock]
        first = [100 * world.substeps / rate for rate in rates[str(sizes[0])].clock]
        relative = statistics.median(a / b for a, b in zip(per_episode, first, strict=True))
        median = statistics.median(per_episode)
        print(f"{size:10}{size * median:12.2f}{1e3 * median:18.3f}{relative:14.2f}")


def memory(options: argparse.Namespace) -> None:
    """Peak memory of a rollout over the size of its arrays, each in a fresh process."""
    print(f"{'memory':56}{'kept [MB]':>12}{'peak [MB]':>12}{'ratio':>8}{'bytes/step':>12}")
    work = [("InvertedPendulum", 500, False, 1024, None), ("Hopper", 200, False, 1024, None)]
    work += [("Hopper", 1000, True, 8192, batch) for batch in (None, 128)]
    for name, steps, ends, episodes, batch in work:
        found = _in_fresh_process("rollout", name, steps, ends, episodes, batch, options.threads)
        kept, peak, done = (found[key] for key in ("kept", "peak", "steps"))
        label = f"{name}, {episodes} x {steps} steps{' at most' if ends else ''}{f', batch {batch}' if batch else ''}"
        print(f"{label:56}{kept / 1e6:12.1f}{peak / 1e6:12.1f}{peak / kept:8.2f}{peak / done:12.0f}")


def stream(options: argparse.Namespace) -> None:
    """Many steps to a Parquet file and back, each in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "log.parquet")
        written = _in_fresh_process("write", path, options.steps, options.threads)
        read = _in_fresh_process("read", path)
    print(f"streamed {written['steps']:,} steps: {written['seconds']:.0f} s, {written['resident'] / 2**20:.0f} MiB")
    print(f"  file {written['size'] / 2**20:.0f} MiB, {written['size'] / written['steps']:.0f} bytes per step")
    print(f"read {read['steps']:,} steps again: {read['seconds']:.0f} s, {read['resident'] / 2**20:.0f} MiB resident")


def _in_fresh_process(*arguments: object) -> dict[str, float]:
    command = [sys.executable, __file__, "--within", json.dumps(arguments)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def within(work: str, *arguments: object) -> dict[str, float]:
    """Do the work of a fresh process; return its result, with the seconds and the most memory that it took."""
    begin = time.perf_counter()
    found = {"rollout": _measure_rollout, "write": _write, "read": _read}[work](*arguments)
    return found | {"seconds": time.perf_counter() - begin, "resident": _peak()}


def _peak() -> int:
    """Return the most memory that this program ever had resident [bytes].

    It is Linux's figure for the program; that of `getrusage` includes the memory of the process that started it.
    """
    status = Path("/proc/self/status").read_text()
    return 1024 * int(next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1])


def _measure_rollout(
    name: str, steps: int, ends: bool, episodes: int, batch: int | None, threads: int
) -> dict[str, float]:
    world, members = World.gymnasium(name, noise=0.01), VARIED.draw(32, rng=np.random.default_rng(0))
    policy = small_policy(world)
    settings = {
        "fibre": members,
        "episodes": episodes // 32,
        "threads": threads,
        "until_terminated": ends,
        "batch": batch,
    }

    def play(steps: int) -> Trajectories:
        return rollout(world, policy, rng=0, steps=steps, **settings)

    play(2)
    before = _peak()
    done = play(steps)
    arrays = (done.observations, done.actions, done.rewards, done.qpos, done.qvel)
    kept = sum(array.nbytes for array in arrays)
    return {"kept": kept, "peak": _peak() - before, "steps": int(done.lengths.sum())}


def _write(path: str, steps: int, threads: int) -> dict[str, float]:
    world = World.gymnasium("InvertedPendulum", noise=0.01)
    episodes = steps // world.task.steps
    policy = small_policy(world)
    rollout_to_parquet(
        path, world, policy, rng=0, episodes=episodes, threads=threads, batch=256, until_terminated=False
    )
    return {"steps": episodes * world.task.steps, "size": Path(path).stat().st_size}


def _read(path: str) -> dict[str, float]:
    return {"steps": sum(int(part.lengths.sum()) for part in iterate_log(path))}


WORK = {work.__name__: work for work in (speed, peers, linear, memory, stream)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", nargs="*", help=f"some of {', '.join(WORK)}; all where none is named")
    parser.add_argument("--episodes", type=int, default=256, help="episodes at once, a multiple of 32 (default 256)")
    parser.add_argument("--repeats", type=int, default=5, help="how often each is measured (default 5)")
    parser.add_argument("--threads", type=int, default=2, help="physics threads (default 2)")
    parser.add_argument("--steps", type=int, default=10**7, help="control steps that are streamed (default 10^7)")
    parser.add_argument("--profile", action="store_true", help="for speed, only profile our rollout")
    parser.add_argument("--within", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.within is not None:
        print(json.dumps(within(*json.loads(options.within))))
        return
    for name in options.work or WORK:
        if name not in WORK:
            parser.error(f"no work '{name}'; choose from {', '.join(WORK)}")
        print(f"\n{name}: {WORK[name].__doc__}")
        WORK[name](options)


if __name__ == "__main__":
    main()
