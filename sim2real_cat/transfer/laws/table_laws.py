"""The laws that the table of policies answers alone, without measurements of its worlds.

- `functor`: an instance is a functor, so its arrows are total, except `transfer`.
- `gap-valid`: a gap is a divergence.
- `transfer-identity`: a policy is its own transfer exactly where its gap is under epsilon.
- `transfer-equalizer`: the same as a statement about subobjects.
- `transfer-idempotent`, `transfer-deploy`: a policy that takes over transfers itself, and runs on the same robot.

The statement about subobjects: `transfer` is a partial map, so it and the identity are two functions f, g from the
policies into the policies and one more point, where f sends what has no transfer. Their equalizer is a subobject E of
the policies. What is known of the gaps gives two subobjects: L of the policies that are surely under epsilon and U of
those that may be, L ≤ U. The law holds where L = E = U. It is violated where L ≤ E ≤ U fails, at L ∖ E and E ∖ U, and
undecided at U ∖ L otherwise. A policy that was not measured may be under epsilon if it has a transfer; without one
nothing is claimed of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Ids
from sim2real_cat.acsets.maps.limits import equalizer
from sim2real_cat.acsets.maps.morphism import Morphism
from sim2real_cat.acsets.maps.subobjects import SubInstance, image
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.arrays import Bools, Floats
from sim2real_cat.transfer.laws.law import (
    Law,
    Verdict,
    Witnesses,
    WitnessRows,
    doubtful,
    intervals,
    minus,
    numbers,
    of_mask,
    values_at,
)


def _functor_witnesses(instance: ACSet, epsilon: float) -> Witnesses:
    return Witnesses([_of_hom(instance, hom) for hom in instance.schema.homs if hom != "transfer"])


def _of_hom(instance: ACSet, hom: str) -> WitnessRows:
    domain, codomain = instance.schema.homs[hom]
    message = f"{hom} is undefined, but every part needs a {codomain}"
    return of_mask("violated", domain, instance.column_ids(hom) < 0, lambda row: message)


FUNCTOR = Law(
    "functor",
    "Every arrow but transfer is defined on every part; transfer is undefined only where no policy took over.",
    "train, deploy, observe_sim, observe_real total; transfer partial",
    _functor_witnesses,
    python_only="",
)
"""An arrow of any ACSet ends in parts that exist, so the law asks only where arrows are defined."""


def _gap_valid_witnesses(instance: ACSet, epsilon: float) -> Witnesses:
    values = np.asarray(np.ma.filled(instance.column("kl_gap"), 0.0))
    wrong = ~np.isfinite(values) | (values < 0)
    return Witnesses(
        [
            of_mask(
                "violated",
                "Policy",
                wrong,
                lambda row: f"kl_gap is {values[row]:g}, but must be finite and >= 0",
                excess=np.where(values < 0, -values, np.nan),
            )
        ]
    )


GAP_VALID = Law(
    "gap-valid",
    "A measured gap is finite and not negative; a policy that was not evaluated has none.",
    "0 <= kl_gap(π) < ∞",
    _gap_valid_witnesses,
    needs=("kl_gap",),
    python_only="",
)


@dataclass(frozen=True, eq=False)
class UnderEpsilon:
    """Policies by what is known of "kl_gap(π) < ε": masks of shape (n,) that exclude each other.

    Attributes:
        surely: measured, and under epsilon.
        surely_not: measured, and not under epsilon.
        straddles: the interval reaches over epsilon.
        unreliable: it does not, but the gap's own estimator calls it unreliable.
        unmeasured: there is no gap.
    """

    surely: Bools
    surely_not: Bools
    straddles: Bools
    unreliable: Bools
    unmeasured: Bools


def under_epsilon(instance: ACSet, epsilon: float) -> UnderEpsilon:
    """Sort the policies by what is known of their gap being under epsilon."""
    gap, low, high = intervals(instance)
    measured = ~np.isnan(gap)
    straddles = measured & (low < epsilon) & (high >= epsilon)
    unreliable = measured & ~straddles & doubtful(instance)
    sure = measured & ~straddles & ~unreliable
    return UnderEpsilon(sure & (gap < epsilon), sure & (gap >= epsilon), straddles, unreliable, ~measured)


def _digits(value: float, epsilon: float) -> str:
    """Format a gap with four significant digits, or all where four would put the value on the other side of epsilon."""
    short = f"{value:.4g}"
    return short if (float(short) < epsilon) == (value < epsilon) else repr(float(value))


def _destination(target: int, row: int) -> str:
    """Say in words where `transfer` sends a policy."""
    if target < 0:
        return "is undefined"
    return "is the identity" if target == row else f"goes to Policy {target}"


def _identity_witnesses(instance: ACSet, epsilon: float) -> Witnesses:
    gap, low, high = intervals(instance)
    known, transfer = under_epsilon(instance, epsilon), instance.column_ids("transfer")
    identity = transfer == instance.parts("Policy")
    off = np.abs(gap - epsilon)
    more = _more_episodes(instance, epsilon)

    def too_few(row: int) -> str:
        ends = f"[{_digits(low[row], epsilon)}, {_digits(high[row], epsilon)}]"
        text = f"the interval {ends} of kl_gap straddles {epsilon:g}"
        return text if np.isnan(more[row]) else f"{text}; some {more[row]:.0f} more real episodes would decide it"

    return Witnesses(
        [
            of_mask(
                "violated",
                "Policy",
                known.surely & ~identity,
                lambda row: (
                    f"kl_gap {_digits(gap[row], epsilon)} < {epsilon:g}, "
                    f"but transfer {_destination(transfer[row], row)} instead of itself"
                ),
                off,
            ),
            of_mask(
                "violated",
                "Policy",
                known.surely_not & identity,
                lambda row: f"kl_gap {_digits(gap[row], epsilon)} >= {epsilon:g}, but transfer is the identity",
                off,
            ),
            of_mask("undecided", "Policy", known.straddles, too_few, _reach(low, high, epsilon), more),
            of_mask(
                "undecided",
                "Policy",
                known.unreliable,
                lambda row: f"kl_gap {gap[row]:.4g} is marked unreliable, see gap_note",
            ),
            of_mask(
                "undecided",
                "Policy",
                known.unmeasured & (transfer >= 0),
                lambda row: f"transfer {_destination(transfer[row], row)}, but kl_gap was not measured",
            ),
        ]
    )


def _reach(low: Floats, high: Floats, epsilon: float) -> Floats:
    """Compute the distance from epsilon to the nearer end of each interval."""
    return np.minimum(epsilon - low, high - epsilon)


TRANSFER_IDENTITY = Law(
    "transfer-identity",
    "A policy is its own transfer exactly when its gap is under epsilon.",
    "transfer(π) = π ⇔ kl_gap(π) < ε",
    _identity_witnesses,
    needs=("transfer", "kl_gap"),
    python_only="",
)
"""Undecided where the interval straddles epsilon or the estimate is called unreliable, or what transfers has no gap."""


def _more_episodes(instance: ACSet, epsilon: float) -> Floats:
    """Estimate how many more real episodes would decide each policy that straddles epsilon, (n,), NaN for others.

    The half-width of an interval shrinks with the root of the number of episodes, so that the end on the other side
    of epsilon comes to it at n' = n (half / |gap - ε|)², of which n are there. Half is the distance from the gap to
    that end, as the other may have been cut off at 0. Nothing can be said where the gap is epsilon itself, the
    interval has no such end, or it is not known how many episodes it is from.
    """
    gap, low, high = intervals(instance)
    half = np.where(gap < epsilon, minus(high, gap), minus(gap, low))
    there = _measured_episodes(instance)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        more = np.ceil(np.round(there * (np.square(half / (gap - epsilon)) - 1.0), 6))  # 30.000000000001 is 30
    open_ = (low < epsilon) & (high >= epsilon) & (gap != epsilon)
    return np.where(open_ & np.isfinite(more), np.maximum(more, 1.0), np.nan)


def _measured_episodes(instance: ACSet) -> Floats:
    """Count the real episodes from which each gap was measured, (n,), NaN where that is not known.

    `gap_episodes`; where it is undefined, what the robot's observation counts, less what diverged, if no other policy
    ran on that robot.
    """
    known = numbers(instance, "Policy", "gap_episodes")
    if "episodes" not in instance.schema.attrs:
        return known
    deploy = instance.column_ids("deploy")
    seen = numbers(instance, "Observation", "episodes")
    seen = seen - np.nan_to_num(numbers(instance, "Observation", "diverged"))
    alone = np.bincount(deploy[deploy >= 0], minlength=instance.nparts("RealEnv")) == 1
    of_robot = np.where(alone, values_at(seen, instance.column_ids("observe_real")), np.nan)
    return np.where(np.isnan(known), values_at(of_robot, deploy), known)


_POLICIES = Schema("Policies", obs=["Policy"])


@dataclass(frozen=True, eq=False)
class IdentitySubobjects:
    """The three subobjects of the policies that `transfer-equalizer` compares.

    Attributes:
        equalizer: the policies that `transfer` sends to themselves.
        surely: those whose gap is under epsilon for certain.
        possibly: those of which it cannot be excluded.
    """

    equalizer: SubInstance
    surely: SubInstance
    possibly: SubInstance


def identity_subobjects(instance: ACSet, epsilon: float) -> IdentitySubobjects:
    """Compute the three subobjects, as sub-instances of the set of policies by itself."""
    n, transfer, known = instance.nparts("Policy"), instance.column_ids("transfer"), under_epsilon(instance, epsilon)
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
    """Make a set of n policies, in the instance's engine."""
    points = ACSet(_POLICIES, engine=instance.engine)
    points.add_parts("Policy", n)
    return points


