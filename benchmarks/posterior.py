"""Posteriors over worlds: their cost, their calibration, and a recording of others.

    python benchmarks/posterior.py cost             # against predictive_gap with a fibre of 64, some minutes
    python benchmarks/posterior.py hidden           # recordings whose states have errors: cost, rate, faults
    python benchmarks/posterior.py sbc              # simulation-based calibration: ranks over 200 draws for 5 robots
    python benchmarks/posterior.py hopper           # masses of a Hopper that others recorded (dropo_hopper)

Both sides of a comparison run in one process, one after the other, on the same data.
"""

from __future__ import annotations

import argparse
import itertools
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import stats

import sim2real_cat as s2r

ROBOTS = ("InvertedPendulum", "InvertedDoublePendulum", "Reacher", "Hopper", "HalfCheetah")
NOISE = 0.05
FAULTS = {
    "none": {},
    "damping": {"dof_damping": {"scale": 2.0}},
    "mass": {"body_inertial[*]": {"scale": 1.5}},
    "gear": {"actuator_gear": {"scale": 0.8}},
}
"""Faults inside the randomization."""
MASSES = {"torso": 3.53429174, "thigh": 3.92699082, "leg": 2.71433605, "foot": 5.0893801}
"""Masses of the Hopper that was recorded [kg]."""


def robot(name: str, noise: float = NOISE) -> s2r.World:
    """Return a robot of Gymnasium's with noise on every sensor."""
    return s2r.World.gymnasium(name, noise=dict.fromkeys(s2r.World.gymnasium(name).sensors, noise))


def spread(each: bool) -> s2r.Randomization:
    """Return the randomization of links, joints and actuators: a factor for each element, or one for all."""
    return s2r.Randomization(
        {
            "body_inertial[*]": s2r.Change("scale", 0.6, 1.6, each=each),
            "dof_damping": s2r.Change("scale", 0.4, 2.5, "loguniform", each=each),
            "actuator_gear": s2r.Change("scale", 0.7, 1.4, each=each),
        }
    )


def play(world: s2r.World, reality: s2r.Ensemble, episodes: int, steps: int, seed: int) -> s2r.Trajectories:
    """Record random actions in one world."""
    nu, draws = world.compile().nu, np.random.default_rng(seed)
    policy = s2r.policies.CallablePolicy(lambda seen: draws.uniform(-1, 1, (len(np.atleast_2d(seen)), nu)), "random")
    return s2r.rollout(world, policy, rng=seed, fibre=reality, episodes=episodes, steps=steps, until_terminated=False)


def cost() -> None:
    """Print the time of a posterior against that of a gap with 64 members, and how it grows with the recording."""
    print(f"{'robot':<18}{'k':>3}{'steps':>7}{'gap [s]':>9}{'posterior [s]':>15}{'ratio':>7}{'count':>7}")
    for name in ("InvertedPendulum", "Reacher", "Hopper", "Walker2d", "HalfCheetah"):
        for each, episodes in ((False, 6), (True, 6), (True, 24)):
            world, randomization = robot(name), spread(each)
            reality = randomization.bind(world).draw(1, rng=100)
            real = play(world, reality, episodes, 50, 0)
            begun = time.perf_counter()
            s2r.predictive_gap(world, real, fibre=randomization.bind(world).draw(64, rng=0), reality=reality)
            between = time.perf_counter()
            found = s2r.posterior(world, real, randomization=randomization)
            ours, gap = time.perf_counter() - between, between - begun
            print(
                f"{name:<18}{found.prior.dimension:>3}{found.steps:>7}{gap:>9.2f}{ours:>15.2f}{ours / gap:>7.1f}"
                f"{found.efficiency:>7.0%}",
                flush=True,
            )


