"""What a nearest-neighbour estimate gets wrong on Gaussians of the same moments, where the truth is known.

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

from sim2real_cat.gaps.gaussian_fit import log_ratios
from sim2real_cat.gaps.knn_terms import Neighbours, Rule
from sim2real_cat.gaps.neighbours import Away
from sim2real_cat.gaps.normal import Normal
from sim2real_cat.gaps.resampling import Blocks
from sim2real_cat.gaps.samples import Cloud, Floats

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
        errors = []
        for _ in range(_TWINS):
            rows = np.sort(rng.permutation(len(real.points))[:_QUERIES])
            twin, twin_sim = _twin(real.points, rng), np.empty_like(sim.points)
            for member in weights:
                mine = sim.member == member
                twin_sim[mine] = _twin(sim.points[mine], rng)
            found = -log_ratios(real, sim, weights, twin[rows])
            for width, sign in real.scopes:
                points, others = whiten[width](twin[:, :width]), whiten[width](twin_sim[:, :width])
                near = Neighbours.find(points, others, away, sim_blocks, weights, rule.far, rows)
                found += sign * near.terms(rule)[0]
            errors.append(float(found.mean()))
        return cls(float(np.mean(errors)), float(np.var(errors, ddof=1)) / _TWINS)


def _twin(points: Floats, rng: np.random.Generator) -> Floats:
    """Gaussian points with the sample mean and the sample covariance of others (n, d), up to rounding."""
    fitted, drawn = Normal.fit(points), rng.standard_normal(points.shape)
    centred = drawn - drawn.mean(axis=0)
    own = np.linalg.cholesky(centred.T @ centred / len(centred))
    twin: Floats = fitted.mean + solve_triangular(own, centred.T, lower=True).T @ fitted.factor.T
    return twin
