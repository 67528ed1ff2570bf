"""Modes of a posterior in standard normal coordinates, with the normal approximation at each (Laplace's).

A mode is climbed by Levenberg and Marquardt's method on the Fisher information, from differences of whole batches: one
batch for the derivatives, one for a ladder of damping values. Transitions that a start far away explains badly are
weighted down first, Σ c ln(1 + q/c) in the place of the squared errors q, with a c that falls. At the end the
derivatives are taken again over half a deviation of the posterior: at the kink of a contact, those over a short step
say next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from scipy.special import gammaln

from sim2real_cat.arrays import Floats
from sim2real_cat.posteriors.likelihood import Score
from sim2real_cat.posteriors.prior import FARTHEST

_SHORT = 1e-4
"""A step for derivatives while climbing."""
_LADDER = np.array([1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0, 1e4])
"""Damping values that are tried at once, in units of the information's diagonal."""
_ROUNDS = 25
"""The most steps of one climb."""
_ENOUGH = 0.01
"""A climb ends at a step that gains fewer nats, where the readings are explained as well as their noise allows."""
_RELATIVE = 1e-4
"""Elsewhere it ends at a step that gains less than this share of the nats that are not explained."""
_DRAWS = 64
"""Draws around a mode, of which a better one starts another climb."""
_HEAVY = 5.0
"""Degrees of freedom of these draws."""


class CoordinateLikelihood(Protocol):
    """A likelihood of standard normal coordinates."""

    @property
    def dimension(self) -> int:
        """Return k."""

    @property
    def readings(self) -> int:
        """Return how many readings there are."""

    def score(self, z: Floats) -> Score:
        """Compute the likelihood at coordinates (n, k)."""

    def linearised(self, z: Floats, steps: Floats, weights: Floats | None) -> tuple[Score, Floats]:
        """Compute the likelihood at coordinates (1 + k or 1 + 2k, k), and the information (k, k) at the first."""

    def bend(self, z: Floats, slope: Floats) -> Floats:
        """Compute what a slope (k,) of the log-likelihood adds to the information, as the parameters are bent."""


@dataclass(frozen=True, eq=False)
class Mode:
    """A mode of a posterior and the normal distribution that approximates it there.

    Attributes:
        z: (k,) coordinates.
        log_likelihood: of the recording at the mode [nats].
        by_episode: (episodes,) the same of each episode.
        information: (k, k) Fisher information of the likelihood.
        precision: (k, k) inverse covariance of the normal approximation.
        evaluations: how many worlds were asked on the way.
    """

    z: Floats
    log_likelihood: float
    by_episode: Floats
    information: Floats
    precision: Floats
    evaluations: int

    @property
    def covariance(self) -> Floats:
        """Return (k, k) the covariance of the normal approximation."""
        return np.asarray(np.linalg.inv(self.precision))

    @property
    def log_evidence(self) -> float:
        """Return ln ∫ p(readings | z) N(z; 0, I) dz by Laplace's approximation."""
        _, log_det = np.linalg.slogdet(self.precision)
        return float(self.log_likelihood - 0.5 * self.z @ self.z - 0.5 * log_det)

    @property
    def divergence(self) -> float:
        """Return KL(posterior || prior) of the normal approximation [nats]."""
        _, log_det = np.linalg.slogdet(self.precision)
        return float(0.5 * (np.trace(self.covariance) + self.z @ self.z - len(self.z) + log_det))

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


def find_modes(target: CoordinateLikelihood, starts: Floats, rng: np.random.Generator, *, most: int = 4) -> list[Mode]:
    """Climb from some starts and return the modes that were found, the most probable first.

    Further starts are left out once a climb explains the readings as well as their noise allows:
    ½ Σ q < ½ n + 3 sqrt(n / 2) for n readings.

    Args:
        target: the likelihood.
        starts: (s, k) coordinates, the most promising first.
        rng: draws around a mode.
        most: the largest number of starts to climb from.
    """
    found: list[Mode] = []
    for start in starts[:most]:
        found.append(_searched(target, start, rng))
        square = float(target.score(found[-1].z[None]).square.sum())
        if 0.5 * square < 0.5 * target.readings + 3 * np.sqrt(target.readings / 2):
            break
    found.sort(key=lambda mode: -mode.log_evidence)
    return _distinct(found)


def _distinct(modes: list[Mode]) -> list[Mode]:
    """Leave out a mode that lies within two deviations of a better one."""
    kept: list[Mode] = []
    for mode in modes:
        if all(float((mode.z - one.z) @ one.precision @ (mode.z - one.z)) > 4 * len(mode.z) for one in kept):
            kept.append(mode)
    return kept


def _searched(target: CoordinateLikelihood, start: Floats, rng: np.random.Generator) -> Mode:
    """Climb, look around, and climb again from any better place, three times at most."""
    climb = _Climb(target, np.array(start))
    climb.robust()
    climb.plain()
    mode = climb.mode()
    for _ in range(3):
        drawn = t_draws(mode, _DRAWS, rng)
        score = target.score(drawn).total - 0.5 * np.square(drawn).sum(axis=1)
        climb.evaluations += len(drawn)
        best = int(score.argmax())
        if not score[best] > mode.log_likelihood - 0.5 * mode.z @ mode.z + _ENOUGH:
            break
        climb.z = drawn[best]
        climb.plain()
        mode = climb.mode()
    return mode


