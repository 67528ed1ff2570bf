"""Strategies of transfer instances in which laws hold by construction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from hypothesis import note
from hypothesis import strategies as st

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import InstanceError, LawError, unknown_name
from sim2real_cat.transfer.instance import NAMES, TransferInstance
from sim2real_cat.transfer.laws import DEFAULT_EPSILON
from sim2real_cat.transfer.schema import SchSim2RealTransfer, SchTransferStudy
from sim2real_cat.transfer.strategies.databases import attribute, targets
from sim2real_cat.transfer.strategies.describe import Told, describe
from sim2real_cat.transfer.strategies.gaps import Gap, gaps, side

LAWS = ("functor", "gap-valid", "transfer-identity", "transfer-idempotent", "transfer-deploy")
"""The laws that instances are built to satisfy and broken to violate: those that read the table alone."""

_INTERVAL = {"low": "gap_low", "high": "gap_high", "reliable": "gap_reliable"}


def transfer_instances(
    epsilon: float = DEFAULT_EPSILON,
    satisfying: Sequence[str] | None = None,
    schema: Schema = SchSim2RealTransfer,
    *,
    decided: Literal["all", "some"] = "all",
    min_policies: int = 0,
    max_policies: int = 5,
) -> st.SearchStrategy[TransferInstance]:
    """Instances in which laws hold by construction.

    Among them: nothing at all, policies without worlds, one policy trained in many worlds, several policies on one
    robot of which one took over from others, gaps of 0, of epsilon, just under it and just over it, and gaps that were
    not measured. A test that fails shows the instance as a table.

    Args:
        epsilon: bound under which a policy transfers.
        satisfying: the names of the laws that hold, of `LAWS`; all where none are given, and none for ``()``. A law
            that is not named may hold or not.
        schema: `SchSim2RealTransfer`, `SchTransferStudy` with its intervals, names and weights, or your own that
            extends one of them: what you added is drawn at random, homs total; equations of yours are not looked after.
        decided: "some" has policies that leave `transfer-identity` undecided: intervals that straddle epsilon and
            unreliable gaps where the schema has them, and policies that were never measured but have a transfer.
        min_policies: policies at least.
        max_policies: policies at most.

    Raises:
        LawError: an unknown law.
        InstanceError: a schema that does not extend `SchSim2RealTransfer`.
    """
    for name in satisfying or ():
        if name not in LAWS:
            raise LawError(unknown_name("law", name, LAWS))
    if not schema.extends(SchSim2RealTransfer):
        raise InstanceError(f"schema '{schema.name}' does not extend SchSim2RealTransfer, so it has no such instances")
    lawful = frozenset(LAWS if satisfying is None else satisfying)
    return _instances(epsilon, lawful, schema, decided == "all", (min_policies, max_policies))


@st.composite
def _instances(
    draw: st.DrawFn, epsilon: float, lawful: frozenset[str], schema: Schema, decided: bool, policies: tuple[int, int]
) -> TransferInstance:
    x = ACSet(schema)
    total = "functor" in lawful
    for ob, n in _sizes(draw, schema, policies, total).items():
        x.add_parts(ob, n)
    _set_homs(draw, x, total)
    known = _set_gaps(draw, x, epsilon, lawful, decided)
    sides = [side(gap, epsilon) for gap in known]
    x.set("Policy", x.parts("Policy"), transfer=_transfer(draw, sides, x.column("deploy").tolist(), lawful, decided))
    if schema.extends(SchTransferStudy):
        _name(draw, x, total)
    _fill(draw, x)
    instance = TransferInstance(x)
    note(Told(lambda: describe(instance)))
    return instance


def _sizes(draw: st.DrawFn, schema: Schema, policies: tuple[int, int], total: bool) -> dict[str, int]:
    """How many parts of each object; one at least where a total hom leads."""
    sizes = {"Policy": draw(st.integers(*policies))}
    sizes["SimEnv"] = draw(st.integers(0, 4)) if sizes["Policy"] else 0
    for ob in schema.obs:
        if ob == "Draw" and schema.extends(SchTransferStudy):
            sizes[ob] = draw(st.sampled_from([0, sizes["SimEnv"]]))
        elif ob not in sizes:
            sizes[ob] = draw(st.integers(0, 3))
    lacking = ["any"] if total else []
    while lacking:
        lacking = [codom for dom, codom in schema.homs.values() if sizes[dom] and not sizes[codom]]
        sizes |= dict.fromkeys(lacking, 1)
    return sizes


def _set_homs(draw: st.DrawFn, x: ACSet, total: bool) -> None:
    """Draw every hom but `transfer`."""
    for hom, (ob, codom) in x.schema.homs.items():
        if hom != "transfer":
            x.set(ob, x.parts(ob), **{hom: [draw(targets(x, codom, total)) for _ in x.parts(ob)]})


def _set_gaps(draw: st.DrawFn, x: ACSet, epsilon: float, lawful: frozenset[str], decided: bool) -> list[Gap]:
    """Draw the gap of every policy."""
    intervals = set(_INTERVAL.values()) <= set(x.schema.attrs)
    kinds = ["under", "over", "unmeasured"]
    kinds += ["straddling", "unreliable"] if intervals and not decided else []
    kinds += [] if "gap-valid" in lawful else ["invalid"]
    x.add_vars("TransferGap", variables := draw(st.integers(0, 1)))
    chosen = [draw(st.sampled_from(kinds)) for _ in x.parts("Policy")]
    found = [draw(gaps(kind, epsilon, variables, intervals)) for kind in chosen]
    columns: dict[str, list[object]] = {"kl_gap": [gap.value for gap in found]}
    if intervals:
        columns |= {name: [getattr(gap, key) for gap in found] for key, name in _INTERVAL.items()}
    x.set("Policy", x.parts("Policy"), **columns)
    return found


def _transfer(
    draw: st.DrawFn, sides: Sequence[str], deploy: Sequence[int], lawful: frozenset[str], decided: bool
) -> list[int | None]:
    """Where every policy goes: first those that go to themselves, then the others."""
    everyone = range(len(sides))
    if "transfer-identity" in lawful:
        loose = () if decided else ("open", "unmeasured")
        itself = [place == "under" or (place in loose and draw(st.booleans())) for place in sides]
    else:
        itself = [draw(st.booleans()) for _ in sides]
    goes: list[int | None] = []
    for policy in everyone:
        heirs = [heir for heir in everyone if heir != policy]
        if "transfer-idempotent" in lawful:
            heirs = [heir for heir in heirs if itself[heir]]
        if "transfer-deploy" in lawful:
            heirs = [heir for heir in heirs if deploy[heir] == deploy[policy] or -1 in (deploy[heir], deploy[policy])]
        if "transfer-identity" in lawful and decided and sides[policy] == "unmeasured":
            heirs = []
        goes.append(policy if itself[policy] else draw(st.sampled_from([None, *heirs])))
    return goes


def _name(draw: st.DrawFn, x: ACSet, total: bool) -> None:
    """Names, the weights of every fibre, and a number drawn for every world or for none."""
    for ob, attribute_name in NAMES.items():
        x.set(ob, x.parts(ob), **{attribute_name: [f"{ob.lower()} {part}" for part in x.parts(ob)]})
    weights = [float(draw(st.integers(1, 3))) for _ in x.parts("SimEnv")]
    train = x.column("train").tolist()
    totals = [sum(weight for weight, other in zip(weights, train, strict=True) if other == policy) for policy in train]
    shares = [weight / whole for weight, whole in zip(weights, totals, strict=True)]
    x.set("SimEnv", x.parts("SimEnv"), sim_weight=shares, sim_level=1.0)
    draws = x.parts("Draw")
    x.set("Draw", draws, parameter="body_mass[link]", change="scale")
    x.set("Draw", draws, drawn_value=[draw(st.floats(0.5, 2.0)) for _ in draws])
    if total:
        x.set("Draw", draws, drawn_in=draws)


def _fill(draw: st.DrawFn, x: ACSet) -> None:
    """The attributes that a schema adds of its own, at random."""
    base = SchTransferStudy if x.schema.extends(SchTransferStudy) else SchSim2RealTransfer
    for name, (ob, attrtype) in x.schema.attrs.items():
        if name not in base.attrs:
            values: st.SearchStrategy[Any] = attribute(x, attrtype, {})
            x.set(ob, x.parts(ob), **{name: [draw(values) for _ in x.parts(ob)]})
