"""What success counts say about the true success rates of a panel of policies.

Resampling the counts does not do: a resample carries the noise of the counts twice, so its rankings agree less than
those of the true rates, and an interval from its quantiles misses them. A model of the policies takes the noise out
instead of adding to it.
"""

from __future__ import annotations

import numpy as np

from sim2real_cat.gaps.ranking_statistics import Floats
from sim2real_cat.gaps.ranking_table import Counts

SPREADS = np.linspace(0.02, 1.2, 24)
"""The standard deviations of the policies' angles that are considered, on either side."""

CORRELATIONS = np.linspace(-1.0, 1.0, 41)
"""The correlations of the policies' angles that are considered; the ends are perfect agreement."""


def draw_rates(real: Counts, sim: Counts, draws: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Draw true success rates given the counts.

    The policies' angles arcsin √rate, real and simulated, are taken as bivariate normal across policies. Its mean has
    a flat prior; the two standard deviations and the correlation are uniform over a grid, on which their posterior is
    computed exactly rather than walked over, so nothing has to converge. Given these, the angles of each policy are
    normal.

    Args:
        real: Counts of n policies, n >= 2.
        sim: Counts of the same.
        draws: How many.
        rng: Draws them.

    Returns:
        (draws, n) real and (draws, n) simulated rates, in [0, 1]. Where a draw's correlation is 1 the two sides order
        the policies alike.
    """
    observed = np.stack([real.angles, sim.angles], axis=-1)
    noise = np.stack([real.variances, sim.variances], axis=-1)
    between = _between()
    whole, pull = np.zeros_like(between), np.zeros(between.shape[:-1])
    likelihood = np.zeros(len(between))
    # Policies with the same numbers of trials share a covariance, so a panel of one size is one round.
    for variances in np.unique(noise, axis=0):
        those = observed[(noise == variances).all(axis=1)]
        precision, determinant = _inverse(between + np.diag(variances))
        whole += len(those) * precision
        pull += precision @ those.sum(axis=0)
        likelihood -= 0.5 * (len(those) * np.log(determinant) + (precision * (those.T @ those)).sum(axis=(-2, -1)))
    centre_covariance, determinant = _inverse(whole)
    centre = np.einsum("gij,gj->gi", centre_covariance, pull)
    likelihood += 0.5 * ((pull * centre).sum(axis=-1) - np.log(determinant))
    weight = np.exp(likelihood - likelihood.max())
    chosen = rng.choice(len(weight), size=draws, p=weight / weight.sum())

    middle = centre[chosen] + _normal(centre_covariance[chosen], rng)
    across = between[chosen][:, None]
    precision, _ = _inverse(across + noise[:, :, None] * np.eye(2))
    gain = across @ precision
    away = observed - middle[:, None]
    mean = middle[:, None] + np.einsum("dnij,dnj->dni", gain, away)
    left = across - gain @ across
    angles = mean + _normal(left, rng)
    rates = np.sin(np.clip(angles, 0.0, np.pi / 2)) ** 2
    return rates[..., 0], rates[..., 1]


def _between() -> Floats:
    """(g, 2, 2) the covariances across policies that are considered."""
    a, b, correlation = (axis.ravel() for axis in np.meshgrid(SPREADS, SPREADS, CORRELATIONS, indexing="ij"))
    across = a * b * correlation
    return np.stack([np.stack([a**2, across], axis=-1), np.stack([across, b**2], axis=-1)], axis=-2)


def _inverse(matrices: Floats) -> tuple[Floats, Floats]:
    """Inverse (..., 2, 2) and determinant (...) of symmetric matrices."""
    a, b, c = matrices[..., 0, 0], matrices[..., 0, 1], matrices[..., 1, 1]
    determinant = a * c - b**2
    adjugate = np.stack([np.stack([c, -b], axis=-1), np.stack([-b, a], axis=-1)], axis=-2)
    return adjugate / determinant[..., None, None], determinant


def _normal(covariance: Floats, rng: np.random.Generator) -> Floats:
    """(..., 2) a draw for each covariance (..., 2, 2), which may be singular."""
    a, b, c = covariance[..., 0, 0], covariance[..., 0, 1], covariance[..., 1, 1]
    first = np.sqrt(a)
    across = b / first
    second = np.sqrt(np.maximum(c - across**2, 0.0))
    z = rng.standard_normal(covariance.shape[:-1])
    return np.stack([first * z[..., 0], across * z[..., 0] + second * z[..., 1]], axis=-1)
