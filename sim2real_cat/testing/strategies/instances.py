"""Strategies of transfer instances in which laws hold by construction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from hypothesis import note
from hypothesis import strategies as st

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import InstanceError, LawError, unknown_name
from sim2real_cat.testing.strategies.databases import attribute, hom_targets
from sim2real_cat.testing.strategies.measured_gaps import INTERVAL_COLUMNS, DrawnGap, GapKind, drawn_gaps, side_of
from sim2real_cat.testing.strategies.text_table import LazyText, describe
from sim2real_cat.transfer.instance import NAME_ATTRIBUTES, TransferInstance
from sim2real_cat.transfer.laws.law import DEFAULT_EPSILON
from sim2real_cat.transfer.laws.table_laws import TABLE_LAWS
from sim2real_cat.transfer.schema import SchSim2RealTransfer, SchTransferStudy

LAWS = tuple(law.name for law in TABLE_LAWS)
"""The names of the laws that instances are built to satisfy and broken to violate: those that read the table alone."""


def transfer_instances(
    epsilon: float = DEFAULT_EPSILON,
    satisfying: Sequence[str] | None = None,
    schema: Schema = SchSim2RealTransfer,
    *,
    decided: Literal["all", "some"] = "all",
    min_policies: int = 0,
    max_policies: int = 5,
) -> st.SearchStrategy[TransferInstance]:
    """Draw instances in which laws hold by construction.

    Among them: an empty instance, policies without worlds, one policy trained in many worlds, several policies on one
    robot of which one took over from others, gaps of 0, of epsilon, just under it and just over it, and gaps that were
    not measured. A test that fails shows the instance as a table.

    Args:
        epsilon: bound under which a policy transfers.
        satisfying: the names of the laws that hold, of `LAWS`; all where none are given, and none for ``()``. A law
            that is not named may hold or not.
        schema: `SchSim2RealTransfer`, `SchTransferStudy` with its intervals, names and weights, or your own that
            extends one of them: what you added is drawn at random, homs total; your equations need not hold.
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
    place = st.integers(0, 2) if "functor" in lawful else st.none() | st.integers(0, 2)
    gap = _gaps(epsilon, set(INTERVAL_COLUMNS.values()) <= set(schema.attrs), lawful, decided == "all")
    policy = st.builds(_Policy, place, gap, st.integers(0, 5))
    policies = st.lists(policy, min_size=min_policies, max_size=max_policies)
    return _instances(policies, place, epsilon, lawful, schema, decided == "all")


class _Policy(NamedTuple):
    """One policy as drawn, before it is known which others there are.

    Attributes:
        robot: the robot that it is deployed on.
        gap: its gap.
        wish: its transfer if it may have it: 0 is none, 1 itself, then those that may take over; the last where there
            are fewer. One number for all of it, because Hypothesis deletes rows of few choices best.
    """

    robot: int | None
    gap: DrawnGap
    wish: int


@st.composite
def _instances(
    draw: st.DrawFn,
    drawn: st.SearchStrategy[list[_Policy]],
    place: st.SearchStrategy[Any],
    epsilon: float,
    lawful: frozenset[str],
    schema: Schema,
    decided: bool,
) -> TransferInstance:
    total = "functor" in lawful
    policies = draw(drawn)
    deploy, needed = _numbered([policy.robot for policy in policies])
    # as many draws whatever is needed, so that Hypothesis can leave a policy out without another meaning for the rest
    robots = draw(st.tuples(*[place] * 4))[: needed + draw(st.integers(0, 1))]
    trained = hom_targets(len(policies), total)
    worlds = draw(st.lists(st.tuples(trained, place), max_size=4)) if policies else []
    seen, needed = _numbered([*robots, *(observation for _, observation in worlds)])
    counts = {"SimEnv": len(worlds), "RealEnv": len(robots), "Policy": len(policies)}
    counts["Observation"] = needed + draw(st.integers(0, 1))
    x = ACSet(schema)
    for ob, n in _sizes(draw, schema, counts, total).items():
        x.add_parts(ob, n)
    x.set("RealEnv", range(len(robots)), observe_real=seen[: len(robots)])
    x.set("SimEnv", range(len(worlds)), train=[policy for policy, _ in worlds], observe_sim=seen[len(robots) :])
    x.set("Policy", range(len(policies)), deploy=deploy, transfer=_transfer(policies, epsilon, lawful, decided))
    _set_gaps(x, [policy.gap for policy in policies])
    _complete(draw, x, total)
    if schema.extends(SchTransferStudy):
        _name(draw, x, total)
    instance = TransferInstance(x)
    note(LazyText(lambda: describe(instance)))
    return instance


