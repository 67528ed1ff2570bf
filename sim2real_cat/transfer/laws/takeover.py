"""The laws `transfer-idempotent` and `transfer-deploy`: which policy may take over from which."""

from __future__ import annotations

import numpy as np

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Ids
from sim2real_cat.transfer.laws.law import Law
from sim2real_cat.transfer.laws.transfer_identity import arrow
from sim2real_cat.transfer.laws.witnesses import Witnesses, of_mask


def _after_transfer(instance: ACSet, hom: str) -> tuple[Ids, Ids, Ids]:
    """`transfer`, a hom from Policy, and `transfer` followed by it: (n,) each, -1 where undefined."""
    transfer, column = instance.column("transfer"), instance.column(hom)
    return transfer, column, np.append(column, -1)[transfer]


def _not_idempotent(instance: ACSet, epsilon: float) -> Witnesses:
    transfer, _, twice = _after_transfer(instance, "transfer")
    return Witnesses(
        [
            of_mask(
                "violated",
                "Policy",
                (transfer >= 0) & (twice != transfer),
                lambda row: (
                    f"Policy {transfer[row]} took over, but its own transfer {arrow(twice[row], transfer[row])}"
                ),
            )
        ]
    )


def _elsewhere(instance: ACSet, epsilon: float) -> Witnesses:
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


TRANSFER_IDEMPOTENT = Law(
    "transfer-idempotent",
    "A policy that took over transfers itself.",
    "transfer·transfer = transfer, where defined",
    _not_idempotent,
    needs=("transfer",),
    in_julia=True,
)

TRANSFER_DEPLOY = Law(
    "transfer-deploy",
    "A policy that takes over runs on the same robot.",
    "transfer·deploy = deploy, where defined",
    _elsewhere,
    needs=("transfer", "deploy"),
    in_julia=True,
)
