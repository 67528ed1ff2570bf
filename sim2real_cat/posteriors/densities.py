"""The probability density of each recorded reading, in every member of the fibre and in reality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.arrays import Floats, Ints
from sim2real_cat.errors import GapError


@dataclass(frozen=True, eq=False)
class Densities:
    """Log-densities of the readings after N transitions of whole episodes, given what went before.

    Attributes:
        episode: (N,) the episode of each transition, from 0 and not decreasing.
        log_sim: (M, N) ln p_e(o'|h,a) of each member e [nats]; -inf where a member cannot have produced the reading.
        log_real: (N,) ln p_real(o'|h,a), exact or an estimate that has not seen the reading.
        excess: (M, N) ln p_real - ln p_e of the reading over the channels whose densities are known in closed form,
            less `divergence`: 0 on average where p_real is exact, so that it can be taken out as noise. 0 where
            nothing is known.
        divergence: (M, N) KL(p_real(o'|h,a) || p_e(o'|h,a)) over the same channels.
        sensor_log_sim: (M, episodes, d) the sum over an episode of each sensor's own ln p_e.
        sensor_log_real: (episodes, d) the same of ln p_real.
    """

    episode: Ints
    log_sim: Floats
    log_real: Floats
    excess: Floats
    divergence: Floats
    sensor_log_sim: Floats
    sensor_log_real: Floats

    def __post_init__(self) -> None:
        n = len(self.episode)
        shapes = {name: getattr(self, name).shape for name in ("log_sim", "excess", "divergence")}
        if len(set(shapes.values())) > 1 or self.log_sim.shape[1:] != (n,) or self.log_real.shape != (n,):
            raise GapError(f"densities of {n} transitions need arrays (members, {n}), got {shapes}")
        if n == 0:
            raise GapError("there is no transition: give episodes of at least one control step")
        if np.isnan(self.log_sim).any() or not np.isfinite(self.log_real).all():
            raise GapError("densities are NaN, or that of reality is not finite; a reading that occurred has one")


def gaussian_densities(
    episode: Ints,
    reading: Floats,
    expected: Floats,
    deviation: Floats,
    real_expected: Floats,
    real_deviation: Floats,
    *,
    exact: bool = True,
) -> Densities:
    """Compute the densities of readings whose errors are independent and normal, on both sides.

    The divergence of a channel is ½ [(σ_r² + (μ_r - μ_e)²) / σ_e² - 1] + ln(σ_e / σ_r).

    Args:
        episode: (N,) from 0, not decreasing.
        reading: (N, d) what the sensors read.
        expected: (M, N, d) what each member expects; NaN where it expects nothing, as if it excluded the reading.
        deviation: (M, d) or (M, N, d), of the error in each member, > 0.
        real_expected: (N, d) what reality expects.
        real_deviation: (d,) or (N, d), > 0.
        exact: whether the readings were drawn from reality's density.
    """
    wide = deviation if deviation.ndim == 3 else deviation[:, None, :]
    own = normal(reading - expected, wide)
    real_own = normal(reading - real_expected, real_deviation)
    if not exact:
        return assemble(episode, own, real_own)
    apart = np.square((real_expected - expected) / wide) + np.square(real_deviation / wide) - 1.0
    divergence = (0.5 * apart + np.log(wide / real_deviation)).sum(axis=2)
    return assemble(episode, own, real_own, divergence)


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
    """Compute the densities of readings whose errors are jointly normal, as those of a state that is not known.

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
    lost = _lost(expected, covariance)
    covariance = np.where(lost[..., None, None], np.eye(reading.shape[1]), covariance)
    factor, real_factor = _factor(covariance), _factor(real_covariance)
    expected = np.where(lost[..., None], reading, expected)
    log_sim = np.where(lost, -np.inf, _log_density(reading - expected, factor))
    log_real = _log_density(reading - real_expected, real_factor)
    excess = divergence = np.zeros_like(log_sim)
    if exact:
        shape = np.square(np.linalg.solve(factor, np.broadcast_to(real_factor, factor.shape))).sum(axis=(2, 3))
        apart = np.square(_solved(factor, real_expected - expected)).sum(axis=2)
        volume = _half_log_determinant(factor) - _half_log_determinant(real_factor)
        divergence = np.where(lost, np.inf, 0.5 * (shape + apart - reading.shape[1]) + volume)
        excess = np.subtract(log_real - log_sim, divergence, out=np.zeros_like(log_sim), where=~lost)
    starts = np.flatnonzero(np.diff(episode, prepend=-1))
    own = normal(reading - expected, _deviation(covariance))
    own[lost] = -np.inf
    real_own = normal(reading - real_expected, _deviation(real_covariance))
    return Densities(
        episode,
        log_sim,
        log_real,
        excess,
        divergence,
        np.add.reduceat(own, starts, axis=1),
        np.add.reduceat(real_own, starts, axis=0),
    )


def joint_log_densities(reading: Floats, expected: Floats, covariance: Floats) -> Floats:
    """Compute (M, N) the log-density of readings whose errors are jointly normal; -inf where a member is lost.

    Args:
        reading: (N, d).
        expected: (M, N, d); NaN where a member expects nothing.
        covariance: (M, N, d, d) of the error, positive definite.
    """
    lost = _lost(expected, covariance)
    factor = _factor(np.where(lost[..., None, None], np.eye(reading.shape[1]), covariance))
    error = reading - np.where(lost[..., None], reading, expected)
    return np.where(lost, -np.inf, _log_density(error, factor))


def _lost(expected: Floats, covariance: Floats) -> NDArray[np.bool_]:
    """Return (M, N) where a member expects nothing, as if it excluded the reading."""
    return np.asarray(np.isnan(expected).any(axis=2) | ~np.isfinite(covariance).all(axis=(2, 3)))


def assemble(episode: Ints, own: Floats, real_own: Floats, divergence: Floats | None = None) -> Densities:
    """Join the log-densities of independent channels.

    Args:
        episode: (N,) from 0, not decreasing.
        own: (M, N, d) log-density of each reading in each member; NaN counts as -inf.
        real_own: (N, d) the same in reality.
        divergence: (M, N) as in `Densities`; None where no channel has one in closed form.
    """
    own = np.where(np.isnan(own), -np.inf, own)
    log_sim, log_real = own.sum(axis=2), real_own.sum(axis=1)
    starts = np.flatnonzero(np.diff(episode, prepend=-1))
    if divergence is None:
        excess = divergence = np.zeros_like(log_sim)
    else:
        possible = np.isfinite(log_sim)
        divergence = np.where(possible, divergence, np.inf)
        excess = np.subtract(log_real - log_sim, divergence, out=np.zeros_like(log_sim), where=possible)
    by_sensor = np.add.reduceat(own, starts, axis=1)
    return Densities(
        episode, log_sim, log_real, excess, divergence, by_sensor, np.add.reduceat(real_own, starts, axis=0)
    )


def side_by_side(parts: Sequence[Densities], order: Ints) -> Densities:
    """Join the densities of channels that are independent given the past.

    Args:
        parts: of some channels each.
        order: (d,) where each sensor of the whole stands when those of the parts follow each other.
    """
    first = parts[0]
    return Densities(
        first.episode,
        sum((part.log_sim for part in parts[1:]), first.log_sim),
        sum((part.log_real for part in parts[1:]), first.log_real),
        sum((part.excess for part in parts[1:]), first.excess),
        sum((part.divergence for part in parts[1:]), first.divergence),
        np.concatenate([part.sensor_log_sim for part in parts], axis=2)[:, :, order],
        np.concatenate([part.sensor_log_real for part in parts], axis=1)[:, order],
    )


def normal(error: Floats, deviation: Floats) -> Floats:
    """Compute the log-density of independent normal errors, elementwise."""
    density: Floats = -0.5 * np.square(error / deviation) - np.log(deviation) - 0.5 * np.log(2 * np.pi)
    return density


def _factor(covariance: Floats) -> Floats:
    """Compute the Cholesky factor of each covariance."""
    return np.asarray(np.linalg.cholesky(covariance), dtype=np.float64)


def _log_density(error: Floats, factor: Floats) -> Floats:
    """Compute the log-density (...,) of errors (..., d) whose covariance has the Cholesky factor (..., d, d)."""
    square = np.square(_solved(factor, error)).sum(axis=-1)
    density: Floats = -0.5 * square - _half_log_determinant(factor) - 0.5 * error.shape[-1] * np.log(2 * np.pi)
    return density


def _solved(factor: Floats, error: Floats) -> Floats:
    """Multiply errors (..., d) by the inverse of the factor, which makes them independent, of deviation 1."""
    return np.asarray(np.linalg.solve(factor, error[..., None])[..., 0], dtype=np.float64)


def _half_log_determinant(factor: Floats) -> Floats:
    """Compute half the logarithm of the covariance's determinant."""
    half: Floats = np.log(np.diagonal(factor, axis1=-2, axis2=-1)).sum(axis=-1)
    return half


def _deviation(covariance: Floats) -> Floats:
    """Return the standard deviation of each channel by itself."""
    return np.asarray(np.sqrt(np.einsum("...ii->...i", covariance)))
