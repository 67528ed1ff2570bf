"""The method "gaussian": KL between moment-matched Gaussians, and the evidence against Gaussians in the samples.

The estimate takes one Gaussian for the real side and one for each member. For A/A comparisons it is also computed
without the interval, and for many deals of episodes against one simulated side at once.

The evidence is a direction along which the samples are refuted as Gaussian, and Mardia's kurtosis.
In one direction nearest neighbours need few points and have next to no bias. A divergence of a projection is at most
that of the whole (data processing). So a projection whose divergence lies above an estimate refutes the estimate; and
one in which nearest neighbours see clearly more or less than Gaussians of the same moments refutes the Gaussians. At
the level "transition" what is projected is the residual of o' after the real side's linear regression on o, the same
map on both sides: that o itself is not Gaussian matters little there.

In many dimensions neither single sensors nor the kurtosis show a shape that lies across them, such as two modes.
Therefore directions in which points look least Gaussian are pursued by their kurtosis (Hyvärinen and Oja 1997, "A fast
fixed-point algorithm for independent component analysis", Neural Computation 9:1483).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats
from scipy.linalg import solve_triangular

from sim2real_cat.arrays import Bools, Floats
from sim2real_cat.errors import GapError, listed
from sim2real_cat.gaps.estimate import MethodResult, MethodSettings
from sim2real_cat.gaps.gaussian_kl import (
    GaussianEstimate,
    GaussianMixture,
    Normal,
    common_scale,
    log_ratios,
    member_points,
    rescaled,
)
from sim2real_cat.gaps.nearest_neighbours import KnnRule, Neighbours, TimeExclusion
from sim2real_cat.gaps.null import PooledUnits
from sim2real_cat.gaps.quantisation import dithered, quanta
from sim2real_cat.gaps.resampling import Blocks, LeftOut, deal_sides, jackknife
from sim2real_cat.gaps.samples import Cloud, require_density, subset

_MOST_BLOCKS = 64
# As many blocks as tell the bias of a deal; an interval, which is not asked for there, would need more.
_MOST_BLOCKS_OF_DEALS = 16
# A larger share of the real samples beyond the farthest simulated one does not come from tails.
_OUTSIDE = 0.05
# Neighbours in one dimension, where many cost little bias.
_NEIGHBOURS = 10
_MOST_BLOCKS_OF_DIRECTION = 16
# More points than these tell no more about a shape that matters.
_MOST_POINTS = 4000
# Probability that any of all directions is taken for a shape where there is none.
_FALSE_ALARM = 0.02
# A difference below this many nats and this share of the whole does no harm.
_HARMLESS, _HARMLESS_SHARE = 0.05, 0.1
# Combinations of sensors that are looked at: two for each side.
_PURSUED = 4
# With fewer points a direction can be found in which any sample has outliers.
_POINTS_PER_SENSOR = 5
# Beyond the simulated samples nearest neighbours know less than Gaussians do, and see less.
_BEYOND = 0.02
# The fixed point of the pursuit converges cubically where it does.
_ITERATIONS = 15
# A kurtosis of a sensor this far from a Gaussian's, relative to it, is worth a word; a uniform is 0.4 below, a Laplace
# 1 above.
_KURTOSIS = 0.25
# So far off, the Gaussian estimate of a Laplace's or a uniform's divergence was wrong by a third.
_FAR_KURTOSIS = 0.5
# The kurtosis is off for certain beyond this many of its standard errors.
_CHANCE = 3.0
_CERTAINTY = 0.999


def estimate_by_gaussians(
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
    return examined_estimate(real, sim, weights, settings, rng)[0]


def examined_estimate(
    real: Cloud, sim: Cloud, weights: Mapping[int, float], settings: MethodSettings, rng: np.random.Generator
) -> tuple[MethodResult, tuple[str, ...]]:
    """Estimate the gap, and list what speaks against Gaussians: a direction along which they are refuted, the kurtosis.

    Arguments and errors are those of `estimate_by_gaussians`.
    """
    real_blocks, sim_blocks = deal_sides(real, sim, len(weights), _MOST_BLOCKS, rng)
    fitted: GaussianEstimate | None
    try:
        fitted = GaussianEstimate.leave_out(real, sim, weights, real_blocks, sim_blocks)
    except np.linalg.LinAlgError:
        fitted = None
    off, far = against_kurtosis(real, sim, weights)
    if fitted is None:
        plug_in = float(log_ratios(real, sim, weights).mean())
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


def corrected_gap(real: Cloud, sim: Cloud, weights: Mapping[int, float], rng: np.random.Generator) -> float:
    """Estimate the gap without its bias, in nats, and without the work for an interval.

    Raises:
        GapError: Too few points or dependent sensors, on the real side or in a member.
    """
    real_blocks, sim_blocks = deal_sides(real, sim, len(weights), _MOST_BLOCKS_OF_DEALS, rng)
    try:
        return GaussianEstimate.leave_out(real, sim, weights, real_blocks, sim_blocks).raw
    except np.linalg.LinAlgError:
        raise GapError("too few points to leave out an episode: add episodes") from None


def gaps_of_deals(pooled: PooledUnits, chosen: Bools, sim: Cloud, weights: Mapping[int, float]) -> Floats:
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


@dataclass(frozen=True)
class Direction:
    """The divergence along one direction, by nearest neighbours and by Gaussians.

    Attributes:
        name: The sensor or sensors.
        combined: Whether it is a combination of sensors.
        divergence: By nearest neighbours, in nats.
        gaussian: By Gaussians.
        low: Lower end of the interval of `divergence`.
        excess_low: Lower end of the interval of `divergence` - `gaussian`.
        excess_high: Its upper end.
    """

    name: str
    combined: bool
    divergence: float
    gaussian: float
    low: float
    excess_low: float
    excess_high: float

    @property
    def excess(self) -> float:
        """Compute how much more nearest neighbours see than Gaussians."""
        return self.divergence - self.gaussian

    @property
    def is_shape(self) -> bool:
        """Tell whether the excess is neither chance nor harmless."""
        return (self.excess_low > 0 or self.excess_high < 0) and abs(self.excess) > _harmless(self.gaussian)


def along_directions(
    real: Cloud, sim: Cloud, weights: Mapping[int, float], rng: np.random.Generator
) -> tuple[Direction, ...]:
    """Compare along every sensor that is not constant, and along combinations of sensors that look least Gaussian.

    Args:
        real: Real points.
        sim: Simulated points.
        weights: Weight of each member.
        rng: Deals the episodes into blocks.

    Returns:
        An entry for each direction; none where there are too few points for an interval.
    """
    real, sim = _residuals(_thinned(real), real), _residuals(_thinned(sim), real)
    real_blocks, sim_blocks = deal_sides(real, sim, len(weights), _MOST_BLOCKS_OF_DIRECTION, rng)
    exclusion = TimeExclusion.choose(real.episode, real_blocks, None)
    if not _enough(exclusion, sim_blocks, weights):
        return ()
    widths = quanta(real, sim)
    real, sim = dithered(real, widths, rng), dithered(sim, widths, rng)
    confidence = 1 - _FALSE_ALARM / (len(real.sensors) + _PURSUED)
    directions = []
    for column, name in enumerate(real.sensors):
        at = np.eye(len(real.sensors))[column]
        directions.append(_along(at, name, (real, real_blocks), (sim, sim_blocks), exclusion, weights, confidence))
    for at, name in _pursued(real, sim, real_blocks, sim_blocks):
        halves = half_of_blocks(real, real_blocks, 1), half_of_blocks(sim, sim_blocks, 1)
        beside = TimeExclusion.choose(halves[0][0].episode, halves[0][1], None)
        if _enough(beside, halves[1][1], weights):
            directions.append(_along(at, name, *halves, beside, weights, confidence))
    return tuple(one for one in directions if one is not None)


def _enough(exclusion: TimeExclusion, sim: Blocks, weights: Mapping[int, float]) -> bool:
    """Tell whether neighbours remain on both sides, and points of every member, when any block is left out."""
    least = [int(sim.sizes[sim.stratum == e].sum() - sim.sizes[sim.stratum == e].max(initial=0)) for e in weights]
    return min([*least, int(exclusion.others(None).min() - exclusion.blocks.sizes.max())]) >= 2 * _NEIGHBOURS


def _along(
    direction: Floats,
    name: str,
    real: tuple[Cloud, Blocks],
    sim: tuple[Cloud, Blocks],
    exclusion: TimeExclusion,
    weights: Mapping[int, float],
    confidence: float,
) -> Direction | None:
    """Compare points and their blocks along one direction (d,); None where a side or a member is constant there."""
    one_real, one_sim = (_projected(cloud, direction, name) for cloud, _ in (real, sim))
    rule = KnnRule("plain", _NEIGHBOURS)
    if one_real.points.std() == 0 or any(one_sim.points[one_sim.member_index == e].std() == 0 for e in weights):
        return None
    near = Neighbours.find(one_real.points, one_sim.points, exclusion, sim[1], weights, rule.far)
    if (near.real.distance[:, rule.k - 1] == 0).any() or (near.sim.distance[:, rule.k - 1] == 0).any():
        return None
    if not np.isfinite(near.real.without(None)[0]).all():
        return None
    fitted = GaussianEstimate.leave_out(one_real, one_sim, weights, real[1], sim[1])
    groups, divergence = near.left_out(rule), near.mean(rule)
    low, _ = jackknife(divergence, groups).interval(divergence, confidence, 0.0)
    differences = [LeftOut(a.sizes, a.values - b.values) for a, b in zip(groups, fitted.strata, strict=True)]
    excess = divergence - fitted.plug_in
    span = jackknife(excess, differences).interval(excess, confidence, 0.0)
    if _share_outside(one_real, one_sim) > _BEYOND:
        span = span[0], np.inf
    return Direction(name, name not in real[0].sensors, divergence, fitted.plug_in, low, *span)


def _pursued(real: Cloud, sim: Cloud, real_blocks: Blocks, sim_blocks: Blocks) -> list[tuple[Floats, str]]:
    """Find directions in which one half of the blocks of a side looks least Gaussian, to judge them on the other half.

    A simulated side of several members is a mixture and no Gaussian anyway.
    """
    if len(real.sensors) == 1:
        return []
    sides = [(real, real_blocks)] + ([(sim, sim_blocks)] if len(np.unique(sim.member_index)) == 1 else [])
    found = []
    for cloud, blocks in sides:
        points = half_of_blocks(cloud, blocks, 0)[0].points
        if len(points) < _POINTS_PER_SENSOR * len(real.sensors):
            continue
        try:
            directions = least_gaussian_directions(points)
        except np.linalg.LinAlgError:
            continue
        for direction in directions:
            loads = np.abs(direction) * points.std(axis=0)
            names = [real.sensors[j] for j in np.argsort(-loads)[:3] if loads[j] > 0.5 * loads.max()]
            found.append((direction, f"mostly {listed(names)}"))
    return found


def half_of_blocks(cloud: Cloud, blocks: Blocks, parity: int) -> tuple[Cloud, Blocks]:
    """Return the points of every other block of each stratum, and their blocks numbered anew."""
    rank = np.array([int((blocks.stratum[:j] == s).sum()) for j, s in enumerate(blocks.stratum)])
    chosen = np.flatnonzero(rank % 2 == parity)
    rows = np.isin(blocks.label, chosen)
    label = np.searchsorted(chosen, blocks.label[rows])
    return subset(cloud, rows), Blocks(label, blocks.stratum[chosen])


def _share_outside(real: Cloud, sim: Cloud) -> float:
    """Compute the share of the real points beyond the extreme simulated ones."""
    return float(((real.points < sim.points.min()) | (real.points > sim.points.max())).mean())


def _thinned(cloud: Cloud) -> Cloud:
    """Keep evenly spaced points, at most `_MOST_POINTS`."""
    return subset(cloud, slice(None, None, -(-len(cloud.points) // _MOST_POINTS)))


def _residuals(cloud: Cloud, real: Cloud) -> Cloud:
    """Return observations, or at the level "transition" o' minus what the real side's regression on o predicts."""
    d = len(cloud.sensors)
    if cloud.level == "occupancy":
        return cloud
    before = np.column_stack([real.points[:, :d], np.ones(len(real.points))])
    slope = np.linalg.lstsq(before, real.points[:, d:], rcond=None)[0]
    predicted = np.column_stack([cloud.points[:, :d], np.ones(len(cloud.points))]) @ slope
    return replace(cloud, level="occupancy", points=cloud.points[:, d:] - predicted)


def _projected(cloud: Cloud, direction: Floats, name: str) -> Cloud:
    return replace(cloud, points=(cloud.points @ direction)[:, None], sensors=(name,))


def least_gaussian_directions(points: Floats) -> Floats:
    """Find the directions of least and of greatest kurtosis, among those pursued from every axis.

    Few points in many dimensions always have a direction with outliers, where the kurtosis is far above a Gaussian's 3;
    two modes are far below it.

    Args:
        points: (n, d) of which no column is a linear function of others.

    Returns:
        (2, d): two vectors; points @ vector has variance 1.

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


