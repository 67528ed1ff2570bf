"""Gaussians fitted to points, one or a mixture of one for each member of the fibre."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import logsumexp

from sim2real_cat.gaps.samples import Floats


@dataclass(frozen=True)
class Normal:
    """A Gaussian by its mean (D,) and the lower Cholesky factor (D, D) of its covariance."""

    mean: Floats
    factor: Floats

    @classmethod
    def fit(cls, points: Floats) -> Normal:
        """The Gaussian with the mean and the maximum-likelihood covariance of points (n, D).

        Raises:
            numpy.linalg.LinAlgError: The covariance is singular.
        """
        n, width = points.shape
        if n <= width + 1:
            raise np.linalg.LinAlgError(f"{n} points in {width} dimensions")
        mean = points.mean(axis=0)
        centred = points - mean
        return cls(mean, np.linalg.cholesky(centred.T @ centred / n))

    def logpdf(self, points: Floats) -> Floats:
        """(n,) log density at points (n, D), in nats."""
        return -0.5 * self.distance(points) - self._log_scale()

    def distance(self, points: Floats) -> Floats:
        """(n,) squared Mahalanobis distance of points (n, D)."""
        z = solve_triangular(self.factor, (points - self.mean).T, lower=True, check_finite=False)
        squared: Floats = np.einsum("ij,ij->j", z, z)
        return squared

    def mean_logpdf(self) -> float:
        """Mean of `logpdf` over the points that it was fitted to: minus the entropy."""
        return -self._log_scale() - 0.5 * len(self.mean)

    def _log_scale(self) -> float:
        return float(np.log(np.diag(self.factor)).sum() + 0.5 * len(self.mean) * np.log(2 * np.pi))


@dataclass(frozen=True)
class Mixture:
    """The members of the fibre as Gaussians, evaluated at fixed points.

    Attributes:
        at: (n, D) where.
        log_weights: (n_members,).
        log_densities: (n, n_members) log w_e + log N_e at every point.
    """

    at: Floats
    log_weights: Floats
    log_densities: Floats

    @classmethod
    def fit(cls, clouds: Mapping[int, Floats], weights: Mapping[int, float], at: Floats) -> Mixture:
        """Fit a Gaussian to the points of each member and evaluate it at points (n, D)."""
        log_weights = np.log([weights[e] for e in clouds])
        columns = [w + Normal.fit(cloud).logpdf(at) for w, cloud in zip(log_weights, clouds.values(), strict=True)]
        return cls(at, log_weights, np.stack(columns, axis=1))

    def logpdf(self) -> Floats:
        """(n,) log density of the mixture at its points."""
        return _logsumexp(self.log_densities)

    def logpdf_with(self, column: int, points: Floats) -> Floats:
        """(n,) the same with one member fitted to other points."""
        changed = self.log_densities.copy()
        changed[:, column] = self.log_weights[column] + Normal.fit(points).logpdf(self.at)
        return _logsumexp(changed)


def _logsumexp(log_densities: Floats) -> Floats:
    if log_densities.shape[1] == 1:
        return log_densities[:, 0]
    total: Floats = logsumexp(log_densities, axis=1)
    return total
