"""Draws from a posterior: weighted draws from the approximation at its modes, improved where too few of them count.

Where they are few, as many again are drawn from a t distribution that is fitted to them, and all are weighted by the
mixture that they came from (Cornuet, Marin, Mira and Robert 2012, Scandinavian Journal of Statistics 39:798-812). If
that does not help, they are tempered.

Tempered sequential Monte Carlo (Del Moral, Doucet and Jasra 2006, Journal of the Royal Statistical Society B
68:411-436) moves draws from the approximation q to the posterior p along the densities q^(1-β) p^β. Each β is the
largest at which half of the draws still count (Jasra et al. 2011, Scandinavian Journal of Statistics 38:1-22); then
they are resampled and moved by a random walk of Metropolis and Hastings. The Python packages for this bring JAX, or
take one draw at a time, where a batch of simulations wants all of them at once; hence these lines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from sim2real_cat.arrays import Floats
from sim2real_cat.posteriors.modes import (
    CoordinateLikelihood,
    Explored,
    Gaussian,
    Mode,
    log_posterior_at,
    t_density,
    t_draws,
)
from sim2real_cat.posteriors.prior import FARTHEST

ENOUGH = 25.0
"""Effective draws, 1 / Σ w², below which more are taken, and below which a posterior is not relied on."""

_WORTH_MORE = 32
"""Draws below which more is not done where few of them count."""
_ADAPTED = 2
"""Rounds of further draws, from what was learned by those before."""
_SWEEPS = 3
"""Moves of every draw at each temperature."""
_TEMPERATURES = 40
"""The most temperatures."""


@dataclass(frozen=True, eq=False)
class Draws:
    """Weighted draws from a density that is known up to a constant.

    Attributes:
        z: (n, k) the draws.
        weights: (n,) sum to 1.
        log_total: ln of the constant: the integral of the density.
        efficiency: the effective share of the draws, 1 / (n Σ w²); the share of distinct ones where they were moved.
        moved: whether they were moved by tempering.
        evaluations: how many were scored.
    """

    z: Floats
    weights: Floats
    log_total: float
    efficiency: float
    moved: bool
    evaluations: int

    @property
    def effective(self) -> float:
        """Return the number of effective draws."""
        return self.efficiency * len(self.z)


def draw(
    target: CoordinateLikelihood, found: Sequence[tuple[float, Explored]], n: int, rng: np.random.Generator
) -> Draws:
    """Draw from a posterior by way of t distributions at its modes, as many from each as it is probable.

    Args:
        target: the likelihood.
        found: the modes with the draws around them that are there already, each with its probability, of any total.
        n: how many draws.
        rng: a generator.
    """
    total = sum(chance for chance, _ in found)
    counts = _dealt([chance / total for chance, _ in found], n)
    proposals: list[tuple[float, Gaussian]] = [
        (count / n, around.mode) for count, (_, around) in zip(counts, found, strict=True) if count
    ]
    z, scored = [], []
    for count, (_, around) in zip(counts, found, strict=True):
        old = min(count, len(around.drawn))
        new = t_draws(around.mode, count - old, rng)
        z += [around.drawn[:old], new]
        scored += [around.log_posterior[:old], log_posterior_at(target, new) if len(new) else np.zeros(0)]
    places, log_posterior = np.concatenate(z), np.concatenate(scored)
    drawn = _weighted(places, log_posterior - _mixture(proposals, places))
    if n < _WORTH_MORE or not np.isfinite(drawn.log_total):
        return drawn
    for again in range(1, _ADAPTED + 1):
        if drawn.effective >= ENOUGH:
            return drawn
        fitted = _fitted(drawn, found[0][1].mode)
        new = t_draws(fitted, n, rng)
        proposals = [(share * again / (again + 1), mode) for share, mode in proposals] + [(1 / (again + 1), fitted)]
        places = np.concatenate([places, new])
        log_posterior = np.concatenate([log_posterior, log_posterior_at(target, new)])
        drawn = _weighted(places, log_posterior - _mixture(proposals, places))
    if drawn.effective >= ENOUGH:
        return drawn
    some = rng.permutation(len(places))[:n]

    def proposal(at: Floats) -> Floats:
        return _mixture(proposals, at)

    return _tempered(places[some], proposal, lambda at: log_posterior_at(target, at), log_posterior[some], rng)


def _mixture(proposals: Sequence[tuple[float, Gaussian]], z: Floats) -> Floats:
    """Compute the log-density (n,) of a mixture of t distributions."""
    parts = [np.log(share) + t_density(mode, z) for share, mode in proposals]
    return np.asarray(logsumexp(parts, axis=0))


def _fitted(drawn: Draws, mode: Mode) -> Gaussian:
    """Return the mean and covariance of weighted draws, the covariance drawn towards that of a mode where they are few.

    Its weight is that of an inverse Wishart prior with k + 1 degrees of freedom more than it needs (Ledoit and Wolf's
    idea with a fixed weight): (m S + k C) / (m + k) for m effective draws.
    """
    k = drawn.z.shape[1]
    m = 1.0 / float(np.square(drawn.weights).sum())
    mean = drawn.weights @ drawn.z
    off = drawn.z - mean
    spread = (off * drawn.weights[:, None]).T @ off
    return Gaussian(mean, np.linalg.inv((m * spread + k * mode.covariance) / (m + k)))


def _dealt(chances: Sequence[float], n: int) -> list[int]:
    """Return how many of n draws each mode gets: its share, rounded so that they add up."""
    shares = np.asarray(chances) * n
    counts = np.floor(shares).astype(int)
    for mode in np.argsort(counts - shares, kind="stable")[: n - counts.sum()]:
        counts[mode] += 1
    return [int(count) for count in counts]


def _weighted(z: Floats, log_weight: Floats) -> Draws:
    """Return draws with weights from their logarithms: importance sampling."""
    total = float(logsumexp(log_weight))
    if not np.isfinite(total):
        return Draws(z, np.full(len(z), 1.0 / len(z)), -np.inf, 0.0, False, len(z))
    weights = np.exp(log_weight - total)
    efficiency = float(1.0 / (len(z) * np.square(weights).sum()))
    return Draws(z, weights, total - np.log(len(z)), efficiency, False, len(z))


def _tempered(
    z: Floats,
    log_proposal: Callable[[Floats], Floats],
    log_target: Callable[[Floats], Floats],
    scored: Floats,
    rng: np.random.Generator,
) -> Draws:
    """Move draws from a proposal to a target.

    Args:
        z: (n, k) draws from the proposal.
        log_proposal: its log-density at (n, k).
        log_target: the target's, up to a constant.
        scored: (n,) the target at `z`.
        rng: a generator.

    Returns:
        Draws of the target; `efficiency` is 0 where the temperatures did not reach it.
    """
    n, k = z.shape
    z, target, proposal = z.copy(), scored.copy(), log_proposal(z)
    beta, log_total, evaluations = 0.0, 0.0, n
    for _ in range(_TEMPERATURES):
        ratio = target - proposal
        step = _next(ratio, 1.0 - beta)
        log_weight = step * np.where(np.isfinite(ratio), ratio, -np.inf)
        log_total += float(logsumexp(log_weight) - np.log(n))
        weights = np.exp(log_weight - logsumexp(log_weight))
        beta += step
        rows = _systematic(weights, rng)
        centre = weights @ z
        spread = ((z - centre) * weights[:, None]).T @ (z - centre) + 1e-9 * np.eye(k)
        z, target, proposal = z[rows], target[rows], proposal[rows]
        root = np.linalg.cholesky(spread) * 2.38 / np.sqrt(k)
        for scale in (1.0, 0.5, 0.2)[:_SWEEPS]:
            moved = np.clip(z + scale * rng.standard_normal((n, k)) @ root.T, -FARTHEST, FARTHEST)
            new_target, new_proposal = log_target(moved), log_proposal(moved)
            evaluations += n
            gain = (1 - beta) * (new_proposal - proposal) + beta * (new_target - target)
            taken = np.log(rng.random(n)) < np.where(np.isfinite(new_target), gain, -np.inf)
            z[taken], target[taken], proposal[taken] = moved[taken], new_target[taken], new_proposal[taken]
        if beta >= 1.0:
            distinct = len(np.unique(z, axis=0)) / n
            return Draws(z, np.full(n, 1.0 / n), log_total, distinct, True, evaluations)
    return Draws(z, np.full(n, 1.0 / n), -np.inf, 0.0, True, evaluations)


def _next(ratio: Floats, most: float) -> float:
    """Return the largest step of the temperature after which half of the draws count."""

    def share(step: float) -> float:
        log_weight = step * np.where(np.isfinite(ratio), ratio, -np.inf)
        weights = np.exp(log_weight - logsumexp(log_weight))
        return float(1.0 / (len(ratio) * np.square(weights).sum()))

    if share(most) >= 0.5:
        return most
    low, high = 0.0, most
    for _ in range(50):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if share(middle) >= 0.5 else (low, middle)
    return max(low, 1e-6)


def _systematic(weights: Floats, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Resample rows with one random number (systematic resampling)."""
    n = len(weights)
    places = (rng.random() + np.arange(n)) / n
    return np.minimum(np.searchsorted(np.cumsum(weights), places), n - 1)
