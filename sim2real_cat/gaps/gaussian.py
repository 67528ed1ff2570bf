"""KL between moment-matched Gaussians: one for the real side, one for each member of the simulated fibre."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import logsumexp

from sim2real_cat.gaps.estimate import Measured
from sim2real_cat.gaps.resampling import Blocks, LeftOut, deal, jackknife
from sim2real_cat.gaps.samples import Cloud, Floats, require_density
from sim2real_cat.gaps.settings import Settings

_MOST_BLOCKS = 64
# What the jackknife leaves of the bias, as a share of what it removes: it sees the first order in 1/n only. Measured
# on 11 sensors and 2 episodes for each member, where it was 0.6; with 4 sensors it is 0.1 to 0.4.
_BIAS_DOUBT = 0.5
# A kurtosis this far from a Gaussian's, relative to it, is worth a word; a uniform is 0.4 below, a Laplace 1 above.
_KURTOSIS = 0.25
# More than this share of the real samples beyond the farthest simulated one is no matter of tails.
_OUTSIDE = 0.05


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


def log_ratios(real: Cloud, sim: Cloud, weights: Mapping[int, float]) -> Floats:
    """(n,) log p_real - log p_sim at every real point, under the fitted Gaussians, in nats.

    At the level "transition" these are the conditional densities of o' given o. The mean is the
    plug-in estimate: for one member exactly the closed-form KL between the moment-matched Gaussians,

        ½ [tr(Σ_s⁻¹ Σ_r) + (μ_s - μ_r)ᵀ Σ_s⁻¹ (μ_s - μ_r) - D + ln(det Σ_s / det Σ_r)].

    Raises:
        GapError: Too few points or dependent sensors, on the real side or in a member.
    """
    _require_densities(real, sim, weights)
    real, sim = _standardised(real, sim)
    total = np.zeros(len(real.points))
    for width, sign in real.scopes:
        at = real.points[:, :width]
        mixture = Mixture.fit(_members(sim, weights, width), weights, at)
        total += sign * (Normal.fit(at).logpdf(at) - mixture.logpdf())
    return total


def measure(
    real: Cloud, sim: Cloud, weights: Mapping[int, float], settings: Settings, rng: np.random.Generator
) -> Measured:
    """The Gaussian estimate, corrected for bias by the jackknife over episodes, with a t interval.

    Args:
        real: Real points.
        sim: Simulated points.
        weights: Weight of each fibre member, adding up to 1.
        settings: The confidence counts.
        rng: Deals the episodes into blocks where there are many.

    Returns:
        The estimate.

    Raises:
        GapError: Too few points or dependent sensors, on the real side or in a member.
    """
    plug_in = float(log_ratios(real, sim, weights).mean())
    real, sim = _standardised(real, sim)
    real_blocks = deal(real.episode, np.zeros_like(real.episode), _MOST_BLOCKS, rng)
    sim_blocks = deal(sim.episode, sim.member, max(2, _MOST_BLOCKS // len(weights)), rng)
    try:
        strata = _left_out(real, sim, weights, real_blocks, sim_blocks)
    except np.linalg.LinAlgError:
        reason = "too few points to leave out an episode: neither bias nor interval is known"
        return Measured(plug_in, plug_in, 0.0, np.inf, (reason,))
    spread = jackknife(plug_in, strata)
    raw = plug_in - spread.bias
    reasons, notes = _shape(real, sim, weights)
    return Measured(
        plug_in, raw, *spread.interval(raw, settings.confidence, _BIAS_DOUBT * abs(spread.bias)), reasons, notes
    )


def _shape(real: Cloud, sim: Cloud, weights: Mapping[int, float]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Reasons for doubt and notes from how Gaussian the samples are and whether the simulation covers reality.

    The squared Mahalanobis distance (of o' given o, at the level "transition") of Gaussian samples is
    chi-squared with d degrees of freedom, so its mean square is d (d + 2): Mardia's kurtosis.
    """
    d = len(real.sensors)
    whole = d * (d + 2)
    kurtosis = {"real": float((_distances(real.points, real.points, real) ** 2).mean()) / whole}
    simulated, outside = 0.0, np.ones(len(real.points), dtype=bool)
    for member, weight in weights.items():
        own = sim.points[sim.member == member]
        distances = _distances(own, own, sim)
        simulated += weight * float((distances**2).mean()) / whole
        outside &= _distances(own, real.points, sim) > distances.max()
    kurtosis["simulated"] = simulated
    off = [f"{side} {ratio:.2f}" for side, ratio in kurtosis.items() if abs(ratio - 1) > _KURTOSIS]
    share = float(outside.mean())
    if share <= _OUTSIDE:
        beyond = ""
    else:
        beyond = f"{share:.0%} of the real samples lie outside the simulated ones, where the Gaussian is extrapolated"
    shape = f"not Gaussian (kurtosis relative to a Gaussian's: {', '.join(off)})" if off else ""
    if beyond and shape:
        return (f"{beyond}, and the samples are {shape}",), ()
    return (), tuple(
        note for note in (beyond, shape and f"the samples are {shape}: only mean and covariance are compared") if note
    )