def _equalizer_witnesses(instance: ACSet, epsilon: float) -> Witnesses:
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
    """Return the ids that are not among others."""
    return ids[~np.isin(ids, others)]


def _rows(verdict: Verdict, ids: Ids, message: str) -> WitnessRows:
    return WitnessRows(verdict, "Policy", ids, lambda row: message)


TRANSFER_EQUALIZER = Law(
    "transfer-equalizer",
    "The equalizer of transfer and the identity is the subobject of policies whose gap is under epsilon.",
    "eq(transfer, id) = {π | kl_gap(π) < ε}",
    _equalizer_witnesses,
    needs=("transfer", "kl_gap"),
    python_only="The engine of the instance computes its equalizer, and its twin is that of transfer-identity.",
)
"""The other form of `transfer-identity`, which names the same rows. It is not one of `ALL`: ask for it by value."""


def _idempotent_witnesses(instance: ACSet, epsilon: float) -> Witnesses:
    transfer, _, twice = _after_transfer(instance, "transfer")
    return Witnesses(
        [
            of_mask(
                "violated",
                "Policy",
                (transfer >= 0) & (twice != transfer),
                lambda row: (
                    f"Policy {transfer[row]} took over, but its own transfer {_destination(twice[row], transfer[row])}"
                ),
            )
        ]
    )


