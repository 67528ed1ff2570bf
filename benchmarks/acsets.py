"""How fast instances are, next to hand-written numpy, hand-written DuckDB, networkx, igraph and PyPI's `acsets`.

Both sides of a comparison take turns in one process; a ratio is formed within one turn and its median counts. How
time grows is the slope of log time over log size across three decades.

    python benchmarks/acsets.py                     # everything, some minutes
    python benchmarks/acsets.py --only joins --repeats 9
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.maps.homomorphisms import count_homomorphisms
from sim2real_cat.acsets.query.engine import QueryEngine, answer, count, query
from sim2real_cat.acsets.query.text import parse
from sim2real_cat.acsets.schema import Schema

# This file is called as its subject is, and would stand in the way of the package `acsets` on PyPI.
sys.path[:] = [place for place in sys.path if Path(place).resolve() != Path(__file__).resolve().parent]

Work = Callable[[], object]

CHAIN = Schema(
    "Chain",
    obs=["A", "B", "C", "D"],
    homs={"f": ("A", "B"), "g": ("B", "C"), "h": ("C", "D")},
    attrtypes={"Number": float},
    attrs={"value": ("A", "Number")},
)
GRAPH = Schema("Graph", obs=["V", "E"], homs={"src": ("E", "V"), "tgt": ("E", "V")})


@dataclass(frozen=True)
class Comparison:
    """One thing done by us and by peers, at one size."""

    name: str
    size: int
    ours: Work
    peers: Mapping[str, Work]


def columns(n: int) -> dict[str, np.ndarray]:
    """Random columns of a chain instance with n parts in every object."""
    rng = np.random.default_rng(0)
    return {name: rng.integers(0, n, n) for name in "fgh"} | {"value": rng.standard_normal(n)}


def chain(n: int, data: Mapping[str, np.ndarray]) -> ACSet:
    """An instance with n parts in every object."""
    x = ACSet(CHAIN)
    x.add_parts("D", n)
    x.add_parts("C", n, h=data["h"])
    x.add_parts("B", n, g=data["g"])
    x.add_parts("A", n, f=data["f"], value=data["value"])
    return x


def by_hand(n: int, data: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same columns kept by hand in numpy, with the check that keeps them a functor."""
    kept = {}
    for name, column in data.items():
        if name != "value" and (column.min() < 0 or column.max() >= n):
            raise ValueError(name)
        kept[name] = np.array(column)
    return kept


