"""Errors of the estimators where the truth is known, and their times beside peers and bare simulation.

Estimators meet the same samples. Measurements of time that are compared take turns in one process; the median of the
ratios within a turn counts.

    python benchmarks/gaps.py                         # everything: half an hour on two cores
    python benchmarks/gaps.py truth --seeds 20 --dimensions 5 20
    python benchmarks/gaps.py neighbours --points 20000
    python benchmarks/gaps.py predictive --transitions 20000
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import integrate, stats
from scipy.spatial import cKDTree

from sim2real_cat.gaps.kl_gap import gap
from sim2real_cat.gaps.nearest_neighbours import nearest

Draw = Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]
"""Real and simulated rows, so many of each."""


@dataclass(frozen=True)
class Case:
    """Two distributions whose divergence is known."""

    name: str
    truth: float
    draw: Draw


def one_dimension() -> list[Case]:
    """Return the tests of kldest, an R package, and others whose truth is a closed form or an integral."""
    laplace = integrate.quad(
        lambda x: stats.laplace.pdf(x) * (stats.laplace.logpdf(x) - stats.norm.logpdf(x)), -60, 60
    )[0]
    return [
        Case("N(0, 1) || N(5, 25)", 1.629438, lambda r, n: (r.normal(size=n), r.normal(5, 5, n))),
        Case("Exp(1) || Exp(1/12)", 1.568240, lambda r, n: (r.exponential(1, n), r.exponential(12, n))),
        Case("U(1, 2) || U(0, 4)", np.log(4), lambda r, n: (r.uniform(1, 2, n), r.uniform(0, 4, n))),
        Case("Laplace || N(0, 1)", laplace, lambda r, n: (r.laplace(size=n), r.normal(size=n))),
        Case("two modes || N(0, 1)", 0.723553, lambda r, n: (two_modes(r, n), r.normal(size=n))),
    ]


def two_modes(rng: np.random.Generator, n: int) -> np.ndarray:
    """½ N(-a, s²) + ½ N(a, s²) with a² + s² = 1: the moments of N(0, 1), from which it diverges by 0.723553 nats."""
    return rng.choice([-1, 1], n) * np.sqrt(1 - SPREAD**2) + SPREAD * rng.normal(size=n)


def _modes_against_normal(spread: float) -> float:
    def integrand(x: float) -> float:
        a = np.sqrt(1 - spread**2)
        density = np.logaddexp(stats.norm.logpdf(x, -a, spread), stats.norm.logpdf(x, a, spread)) - np.log(2)
        return float(np.exp(density) * (density - stats.norm.logpdf(x)))

    return integrate.quad(integrand, -4, 4, points=[-1, 0, 1], limit=200)[0]


def _spread_of(divergence: float) -> float:
    from scipy.optimize import brentq

    return float(brentq(lambda spread: _modes_against_normal(spread) - divergence, 0.05, 0.9))


SPREAD = _spread_of(0.723553)


def many_dimensions(d: int) -> list[Case]:
    """Return Gaussians that differ in one mean or in every scale, and shapes that Gaussians do not have."""
    student = integrate.quad(lambda x: stats.t.pdf(x, 5) * (stats.t.logpdf(x, 5) - stats.t.logpdf(x, 5, 0.5)), -80, 80)[
        0
    ]
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(d, d)))[0]

    def modes(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        real = rng.normal(size=(n, d))
        real[:, 0] = two_modes(rng, n)
        return real @ turn, rng.normal(size=(n, d))

    def bent(rng: np.random.Generator, n: int, by: float) -> np.ndarray:
        rows = rng.normal(size=(n, d))
        rows[:, 1] += by * (rows[:, 0] ** 2 - 1)
        return rows

    return [
        Case("the same", 0.0, lambda r, n: (r.normal(size=(n, d)), r.normal(size=(n, d)))),
        Case("mean shift", 0.5, lambda r, n: (r.normal(size=(n, d)), r.normal(size=(n, d)) + np.eye(d)[0])),
        Case(
            "wider simulation",
            d * (np.log(1.5) + 0.5 / 2.25 - 0.5),
            lambda r, n: (r.normal(size=(n, d)), 1.5 * r.normal(size=(n, d))),
        ),
        Case(
            "narrower simulation",
            d * (1.125 - np.log(1.5) - 0.5),
            lambda r, n: (1.5 * r.normal(size=(n, d)), r.normal(size=(n, d))),
        ),
        Case("two modes, turned", 0.723553, modes),
        Case("bent", 0.25, lambda r, n: (bent(r, n, 1.0), bent(r, n, 0.5))),
        Case("Student t, 5", d * student, lambda r, n: (r.standard_t(5, (n, d)), r.standard_t(5, (n, d)) + 0.5)),
        Case(
            "exponential",
            d * (np.log(1.5) + 1 / 1.5 - 1),
            lambda r, n: (r.exponential(1, (n, d)), r.exponential(1.5, (n, d))),
        ),
        Case("uniform", d * np.log(1.2), lambda r, n: (r.uniform(0, 1, (n, d)), r.uniform(-0.1, 1.1, (n, d)))),
    ]


ESTIMATORS = {
    "recommended": {},  # what `gap` does where no method is named
    "gaussian": {"method": "gaussian"},
    "knn anchored": {"method": "knn"},
    "knn extrapolated": {"method": "knn", "variant": "extrapolated"},
    "knn reduced": {"method": "knn", "variant": "reduced"},
    "knn plain": {"method": "knn", "variant": "plain"},
}


def truth(options: argparse.Namespace) -> None:
    """Print mean, error and deviation over the seeds, and how often the interval covers and is called reliable."""
    work = [(1, options.rows_1d, case) for case in one_dimension()]
    work += [(d, options.rows, case) for d in options.dimensions for case in many_dimensions(d)]
    print(
        f"{'d':>3} {'case':22}{'truth':>8}  {'estimator':18}{'mean':>9}{'error':>9}{'sd':>8}{'covers':>8}"
        f"{'reliable':>10}"
    )
    for d, rows, case in work:
        for name, choices in ESTIMATORS.items():
            found = []
            for seed in range(options.seeds):
                real, sim = case.draw(np.random.default_rng(seed), rows)
                found.append(gap(real, sim, splits=0, **choices))
            raw = np.array([one.raw for one in found])
            error = f"{raw.mean() / case.truth - 1:+.1%}" if case.truth else f"{raw.mean():+.3f}"
            covers = sum(one.low <= case.truth <= one.high for one in found) / len(found)
            reliable = sum(one.reliable for one in found) / len(found)
            print(
                f"{d:3} {case.name:22}{case.truth:8.3f}  {name:18}{raw.mean():9.3f}{error:>9}{raw.std():8.3f}"
                f"{covers:8.0%}{reliable:10.0%}",
                flush=True,
            )


def neighbours(options: argparse.Namespace) -> None:
    """Time the six nearest neighbours of every normal point: ours, scipy's k-d tree and scikit-learn's default."""
    from sklearn.neighbors import NearestNeighbors

    print(
        f"{'points':>8}{'d':>4}{'ours [s]':>10}{'scipy [s]':>11}{'sklearn [s]':>12}{'ours/scipy':>12}"
        f"{'ours/sklearn':>14}"
    )
    for d in (3, 8, 16):
        points = np.random.default_rng(0).normal(size=(options.points, d))
        ways = {
            "ours": lambda points=points: nearest(points, points, 6)[0],
            "scipy": lambda points=points: cKDTree(points).query(points, k=6, workers=-1)[0],
            "sklearn": lambda points=points: (
                NearestNeighbors(n_neighbors=6, n_jobs=-1).fit(points).kneighbors(points)[0]
            ),
        }
        times = interleaved(ways, options.repeats)
        median = {name: statistics.median(each) for name, each in times.items()}
        ratios = [
            statistics.median(a / b for a, b in zip(times["ours"], times[peer], strict=True))
            for peer in ("scipy", "sklearn")
        ]
        print(
            f"{options.points:8}{d:4}{median['ours']:10.2f}{median['scipy']:11.2f}{median['sklearn']:12.2f}"
            f"{ratios[0]:12.2f}{ratios[1]:14.2f}",
            flush=True,
        )


def growth(options: argparse.Namespace) -> None:
    """Print the exponent b of time ~ rows^b of a whole estimate with its interval, at 6 sensors and at 16."""
    sizes = [options.points // factor for factor in (16, 8, 4, 2)]
    for d in (6, 16):
        for name in ("gaussian", "knn anchored"):
            times = []
            for n in sizes:
                rng = np.random.default_rng(0)
                real, sim = rng.normal(size=(n, d)), 1.2 * rng.normal(size=(n, d))
                begin = time.perf_counter()
                gap(real, sim, **ESTIMATORS[name])
                times.append(time.perf_counter() - begin)
            exponent = np.polyfit(np.log(sizes), np.log(times), 1)[0]
            seconds = ", ".join(f"{n}: {t:.2f} s" for n, t in zip(sizes, times, strict=True))
            print(f"{name:16} d = {d:2}  exponent {exponent:.2f}   ({seconds})", flush=True)


def predictive(options: argparse.Namespace) -> None:
    """Time the predictive gap of Hoppers, 64 members, over the bare batch that steps as often from recorded states."""
    import mujoco
    from mujoco.batch import Batch

    from sim2real_cat.policies.policy import LinearPolicy
    from sim2real_cat.predictive.gap import predictive_gap
    from sim2real_cat.worlds.parameters.apply import apply_to_model
    from sim2real_cat.worlds.randomization.ensemble import Ensemble
    from sim2real_cat.worlds.randomization.randomization import Randomization
    from sim2real_cat.worlds.simulation.rollout import rollout
    from sim2real_cat.worlds.world import World

    world = World.gymnasium("Hopper", noise=0.05)
    fibre = Randomization.from_table({"body_inertial[torso]": {"scale": [0.7, 1.6]}}).draw(64, rng=0)
    reality = Ensemble.single({"body_inertial[torso]": {"scale": 1.3}})
    gain = 0.3 * np.random.default_rng(0).normal(size=(3, 11))
    policy = LinearPolicy(gain, np.zeros(11), np.ones(11))
    real = rollout(world, policy, fibre=reality, episodes=options.transitions // 15, steps=100, rng=0)
    episode, step = real.transitions()
    model = world.compile()
    batch = Batch(model, 4096, nthread=0)
    apply_to_model(batch, model, fibre, np.repeat(np.arange(64), 64))
    steps = len(episode) * 65

    def bare() -> None:
        for first in range(0, steps // 65, 63):
            rows = np.tile(np.resize(np.arange(first, min(first + 64, len(episode))), 64), 64)
            batch.reset(stage=mujoco.mjtStage.mjSTAGE_NONE)
            batch.qpos[:], batch.qvel[:] = real.qpos[episode[rows], step[rows]], real.qvel[episode[rows], step[rows]]
            batch.ctrl[:] = real.actions[episode[rows], step[rows]]
            batch.step(nstep=world.substeps, stage=mujoco.mjtStage.mjSTAGE_NONE)

    def whole() -> None:
        predictive_gap(world, real, fibre=fibre, reality=reality)

    ratios = []
    for _ in range(options.repeats):
        spent = []
        for way in (whole, bare):
            begin = time.process_time(), time.perf_counter()
            way()
            spent.append((time.process_time() - begin[0], time.perf_counter() - begin[1]))
        ratios.append((spent[0][0] / spent[1][0], spent[0][1] / spent[1][1]))
        print(f"{len(episode)} transitions: {spent[0][1]:.1f} s over {spent[1][1]:.1f} s of bare steps", flush=True)
    for place, clock in enumerate(("processor", "clock")):
        of = [ratio[place] for ratio in ratios]
        print(f"by the {clock}: {statistics.median(of):.2f} ({min(of):.2f} to {max(of):.2f})")


def interleaved(ways: dict[str, Callable[[], np.ndarray]], repeats: int) -> dict[str, list[float]]:
    """Measure seconds of every way, one of each in turn; all must find the same distances."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    first: np.ndarray | None = None
    for _ in range(repeats):
        for name, way in ways.items():
            begin = time.perf_counter()
            found = way()
            times[name].append(time.perf_counter() - begin)
            first = found if first is None else first
            np.testing.assert_allclose(found, first, atol=1e-6)
    return times


WORK = {work.__name__: work for work in (truth, neighbours, growth, predictive)}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", nargs="*", help=f"some of {', '.join(WORK)}; all where none is named")
    parser.add_argument("--seeds", type=int, default=10, help="samples of every case (default 10)")
    parser.add_argument("--rows", type=int, default=1000, help="rows on each side in many dimensions (default 1000)")
    parser.add_argument(
        "--rows-1d", type=int, default=10_000, help="rows on each side in one dimension (default 10000)"
    )
    parser.add_argument("--dimensions", type=int, nargs="+", default=[2, 5, 10, 20], help="(default 2 5 10 20)")
    parser.add_argument("--points", type=int, default=10**5, help="points of the largest cloud (default 100000)")
    parser.add_argument("--transitions", type=int, default=10**5, help="real transitions predicted (default 100000)")
    parser.add_argument("--repeats", type=int, default=3, help="how often each is timed (default 3)")
    options = parser.parse_args(arguments)
    for name in options.work or WORK:
        if name not in WORK:
            parser.error(f"no work '{name}'; choose from {', '.join(WORK)}")
        print(f"\n{name}: {WORK[name].__doc__}")
        WORK[name](options)


if __name__ == "__main__":
    main()
