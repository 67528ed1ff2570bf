"""The Gaussian gap for A/A comparisons: without its interval, and of many deals of episodes against one fibre."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.errors import GapError
from sim2real_cat.gaps.deals import Pool
from sim2real_cat.gaps.gaussian_fit import Fitted
from sim2real_cat.gaps.normal import Mixture
from sim2real_cat.gaps.resampling import deal
from sim2real_cat.gaps.samples import Cloud, Floats, require_density

# As many as tell the bias; an interval, which is not asked for here, would need more.
_MOST_BLOCKS = 16


def gaussian_raw(real: Cloud, sim: Cloud, weights: Mapping[int, float], rng: np.random.Generator) -> float:
    """The bias-corrected estimate of the method "gaussian", in nats, without what makes its interval.

    Raises:
        GapError: Too few points or dependent sensors, on the real side or in a member.
    """
    real_blocks = deal(real.episode, np.zeros_like(real.episode), _MOST_BLOCKS, rng)
    sim_blocks = deal(sim.episode, sim.member, max(2, _MOST_BLOCKS // len(weights)), rng)
    try:
        return Fitted.leave_out(real, sim, weights, real_blocks, sim_blocks).raw
    except np.linalg.LinAlgError:
        raise GapError("too few points to leave out an episode: add episodes") from None


def gaussian_gaps(pooled: Pool, chosen: NDArray[np.bool_], fibre: Cloud, weights: Mapping[int, float]) -> Floats:
    """The plug-in Gaussian gap of each deal: minus its Gaussian's entropy, minus the mean log density of the fibre.

    Args:
        pooled: The units that are dealt.
        chosen: (deals, units) which are on the real side.
        fibre: Simulated points.
        weights: Of the members, adding up to 1.

    Returns:
        (deals,) nats; not a number where a deal's covariance is singular.

    Raises:
        GapError: Too few points or dependent sensors in a member.
    """
    for member in weights:
        own = fibre.points[fibre.member == member]
        require_density(own, fibre.columns, f"half of the {fibre.rows} of simulated member {member}")
    both = np.concatenate([pooled.cloud.points, fibre.points])
    centre, scale = both.mean(axis=0), both.std(axis=0)
    points, simulated = (pooled.cloud.points - centre) / scale, (fibre.points - centre) / scale
    log_density = np.zeros(len(points))
    for width, sign in fibre.scopes:
        clouds = {e: simulated[fibre.member == e, :width] for e in weights}
        log_density += sign * Mixture.fit(clouds, weights, points[:, :width]).logpdf()
    picked = chosen.astype(float)
    count = picked @ _sums(np.ones((len(points), 1)), pooled)
    mean = picked @ _sums(points, pooled) / count
    d = points.shape[1]
    square = _sums((points[:, :, None] * points[:, None, :]).reshape(len(points), d * d), pooled)
    covariance = (picked @ square / count).reshape(-1, d, d) - mean[:, :, None] * mean[:, None, :]
    gaps: Floats = -(picked @ _sums(log_density[:, None], pooled) / count)[:, 0]
    for width, sign in fibre.scopes:
        signs, volume = np.linalg.slogdet(covariance[:, :width, :width])
        entropy = 0.5 * (np.where(signs > 0, volume, np.nan) + width * (1 + np.log(2 * np.pi)))
        gaps -= sign * entropy
    return gaps


def _sums(values: Floats, pooled: Pool) -> Floats:
    """(units, columns) of values (n, columns) over the points of each unit."""
    order = np.argsort(pooled.cloud.episode, kind="stable")
    starts = np.searchsorted(pooled.cloud.episode[order], np.arange(pooled.units))
    sums: Floats = np.add.reduceat(values[order], starts, axis=0)
    return sums
