"""The laws that an instance is checked against."""

from __future__ import annotations

from sim2real_cat.transfer.laws.fibre_bound import FIBRE_BOUND
from sim2real_cat.transfer.laws.functor import FUNCTOR
from sim2real_cat.transfer.laws.gap_recomputes import GAP_RECOMPUTES
from sim2real_cat.transfer.laws.gap_valid import GAP_VALID
from sim2real_cat.transfer.laws.law import Law
from sim2real_cat.transfer.laws.square import SQUARE
from sim2real_cat.transfer.laws.takeover import TRANSFER_DEPLOY, TRANSFER_IDEMPOTENT
from sim2real_cat.transfer.laws.transfer_identity import TRANSFER_IDENTITY

ALL: tuple[Law, ...] = (
    FUNCTOR,
    GAP_VALID,
    TRANSFER_IDENTITY,
    TRANSFER_IDEMPOTENT,
    TRANSFER_DEPLOY,
    FIBRE_BOUND,
    SQUARE,
    GAP_RECOMPUTES,
)
"""The laws of the design, in its order."""
