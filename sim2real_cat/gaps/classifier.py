"""The method "ratio": KL from a classifier that tells real points from simulated ones, without a model of either.

With f the held-out, calibrated logit of a classifier trained on both sides at equal weight, an estimate of
log p_real - log p_sim, the plug-in is the mean of f over the real points. Its error is of first order in the
error of f. The corrected estimate is

    E_real f + 1 - E_sim e^f,

at most the KL for any f whatever, and equal to it where f is the log ratio (Nguyen, Wainwright and Jordan 2010,
IEEE Transactions on Information Theory 56:5847-5861, the linear form of Donsker and Varadhan's bound). Since f
never saw the points that it is averaged over, this is a lower bound in expectation, and its error is of second
order in that of f: the derivative for f, E_real δ - E_sim e^f δ, is 0 at the log ratio.

The bound B is short by an amount that falls off with the number of points that the classifier saw, as 1/n where its
family holds the truth. Those trained on 2/4 and on 3/4 of the points therefore extrapolate to all there could be, by

    (B_3/4 - B_2/4) (4/3) / (4/2 - 4/3).

Both corrections c are noisy, very much so where few simulated points reach into the real ones: of each the share
max(0, 1 - var c / c²) is applied that stands out from its noise, as James and Stein shrink a mean, and the noise of
the rest goes into the interval.

The level "transition" is the difference of two scopes, (o, o') and o, by the chain rule, each with the same
kind of classifier on the same folds, so that what it lacks in both drops out; a difference of lower bounds is no
bound. Where both sides recorded their actions a, the scopes are (o, a, o') and (o, a): what follows from o and a.
For a policy that acts on o alone this is the same number, and easier to see for classifiers that need not learn the
policy. Whitening is by the Cholesky factor of the pooled covariance, which turns o' into what a linear
regression on o does not predict: the coordinates in which transitions differ.

No lower bound from m simulated points can exceed ln m with confidence (McAllester and Stratos 2020, AISTATS),
so that logits are clipped there.

Cross-fitting lets every point's log ratio come from classifiers that saw neither it nor its episode. The points are
dealt into `FOLDS` folds of whole episodes. A classifier trained without fold k answers for fold k. Which candidate, and
how its logits are calibrated, is decided for fold k on the other folds j by classifiers trained without both j and k,
so that nothing of fold k has a say in its own answer. These classifiers, which saw fewer points, also answer for fold
k: how much worse they do tells what more points would bring.

A classifier trained on both sides at equal total weight has log p_real - log p_sim as its logit. Held-out points
decide which candidate is used:

- `gaussian`: the log ratio of Gaussians, one for the real side and one for each member of the fibre, with
  covariances shrunk as Chen et al. 2010, "Shrinkage algorithms for MMSE covariance estimation" (OAS). Where
  it is the truth it needs the fewest points (Efron 1975, JASA 70:892-898).
- `linear`, `quadratic`: logistic regression with an L2 penalty; quadratic features hold the log ratio of any
  two Gaussians exactly.
- `tails`: the same with |z| and ln(1 + z²) of every coordinate, for distributions heavier than a Gaussian.
- `k trees`: gradient boosting on top of the quadratic logit f. Points weighted by their overlap, real ones by
  σ(-f) and simulated ones by σ(f), have the ratio of densities p_real / (p_sim e^f), so that the trees learn
  just what f lacks, with weights that are bounded where e^f is not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, TypeAlias

import numpy as np
from scipy.special import expit, logsumexp

from sim2real_cat.arrays import Bools, Floats, Ints
from sim2real_cat.errors import GapError
from sim2real_cat.gaps.estimate import MethodResult, MethodSettings
from sim2real_cat.gaps.gaussian_kl import Normal
from sim2real_cat.gaps.resampling import LeftOut, deal_sides, jackknife
from sim2real_cat.gaps.samples import Cloud, Scopes, require_density
from sim2real_cat.linear_algebra import whitening

_STAGES = (8, 20, 40)
CANDIDATES = ("gaussian", "linear", "quadratic", "tails", *(f"{trees} trees" for trees in _STAGES))
"""The candidates, in the order of the columns of their logits."""

FOLDS = 4
"""The number of folds of episodes: classifiers see 3/4 of the points, and 2/4 to choose among them."""

Logits: TypeAlias = Callable[[Floats], Floats]
"""From points (n, D) to logits (n, len(CANDIDATES))."""

# The strength of the L2 penalty as scikit-learn counts it: against the sum over points, so it fades as they grow.
_PENALTY = 1.0
# More quadratic features than this are left to the Gaussians, whose covariances are cheap.
_MOST_FEATURES = 1000
# Where trees may split a coordinate: finely where there are few coordinates and edges of a support show.
_FEW, _TREE_BINS_OF_FEW, _TREE_BINS = 4, 255, 63
# Beyond this logit a Gaussian extrapolates, and e^f would only overflow.
_FARTHEST = 50.0
# Added to variances in whitened coordinates, so that repeated points still have a Gaussian.
_RIDGE = 1e-10

# With fewer points on a side a fold would be all but empty.
_LEAST = 4 * FOLDS
# The most points of either side that a classifier is trained on; more are thinned evenly.
_MOST_TRAINING = 20_000
# An action of which the observations and the other actions leave a smaller share than this unexplained is a linear
# function of them: it says nothing more, and has no density.
_DEPENDENT = 1e-6

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


@dataclass(frozen=True)
class Labelled:
    """Points of both sides, in whitened coordinates.

    Attributes:
        points: (N, D).
        real: (N,) which are real.
        member_index: (N,) the fibre member of each simulated point.
        weight: (N,) the weight of each; each side adds up to N / 2.
    """

    points: Floats
    real: Bools
    member_index: Ints
    weight: Floats

    def rows(self, chosen: Bools | Ints) -> Labelled:
        """Return some of the points, the weights of either side adding up to one half of their number again."""
        real, weight = self.real[chosen], self.weight[chosen].copy()
        for side in (real, ~real):
            weight[side] *= len(real) / 2 / weight[side].sum()
        return Labelled(self.points[chosen], real, self.member_index[chosen], weight)

    def leading(self, width: int) -> Labelled:
        """Return the same with the leading `width` coordinates only."""
        return replace(self, points=self.points[:, :width])


def fit_candidates(training: Labelled, seed: int) -> Logits:
    """Train every candidate.

    Args:
        training: Points of both sides.
        seed: For the trees' binning of very many points; nothing else is random.

    Returns:
        The function from other points to their logits.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    gaussian = _gaussian(training)
    linear = _logistic(training, _identity)
    wide = _quadratic_columns(training.points.shape[1]) > _MOST_FEATURES
    quadratic = gaussian if wide else _logistic(training, quadratic_features)
    tails = gaussian if wide else _logistic(training, _tail_features)
    start = quadratic(training.points)
    overlap = np.where(training.real, expit(-start), expit(start)) * training.weight
    trees = HistGradientBoostingClassifier(
        max_iter=_STAGES[-1],
        learning_rate=0.25,
        max_leaf_nodes=8,
        max_bins=_TREE_BINS_OF_FEW if training.points.shape[1] <= _FEW else _TREE_BINS,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=seed,
    ).fit(training.points, training.real, sample_weight=overlap / overlap.mean())

    def logits(points: Floats) -> Floats:
        base = quadratic(points)
        steps = enumerate(trees.staged_decision_function(points), start=1)
        boosted = [base + np.ravel(step) for k, step in steps if k in _STAGES]
        return np.stack([gaussian(points), linear(points), base, tails(points), *boosted], axis=1)

    return logits


