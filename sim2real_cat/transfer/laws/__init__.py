"""The laws of the schema: what must hold in every instance, each checked alone, each naming the rows that break it.

A law is a value, `Law`; those of the design are `ALL`, and `path_equation`, `from_query` and `from_function` make
further ones, for instances of any schema. `check` asks several.
"""

from __future__ import annotations

from sim2real_cat.transfer.laws.all import ALL
from sim2real_cat.transfer.laws.columns import intervals
from sim2real_cat.transfer.laws.fibre_bound import FIBRE_BOUND
from sim2real_cat.transfer.laws.functor import FUNCTOR
from sim2real_cat.transfer.laws.gap_recomputes import GAP_RECOMPUTES, Recompute, Recomputed, gap_recomputes
from sim2real_cat.transfer.laws.gap_valid import GAP_VALID
from sim2real_cat.transfer.laws.law import DEFAULT_EPSILON, Law, LawResult
from sim2real_cat.transfer.laws.own import from_function, from_query, path_equation
from sim2real_cat.transfer.laws.report import LawReport, check, check_in_both
from sim2real_cat.transfer.laws.square import SQUARE
from sim2real_cat.transfer.laws.takeover import TRANSFER_DEPLOY, TRANSFER_IDEMPOTENT
from sim2real_cat.transfer.laws.transfer_equalizer import TRANSFER_EQUALIZER, IdentitySubobjects, identity_subobjects
from sim2real_cat.transfer.laws.transfer_identity import TRANSFER_IDENTITY
from sim2real_cat.transfer.laws.witnesses import Verdict, Witness, Witnesses

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