def hidden() -> None:
    """Print what a recording costs whose states have errors, against gaps with 64 members, and what is found.

    The first gap takes the recorded states for exact, the second carries their error over a step, the third follows the
    readings from the first state in every member. Times are those of all cores together, which neighbours change less.
    """
    print(
        f"{'robot':<18}{'fault':<9}{'exact [s]':>10}{'carried':>9}{'hidden':>8}{'posterior':>10}{'ratio':>7}"
        f"{'rate':>9}{'process':>9}{'chi2 z':>8}  reliable, parameters at the mode"
    )
    for name in ("InvertedPendulum", "Reacher", "Hopper", "HalfCheetah"):
        world, randomization = robot(name), spread(each=False)
        fibre = randomization.bind(world).draw(64, rng=0)
        gaps = np.zeros(3)
        for fault, change in FAULTS.items() if name != "HalfCheetah" else [("none", {})]:
            reality = s2r.Ensemble.single(change) if change else s2r.Ensemble.nominal()
            real = with_errors(play(world, reality, 6, 50, 0))
            if fault == "none":
                ways = ({}, {"state_deviation": NOISE}, {"state_deviation": NOISE, "states": "hidden"})
                gaps = np.array([seconds_of_a_gap(world, real, fibre, reality, way) for way in ways])
            begun = time.process_time()
            found = s2r.posterior(world, real, randomization=randomization, states="hidden", state_deviation=NOISE)
            spent = time.process_time() - begun
            predictor = s2r.posteriors.HiddenPredictor(world, reality, NOISE, 0).with_process(found.process)
            truth = s2r.posteriors.FilteredLikelihood(predictor, real, reality).filtered()
            rate = (truth.total[0] - found.mode.log_likelihood + 0.5 * found.freedom) / found.steps
            n = found.steps * len(real.sensors)
            shown = "".join(f"{one:>{width}.2f}" for one, width in zip((*gaps, spent), (10, 9, 8, 10), strict=True))
            print(
                f"{name:<18}{fault:<9}{shown}{spent / gaps[0]:>7.1f}{rate:>9.4f}{found.process:>9.2g}"
                f"{(found.mode.square - n) / np.sqrt(2 * n):>8.1f}  {found.reliable}, "
                + ", ".join(f"{value:.3f}" for value in found.best.values[0]),
                flush=True,
            )


def seconds_of_a_gap(
    world: s2r.World, real: s2r.Trajectories, fibre: s2r.Ensemble, reality: s2r.Ensemble, way: dict[str, object]
) -> float:
    """Return the seconds that a gap takes, of all cores together."""
    begun = time.process_time()
    s2r.predictive_gap(world, real, fibre=fibre, reality=reality, **way)
    return time.process_time() - begun


def with_errors(real: s2r.Trajectories) -> s2r.Trajectories:
    """Return a recording whose states were read with the sensors' noise."""
    draws = np.random.default_rng(900)
    states = {name: getattr(real, name) for name in ("qpos", "qvel")}
    return replace(real, **{name: of + NOISE * draws.standard_normal(of.shape) for name, of in states.items()})


def ranks(name: str, draws: int, *, episodes: int = 2, steps: int = 15, bins: int = 10) -> np.ndarray:
    """Return (draws, p) ranks of true parameters among their posteriors, in `bins` bins.

    Each recording is of a world that was drawn from the randomization (Talts, Betancourt, Simpson, Vehtari and Gelman
    2018, arXiv 1804.06788). The rank is the posterior's probability below the truth, so it is uniform.
    """
    world, randomization = robot(name), spread(each=False)
    worlds = randomization.bind(world).draw(draws, rng=1)
    found = np.empty((draws, len(worlds.parameters)))
    for row in range(draws):
        truth = worlds.select([row])
        real = play(world, truth, episodes, steps, 1000 + row)
        posterior = s2r.posterior(world, real, randomization=randomization, rng=row).ensemble()
        found[row] = posterior.weights @ (posterior.values < truth.values[0])
    return np.minimum((found * bins).astype(int), bins - 1)


def calibration(draws: int) -> None:
    """Print the p-values of a chi-square test of uniform ranks, by robot and parameter."""
    for name in ROBOTS:
        begun = time.perf_counter()
        found = ranks(name, draws)
        values = [stats.chisquare(np.bincount(column, minlength=10)).pvalue for column in found.T]
        shown = "  ".join(f"{value:.3f}" for value in values)
        print(f"{name:<24} p of uniform ranks: {shown}   ({time.perf_counter() - begun:.0f} s)", flush=True)


