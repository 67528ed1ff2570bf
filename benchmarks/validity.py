"""Does a gap say how much return a policy loses on the robot? Rank correlations over worlds that stand for reality.

A policy is trained for each of six robots in a fibre of randomized worlds. It is then deployed in some 28 worlds that
differ from the simulation in dynamics, sensing and timing, from not at all to severely. Each gets every score (the
estimators of the gap, and what people use today), and the loss of return from simulation to that "reality".

    python benchmarks/validity.py report      # the table and the picture, from benchmarks/data/validity.csv
    python benchmarks/validity.py run         # every world again, and the report
    python benchmarks/validity.py train       # the policies again

What it means: docs/explanation/validity.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from pathlib import Path

import numpy as np
from validity_robots import DATA, ROBOTS, RealWorld, Robot, real_worlds
from validity_scores import SCORES, Case, from_the_starts_of, scores, spread_of

from sim2real_cat.files import replacing
from sim2real_cat.worlds.rollout import rollout
from sim2real_cat.worlds.trajectories import Trajectories

CSV = DATA / "validity.csv"
SIM_EPISODES, REAL_EPISODES, SCORED_EPISODES = 6, 32, 16
"""Episodes in each world of the fibre; in each real-like world, for its return; and those that the scores see."""


def played(robot: Robot, seed: int) -> list[dict[str, object]]:
    """One row for every real-like world of a robot."""
    world, policy, fibre = robot.world, robot.policy(), robot.fibre()
    rng = np.random.default_rng([seed, ROBOTS.index(robot)])
    sim = rollout(world, policy, rng=rng, members=fibre, episodes=SIM_EPISODES, steps=robot.steps)
    rest = rollout(world, robot.at_rest(), rng=rng, episodes=REAL_EPISODES, steps=robot.steps)
    returns = {"sim": float(sim.returns.mean()), "rest": float(rest.returns.mean())}
    spread = spread_of(sim)
    rows = []
    for number, reality in enumerate(real_worlds(robot, spread, rng)):
        began = time.perf_counter()
        real = rollout(
            world, policy, rng=rng, members=reality.ensemble, episodes=REAL_EPISODES, steps=robot.steps
        )
        seen = real.select(np.arange(SCORED_EPISODES))
        paired = from_the_starts_of(world, policy, seen, int(rng.integers(2**32)))
        found, notes = scores(Case(world, fibre, reality.ensemble, seen, sim, paired, spread))
        rows.append(_row(robot, number, reality, returns, real, found, notes))
        print(f"{robot.name} {number}: {', '.join(reality.differences) or 'the same'}, "
              f"lost {rows[-1]['loss']:.2f}, {time.perf_counter() - began:.1f} s", *notes, sep="\n    ", flush=True)
    return rows


def _row(
    robot: Robot,
    number: int,
    reality: RealWorld,
    returns: dict[str, float],
    real: Trajectories,
    found: dict[str, float],
    notes: list[str],
) -> dict[str, object]:
    """What the table says of one real-like world."""
    unit = returns["sim"] - returns["rest"]
    losses = (returns["sim"] - real.returns) / unit
    return {
        "robot": robot.name,
        "world": number,
        "kind": reality.kind,
        "differences": ", ".join(reality.differences),
        "severity": reality.severity,
        "parameters": json.dumps(reality.table),
        "return_sim": returns["sim"],
        "return_rest": returns["rest"],
        "return_real": real.returns.mean(),
        "loss": losses.mean(),
        "loss_even": losses[::2].mean(),
        "loss_odd": losses[1::2].mean(),
        "steps_real": real.lengths.mean(),
        **found,
        "notes": " | ".join(notes),
    }


def write(rows: list[dict[str, object]]) -> None:
    """Write the table, whole or not at all; six digits of every number."""
    with replacing(CSV) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        for row in rows:
            table.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("report", "run", "train"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--robots", nargs="+", default=[robot.name for robot in ROBOTS], help="for train and run")
    options = parser.parse_args()
    robots = [robot for robot in ROBOTS if robot.name in options.robots]
    if options.what == "train":
        for robot in robots:
            robot.train(options.seed)
    if options.what == "run":
        write([row for robot in robots for row in played(robot, options.seed)])
    if options.what != "train":
        report(read(CSV))


if __name__ == "__main__":
    main()
