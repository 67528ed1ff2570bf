"""How fast the Catlab engine is beside the embedded one: the same operation on the same instance in both.

    python benchmarks/catlab.py                                   # some minutes with Julia
    python benchmarks/catlab.py --only "path" --sizes 1000 --repeats 9
    python benchmarks/catlab.py --stand-in                        # without Julia: only the Python half

The engines take turns in one process, after one turn that is not measured, in which Julia compiles, and whose answers
must agree. A ratio is formed within one turn, and its median counts; how time grows is the slope of log time over log
size. With `--stand-in` the stand-in of the tests answers in the place of Julia, and the time in it is left out: what is
left is what Python does before and after Catlab, a lower bound of the time of the engine.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.catlab import julia
from sim2real_cat.acsets.maps.colimits import coequalizer, coproduct, pushout
from sim2real_cat.acsets.maps.homomorphisms import count_homomorphisms, is_isomorphic
from sim2real_cat.acsets.maps.limits import equalizer, loose_product, product, pullback
from sim2real_cat.acsets.maps.morphism import Morphism
from sim2real_cat.acsets.maps.subobjects import SubInstance
from sim2real_cat.acsets.migration.delta import delta
from sim2real_cat.acsets.migration.functor import SchemaFunctor
from sim2real_cat.acsets.migration.sigma import sigma
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.transfer.laws.report import check
from sim2real_cat.transfer.schema import SchSim2RealTransfer

GRAPH = Schema("Graph", obs=["V", "E"], homs={"src": ("E", "V"), "tgt": ("E", "V")})


@dataclass(frozen=True)
class Operation:
    """An operation that both engines have.

    Attributes:
        name: the operation, as the table says it.
        instance: makes an instance of about so many rows.
        ask: does the operation on an instance of any engine; the answers of both engines are equal.
        largest: the largest size at which Catlab ends in reasonable time.
    """

    name: str
    instance: Callable[[int], ACSet]
    ask: Callable[[ACSet], object]
    largest: int = 100_000


def graph(vertices: int, ends: np.ndarray) -> ACSet:
    """A graph with the edges of an array of shape (2, m)."""
    x = ACSet(GRAPH)
    x.add_parts("V", vertices)
    x.add_parts("E", ends.shape[1], src=ends[0], tgt=ends[1])
    return x


def random_graph(edges: int) -> ACSet:
    """As many vertices as edges, whose ends are drawn at random: as many paths of two edges as edges."""
    return graph(edges, np.random.default_rng(0).integers(0, edges, (2, edges)))


def random_study(worlds: int) -> ACSet:
    """Worlds that trained a tenth as many policies; of some the transfer is undefined, of some the gap not measured."""
    rng, policies = np.random.default_rng(0), max(worlds // 10, 2)
    x = ACSet(SchSim2RealTransfer)
    x.add_parts("Observation", worlds)
    x.add_parts("RealEnv", policies, observe_real=rng.integers(0, worlds, policies))
    gaps = np.ma.masked_array(rng.uniform(0, 2, policies), rng.random(policies) < 0.2)
    x.add_parts("Policy", policies, deploy=rng.integers(0, policies, policies), kl_gap=gaps)
    x.set("Policy", x.parts("Policy"), transfer=rng.integers(-1, policies, policies))
    x.add_parts("SimEnv", worlds, train=rng.integers(0, policies, worlds), observe_sim=np.arange(worlds))
    return x


def rigid_graph(edges: int) -> ACSet:
    """A random graph with three edges for each vertex."""
    return graph(edges // 3, np.random.default_rng(0).integers(0, edges // 3, (2, edges)))


def square_root_graph(edges: int) -> ACSet:
    """A random graph whose product with itself has so many edges."""
    return random_graph(math.isqrt(edges))


def square_root_study(worlds: int) -> ACSet:
    """A study whose product with itself has so many worlds."""
    return random_study(math.isqrt(worlds))


def reversed_order(x: ACSet) -> ACSet:
    """The same instance with its parts in the opposite order."""
    return x.restrict({ob: x.parts(ob)[::-1] for ob in x.schema.obs}).instance


def sizes_of(x: ACSet) -> dict[str, int]:
    return {ob: x.nparts(ob) for ob in x.schema.obs}


def robots(x: ACSet, *which: int) -> list[Morphism]:
    """Morphisms that pick out robots of a study."""
    robot = x.like()
    robot.add("RealEnv")
    return [Morphism(robot, x, {ob: [part] if ob == "RealEnv" else [] for ob in x.schema.obs}) for part in which]


def identities(x: ACSet) -> tuple[Morphism, Morphism]:
    return Morphism.identity(x), Morphism.identity(x)


def implication(x: ACSet) -> str:
    """Of what half of the worlds reach, and of what the first policy reaches."""
    half = SubInstance.generated(x, {"SimEnv": x.parts("SimEnv")[::2]})
    return repr(half.implies(SubInstance.generated(x, {"Policy": [0]})).parts)


GAPS_OF_WORLDS = SchemaFunctor(
    Schema("Gaps", ["World", "Kept"], {"in": ("World", "Kept")}, {"Gap": float}, {"gap": ("Kept", "Gap")}),
    SchSim2RealTransfer,
    {"World": "SimEnv", "Kept": "Policy"},
    {"in": "train"},
    {"Gap": "TransferGap"},
    {"gap": "kl_gap"},
)
WITH_COLOURS = SchemaFunctor.inclusion(
    GRAPH, GRAPH.extend("Coloured", obs=["Colour"], homs={"colour": ("V", "Colour")})
)
EDGE = graph(2, np.array([[0], [1]]))
PATH = graph(3, np.array([[0, 1], [1, 2]]))

OPERATIONS = [
    Operation("path of two edges", random_graph, lambda x: x.query("E(src=a, tgt=b), E(src=b, tgt=c)")),
    Operation("count edges", random_graph, lambda x: count_homomorphisms(EDGE, x)),
    Operation("count paths of two edges", random_graph, lambda x: count_homomorphisms(PATH, x)),
    Operation("follow a path", random_study, lambda x: x.subpart("train.transfer.deploy").tolist()),
    Operation("preimages of all parts", random_study, lambda x: [ids.tolist() for ids in x.preimages("train.deploy")]),
    Operation("write JSON", random_study, lambda x: x.to_json()),
    Operation("laws", random_study, lambda x: [result.verdict for result in check(x).results]),
    Operation("disjoint union", random_study, lambda x: x.disjoint_union(x).instance),
    Operation("isomorphism", rigid_graph, lambda x: is_isomorphic(x, reversed_order(x)), 1_000),
    Operation("coproduct", random_study, lambda x: sizes_of(coproduct(x, x).apex), 10_000),
    Operation("pushout along a robot", random_study, lambda x: sizes_of(pushout(*robots(x, 0, 1)).apex), 10_000),
    Operation(
        "coequalizer of two robots", random_study, lambda x: sizes_of(coequalizer(*robots(x, 0, 1)).apex), 10_000
    ),
    Operation("product", square_root_graph, lambda x: sizes_of(product(x, x).apex), 10_000),
    Operation("loose product", square_root_study, lambda x: sizes_of(loose_product(x, x).instance), 10_000),
    Operation("pullback", random_study, lambda x: sizes_of(pullback(*identities(x)).apex), 10_000),
    Operation("equalizer", random_study, lambda x: sizes_of(equalizer(*identities(x)).apex), 10_000),
    Operation("implication of subobjects", random_study, implication, 10_000),
    Operation("delta", random_study, lambda x: delta(GAPS_OF_WORLDS, x), 10_000),
    Operation("sigma", random_graph, lambda x: sizes_of(sigma(WITH_COLOURS, x)), 10_000),
]


class Clock:
    """Seconds spent in the stand-in, which are taken off."""

    def __init__(self) -> None:
        self.in_stand_in = 0.0

    def install(self) -> None:
        """Let the stand-in of the tests answer all calls to Julia."""
        sys.path.append(str(Path(__file__).resolve().parent.parent / "tests" / "support"))
        from julia_stand_in import StandIn

        stand_in = StandIn()

        def call(function: str, *arguments: object) -> object:
            started = time.perf_counter()
            answer = getattr(stand_in, function)(*arguments)
            self.in_stand_in += time.perf_counter() - started
            return answer

        julia.call = call
        julia.start = lambda: None

    def seconds(self, operation: Operation, x: ACSet) -> float:
        """Return the time of one operation, less that in the stand-in."""
        before, started = self.in_stand_in, time.perf_counter()
        operation.ask(x)
        return time.perf_counter() - started - (self.in_stand_in - before)


def measure(operation: Operation, size: int, repeats: int, clock: Clock) -> tuple[float, float, float]:
    """Return the median seconds of the embedded engine, those of Catlab, and their median ratio."""
    here = operation.instance(size)
    there = here.to_engine("catlab")
    if operation.ask(here) != operation.ask(there):
        raise AssertionError(f"{operation.name} at {size} rows: the engines differ")
    turns = [(clock.seconds(operation, here), clock.seconds(operation, there)) for _ in range(repeats)]
    mine, theirs = (statistics.median(side) for side in zip(*turns, strict=True))
    return mine, theirs, statistics.median(catlab / embedded for embedded, catlab in turns)


def slope(sizes: Sequence[int], times: Sequence[float]) -> str:
    """Return by which power of the size the time grows."""
    if len(sizes) < 2:
        return ""
    return f"size^{np.polyfit([math.log(n) for n in sizes], [math.log(t) for t in times], 1)[0]:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="operations whose name contains this text")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--stand-in", action="store_true", help="measure the Python half, without Julia")
    options = parser.parse_args()
    clock = Clock()
    if options.stand_in:
        clock.install()
    elif (reason := julia.missing()) is not None:
        raise SystemExit(f"{reason}; or measure the Python half with --stand-in")
    other = "Catlab's Python half" if options.stand_in else "Catlab"
    print(f"{'operation':30} {'rows':>8}  {'embedded [s]':>12}  {f'{other} [s]':>24}  {'ratio':>8}")
    for operation in OPERATIONS:
        sizes = [size for size in options.sizes if size <= operation.largest]
        if not sizes or (options.only and options.only not in operation.name):
            continue
        found = [measure(operation, size, options.repeats, clock) for size in sizes]
        for size, (mine, theirs, ratio) in zip(sizes, found, strict=True):
            print(f"{operation.name:30} {size:8}  {mine:12.4f}  {theirs:24.4f}  {ratio:8.1f}")
        mine, theirs = (slope(sizes, [times[side] for times in found]) for side in (0, 1))
        print(f"{'':30} {'grows by':>8}  {mine:>12}  {theirs:>24}")


if __name__ == "__main__":
    main()
