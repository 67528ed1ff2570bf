"""Measure whether a gap tells how much return a policy loses on the robot, by rank correlations over worlds.

Each of six robots has a policy, trained in a fibre of randomized worlds. It is deployed in some 28 worlds that stand
for reality and differ from the simulation in dynamics, sensing and timing, from not at all to severely. Every world
gets every score (the estimators of the gap, and the measures in use today) and the loss of return there.

    python benchmarks/validity.py report                 # tables and picture, from benchmarks/data/validity.csv
    python benchmarks/validity.py run                    # every world again, and the report
    python benchmarks/validity.py run --robots Hopper --scores predictive    # one score of one robot's worlds
    python benchmarks/validity.py train                  # the policies again

The results and their meaning are in docs/explanation/validity.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from validity_robots import DATA, ROBOTS, RealWorld, Robot, real_worlds
from validity_scores import SCORES, SLOW, Case, from_the_starts_of, scores, spread_of
from validity_statistics import Worlds, read
from validity_tables import bands, by_kind, by_robot, compared, examples, pooled, summary

from sim2real_cat.files import replacing, write_text
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.worlds.simulation.rollout import rollout

CSV = DATA / "validity.csv"
DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE, PICTURE = DOCS / "explanation" / "validity.md", DOCS / "images" / "validity.png"

SIM_STEPS, REAL_STEPS, SCORED_STEPS = 1000, 8000, 2000
"""Control steps, if no episode ends early: in each world of the fibre; in each real-like world, for its return; and of
these, those that the scores see."""

MAIN = "predictive"
"""The gap that the picture shows and that the others are compared with."""

CsvRow = dict[str, object]
"""One line of the data file, by column."""


def played(robot: Robot, seed: int, chosen: Sequence[str]) -> list[CsvRow]:
    """Deploy a robot's policy in its real-like worlds; return a row for each."""
    world, policy, fibre = robot.world, robot.policy(), robot.fibre()
    rng = np.random.default_rng([seed, ROBOTS.index(robot)])
    simulated, deployed, scored = (steps // robot.steps for steps in (SIM_STEPS, REAL_STEPS, SCORED_STEPS))
    sim = rollout(world, policy, rng=rng, fibre=fibre, episodes=simulated, steps=robot.steps)
    rest = rollout(world, robot.at_rest(), rng=rng, episodes=deployed, steps=robot.steps)
    spread = spread_of(sim)
    rows: list[CsvRow] = []
    for reality in real_worlds(robot, spread, rng):
        began = time.perf_counter()
        real = rollout(world, policy, rng=rng, fibre=reality.ensemble, episodes=deployed, steps=robot.steps)
        seen = real.select(np.arange(scored))
        paired = from_the_starts_of(world, policy, seen, int(rng.integers(2**32)))
        found, notes = scores(Case(world, fibre, seen, sim, paired, spread), chosen)
        row = _row(robot, reality, float(sim.returns.mean()), float(rest.returns.mean()), real)
        rows.append({**row, **found})
        differences = ", ".join(reality.differences) or "nothing"
        line = f"{robot.name}, {differences}: {row['loss']:.2f} lost, {time.perf_counter() - began:.1f} s"
        print(line, *notes, sep="\n    ", flush=True)
    return rows


def _row(robot: Robot, reality: RealWorld, sim: float, rest: float, real: Trajectories) -> CsvRow:
    """Return the columns of a real-like world except the scores: its differences, and the loss of return there."""
    losses = (sim - real.returns) / (sim - rest)
    return {
        "robot": robot.name,
        "kind": reality.kind,
        "differences": ", ".join(reality.differences),
        "severity": reality.severity,
        "parameters": json.dumps(reality.table),
        "return_sim": sim,
        "return_rest": rest,
        "return_real": float(real.returns.mean()),
        "loss": float(losses.mean()),
        "loss_even": float(losses[::2].mean()),
        "loss_odd": float(losses[1::2].mean()),
        "steps_real": float(real.lengths.mean()),
    }


def write(rows: list[CsvRow]) -> None:
    """Write the data file, with six digits of every number; scores that were not computed again stay as they were.

    A row is known by its robot, its place among that robot's rows, and its parameters.
    """
    old: dict[str, list[CsvRow]] = {}
    if CSV.exists():
        with CSV.open(newline="", encoding="utf-8") as file:
            for each in csv.DictReader(file):
                old.setdefault(each["robot"], []).append(dict(each))
    new: dict[str, list[CsvRow]] = {}
    for row in rows:
        told: CsvRow = {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()}
        before = old.get(str(row["robot"]), [])
        place = len(new.setdefault(str(row["robot"]), []))
        same = place < len(before) and before[place]["parameters"] == told["parameters"]
        new[str(row["robot"])].append({**(before[place] if same else {}), **told})
    columns = [*(name for name in rows[0] if name not in SCORES), *SCORES]
    with replacing(CSV) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n", restval="nan", extrasaction="ignore")
        writer.writeheader()
        for robot in ROBOTS:
            writer.writerows(new.get(robot.name, old.get(robot.name, [])))


def tables(worlds: Worlds) -> dict[str, str]:
    """Return the tables of the documentation in Markdown, by the names of their places in the page."""
    return {
        "summary": summary(worlds),
        "pooled": pooled(worlds),
        "compared": compared(worlds, MAIN),
        "bands": bands(worlds, (MAIN, "predictive, no fibre")),
        "examples": examples(worlds, (MAIN, "predictive, no fibre", "marginal gaussian", "one-step RMSE")),
        "kinds": by_kind(worlds),
        "robots": by_robot(worlds),
    }


def filled(page: str, shown: Mapping[str, str]) -> str:
    """Return the page with every table in its place, between ``<!-- NAME -->`` and ``<!-- end -->``."""
    for name, text in shown.items():
        place = re.compile(f"(?<=<!-- {name} -->\n\n).*?(?=\n\n<!-- end -->)", re.DOTALL)
        page, found = place.subn(lambda _, text=text: text, page)
        if found != 1:
            raise ValueError(f"the page has {found} places for '{name}', it needs one: {PAGE}")
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("report", "run", "train"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--robots", nargs="+", default=[robot.name for robot in ROBOTS], help="of train and run")
    quick = [score for score in SCORES if score not in SLOW]
    parser.add_argument("--scores", nargs="+", default=quick, choices=list(SCORES), metavar="SCORE", help="of run")
    options = parser.parse_args()
    robots = [robot for robot in ROBOTS if robot.name in options.robots]
    if options.what == "train":
        for robot in robots:
            robot.train(options.seed)
        return
    if options.what == "run":
        for robot in robots:
            write(played(robot, options.seed, options.scores))
    from validity_picture import draw  # matplotlib is needed for this alone

    worlds = read(CSV, list(SCORES))
    shown = tables(worlds)
    print(*shown.values(), sep="\n\n")
    write_text(PAGE, filled(PAGE.read_text(encoding="utf-8"), shown))
    draw(worlds, PICTURE, MAIN)


if __name__ == "__main__":
    main()