@dataclass(frozen=True)
class Calibration:
    """Platt's sigmoid: a calibrated logit is offset + slope · logit, with the slope not below 0.

    Where held-out points show nothing, slope and offset are 0: the two sides look alike.
    """

    offset: float
    slope: float

    @classmethod
    def fit(cls, logits: Floats, real: Bools, weight: Floats) -> Calibration:
        """Fit to held-out logits (n,) of points whose side is known."""
        scale = max(float(np.abs(logits).max()), np.finfo(float).tiny)
        if scale == np.finfo(float).tiny:
            return cls(0.0, 0.0)
        model = _regression(1e3).fit(logits[:, None], real, sample_weight=weight)
        slope = float(model.coef_[0, 0])
        return cls(float(model.intercept_[0]), slope) if slope > 0 else cls(0.0, 0.0)

    def __call__(self, logits: Floats) -> Floats:
        """Return calibrated logits."""
        return self.offset + self.slope * logits


def log_loss(logits: Floats, real: Bools) -> Floats:
    """Compute -log of the probability given to the side that each point is from, in nats."""
    loss: Floats = np.logaddexp(0.0, np.where(real, -logits, logits))
    return loss


def quadratic_features(points: Floats) -> Floats:
    """Return (n, D + D (D + 1) / 2): the coordinates, their squares and products."""
    i, j = np.triu_indices(points.shape[1])
    return np.hstack([points, points[:, i] * points[:, j] / np.where(i == j, np.sqrt(2.0), 1.0)])


