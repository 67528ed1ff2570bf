"""KL from nearest-neighbour distances, without a model of the distributions.

Wang, Kulkarni and Verdú 2009, IEEE Transactions on Information Theory 55:2392-2405, eq. (5): with
ρ_k(i) the distance of real point i to its k-th nearest other real point, ν_k(i) to its k-th nearest
simulated point, n and m points in d dimensions,

    KL = d/n Σ_i ln(ν_k(i) / ρ_k(i)) + ln(m / (n - 1)).

Two changes make it fit for episodes and fibres. A point's neighbours in its own block (its own
episode) do not count, since steps close in time are close in space: n - 1 becomes the number of real
points outside its block. And simulated points carry weight: each of a member's m_e points w_e / m_e.
The density k / (m c_d ν_k^d) that the formula divides by becomes W / (c_d ν_k^d) with W the weight of
the k nearest, which for equal weights 1/m is the same.

The level "transition" is the difference of two such estimates, of the joint (o, o') and of o, and
noisier than either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.spatial import cKDTree

from sim2real_cat.errors import GapError
from sim2real_cat.gaps.estimate import Measured
from sim2real_cat.gaps.resampling import Blocks, LeftOut, deal, jackknife
from sim2real_cat.gaps.samples import Cloud, Floats, require_density

_MOST_BLOCKS = 16
# How many simulated points tell what distances are usual inside the simulated cloud.
_PROBES = 1000
# More than this share of the real points beyond that is no matter of tails.
_OUTSIDE = 0.05
# More than this share of points that coincide is no matter of chance or of a common initial state.
_COINCIDENT = 0.01


@dataclass(frozen=True)
class Neighbours:
    """Distances from every real point to its nearest points in every block, in one scope.

    Any subset of the blocks has its nearest neighbours among these.

    Attributes:
        width: Dimension of the points.
        label: (n,) the block of each real point.
        real: (n, real blocks, k) ascending; infinite in the point's own block and where a block has fewer.
        sim: (n, simulated blocks, k) likewise.
        real_sizes: (real blocks,) points in each.
        sim_sizes: (simulated blocks,) points in each.
        stratum: (simulated blocks,) the fibre member of each.
    """

    width: int
    label: NDArray[np.intp]
    real: Floats
    sim: Floats
    real_sizes: NDArray[np.intp]
    sim_sizes: NDArray[np.intp]
    stratum: NDArray[np.intp]

    def divergence(
        self, weights: Mapping[int, float], real_blocks: NDArray[np.bool_], sim_blocks: NDArray[np.bool_]
    ) -> float:
        """The estimate from some of the blocks, in nats; infinite distances must not be needed.

        Args:
            weights: Weight of each fibre member.
            real_blocks: (real blocks,) which to use.
            sim_blocks: (simulated blocks,) which to use.

        Returns:
            The estimate, not corrected for bias.
        """
        k = self.real.shape[2]
        rows = real_blocks[self.label]
        rho = _kth(self.real[np.ix_(rows, real_blocks)].reshape(int(rows.sum()), -1), k)
        candidates = self.sim[np.ix_(rows, sim_blocks)].reshape(len(rho), -1)
        others = self.real_sizes[real_blocks].sum() - self.real_sizes[self.label[rows]]
        per_point = self._weight_per_point(weights, sim_blocks)
        if np.ptp(per_point) == 0:
            nu, mass = _kth(candidates, k), np.full(len(rho), k * per_point[0])
        else:
            nearest = np.argpartition(candidates, k - 1, axis=1)[:, :k]
            nu = np.take_along_axis(candidates, nearest, axis=1).max(axis=1)
            mass = np.repeat(per_point, k)[nearest].sum(axis=1)
        floor = _smallest_positive(rho, nu)
        ratio = np.log(np.maximum(nu, floor)) - np.log(np.maximum(rho, floor))
        return float((self.width * ratio - np.log(mass) + np.log(k / others)).mean())

    def _weight_per_point(self, weights: Mapping[int, float], sim_blocks: NDArray[np.bool_]) -> Floats:
        """(chosen simulated blocks,) w_e / m_e with m_e the member's points in the chosen blocks."""
        sizes, stratum = self.sim_sizes[sim_blocks], self.stratum[sim_blocks]
        per_point: Floats = np.array([weights[int(e)] / sizes[stratum == e].sum() for e in stratum])
        return per_point


