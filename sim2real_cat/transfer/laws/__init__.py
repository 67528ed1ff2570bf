"""The laws of the schema: what must hold in every instance, each checked alone, each naming the rows that break it.

A law is a value, `Law`; those of the design are `ALL`, and `path_equation`, `from_query` and `from_function` make
further ones, for instances of any schema. `check` asks several.
"""

from __future__ import annotations

from sim2real_cat.transfer.laws.custom import from_function, from_query, path_equation
from sim2real_cat.transfer.laws.law import DEFAULT_EPSILON, Law, LawResult, Verdict, Witness, Witnesses, intervals
from sim2real_cat.transfer.laws.measured_laws import (
    FIBRE_BOUND,
    GAP_RECOMPUTES,
    SQUARE,
    Recompute,
    Recomputed,
    gap_recomputes,
)
from sim2real_cat.transfer.laws.report import ALL, LawReport, check, check_in_both
from sim2real_cat.transfer.laws.table_laws import (
    FUNCTOR,
    GAP_VALID,
    TRANSFER_DEPLOY,
    TRANSFER_EQUALIZER,
    TRANSFER_IDEMPOTENT,
    TRANSFER_IDENTITY,
    IdentitySubobjects,
    identity_subobjects,
)

__all__ = [
    "ALL",
    "DEFAULT_EPSILON",
    "FIBRE_BOUND",
    "FUNCTOR",
    "GAP_RECOMPUTES",
    "GAP_VALID",
    "SQUARE",
    "TRANSFER_DEPLOY",
    "TRANSFER_EQUALIZER",
    "TRANSFER_IDEMPOTENT",
    "TRANSFER_IDENTITY",
    "IdentitySubobjects",
    "Law",
    "LawReport",
    "LawResult",
    "Recompute",
    "Recomputed",
    "Verdict",
    "Witness",
    "Witnesses",
    "check",
    "check_in_both",
    "from_function",
    "from_query",
    "gap_recomputes",
    "identity_subobjects",
    "intervals",
    "path_equation",
]
