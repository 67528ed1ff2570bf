"""Classifiers that tell real points from simulated ones: the candidates of the method "ratio".

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

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from scipy.special import expit, logsumexp

from sim2real_cat.arrays import Bools, Floats, Ints
from sim2real_cat.gaps.gaussian_kl import Normal

_STAGES = (8, 20, 40)
NAMES = ("gaussian", "linear", "quadratic", "tails", *(f"{trees} trees" for trees in _STAGES))
"""The candidates, in the order of the columns of their logits."""

# The strength of the L2 penalty as scikit-learn counts it: against the sum over points, so it fades as they grow.
_PENALTY = 1.0
# More quadratic features than this are left to the Gaussians, whose covariances are cheap.
_MOST_FEATURES = 1000
# Where trees may split a coordinate: finely where there are few coordinates and edges of a support show.
_FEW, _BINS_OF_FEW, _BINS = 4, 255, 63
# Beyond this logit a Gaussian extrapolates, and e^f would only overflow.
_FARTHEST = 50.0
# Added to variances in whitened coordinates, so that repeated points still have a Gaussian.
_RIDGE = 1e-10

Logits: TypeAlias = Callable[[Floats], Floats]
"""From points (n, D) to logits (n, len(NAMES))."""


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


def fit(training: Labelled, seed: int) -> Logits:
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
        max_bins=_BINS_OF_FEW if training.points.shape[1] <= _FEW else _BINS,
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
        """Calibrated logits."""
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
