"""Modes of a posterior in standard normal coordinates, with the normal approximation at each (Laplace's).

A mode is climbed by Levenberg and Marquardt's method on the Fisher information, from differences of whole batches: one
batch for the derivatives, one for a ladder of damping values. The steps of the differences are a share of the
posterior's own deviation, so that the kink of a contact, over which a short step says next to nothing, is averaged.

The climb from far away goes over a random sample of the transitions, and badly explained ones are weighted down there:
Σ c ln(1 + q/c) in the place of the squared errors q, with a c that falls. So several starts cost little.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import gammaln

from sim2real_cat.arrays import Floats, Ints
from sim2real_cat.linear_algebra import on_one_thread
from sim2real_cat.posteriors.likelihood import Score
from sim2real_cat.posteriors.prior import FARTHEST

_FIRST_STEP = 1e-4
"""A step for the first derivatives of a climb."""
_SHARE = 0.3
"""Later ones, in deviations of the posterior along a coordinate with the others held."""
_SHORTEST, _LONGEST = 1e-6, 0.05
"""Their limits."""
_LADDER = np.array([0.0, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0, 1e4])
"""Damping values that are tried at once, in units of the information's diagonal."""
_ROUNDS = 25
"""The most steps of one climb."""
_ENOUGH = 0.01
"""A climb ends at a step that gains fewer nats, where the readings are explained as well as their noise allows."""
_RELATIVE = 1e-3
"""Elsewhere it ends at a step that gains less than this share of the nats that are not explained."""
_STARTS = 4
"""Places to climb from over the sample, two of them at least."""
_WORTH = 30.0
"""Nats below the best end of a climb, of all transitions, up to which another end is climbed to its mode."""
_AGAIN = 3
"""Climbs that are begun again from a better place, drawn around the end of the one before."""
LOOKS = 64
"""Draws around a mode, of which a better one starts another climb."""
_HEAVY = 5.0
"""The least degrees of freedom of these draws."""


class CoordinateLikelihood(Protocol):
    """A likelihood of standard normal coordinates."""

    @property
    def dimension(self) -> int:
        """Return k."""

    @property
    def readings(self) -> int:
        """Return how many readings there are."""

    @property
    def steps(self) -> int:
        """Return how many transitions there are."""

    def score(self, z: Floats, rows: Ints | None = None) -> Score:
        """Compute the likelihood at coordinates (n, k), or the errors of some transitions alone."""

    def linearised(
        self, z: Floats, steps: Floats, tolerated: float | None = None, rows: Ints | None = None
    ) -> tuple[Score, Floats]:
        """Compute the likelihood at coordinates (1 + k or 1 + 2k, k), and the information (k, k) at the first."""

    def bend(self, z: Floats, slope: Floats) -> Floats:
        """Compute what a slope (k,) of the log-likelihood adds to the information, as the parameters are bent."""


@dataclass(frozen=True, eq=False)
class Gaussian:
    """A normal distribution.

    Attributes:
        z: (k,) its mean.
        precision: (k, k) its inverse covariance.
    """

    z: Floats
    precision: Floats

    @property
    def covariance(self) -> Floats:
        """Return (k, k) the covariance."""
        return np.asarray(np.linalg.inv(self.precision))


@dataclass(frozen=True, eq=False)
class Mode(Gaussian):
    """A mode of a posterior and the normal distribution that approximates it there.

    Attributes:
        log_likelihood: of the recording at the mode [nats].
        by_episode: (episodes,) the same of each episode.
        square: squared errors of all readings at the mode, in units of their deviation.
        information: (k, k) Fisher information of the likelihood.
    """

    log_likelihood: float
    by_episode: Floats
    square: float
    information: Floats

    @property
    def log_evidence(self) -> float:
        """Return ln ∫ p(readings | z) N(z; 0, I) dz by Laplace's approximation."""
        return float(self.log_likelihood - 0.5 * self.z @ self.z - 0.5 * _log_det(self.precision))

    @property
    def divergence(self) -> float:
        """Return KL(posterior || prior) of the normal approximation [nats]."""
        wide = np.trace(self.covariance) + self.z @ self.z - len(self.z)
        return float(0.5 * (wide + _log_det(self.precision)))

    @property
    def accuracy(self) -> float:
        """Return the mean of the log-likelihood under the normal approximation; its evidence plus its divergence.

        It is ll - ½ tr Σ (Σ⁻¹ - I): Σ⁻¹ - I is the information and the bend of the coordinates, which counts at the
        edges of the prior.
        """
        return float(self.log_likelihood - 0.5 * (len(self.z) - np.trace(self.covariance)))

    @property
    def freedom(self) -> float:
        """Return the number of coordinates that the readings determine: the trace of covariance times information."""
        return float(np.trace(self.covariance @ self.information))


