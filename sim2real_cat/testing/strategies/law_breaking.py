"""Strategies of mutations: an instance in which exactly one law is broken, and the rows that are wrong now.

Edits are found from the columns alone, without asking the laws, so that the laws can be held to them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hypothesis import note
from hypothesis import strategies as st

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.errors import LawError, unknown_name
from sim2real_cat.testing.strategies.measured_gaps import (
    INTERVAL_COLUMNS,
    DrawnGap,
    GapSide,
    side_of,
    values_over,
    values_under,
)
from sim2real_cat.testing.strategies.text_table import LazyText, PartName, describe
from sim2real_cat.transfer.instance import TransferInstance
from sim2real_cat.transfer.laws.law import DEFAULT_EPSILON


@dataclass(frozen=True, eq=False)
class Mutation:
    """An instance that was changed so that one law does not hold any more.

    Attributes:
        instance: the changed instance.
        law: the name of the law that is violated.
        rows: where it is violated now and was not before, by object and 0-based id.
        what: what was changed, on one line.
    """

    instance: TransferInstance = field(repr=False)
    law: str
    rows: frozenset[PartName]
    what: str

    def __str__(self) -> str:
        """Return the change, and the instance as a table in which the rows are marked."""
        return f"{self.law} is broken: {self.what}\n{describe(self.instance, self.rows)}"


def mutations(
    instance: TransferInstance, law: str | None = None, epsilon: float = DEFAULT_EPSILON
) -> st.SearchStrategy[Mutation]:
    """Draw changes of an instance that break exactly one law.

    A row is changed, or rows are added, so every instance can break every law. Changes start from rows that keep the
    laws, and are found without asking any law.

    Args:
        instance: an instance in which no law is violated; it stays as it is.
        law: the name of the law to break, of `LAWS`; any of them where none is given.
        epsilon: bound under which a policy transfers.

    Raises:
        LawError: an unknown law.
    """
    if law is not None and law not in EDITS:
        raise LawError(unknown_name("law", law, EDITS))
    return _mutations(instance, list(EDITS) if law is None else [law], epsilon)


@st.composite
def _mutations(draw: st.DrawFn, instance: TransferInstance, laws: list[str], epsilon: float) -> Mutation:
    law = draw(st.sampled_from(laws))
    edit = draw(st.sampled_from(list(EDITS[law](PolicyColumns(instance.acset, epsilon)))))
    x = instance.acset.copy()
    what = _apply(draw, x, edit)
    mutation = Mutation(TransferInstance(x), law, frozenset(edit.rows), what)
    note(LazyText(lambda: str(mutation)))
    return mutation


def _apply(draw: st.DrawFn, x: ACSet, edit: Edit) -> str:
    """Change an instance, and return in words how."""
    said = []
    before = {ob: x.nparts(ob) for ob in x.schema.obs}
    for ob, row in edit.changes:
        x.add_parts(ob, max(row + 1 - x.nparts(ob), 0))
    for (ob, row), values in edit.changes.items():
        drawn = {name: draw(v) if isinstance(v, st.SearchStrategy) else v for name, v in values.items()}
        new = row >= before[ob]
        changes = [
            f"{name}={value}" if new else f"{name} {x.subpart((name,), row)} -> {value}"
            for name, value in drawn.items()
            if new or x.subpart((name,), row) != value
        ]
        x.set(ob, row, **drawn)
        said.append(f"{'new ' if new else ''}{ob} {row}: {', '.join(changes) or 'nothing'}")
    return "; ".join(said)


@dataclass(frozen=True)
class Edit:
    """Changes of some rows, made one after the other.

    Attributes:
        changes: the values set at each row, strategies where they are drawn; a row that does not exist yet is added.
        rows: the rows at which the law is violated afterwards.
    """

    changes: Mapping[PartName, Mapping[str, Any]]
    rows: tuple[PartName, ...]


class PolicyColumns:
    """The columns of an instance that edits are found from.

    Attributes:
        acset: the instance.
        epsilon: the bound under which a policy transfers.
        deploy: (n,) the robot of every policy, -1 where undefined.
        transfer: (n,) the transfer of every policy, likewise.
        sides: (n,) the side of epsilon on which its gap is.
    """

    def __init__(self, acset: ACSet, epsilon: float) -> None:
        self.acset, self.epsilon = acset, epsilon
        self.deploy: list[int] = acset.column_ids("deploy").tolist()
        self.transfer: list[int] = acset.column_ids("transfer").tolist()
        intervals = set(INTERVAL_COLUMNS.values()) <= set(acset.schema.attrs)
        known = {"value": "kl_gap", **(INTERVAL_COLUMNS if intervals else {})}
        parts = acset.parts("Policy").tolist()
        found = [DrawnGap(**{key: acset.subpart((name,), part) for key, name in known.items()}) for part in parts]
        self.sides: list[GapSide] = [side_of(gap, epsilon) for gap in found]

    def __len__(self) -> int:
        return len(self.deploy)

    def on(self, *sides: GapSide) -> list[int]:
        """Return the policies on some sides of epsilon that act accordingly: to themselves exactly where under it."""
        return [
            policy
            for policy in range(len(self))
            if self.sides[policy] in sides and (self.transfer[policy] == policy) == (self.sides[policy] == "under")
        ]

    def followers(self, policy: int) -> list[int]:
        """Return the other policies from which one took over."""
        return [other for other in range(len(self)) if other != policy and self.transfer[other] == policy]

    def gap(self, value: object) -> dict[str, Any]:
        """Return the attributes of another gap, with interval and reliability undefined."""
        ends = [name for name in INTERVAL_COLUMNS.values() if name in self.acset.schema.attrs]
        return {"kl_gap": value, **dict.fromkeys(ends)}

    def new(self, *rows: tuple[str, Mapping[str, Any]], robots: int = 0) -> dict[PartName, dict[str, Any]]:
        """Make rows to be added, with the parts that their total homs lead to: one that is there, or a new one.

        Args:
            rows: the object of each, and what is set; ids count on from those of the instance.
            robots: so many new robots come first.
        """
        sizes = {ob: self.acset.nparts(ob) for ob in self.acset.schema.obs}
        added: dict[PartName, dict[str, Any]] = {}

        def add(ob: str, given: Mapping[str, Any]) -> None:
            row = (ob, sizes[ob])
            sizes[ob] += 1
            added[row] = {}
            for hom in self.acset.schema.homs_from(ob):
                codom = self.acset.schema.homs[hom][1]
                if hom != "transfer" and hom not in given and not sizes[codom]:
                    add(codom, {})
                if hom != "transfer" and hom not in given:
                    added[row][hom] = 0
            added[row] |= given

        for ob, given in [*[("RealEnv", {})] * robots, *rows]:
            add(ob, given)
        return added


def _functor(x: PolicyColumns) -> Iterator[Edit]:
    for hom, (ob, _) in x.acset.schema.homs.items():
        if hom != "transfer":
            for row in (x.acset.column_ids(hom) >= 0).nonzero()[0].tolist():
                yield Edit({(ob, row): {hom: None}}, ((ob, row),))
    new = ("RealEnv", x.acset.nparts("RealEnv"))
    yield Edit(x.new(("RealEnv", {"observe_real": None})), (new,))


def _gap_valid(x: PolicyColumns) -> Iterator[Edit]:
    for policy in x.on("under"):
        yield _set(policy, x.gap(st.sampled_from([-1.0, -5e-324, -1e308, -math.inf])))
    for policy in x.on("over"):
        yield _set(policy, x.gap(math.inf))
    for policy in x.on("over", "unmeasured"):
        if x.transfer[policy] < 0:
            yield _set(policy, x.gap(math.nan))
    new = ("Policy", len(x))
    yield Edit(x.new(("Policy", {"kl_gap": st.sampled_from([math.inf, math.nan])})), (new,))


def _transfer_identity(x: PolicyColumns) -> Iterator[Edit]:
    under, over = values_under(x.epsilon), values_over(x.epsilon)
    for policy in x.on("under"):
        yield _set(policy, x.gap(over))
        if not x.followers(policy):
            yield _set(policy, {"transfer": None})
            for heir in x.on("under"):
                if heir != policy and x.deploy[heir] == x.deploy[policy]:
                    yield _set(policy, {"transfer": heir})
    for policy in x.on("over"):
        yield _set(policy, {"transfer": policy})
        yield _set(policy, x.gap(under))
    for policy in x.on("unmeasured"):
        if x.transfer[policy] < 0:
            yield _set(policy, x.gap(under))
    new = ("Policy", len(x))
    yield Edit(x.new(("Policy", {"kl_gap": under})), (new,))
    yield Edit(x.new(("Policy", {"kl_gap": over, "transfer": len(x)})), (new,))


def _transfer_idempotent(x: PolicyColumns) -> Iterator[Edit]:
    loose = [policy for policy in x.on("over") if not x.followers(policy)]
    for policy in loose:
        for heir in x.on("over", "unmeasured"):
            if heir != policy and x.transfer[heir] != heir and x.deploy[heir] == x.deploy[policy]:
                yield _set(policy, {"transfer": heir})
                if heir in loose and policy < heir:
                    both = {("Policy", policy): {"transfer": heir}, ("Policy", heir): {"transfer": policy}}
                    yield Edit(both, tuple(both))
    n, over = len(x), values_over(x.epsilon)
    rows = ("Policy", {"kl_gap": over, "transfer": n + 1}), ("Policy", {"kl_gap": over})
    yield Edit(x.new(*rows), (("Policy", n),))


def _transfer_deploy(x: PolicyColumns) -> Iterator[Edit]:
    robots = range(x.acset.nparts("RealEnv"))
    for policy in (policy for policy in x.on("over") if not x.followers(policy) and x.deploy[policy] >= 0):
        for heir in x.on("under"):
            if x.deploy[heir] >= 0 and x.deploy[heir] != x.deploy[policy]:
                yield _set(policy, {"transfer": heir})
    for policy, heir in enumerate(x.transfer):
        if heir >= 0 and heir != policy and 0 <= x.deploy[policy] == x.deploy[heir]:
            others = [robot for robot in robots if robot != x.deploy[policy]]
            if others and not x.followers(policy):
                yield _set(policy, {"deploy": st.sampled_from(others)})
            if others and x.transfer[heir] == heir and all(x.deploy[f] == x.deploy[heir] for f in x.followers(heir)):
                followers = tuple(("Policy", follower) for follower in x.followers(heir))
                yield Edit({("Policy", heir): {"deploy": st.sampled_from(others)}}, followers)
    n, robot = len(x), len(robots)
    rows = (
        ("Policy", {"deploy": robot, "kl_gap": values_over(x.epsilon), "transfer": n + 1}),
        ("Policy", {"deploy": robot + 1, "kl_gap": values_under(x.epsilon), "transfer": n + 1}),
    )
    yield Edit(x.new(*rows, robots=2), (("Policy", n),))


def _set(policy: int, values: Mapping[str, Any]) -> Edit:
    """Make a change of one policy, after which the law is violated there."""
    return Edit({("Policy", policy): values}, (("Policy", policy),))


EDITS: Mapping[str, Callable[[PolicyColumns], Iterator[Edit]]] = {
    "functor": _functor,
    "gap-valid": _gap_valid,
    "transfer-identity": _transfer_identity,
    "transfer-idempotent": _transfer_idempotent,
    "transfer-deploy": _transfer_deploy,
}
"""For each law the edits of an instance that break it and no other."""
