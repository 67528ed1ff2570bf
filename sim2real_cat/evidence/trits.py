"""Trits: how well one transition matched, as an element of GF(3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

EXACT_MATCH = 0.1
"""Nats per transition under which simulation and reality match exactly: trit +1."""

MISMATCH = 0.5
"""Nats per transition above which they do not match: trit -1."""


def trits(kl_gap: ArrayLike) -> NDArray[np.int8]:
    """+1 for a gap under 0.1 (exact match), -1 above 0.5 (mismatch), 0 between (within tolerance).

    The source document's code swaps 0 and +1 against its own field comment; the comment is followed.
    """
    gaps = np.asarray(kl_gap)
    return (gaps < EXACT_MATCH).astype(np.int8) - (gaps > MISMATCH).astype(np.int8)


def conserved(values: ArrayLike) -> bool:
    """Whether the trits sum to 0 in GF(3)."""
    return int(np.sum(values, dtype=np.int64)) % 3 == 0
