"""Which method to take where none is asked for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sim2real_cat.gaps import gaussian
from sim2real_cat.gaps.samples import Cloud


def recommended(real: Cloud, sim: Cloud, weights: Mapping[int, float], rng: np.random.Generator) -> tuple[str, str]:
    """The method that errs least on samples like these, and why.

    Gaussians need the fewest samples and have no bias where the samples are like them. Where something speaks against
    them, nearest neighbours see the shape. Not all of it in many dimensions: they say so where it shows.

    Args:
        real: Real points.
        sim: Simulated points.
        weights: Weight of each fibre member.
        rng: Deals the episodes into blocks.

    Returns:
        The name of the method, and the reason in a clause.

    Raises:
        GapError: Too few points or dependent sensors, on the real side or in a member.
    """
    against = gaussian.objections(real, sim, weights, rng)
    if against:
        return "knn", against[0]
    return "gaussian", "neither single sensors nor the kurtosis speak against Gaussians"
