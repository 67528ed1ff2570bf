"""The method "knn": KL from nearest-neighbour distances with an interval, and when not to believe it.

KL from nearest-neighbour distances, without a model of the distributions.

Wang, Kulkarni and Verdú 2009, IEEE Transactions on Information Theory 55:2392-2405: with
ρ_k(i) the distance of real point i to its k-th nearest other real point, ν_k(i) to its k-th nearest
simulated point, n and m points in d dimensions, the variant "plain" is

    KL = d/n Σ_i ln(ν_k(i) / ρ_k(i)) + ln(m / (n - 1)).

Two changes make it fit for episodes and fibres. A point's neighbours close in time do not count, since they
are close in space (`neighbours.Away`): n - 1 becomes the number of real points that do. And simulated points
carry weight: each of a member's m_e points w_e / m_e. The density k / (m c_d ν_k^d) that the formula divides by
becomes W / (c_d ν_k^d) with W the weight of the k nearest, which for equal weights 1/m is the same.

The bias falls off as (k/n)^(1/d) where the density is Lipschitz (Singh and Póczos 2016, "Finite-sample analysis
of fixed-k nearest neighbor density functional estimators"). The other variants reduce it:

- "reduced", of the same paper of Wang, Kulkarni and Verdú: both densities look at the same neighbourhood, of radius
  max(ρ_k(i), ν_k(i)). With l(i) real and q(i) simulated points in it (at most `_MOST_COUNTED` are counted), a term is
  d ln(ν_q / ρ_l) + ψ(l) - ψ(q) + ln(m / (n - 1)).
- "extrapolated", from k and 4 k neighbours to none: KL_k + (KL_k - KL_4k) / (4^(1/d) - 1).
- "anchored": KL_k minus what it gets wrong on Gaussians of the same moments (module `anchor`).

The level "transition" is the difference of two such estimates, of the joint (o, o') and of o, and
noisier than either.

What a nearest-neighbour estimate gets wrong on Gaussians of the same moments, where the truth is known.

The error of nearest-neighbour distances comes mostly from how the densities slope and curve within a
neighbourhood, which in many dimensions is most of the cloud. Gaussians with the sample means and covariances slope
and curve nearly alike, so the error on them is taken off. The draws are given exactly the moments of the data:
those are sufficient, so if the data are Gaussian and independent, the data and the draws have one distribution
given the moments, and what remains is unbiased in any dimension and for any number of points. If they are not
Gaussian, what remains is what the distances see of the shape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import digamma

from sim2real_cat.arrays import Floats, Ints
from sim2real_cat.errors import GapError, listed, unknown_name
from sim2real_cat.gaps import gaussianity
from sim2real_cat.gaps.estimate import Measured, Settings
from sim2real_cat.gaps.gaussian_kl import Fitted, Mixture, Normal, common_scale, log_ratios, members_of, rescaled
from sim2real_cat.gaps.nearest_neighbours import Away, Nearest
from sim2real_cat.gaps.quantisation import dithered, quanta
from sim2real_cat.gaps.resampling import Blocks, LeftOut, deal, jackknife
from sim2real_cat.gaps.samples import Cloud, require_density

_MOST_BLOCKS = 16
# What extrapolation leaves of the bias, as a share of what it removes: the exponent is a bound, not a law. And what
# the distances miss of a shape, as a share of what they see of it: 0.1 to 0.7 in 5 dimensions (bimodal, uniform).
_BIAS_DOUBT = 0.5
# A correction of more nats than this that makes up more than half of the result is not a measurement any more.
_CORRECTION = 0.1
# In so many dimensions 1,000 points show a shape whole (benchmarks/gaps.py truth).
_FEW_DIMENSIONS = 3
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
    sim_blocks = deal(sim.episode, sim.member_index, max(2, _MOST_BLOCKS // len(weights)), rng)
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
    looks = gaussianity.look(real, sim, weights, rng)
    missed: list[str] = []
    notes: tuple[str, ...] = ()
    if fitted is not None:
        error = Error.on_twins(real, sim, weights, whiten, away, sim_blocks, rule, rng)
        shape = whole - error.mean - fitted.plug_in
        raw = fitted.raw + shape
        slope = _slope(groups, fitted.strata)
        spread = jackknife(whole + (1 - slope) * fitted.plug_in, _added(groups, 1 - slope, fitted.strata))
        doubt = float(np.hypot(_BIAS_DOUBT * shape, np.sqrt(error.variance)))
        missed += gaussianity.missed_by(looks, shape, raw)
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
    missed += gaussianity.refuting_value(looks, high)
    if missed or any(reason.endswith(_INFINITE) for reason in reasons):
        high = np.inf
    reasons += missed
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
    fewest = min([len(real.points), *(int((sim.member_index == e).sum()) for e in weights)])
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


VARIANTS = ("anchored", "extrapolated", "plain", "reduced")
"""What is done about the bias."""

# The second number of neighbours, as a multiple of the first.
_FARTHER = 4
# How many points within the common radius the variant "reduced" counts at most, as a multiple of k.
_MOST_COUNTED = 12


@dataclass(frozen=True)
class Rule:
    """A variant and its number of neighbours.

    Attributes:
        variant: A name in `VARIANTS`.
        k: The number of neighbours.
    """

    variant: str
    k: int

    @property
    def far(self) -> int:
        """How many neighbours have to be known."""
        return self.k * {"extrapolated": _FARTHER, "reduced": _MOST_COUNTED}.get(self.variant, 1)


@dataclass(frozen=True)
class Neighbours:
    """What the estimate needs in one scope, with all blocks or without one.

    Attributes:
        width: Dimension of the points.
        rows: (q,) the real points at which it is evaluated.
        real: Nearest real points of each.
        sim: Nearest simulated points of each.
        away: Which real points could be neighbours.
        sim_blocks: The blocks of the simulated side.
        weights: Weight of each fibre member.
    """

    width: int
    rows: Ints
    real: Nearest
    sim: Nearest
    away: Away
    sim_blocks: Blocks
    weights: Mapping[int, float]

    @classmethod
    def find(
        cls,
        real: Floats,
        sim: Floats,
        away: Away,
        sim_blocks: Blocks,
        weights: Mapping[int, float],
        far: int,
        rows: Ints | None = None,
    ) -> Neighbours:
        """Search the neighbours of real points (n, d), all or some, on both sides."""
        rows = np.arange(len(real)) if rows is None else rows
        within, among = Nearest.within(real, away, rows, far), Nearest.among(sim, sim_blocks, real[rows], far)
        return cls(real.shape[1], rows, within, among, away, sim_blocks, weights)

    def terms(self, rule: Rule, real_out: int | None = None, sim_out: int | None = None) -> tuple[Floats, Floats]:
        """The terms whose mean is the estimate, in nats, and those of the plain one.

        Args:
            rule: Variant and number of neighbours; the variant "anchored" is plain here.
            real_out: A real block to leave out, both its points and as neighbours.
            sim_out: A simulated block to leave out.
        """
        kept = np.ones(len(self.rows), bool) if real_out is None else self.away.blocks.label[self.rows] != real_out
        rho = self.real.without(real_out)[0][kept]
        nu, block = (found[kept] for found in self.sim.without(sim_out))
        others = np.log(self.away.others(real_out)[self.rows[kept]])
        weight = np.log(self._weight_per_point(sim_out)[block].cumsum(axis=1))
        plain = self._ratio(rho, nu, rule.k, rule.k) - weight[:, rule.k - 1] + np.log(rule.k) - others
        if rule.variant == "reduced":
            radius = np.maximum(rho[:, rule.k - 1], nu[:, rule.k - 1])[:, None]
            inner, outer = (rho <= radius).sum(axis=1), (nu <= radius).sum(axis=1)
            counted = np.take_along_axis(weight, outer[:, None] - 1, axis=1)[:, 0] + digamma(outer) - np.log(outer)
            return self._ratio(rho, nu, inner, outer) - counted + digamma(inner) - others, plain
        if rule.variant == "extrapolated":
            far = self._ratio(rho, nu, rule.far, rule.far) - weight[:, rule.far - 1] + np.log(rule.far) - others
            return plain + (plain - far) / (_FARTHER ** (1 / self.width) - 1), plain
        return plain, plain

    def mean(self, rule: Rule, real_out: int | None = None, sim_out: int | None = None) -> float:
        """The estimate."""
        return float(self.terms(rule, real_out, sim_out)[0].mean())

    def left_out(self, rule: Rule) -> list[LeftOut]:
        """The estimate without each block: of the real side, then of each member."""
        real, sim = self.away.blocks, self.sim_blocks
        groups = [LeftOut(real.sizes, np.array([self.mean(rule, real_out=j) for j in range(real.count)]))]
        without = np.array([self.mean(rule, sim_out=j) for j in range(sim.count)])
        for member in self.weights:
            mine = sim.stratum == member
            groups.append(LeftOut(sim.sizes[mine], without[mine]))
        return groups

    def _ratio(self, rho: Floats, nu: Floats, inner: int | Ints, outer: int | Ints) -> Floats:
        """(n,) d ln(ν / ρ) of the neighbours of those ranks, counted from 1."""
        rows = np.arange(len(rho))
        near, far = rho[rows, inner - 1], nu[rows, outer - 1]
        positive = np.concatenate([near[near > 0], far[far > 0]])
        # What to put for a distance of 0, whose logarithm there is none: the smallest distance seen.
        floor = positive.min() if len(positive) else 1.0
        ratio: Floats = self.width * (np.log(np.maximum(far, floor)) - np.log(np.maximum(near, floor)))
        return ratio

    def _weight_per_point(self, sim_out: int | None) -> Floats:
        """(simulated blocks,) w_e / m_e with m_e the member's points outside the block left out."""
        sizes, stratum = self.sim_blocks.sizes.copy(), self.sim_blocks.stratum
        if sim_out is not None:
            sizes[sim_out] = 0
        per_point: Floats = np.array([self.weights[int(e)] / sizes[stratum == e].sum() for e in stratum])
        return per_point


