"""KL from nearest-neighbour distances, without a model of the distributions.

Wang, Kulkarni and Verdú 2009, IEEE Transactions on Information Theory 55:2392-2405: with
ρ_k(i) the distance of real point i to its k-th nearest other real point, ν_k(i) to its k-th nearest
simulated point, n and m points in d dimensions,

    KL = d/n Σ_i ln(ν_k(i) / ρ_k(i)) + ln(m / (n - 1)).

Two changes make it fit for episodes and fibres. A point's neighbours in its own block (its own
episode) do not count, since steps close in time are close in space: n - 1 becomes the number of real
points outside its block. And simulated points carry weight: each of a member's m_e points w_e / m_e.
The density k / (m c_d ν_k^d) that the formula divides by becomes W / (c_d ν_k^d) with W the weight of
the k nearest, which for equal weights 1/m is the same.

The bias of nearest-neighbour densities falls off as (k/n)^(1/d) where the density is Lipschitz (Singh and
Póczos 2016, "Finite-sample analysis of fixed-k nearest neighbor density functional estimators").
Estimates with k and with 4 k neighbours therefore extrapolate to none,

    corrected = KL_k + (KL_k - KL_4k) / (4^(1/d) - 1),

which is why the interval grows so quickly with the number of sensors.

The level "transition" is the difference of two such estimates, of the joint (o, o') and of o, and
noisier than either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular
from scipy.spatial import cKDTree

from sim2real_cat.errors import GapError
from sim2real_cat.gaps.estimate import Measured
from sim2real_cat.gaps.resampling import Blocks, LeftOut, deal, jackknife
from sim2real_cat.gaps.samples import Cloud, Floats, Ints, require_density
from sim2real_cat.gaps.settings import Settings

_MOST_BLOCKS = 16
# The second number of neighbours, as a multiple of the first.
_FARTHER = 4
# What the extrapolation leaves of the bias, as a share of what it removes: the exponent is a bound, not a law.
_BIAS_DOUBT = 0.5
# A correction of more nats than this that makes up more than half of the result is not a measurement any more.
_CORRECTION = 0.1
# How many simulated points tell what distances are usual inside the simulated cloud.
_PROBES = 1000
# A tail that the simulated samples do not reach holds most of a divergence, so even a small share matters.
_OUTSIDE = 0.02
# More than this share of points that coincide is no matter of chance or of a common initial state.
_COINCIDENT = 0.01


@dataclass(frozen=True)
class Nearest:
    """The nearest points of one side, enough of them to leave out any one block.

    Attributes:
        distance: (n, 2 far) ascending; infinite where there are no more.
        block: (n, 2 far) the block of each.
        far: How many are wanted.
    """

    distance: Floats
    block: Ints
    far: int

    @classmethod
    def find(cls, trees: list[cKDTree], points: Floats, far: int, own: Ints | None = None) -> Nearest:
        """Search one tree per block; points with a block of their `own` (n,) have no neighbours in it."""
        found = np.stack([tree.query(points, k=range(1, far + 1), workers=-1)[0] for tree in trees], axis=1)
        if own is not None:
            found[np.arange(len(points)), own] = np.inf
        flat = found.reshape(len(points), -1)
        order = np.argsort(flat, axis=1, kind="stable")[:, : 2 * far]
        return cls(np.take_along_axis(flat, order, axis=1), order // far, far)

    def without(self, left_out: int | None) -> tuple[Floats, Ints]:
        """(n, far) distances and blocks of the nearest that are not in the block left out."""
        if left_out is None:
            return self.distance[:, : self.far], self.block[:, : self.far]
        order = np.argsort(self.block == left_out, axis=1, kind="stable")[:, : self.far]
        return np.take_along_axis(self.distance, order, axis=1), np.take_along_axis(self.block, order, axis=1)


@dataclass(frozen=True)
class Neighbours:
    """What the estimate needs in one scope, with all blocks or without one.

    Attributes:
        width: Dimension of the points.
        real: Nearest real points of every real point.
        sim: Nearest simulated points of every real point.
        real_blocks: The blocks of the real side.
        sim_blocks: The blocks of the simulated side.
    """

    width: int
    real: Nearest
    sim: Nearest
    real_blocks: Blocks
    sim_blocks: Blocks

    def divergence(
        self, weights: Mapping[int, float], real_out: int | None = None, sim_out: int | None = None
    ) -> Floats:
        """The estimate in nats.

        Args:
            weights: Weight of each fibre member.
            real_out: A real block to leave out, both its points and as neighbours.
            sim_out: A simulated block to leave out.

        Returns:
            (2,) The estimate with k neighbours, and the same with its bias removed by extrapolation.
        """
        rows = self.real_blocks.label != (-1 if real_out is None else real_out)
        rho, _ = self.real.without(real_out)
        nu, block = self.sim.without(sim_out)
        rho, nu, block = rho[rows], nu[rows], block[rows]
        sizes = self.real_blocks.sizes
        others = sizes.sum() - (0 if real_out is None else sizes[real_out]) - sizes[self.real_blocks.label[rows]]
        weight = self._weight_per_point(weights, sim_out)[block].cumsum(axis=1)
        far = self.real.far
        terms = []
        for k in (far // _FARTHER, far):
            floor = _smallest_positive(rho[:, k - 1], nu[:, k - 1])
            ratio = np.log(np.maximum(nu[:, k - 1], floor)) - np.log(np.maximum(rho[:, k - 1], floor))
            terms.append(float((self.width * ratio - np.log(weight[:, k - 1]) + np.log(k / others)).mean()))
        bias = (terms[1] - terms[0]) / (_FARTHER ** (1 / self.width) - 1)
        return np.array([terms[0], terms[0] - bias])

    def _weight_per_point(self, weights: Mapping[int, float], sim_out: int | None) -> Floats:
        """(simulated blocks,) w_e / m_e with m_e the member's points outside the block left out."""
        sizes, stratum = self.sim_blocks.sizes.copy(), self.sim_blocks.stratum
        if sim_out is not None:
            sizes[sim_out] = 0
        per_point: Floats = np.array([weights[int(e)] / sizes[stratum == e].sum() for e in stratum])
        return per_point


