"""A test of the errors that the best world leaves, and the share of the readings that counts where they are not noise.

Noise is independent from step to step, and of what was known before a step. The errors of a model that is wrong are
not: they last for some steps, or depend on state and action. A likelihood that takes them for independent noise is then
too sure, and no squared error says so where the noise is a parameter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from sim2real_cat.arrays import Bools, Floats, Ints

_LEAST = 30
"""Transitions below which nothing is tested."""
_LAGS = 20
"""The most steps over which errors are compared with each other."""
_FOLDS = 10
"""Parts of the recording that are left out in turn."""
_RIDGE = 0.1
"""The ridge of the regression, in units of the mean square of its columns."""
_FLIPS = 199
"""Random signs with which the errors are compared."""
_CLEAR = 0.01
"""The chance of a false alarm of all sensors together."""
_BLOCK = 1 << 20
"""The most errors with random signs at once."""
_WIDER = 3.0
"""Deviations of the mean squared error above 1 from which it counts as more than noise."""


@dataclass(frozen=True, eq=False)
class SensorErrors:
    """The errors of a sensor in the best world.

    Attributes:
        misfit: mean squared error, in units of the noise.
        lasting: 1 + 2 Σ ρ over the lags of their autocorrelation ρ: the steps over which an error lasts; 1 for noise.
        share: the share of their square that a regression on state and action explains where it was not fitted.
        lasts: whether their autocorrelation is clear.
        depends: whether the share is clear.
        design: the factor by which errors like these widen the variance of a mean; 1 where neither is clear.
        wider: whether the misfit is clearly above 1.
    """

    misfit: float
    lasting: float
    share: float
    lasts: bool
    depends: bool
    design: float
    wider: bool

    @property
    def power(self) -> float:
        """Return the power, at most 1, of the sensor's likelihood with which it is as sure as these errors allow.

        The variance of a mean of N errors is misfit · design / N, in units of the noise, where a likelihood of
        independent noise says 1 / N. So errors that are no noise, but far smaller than it, take nothing away.
        """
        widened = self.design * (self.misfit if self.wider or self.design > 1 else 1.0)
        return 1.0 / max(widened, 1.0)

    @property
    def clear(self) -> bool:
        """Tell if they are clearly no independent noise, and large enough to make a likelihood of it too sure."""
        return self.design > 1 and self.power < 1

    def said(self) -> str:
        """Return what speaks against independent noise."""
        parts = []
        if self.depends:
            parts.append(f"state and action explain {self.share:.0%} of their square")
        if self.lasts:
            parts.append(f"they last for {self.lasting:.2g} steps")
        return " and ".join(parts)


def sensor_errors(errors: Floats, known: Floats, episode: Ints, rng: np.random.Generator) -> list[SensorErrors]:
    """Test the errors of every sensor for autocorrelation within episodes and dependence on what was known.

    An error is replaced by the normal score of its size, with its sign, so that single large ones, as of a contact that
    was lost, do not hide the rest. The two numbers of all sensors are compared with those of the same errors with
    random signs, one sign for all sensors in a step. That keeps what independent noise of any width may have. A number
    is clear if it exceeds the largest of any sensor that random signs give in all but 1 % of the cases, both in
    deviations.

    The design effect is the larger one of 1 + 2 Σ ρ and of 1 + R² (N / p - 1) for a share R² that is a function with p
    coefficients (Kish 1965, Survey Sampling, for N / p readings in each of p clusters with an R² in common). It is
    multiplied by Σ r² over the sensors whose errors are clear, with r the correlation of their errors: m sensors with
    one error in common count as one.

    Args:
        errors: (N, d) in units of the noise, about 0.
        known: (N, p) state and action before each.
        episode: (N,) from 0, not decreasing.
        rng: random signs.
    """
    n, d = errors.shape
    misfit = np.square(errors).mean(axis=0)
    wider = (misfit - 1) / np.sqrt(2 / n) > _WIDER
    if n < _LEAST or not np.isfinite(errors).all():
        return [
            SensorErrors(float(one), 1.0, 0.0, False, False, 1.0, bool(big))
            for one, big in zip(misfit, wider, strict=True)
        ]
    scores = _signed_scores(errors)
    design = _design(known)
    lags = _lags(episode)
    found = np.empty((_FLIPS + 1, 2, d))
    signs = np.concatenate([np.ones((1, n)), rng.choice((-1.0, 1.0), (_FLIPS, n))])
    at_once = max(_BLOCK // (n * d), 1)
    for begin in range(0, len(signs), at_once):
        some = signs[begin : begin + at_once]
        own = (some[:, :, None] * scores).transpose(1, 0, 2).reshape(n, -1)
        both = np.stack([_weighted_sum(_autocorrelations(own, episode, lags)), _share(own, design)])
        found[begin : begin + at_once] = both.reshape(2, len(some), d).swapaxes(0, 1)
    chance = found[1:]
    spread = chance.std(axis=0)
    apart = (found - chance.mean(axis=0)) / np.where(spread > 0, spread, np.inf)
    threshold = np.quantile(apart[1:].max(axis=(1, 2)), 1 - _CLEAR)
    lasts, depends = apart[0] > threshold
    lasting = _lasting(_autocorrelations(scores, episode, lags))
    shares = np.clip(found[0, 1], 0.0, 1.0)
    clustered = np.maximum(1.0 + shares * (n / design.shape[1] - 1.0), 1.0)
    effect = np.maximum(np.where(lasts, lasting, 1.0), np.where(depends, clustered, 1.0))
    effect *= _shared(scores, lasts | depends)
    columns = zip(misfit, lasting, shares, lasts, depends, effect, wider, strict=True)
    return [
        SensorErrors(float(square), float(time), float(part), bool(last), bool(depend), float(wide), bool(big))
        for square, time, part, last, depend, wide, big in columns
    ]


def doubts(errors: Mapping[str, SensorErrors]) -> list[str]:
    """Return a reason for doubt where errors of the best world are clearly no independent noise."""
    clear = [name for name, one in errors.items() if one.clear]
    if not clear:
        return []
    worst = min(clear, key=lambda name: errors[name].power)
    others = f"; those of {len(clear) - 1} other sensors are none either" if len(clear) > 1 else ""
    return [
        f"the errors of sensor '{worst}' in the best world are no independent noise: {errors[worst].said()}{others}. "
        "The worlds are wrong in a way that the intervals do not know of: give discrepancy=True"
    ]


def tempered(sensors: Sequence[str], powers: Floats) -> list[str]:
    """Return a note on the sensors whose likelihood is raised to a power below 1."""
    below = [f"'{name}' {power:.2g}" for name, power in zip(sensors, powers, strict=True) if power < 1]
    if not below:
        return []
    return [
        f"a discrepancy was found, so each reading counts as a part of one: {', '.join(below)}; the log evidence is "
        "that of the readings so counted"
    ]


def _signed_scores(errors: Floats) -> Floats:
    """Return (N, d) half-normal scores of the errors' sizes, with their signs."""
    rank = stats.rankdata(np.abs(errors), axis=0)
    return np.asarray(np.sign(errors) * stats.norm.ppf(0.5 + 0.5 * rank / (len(errors) + 1)))


