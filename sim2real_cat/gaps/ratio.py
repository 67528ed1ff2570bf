"""KL from a classifier that tells real points from simulated ones, without a model of the distributions.

With f the held-out, calibrated logit of a classifier trained on both sides at equal weight, an estimate of
log p_real - log p_sim, the plug-in is the mean of f over the real points. Its error is of first order in the
error of f. The corrected estimate is

    E_real f + 1 - E_sim e^f,

at most the KL for any f whatever, and equal to it where f is the log ratio (Nguyen, Wainwright and Jordan 2010,
IEEE Transactions on Information Theory 56:5847-5861, the linear form of Donsker and Varadhan's bound). Since f
never saw the points that it is averaged over, this is a lower bound in expectation, and its error is of second
order in that of f: the derivative for f, E_real δ - E_sim e^f δ, is 0 at the log ratio.

What the bound B lacks falls off with the number of points that the classifier saw, as 1/n where its family holds
the truth. Those trained on 2/4 and on 3/4 of the points therefore extrapolate to all there could be, by

    (B_3/4 - B_2/4) (4/3) / (4/2 - 4/3).

Both corrections c are noisy, very much so where few simulated points reach into the real ones: of each the share
max(0, 1 - var c / c²) is applied that stands out from its noise, as James and Stein shrink a mean, and the noise of
what is left out goes into the interval.

The level "transition" is the difference of two scopes, (o, o') and o, by the chain rule, each with the same
kind of classifier on the same folds, so that what it lacks in both drops out; a difference of lower bounds is no
bound. Where both sides recorded their actions a, the scopes are (o, a, o') and (o, a): what follows from o and a.
For a policy that acts on o alone this is the same number, and easier to see for classifiers that need not learn the
policy. Whitening is by the Cholesky factor of the pooled covariance, which turns o' into what a linear
regression on o does not predict: the coordinates in which transitions differ.

No lower bound from m simulated points can exceed ln m with confidence (McAllester and Stratos 2020, AISTATS),
so that logits are clipped there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import expit

from sim2real_cat.errors import GapError
from sim2real_cat.gaps.estimate import Measured
from sim2real_cat.gaps.ratio_actions import Scopes, with_actions
from sim2real_cat.gaps.ratio_folds import FOLDS, CrossFitted, cross_fit, deal_folds
from sim2real_cat.gaps.ratio_models import NAMES, Labelled, log_loss
from sim2real_cat.gaps.resampling import LeftOut, deal, jackknife
from sim2real_cat.gaps.samples import Cloud, Floats, Ints, require_density
from sim2real_cat.gaps.settings import Settings

_MOST_BLOCKS = 64
# The weight of the difference in the extrapolation from 2/4 and 3/4 of the points.
_STEP = (FOLDS / (FOLDS - 1)) / (FOLDS / (FOLDS - 2) - FOLDS / (FOLDS - 1))
# What the extrapolation leaves of the bias, as a share of what it removes: trees learn more slowly than 1/n, and
# neither the choice nor the calibration, which are the same for both numbers of points, takes part in it.
_BIAS_DOUBT = 1.0
# More than this share of real points that no simulated one resembles is a matter of support, not of chance; among few
# simulated points this many over their number is still chance.
_OUTSIDE = 0.02
_CHANCE = 50
# Fewer simulated points than this that carry the whole of E_sim e^f = 1 say little about it.
_EFFECTIVE = 10.0
# Held-out probabilities further off than this on average, in bins of equal size, are not calibrated.
_MISCALIBRATED = 0.1
_BINS = 10
# A correction of more nats than this that makes up more than half of the result is not a measurement any more.
_CORRECTION = 0.1
_LEAST = 4 * FOLDS


@dataclass(frozen=True)
class Fitted:
    """Both sides with their held-out log ratios.

    Attributes:
        labelled: Real points first, then simulated ones; their weights add up to one half of their number each.
        signs: The sign of each scope.
        scopes: The logits in each.
        cut_real: Whether real episodes had to be cut into stretches of time for folds.
        cut_sim: How many simulated members had to.
        notes: Which actions took part.
    """

    labelled: Labelled
    signs: tuple[int, ...]
    scopes: tuple[CrossFitted, ...]
    cut_real: bool
    cut_sim: int
    notes: tuple[str, ...]

    def terms(self, logits: list[Floats]) -> Floats:
        """(N,) what each point adds: Σ ± f of a real point, Σ ± e^f of a simulated one, over the scopes."""
        real = self.labelled.real
        pairs = zip(self.signs, logits, strict=True)
        total: Floats = np.sum([sign * np.where(real, f, np.exp(f)) for sign, f in pairs], axis=0)
        return total

    def bound(self, terms: Floats, share: float = 1.0) -> float:
        """E_real f + share (1 - E_sim e^f), summed over the scopes."""
        return float(terms[self.labelled.real].mean()) + share * self.correction(terms)

    def correction(self, terms: Floats) -> float:
        """1 - E_sim e^f, summed over the scopes."""
        simulated = ~self.labelled.real
        return float(sum(self.signs) - np.average(terms[simulated], weights=self.labelled.weight[simulated]))


def measure(
    real: Cloud, sim: Cloud, weights: Mapping[int, float], settings: Settings, rng: np.random.Generator
) -> Measured:
    """The estimate by a cross-fitted classifier, with an interval from leaving out blocks of episodes.

    Args:
        real: Real points.
        sim: Simulated points.
        weights: Weight of each fibre member, adding up to 1.
        settings: The confidence; the method has no choices of its own.
        rng: Deals the episodes into folds and blocks.

    Returns:
        The estimate.

    Raises:
        GapError: scikit-learn is not installed, too few points for folds, or dependent sensors.
    """
    fitted = _fit(real, sim, weights, rng)
    labelled = fitted.labelled
    terms = fitted.terms([scope.logits for scope in fitted.scopes])
    fewer = np.mean([fitted.terms([s.fewer[j] for s in fitted.scopes]) for j in range(FOLDS - 1)], axis=0)
    plug_in = float(terms[labelled.real].mean())
    real_blocks = deal(real.episode, np.zeros_like(real.episode), _MOST_BLOCKS, rng)
    sim_blocks = deal(sim.episode, sim.member, max(2, _MOST_BLOCKS // len(weights)), rng)

    def strata(values: Floats, statistic: float) -> list[LeftOut]:
        ours, theirs = values[labelled.real], values[~labelled.real]
        rows = {member: sim.member == member for member in weights}
        simulated = [_left_out(statistic, theirs[r], sim_blocks.label[r], -weights[e]) for e, r in rows.items()]
        return [_left_out(statistic, ours, real_blocks.label, 1.0), *simulated]

    correction, gain = fitted.correction(terms), _STEP * (fitted.bound(terms) - fitted.bound(fewer))
    parts = (np.where(labelled.real, 0.0, terms), _STEP * (terms - fewer))
    noise = [
        float(np.sqrt(jackknife(part, strata(values, part)).variance))
        for part, values in zip((correction, gain), parts, strict=True)
    ]
    share, gained = _signal(correction, noise[0]), _signal(gain, noise[1])
    held_out = fitted.bound(terms, share)
    raw = held_out + gained * gain
    influence = np.where(labelled.real, terms, share * terms) + gained * parts[1]
    doubts = (
        _BIAS_DOUBT * gained * gain,
        _doubt_about_choice(fitted, held_out, share),
        (1 - share) * noise[0],
        (1 - gained) * noise[1],
    )
    spread = jackknife(raw, strata(influence, raw))
    low, high = spread.interval(raw, settings.confidence, float(np.linalg.norm(doubts)))
    reasons, outside = _doubts(fitted, real, weights)
    if abs(raw - plug_in) > max(_CORRECTION, 0.5 * abs(raw)):
        reasons.append(
            f"{raw - plug_in:+.2f} nats are correction: the classifier's log ratios do not fit held-out points"
        )
    notes = [_classifiers(fitted), *fitted.notes]
    if fitted.cut_sim and real.level == "transition":
        notes.append(f"{fitted.cut_sim} simulated members have fewer than {FOLDS} episodes, cut into stretches of time")
    return Measured(plug_in, raw, low, np.inf if outside else high, tuple(reasons), tuple(notes))


def log_ratios(real: Cloud, sim: Cloud, weights: Mapping[int, float], rng: np.random.Generator) -> Floats:
    """(n,) log p_real - log p_sim at every real point, held out and calibrated, in nats.

    At the level "transition" these are the conditional densities of o' given o. The mean is the plug-in
    estimate of `measure` with a generator in the same state.

    Raises:
        GapError: As for `measure`.
    """
    fitted = _fit(real, sim, weights, rng)
    terms: Floats = fitted.terms([scope.logits for scope in fitted.scopes])[fitted.labelled.real]
    return terms


def _fit(real: Cloud, sim: Cloud, weights: Mapping[int, float], rng: np.random.Generator) -> Fitted:
    try:
        import sklearn  # noqa: F401
    except ModuleNotFoundError:
        raise GapError(
            "the method 'ratio' needs scikit-learn, which is not installed: pip install 'sim2real-cat[gaps]'"
        ) from None
    for cloud in (real, sim):
        if len(cloud.points) < _LEAST:
            raise GapError(
                f"the {cloud.side} side has {len(cloud.points)} {cloud.rows}, too few for {FOLDS} folds "
                f"(at least {_LEAST} needed): add episodes"
            )
    for member in weights:
        if (sim.member == member).sum() < 2:
            raise GapError(f"simulated member {member} has one {sim.rows[:-1]} only: add episodes or give it weight 0")
    pooled = np.concatenate([real.points, sim.points])
    require_density(pooled, real.columns, f"the {real.rows} of both sides together")
    scopes: Scopes = real.scopes
    note: tuple[str, ...] = ()
    if real.level == "transition":
        pooled, scopes, note = with_actions(pooled, real, sim)
    factor = np.linalg.cholesky(np.atleast_2d(np.cov(pooled, rowvar=False)))
    white: Floats = solve_triangular(factor, (pooled - pooled.mean(axis=0)).T, lower=True).T
    fold_real, cut_real = deal_folds(real, {}, rng)
    fold_sim, cut_sim = deal_folds(sim, weights, rng)
    per_point = np.array([weights[int(e)] for e in sim.member])
    for member in weights:
        per_point[sim.member == member] /= (sim.member == member).sum()
    n, m = len(real.points), len(sim.points)
    labelled = Labelled(
        white,
        np.arange(n + m) < n,
        np.concatenate([np.full(n, -1), sim.member]),
        (n + m) / 2 * np.concatenate([np.full(n, 1 / n), per_point]),
    )
    seed = int(rng.integers(2**31))
    widths, signs = zip(*scopes, strict=True)
    fitted = cross_fit(labelled, np.concatenate([fold_real, fold_sim]), widths, seed)
    return Fitted(labelled, signs, tuple(fitted), cut_real > 0, cut_sim, note)


def _left_out(statistic: float, terms: Floats, label: Ints, factor: float) -> LeftOut:
    """The statistic without each block of a stratum, in which it is `factor` times the mean of the terms."""
    blocks, index, sizes = np.unique(label, return_inverse=True, return_counts=True)
    sums = np.bincount(index, terms, minlength=len(blocks))
    without = (terms.sum() - sums) / (len(terms) - sizes)
    return LeftOut(sizes, statistic + factor * (without - terms.mean()))


def _signal(correction: float, noise: float) -> float:
    """The share of a correction that stands out from its noise, as James and Stein shrink a single mean."""
    return max(0.0, 1.0 - (noise / correction) ** 2) if correction else 0.0


def _doubt_about_choice(fitted: Fitted, held_out: float, share: float) -> float:
    """How far the estimates spread of candidates that held-out points cannot tell from the one chosen, in nats.

    Those are the candidates whose log loss is within one standard error of the chosen one's, over all points.
    """
    labelled, first = fitted.labelled, fitted.scopes[0]
    losses = labelled.weight * (log_loss(first.candidates, labelled.real) - log_loss(first.logits, labelled.real))
    error = losses.std(axis=1) / np.sqrt(losses.shape[1])
    alike = np.flatnonzero(losses.mean(axis=1) <= error)
    bounds = [fitted.bound(fitted.terms([scope.candidates[c] for scope in fitted.scopes]), share) for c in alike]
    return float(np.sqrt(np.mean((np.array([held_out, *bounds]) - held_out) ** 2)))


def _doubts(fitted: Fitted, real: Cloud, weights: Mapping[int, float]) -> tuple[list[str], bool]:
    """Reasons not to rely on the estimate, and whether real points lie where no simulated one does."""
    labelled, logits = fitted.labelled, fitted.scopes[0].logits
    simulated, weight = ~labelled.real, labelled.weight
    reasons = []
    outside = float((logits[labelled.real] > logits[simulated].max()).mean())
    beyond = outside > max(_OUTSIDE, min(0.5, _CHANCE / simulated.sum()))
    if beyond:
        reasons.append(
            f"{outside:.0%} of the real points look less simulated than any simulated one does: the supports may "
            "differ and the divergence be infinite, the number is a lower bound"
        )
    carried = weight[simulated] * np.exp(logits[simulated])
    effective = float(carried.sum() ** 2 / (carried**2).sum())
    if effective < _EFFECTIVE:
        reasons.append(f"the simulated samples reach into the real ones with an effective {effective:.0f} points only")
    off = _miscalibration(logits, labelled)
    if off > _MISCALIBRATED:
        reasons.append(f"held-out probabilities of the classifier are off by {off:.2f} on average: add episodes")
    if fitted.cut_real:
        count = len(np.unique(real.episode))
        reasons.append(f"{count} real episodes are too few for {FOLDS} folds, cut into stretches of time: add episodes")
    if fitted.cut_sim and real.level == "occupancy":
        reasons.append(
            f"{fitted.cut_sim} of {len(weights)} simulated members have fewer than {FOLDS} episodes, cut into "
            "stretches of time that betray each other: add episodes"
        )
    return reasons, beyond


def _miscalibration(logits: Floats, labelled: Labelled) -> float:
    """Mean absolute difference between the predicted and the observed share of real points, over bins of logits."""
    edges = np.quantile(logits, np.arange(1, _BINS) / _BINS)
    off = np.bincount(
        np.searchsorted(edges, logits, side="right"), labelled.weight * (labelled.real - expit(logits)), minlength=_BINS
    )
    return float(np.abs(off).sum() / labelled.weight.sum())


def _classifiers(fitted: Fitted) -> str:
    names = [NAMES[c] for c in fitted.scopes[0].chosen]
    counts = {name: names.count(name) for name in dict.fromkeys(names)}
    return "classifier, by held-out log loss: " + ", ".join(f"{name} in {k} folds" for name, k in counts.items())