def _log_det(matrix: Floats) -> float:
    return float(np.linalg.slogdet(matrix)[1])


@dataclass(frozen=True, eq=False)
class Explored:
    """A mode, and draws around it.

    Attributes:
        mode: the mode.
        drawn: (LOOKS, k) draws of `t_draws`.
        log_posterior: (LOOKS,) ln p(readings | z) N(z; 0, I) of each.
    """

    mode: Mode
    drawn: Floats
    log_posterior: Floats


@dataclass(frozen=True, eq=False)
class End:
    """The end of a climb over a sample of the transitions.

    Attributes:
        z: (k,) coordinates.
        value: minus the log-posterior of the sample, with badly explained transitions weighted down; up to a constant.
        share: the sample's share of all transitions.
    """

    z: Floats
    value: float
    share: float


def sampled_ends(target: CoordinateLikelihood, drawn: Floats, rng: np.random.Generator) -> list[End]:
    """Climb over a sample of the transitions from the best of some places.

    Args:
        target: the likelihood.
        drawn: (n, k) places, of which the first is always climbed from if it is possible.
        rng: chooses the sample.

    Returns:
        The ends that are hills of their own, the best first; none where every place is impossible.
    """
    n = target.steps
    size = min(n, max(96, 4 * target.dimension, n // 32))
    rows = np.sort(rng.permutation(n)[:size])
    d = target.readings / n
    square = target.score(drawn, rows).square
    value = _robust(square, d) + 0.5 * np.square(drawn).sum(axis=1)
    order = [row for row in np.argsort(value, kind="stable").tolist() if np.isfinite(value[row])]
    if not order:
        return []
    places = list(dict.fromkeys([order[0], *([0] if np.isfinite(value[0]) else []), *order[1:]]))[:_STARTS]
    ends: list[End] = []
    explained = False
    for tried, place in enumerate(places):
        climb = Climb(target, drawn[place].copy(), rows)
        climb.robust()
        square = target.score(climb.z[None], rows).square
        ends.append(End(climb.z, float(_robust(square, d)[0] + 0.5 * climb.z @ climb.z), size / n))
        explained = explained or _unexplained(float(square.sum()), size * d) == 0
        if tried > 0 and explained:
            break
    ends.sort(key=lambda end: end.value)
    return _hills(target, ends, rows, d)


def _robust(square: Floats, d: float) -> Floats:
    """Return (n,) half of the squared errors (n, N) of transitions, those of more than 2d weighted down."""
    with np.errstate(over="ignore"):
        return np.asarray(d * np.log1p(square / (2 * d)).sum(axis=1))


def _unexplained(square: float, n: float) -> float:
    """Return the nats by which squared errors of n readings exceed what noise gives them with three deviations."""
    return max(0.5 * square - 0.5 * n - 3 * math.sqrt(n / 2), 0.0)


def _hills(target: CoordinateLikelihood, ends: list[End], rows: Ints, d: float) -> list[End]:
    """Leave out ends that no valley parts from a better one."""
    kept: list[End] = []
    for end in ends:
        if kept and (end.value - kept[0].value) / end.share > _WORTH:
            continue
        path = [one.z + at * (end.z - one.z) for one in kept for at in (0.25, 0.5, 0.75)]
        if path:
            z = np.array(path)
            value = _robust(target.score(z, rows).square, d) + 0.5 * np.square(z).sum(axis=1)
            if (value.reshape(len(kept), 3).max(axis=1) <= end.value + _ENOUGH).any():
                continue
        kept.append(end)
    return kept


def explored(target: CoordinateLikelihood, start: Floats, rng: np.random.Generator) -> Explored:
    """Climb to a mode, look around, and climb again from any better place, three times at most."""
    climb = Climb(target, np.array(start))
    climb.plain()
    if _unexplained(climb.square, target.readings) > 0:
        climb.robust()
        climb.plain()
    for again in range(_AGAIN + 1):
        mode = climb.mode()
        drawn = t_draws(mode, LOOKS, rng)
        log_posterior = log_posterior_at(target, drawn)
        best = int(log_posterior.argmax())
        here = mode.log_likelihood - 0.5 * mode.z @ mode.z - 0.5 * len(mode.z) * np.log(2 * np.pi)
        if again == _AGAIN or not log_posterior[best] > here + _better(len(mode.z)):
            break
        climb = Climb(target, drawn[best], curve=mode.precision)
        climb.plain()
    return Explored(mode, drawn, log_posterior)


def _better(k: int) -> float:
    """Return the nats by which a draw is to be better than a mode to start another climb."""
    return max(_ENOUGH, 0.01 * k)


def climbed(target: CoordinateLikelihood, start: Floats) -> Mode:
    """Climb to the nearest mode from a place that is close to it."""
    climb = Climb(target, np.array(start))
    climb.plain()
    return climb.mode()


def log_posterior_at(target: CoordinateLikelihood, z: Floats) -> Floats:
    """Compute (n,) ln p(readings | z) N(z; 0, I) at coordinates (n, k)."""
    standard = -0.5 * np.square(z).sum(axis=1) - 0.5 * target.dimension * np.log(2 * np.pi)
    return np.asarray(target.score(z).total + standard)


def t_draws(mode: Gaussian, n: int, rng: np.random.Generator) -> Floats:
    """Draw (n, k) coordinates around a mode from a t distribution with k degrees of freedom, five at least."""
    root = np.linalg.cholesky(mode.covariance)
    normal = rng.standard_normal((n, len(mode.z)))
    freedom = _freedom(len(mode.z))
    tail = np.sqrt(rng.chisquare(freedom, n) / freedom)
    return np.asarray(np.clip(mode.z + (normal / tail[:, None]) @ root.T, -FARTHEST, FARTHEST))


def t_density(mode: Gaussian, z: Floats) -> Floats:
    """Compute the log-density (n,) of the distribution that `t_draws` draws from."""
    k = len(mode.z)
    off = z - mode.z
    square = np.einsum("ni,ij,nj->n", off, mode.precision, off)
    freedom = _freedom(k)
    constant = gammaln(0.5 * (freedom + k)) - gammaln(0.5 * freedom) - 0.5 * k * np.log(np.pi * freedom)
    density: Floats = constant + 0.5 * _log_det(mode.precision) - 0.5 * (freedom + k) * np.log1p(square / freedom)
    return density


def _freedom(k: int) -> float:
    """Return the degrees of freedom of draws in k coordinates: in many, draws with five are mostly too far out."""
    return max(_HEAVY, float(k))


class Climb:
    """A climb from one place; it holds the place where it is.

    Args:
        target: the likelihood.
        z: (k,) the place.
        rows: the transitions that count; all where none are given.
        curve: (k, k) the curvature at the place, if it is known.

    Attributes:
        z: (k,) the place.
        square: squared errors there; infinite before the first step.
    """

    def __init__(
        self, target: CoordinateLikelihood, z: Floats, rows: Ints | None = None, curve: Floats | None = None
    ) -> None:
        self.target, self.z, self.rows, self.square = target, z, rows, np.inf
        self._curve = curve
        self._damping: float | None = None

    def robust(self) -> None:
        """Climb with badly explained transitions weighted down, less and less of them."""
        d = self.target.readings / self.target.steps
        for _ in range(_ROUNDS):
            square = self.target.score(self.z[None], self.rows).square[0]
            tolerated = max(float(np.median(square)), 2 * d)
            if not self._step(tolerated) and tolerated <= 2 * d:
                return

    def plain(self, rounds: int = _ROUNDS) -> None:
        """Climb to the posterior's own mode, or some steps towards it."""
        for _ in range(rounds):
            if not self._step(None):
                return

    def moved(self, start: Floats) -> float:
        """Return the square of the way from a place, in deviations of the posterior; 0 before the first step."""
        off = self.z - start
        return 0.0 if self._curve is None else float(off @ self._curve @ off)

    def mode(self) -> Mode:
        """Return the mode here, with derivatives over half a deviation of the posterior.

        The first derivatives tell how long that is; if it was far from that, they are taken once more.
        """
        k, target = len(self.z), self.target
        if self._curve is None:
            steps = np.full(k, _FIRST_STEP)
            information = target.linearised(self._around(steps), steps)[1]
            self._curve = information + np.eye(k) + self._bend(self.z)
        half = 0.5 * np.sqrt(np.diagonal(np.linalg.inv(self._curve)))
        rows = np.concatenate([self.z[None], self.z + np.diag(half), self.z - np.diag(half)])
        score, information = target.linearised(rows, 2 * half)
        precision = information + np.eye(k) + self._bend(self.z)
        return Mode(
            self.z,
            precision,
            float(score.total[0]),
            score.by_episode[0],
            float(score.square[0].sum()),
            information,
        )

    def _around(self, steps: Floats) -> Floats:
        return np.concatenate([self.z[None], self.z + np.diag(steps)])

    def _value(self, score: Score, z: Floats, tolerated: float | None) -> Floats:
        """Return what is to fall: minus the log-posterior; robust where errors are tolerated."""
        if tolerated is None:
            fit = -score.total
        else:
            with np.errstate(over="ignore"):
                fit = 0.5 * tolerated * np.log1p(score.square / tolerated).sum(axis=1)
        return np.asarray(fit + 0.5 * np.square(z).sum(axis=1))

    def _step(self, tolerated: float | None) -> bool:
        """Go one step; return whether it gained enough for another."""
        k = len(self.z)
        if k == 0:
            return False
        steps = np.full(k, _FIRST_STEP)
        if self._curve is not None:
            steps = np.clip(_SHARE / np.sqrt(np.diagonal(self._curve)), _SHORTEST, _LONGEST)
        around = self._around(steps)
        score, information = self.target.linearised(around, steps, tolerated, self.rows)
        value = self._value(score, around, tolerated)
        self.square = float(score.square[0].sum())
        curve = information + np.eye(k)
        with np.errstate(invalid="ignore"):
            slope = (value[1:] - value[0]) / steps - 0.5 * steps * np.diagonal(curve)
        slope = np.where(np.isfinite(slope), slope, self.z)
        curve = curve + self._bend(self.z - slope)
        self._curve = curve
        best, reached = self._tried(curve, slope, tolerated, float(value[0]))
        if not reached < value[0]:
            return False
        self.z = best
        unexplained = max(0.5 * self.square - 0.5 * score.square.shape[1] * self.target.readings / self.target.steps, 0)
        return bool(value[0] - reached > max(_ENOUGH, _RELATIVE * unexplained))

    def _tried(self, curve: Floats, slope: Floats, tolerated: float | None, here: float) -> tuple[Floats, float]:
        """Return the best place that some damping leads to, and what it is worth; `here` is what the place is worth."""
        ladders = [_LADDER]
        if self._damping is not None:
            ladders = [np.array([0.0, 0.1, 1.0, 10.0]) * max(self._damping, 1e-3), _LADDER]
        for ladder in ladders:
            moves = [np.linalg.solve(curve + damping * np.diag(np.diagonal(curve)), slope) for damping in ladder]
            places = np.clip(self.z - np.array(moves), -FARTHEST, FARTHEST)
            value = self._value(self.target.score(places, self.rows), places, tolerated)
            at = int(np.where(np.isnan(value), np.inf, value).argmin())
            if value[at] < here:
                self._damping = float(ladder[at])
                return places[at], float(value[at])
        return self.z, here

    def _bend(self, slope: Floats) -> Floats:
        """Return the positive part of what a slope of the log-likelihood adds to the information."""
        if not len(self.z):
            return np.zeros((0, 0))
        with on_one_thread():
            values, vectors = np.linalg.eigh(self.target.bend(self.z, slope))
        return np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T)
