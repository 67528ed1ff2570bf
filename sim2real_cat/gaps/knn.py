"""The method "knn": KL from nearest-neighbour distances with an interval, and when not to believe it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from scipy.linalg import solve_triangular

from sim2real_cat.errors import GapError, listed, unknown_name
from sim2real_cat.gaps import projections
from sim2real_cat.gaps.anchor import Error
from sim2real_cat.gaps.dither import dithered, quanta
from sim2real_cat.gaps.estimate import Measured
from sim2real_cat.gaps.gaussian_fit import Fitted
from sim2real_cat.gaps.knn_terms import VARIANTS, Neighbours, Rule
from sim2real_cat.gaps.neighbours import Away, Nearest
from sim2real_cat.gaps.resampling import Blocks, LeftOut, deal, jackknife
from sim2real_cat.gaps.samples import Cloud, Floats, require_density
from sim2real_cat.gaps.settings import Settings

_MOST_BLOCKS = 16
# What extrapolation leaves of the bias, as a share of what it removes: the exponent is a bound, not a law. And what
# the distances miss of a shape, as a share of what they see of it: 0.1 to 0.7 in 5 dimensions (bimodal, uniform).
_BIAS_DOUBT = 0.5
# A correction of more nats than this that makes up more than half of the result is not a measurement any more.
_CORRECTION = 0.1
# How many simulated points tell what distances are usual inside the simulated cloud.
_PROBES = 1000
# A tail that the simulated samples do not reach holds most of a divergence, so even a small share matters.
_OUTSIDE = 0.02
# More than this share of points that coincide is no matter of chance or of a common initial state.
_COINCIDENT = 0.01
# With fewer points for each column of a covariance its inverse, and so the anchor, is mostly chance.
_POINTS_PER_COLUMN = 3
_INFINITE = "the divergence may be infinite"


def measure(
    real: Cloud, sim: Cloud, weights: Mapping[int, float], settings: Settings, rng: np.random.Generator
) -> Measured:
    """The nearest-neighbour estimate with an interval from leaving out blocks; quantised sensors are dithered.

    Args:
        real: Real points.
        sim: Simulated points.
        weights: Weight of each fibre member, adding up to 1.
        settings: All that concern neighbours count.
        rng: Deals the episodes into blocks, draws probes of the simulated cloud, the Gaussian twins and the dither.

    Returns:
        The estimate.

    Raises:
        GapError: Too few points for k neighbours, dependent sensors, or choices that are not valid.
    """
    widths = quanta(real, sim)
    if not settings.dither or not widths.any():
        return _measured(real, sim, weights, settings, rng)
    one, other = (
        _measured(dithered(real, widths, rng), dithered(sim, widths, rng), weights, settings, rng) for _ in range(2)
    )
    names = [f"{name} ({width:.3g})" for name, width in zip(real.sensors, widths, strict=True) if width]
    said = (
        f"quantised sensors got uniform noise of their quantum's width on both sides: {listed(names)}; "
        f"two draws of it give {one.raw:.3f} and {other.raw:.3f}"
    )
    raw = (one.raw + other.raw) / 2
    unstable = (f"the estimate depends on the dither: {said}",) if abs(one.raw - other.raw) > _unsteady(raw) else ()
    return Measured(
        (one.plug_in + other.plug_in) / 2,
        raw,
        min(one.low, other.low),
        max(one.high, other.high),
        (*unstable, *one.reasons),
        (*one.notes, *(() if unstable else (said,))),
    )


def _unsteady(raw: float) -> float:
    """By how many nats two draws of dither may differ."""
    return max(0.1, 0.2 * abs(raw))


def _measured(
    real: Cloud, sim: Cloud, weights: Mapping[int, float], settings: Settings, rng: np.random.Generator
) -> Measured:
    """The estimate from points as they are."""
    pooled = np.concatenate([real.points, sim.points])
    require_density(pooled, real.columns, f"the {real.rows} of both sides together")
    real_blocks = deal(real.episode, np.zeros_like(real.episode), _MOST_BLOCKS, rng)
    sim_blocks = deal(sim.episode, sim.member, max(2, _MOST_BLOCKS // len(weights)), rng)
    fitted = _anchor(real, sim, weights, real_blocks, sim_blocks, settings.variant)
    rule = _rule(settings, fitted)
    away = Away.choose(real.episode, real_blocks, settings.theiler)
    _require_neighbours(away, sim_blocks, rule)
    probes = rng.permutation(len(sim.points))[:_PROBES]
    whole = plug_in = 0.0
    groups: list[LeftOut] = []
    reasons: list[str] = []
    whiten = {width: _whitening(pooled[:, :width]) for width, _ in real.scopes}
    for width, sign in real.scopes:
        white_real, white_sim = (whiten[width](cloud.points[:, :width]) for cloud in (real, sim))
        near = Neighbours.find(white_real, white_sim, away, sim_blocks, weights, rule.far)
        inside = Nearest.among(white_sim, sim_blocks, white_sim[probes], rule.k, sim_blocks.label[probes])
        reasons += _doubts(near, inside.distance[:, rule.k - 1], rule.k)
        terms, plain = near.terms(rule)
        whole += sign * float(terms.mean())
        plug_in += sign * float(plain.mean())
        groups = _added(groups, sign, near.left_out(rule))
    looks = projections.look(real, sim, weights, rng)
    notes: tuple[str, ...] = ()
    if fitted is not None:
        error = Error.on_twins(real, sim, weights, whiten, away, sim_blocks, rule, rng)
        shape = whole - error.mean - fitted.plug_in
        raw = fitted.raw + shape
        slope = _slope(groups, fitted.strata)
        spread = jackknife(whole + (1 - slope) * fitted.plug_in, _added(groups, 1 - slope, fitted.strata))
        doubt = float(np.hypot(_BIAS_DOUBT * shape, np.sqrt(error.variance)))
        reasons += projections.missed_by(looks, shape, raw)
        notes = (f"{fitted.raw:.3f} nats of it Gaussians see, {shape:+.3f} only the distances",)
    else:
        raw, doubt = whole, _BIAS_DOUBT * abs(plug_in - whole)
        spread = jackknife(raw, groups)
        if rule.variant == "extrapolated" and abs(plug_in - raw) > max(_CORRECTION, 0.5 * abs(raw)):
            reasons.append(
                f"{raw - plug_in:+.2f} nats are extrapolated from the number of neighbours: too few points for "
                f"{len(real.columns)} dimensions"
            )
        if rule.variant == "plain":
            notes = ("the interval of the variant 'plain' does not know its bias",)
        elif settings.variant is None:
            notes = ("too few points for the covariance of a side or of a member: variant 'extrapolated'",)
    low, high = spread.interval(raw, settings.confidence, doubt)
    reasons += projections.refuting_value(looks, high)
    if any(reason.endswith(_INFINITE) for reason in reasons):
        high = np.inf
    return Measured(plug_in, raw, low, high, tuple(dict.fromkeys(reasons)), notes)


def _added(groups: list[LeftOut], factor: float, more: list[LeftOut]) -> list[LeftOut]:
    """Statistics without each block plus a multiple of others without the same blocks."""
    if not groups:
        return [LeftOut(group.sizes, factor * group.values) for group in more]
    return [LeftOut(a.sizes, a.values + factor * b.values) for a, b in zip(groups, more, strict=True)]


def _anchor(
    real: Cloud,
    sim: Cloud,
    weights: Mapping[int, float],
    real_blocks: Blocks,
    sim_blocks: Blocks,
    variant: str | None,
) -> Fitted | None:
    """The Gaussian estimate that the variant "anchored" needs; None for another, and where none was asked for."""
    if variant not in (None, "anchored"):
        return None
    fewest = min([len(real.points), *(int((sim.member == e).sum()) for e in weights)])
    if variant is None and fewest < _POINTS_PER_COLUMN * len(real.columns):
        return None
    try:
        return Fitted.leave_out(real, sim, weights, real_blocks, sim_blocks)
    except GapError:
        if variant is not None:
            raise
    except np.linalg.LinAlgError:
        if variant is not None:
            raise GapError(
                "too few points for a covariance when a block is left out: add episodes, or take variant='extrapolated'"
            ) from None
    return None


def _rule(settings: Settings, fitted: Fitted | None) -> Rule:
    """The variant and number of neighbours asked for."""
    variant = settings.variant or ("extrapolated" if fitted is None else "anchored")
    if variant not in VARIANTS:
        raise GapError(unknown_name("variant", variant, VARIANTS))
    if settings.neighbours < 1:
        raise GapError(f"neighbours is {settings.neighbours}: give at least 1")
    if settings.theiler is not None and settings.theiler < 0:
        raise GapError(f"theiler is {settings.theiler} steps: give at least 0")
    return Rule(variant, settings.neighbours)


def _require_neighbours(away: Away, sim: Blocks, rule: Rule) -> None:
    """Check that as many neighbours as are wanted remain when any block is left out."""
    real = away.blocks
    left = {
        "real": int(away.others(None).min() - real.sizes.max()),
        "simulated": int(sim.sizes.sum() - sim.sizes.max()),
    }
    for (side, count), blocks in zip(left.items(), (real, sim), strict=True):
        if count < rule.far:
            raise GapError(
                f"the {side} side has {int(blocks.sizes.sum())} points in {blocks.count} blocks, too few for "
                f"{rule.far} nearest neighbours outside a block: add episodes or lower neighbours"
            )


def _slope(near: list[LeftOut], normal: list[LeftOut]) -> float:
    """How an estimate moves with the Gaussian one as blocks are left out, between 0 and 1.

    As far as it does, it moves with the moments, and so does its error on twins that have these moments.
    """
    x, y = (np.concatenate([group.values - group.values.mean() for group in groups]) for groups in (normal, near))
    return float(np.clip(x @ y / (x @ x), 0.0, 1.0)) if x.any() else 0.0


def _doubts(near: Neighbours, inside: Floats, k: int) -> list[str]:
    """Reasons not to rely on the distances: points that coincide, or real points where no simulated one is.

    Args:
        near: The distances of the real points.
        inside: (probes,) distances of simulated points to their k-th nearest in other blocks.
        k: Which neighbour counts.
    """
    rho, nu = near.real.distance[:, k - 1], near.sim.distance[:, k - 1]
    reasons = []
    coincident = float(((rho == 0) | (nu == 0)).mean())
    if coincident > _COINCIDENT:
        reasons.append(f"{coincident:.0%} of the real points coincide with {k} others: quantised or repeated samples")
    outside = float((nu > np.quantile(inside, 0.999)).mean())
    if outside > _OUTSIDE:
        reasons.append(f"{outside:.0%} of the real points lie outside the simulated cloud: {_INFINITE}")
    return reasons


def _whitening(points: Floats) -> Callable[[Floats], Floats]:
    """The map that gives these points (n, width) unit covariance."""
    factor = np.linalg.cholesky(np.atleast_2d(np.cov(points, rowvar=False)))
    return lambda others: np.ascontiguousarray(solve_triangular(factor, others.T, lower=True).T)
