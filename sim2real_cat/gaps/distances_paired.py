"""Distances of episodes paired in time: step by step, or along the best alignment of their steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from sim2real_cat.errors import GapError
from sim2real_cat.gaps.samples import Floats

Pairs: TypeAlias = Sequence[tuple[Floats, Floats, float]]
"""Real episode (T, d), simulated episode (T', d) of the same d sensors, and the weight of its fibre member."""


def root_mean_square(pairs: Pairs) -> float:
    """The root of the mean squared difference over steps, sensors and pairs.

    A pair counts for its weight and its number of common steps, min(T, T').
    """
    squares, steps = 0.0, 0.0
    for ours, theirs, weight in pairs:
        common = min(len(ours), len(theirs))
        squares += weight * float(((ours[:common] - theirs[:common]) ** 2).mean(axis=1).sum())
        steps += weight * common
    return float(np.sqrt(squares / steps))


def warped(pairs: Pairs, window: int | None) -> float:
    """The same along the alignment of dynamic time warping, all sensors warped together.

    Per pair, the smallest sum of squared differences over monotone alignments of all steps of both (Sakoe and
    Chiba 1978, IEEE Transactions on Acoustics, Speech and Signal Processing 26:43-49), over max(T, T') steps: for
    episodes of one length at most the root mean square, which is the alignment that shifts nothing.

    Args:
        pairs: The pairs.
        window: The most steps that the alignment may shift, beyond the difference of the lengths; None for any.

    Raises:
        GapError: dtaidistance is not installed.
    """
    try:
        from dtaidistance import dtw_ndim
    except ModuleNotFoundError:
        raise GapError(
            "dynamic time warping needs dtaidistance, which is not installed: pip install 'sim2real-cat[gaps]'"
        ) from None
    squares, steps = 0.0, 0.0
    for ours, theirs, weight in pairs:
        # The library's window counts the cells of the band on either side, the diagonal among them.
        band = None if window is None else window + 1
        apart = dtw_ndim.distance_fast(np.ascontiguousarray(ours), np.ascontiguousarray(theirs), window=band)
        squares += weight * float(apart) ** 2 / ours.shape[1]
        steps += weight * max(len(ours), len(theirs))
    return float(np.sqrt(squares / steps))
