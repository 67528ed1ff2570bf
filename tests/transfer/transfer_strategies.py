"""Hypothesis strategies of valid transfer instances, and ways to break exactly one law."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.transfer.schema import SchSim2RealTransfer

FIXED = settings(derandomize=True, deadline=None, max_examples=80)
EPSILONS = st.sampled_from([0.1, 5e-324, 1e-3, 1.0, 1e300])


@dataclass(frozen=True)
class Break:
    """A change of an instance that breaks one law at one row."""

    law: str
    ob: str
    row: int
    change: Callable[[ACSet], None]


@st.composite
def valid_instances(draw: st.DrawFn, epsilon: float, least: int = 0) -> ACSet:
    """An instance of the source document's schema in which every law holds.

    Policies under epsilon go to themselves; those over it to one of these on the same robot or nowhere; those
    without a gap nowhere.
    """
    x = ACSet(SchSim2RealTransfer)
    observations, robots = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    seen = st.integers(0, observations - 1)
    x.add_parts("Observation", observations)
    x.add_parts("RealEnv", robots, observe_real=[draw(seen) for _ in range(robots)])
    n = draw(st.integers(least, 6))
    deploy = [draw(st.integers(0, robots - 1)) for _ in range(n)]
    kinds = [draw(st.sampled_from(["under", "over", "unmeasured"])) for _ in range(n)]
    gaps = {
        "under": st.floats(0, epsilon, exclude_max=True),
        "over": st.just(epsilon) | st.floats(epsilon, allow_infinity=False),
        "unmeasured": st.none(),
    }
    transfer: list[int | None] = []
    for policy, kind in enumerate(kinds):
        heirs = [i for i in range(n) if kinds[i] == "under" and deploy[i] == deploy[policy]]
        ways = {"under": [policy], "over": [None, *heirs], "unmeasured": [None]}
        transfer.append(draw(st.sampled_from(ways[kind])))
    x.add_parts("Policy", n, deploy=deploy, kl_gap=[draw(gaps[kind]) for kind in kinds])
    x.set("Policy", x.parts("Policy"), transfer=transfer)
    worlds = draw(st.integers(0, 4)) if n else 0
    x.add_parts(
        "SimEnv",
        worlds,
        train=[draw(st.integers(0, n - 1)) for _ in range(worlds)],
        observe_sim=[draw(seen) for _ in range(worlds)],
    )
    return x


def breaks(x: ACSet, epsilon: float) -> list[Break]:
    """Every change known here that breaks exactly one law of a valid instance, at exactly one row."""
    gap, transfer, deploy = (x.column(name).tolist() for name in ("kl_gap", "transfer", "deploy"))
    n = len(gap)
    under = [p for p in range(n) if gap[p] is not None and gap[p] < epsilon]
    over = [p for p in range(n) if gap[p] is not None and gap[p] >= epsilon]
    found = [
        _setting("functor", ob, row, hom, None)
        for hom, (ob, _) in SchSim2RealTransfer.homs.items()
        if hom != "transfer"
        for row in range(x.nparts(ob))
    ]
    found += [_setting("gap-valid", "Policy", p, "kl_gap", -1.0) for p in under]
    found += [_setting("gap-valid", "Policy", p, "kl_gap", float("inf")) for p in over]
    found += [_setting("transfer-identity", "Policy", p, "kl_gap", epsilon) for p in under]
    found += [_setting("transfer-identity", "Policy", p, "transfer", None) for p in under if transfer.count(p) == 1]
    for p in over:
        found += [
            _setting("transfer-idempotent", "Policy", p, "transfer", q)
            for q in over
            if q != p and deploy[q] == deploy[p] and transfer[q] != p
        ]
        found += [_setting("transfer-deploy", "Policy", p, "transfer", q) for q in under if deploy[q] != deploy[p]]
    return found


def _setting(law: str, ob: str, row: int, column: str, value: object) -> Break:
    return Break(law, ob, row, lambda x: x.set(ob, row, **{column: value}))
