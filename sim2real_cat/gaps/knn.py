"""The method "knn": KL from nearest-neighbour distances with an interval, and reasons not to rely on it.

The level "transition" is the difference of two estimates, of the joint (o, o') and of o, and noisier than either.

The variant "anchored" takes off the error of the distances on Gaussians of the same moments, where the truth is known.
That error comes mostly from how the densities slope and curve within a neighbourhood, which in many dimensions is most
of the cloud. Gaussians with the sample means and covariances slope and curve nearly alike. The draws are given exactly
the moments of the data: those are sufficient, so if the data are Gaussian and independent, the data and the draws have
one distribution given the moments, and what remains is unbiased in any dimension and for any number of points. If they
are not Gaussian, what remains is the part of the shape that the distances see.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import GapError, listed, unknown_name
from sim2real_cat.gaps.estimate import VARIANTS, MethodResult, MethodSettings, Variant
from sim2real_cat.gaps.gaussian import against_distances, against_value, along_directions
from sim2real_cat.gaps.gaussian_kl import (
    GaussianEstimate,
    GaussianMixture,
    Normal,
    common_scale,
    log_ratios,
    member_points,
    rescaled,
)
from sim2real_cat.gaps.nearest_neighbours import KnnRule, NearestPoints, Neighbours, TimeExclusion
from sim2real_cat.gaps.quantisation import dithered, quanta
from sim2real_cat.gaps.resampling import Blocks, LeftOut, deal_sides, jackknife
from sim2real_cat.gaps.samples import Cloud, require_density
from sim2real_cat.linear_algebra import whitening

_MOST_BLOCKS = 16
# What extrapolation leaves of the bias, as a share of what it removes: the exponent is a bound, not a law. And what
# the distances miss of a shape, as a share of what they see of it: 0.1 to 0.7 in 5 dimensions (bimodal, uniform).
_BIAS_DOUBT = 0.5
# A correction of more nats than this that makes up more than half of the result is not a measurement any more.
_CORRECTION = 0.1
# Up to this many dimensions 1,000 points show the whole shape (benchmarks/gaps.py truth).
_FEW_DIMENSIONS = 3
# How many simulated points tell what distances are usual inside the simulated cloud.
_PROBES = 1000
# A tail that the simulated samples do not reach holds most of a divergence, so even a small share matters.
_OUTSIDE = 0.02
# A larger share of coinciding points does not come from chance or from a common initial state.
_COINCIDENT = 0.01
# With fewer points for each column of a covariance its inverse, and so the anchor, is mostly chance.
_POINTS_PER_COLUMN = 3
_INFINITE = "the divergence may be infinite"

# How many pairs of Gaussian clouds tell the error, and at how many real points of each it is taken.
_TWINS, _QUERIES = 8, 1000


def estimate_by_neighbours(
    real: Cloud, sim: Cloud, weights: Mapping[int, float], settings: MethodSettings, rng: np.random.Generator
) -> MethodResult:
    """Estimate the gap from nearest neighbours, with an interval from leaving out blocks; dither quantised sensors.

    Args:
        real: Real points.
        sim: Simulated points.
        weights: Weight of each fibre member, adding up to 1.
        settings: Those that concern neighbours are read.
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
    return MethodResult(
        (one.plug_in + other.plug_in) / 2,
        raw,
        min(one.low, other.low),
        max(one.high, other.high),
        (*unstable, *one.reasons),
        (*one.notes, *(() if unstable else (said,))),
    )


def _unsteady(raw: float) -> float:
    """Return the nats by which two draws of dither may differ."""
    return max(0.1, 0.2 * abs(raw))


