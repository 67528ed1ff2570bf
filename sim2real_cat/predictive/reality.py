"""The readings that reality itself expected: known where it was simulated, else fitted to other episodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from sim2real_cat.arrays import Floats, Ints
from sim2real_cat.errors import GapError
from sim2real_cat.posteriors.densities import normal
from sim2real_cat.posteriors.expectation import Expectation, Predictor
from sim2real_cat.posteriors.readings import FittedReadings
from sim2real_cat.posteriors.worlds_posterior import Posterior
from sim2real_cat.recordings.trajectories import Trajectories

_MOST_FOLDS = 10
# An error below this share of a sensor's magnitude is rounding.
_EXACT = 1e-9
# Readings, of all draws and sensors, that are fitted at a time.
_NUMBERS_AT_ONCE = 2_000_000
# Candidates for the ridge, in units of the mean squared singular value: from a free regression to none at all.
_RIDGES = np.logspace(-6, 4, 21)
# A mean squared error above this, relative to the expected one, does not come from chance.
_CALIBRATED = 1.25


class Reality(Protocol):
    """The readings that reality itself expected, and how far they can be relied on."""

    @property
    def noise(self) -> str:
        """The noise that the sensors are taken to have, and its origin."""

    @property
    def reasons(self) -> Sequence[str]:
        """Reasons not to rely on it."""

    @property
    def notes(self) -> Sequence[str]:
        """Notes for the reader."""

    def expect(self, part: Trajectories, rows: slice) -> Expectation | FittedReadings:
        """Return the expectation in some episodes, whose transitions are `rows` of the whole recording."""


@dataclass(frozen=True, eq=False)
class KnownReality:
    """Reality as the worlds that episodes ran in.

    Attributes:
        members: a predictor of a single world, by the member of reality.
    """

    members: Mapping[int, Predictor]
    noise: ClassVar[str] = "as given"
    reasons: ClassVar[Sequence[str]] = ()
    notes: ClassVar[Sequence[str]] = ()

    def expect(self, part: Trajectories, rows: slice) -> Expectation:
        """Return the expectation of the member in which the episodes ran."""
        return self.members[int(part.member_index[0])].expect(part)


@dataclass(frozen=True, eq=False)
class FittedReality:
    """Reality as fitted to the other episodes: no reading is used to predict itself.

    Attributes:
        expected: (N, d) of each reading.
        deviation: (N, d) of the error.
        design: (N, p) the features of the fit.
        fold: (N,) the group of episodes that each transition was left out with.
        calibration: mean square of the errors over their deviations, 1 where these are right.
        noise: the noise that the sensors are taken to have, and its origin.
    """

    expected: Floats
    deviation: Floats
    design: Floats
    fold: Ints
    calibration: float
    noise: str = "as given"

    @property
    def folds(self) -> int:
        """Return how many groups of episodes were left out in turn."""
        return int(self.fold.max()) + 1

    @property
    def reasons(self) -> Sequence[str]:
        """Reasons not to rely on it."""
        if self.calibration <= _CALIBRATED:
            return ()
        return (
            f"the density of reality is fitted, and its errors on episodes left out are {self.calibration:.2f} times "
            "their expected square: too few episodes, or they differ too much",
        )

    @property
    def notes(self) -> Sequence[str]:
        """Notes for the reader."""
        return (
            f"reality's own density is fitted to episodes left out in {self.folds} turns: on average the gap "
            "is too small rather than too large",
        )

    def expect(self, part: Trajectories, rows: slice) -> FittedReadings:
        """Return the fit to the other episodes."""
        return FittedReadings(self.expected[rows], self.deviation[rows])


def fit_reality(simulated: Predictor, recording: Trajectories) -> FittedReality:
    """Fit reality's density to the residuals of the member that comes nearest to the readings.

    Raises:
        GapError: every member diverges, or there are too few episodes or transitions.
    """
    episode, step = recording.transitions()
    before, after = (recording.observations[episode, step + later] for later in (0, 1))
    scale = np.where(after.std(axis=0) > 0, after.std(axis=0), 1.0)
    squares = np.zeros((len(simulated.fibre), after.shape[1]))
    for part, rows in simulated.batches(recording):
        expected = simulated.expect(part).reading
        squares += np.square((after[rows] - expected) / scale).sum(axis=1)
    if np.isnan(squares).all(axis=0).any():
        raise GapError("every member of the fibre diverges from a recorded state; are its units right?")
    with np.errstate(divide="ignore"):  # a sensor that a member repeats exactly; the fit says that it has no density
        nearest = int(np.nanargmin(np.log(squares).sum(axis=1)))
    own = simulated.member(nearest).expect(recording).reading[0]
    known = [recording.actions[episode, step]]
    if not simulated.filters:
        known += [recording.qpos[episode, step], recording.qvel[episode, step]]
    if simulated.filters or not simulated.uncertain:
        known.append(before)  # readings that the members know of, or that say no more than the state does
    return fit_residuals(after, own, np.hstack(known), episode)


def fit_residuals(reading: Floats, simulated: Floats, features: Floats, episode: Ints) -> FittedReality:
    """Fit reality's one-step density to residuals of the simulation, leaving whole episodes out in turn.

    The residual of a reading is regressed linearly on the features and the simulation's own expectation, with a ridge
    chosen by generalized cross-validation (Golub, Heath and Wahba 1979, Technometrics 21:215-223), so that where the
    simulation is right nothing is added to it. What remains is taken for normal, independent between sensors. A fitted
    density is never more probable on average than the true one, so the gap it leads to is, on average, too small
    rather than too large.

    Args:
        reading: (N, d).
        simulated: (N, d) what the simulation expects.
        features: (N, p) what was known before: the last readings and the action.
        episode: (N,) the episode of each.

    Raises:
        GapError: fewer than two episodes, or too few transitions for the features.
    """
    names, index = np.unique(episode, return_inverse=True)
    folds = min(len(names), _MOST_FOLDS)
    if folds < 2:
        raise GapError("reality's own density is fitted to episodes left out, and there is a single one: add episodes")
    design = np.hstack([np.ones((len(reading), 1)), _standard(features), _standard(simulated)])
    fold = index % folds
    if (fewest := min(int((fold != out).sum()) for out in range(folds))) < 2 * design.shape[1]:
        raise GapError(
            f"{fewest} transitions are too few to fit reality's density with {design.shape[1]} features: add episodes"
        )
    correction, deviation, spread = _left_out(design, reading - simulated, fold)
    for sensor in np.flatnonzero((spread <= _EXACT * np.abs(reading).max(axis=0)).any(axis=0)):
        raise GapError(f"sensor {sensor} repeats what is expected exactly: it has no density")
    expected = simulated + correction
    calibration = float(np.square((reading - expected) / deviation).mean())
    return FittedReality(expected, deviation, design, fold, calibration)


def _left_out(design: Floats, residual: Floats, fold: Ints) -> tuple[Floats, Floats, Floats]:
    """Fit residuals (N, c) to features (N, p) with each fold left out in turn.

    Returns:
        (N, c) the fit to the other folds, (N, c) the deviation of its error, (folds, c) the spread that it leaves.
    """
    fit, deviation = np.empty_like(residual), np.empty_like(residual)
    spreads = []
    for out in range(int(fold.max()) + 1):
        left = fold == out
        ridge = _Ridge.fit(design[~left], residual[~left])
        fit[left], leverage = ridge.at(design[left])
        deviation[left] = ridge.spread * np.sqrt(1.0 + leverage)
        spreads.append(ridge.spread)
    return fit, deviation, np.array(spreads)


@dataclass(frozen=True, eq=False)
class FitNull:
    """Draws of a fitted reality where the robot is a world of a randomization.

    Attributes:
        ratios: (B,) ln of the fit's density minus that of the best world, mean over transitions.
        left_over: (B,) mean square of the fit's errors over the deviation of the sensors' noise.
    """

    ratios: Floats
    left_over: Floats


def null_of_fit(
    fitted: FittedReality, width: Floats, slope: Floats, posterior: Posterior, draws: int, rng: np.random.Generator
) -> FitNull:
    """Fit reality again to readings of robots that are worlds of a randomization, linearised around the best world.

    Readings of a world z, σε around what it expects, have their mode δ = P⁻¹ (Jᵀε/σ - z) away, for the precision P, and
    leave the residuals σε - Jδ there. The worlds z are drawn from the posterior.

    Args:
        fitted: the fit to the recording.
        width: (d,) deviation σ of the noise of each sensor.
        slope: (N, d, k) the change J of what is expected with the coordinates.
        posterior: after all episodes.
        draws: how many robots.
        rng: draws worlds and noise.
    """
    mode, (n, d, k) = posterior.mode, slope.shape
    flat, covariance = (slope / width[:, None]).reshape(n * d, k), mode.covariance
    root = np.linalg.cholesky(covariance)
    ratios, left_over = np.empty(draws), np.empty(draws)
    for some in np.array_split(np.arange(draws), -(-draws * n * d // _NUMBERS_AT_ONCE)):
        noise = rng.standard_normal((n * d, len(some)))
        robot = mode.z[:, None] + root @ rng.standard_normal((k, len(some)))
        noise -= flat @ (covariance @ (flat.T @ noise - robot))
        residual = noise.reshape(n, d * len(some)) * np.repeat(width, len(some))
        fit, deviation, _ = _left_out(fitted.design, residual, fitted.fold)
        apart = normal(residual - fit, deviation) - normal(residual, np.repeat(width, len(some)))
        ratios[some] = apart.reshape(n, d, -1).sum(axis=1).mean(axis=0)
        left_over[some] = np.square((residual - fit) / np.repeat(width, len(some))).reshape(n * d, -1).mean(axis=0)
    return FitNull(ratios, left_over)


@dataclass(frozen=True, eq=False)
class _Ridge:
    """Linear fits with a penalty on their coefficients, of several columns to the same features.

    Attributes:
        coefficients: (p, c).
        right, singular: of the features' singular value decomposition, (p, p) and (p,).
        ridges: (c,) the penalty of each column.
        spread: (c,) standard deviation of what each fit leaves.
    """

    coefficients: Floats
    right: Floats
    singular: Floats
    ridges: Floats
    spread: Floats

    @classmethod
    def fit(cls, x: Floats, y: Floats) -> _Ridge:
        """Fit with the ridge whose generalized cross-validation error, n |y - ŷ|² / (n - trace)², is least."""
        left, singular, right = np.linalg.svd(x, full_matrices=False)
        rotated = left.T @ y
        outside = np.square(y).sum(axis=0) - np.square(rotated).sum(axis=0)
        ridges = _RIDGES * np.square(singular).mean()
        shrink = np.square(singular) / (np.square(singular) + ridges[:, None])
        left_over = outside + np.square(1.0 - shrink) @ np.square(rotated)
        freedom = len(x) - shrink.sum(axis=1)
        best = np.argmin(left_over / np.square(freedom)[:, None], axis=0)
        chosen = left_over[best, np.arange(y.shape[1])]
        scaled = rotated * singular[:, None] / (np.square(singular)[:, None] + ridges[best])
        spread = np.sqrt(np.maximum(chosen, 0.0) / freedom[best])
        return cls(right.T @ scaled, right, singular, ridges[best], spread)

    def at(self, x: Floats) -> tuple[Floats, Floats]:
        """Return the fits (n, c) at new rows, and what their own uncertainty adds to the variance, relative to it."""
        leverage = np.square(x @ self.right.T) @ (1.0 / (np.square(self.singular)[:, None] + self.ridges))
        return x @ self.coefficients, leverage


def _standard(columns: Floats) -> Floats:
    """Scale columns to mean 0 and deviation 1; those that do not vary become 0."""
    spread = columns.std(axis=0)
    moved: Floats = (columns - columns.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return moved