def against_gaussians(directions: tuple[Direction, ...]) -> tuple[str, ...]:
    """Return the reason not to rely on Gaussians, if there is one."""
    shapes = sorted((one for one in directions if one.is_shape), key=lambda one: -abs(one.excess))
    if not shapes:
        return ()
    most = shapes[0]
    also = f"; likewise {listed([one.name for one in shapes[1:]])}" if shapes[1:] else ""
    return (
        f"the samples are not Gaussian: along '{most.name}' alone nearest neighbours see {most.divergence:.2f} nats "
        f"where Gaussians see {most.gaussian:.2f}{also}",
    )


def against_value(directions: tuple[Direction, ...], high: float) -> tuple[str, ...]:
    """Return the reason not to rely on an estimate that ends below what one direction shows, if there is one."""
    above = [one for one in directions if one.low > max(high, 0.0) + _harmless(high)]
    if not above:
        return ()
    most = max(above, key=lambda one: one.low)
    return (f"along '{most.name}' alone nearest neighbours see {most.divergence:.2f} nats, more than the estimate",)


def against_distances(directions: tuple[Direction, ...], shape: float, value: float) -> tuple[str, ...]:
    """Return the reason to doubt that distances in many dimensions saw the shape, if there is one.

    Args:
        directions: The directions compared.
        shape: The part that the distances see beyond Gaussians, in nats.
        value: The estimate.
    """
    sensors = sum(one.excess for one in directions if one.is_shape and not one.combined)
    # A combination shows again what its sensors show.
    excess = max([sensors, *(one.excess for one in directions if one.is_shape and one.combined)], key=abs)
    missed = excess - shape if excess > 0 else shape - excess
    if excess == 0 or missed <= max(2 * _HARMLESS, 2 * _harmless(value)):
        return ()
    return (
        f"one direction at a time the shape adds {excess:+.2f} nats to what Gaussians see, distances in all dimensions "
        f"{shape:+.2f}: too few points for the dimensions",
    )