def numpy_fibres(column: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """All preimages of a column by hand: a stable sort and the counts."""
    return np.concatenate([[0], np.cumsum(np.bincount(column, minlength=n))]), np.argsort(column, kind="stable")


def basics(sizes: list[int]) -> Iterator[Comparison]:
    """Loading, preimages and paths against numpy, and against PyPI's `acsets` on a size it can finish."""
    for n in sizes:
        data = columns(n)
        x = chain(n, data)
        kept = by_hand(n, data)

        def fresh_fibres(x: ACSet = x, data: Mapping[str, np.ndarray] = data) -> object:
            x.set("A", 0, f=int(data["f"][0]))  # a change drops the index, so that it is built again
            return x.preimages("f")

        yield Comparison(
            "bulk load", n, lambda n=n, data=data: chain(n, data), {"numpy": lambda n=n, d=data: by_hand(n, d)}
        )
        yield Comparison("all preimages", n, fresh_fibres, {"numpy": lambda k=kept, n=n: numpy_fibres(k["f"], n)})
        yield Comparison(
            "path of length 3", n, lambda x=x: x.subpart("f.g.h"), {"numpy": lambda k=kept: k["h"][k["g"][k["f"]]]}
        )
    yield from against_acsets(10_000)


def against_acsets(n: int) -> Iterator[Comparison]:
    """PyPI's `acsets` on a size it can finish; nothing where it is not installed."""
    try:
        import acsets
    except ImportError:
        print("acsets (PyPI) is not installed: its comparison is left out")
        return
    objects = {name: acsets.Ob(name=name) for name in "ABCD"}
    homs = {
        name: acsets.Hom(name=name, dom=objects[dom], codom=objects[codom]) for name, (dom, codom) in CHAIN.homs.items()
    }
    schema = acsets.Schema("Chain", list(objects.values()), list(homs.values()), [], [])
    data = {name: column.tolist() for name, column in columns(n).items()}

    def load() -> object:
        y = acsets.ACSet("chain", schema)
        for name in "ABCD":
            y.add_parts(name, n)
        for name, hom in homs.items():
            for part, target in enumerate(data[name]):
                y.set_subpart(part, hom, target)
        return y

    theirs, arrays = load(), columns(n)
    x = chain(n, arrays)
    wanted = list(range(100))
    yield Comparison("bulk load", n, lambda: chain(n, arrays), {"acsets": load})
    yield Comparison(
        "preimages of 100 parts",
        n,
        lambda: x.incident(wanted, "f"),
        {"acsets": lambda: [theirs.incident(part, homs["f"]) for part in wanted]},
    )
    yield Comparison(
        "path of length 3",
        n,
        lambda: x.subpart("f.g.h"),
        {
            "acsets": lambda: [
                theirs.subpart(theirs.subpart(theirs.subpart(part, homs["f"]), homs["g"]), homs["h"])
                for part in range(n)
            ]
        },
    )


TWO_WAY = "A(_id=a, f=b, value=v), B(_id=b, g=c)"
THREE_WAY = "A(_id=a, f=b, value=v), B(_id=b, g=c), C(_id=c, h=d)"
TWO_WAY_SQL = (
    'SELECT "A"._id AS a, "B"._id AS b, "A".value AS v, "B".g AS c FROM "A" JOIN "B" ON "A".f = "B"._id WHERE v > ?'
)
THREE_WAY_SQL = (
    'SELECT "A"._id AS a, "B"._id AS b, "A".value AS v, "C"._id AS c, "C".h AS d FROM "A" JOIN "B" ON "A".f = "B"._id '
    'JOIN "C" ON "B".g = "C"._id WHERE v > ?'
)


def joins(sizes: list[int]) -> Iterator[Comparison]:
    """Two- and three-way joins with a filter, against SQL written by hand on the same columns."""
    import duckdb
    import pyarrow as pa

    for n in sizes:
        data = columns(n)
        x = chain(n, data)
        connection = duckdb.connect()
        ids = np.arange(n)
        connection.register("A", pa.table({"_id": ids, "f": data["f"], "value": data["value"]}))
        connection.register("B", pa.table({"_id": ids, "g": data["g"]}))
        connection.register("C", pa.table({"_id": ids, "h": data["h"]}))
        for name, body, sql in (("two-way join", TWO_WAY, TWO_WAY_SQL), ("three-way join", THREE_WAY, THREE_WAY_SQL)):
            yield Comparison(
                name,
                n,
                lambda x=x, body=body: query(x, body, where="v > $least", params={"least": 1.0}),
                {"DuckDB": lambda c=connection, sql=sql: c.execute(sql, [1.0]).fetchnumpy()},
            )


STUDY = Schema(
    "Study",
    obs=["Env", "Policy"],
    homs={"train": ("Env", "Policy"), "transfer": ("Policy", "Policy")},
    attrtypes={"Gap": float, "Name": str, "Seed": int},
    attrs={"gap": ("Policy", "Gap"), "name": ("Policy", "Name"), "seed": ("Env", "Seed")},
)


@dataclass(frozen=True)
class Asked:
    """One query about a study or a graph, as people, laws and the search for homomorphisms ask it.

    Attributes:
        name: as it is printed.
        body: the atoms.
        where: the comparisons.
        out: the variables to give out; None for all.
        params: values of some variables.
        distinct: whether to leave out repeated rows.
        counted: whether only the number of answers is wanted.
        most: the largest size at which it is asked.
    """

    name: str
    body: str
    where: str | None = None
    out: tuple[str, ...] | None = None
    params: Mapping[str, object] | None = None
    distinct: bool = False
    counted: bool = False
    most: int = 1_000_000

    def of(self, x: ACSet, engine: QueryEngine) -> object:
        """The answer, or the number of answers."""
        asked = parse(self.body, self.out, self.where)
        if self.counted:
            return count(x, asked, self.params, engine=engine)
        return answer(x, asked, self.params, distinct=self.distinct, engine=engine)


DIFFERENT = " and ".join(f"{one} != {other}" for one, other in itertools.combinations("abcde", 2))
TRAINED = "Env(_id=e, train=p, seed=s), Policy(_id=p, gap=g)"
ABOUT_STUDIES = (
    Asked("worlds of policies", TRAINED, "g > 0.5"),
    Asked("policies and heirs", f"{TRAINED[:-1]}, transfer=q), Policy(_id=q, gap=h)", "h < g"),
    Asked("law: 1 in 4000 breaks it", TRAINED, "g > 3.5"),
    Asked("worlds of one policy", TRAINED, params={"p": 7}),
    Asked("two worlds of a policy", "Env(_id=e, train=p), Env(_id=f, train=p)", "e < f"),
    Asked("the same, counted", "Env(_id=e, train=p), Env(_id=f, train=p)", "e < f", counted=True),
    Asked("policies of one name", "Policy(_id=p, name=n), Policy(_id=q, name=n)", "p < q"),
    Asked("worlds of one seed", "Env(_id=e, seed=s), Env(_id=f, seed=s)", "e < f"),
    Asked("distinct names", "Env(train=p), Policy(_id=p, name=n)", out=("n",), distinct=True),
)
ABOUT_GRAPHS = (
    Asked("paths of 2", "E(src=a, tgt=b), E(src=b, tgt=c)"),
    Asked("distinct ends of 2", "E(src=a, tgt=b), E(src=b, tgt=c)", out=("a", "c"), distinct=True),
    Asked("2-cycles", "E(_id=e, src=a, tgt=b), E(_id=f, src=b, tgt=a)", "a != b"),
    Asked("triangles", "E(src=a, tgt=b), E(src=b, tgt=c), E(src=c, tgt=a)"),
    Asked("triangles, counted", "E(src=a, tgt=b), E(src=b, tgt=c), E(src=c, tgt=a)", counted=True),
    Asked("walks of 4, counted", "E(src=a, tgt=b), E(src=b, tgt=c), E(src=c, tgt=d), E(src=d, tgt=e)", counted=True),
    Asked(
        "trees of 5, counted",
        "E(src=a, tgt=b), E(src=a, tgt=c), E(src=b, tgt=d), E(src=b, tgt=e)",
        DIFFERENT,
        counted=True,
        most=10_000,
    ),
    Asked(
        "5-cycles, counted",
        "E(src=a, tgt=b), E(src=b, tgt=c), E(src=c, tgt=d), E(src=d, tgt=e), E(src=e, tgt=a)",
        DIFFERENT,
        counted=True,
        most=10_000,
    ),
)


def study(n: int) -> ACSet:
    """A study of n worlds, ten of which trained each policy."""
    rng = np.random.default_rng(0)
    policies = n // 10
    x = ACSet(STUDY)
    x.add_parts(
        "Policy",
        policies,
        gap=rng.standard_normal(policies),
        name=[f"policy {k}" for k in rng.integers(0, max(policies // 2, 1), policies)],
        transfer=rng.integers(0, policies, policies),
    )
    x.add_parts("Env", n, train=rng.integers(0, policies, n), seed=rng.integers(0, n, n))
    return x


def queries(sizes: list[int]) -> Iterator[Comparison]:
    """Our engine against DuckDB as the other engine of queries: the same relations, the same answers."""
    for n in sizes:
        edges = np.random.default_rng(0).integers(0, n // 5, (n, 2))
        for x, kinds in ((study(n), ABOUT_STUDIES), (graph(n // 5, edges), ABOUT_GRAPHS)):
            for asked in (asked for asked in kinds if n <= asked.most):
                ours, theirs = partial(asked.of, x, "numpy"), partial(asked.of, x, "duckdb")
                if ours() != theirs():
                    raise AssertionError(f"{asked.name}: the engines give different answers at size {n}")
                yield Comparison(asked.name, n, ours, {"DuckDB": theirs, "auto": partial(asked.of, x, "auto")})


def erdos_renyi(n: int, p: float) -> tuple[ACSet, np.ndarray]:
    """A random digraph without loops, and its edges (m, 2)."""
    rng = np.random.default_rng(0)
    adjacency = rng.random((n, n)) < p
    np.fill_diagonal(adjacency, val=False)
    edges = np.argwhere(adjacency)
    return graph(n, edges), edges


def graph(n: int, edges: np.ndarray) -> ACSet:
    """A graph with n vertices."""
    x = ACSet(GRAPH)
    x.add_parts("V", n)
    x.add_parts("E", len(edges), src=edges[:, 0], tgt=edges[:, 1])
    return x


PATTERNS = {
    "C3": np.array([[0, 1], [1, 2], [2, 0]]),
    "5-node tree": np.array([[0, 1], [0, 2], [1, 3], [1, 4]]),
    "5-node cycle": np.array([[0, 1], [1, 2], [2, 3], [3, 4], [4, 0]]),
}


def patterns() -> Iterator[Comparison]:
    """Counting injective homomorphisms of small graphs, against networkx and igraph."""
    import igraph
    import networkx as nx

    for name, n, p in (("C3", 150, 0.05), ("5-node tree", 1000, 0.002), ("5-node cycle", 1000, 0.002)):
        target, edges = erdos_renyi(n, p)
        pattern = PATTERNS[name]
        small = graph(int(pattern.max()) + 1, pattern)
        nx_target, nx_small = nx.DiGraph(edges.tolist()), nx.DiGraph(pattern.tolist())
        ig_target = igraph.Graph(n, edges.tolist(), directed=True)
        ig_small = igraph.Graph(int(pattern.max()) + 1, pattern.tolist(), directed=True)

        def by_networkx(big: nx.DiGraph = nx_target, little: nx.DiGraph = nx_small) -> int:
            matcher = nx.algorithms.isomorphism.DiGraphMatcher(big, little)
            return sum(1 for _ in matcher.subgraph_monomorphisms_iter())

        ours = partial(count_homomorphisms, small, target, monic=True)
        by_igraph = partial(ig_target.count_subisomorphisms_vf2, ig_small)
        if ours() != by_networkx():
            raise AssertionError(f"{name}: our count {ours()} is not networkx's {by_networkx()}")
        yield Comparison(f"count {name} in {n} nodes", n, ours, {"networkx": by_networkx, "igraph": by_igraph})


def files(repeats: int) -> None:
    """Removal and JSON, which have no peer here: absolute times."""
    n, rng = 1_000_000, np.random.default_rng(0)
    data = columns(n)
    chosen = rng.choice(n, 10_000, replace=False)
    spent = []
    for _ in range(repeats):
        x = chain(n, data)
        spent.append(seconds(lambda x=x: x.remove("D", chosen, cascade=True)))
    print(f"\nremove 10^4 of 10^6 parts with cascade: {statistics.median(spent):.3f} s")
    small = chain(25_000, columns(25_000))
    text = small.to_json()
    out = statistics.median(seconds(small.to_json) for _ in range(repeats))
    into = statistics.median(seconds(lambda: ACSet.from_json(CHAIN, text)) for _ in range(repeats))
    print(f"JSON of 10^5 rows ({len(text) / 1e6:.1f} MB): out {out:.3f} s, in {into:.3f} s")


def single_operations(repeats: int) -> None:
    """What one call costs on a 10-row instance, where property tests live."""
    x = ACSet(GRAPH)
    x.add_parts("V", 5)
    x.add_parts("E", 5, src=range(5), tgt=[1, 2, 3, 4, 0])
    C3 = graph(3, PATTERNS["C3"])
    calls: dict[str, Work] = {
        "new instance": lambda: ACSet(GRAPH),
        "copy and add": lambda: x.copy().add("E", src=0, tgt=1),
        "copy": x.copy,
        "set": lambda: x.set("E", 0, src=0),
        "subpart": lambda: x.subpart("src", 0),
        "path, whole": lambda: x.subpart("src"),
        "incident": lambda: x.incident(1, "src"),
        "query": lambda: query(x, "E(src=a, tgt=b), E(src=b, tgt=c)"),
        "count homomorphisms": lambda: count_homomorphisms(C3, x),
        "JSON out": x.to_json,
    }
    print("\none call on 10 rows [µs]:")
    for name, call in calls.items():
        call()
        spent = []
        for _ in range(repeats):
            started = time.perf_counter()
            for _ in range(100):
                call()
            spent.append((time.perf_counter() - started) / 100)
        print(f"  {name:22} {1e6 * statistics.median(spent):8.1f}")


def memory(n: int = 1_000_000) -> None:
    """Bytes per row of a loaded instance, and what an index adds."""
    data = columns(n)
    tracemalloc.start()
    x = chain(n, data)
    loaded = tracemalloc.get_traced_memory()[0]
    x.preimages("f")
    indexed = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    rows = 4 * n
    print(f"\nbytes per row over {rows} rows: {loaded / rows:.1f}, where one column of numbers needs 8.0 or less")
    print(f"an index over A adds {(indexed - loaded) / n:.1f} bytes per row of A")


def seconds(work: Work) -> float:
    """How long a piece of work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def compare(found: Iterator[Comparison], repeats: int) -> None:
    """Measure and print; then how time grows where a comparison ran at several sizes."""
    print(f"\n{'what':26} {'size':>9}  {'ours':>10}   ratio ours / peer: median (range)")
    grown: dict[str, list[tuple[int, float]]] = {}
    for case in found:
        turns = []
        for work in (case.ours, *case.peers.values()):
            work()
        for _ in range(repeats):
            turns.append([seconds(work) for work in (case.ours, *case.peers.values())])
        ours = statistics.median(turn[0] for turn in turns)
        told = []
        for place, peer in enumerate(case.peers, start=1):
            ratios = sorted(turn[0] / turn[place] for turn in turns)
            told.append(f"{peer} {statistics.median(ratios):.3g} ({ratios[0]:.2g}-{ratios[-1]:.2g})")
        print(f"{case.name:26} {case.size:9d}  {1e3 * ours:7.3f} ms   {', '.join(told)}", flush=True)
        if "acsets" not in case.peers:
            grown.setdefault(case.name, []).append((case.size, ours))
    for name, points in grown.items():
        if len(points) > 2:
            slope = np.polyfit(np.log([n for n, _ in points]), np.log([t for _, t in points]), 1)[0]
            print(f"{name}: time grows as size^{slope:.2f} over {len(points)} sizes")


def main() -> None:
    """Run all parts, or the one named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--only", choices=["basics", "joins", "queries", "patterns", "files", "single", "memory"])
    options = parser.parse_args()
    decades = [1_000, 10_000, 100_000, 1_000_000]
    parts: dict[str, Work] = {
        "basics": lambda: compare(basics(decades), options.repeats),
        "joins": lambda: compare(joins([1_000, 100_000, 1_000_000]), options.repeats),
        "queries": lambda: compare(queries(decades), options.repeats),
        "patterns": lambda: compare(patterns(), options.repeats),
        "files": lambda: files(options.repeats),
        "single": lambda: single_operations(options.repeats),
        "memory": memory,
    }
    for name, part in parts.items():
        if options.only in (None, name):
            part()


if __name__ == "__main__":
    main()