def _measured(
    real: Cloud, sim: Cloud, weights: Mapping[int, float], settings: MethodSettings, rng: np.random.Generator
) -> MethodResult:
    """Estimate the gap of points as they are."""
    pooled = np.concatenate([real.points, sim.points])
    require_density(pooled, real.columns, f"the {real.rows} of both sides together")
    real_blocks, sim_blocks = deal_sides(real, sim, len(weights), _MOST_BLOCKS, rng)
    fitted = _anchor(real, sim, weights, real_blocks, sim_blocks, settings.variant)
    rule = _rule(settings, fitted)
    exclusion = TimeExclusion.choose(real.episode, real_blocks, settings.theiler)
    _require_neighbours(exclusion, sim_blocks, rule)
    probes = rng.permutation(len(sim.points))[:_PROBES]
    whole = plug_in = 0.0
    groups: list[LeftOut] = []
    reasons: list[str] = []
    whiten = {width: _contiguous(whitening(pooled[:, :width])) for width, _ in real.scopes}
    for width, sign in real.scopes:
        white_real, white_sim = (whiten[width](cloud.points[:, :width]) for cloud in (real, sim))
        near = Neighbours.find(white_real, white_sim, exclusion, sim_blocks, weights, rule.far)
        inside = NearestPoints.among(white_sim, sim_blocks, white_sim[probes], rule.k, sim_blocks.label[probes])
        reasons += _doubts(near, inside.distance[:, rule.k - 1], rule.k)
        terms, plain = near.terms(rule)
        whole += sign * float(terms.mean())
        plug_in += sign * float(plain.mean())
        groups = _added(groups, sign, near.left_out(rule))
    directions = along_directions(real, sim, weights, rng)
    missed: list[str] = []
    notes: tuple[str, ...] = ()
    if fitted is not None:
        error = TwinError.on_twins(real, sim, weights, whiten, exclusion, sim_blocks, rule, rng)
        shape = whole - error.mean - fitted.plug_in
        raw = fitted.raw + shape
        slope = _slope(groups, fitted.strata)
        spread = jackknife(whole + (1 - slope) * fitted.plug_in, _added(groups, 1 - slope, fitted.strata))
        doubt = float(np.hypot(_BIAS_DOUBT * shape, np.sqrt(error.variance)))
        missed += against_distances(directions, shape, raw)
        d = len(real.sensors)
        if d > _FEW_DIMENSIONS and abs(shape) > max(_CORRECTION, 0.5 * abs(raw)):
            reasons.append(f"{shape:+.2f} nats are shape, of which distances in {d} dimensions see a part only")
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
    missed += against_value(directions, high)
    if missed or any(reason.endswith(_INFINITE) for reason in reasons):
        high = np.inf
    reasons += missed
    return MethodResult(plug_in, raw, low, high, tuple(dict.fromkeys(reasons)), notes)


def _added(groups: list[LeftOut], factor: float, more: list[LeftOut]) -> list[LeftOut]:
    """Add to statistics without each block a multiple of others without the same blocks."""
    if not groups:
        return [LeftOut(group.sizes, factor * group.values) for group in more]
    return [LeftOut(a.sizes, a.values + factor * b.values) for a, b in zip(groups, more, strict=True)]


def _anchor(
    real: Cloud,
    sim: Cloud,
    weights: Mapping[int, float],
    real_blocks: Blocks,
    sim_blocks: Blocks,
    variant: Variant | None,
) -> GaussianEstimate | None:
    """Fit the Gaussians of the variant "anchored"; None for another one, and where they were not asked for and fail."""
    if variant not in (None, "anchored"):
        return None
    fewest = min([len(real.points), *(int((sim.member_index == e).sum()) for e in weights)])
    if variant is None and fewest < _POINTS_PER_COLUMN * len(real.columns):
        return None
    try:
        return GaussianEstimate.leave_out(real, sim, weights, real_blocks, sim_blocks)
    except GapError:
        if variant is not None:
            raise
    except np.linalg.LinAlgError:
        if variant is not None:
            raise GapError(
                "too few points for a covariance when a block is left out: add episodes, or take variant='extrapolated'"
            ) from None
    return None


def _rule(settings: MethodSettings, fitted: GaussianEstimate | None) -> KnnRule:
    """Check the settings and return the variant and the number of neighbours."""
    variant = settings.variant or ("extrapolated" if fitted is None else "anchored")
    if variant not in VARIANTS:
        raise GapError(unknown_name("variant", variant, VARIANTS))
    if settings.neighbours < 1:
        raise GapError(f"neighbours is {settings.neighbours}: give at least 1")
    if settings.theiler is not None and settings.theiler < 0:
        raise GapError(f"theiler is {settings.theiler} steps: give at least 0")
    return KnnRule(variant, settings.neighbours)


def _require_neighbours(exclusion: TimeExclusion, sim: Blocks, rule: KnnRule) -> None:
    """Check that as many neighbours as are wanted remain when any block is left out."""
    real = exclusion.blocks
    left = {
        "real": int(exclusion.others(None).min() - real.sizes.max()),
        "simulated": int(sim.sizes.sum() - sim.sizes.max()),
    }
    for (side, count), blocks in zip(left.items(), (real, sim), strict=True):
        if count < rule.far:
            raise GapError(
                f"the {side} side has {int(blocks.sizes.sum())} points in {blocks.count} blocks, too few for "
                f"{rule.far} nearest neighbours outside a block: add episodes or lower neighbours"
            )