def _distances(fitted_to: Floats, points: Floats, cloud: Cloud) -> Floats:
    """(n,) squared Mahalanobis distance of points under a Gaussian fit, conditional on o where the level has one."""
    total = np.zeros(len(points))
    for width, sign in cloud.scopes:
        total += sign * Normal.fit(fitted_to[:, :width]).distance(points[:, :width])
    return total


def _require_densities(real: Cloud, sim: Cloud, weights: Mapping[int, float]) -> None:
    require_density(real.points, real.columns, f"the {real.rows} of the real side")
    for member in weights:
        what = f"the {sim.rows} of simulated member {member}"
        require_density(sim.points[sim.member == member], sim.columns, what)


def _standardised(real: Cloud, sim: Cloud) -> tuple[Cloud, Cloud]:
    """Both clouds on one scale, which changes no ratio of densities but keeps the factors well conditioned."""
    both = np.concatenate([real.points, sim.points])
    centre, scale = both.mean(axis=0), both.std(axis=0)
    return (
        replace(real, points=(real.points - centre) / scale),
        replace(sim, points=(sim.points - centre) / scale),
    )


def _left_out(
    real: Cloud, sim: Cloud, weights: Mapping[int, float], real_blocks: Blocks, sim_blocks: Blocks
) -> list[LeftOut]:
    """The estimate without each block, for each stratum."""
    without_real = np.zeros(real_blocks.count)
    without_sim = np.zeros(sim_blocks.count)
    for width, sign in real.scopes:
        at = real.points[:, :width]
        members = _members(sim, weights, width)
        mixture = Mixture.fit(members, weights, at)
        log_mixture = mixture.logpdf()
        entropy = -Normal.fit(at).mean_logpdf()
        for j in range(real_blocks.count):
            kept = real_blocks.label != j
            without_real[j] += sign * (Normal.fit(at[kept]).mean_logpdf() - log_mixture[kept].mean())
        for column, member in enumerate(members):
            rows = sim.member == member
            for j in np.flatnonzero(sim_blocks.stratum == member).tolist():
                kept_points = sim.points[rows & (sim_blocks.label != j), :width]
                without_sim[j] += sign * (-entropy - mixture.logpdf_with(column, kept_points).mean())
    strata = [LeftOut(real_blocks.sizes, without_real)]
    for member in weights:
        mine = sim_blocks.stratum == member
        strata.append(LeftOut(sim_blocks.sizes[mine], without_sim[mine]))
    return strata


def _members(sim: Cloud, weights: Mapping[int, float], width: int) -> dict[int, Floats]:
    return {member: sim.points[sim.member == member, :width] for member in weights}


def _logsumexp(log_densities: Floats) -> Floats:
    if log_densities.shape[1] == 1:
        return log_densities[:, 0]
    total: Floats = logsumexp(log_densities, axis=1)
    return total
