"""Directions in which points look least like a Gaussian's, by projection pursuit on the kurtosis.

In many dimensions neither single sensors nor Mardia's kurtosis show a shape that lies across them, such as two modes.
Hyvärinen and Oja 1997, "A fast fixed-point algorithm for independent component analysis", Neural Computation 9:1483.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular

from sim2real_cat.gaps.samples import Floats

# The fixed point converges cubically where it does.
_ITERATIONS = 15


def least_gaussian_directions(points: Floats) -> Floats:
    """The directions of least and of greatest kurtosis, of those found from every axis.

    Few points in many dimensions always have a direction with outliers, where the kurtosis is far above a Gaussian's 3;
    two modes are far below it.

    Args:
        points: (n, d) of which no column is a linear function of others.

    Returns:
        (2, d) two vectors; points @ vector has variance 1.

    Raises:
        numpy.linalg.LinAlgError: The covariance is singular.
    """
    centred = points - points.mean(axis=0)
    factor = np.linalg.cholesky(np.atleast_2d(centred.T @ centred / len(points)))
    white = solve_triangular(factor, centred.T, lower=True).T
    directions = np.eye(points.shape[1])
    for _ in range(_ITERATIONS):
        moved = ((white @ directions.T) ** 3).T @ white / len(white) - 3 * directions
        directions = moved / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), np.finfo(float).tiny)
    kurtosis = ((white @ directions.T) ** 4).mean(axis=0)
    ends = directions[[np.argmin(kurtosis), np.argmax(kurtosis)]]
    found: Floats = solve_triangular(factor, ends.T, lower=True, trans=1).T
    return found
