"""Which method to take where none is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

import numpy as np

from sim2real_cat.gaps import gaussian, knn
from sim2real_cat.gaps.estimate import Measured
from sim2real_cat.gaps.samples import Cloud
from sim2real_cat.gaps.settings import Settings


def recommended(
    real: Cloud, sim: Cloud, weights: Mapping[int, float], settings: Settings, rng: np.random.Generator
) -> tuple[str, str, Measured]:
    """The estimate by the method that errs least on samples like these.

    Gaussians need the fewest samples and have no bias where the samples are like them. Where something speaks against
    them, nearest neighbours see the shape. Not all of it in many dimensions: they say so where it shows.

    Args:
        real: Real points.
        sim: Simulated points.
        weights: Weight of each fibre member.
        settings: As for either method.
        rng: As for either method, which finds the same when it is asked for by name.

    Returns:
        The name of the method, the reason in a clause, and the estimate.

    Raises:
        GapError: Too few points or dependent sensors, on the real side or in a member.
    """
    again = deepcopy(rng)
    measured, against = gaussian.examined(real, sim, weights, settings, rng)
    if against:
        return "knn", against[0], knn.measure(real, sim, weights, settings, again)
    return "gaussian", "neither a direction nor the kurtosis speaks against Gaussians", measured