def hopper_recording(data: Path, n: int | None, seed: int = 0) -> tuple[s2r.World, s2r.Trajectories]:
    """Read transitions of the recorded Hopper, each as an episode of one step, and the world to hold them against.

    Transitions from a velocity that was clipped are left out, as their states are not known.
    """
    held = np.load(data / "dropo_hopper" / "hopper.npz")
    before, after, actions = held["observations"], held["next_observations"], held["actions"]
    known = np.flatnonzero((np.abs(before[:, 5:]) < 10).all(axis=1))
    if n is not None:
        known = np.sort(np.random.default_rng(seed).choice(known, n, replace=False))
    sensors = s2r.World.gymnasium("Hopper").sensors
    deviations = dict(zip(sensors, [1e-3] * 5 + [1e-2] * 6, strict=True))
    world = s2r.World.gymnasium("Hopper", noise=deviations)
    seen = np.stack([before, after], axis=1)[known]
    m = len(known)
    recording = s2r.Trajectories(
        observations=seen,
        actions=actions[known][:, None],
        rewards=np.zeros((m, 1)),
        qpos=np.concatenate([np.zeros((m, 2, 1)), seen[..., :5]], axis=2),
        qvel=seen[..., 5:],
        lengths=np.ones(m, dtype=np.int64),
        terminated=np.zeros(m, dtype=bool),
        diverged=np.zeros(m, dtype=bool),
        member_index=np.zeros(m, dtype=np.int64),
        policies=("theirs",) * m,
        sensors=sensors,
        actuators=tuple(world.compile().actuator(i).name for i in range(3)),
        control_period=0.008,
    )
    return world, recording


def hopper_randomization(*, torso_fixed: bool = False, noise_fitted: bool = False) -> s2r.Randomization:
    """Return the prior of masses and inertias.

    Args:
        torso_fixed: whether the torso's mass is held 1 kg below the truth.
        noise_fitted: whether every sensor's noise is a parameter too, which takes up what no world explains.
    """
    changes = {f"body_mass[{body}]": s2r.Change("set", 0.5 * mass, 1.5 * mass) for body, mass in MASSES.items()}
    if torso_fixed:
        changes["body_mass[torso]"] = s2r.Change("set", MASSES["torso"] - 1.0, MASSES["torso"] - 1.0)
    changes |= {f"body_inertia[{body}]": s2r.Change("scale", 0.4, 2.5, "loguniform") for body in MASSES}
    if noise_fitted:
        changes["observation_noise"] = s2r.Change("set", 1e-4, 1.0, "loguniform", each=True)
    return s2r.Randomization(changes)


def hopper(data: Path, sizes: tuple[int | None, ...] = (300, None)) -> None:
    """Print the masses of the recorded Hopper with their intervals and errors."""
    for n in sizes:
        for noise_fitted, discrepancy in itertools.product((False, True), repeat=2):
            for torso_fixed in (False, True):
                world, recording = hopper_recording(data, n)
                randomization = hopper_randomization(torso_fixed=torso_fixed, noise_fitted=noise_fitted)
                begun = time.perf_counter()
                found = s2r.posterior(world, recording, randomization=randomization, discrepancy=discrepancy)
                said = ", noise of every sensor fitted" if noise_fitted else ""
                said += ", with a discrepancy" if discrepancy else ""
                said += ", the torso held 1 kg too light" if torso_fixed else ""
                print(f"\n{found.steps} transitions{said}, {time.perf_counter() - begun:.0f} s\n{found}")
                for body, mass in MASSES.items():
                    median, low, high = found.interval(f"body_mass[{body}]")
                    print(
                        f"  {body:<6} {median / mass - 1:+.1%} [{low / mass - 1:+.1%}, {high / mass - 1:+.1%}]",
                        flush=True,
                    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("cost", "hidden", "sbc", "hopper"))
    parser.add_argument("--draws", type=int, default=200, help="worlds for each robot")
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    given = parser.parse_args()
    if given.what == "cost":
        cost()
    elif given.what == "hidden":
        hidden()
    elif given.what == "sbc":
        calibration(given.draws)
    else:
        hopper(given.data)


if __name__ == "__main__":
    main()
