"""The method "gaussian": KL between moment-matched Gaussians, one for the real side and one for each member.

For A/A comparisons also without the interval, and of many deals of episodes against one simulated side at once.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sim2real_cat.arrays import Bools, Floats
from sim2real_cat.errors import GapError, listed
from sim2real_cat.gaps.estimate import MethodResult, MethodSettings
from sim2real_cat.gaps.gaussian_kl import (
    GaussianEstimate,
    GaussianMixture,
    common_scale,
    log_ratios,
    member_points,
    rescaled,
)
from sim2real_cat.gaps.gaussianity import against_gaussians, against_kurtosis, along_directions, squared_distances
from sim2real_cat.gaps.null import PooledUnits
from sim2real_cat.gaps.quantisation import quanta
from sim2real_cat.gaps.resampling import deal_sides, jackknife
from sim2real_cat.gaps.samples import Cloud, require_density

_MOST_BLOCKS = 64
# As many blocks as tell the bias of a deal; an interval, which is not asked for there, would need more.
_MOST_BLOCKS_OF_DEALS = 16
# More than this share of the real samples beyond the farthest simulated one is no matter of tails.
_OUTSIDE = 0.05


def measure(
    real: Cloud, sim: Cloud, weights: Mapping[int, float], settings: MethodSettings, rng: np.random.Generator
) -> MethodResult:
    """Estimate the gap by Gaussians, without its bias and with its interval, and say where samples are not Gaussian.

    Args:
        real: Real points.
        sim: Simulated points.
        weights: Weight of each member, adding up to 1.
        settings: The confidence is read.
        rng: Deals the episodes into blocks where there are many.

    Returns:
        The estimate; without an interval where the samples are clearly not Gaussian.

    Raises:
        GapError: Too few points or dependent sensors, on the real side or in a member.
    """
    return examined(real, sim, weights, settings, rng)[0]


def examined(
    real: Cloud, sim: Cloud, weights: Mapping[int, float], settings: MethodSettings, rng: np.random.Generator
) -> tuple[MethodResult, tuple[str, ...]]:
    """Measure, and list what speaks against Gaussians: a direction along which they are refuted, the kurtosis."""
    plug_in = float(log_ratios(real, sim, weights).mean())
    real_blocks, sim_blocks = deal_sides(real, sim, len(weights), _MOST_BLOCKS, rng)
    off, far = against_kurtosis(real, sim, weights)
    try:
        fitted = GaussianEstimate.leave_out(real, sim, weights, real_blocks, sim_blocks)
    except np.linalg.LinAlgError:
        reason = "too few points to leave out an episode: neither bias nor interval is known"
        return MethodResult(plug_in, plug_in, 0.0, np.inf, (reason,)), ((off,) if off else ())
    spread = jackknife(fitted.plug_in, fitted.strata)
    low, high = spread.interval_of_divergence(fitted.plug_in, fitted.raw, settings.confidence, fitted.bias_doubt)
    refuted = against_gaussians(along_directions(real, sim, weights, rng))
    reasons, notes = _shape(real, sim, weights, off, far)
    reasons += _coarse(real, sim)
    if (refuted or reasons) and high >= 0:
        low, high = 0.0, np.inf
    measured = MethodResult(fitted.plug_in, fitted.raw, low, high, (*refuted, *reasons), notes)
    return measured, (*refuted, *((off,) if off else ()))


def _coarse(real: Cloud, sim: Cloud) -> tuple[str, ...]:
    """Return a reason for doubt where sensors are quantised more coarsely than they move from step to step."""
    d = len(real.sensors)
    moves = real.points if real.level == "occupancy" else real.points[:, d:] - real.points[:, :d]
    widths = quanta(real, sim)
    coarse = [name for name, wide, move in zip(real.sensors, widths, moves.std(axis=0), strict=True) if wide > move]
    if not coarse:
        return ()
    return (f"quantised more coarsely than they vary: {listed(coarse)}; method 'knn' dithers such sensors",)


def _shape(
    real: Cloud, sim: Cloud, weights: Mapping[int, float], off: str, far: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return reasons for doubt and notes from the kurtosis and from whether the simulation covers reality."""
    outside = np.ones(len(real.points), dtype=bool)
    for member in weights:
        own = sim.points[sim.member_index == member]
        outside &= squared_distances(own, real.points, sim) > squared_distances(own, own, sim).max()
    share = float(outside.mean())
    beyond = f"{share:.0%} of the real samples lie outside the simulated ones, where the Gaussian is extrapolated"
    if share > _OUTSIDE and off:
        return (f"{beyond}, and {off}",), ()
    if far:
        return (f"{off}: Gaussians may be badly wrong",), ()
    notes = ((beyond,) if share > _OUTSIDE else ()) + (
        (f"{off}: only mean and covariance are compared",) if off else ()
    )
    return (), notes


