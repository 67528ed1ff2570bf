"""Rates of robots that are worlds of the randomization, and of robots that are not: do intervals cover, do faults grow?

    python benchmarks/rates.py                  # inside: 20 random worlds of each robot
    python benchmarks/rates.py outside          # growing faults
    python benchmarks/rates.py --draws 2 --robots InvertedPendulum Reacher

Every sensor has noise of 0.05, 6 episodes of 50 steps are played by a random linear policy with noise on its actions,
and the masses, the damping and the gear of every element vary by a number of their own.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

import sim2real_cat as s2r

ROBOTS = ("Hopper", "InvertedPendulum", "Reacher", "HalfCheetah", "Walker2d", "arm")
ARM = """
<mujoco>
  <option timestep="0.005"/>
  <worldbody>
    <body name="upper"><joint name="shoulder" axis="0 1 0" damping="0.2"/>
      <geom type="capsule" size="0.02" fromto="0 0 0 0 0 -0.4" mass="0.6"/>
      <body name="fore" pos="0 0 -0.4"><joint name="elbow" axis="0 1 0" damping="0.1"/>
        <geom type="capsule" size="0.02" fromto="0 0 0 0 0 -0.3" mass="0.3"/></body></body>
  </worldbody>
  <actuator><motor joint="shoulder" gear="2"/><motor joint="elbow"/></actuator>
</mujoco>
"""
VARYING = {
    "body_inertial[*]": {"scale": [0.6, 1.6], "each": True},
    "dof_damping": {"scale": [0.4, 2.5], "distribution": "loguniform", "each": True},
    "actuator_gear": {"scale": [0.7, 1.4], "each": True},
}
FAULTS = {
    "body_inertial[*]": ("scale", (2.0, 3.0, 5.0)),
    "dof_damping": ("scale", (3.0, 6.0, 12.0)),
    "geom_friction[*, 0]": ("scale", (0.7, 0.4, 0.2)),
    "actuator_delay": ("set", (0.004, 0.02, 0.04)),
}
EPISODES, STEPS = 6, 50


def robot(name: str) -> tuple[s2r.World, s2r.Policy]:
    """Return a world with noise on every sensor, and a policy that shakes it."""
    if name == "arm":
        path = Path(tempfile.mkdtemp()) / "arm.xml"
        path.write_text(ARM, encoding="utf-8")
        sensors = ["qpos[shoulder]", "qpos[elbow]", "qvel[shoulder]", "qvel[elbow]"]
        task = s2r.worlds.QuadraticTask(observe=sensors, steps=STEPS, start_noise=0.5)
        world = s2r.World.from_xml(path, task, 0.02, name="arm", noise=0.05)
    else:
        world = s2r.World.gymnasium(name, noise=0.05)
    nu, rng = int(world.compile().nu), np.random.default_rng(5)
    gain = 0.1 * np.random.default_rng(0).standard_normal((nu, len(world.sensors)))

    def act(seen: np.ndarray) -> np.ndarray:
        aim = seen @ gain.T
        return np.clip(aim + 0.6 * rng.standard_normal(aim.shape), -1, 1)

    return world, s2r.policies.CallablePolicy(act, "shaken")


def inside(name: str, draws: int) -> None:
    """Print the rates of random worlds of the randomization."""
    world, policy = robot(name)
    randomization = s2r.Randomization.from_table(VARYING).bind(world)
    rates, covered, alarms, doubted, took = [], 0, 0, 0, 0.0
    for seed in range(draws):
        reality = randomization.draw(1, rng=100 + seed)
        real = s2r.rollout(
            world, policy, rng=seed, fibre=reality, episodes=EPISODES, steps=STEPS, until_terminated=False
        )
        begun = time.process_time()
        found = s2r.predictive_gap(world, real, randomization=randomization, reality=reality).estimate
        took += time.process_time() - begun
        rates.append(found.raw)
        covered += found.low <= 0
        alarms += found.null is not None and found.null.p_value is not None and found.null.p_value <= 0.05
        doubted += not found.reliable
    print(
        f"{name:18} {draws:3} worlds  rate mean {np.mean(rates):8.4f}  largest {np.max(rates):7.4f}  "
        f"cover 0: {covered / draws:4.0%}  p <= .05: {alarms / draws:4.0%}  unreliable {doubted}  "
        f"{took / draws:.1f} s of CPU each",
        flush=True,
    )


def outside(name: str) -> None:
    """Print the rates of growing faults."""
    world, policy = robot(name)
    randomization = s2r.Randomization.from_table(VARYING)
    for parameter, (mode, sizes) in FAULTS.items():
        told = []
        for size in sizes:
            reality = s2r.Ensemble.single({parameter: {mode: size}})
            real = s2r.rollout(
                world, policy, rng=3, fibre=reality, episodes=EPISODES, steps=STEPS, until_terminated=False
            )
            found = s2r.predictive_gap(world, real, randomization=randomization, reality=reality).estimate
            told.append((size, found))
        grows = all(one[1].value <= other[1].value for one, other in pairwise(told))
        print(
            f"{name:18} {parameter:20} {'grows' if grows else 'DOES NOT GROW':14}"
            + "  ".join(f"{size:g}: {e.value:.4g}{'' if e.reliable else ' (unreliable)'}" for size, e in told),
            flush=True,
        )


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("which", nargs="?", choices=["inside", "outside"], default="inside")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--robots", nargs="+", default=list(ROBOTS))
    options = parser.parse_args()
    for name in options.robots:
        inside(name, options.draws) if options.which == "inside" else outside(name)


if __name__ == "__main__":
    main()
