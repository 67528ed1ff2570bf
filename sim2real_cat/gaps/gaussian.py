"""KL between moment-matched Gaussians: one for the real side, one for each member of the simulated fibre.

The Gaussian gap for A/A comparisons: without its interval, and of many deals of episodes against one fibre.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import GapError, listed
from sim2real_cat.gaps import gaussianity
from sim2real_cat.gaps.estimate import Measured, Settings
from sim2real_cat.gaps.gaussian_kl import Fitted, Mixture, Normal, common_scale, log_ratios, rescaled
from sim2real_cat.gaps.permutation import Pool
from sim2real_cat.gaps.quantisation import quanta
from sim2real_cat.gaps.resampling import deal, jackknife
from sim2real_cat.gaps.samples import Cloud, require_density

_MOST_BLOCKS = 64
# A kurtosis of a sensor this far from a Gaussian's, relative to it, is worth a word; a uniform is 0.4 below, a Laplace
# 1 above.
_KURTOSIS = 0.25
# So far off, the Gaussian estimate of a Laplace's or a uniform's divergence was wrong by a third.
_FAR_KURTOSIS = 0.5
# So many standard errors of the kurtosis are no chance.
_CHANCE = 3.0
_CERTAINTY = 0.999
# More than this share of the real samples beyond the farthest simulated one is no matter of tails.
_OUTSIDE = 0.05


def measure(
    real: Cloud, sim: Cloud, weights: Mapping[int, float], settings: Settings, rng: np.random.Generator
) -> Measured:
    """The Gaussian estimate without its bias, with its interval, and whether the samples are Gaussian.

    Args:
        real: Real points.
        sim: Simulated points.
        weights: Weight of each fibre member, adding up to 1.
        settings: The confidence counts.
        rng: Deals the episodes into blocks where there are many.

    Returns:
        The estimate; without an interval where the samples are clearly not Gaussian.

    Raises:
        GapError: Too few points or dependent sensors, on the real side or in a member.
    """
    return examined(real, sim, weights, settings, rng)[0]


def examined(
    real: Cloud, sim: Cloud, weights: Mapping[int, float], settings: Settings, rng: np.random.Generator
) -> tuple[Measured, tuple[str, ...]]:
    """The same, and what speaks against Gaussians: a direction along which they are refuted, Mardia's kurtosis."""
    plug_in = float(log_ratios(real, sim, weights).mean())
    real_blocks = deal(real.episode, np.zeros_like(real.episode), _MOST_BLOCKS, rng)
    sim_blocks = deal(sim.episode, sim.member_index, max(2, _MOST_BLOCKS // len(weights)), rng)
    off, far = _kurtosis(real, sim, weights)
    try:
        fitted = Fitted.leave_out(real, sim, weights, real_blocks, sim_blocks)
    except np.linalg.LinAlgError:
        reason = "too few points to leave out an episode: neither bias nor interval is known"
        return Measured(plug_in, plug_in, 0.0, np.inf, (reason,)), ((off,) if off else ())
    spread = jackknife(fitted.plug_in, fitted.strata)
    low, high = spread.interval_of_divergence(fitted.plug_in, fitted.raw, settings.confidence, fitted.bias_doubt)
    refuted = gaussianity.refuting_gaussians(gaussianity.look(real, sim, weights, rng))
    reasons, notes = _shape(real, sim, weights, off, far)
    reasons += _coarse(real, sim)
    if (refuted or reasons) and high >= 0:
        low, high = 0.0, np.inf
    measured = Measured(fitted.plug_in, fitted.raw, low, high, (*refuted, *reasons), notes)
    return measured, (*refuted, *((off,) if off else ()))


def _coarse(real: Cloud, sim: Cloud) -> tuple[str, ...]:
    """A reason for doubt where sensors are quantised more coarsely than they move from step to step."""
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
    """Reasons for doubt and notes from the kurtosis and from whether the simulation covers reality."""
    outside = np.ones(len(real.points), dtype=bool)
    for member in weights:
        own = sim.points[sim.member_index == member]
        outside &= _distances(own, real.points, sim) > _distances(own, own, sim).max()
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


def _kurtosis(real: Cloud, sim: Cloud, weights: Mapping[int, float]) -> tuple[str, bool]:
    """What Mardia's kurtosis says against Gaussians, '' if nothing, and whether it is far off.

    The squared Mahalanobis distance (of o' given o, at the level "transition") of Gaussian samples is
    chi-squared with d degrees of freedom, so its mean square is d (d + 2): Mardia's kurtosis. Of n independent
    samples its variance is 8 d (d + 2) / n; of dependent ones the spread between episodes tells. Where single sensors
    are off by a factor of 1 + x, the ratio is off by 3 x / (d + 2) only.
    """
    centre, scale = common_scale(real, sim)
    real, sim = rescaled(real, centre, scale), rescaled(sim, centre, scale)
    d = len(real.sensors)
    squares = {"real": _distances(real.points, real.points, real) ** 2 / (d * (d + 2))}
    squares |= {"simulated": np.empty(len(sim.points))}
    shares = {"real": np.full(len(real.points), 1 / len(real.points)), "simulated": np.empty(len(sim.points))}
    for member, weight in weights.items():
        mine = sim.member_index == member
        squares["simulated"][mine] = _distances(sim.points[mine], sim.points[mine], sim) ** 2 / (d * (d + 2))
        shares["simulated"][mine] = weight / mine.sum()
    off, far = [], False
    for cloud, side in ((real, "real"), (sim, "simulated")):
        ratio = float(squares[side] @ shares[side])
        per_episode = np.bincount(cloud.episode, shares[side] * (squares[side] - ratio))
        episodes = len(np.unique(cloud.episode))
        error = np.sqrt((per_episode**2).sum() * episodes / max(episodes - 1, 1))
        chance = max(
            _CHANCE * float(np.sqrt(8 / (len(cloud.points) * d * (d + 2)))),
            float(stats.t.ppf(_CERTAINTY, max(episodes - 1, 1)) * error),
        )
        if abs(ratio - 1) > max(_KURTOSIS * 3 / (d + 2), chance):
            off.append(f"{side} {ratio:.2f}")
            far |= abs(ratio - 1) > _FAR_KURTOSIS * 3 / (d + 2)
    return (f"the samples are not Gaussian (kurtosis relative to a Gaussian's: {', '.join(off)})" if off else ""), far


def _distances(fitted_to: Floats, points: Floats, cloud: Cloud) -> Floats:
    """(n,) squared Mahalanobis distance of points under a Gaussian fit, conditional on o where the level has one."""
    total = np.zeros(len(points))
    for width, sign in cloud.scopes:
        total += sign * Normal.fit(fitted_to[:, :width]).distance(points[:, :width])
    return total


# As many as tell the bias; an interval, which is not asked for here, would need more.
_MOST_BLOCKS_OF_DEALS = 16


def gaussian_raw(real: Cloud, sim: Cloud, weights: Mapping[int, float], rng: np.random.Generator) -> float:
    """The bias-corrected estimate of the method "gaussian", in nats, without what makes its interval.

    Raises:
        GapError: Too few points or dependent sensors, on the real side or in a member.
    """
    real_blocks = deal(real.episode, np.zeros_like(real.episode), _MOST_BLOCKS_OF_DEALS, rng)
    sim_blocks = deal(sim.episode, sim.member_index, max(2, _MOST_BLOCKS_OF_DEALS // len(weights)), rng)
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
        own = fibre.points[fibre.member_index == member]
        require_density(own, fibre.columns, f"half of the {fibre.rows} of simulated member {member}")
    both = np.concatenate([pooled.cloud.points, fibre.points])
    centre, scale = both.mean(axis=0), both.std(axis=0)
    points, simulated = (pooled.cloud.points - centre) / scale, (fibre.points - centre) / scale
    log_density = np.zeros(len(points))
    for width, sign in fibre.scopes:
        clouds = {e: simulated[fibre.member_index == e, :width] for e in weights}
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