def measure(
    real: Cloud,
    sim: Cloud,
    weights: Mapping[int, float],
    confidence: float,
    rng: np.random.Generator,
    neighbours: int,
) -> Measured:
    """The nearest-neighbour estimate with an interval from leaving out blocks.

    Args:
        real: Real points.
        sim: Simulated points.
        weights: Weight of each fibre member, adding up to 1.
        confidence: Nominal coverage.
        rng: Deals the episodes into blocks and draws the probes of the simulated cloud.
        neighbours: k, at least 1.

    Returns:
        The estimate.

    Raises:
        GapError: Too few points for k neighbours, or dependent sensors.
    """
    kept = np.isin(sim.member, list(weights))
    points, episode, member = sim.points[kept], sim.episode[kept], sim.member[kept]
    pooled = np.concatenate([real.points, points])
    require_density(pooled, real.columns, f"the {real.rows} of both sides together")
    real_blocks = deal(real.episode, np.zeros_like(real.episode), _MOST_BLOCKS, rng)
    sim_blocks = deal(episode, member, max(2, _MOST_BLOCKS // len(weights)), rng)
    _require_neighbours(real_blocks, sim_blocks, neighbours)
    probes = rng.permutation(len(points))[:_PROBES]
    reasons: list[str] = []
    plug_in, strata = 0.0, [np.zeros(real_blocks.count), np.zeros(sim_blocks.count)]
    for width, sign in real.scopes:
        factor = np.linalg.cholesky(np.atleast_2d(np.cov(pooled[:, :width], rowvar=False)))
        white_real, white_sim = _whitened(real.points[:, :width], factor), _whitened(points[:, :width], factor)
        trees = [cKDTree(white_sim[sim_blocks.label == j]) for j in range(sim_blocks.count)]
        near = Neighbours(
            width,
            real_blocks.label,
            _without_own(
                _distances(
                    [cKDTree(white_real[real_blocks.label == j]) for j in range(real_blocks.count)],
                    white_real,
                    neighbours,
                ),
                real_blocks.label,
            ),
            _distances(trees, white_real, neighbours),
            real_blocks.sizes,
            sim_blocks.sizes,
            sim_blocks.stratum,
        )
        all_real, all_sim = np.ones(real_blocks.count, dtype=bool), np.ones(sim_blocks.count, dtype=bool)
        plug_in += sign * near.divergence(weights, all_real, all_sim)
        for j in range(real_blocks.count):
            strata[0][j] += sign * near.divergence(weights, np.arange(real_blocks.count) != j, all_sim)
        for j in range(sim_blocks.count):
            strata[1][j] += sign * near.divergence(weights, all_real, np.arange(sim_blocks.count) != j)
        inside = _without_own(_distances(trees, white_sim[probes], neighbours), sim_blocks.label[probes])
        reasons += _doubts(near, inside)
    groups = [LeftOut(real_blocks.sizes, strata[0])]
    for e in weights:
        mine = sim_blocks.stratum == e
        groups.append(LeftOut(sim_blocks.sizes[mine], strata[1][mine]))
    spread = jackknife(plug_in, groups)
    raw = plug_in
    return Measured(plug_in, raw, *spread.interval(raw, confidence), tuple(dict.fromkeys(reasons)))


def _require_neighbours(real: Blocks, sim: Blocks, k: int) -> None:
    """Check that k neighbours remain when any block is left out."""
    if k < 1:
        raise GapError(f"neighbours is {k}: give at least 1")
    for side, sizes, away in (("real", real.sizes, 2), ("simulated", sim.sizes, 1)):
        left = int(sizes.sum() - np.sort(sizes)[-away:].sum())
        if left < k:
            raise GapError(
                f"the {side} side has {int(sizes.sum())} points in {len(sizes)} blocks, too few for {k} nearest "
                "neighbours outside a block: add episodes or lower neighbours"
            )


def _doubts(near: Neighbours, inside: Floats) -> list[str]:
    """Reasons not to rely on the distances: points that coincide, or real points where no simulated one is.

    Args:
        near: The distances of the real points.
        inside: (probes, simulated blocks, k) distances within the simulated cloud.
    """
    n, _, k = near.real.shape
    rho, nu = _kth(near.real.reshape(n, -1), k), _kth(near.sim.reshape(n, -1), k)
    reasons = []
    coincident = float(((rho == 0) | (nu == 0)).mean())
    if coincident > _COINCIDENT:
        reasons.append(f"{coincident:.0%} of the real points coincide with {k} others: quantised or repeated samples")
    usual = _kth(inside.reshape(len(inside), -1), k)
    outside = float((nu > usual.max()).mean())
    if outside > _OUTSIDE:
        reasons.append(
            f"{outside:.0%} of the real points lie outside the simulated cloud: the divergence may be infinite"
        )
    return reasons


def _distances(trees: list[cKDTree], points: Floats, k: int) -> Floats:
    """(n, trees, k) distances to the k nearest points of each tree, ascending, infinite where it has fewer."""
    return np.stack([tree.query(points, k=range(1, k + 1), workers=-1)[0] for tree in trees], axis=1)


def _without_own(distances: Floats, label: NDArray[np.intp]) -> Floats:
    """The distances with those to the point's own block made infinite."""
    distances[np.arange(len(label)), label] = np.inf
    return distances


def _kth(distances: Floats, k: int) -> Floats:
    kth: Floats = np.partition(distances, k - 1, axis=1)[:, k - 1]
    return kth


def _whitened(points: Floats, factor: Floats) -> Floats:
    white: Floats = solve_triangular(factor, points.T, lower=True).T
    return np.ascontiguousarray(white)


def _smallest_positive(*distances: Floats) -> float:
    """What to put for a distance of 0, whose logarithm there is none: the smallest distance seen."""
    positive = np.concatenate(distances)
    positive = positive[positive > 0]
    return float(positive.min()) if len(positive) else 1.0