def _design(known: Floats) -> Floats:
    """Return (N, p) a column of ones and the columns of what was known that vary, in deviations."""
    spread = known.std(axis=0)
    varied = spread > 1e-12
    columns = (known[:, varied] - known[:, varied].mean(axis=0)) / spread[varied]
    return np.hstack([np.ones((len(known), 1)), columns])


def _lags(episode: Ints) -> int:
    """Return how many lags are compared: half of the longest episode at most."""
    return int(min(_LAGS, np.bincount(episode).max() // 2))


def _autocorrelations(scores: Floats, episode: Ints, lags: int) -> Floats:
    """Return (lags, d) autocorrelations within episodes, about 0."""
    square = np.square(scores).mean(axis=0)
    found = np.zeros((lags, scores.shape[1]))
    for lag in range(1, lags + 1):
        same = episode[lag:] == episode[:-lag]
        found[lag - 1] = (scores[lag:] * scores[:-lag])[same].mean(axis=0) / square
    return found


def _weighted_sum(correlations: Floats) -> Floats:
    """Return (d,) the sum of autocorrelations with weights that fall linearly (Bartlett's)."""
    lags = len(correlations)
    return np.asarray((1.0 - np.arange(1, lags + 1) / (lags + 1)) @ correlations)


def _lasting(correlations: Floats) -> Floats:
    """Return (d,) 1 + 2 Σ ρ up to the first pair of lags whose sum is not positive (Geyer's initial sequence)."""
    total = np.empty(correlations.shape[1])
    for sensor, column in enumerate(correlations.T):
        pairs = np.add.reduceat(column, np.arange(0, len(column), 2)) if len(column) else np.zeros(0)
        below = np.flatnonzero(pairs <= 0)
        total[sensor] = 1.0 + 2.0 * pairs[: below[0] if len(below) else len(pairs)].sum()
    return np.maximum(total, 1.0)


def _shared(scores: Floats, clear: Bools) -> Floats:
    """Return (d,) the sum of squared correlations with the errors of clear sensors; 1 where its own are not clear."""
    product = scores.T @ scores
    width = np.sqrt(np.diagonal(product))
    squares = np.square(product / np.outer(width, width))
    return np.where(clear, squares[:, clear].sum(axis=1), 1.0)


def _share(scores: Floats, design: Floats) -> Floats:
    """Return (d,) the share of the scores' square that a ridge regression explains in the parts that it leaves out."""
    n, p = design.shape
    part = np.arange(n) * _FOLDS // n
    starts = np.flatnonzero(np.diff(part, prepend=-1))
    left = np.zeros(scores.shape[1])
    whole, aim = design.T @ design, design.T @ scores
    for begin, end in zip(starts, [*starts[1:], n], strict=True):
        x, y = design[begin:end], scores[begin:end]
        ridge = _RIDGE * (n - len(x)) * np.eye(p)
        left += np.square(y - x @ np.linalg.solve(whole - x.T @ x + ridge, aim - x.T @ y)).sum(axis=0)
    return np.asarray(1.0 - left / np.square(scores).sum(axis=0))
