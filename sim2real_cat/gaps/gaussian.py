"""KL between moment-matched Gaussians: one for the real side, one for each member of the simulated fibre."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sim2real_cat.gaps import projections
from sim2real_cat.gaps.estimate import Measured
from sim2real_cat.gaps.gaussian_fit import Fitted, common_scale, log_ratios, rescaled
from sim2real_cat.gaps.normal import Normal
from sim2real_cat.gaps.resampling import deal, jackknife
from sim2real_cat.gaps.samples import Cloud, Floats
from sim2real_cat.gaps.settings import Settings

_MOST_BLOCKS = 64
# A kurtosis this far from a Gaussian's, relative to it, is worth a word; a uniform is 0.4 below, a Laplace 1 above.
_KURTOSIS = 0.25
# So many standard errors of the kurtosis are no chance.
_CHANCE = 3.0
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
    plug_in = float(log_ratios(real, sim, weights).mean())
    real_blocks = deal(real.episode, np.zeros_like(real.episode), _MOST_BLOCKS, rng)
    sim_blocks = deal(sim.episode, sim.member, max(2, _MOST_BLOCKS // len(weights)), rng)
    try:
        fitted = Fitted.leave_out(real, sim, weights, real_blocks, sim_blocks)
    except np.linalg.LinAlgError:
        reason = "too few points to leave out an episode: neither bias nor interval is known"
        return Measured(plug_in, plug_in, 0.0, np.inf, (reason,))
    spread = jackknife(fitted.plug_in, fitted.strata)
    low, high = spread.interval_of_divergence(fitted.plug_in, fitted.raw, settings.confidence, fitted.bias_doubt)
    refuted = projections.refuting_gaussians(projections.look(real, sim, weights, rng))
    if refuted and high >= 0:
        low, high = 0.0, np.inf
    reasons, notes = shape(real, sim, weights)
    return Measured(fitted.plug_in, fitted.raw, low, high, (*refuted, *reasons), notes)


def shape(real: Cloud, sim: Cloud, weights: Mapping[int, float]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Reasons for doubt and notes from how Gaussian the samples are and whether the simulation covers reality.

    The squared Mahalanobis distance (of o' given o, at the level "transition") of Gaussian samples is
    chi-squared with d degrees of freedom, so its mean square is d (d + 2): Mardia's kurtosis. Of n independent
    samples its variance is 8 d (d + 2) / n.
    """
    centre, scale = common_scale(real, sim)
    real, sim = rescaled(real, centre, scale), rescaled(sim, centre, scale)
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
    fewest = {"real": len(real.points), "simulated": min(int((sim.member == e).sum()) for e in weights)}
    chance = {side: _CHANCE * float(np.sqrt(8 / (count * whole))) for side, count in fewest.items()}
    off = [f"{side} {ratio:.2f}" for side, ratio in kurtosis.items() if abs(ratio - 1) > max(_KURTOSIS, chance[side])]
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
