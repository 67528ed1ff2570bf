"""KL between Gaussians from their means and covariances, at every level; no samples.

The chain rule of the KL carries one level to the next (Cover and Thomas 2006, "Elements of Information Theory",
theorem 2.5.3). Of a first-order Markov process with the pair of successive observations (o, o'):

    transition = KL of (o, o') - KL of o,        trajectory of T transitions = KL of o_0 + T transition.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma

from sim2real_cat.gaps.samples import Floats


@dataclass(frozen=True)
class Moments:
    """A distribution by its mean (d,) and covariance (d, d)."""

    mean: Floats
    covariance: Floats

    @classmethod
    def of(cls, points: Floats) -> Moments:
        """Sample mean and unbiased sample covariance of points (n, d)."""
        return cls(points.mean(axis=0), np.atleast_2d(np.cov(points, rowvar=False)))

    def leading(self, width: int) -> Moments:
        """The marginal of the first `width` columns."""
        return Moments(self.mean[:width], self.covariance[:width, :width])


def divergence(real: Moments, sim: Moments) -> float:
    """KL(N_real || N_sim) in nats: ½ [tr(Σ_s⁻¹ Σ_r) + δᵀ Σ_s⁻¹ δ - d + ln(det Σ_s / det Σ_r)], δ = μ_s - μ_r.

    Raises:
        numpy.linalg.LinAlgError: A covariance is not positive definite.
    """
    spread, shift, volume = _parts(real, sim)
    return 0.5 * (spread + shift - len(real.mean) + volume)


def transition_divergence(real: Moments, sim: Moments) -> float:
    """E_real KL(P_real(o'|o) || P_sim(o'|o)) in nats per step, from the moments of the pairs (o, o') (2 d).

    Raises:
        numpy.linalg.LinAlgError: A covariance is not positive definite.
    """
    width = len(real.mean) // 2
    return divergence(real, sim) - divergence(real.leading(width), sim.leading(width))


def trajectory_divergence(initial: tuple[Moments, Moments], pairs: tuple[Moments, Moments], steps: float) -> float:
    """KL of a whole episode of so many transitions, in nats, of first-order Markov processes.

    Args:
        initial: Moments of the first observation, real and simulated.
        pairs: Moments of the pairs of successive observations, real and simulated, averaged over the episode.
        steps: Transitions in an episode, on average.

    Raises:
        numpy.linalg.LinAlgError: A covariance is not positive definite.
    """
    return divergence(*initial) + steps * transition_divergence(*pairs)


def unbiased_divergence(real: Moments, sim: Moments, n: int, m: int) -> float:
    """The same as `divergence` without bias, from sample moments of n and m independent Gaussian rows.

    A covariance of ν = n - 1 degrees of freedom is Wishart: E[S⁻¹] = ν / (ν - d - 1) Σ⁻¹ and
    E[ln det S] = ln det Σ + Σ_j ψ((ν + 1 - j) / 2) + d ln(2 / ν), j = 1..d (Anderson 2003, "An Introduction to
    Multivariate Statistical Analysis", 7.7 and 7.5); the shift of the means is too large by the variances
    of both means. Every term is a function of complete sufficient statistics, so no unbiased estimate varies less.

    Args:
        real: Sample moments, with the unbiased covariance.
        sim: Likewise.
        n: Real rows, more than d + 1.
        m: Simulated rows, more than d + 2.

    Raises:
        numpy.linalg.LinAlgError: A covariance is singular.
    """
    d = len(real.mean)
    spread, shift, volume = _parts(real, sim)
    inverse = (m - d - 2) / (m - 1)
    spread, shift = inverse * spread, inverse * shift
    shift -= spread / n + d / m
    volume -= _log_volume_bias(m - 1, d) - _log_volume_bias(n - 1, d)
    return 0.5 * (spread + shift - d + volume)


def _log_volume_bias(freedom: int, d: int) -> float:
    """E[ln det S] - ln det Σ of a Wishart covariance."""
    return float(digamma((freedom - np.arange(d)) / 2).sum() + d * np.log(2 / freedom))


def _parts(real: Moments, sim: Moments) -> tuple[float, float, float]:
    """tr(Σ_s⁻¹ Σ_r), δᵀ Σ_s⁻¹ δ and ln(det Σ_s / det Σ_r), through Cholesky factors."""
    real_factor, sim_factor = np.linalg.cholesky(real.covariance), np.linalg.cholesky(sim.covariance)
    spread = float((np.linalg.solve(sim_factor, real_factor) ** 2).sum())
    shift = float((np.linalg.solve(sim_factor, sim.mean - real.mean) ** 2).sum())
    volume = 2 * float(np.log(np.diag(sim_factor)).sum() - np.log(np.diag(real_factor)).sum())
    return spread, shift, volume