def _slope(near: list[LeftOut], normal: list[LeftOut]) -> float:
    """Compute the slope, between 0 and 1, of an estimate against the Gaussian one as blocks are left out.

    The part of the estimate that moves with the Gaussian one depends on the moments. On twins, which have the same
    moments, the estimate moves by that part as well.
    """
    x, y = (np.concatenate([group.values - group.values.mean() for group in groups]) for groups in (normal, near))
    return float(np.clip(x @ y / (x @ x), 0.0, 1.0)) if x.any() else 0.0


def _doubts(near: Neighbours, inside: Floats, k: int) -> list[str]:
    """List reasons not to rely on the distances: points that coincide, or real points where no simulated one is.

    Args:
        near: The distances of the real points.
        inside: (probes,) distances of simulated points to their k-th nearest in other blocks.
        k: The rank of the neighbour that counts.
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


def _contiguous(white: Callable[[Floats], Floats]) -> Callable[[Floats], Floats]:
    """Let a map return rows that are contiguous in memory."""
    return lambda points: np.ascontiguousarray(white(points))


@dataclass(frozen=True)
class TwinError:
    """The error of nearest neighbours on Gaussians with the moments of the data: estimate minus truth.

    Attributes:
        mean: In nats.
        variance: Of the mean, from few twins.
    """

    mean: float
    variance: float

    @classmethod
    def on_twins(
        cls,
        real: Cloud,
        sim: Cloud,
        weights: Mapping[int, float],
        whiten: Mapping[int, Callable[[Floats], Floats]],
        exclusion: TimeExclusion,
        sim_blocks: Blocks,
        rule: KnnRule,
        rng: np.random.Generator,
    ) -> TwinError:
        """Draw Gaussian twins of both sides and estimate their divergence as that of the data.

        Points of a twin where the simulated Gaussians are thinner than at any real point do not count: they lie
        between or beyond the modes of the data, and tell nothing about them. If none is left, no error is known.

        Args:
            real: Real points.
            sim: Simulated points.
            weights: Weight of each member.
            whiten: For the width of every scope, the map before distances are taken.
            exclusion: The real points that do not count as neighbours.
            sim_blocks: The blocks of the simulated side.
            rule: The number of neighbours.
            rng: Draws the twins.
        """
        thinnest = _sim_density(real, sim, weights, real.points).min()
        errors = []
        for _ in range(_TWINS):
            rows = np.sort(rng.permutation(len(real.points))[:_QUERIES])
            twin, twin_sim = _twin(real.points, rng), np.empty_like(sim.points)
            for member in weights:
                mine = sim.member_index == member
                twin_sim[mine] = _twin(sim.points[mine], rng)
            rows = rows[_sim_density(real, sim, weights, twin[rows]) >= thinnest]
            if not len(rows):
                return cls(0.0, 0.0)
            found = -log_ratios(real, sim, weights, twin[rows])
            for width, sign in real.scopes:
                points, others = whiten[width](twin[:, :width]), whiten[width](twin_sim[:, :width])
                near = Neighbours.find(points, others, exclusion, sim_blocks, weights, rule.far, rows)
                found += sign * near.terms(rule)[0]
            errors.append(float(found.mean()))
        return cls(float(np.mean(errors)), float(np.var(errors, ddof=1)) / _TWINS)


def _sim_density(real: Cloud, sim: Cloud, weights: Mapping[int, float], at: Floats) -> Floats:
    """Compute the log density (n,) of the simulated Gaussians at points (n, D), up to a constant."""
    centre, scale = common_scale(real, sim)
    members = member_points(rescaled(sim, centre, scale), weights, sim.points.shape[1])
    return GaussianMixture.fit(members, weights, (at - centre) / scale).logpdf()


def _twin(points: Floats, rng: np.random.Generator) -> Floats:
    """Draw Gaussian points with the sample mean and the sample covariance of others (n, d), up to rounding."""
    fitted, drawn = Normal.fit(points), rng.standard_normal(points.shape)
    centred = drawn - drawn.mean(axis=0)
    own = np.linalg.cholesky(centred.T @ centred / len(centred))
    twin: Floats = fitted.mean + solve_triangular(own, centred.T, lower=True).T @ fitted.factor.T
    return twin