# How many pairs of Gaussian clouds tell the error, and at how many real points of each it is taken.
_TWINS, _QUERIES = 8, 1000


@dataclass(frozen=True)
class Error:
    """Nearest neighbours' estimate minus the truth on Gaussians of the moments of the data.

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
        away: Away,
        sim_blocks: Blocks,
        rule: Rule,
        rng: np.random.Generator,
    ) -> Error:
        """Draw Gaussian twins of both sides and estimate their divergence as that of the data.

        Points of a twin where the simulated Gaussians are thinner than at any real point do not count: they lie
        between or beyond the modes of the data, and tell nothing about them. If none is left, no error is known.

        Args:
            real: Real points.
            sim: Simulated points.
            weights: Weight of each fibre member.
            whiten: For the width of every scope, the map before distances are taken.
            away: Which real points could be neighbours.
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
                near = Neighbours.find(points, others, away, sim_blocks, weights, rule.far, rows)
                found += sign * near.terms(rule)[0]
            errors.append(float(found.mean()))
        return cls(float(np.mean(errors)), float(np.var(errors, ddof=1)) / _TWINS)


def _sim_density(real: Cloud, sim: Cloud, weights: Mapping[int, float], at: Floats) -> Floats:
    """(n,) log density of the simulated Gaussians at points (n, D), up to a constant."""
    centre, scale = common_scale(real, sim)
    members = members_of(rescaled(sim, centre, scale), weights, sim.points.shape[1])
    return Mixture.fit(members, weights, (at - centre) / scale).logpdf()


def _twin(points: Floats, rng: np.random.Generator) -> Floats:
    """Gaussian points with the sample mean and the sample covariance of others (n, d), up to rounding."""
    fitted, drawn = Normal.fit(points), rng.standard_normal(points.shape)
    centred = drawn - drawn.mean(axis=0)
    own = np.linalg.cholesky(centred.T @ centred / len(centred))
    twin: Floats = fitted.mean + solve_triangular(own, centred.T, lower=True).T @ fitted.factor.T
    return twin