def _tail_features(points: Floats) -> Floats:
    size = np.abs(points)
    return np.hstack([quadratic_features(points), size, np.log1p(size**2)])


def _identity(points: Floats) -> Floats:
    return points


def _quadratic_columns(width: int) -> int:
    return width + width * (width + 1) // 2


def _regression(penalty: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=penalty, max_iter=1000)


def _logistic(training: Labelled, features: Callable[[Floats], Floats]) -> Callable[[Floats], Floats]:
    model = _regression(_PENALTY).fit(features(training.points), training.real, sample_weight=training.weight)

    def logit(points: Floats) -> Floats:
        answer: Floats = model.decision_function(features(points))
        return answer

    return logit


def _gaussian(training: Labelled) -> Callable[[Floats], Floats]:
    real = _shrunk(training.points[training.real])
    members: Mapping[int, tuple[Normal, float]] = {
        int(e): (_shrunk(training.points[rows]), float(np.log(training.weight[rows].sum())))
        for e in np.unique(training.member_index[~training.real])
        if (rows := ~training.real & (training.member_index == e)).sum() > 1
    }
    total = float(logsumexp([log_weight for _, log_weight in members.values()]))

    def logit(points: Floats) -> Floats:
        parts = np.stack([log_weight - total + normal.logpdf(points) for normal, log_weight in members.values()])
        ratio: Floats = real.logpdf(points) - logsumexp(parts, axis=0)
        return np.clip(ratio, -_FARTHEST, _FARTHEST)

    return logit


def _shrunk(points: Floats) -> Normal:
    from sklearn.covariance import oas

    covariance: Floats = np.atleast_2d(oas(points)[0]) + _RIDGE * np.eye(points.shape[1])
    return Normal(np.asarray(points.mean(axis=0)), np.asarray(np.linalg.cholesky(covariance)))


@dataclass(frozen=True)
class CrossFitted:
    """Calibrated held-out logits of every point in one scope, clipped at the largest that samples can show.

    Attributes:
        candidates: (len(CANDIDATES), N) of all candidates, trained on 3/4 of the points.
        chosen: (FOLDS,) the candidate chosen for each fold.
        fold: (N,) the fold of each point.
        fewer: (FOLDS - 1, N) of the chosen one, trained on 2/4 of the points.
    """

    candidates: Floats
    chosen: Ints
    fold: Ints
    fewer: Floats

    @property
    def logits(self) -> Floats:
        """Return (N,) the logits of the candidate chosen."""
        logits: Floats = self.candidates[self.chosen[self.fold], np.arange(len(self.fold))]
        return logits


