"""The law `gap-valid`: a gap is a divergence."""

from __future__ import annotations

import numpy as np

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.transfer.laws.law import Law
from sim2real_cat.transfer.laws.witnesses import Witnesses, of_mask


def _invalid(instance: ACSet, epsilon: float) -> Witnesses:
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
    _invalid,
    needs=("kl_gap",),
    in_julia=True,
)