def _harmless(value: float) -> float:
    """Return the difference in nats that does no harm to such a value."""
    return max(_HARMLESS, _HARMLESS_SHARE * abs(value))


def against_kurtosis(real: Cloud, sim: Cloud, weights: Mapping[int, float]) -> tuple[str, bool]:
    """Return what Mardia's kurtosis says against Gaussians, '' if nothing, and tell whether it is far off.

    The squared Mahalanobis distance (of o' given o, at the level "transition") of Gaussian samples is
    chi-squared with d degrees of freedom, so its mean square is d (d + 2): Mardia's kurtosis. Of n independent
    samples its variance is 8 d (d + 2) / n; of dependent ones the spread between episodes tells. Where single sensors
    are off by a factor of 1 + x, the ratio is off by 3 x / (d + 2) only.
    """
    centre, scale = common_scale(real, sim)
    real, sim = rescaled(real, centre, scale), rescaled(sim, centre, scale)
    d = len(real.sensors)
    squares = {"real": squared_distances(real.points, real.points, real) ** 2 / (d * (d + 2))}
    squares |= {"simulated": np.empty(len(sim.points))}
    shares = {"real": np.full(len(real.points), 1 / len(real.points)), "simulated": np.empty(len(sim.points))}
    for member, weight in weights.items():
        mine = sim.member_index == member
        squares["simulated"][mine] = squared_distances(sim.points[mine], sim.points[mine], sim) ** 2 / (d * (d + 2))
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


def squared_distances(fitted_to: Floats, points: Floats, cloud: Cloud) -> Floats:
    """Compute squared Mahalanobis distances (n,) of points under a Gaussian fit; at the level "transition" given o."""
    total = np.zeros(len(points))
    for width, sign in cloud.scopes:
        total += sign * Normal.fit(fitted_to[:, :width]).distance(points[:, :width])
    return total
