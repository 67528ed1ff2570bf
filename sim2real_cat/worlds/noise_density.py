"""How probable readings are: the log-densities of residuals under sensor noise, arrays in and arrays out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def gaussian(residual: Array, deviation: float) -> Array:
    """Log-density of independent normal residuals, elementwise."""
    return np.asarray(-0.5 * np.square(residual / deviation) - np.log(deviation) - 0.5 * np.log(2 * np.pi))


def gaussian_process(residual: Array, covariance: Array) -> Array:
    """Log-density of each residual given those before it in its episode, under a Gaussian process.

    With the Cholesky factor L of the covariance the innovations are ``z = L⁻¹ r``, and the k-th residual has the
    conditional log-density ``-z_k²/2 - ln L_kk - ln(2π)/2``; their sum is the joint log-density.

    Args:
        residual: (..., T), NaN past the end of an episode.
        covariance: (T, T), positive definite.

    Raises:
        numpy.linalg.LinAlgError: the covariance is singular.
    """
    from scipy.linalg import solve_triangular

    factor = np.linalg.cholesky(covariance)
    flat = residual.reshape(-1, residual.shape[-1])
    innovations = solve_triangular(factor, flat.T, lower=True, check_finite=False).T
    return gaussian(innovations.reshape(residual.shape), 1.0) - np.log(np.diagonal(factor))


def log_normal_between(low: Array, high: Array, deviation: float) -> Array:
    """Log-probability that a normal variable with mean 0 lies between `low` and `high`, elementwise, far tails too."""
    from scipy.special import log_ndtr

    a, b = low / deviation, high / deviation
    mirrored = a > 0  # in the upper tail both cumulative probabilities are 1; in the lower they differ
    a, b = np.where(mirrored, -b, a), np.where(mirrored, -a, b)
    upper = log_ndtr(b)
    with np.errstate(invalid="ignore", divide="ignore"):
        between = upper + np.log1p(-np.exp(log_ndtr(a) - upper))
    return np.where(np.isneginf(upper), -np.inf, between)


def uniform_and_gaussian(residual: Array, half_width: float, deviation: float) -> Array:
    """Log-density of the sum of a uniform and an independent normal variable; the uniform alone at deviation 0."""
    if deviation == 0:
        outside = np.where(np.isnan(residual), np.nan, -np.inf)
        return np.where(np.abs(residual) <= half_width, -np.log(2 * half_width), outside)
    between = log_normal_between(residual - half_width, residual + half_width, deviation)
    return np.asarray(between - np.log(2 * half_width))


def uniform_between(low: Array, high: Array, half_width: float) -> Array:
    """Log-probability that a variable uniform on [-half_width, half_width] lies between `low` and `high`."""
    covered = np.clip(high, -half_width, half_width) - np.clip(low, -half_width, half_width)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(covered / (2 * half_width)))