def deal_folds(cloud: Cloud, weights: Mapping[int, float], rng: np.random.Generator) -> tuple[Ints, int]:
    """Deal the episodes of one side into folds, each member's for itself.

    A member with fewer episodes than folds is cut into stretches of time, lest a training set lack a part of the
    mixture. At the level "occupancy", where successive stretches resemble each other, only a member with much weight is
    cut.

    Args:
        cloud: The points of the side.
        weights: Weight of each member; of one member on the real side.
        rng: Deals.

    Returns:
        (n,) the fold of each point, and the number of members that were cut.
    """
    fold = np.empty(len(cloud.points), dtype=np.intp)
    much = 0.0 if cloud.level == "transition" else 1 / (2 * FOLDS)
    dealt, cut = 0, 0
    for member in np.unique(cloud.member_index):
        rows = np.flatnonzero(cloud.member_index == member)
        names, unit = np.unique(cloud.episode[rows], return_inverse=True)
        if len(names) < FOLDS and weights.get(int(member), 1.0) > much:
            pieces = -(-FOLDS // len(names))
            start = np.searchsorted(unit, np.arange(len(names)))
            position = np.arange(len(rows)) - start[unit]
            unit = unit * pieces + position * pieces // np.bincount(unit)[unit]
            cut += 1
        units = int(unit.max()) + 1
        fold[rows] = ((rng.permutation(units) + dealt) % FOLDS)[unit]
        dealt += units
    return fold, cut


def cross_fit(labelled: Labelled, fold: Ints, widths: Sequence[int], seed: int) -> list[CrossFitted]:
    """Compute held-out logits in every scope.

    Args:
        labelled: The points of both sides.
        fold: (N,) the fold of each.
        widths: The number of leading coordinates of each scope. The first scope chooses the candidate for all, so
            that in a difference of scopes what a candidate lacks in both drops out.
        seed: For the classifiers.

    Returns:
        One entry for each scope.
    """
    from threadpoolctl import threadpool_limits

    chosen: Ints | None = None
    found = []
    # Sums on one thread are the same on every machine, and small classifiers cost more to share out than to train.
    with threadpool_limits(limits=1):
        for width in widths:
            found.append(_in_scope(labelled.leading(width), fold, seed, chosen))
            chosen = found[-1].chosen
    return found


def _in_scope(labelled: Labelled, fold: Ints, seed: int, chosen: Ints | None) -> CrossFitted:
    """Compute held-out logits in one scope, of the candidates chosen before or of those that do best."""
    held = [np.flatnonzero(fold == k) for k in range(FOLDS)]
    # without[a, b] are the logits in fold a of classifiers trained without folds a and b.
    without: dict[tuple[int, int], Floats] = {}
    for j, k in combinations(range(FOLDS), 2):
        logits = fit_candidates(labelled.rows(_thinned(labelled, (fold != j) & (fold != k))), seed)
        without[j, k], without[k, j] = logits(labelled.points[held[j]]), logits(labelled.points[held[k]])
    largest = np.log((~labelled.real).sum())
    candidates = np.empty((len(CANDIDATES), len(fold)))
    fewer = np.empty((FOLDS - 1, len(fold)))
    choice = np.empty(FOLDS, dtype=np.intp) if chosen is None else chosen
    for k in range(FOLDS):
        others = [j for j in range(FOLDS) if j != k]
        told = labelled.rows(np.concatenate([held[j] for j in others]))
        shown = np.concatenate([without[j, k] for j in others])
        calibrations = [Calibration.fit(column, told.real, told.weight) for column in shown.T]
        if chosen is None:
            losses = [
                np.average(log_loss(calibrate(column), told.real), weights=told.weight)
                for calibrate, column in zip(calibrations, shown.T, strict=True)
            ]
            choice[k] = int(np.argmin(losses))
        answers = fit_candidates(labelled.rows(_thinned(labelled, fold != k)), seed)(labelled.points[held[k]])
        for c, calibrate in enumerate(calibrations):
            candidates[c, held[k]] = np.clip(calibrate(answers[:, c]), -largest, largest)
        for row, j in enumerate(others):
            column = without[k, j][:, choice[k]]
            fewer[row, held[k]] = np.clip(calibrations[choice[k]](column), -largest, largest)
    return CrossFitted(candidates, choice, fold, fewer)


def _thinned(labelled: Labelled, training: Bools) -> Ints:
    """Choose the rows to train on: at most `_MOST_TRAINING` of each side, evenly in time and over members."""
    kept = []
    for side in (labelled.real, ~labelled.real):
        rows = np.flatnonzero(training & side)
        count = min(len(rows), _MOST_TRAINING)
        kept.append(rows[np.arange(count) * len(rows) // count])
    return np.concatenate(kept)


def with_actions(pairs: Floats, real: Cloud, sim: Cloud) -> tuple[Floats, Scopes, tuple[str, ...]]:
    """Put actions into transitions where both sides have the same number of finite ones.

    Args:
        pairs: (N, 2 d) pairs (o, o') of the real side, then of the simulated side.
        real: The real side.
        sim: The simulated side.

    Returns:
        (N, 2 d + n_actions) points (o, a, o') without the actions that are linear functions of o, the scopes of
        the chain rule on them, and remarks for the reader.

    Raises:
        GapError: The next observations are linear functions of observations and actions.
    """
    if real.actions is None or sim.actions is None or real.actions.shape[1] == 0:
        return pairs, real.scopes, ()
    if real.actions.shape[1] != sim.actions.shape[1]:
        counts = f"{real.actions.shape[1]} and {sim.actions.shape[1]}"
        return pairs, real.scopes, (f"actions are left out: the sides have {counts} of them",)
    actions = np.concatenate([real.actions, sim.actions])
    bad = int((~np.isfinite(actions)).any(axis=1).sum())
    if bad:
        return pairs, real.scopes, (f"actions are left out: {bad} transitions have one that is NaN or infinite",)
    d = len(real.sensors)
    kept = _independent(pairs[:, :d], actions)
    if not len(kept):
        return pairs, real.scopes, ("actions are left out: they are linear functions of the observation",)
    points = np.hstack([pairs[:, :d], actions[:, kept], pairs[:, d:]])
    width = d + len(kept)
    names = (*real.sensors, *(f"action {i}" for i in kept), *real.columns[d:])
    require_density(points, names, "the transitions of both sides together, with their actions")
    note = f"given the observation and {len(kept)} of {actions.shape[1]} actions"
    return points, ((width + d, 1), (width, -1)), (note,)


def _independent(observations: Floats, actions: Floats) -> Ints:
    """Find the actions that do not depend linearly on the observations and the actions before them."""
    columns = np.hstack([observations, actions])
    columns = columns - columns.mean(axis=0)
    spread = np.linalg.norm(columns, axis=0)
    left = np.abs(np.diag(np.linalg.qr(columns / np.where(spread > 0, spread, 1.0), mode="r")))
    moving = spread > _DEPENDENT * np.abs(np.hstack([observations, actions])).max(axis=0)
    kept: Ints = np.flatnonzero(((left > _DEPENDENT) & moving)[observations.shape[1] :])
    return kept


@dataclass(frozen=True)
class FittedRatios:
    """Both sides with their held-out log ratios.

    Attributes:
        labelled: Real points first, then simulated ones; their weights add up to one half of their number each.
        signs: The sign of each scope.
        scopes: The logits in each scope.
        cut_real: Whether real episodes had to be cut into stretches of time for folds.
        cut_sim: The number of simulated members that had to.
        notes: Remarks on the actions that took part.
    """

    labelled: Labelled
    signs: tuple[int, ...]
    scopes: tuple[CrossFitted, ...]
    cut_real: bool
    cut_sim: int
    notes: tuple[str, ...]

    def terms(self, logits: list[Floats]) -> Floats:
        """Compute (N,) the part of each point: Σ ± f of a real one, Σ ± e^f of a simulated one, over the scopes."""
        real = self.labelled.real
        pairs = zip(self.signs, logits, strict=True)
        total: Floats = np.sum([sign * np.where(real, f, np.exp(f)) for sign, f in pairs], axis=0)
        return total

    def bound(self, terms: Floats, share: float = 1.0) -> float:
        """Compute E_real f + share (1 - E_sim e^f), summed over the scopes."""
        return float(terms[self.labelled.real].mean()) + share * self.correction(terms)

    def correction(self, terms: Floats) -> float:
        """Compute 1 - E_sim e^f, summed over the scopes."""
        simulated = ~self.labelled.real
        return float(sum(self.signs) - np.average(terms[simulated], weights=self.labelled.weight[simulated]))


def estimate_by_classifier(
    real: Cloud, sim: Cloud, weights: Mapping[int, float], settings: MethodSettings, rng: np.random.Generator
) -> MethodResult:
    """Estimate the gap by a cross-fitted classifier, with an interval from leaving out blocks of episodes.

    Args:
        real: Real points.
        sim: Simulated points.
        weights: Weight of each fibre member, adding up to 1.
        settings: The confidence is read; the method has no choices of its own.
        rng: Deals the episodes into folds and blocks.

    Returns:
        The estimate.

    Raises:
        GapError: scikit-learn is not installed, too few points for folds, or dependent sensors.
    """
    fitted = fit_ratios(real, sim, weights, rng)
    labelled = fitted.labelled
    terms = fitted.terms([scope.logits for scope in fitted.scopes])
    fewer = np.mean([fitted.terms([s.fewer[j] for s in fitted.scopes]) for j in range(FOLDS - 1)], axis=0)
    plug_in = float(terms[labelled.real].mean())
    real_blocks, sim_blocks = deal_sides(real, sim, len(weights), _MOST_BLOCKS, rng)

    def strata(values: Floats, statistic: float) -> list[LeftOut]:
        ours, theirs = values[labelled.real], values[~labelled.real]
        rows = {member: sim.member_index == member for member in weights}
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
    return MethodResult(plug_in, raw, low, np.inf if outside else high, tuple(reasons), tuple(notes))


def fit_ratios(real: Cloud, sim: Cloud, weights: Mapping[int, float], rng: np.random.Generator) -> FittedRatios:
    """Fit classifiers to both sides in every scope, so that no point is judged by one that saw it.

    Raises:
        GapError: As for `estimate_by_classifier`.
    """
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
        if (sim.member_index == member).sum() < 2:
            raise GapError(f"simulated member {member} has one {sim.rows[:-1]} only: add episodes or give it weight 0")
    pooled = np.concatenate([real.points, sim.points])
    require_density(pooled, real.columns, f"the {real.rows} of both sides together")
    scopes: Scopes = real.scopes
    note: tuple[str, ...] = ()
    if real.level == "transition":
        pooled, scopes, note = with_actions(pooled, real, sim)
    white = whitening(pooled)(pooled - pooled.mean(axis=0))
    fold_real, cut_real = deal_folds(real, {}, rng)
    fold_sim, cut_sim = deal_folds(sim, weights, rng)
    per_point = np.array([weights[int(e)] for e in sim.member_index])
    for member in weights:
        per_point[sim.member_index == member] /= (sim.member_index == member).sum()
    n, m = len(real.points), len(sim.points)
    labelled = Labelled(
        white,
        np.arange(n + m) < n,
        np.concatenate([np.full(n, -1), sim.member_index]),
        (n + m) / 2 * np.concatenate([np.full(n, 1 / n), per_point]),
    )
    seed = int(rng.integers(2**31))
    widths, signs = zip(*scopes, strict=True)
    fitted = cross_fit(labelled, np.concatenate([fold_real, fold_sim]), widths, seed)
    return FittedRatios(labelled, signs, tuple(fitted), cut_real > 0, cut_sim, note)


def _left_out(statistic: float, terms: Floats, label: Ints, factor: float) -> LeftOut:
    """Compute the statistic without each block of a stratum, in which it is `factor` times the mean of the terms."""
    blocks, index, sizes = np.unique(label, return_inverse=True, return_counts=True)
    sums = np.bincount(index, terms, minlength=len(blocks))
    without = (terms.sum() - sums) / (len(terms) - sizes)
    return LeftOut(sizes, statistic + factor * (without - terms.mean()))


def _signal(correction: float, noise: float) -> float:
    """Return the share of a correction that stands out from its noise, as James and Stein shrink a single mean."""
    return max(0.0, 1.0 - (noise / correction) ** 2) if correction else 0.0


def _doubt_about_choice(fitted: FittedRatios, held_out: float, share: float) -> float:
    """Compute the spread, in nats, of the estimates of candidates that held-out points cannot tell from the chosen one.

    These are the candidates whose log loss is within one standard error of the chosen one's, over all points.
    """
    labelled, first = fitted.labelled, fitted.scopes[0]
    losses = labelled.weight * (log_loss(first.candidates, labelled.real) - log_loss(first.logits, labelled.real))
    error = losses.std(axis=1) / np.sqrt(losses.shape[1])
    alike = np.flatnonzero(losses.mean(axis=1) <= error)
    bounds = [fitted.bound(fitted.terms([scope.candidates[c] for scope in fitted.scopes]), share) for c in alike]
    return float(np.sqrt(np.mean((np.array([held_out, *bounds]) - held_out) ** 2)))


def _doubts(fitted: FittedRatios, real: Cloud, weights: Mapping[int, float]) -> tuple[list[str], bool]:
    """List reasons not to rely on the estimate, and tell whether real points lie where no simulated one does."""
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
            "stretches of time that depend on each other: add episodes"
        )
    return reasons, beyond


def _miscalibration(logits: Floats, labelled: Labelled) -> float:
    """Compute the mean absolute difference of predicted and observed shares of real points, over bins of logits."""
    edges = np.quantile(logits, np.arange(1, _BINS) / _BINS)
    off = np.bincount(
        np.searchsorted(edges, logits, side="right"), labelled.weight * (labelled.real - expit(logits)), minlength=_BINS
    )
    return float(np.abs(off).sum() / labelled.weight.sum())


def _classifiers(fitted: FittedRatios) -> str:
    """Return a remark on the candidates that were chosen."""
    names = [CANDIDATES[c] for c in fitted.scopes[0].chosen]
    counts = {name: names.count(name) for name in dict.fromkeys(names)}
    return "classifier, by held-out log loss: " + ", ".join(f"{name} in {k} folds" for name, k in counts.items())