def measure(
    real: Cloud, sim: Cloud, weights: Mapping[int, float], settings: Settings, rng: np.random.Generator
) -> Measured:
    """The nearest-neighbour estimate with an interval from leaving out blocks.

    Args:
        real: Real points.
        sim: Simulated points.
        weights: Weight of each fibre member, adding up to 1.
        settings: The confidence and the number of neighbours k count.
        rng: Deals the episodes into blocks and draws the probes of the simulated cloud.

    Returns:
        The estimate.

    Raises:
        GapError: Too few points for k neighbours, or dependent sensors.
    """
    neighbours = settings.neighbours
    pooled = np.concatenate([real.points, sim.points])
    require_density(pooled, real.columns, f"the {real.rows} of both sides together")
    real_blocks = deal(real.episode, np.zeros_like(real.episode), _MOST_BLOCKS, rng)
    sim_blocks = deal(sim.episode, sim.member, max(2, _MOST_BLOCKS // len(weights)), rng)
    _require_neighbours(real_blocks, sim_blocks, neighbours)
    probes = rng.permutation(len(sim.points))[:_PROBES]
    reasons: list[str] = []
    far = _FARTHER * neighbours
    whole, without_real, without_sim = np.zeros(2), np.zeros(real_blocks.count), np.zeros(sim_blocks.count)
    for width, sign in real.scopes:
        factor = np.linalg.cholesky(np.atleast_2d(np.cov(pooled[:, :width], rowvar=False)))
        white_real, white_sim = _whitened(real.points[:, :width], factor), _whitened(sim.points[:, :width], factor)
        real_trees = [cKDTree(white_real[real_blocks.label == j]) for j in range(real_blocks.count)]
        sim_trees = [cKDTree(white_sim[sim_blocks.label == j]) for j in range(sim_blocks.count)]
        near = Neighbours(
            width,
            Nearest.find(real_trees, white_real, far, real_blocks.label),
            Nearest.find(sim_trees, white_real, far),
            real_blocks,
            sim_blocks,
        )
        inside = Nearest.find(sim_trees, white_sim[probes], neighbours, sim_blocks.label[probes])
        reasons += _doubts(near, inside.distance[:, neighbours - 1], neighbours)
        whole += sign * near.divergence(weights)
        without_real += [sign * near.divergence(weights, real_out=j)[1] for j in range(real_blocks.count)]
        without_sim += [sign * near.divergence(weights, sim_out=j)[1] for j in range(sim_blocks.count)]
    groups = [LeftOut(real_blocks.sizes, without_real)]
    for e in weights:
        mine = sim_blocks.stratum == e
        groups.append(LeftOut(sim_blocks.sizes[mine], without_sim[mine]))
    plug_in, raw = (float(number) for number in whole)
    interval = jackknife(raw, groups).interval(raw, settings.confidence, _BIAS_DOUBT * abs(plug_in - raw))
    if abs(plug_in - raw) > max(_CORRECTION, 0.5 * abs(raw)):
        reasons.append(
            f"{raw - plug_in:+.2f} nats are extrapolated from the number of neighbours: too few points for "
            f"{len(real.columns)} dimensions"
        )
    return Measured(plug_in, raw, *interval, tuple(dict.fromkeys(reasons)))


def _require_neighbours(real: Blocks, sim: Blocks, k: int) -> None:
    """Check that k neighbours remain when any block is left out."""
    if k < 1:
        raise GapError(f"neighbours is {k}: give at least 1")
    for side, sizes, away in (("real", real.sizes, 2), ("simulated", sim.sizes, 1)):
        left = int(sizes.sum() - np.sort(sizes)[-away:].sum())
        if left < _FARTHER * k:
            raise GapError(
                f"the {side} side has {int(sizes.sum())} points in {len(sizes)} blocks, too few for {_FARTHER * k} "
                "nearest neighbours outside a block: add episodes or lower neighbours"
            )


def _doubts(near: Neighbours, inside: Floats, k: int) -> list[str]:
    """Reasons not to rely on the distances: points that coincide, or real points where no simulated one is.

    Args:
        near: The distances of the real points.
        inside: (probes,) distances of simulated points to their k-th nearest in other blocks.
        k: Which neighbour counts.
    """
    rho, nu = near.real.distance[:, k - 1], near.sim.distance[:, k - 1]
    reasons = []
    coincident = float(((rho == 0) | (nu == 0)).mean())
    if coincident > _COINCIDENT:
        reasons.append(f"{coincident:.0%} of the real points coincide with {k} others: quantised or repeated samples")
    outside = float((nu > np.quantile(inside, 0.999)).mean())
    if outside > _OUTSIDE:
        reasons.append(
            f"{outside:.0%} of the real points lie outside the simulated cloud: the divergence may be infinite"
        )
    return reasons


def _whitened(points: Floats, factor: Floats) -> Floats:
    white: Floats = solve_triangular(factor, points.T, lower=True).T
    return np.ascontiguousarray(white)


def _smallest_positive(*distances: Floats) -> float:
    """What to put for a distance of 0, whose logarithm there is none: the smallest distance seen."""
    positive = np.concatenate(distances)
    positive = positive[positive > 0]
    return float(positive.min()) if len(positive) else 1.0