def corrected(real: Cloud, sim: Cloud, weights: Mapping[int, float], rng: np.random.Generator) -> float:
    """Estimate the gap without its bias, in nats, and without the work for an interval.

    Raises:
        GapError: Too few points or dependent sensors, on the real side or in a member.
    """
    real_blocks, sim_blocks = deal_sides(real, sim, len(weights), _MOST_BLOCKS_OF_DEALS, rng)
    try:
        return GaussianEstimate.leave_out(real, sim, weights, real_blocks, sim_blocks).raw
    except np.linalg.LinAlgError:
        raise GapError("too few points to leave out an episode: add episodes") from None


def of_deals(pooled: PooledUnits, chosen: Bools, sim: Cloud, weights: Mapping[int, float]) -> Floats:
    """Compute the plug-in gap of each deal: minus its Gaussian's entropy, minus the mean log density of the members.

    Args:
        pooled: The units that are dealt.
        chosen: (deals, n_units) which are on the real side.
        sim: Simulated points.
        weights: Weight of each member, adding up to 1.

    Returns:
        (deals,) nats; NaN where a deal's covariance is singular.

    Raises:
        GapError: Too few points or dependent sensors in a member.
    """
    for member in weights:
        own = sim.points[sim.member_index == member]
        require_density(own, sim.columns, f"half of the {sim.rows} of simulated member {member}")
    centre, scale = common_scale(pooled.cloud, sim)
    points, rescaled_sim = rescaled(pooled.cloud, centre, scale).points, rescaled(sim, centre, scale)
    log_density = np.zeros(len(points))
    for width, sign in sim.scopes:
        members = member_points(rescaled_sim, weights, width)
        log_density += sign * GaussianMixture.fit(members, weights, points[:, :width]).logpdf()
    picked = chosen.astype(float)
    count = picked @ _sums(np.ones((len(points), 1)), pooled)
    mean = picked @ _sums(points, pooled) / count
    d = points.shape[1]
    square = _sums((points[:, :, None] * points[:, None, :]).reshape(len(points), d * d), pooled)
    covariance = (picked @ square / count).reshape(-1, d, d) - mean[:, :, None] * mean[:, None, :]
    gaps: Floats = -(picked @ _sums(log_density[:, None], pooled) / count)[:, 0]
    for width, sign in sim.scopes:
        signs, volume = np.linalg.slogdet(covariance[:, :width, :width])
        entropy = 0.5 * (np.where(signs > 0, volume, np.nan) + width * (1 + np.log(2 * np.pi)))
        gaps -= sign * entropy
    return gaps


def _sums(values: Floats, pooled: PooledUnits) -> Floats:
    """Sum values (n, columns) over the points of each unit, (n_units, columns)."""
    order = np.argsort(pooled.cloud.episode, kind="stable")
    starts = np.searchsorted(pooled.cloud.episode[order], np.arange(pooled.n_units))
    sums: Floats = np.add.reduceat(values[order], starts, axis=0)
    return sums
