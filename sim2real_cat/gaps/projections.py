"""Shape seen in one direction at a time, where nearest neighbours need few points and have next to no bias.

A divergence of a projection is at most that of the whole (data processing). So a projection whose divergence lies
above an estimate refutes the estimate; and one in which nearest neighbours see clearly more or less than Gaussians
of the same moments refutes the Gaussians. At the level "transition" what is projected is the residual of o' after
the real side's linear regression on o, the same map on both sides: that o itself is not Gaussian matters little there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from sim2real_cat.errors import listed
from sim2real_cat.gaps.gaussian_fit import Fitted
from sim2real_cat.gaps.knn_terms import Neighbours, Rule
from sim2real_cat.gaps.neighbours import Away
from sim2real_cat.gaps.resampling import LeftOut, deal, jackknife
from sim2real_cat.gaps.samples import Cloud

# Neighbours in one dimension, where many cost little bias.
_NEIGHBOURS = 10
_MOST_BLOCKS = 16
# More points than these tell no more about a shape that matters.
_MOST_POINTS = 4000
# Probability that any of all directions is taken for a shape where there is none.
_FALSE_ALARM = 0.02
# A difference below this many nats and this share of the whole does no harm.
_HARMLESS, _HARMLESS_SHARE = 0.05, 0.1
# Beyond the simulated samples nearest neighbours know less than Gaussians do, and see less.
_OUTSIDE = 0.02


@dataclass(frozen=True)
class Look:
    """One direction.

    Attributes:
        name: The sensor.
        divergence: By nearest neighbours, in nats.
        gaussian: By Gaussians.
        low: Lower end of the interval of `divergence`.
        excess_low: Lower end of the interval of `divergence` - `gaussian`.
        excess_high: Its upper end.
    """

    name: str
    divergence: float
    gaussian: float
    low: float
    excess_low: float
    excess_high: float

    @property
    def excess(self) -> float:
        """How much more nearest neighbours see than Gaussians."""
        return self.divergence - self.gaussian

    @property
    def is_shape(self) -> bool:
        """Whether the excess is neither chance nor harmless."""
        return (self.excess_low > 0 or self.excess_high < 0) and abs(self.excess) > _harmless(self.gaussian)


def look(real: Cloud, sim: Cloud, weights: Mapping[int, float], rng: np.random.Generator) -> tuple[Look, ...]:
    """Look along every sensor that is not constant in what is projected.

    Args:
        real: Real points.
        sim: Simulated points.
        weights: Weight of each fibre member.
        rng: Deals the episodes into blocks.

    Returns:
        One look for each sensor; none where there are too few points for an interval.
    """
    real, sim = _residuals(_thinned(real), real), _residuals(_thinned(sim), real)
    real_blocks = deal(real.episode, np.zeros_like(real.episode), _MOST_BLOCKS, rng)
    sim_blocks = deal(sim.episode, sim.member, max(2, _MOST_BLOCKS // len(weights)), rng)
    away, rule = Away.choose(real.episode, real_blocks, None), Rule("plain", _NEIGHBOURS)
    fewest = min(int(sim_blocks.sizes[sim_blocks.stratum == e].sum()) for e in weights)
    if min(fewest, int(away.others(None).min()) - int(real_blocks.sizes.max())) < 2 * _NEIGHBOURS:
        return ()
    level = 1 - _FALSE_ALARM / len(real.sensors)
    looks = []
    for column, name in enumerate(real.sensors):
        one_real, one_sim = (_column(cloud, column) for cloud in (real, sim))
        if one_real.points.std() == 0 or any(one_sim.points[sim.member == e].std() == 0 for e in weights):
            continue
        near = Neighbours.find(one_real.points, one_sim.points, away, sim_blocks, weights, rule.far)
        if (near.real.distance[:, rule.k - 1] == 0).any() or (near.sim.distance[:, rule.k - 1] == 0).any():
            continue
        fitted = Fitted.leave_out(one_real, one_sim, weights, real_blocks, sim_blocks)
        groups = near.left_out(rule)
        divergence = near.mean(rule)
        low, _ = jackknife(divergence, groups).interval(divergence, level, 0.0)
        differences = [LeftOut(a.sizes, a.values - b.values) for a, b in zip(groups, fitted.strata, strict=True)]
        excess = divergence - fitted.plug_in
        span = jackknife(excess, differences).interval(excess, level, 0.0)
        if _share_outside(one_real, one_sim) > _OUTSIDE:
            span = span[0], np.inf
        looks.append(Look(name, divergence, fitted.plug_in, low, *span))
    return tuple(looks)


def refuting_gaussians(looks: tuple[Look, ...]) -> tuple[str, ...]:
    """The reason not to believe Gaussians, if there is one."""
    shapes = sorted((one for one in looks if one.is_shape), key=lambda one: -abs(one.excess))
    if not shapes:
        return ()
    most = shapes[0]
    also = f"; likewise {listed([one.name for one in shapes[1:]])}" if shapes[1:] else ""
    return (
        f"the samples are not Gaussian: along '{most.name}' alone nearest neighbours see {most.divergence:.2f} nats "
        f"where Gaussians see {most.gaussian:.2f}{also}",
    )


def refuting_value(looks: tuple[Look, ...], high: float) -> tuple[str, ...]:
    """The reason not to believe an estimate that ends below what a single sensor shows, if there is one."""
    above = [one for one in looks if one.low > max(high, 0.0) + _harmless(high)]
    if not above:
        return ()
    most = max(above, key=lambda one: one.low)
    return (f"along '{most.name}' alone nearest neighbours see {most.divergence:.2f} nats, more than the estimate",)


def missed_by(looks: tuple[Look, ...], shape: float, value: float) -> tuple[str, ...]:
    """The reason not to believe that distances in many dimensions saw the shape, if there is one.

    Args:
        looks: The directions.
        shape: What the distances see beyond Gaussians, in nats.
        value: The estimate.
    """
    excess = sum(one.excess for one in looks if one.is_shape)
    missed = excess - shape if excess > 0 else shape - excess
    if excess == 0 or missed <= max(2 * _HARMLESS, 2 * _harmless(value)):
        return ()
    return (
        f"one direction at a time the shape adds {excess:+.2f} nats to what Gaussians see, distances in all dimensions "
        f"{shape:+.2f}: too few points for the dimensions",
    )


def _harmless(value: float) -> float:
    return max(_HARMLESS, _HARMLESS_SHARE * abs(value))


def _share_outside(real: Cloud, sim: Cloud) -> float:
    """Share of the real points beyond the extreme simulated ones."""
    return float(((real.points < sim.points.min()) | (real.points > sim.points.max())).mean())


def _thinned(cloud: Cloud) -> Cloud:
    """Every so many-th point."""
    rows = slice(None, None, -(-len(cloud.points) // _MOST_POINTS))
    return replace(cloud, points=cloud.points[rows], episode=cloud.episode[rows], member=cloud.member[rows])


def _residuals(cloud: Cloud, real: Cloud) -> Cloud:
    """Observations, or at the level "transition" o' minus what the real side's regression on o predicts."""
    d = len(cloud.sensors)
    if cloud.level == "occupancy":
        return cloud
    before = np.column_stack([real.points[:, :d], np.ones(len(real.points))])
    slope = np.linalg.lstsq(before, real.points[:, d:], rcond=None)[0]
    predicted = np.column_stack([cloud.points[:, :d], np.ones(len(cloud.points))]) @ slope
    return replace(cloud, level="occupancy", points=cloud.points[:, d:] - predicted)


def _column(cloud: Cloud, column: int) -> Cloud:
    return replace(cloud, points=cloud.points[:, column : column + 1], sensors=(cloud.sensors[column],))