TRANSFER_IDEMPOTENT = Law(
    "transfer-idempotent",
    "A policy that took over transfers itself.",
    "transfer·transfer = transfer, where defined",
    _idempotent_witnesses,
    needs=("transfer",),
    python_only="",
)


def _deploy_witnesses(instance: ACSet, epsilon: float) -> Witnesses:
    transfer, deploy, after = _after_transfer(instance, "deploy")
    return Witnesses(
        [
            of_mask(
                "violated",
                "Policy",
                (deploy >= 0) & (after >= 0) & (after != deploy),
                lambda row: (
                    f"runs on RealEnv {deploy[row]}, but Policy {transfer[row]}, which took over, "
                    f"runs on RealEnv {after[row]}"
                ),
            )
        ]
    )


TRANSFER_DEPLOY = Law(
    "transfer-deploy",
    "A policy that takes over runs on the same robot.",
    "transfer·deploy = deploy, where defined",
    _deploy_witnesses,
    needs=("transfer", "deploy"),
    python_only="",
)


TABLE_LAWS: tuple[Law, ...] = (FUNCTOR, GAP_VALID, TRANSFER_IDENTITY, TRANSFER_IDEMPOTENT, TRANSFER_DEPLOY)
"""The laws of this module that belong to the design, in its order."""


def _after_transfer(instance: ACSet, hom: str) -> tuple[Ids, Ids, Ids]:
    """Return `transfer`, a hom from Policy, and `transfer` followed by it: (n,) each, -1 where undefined."""
    transfer, column = instance.column_ids("transfer"), instance.column_ids(hom)
    return transfer, column, np.append(column, -1)[transfer]
