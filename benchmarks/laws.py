"""How fast laws are checked: 10^6 policies, each law by itself and all that a table can answer together.

    python benchmarks/laws.py                         # some ten seconds
    python benchmarks/laws.py --policies 100000 --repeats 9
    python benchmarks/laws.py --broken 1              # every policy breaks a law

Beside each law stands the same question written by hand in numpy on the same columns, where there is one: the least
that anybody could do. Witnesses stay columns until they are read; the last line reads all of them. Seconds are those of
the processor, which a busy machine changes little.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.transfer import laws
from sim2real_cat.transfer.schema import SchTransferStudy

EPSILON = 0.5


def instance(n: int, broken: float, rng: np.random.Generator) -> ACSet:
    """So many policies in as many worlds, a share of which break a law."""
    x = ACSet(SchTransferStudy)
    x.add_parts("Observation", 2)
    x.add_parts("RealEnv", 10, observe_real=0)
    gap = rng.uniform(0, 1, n)
    half = rng.uniform(0, 0.1, n)
    robot = rng.integers(0, 10, n)
    heirs = [np.flatnonzero((robot == r) & (gap < EPSILON)) for r in range(10)]
    transfer = np.where(gap < EPSILON, np.arange(n), np.array([heirs[r][0] for r in robot]))
    transfer[rng.random(n) < broken] = -1
    x.add_parts(
        "Policy",
        n,
        deploy=robot,
        kl_gap=gap,
        gap_low=np.maximum(gap - half, 0),
        gap_high=gap + half,
        gap_steps=100.0,
        gap_episodes=20,
    )
    x.set("Policy", x.parts("Policy"), transfer=transfer)
    gaps = {"member_gap": gap, "member_gap_low": gap - half, "member_gap_high": gap + half}
    squares = {"square_gap": gap, "square_low": gap - half, "square_high": gap + half, "square_level": "transition"}
    x.add_parts("SimEnv", n, train=np.arange(n), observe_sim=1, sim_weight=1.0, **gaps, **squares)
    return x


def by_hand(x: ACSet) -> dict[str, Callable[[], object]]:
    """Laws in a few lines of numpy, without words, intervals or variables."""
    columns = {name: x.column_ids(name) for name in ("train", "deploy", "observe_sim", "observe_real", "transfer")}
    gap, low, high = (np.asarray(x.column(name)) for name in ("kl_gap", "gap_low", "gap_high"))
    transfer, deploy, ids = columns["transfer"], columns["deploy"], np.arange(len(gap))

    def identity() -> object:
        open_ = (low < EPSILON) & (high >= EPSILON)
        return np.flatnonzero(~open_ & ((transfer == ids) != (gap < EPSILON))), np.flatnonzero(open_)

    return {
        "functor": lambda: [np.flatnonzero(c < 0) for name, c in columns.items() if name != "transfer"],
        "gap-valid": lambda: np.flatnonzero(~(np.isfinite(gap) & (gap >= 0))),
        "transfer-identity": identity,
        "transfer-idempotent": lambda: np.flatnonzero((transfer >= 0) & (transfer[transfer] != transfer)),
        "transfer-deploy": lambda: np.flatnonzero((transfer >= 0) & (deploy[transfer] != deploy)),
    }


def seconds(work: Callable[[], object], repeats: int) -> float:
    """The median processor time of some turns, after one that does not count."""
    work()
    turns = []
    for _ in range(repeats):
        started = time.process_time()
        work()
        turns.append(time.process_time() - started)
    return statistics.median(turns)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policies", type=int, default=1_000_000)
    parser.add_argument("--broken", type=float, default=0.01, help="share of policies that break a law (default: 0.01)")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    x = instance(options.policies, options.broken, np.random.default_rng(0))
    hand = by_hand(x)
    print(f"{options.policies} policies in as many worlds; median of {options.repeats} turns\n")
    print(f"{'law':22} {'seconds':>8} {'by hand':>8}  witnesses")
    asked = [law for law in laws.ALL if not law.unasked(x)]
    for law in [*asked, laws.TRANSFER_EQUALIZER]:
        taken = seconds(lambda law=law: law.check(x, EPSILON), options.repeats)
        least = f"{seconds(hand[law.name], options.repeats):8.3f}" if law.name in hand else " " * 8
        print(f"{law.name:22} {taken:8.3f} {least}  {len(law.check(x, EPSILON).witnesses)}")
    for name, some in (("the five of the table", asked[:5]), ("all that are asked", asked)):
        print(f"{name:22} {seconds(lambda some=some: laws.check(x, EPSILON, some), options.repeats):8.3f}")
    report = laws.check(x, EPSILON, asked)
    found = sum(len(result.witnesses) for result in report.results)
    words = seconds(lambda: [list(result.witnesses) for result in report.results], 1)
    print(f"{'every witness in words':22} {words:8.3f} {'':8}  {found}")


if __name__ == "__main__":
    main()
