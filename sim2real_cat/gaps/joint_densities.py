"""Densities of readings whose errors are normal and depend on each other, as those of a state that is not known."""

from __future__ import annotations

import numpy as np

from sim2real_cat.gaps.densities import Densities, normal
from sim2real_cat.gaps.samples import Floats, Ints


def joint_densities(
    episode: Ints,
    reading: Floats,
    expected: Floats,
    covariance: Floats,
    real_expected: Floats,
    real_covariance: Floats,
    *,
    exact: bool = True,
) -> Densities:
    """Densities of readings with jointly normal errors.

    The divergence of a reading is ½ [tr(Σ_e⁻¹ Σ_r) + δᵀ Σ_e⁻¹ δ - d + ln(det Σ_e / det Σ_r)] with δ = μ_r - μ_e.

    Args:
        episode: (N,) from 0, not decreasing.
        reading: (N, d).
        expected: (M, N, d); NaN where a member expects nothing, as if it excluded the reading.
        covariance: (M, N, d, d) of the error in each member, positive definite.
        real_expected: (N, d).
        real_covariance: (N, d, d).
        exact: whether the readings were drawn from reality's density.
    """
    lost = np.asarray(np.isnan(expected).any(axis=2) | ~np.isfinite(covariance).all(axis=(2, 3)))
    covariance = np.where(lost[..., None, None], np.eye(reading.shape[1]), covariance)
    factor, real_factor = _factor(covariance), _factor(real_covariance)
    expected = np.where(lost[..., None], reading, expected)
    members = np.where(lost, -np.inf, _log_density(reading - expected, factor))
    reality = _log_density(reading - real_expected, real_factor)
    excess = divergence = np.zeros_like(members)
    if exact:
        shape = np.square(np.linalg.solve(factor, np.broadcast_to(real_factor, factor.shape))).sum(axis=(2, 3))
        apart = np.square(_solved(factor, real_expected - expected)).sum(axis=2)
        volume = _log_determinant(factor) - _log_determinant(real_factor)
        divergence = np.where(lost, np.inf, 0.5 * (shape + apart - reading.shape[1]) + volume)
        excess = np.subtract(reality - members, divergence, out=np.zeros_like(members), where=~lost)
    starts = np.flatnonzero(np.diff(episode, prepend=-1))
    own = normal(reading - expected, _deviation(covariance))
    own[lost] = -np.inf
    real_own = normal(reading - real_expected, _deviation(real_covariance))
    return Densities(
        episode,
        members,
        reality,
        excess,
        divergence,
        np.add.reduceat(own, starts, axis=1),
        np.add.reduceat(real_own, starts, axis=0),
    )


def _factor(covariance: Floats) -> Floats:
    return np.asarray(np.linalg.cholesky(covariance), dtype=np.float64)


def _log_density(error: Floats, factor: Floats) -> Floats:
    """(...,) of errors (..., d) under the covariance with the Cholesky factor (..., d, d)."""
    square = np.square(_solved(factor, error)).sum(axis=-1)
    density: Floats = -0.5 * square - _log_determinant(factor) - 0.5 * error.shape[-1] * np.log(2 * np.pi)
    return density


def _solved(factor: Floats, error: Floats) -> Floats:
    return np.asarray(np.linalg.solve(factor, error[..., None])[..., 0], dtype=np.float64)


def _log_determinant(factor: Floats) -> Floats:
    """Half the logarithm of the covariance's determinant."""
    half: Floats = np.log(np.diagonal(factor, axis1=-2, axis2=-1)).sum(axis=-1)
    return half


def _deviation(covariance: Floats) -> Floats:
    return np.asarray(np.sqrt(np.einsum("...ii->...i", covariance)))
