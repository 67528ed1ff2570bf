"""The law `transfer-identity` as a statement about subobjects: the equalizer of transfer and the identity is {gap < ε}.

`transfer` is a partial map, so it and the identity are two functions f, g from the policies into the policies and one
more point, where f sends what has no transfer. Their equalizer is a subobject E of the policies. What is known of the
gaps gives two subobjects: L of the policies that are surely under epsilon and U of those that may be, L ≤ U. The law
holds where L = E = U. It is violated where L ≤ E ≤ U fails, at L ∖ E and E ∖ U, and undecided at U ∖ L otherwise. A
policy that was not measured may be under epsilon if it has a transfer; without one nothing is claimed of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Ids
from sim2real_cat.acsets.limits import equalizer
from sim2real_cat.acsets.morphism import Morphism
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.acsets.subobjects import SubInstance, image
from sim2real_cat.transfer.laws.law import Law
from sim2real_cat.transfer.laws.transfer_identity import under
from sim2real_cat.transfer.laws.witnesses import Rows, Verdict, Witnesses

_POLICIES = Schema("Policies", obs=["Policy"])


@dataclass(frozen=True, eq=False)
class IdentitySubobjects:
    """The three subobjects of the policies that the law compares.

    Attributes:
        equalizer: the policies that `transfer` sends to themselves.
        surely: those whose gap is under epsilon for certain.
        possibly: those of which it cannot be excluded.
    """

    equalizer: SubInstance
    surely: SubInstance
    possibly: SubInstance


def identity_subobjects(instance: ACSet, epsilon: float) -> IdentitySubobjects:
    """The subobjects of an instance's policies, as sub-instances of the set of policies by itself."""
    n, transfer, known = instance.nparts("Policy"), instance.column("transfer"), under(instance, epsilon)
    policies, with_nowhere = _points(instance, n), _points(instance, n + 1)
    moved = Morphism(policies, with_nowhere, {"Policy": np.where(transfer < 0, n, transfer)}, {})
    kept = Morphism(policies, with_nowhere, {"Policy": np.arange(n)}, {})
    possibly = ~known.surely_not & ~(known.unmeasured & (transfer < 0))
    return IdentitySubobjects(
        image(equalizer(moved, kept).legs[0]),
        SubInstance(policies, {"Policy": np.flatnonzero(known.surely)}),
        SubInstance(policies, {"Policy": np.flatnonzero(possibly)}),
    )


def _points(instance: ACSet, n: int) -> ACSet:
    """A set of so many policies, in the instance's engine."""
    points = ACSet(_POLICIES, engine=instance.engine)
    points.add_parts("Policy", n)
    return points


def _witnesses(instance: ACSet, epsilon: float) -> Witnesses:
    found = identity_subobjects(instance, epsilon)
    fixed, least, most = (sub.parts["Policy"] for sub in (found.equalizer, found.surely, found.possibly))
    groups = []
    if not found.surely <= found.equalizer:
        left_out = _without(least, fixed)
        groups.append(_rows("violated", left_out, f"is under {epsilon:g}, but transfer and the identity differ there"))
    if not found.equalizer <= found.possibly:
        too_many = _without(fixed, most)
        groups.append(_rows("violated", too_many, f"transfer and the identity agree, but it is not under {epsilon:g}"))
    groups.append(_rows("undecided", _without(most, least), f"whether it is under {epsilon:g} is not known"))
    return Witnesses(groups)


def _without(ids: Ids, others: Ids) -> Ids:
    """Those of some ids that are not among others."""
    return ids[~np.isin(ids, others)]


def _rows(verdict: Verdict, ids: Ids, message: str) -> Rows:
    return Rows(verdict, "Policy", ids, lambda row: message)


TRANSFER_EQUALIZER = Law(
    "transfer-equalizer",
    "The equalizer of transfer and the identity is the subobject of policies whose gap is under epsilon.",
    "eq(transfer, id) = {π | kl_gap(π) < ε}",
    _witnesses,
    needs=("transfer", "kl_gap"),
)
"""The other form of `transfer-identity`, which names the same rows; for those who ask, and not one of `ALL`."""