def t_draws(mode: Mode, n: int, rng: np.random.Generator) -> Floats:
    """Draw (n, k) coordinates around a mode from a t distribution with five degrees of freedom."""
    root = np.linalg.cholesky(mode.covariance)
    normal = rng.standard_normal((n, len(mode.z)))
    tail = np.sqrt(rng.chisquare(_HEAVY, n) / _HEAVY)
    return np.asarray(np.clip(mode.z + (normal / tail[:, None]) @ root.T, -FARTHEST, FARTHEST))


def t_density(mode: Mode, z: Floats) -> Floats:
    """Compute the log-density (n,) of the distribution that `t_draws` draws from."""
    k = len(mode.z)
    off = z - mode.z
    square = np.einsum("ni,ij,nj->n", off, mode.precision, off)
    _, log_det = np.linalg.slogdet(mode.precision)
    constant = gammaln(0.5 * (_HEAVY + k)) - gammaln(0.5 * _HEAVY) - 0.5 * k * np.log(np.pi * _HEAVY) + 0.5 * log_det
    density: Floats = constant - 0.5 * (_HEAVY + k) * np.log1p(square / _HEAVY)
    return density


@dataclass
class _Climb:
    """A climb from one place; it holds the place where it is."""

    target: CoordinateLikelihood
    z: Floats
    evaluations: int = 0
    _lost: float = field(default=1e300, init=False)

    def robust(self) -> None:
        """Climb with badly explained transitions weighted down, less and less of them."""
        d = self.target.readings / max(self.target.score(self.z[None]).square.shape[1], 1)
        self.evaluations += 1
        for _ in range(_ROUNDS):
            score = self.target.score(self.z[None])
            c = max(float(np.median(score.square[0])), 2 * d)
            if not self._step(c) or c <= 2 * d:
                break

    def plain(self) -> None:
        """Climb to the posterior's own mode."""
        for _ in range(_ROUNDS):
            if not self._step(None):
                return

    def _value(self, score: Score, z: Floats, c: float | None) -> Floats:
        """Return what is to fall: minus the log-posterior, robust with the constant c where there is one."""
        prior = 0.5 * np.square(z).sum(axis=1)
        if c is None:
            fit = -score.total
        else:
            with np.errstate(over="ignore"):
                fit = 0.5 * c * np.log1p(score.square / c).sum(axis=1)
        return np.asarray(np.where(np.isfinite(fit), fit, self._lost) + prior)

    def _step(self, c: float | None) -> bool:
        """Go one step; return whether it gained enough for another."""
        k = self.target.dimension
        rows = np.concatenate([self.z[None], self.z + _SHORT * np.eye(k)])
        weights = None
        if c is not None:
            weights = 1.0 / (1.0 + self.target.score(self.z[None]).square[0] / c)
        score, information = self.target.linearised(rows, np.full(k, _SHORT), weights)
        value = self._value(score, rows, c)
        self.evaluations += len(rows)
        slope = (value[1:] - value[0]) / _SHORT
        data_slope = self.z - slope
        curve = information + np.eye(k) + self._bend(data_slope)
        tried = []
        for damping in (0.0, *_LADDER):
            tried.append(self.z - np.linalg.solve(curve + damping * np.diag(np.diag(curve)), slope))
        candidates = np.clip(np.array(tried), -FARTHEST, FARTHEST)
        reached = self._value(self.target.score(candidates), candidates, c)
        self.evaluations += len(candidates)
        best = int(reached.argmin())
        if not reached[best] < value[0]:
            return False
        self.z = candidates[best]
        unexplained = max(0.5 * float(score.square[0].sum()) - 0.5 * self.target.readings, 0.0)
        return bool(value[0] - reached[best] > max(_ENOUGH, _RELATIVE * unexplained))

    def mode(self) -> Mode:
        """Return the mode here, with derivatives over half a deviation of the posterior."""
        k = self.target.dimension
        _, information = self.target.linearised(
            np.concatenate([self.z[None], self.z + _SHORT * np.eye(k)]), np.full(k, _SHORT), None
        )
        self.evaluations += 1 + k
        precision = information + np.eye(k) + self._bend(self.z)
        half = 0.5 * np.sqrt(np.diagonal(np.linalg.inv(precision)))
        rows = np.concatenate([self.z[None], self.z + np.diag(half), self.z - np.diag(half)])
        score, information = self.target.linearised(rows, 2 * half, None)
        self.evaluations += len(rows)
        precision = information + np.eye(k) + self._bend(self.z)
        return Mode(self.z, float(score.total[0]), score.by_episode[0], information, precision, self.evaluations)

    def _bend(self, slope: Floats) -> Floats:
        """Return the positive part of what a slope of the log-likelihood adds to the information."""
        with np.errstate(invalid="ignore"):
            bend = self.target.bend(self.z, np.where(np.isfinite(slope), slope, 0.0))
        values, vectors = np.linalg.eigh(bend)
        return np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T)