def _numbered(places: Sequence[int | None]) -> tuple[list[int | None], int]:
    """Number the places without holes, and count them."""
    numbers = {place: number for number, place in enumerate(sorted({p for p in places if p is not None}))}
    return [None if place is None else numbers[place] for place in places], len(numbers)


def _gaps(epsilon: float, intervals: bool, lawful: frozenset[str], decided: bool) -> st.SearchStrategy[DrawnGap]:
    """Draw gaps of all kinds that are asked for."""
    kinds: list[GapKind] = ["unmeasured", "under", "over", "variable"]
    kinds += ["straddling", "unreliable"] if intervals and not decided else []
    kinds += [] if "gap-valid" in lawful else ["invalid"]
    return st.one_of([drawn_gaps(kind, epsilon, intervals) for kind in kinds])


def _sizes(draw: st.DrawFn, schema: Schema, known: dict[str, int], total: bool) -> dict[str, int]:
    """Draw the number of parts of each object; one at least where a total hom leads."""
    sizes = dict(known)
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


def _set_gaps(x: ACSet, known: Sequence[DrawnGap]) -> None:
    """Write the gap of every policy, with its interval where the schema has one."""
    x.add_vars("TransferGap", int(any(isinstance(gap.value, Var) for gap in known)))
    columns: dict[str, list[object]] = {"kl_gap": [gap.value for gap in known]}
    if set(INTERVAL_COLUMNS.values()) <= set(x.schema.attrs):
        columns |= {name: [getattr(gap, key) for gap in known] for key, name in INTERVAL_COLUMNS.items()}
    x.set("Policy", range(len(known)), **columns)


def _transfer(policies: Sequence[_Policy], epsilon: float, lawful: frozenset[str], decided: bool) -> list[int | None]:
    """Choose the transfer of every policy: first those that go to themselves, then the others."""
    sides = [side_of(policy.gap, epsilon) for policy in policies]
    itself = [policy.wish == 1 for policy in policies]
    if "transfer-identity" in lawful:
        loose = () if decided else ("open", "unmeasured")
        itself = [place == "under" or (place in loose and may) for place, may in zip(sides, itself, strict=True)]
    goes: list[int | None] = []
    for number, policy in enumerate(policies):
        heirs = [heir for heir in range(len(policies)) if heir != number]
        if "transfer-idempotent" in lawful:
            heirs = [heir for heir in heirs if itself[heir]]
        if "transfer-deploy" in lawful:
            heirs = [
                heir
                for heir in heirs
                if policies[heir].robot == policy.robot or None in (policies[heir].robot, policy.robot)
            ]
        if "transfer-identity" in lawful and decided and sides[number] == "unmeasured":
            heirs = []
        ways = [None, *heirs]
        goes.append(number if itself[number] else ways[min(max(policy.wish - 1, 0), len(heirs))])
    return goes


def _complete(draw: st.DrawFn, x: ACSet, total: bool) -> None:
    """Fill in at random what a schema adds of its own: homs, total where they must be, and attributes."""
    base = SchTransferStudy if x.schema.extends(SchTransferStudy) else SchSim2RealTransfer
    for hom, (ob, codom) in x.schema.homs.items():
        open_ = np.flatnonzero(x.column_ids(hom) < 0)
        if hom not in base.homs or (total and hom != "transfer"):
            x.set(ob, open_, **{hom: [draw(hom_targets(x.nparts(codom), total)) for _ in open_]})
    for name, (ob, attrtype) in x.schema.attrs.items():
        if name not in base.attrs:
            values: st.SearchStrategy[Any] = attribute(x, attrtype, {})
            x.set(ob, x.parts(ob), **{name: [draw(values) for _ in x.parts(ob)]})


def _name(draw: st.DrawFn, x: ACSet, total: bool) -> None:
    """Set names, the weights of every fibre, and a number drawn for every world or for none."""
    for ob, attribute_name in NAME_ATTRIBUTES.items():
        x.set(ob, x.parts(ob), **{attribute_name: [f"{ob.lower()} {part}" for part in x.parts(ob)]})
    weights = [float(draw(st.integers(1, 3))) for _ in x.parts("SimEnv")]
    train = x.column_ids("train").tolist()
    totals = [sum(weight for weight, other in zip(weights, train, strict=True) if other == policy) for policy in train]
    shares = [weight / whole for weight, whole in zip(weights, totals, strict=True)]
    x.set("SimEnv", x.parts("SimEnv"), sim_weight=shares, sim_level=1.0)
    draws = x.parts("Draw")
    x.set("Draw", draws, parameter="body_mass[link]", change="scale")
    x.set("Draw", draws, drawn_value=[draw(st.floats(0.5, 2.0)) for _ in draws])
    if total:
        x.set("Draw", draws, drawn_in=draws)
