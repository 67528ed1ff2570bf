"""Shares of 95 % intervals that hold the truth, and of false alarms of "no more than A/A".

Each line draws both sides anew many times from a world whose gap is known in closed form, and counts. Independent
rows are standard normal on the simulated side; episodes are first-order autoregressions with a memory of 0.95 in each
sensor. The real side is shifted, scaled or the same. The target is 90 to 99 % for an interval and at most 5 % of
p-values up to 0.05 where there is no gap.

    python benchmarks/coverage.py                     # 200 repetitions of everything, some minutes
    python benchmarks/coverage.py --only single --repetitions 50
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.gaps.kl_gap import OF_DEALS, gap
from sim2real_cat.gaps.null import estimate_null
from sim2real_cat.gaps.samples import Observations, clouds
from sim2real_cat.gaps.support import coverage

# This file is called as its subject is, and would stand in the way of the package `coverage` on PyPI.
sys.path[:] = [place for place in sys.path if Path(place).resolve() != Path(__file__).resolve().parent]

RHO = 0.95
PACE = float(np.sqrt(1 - RHO**2))
SEED = 20_000


@dataclass(frozen=True)
class Side:
    """The size of a side: `episodes` of `steps`; independent rows where `steps` is 1."""

    episodes: int
    steps: int


@dataclass(frozen=True)
class Recorded:
    """Episodes with their fibre members, as `gap` reads them."""

    episodes: list[NDArray[np.float64]]
    member_index: NDArray[np.intp]
    sensors: tuple[str, ...]
    control_period: float = 0.02


@dataclass(frozen=True)
class Case:
    """One line of the table: the sides to draw and the method to measure them by.

    Attributes:
        name: First column; `--only` looks in here.
        method: The estimator.
        level: "occupancy" or "transition".
        d: Number of sensors.
        real: Size of the real side.
        sim: Size of the simulated side, dealt out evenly among the members.
        shift: Of the real side's noise, in standard deviations, in every sensor.
        scale: Of the real side's noise.
        members: How many members the fibre has, all alike.
        bias: Standard deviation of an offset that each episode has for itself, on both sides.
    """

    name: str
    method: str
    level: str
    d: int
    real: Side
    sim: Side
    shift: float = 0.0
    scale: float = 1.0
    members: int = 1
    bias: float = 0.0

    @property
    def truth(self) -> float:
        """Compute the gap in nats: Gaussians that differ in mean and scale, independently in every sensor."""
        mean = self.shift
        if self.real.steps > 1 and self.level == "occupancy":
            mean *= PACE / (1 - RHO)  # the stationary mean of the autoregression
        variance, spread = self.scale**2 + self.bias**2, 1 + self.bias**2
        return float(self.d * 0.5 * ((variance + mean**2) / spread - 1 - np.log(variance / spread)))

    @property
    def sizes(self) -> str:
        """Return two columns of the table."""
        return " | ".join(f"{side.episodes} x {side.steps}" for side in (self.real, self.sim))

    def draw(self, rng: np.random.Generator) -> tuple[Observations, Observations]:
        """Draw both sides anew."""
        real = self._side(rng, self.real, self.shift, self.scale)
        sim = self._side(rng, self.sim, 0.0, 1.0)
        if self.real.steps == 1:
            return real[0], sim[0]
        names = tuple(f"sensor {j}" for j in range(self.d))
        members = np.arange(self.sim.episodes) % self.members
        return Recorded(real, np.zeros(len(real), np.intp), names), Recorded(sim, members, names)

    def _side(self, rng: np.random.Generator, side: Side, shift: float, scale: float) -> list[NDArray[np.float64]]:
        if side.steps == 1:
            return [scale * rng.normal(size=(side.episodes, self.d)) + shift]
        o = scale * rng.normal(size=(side.episodes, self.d)) + PACE * shift / (1 - RHO)
        drawn = np.empty((side.episodes, side.steps, self.d))
        for t in range(side.steps):
            drawn[:, t] = o
            o = RHO * o + PACE * (shift + scale * rng.normal(size=o.shape))
        return list(drawn + self.bias * rng.normal(size=(side.episodes, 1, self.d)))


def cases() -> Iterator[Case]:
    """Yield the cases of the sweep."""
    for d in (1, 2, 5, 10):
        for shift, scale in ((0.0, 1.0), (0.3, 1.0), (0.0, 1.5)):
            rows = Side(500, 1)
            yield Case("rows", "gaussian", "occupancy", d, rows, rows, shift, scale)
    for d in (1, 2, 5):
        for shift, scale in ((0.0, 1.0), (0.15, 1.0), (0.0, 1.5)):
            yield Case("episodes", "gaussian", "occupancy", d, Side(12, 150), Side(12, 150), shift / 3, scale)
            yield Case("episodes", "gaussian", "transition", d, Side(12, 150), Side(12, 150), shift, scale)
    for level in ("occupancy", "transition"):
        for shift, scale in ((0.0, 1.0), (0.05, 1.5)):
            yield Case("fibre", "gaussian", level, 2, Side(12, 150), Side(32, 150), shift, scale, members=8)
            yield Case("fibre of single", "gaussian", level, 2, Side(12, 150), Side(8, 1000), shift, scale, members=8)
    for count in (2, 3, 4):
        for level in ("occupancy", "transition"):
            for shift, scale in ((0.0, 1.0), (0.05, 1.5)):
                yield Case("few long", "gaussian", level, 2, Side(count, 4000), Side(8, 500), shift, scale)
        yield Case("few offset", "gaussian", "occupancy", 2, Side(count, 2000), Side(32, 500), 0.0, 1.5, bias=0.5)
    for d in (1, 2):
        for level in ("occupancy", "transition"):
            for shift, scale in ((0.0, 1.0), (0.05, 1.5)):
                yield Case("single real", "gaussian", level, d, Side(1, 4000), Side(8, 500), shift, scale)
    for d in (1, 2, 3):
        for shift, scale in ((0.0, 1.0), (0.5, 1.0), (0.0, 1.5)):
            yield Case("rows", "knn", "occupancy", d, Side(1000, 1), Side(1000, 1), shift, scale)
    for d in (1, 2):
        for shift, scale in ((0.0, 1.0), (0.1, 1.0), (0.0, 1.5)):
            yield Case("episodes", "knn", "occupancy", d, Side(12, 150), Side(12, 150), shift, scale)
    yield Case("episodes", "knn", "transition", 1, Side(12, 150), Side(12, 150), 0.3, 1.0)
    for shift, scale in ((0.0, 1.0), (0.05, 1.5)):
        yield Case("single real", "knn", "occupancy", 1, Side(1, 4000), Side(8, 500), shift, scale)


def intervals(chosen: list[Case], repetitions: int) -> None:
    """Count how often the interval holds the truth."""
    print(
        "| case | method | level | d | real | simulated | truth | mean raw | covered | finite | reliable | width "
        "| s each |"
    )
    print("|" + "---|" * 13)
    for case in chosen:
        started = time.perf_counter()
        found = [
            gap(*case.draw(generator(seed)), method=case.method, level=case.level, splits=0)
            for seed in range(repetitions)
        ]
        each = (time.perf_counter() - started) / repetitions
        finite = np.array([np.isfinite(e.high) for e in found])
        covered = np.array([e.low <= case.truth <= e.high for e in found])
        print(
            f"| {case.name} | {case.method} | {case.level} | {case.d} | {case.sizes} | {case.truth:.3f} "
            f"| {np.mean([e.raw for e in found]):.3f} | {covered.mean():.3f} | {finite.mean():.2f} "
            f"| {np.mean([e.reliable for e in found]):.2f} "
            f"| {np.median([e.high - e.low for e in found]):.3f} | {each:.2f} |",
            flush=True,
        )


def alarms(chosen: list[Case], repetitions: int) -> None:
    """Count how often a p-value is at most 0.05 where there is no gap: "no more than A/A", and of `coverage`."""
    print("\n| case | level | d | real | simulated | members | A/A p <= .05 | coverage p <= .05 |")
    print("|" + "---|" * 8)
    for case in chosen:
        if case.truth != 0 or case.method not in OF_DEALS:
            continue
        null, support = [], []
        for seed in range(repetitions):
            drawn = case.draw(generator(seed))
            real, sim, weights, _ = clouds(*drawn, case.level, None)
            found = estimate_null(real, sim, weights, lambda *_: 0.0, 1, generator(seed), OF_DEALS[case.method])
            null += [] if found.p_value is None else [found.p_value <= 0.05]
            support.append(coverage(*drawn, level=case.level).p_value <= 0.05)
        print(
            f"| {case.name} | {case.level} | {case.d} | {case.sizes} | {case.members} "
            f"| {np.mean(null) if null else np.nan:.3f} | {np.mean(support):.3f} |",
            flush=True,
        )


def generator(seed: int) -> np.random.Generator:
    return np.random.default_rng([SEED, seed])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--only", default="", help="cases whose name, method or level has this text")
    parser.add_argument("--table", choices=("intervals", "alarms", "both"), default="both")
    options = parser.parse_args()
    chosen = [case for case in cases() if options.only in f"{case.name} {case.method} {case.level}"]
    if options.table != "alarms":
        intervals(chosen, options.repetitions)
    if options.table != "intervals":
        alarms(chosen, options.repetitions)


if __name__ == "__main__":
    main()
