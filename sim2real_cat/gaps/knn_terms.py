"""KL from nearest-neighbour distances, without a model of the distributions.

Wang, Kulkarni and Verdú 2009, IEEE Transactions on Information Theory 55:2392-2405: with
ρ_k(i) the distance of real point i to its k-th nearest other real point, ν_k(i) to its k-th nearest
simulated point, n and m points in d dimensions, the variant "plain" is

    KL = d/n Σ_i ln(ν_k(i) / ρ_k(i)) + ln(m / (n - 1)).

Two changes make it fit for episodes and fibres. A point's neighbours close in time do not count, since they
are close in space (`neighbours.Away`): n - 1 becomes the number of real points that do. And simulated points
carry weight: each of a member's m_e points w_e / m_e. The density k / (m c_d ν_k^d) that the formula divides by
becomes W / (c_d ν_k^d) with W the weight of the k nearest, which for equal weights 1/m is the same.

The bias falls off as (k/n)^(1/d) where the density is Lipschitz (Singh and Póczos 2016, "Finite-sample analysis
of fixed-k nearest neighbor density functional estimators"). The other variants reduce it:

- "reduced", of the same paper of Wang, Kulkarni and Verdú: both densities look at the same neighbourhood, of radius
  max(ρ_k(i), ν_k(i)). With l(i) real and q(i) simulated points in it (at most `_MOST_COUNTED` are counted), a term is
  d ln(ν_q / ρ_l) + ψ(l) - ψ(q) + ln(m / (n - 1)).
- "extrapolated", from k and 4 k neighbours to none: KL_k + (KL_k - KL_4k) / (4^(1/d) - 1).
- "anchored": KL_k minus what it gets wrong on Gaussians of the same moments (module `anchor`).

The level "transition" is the difference of two such estimates, of the joint (o, o') and of o, and
noisier than either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import digamma

from sim2real_cat.gaps.neighbours import Away, Nearest
from sim2real_cat.gaps.resampling import Blocks, LeftOut
from sim2real_cat.gaps.samples import Floats, Ints

VARIANTS = ("anchored", "extrapolated", "plain", "reduced")
"""What is done about the bias."""

# The second number of neighbours, as a multiple of the first.
_FARTHER = 4
# How many points within the common radius the variant "reduced" counts at most, as a multiple of k.
_MOST_COUNTED = 12


@dataclass(frozen=True)
class Rule:
    """A variant and its number of neighbours.

    Attributes:
        variant: A name in `VARIANTS`.
        k: The number of neighbours.
    """

    variant: str
    k: int

    @property
    def far(self) -> int:
        """How many neighbours have to be known."""
        return self.k * {"extrapolated": _FARTHER, "reduced": _MOST_COUNTED}.get(self.variant, 1)


@dataclass(frozen=True)
class Neighbours:
    """What the estimate needs in one scope, with all blocks or without one.

    Attributes:
        width: Dimension of the points.
        rows: (q,) the real points at which it is evaluated.
        real: Nearest real points of each.
        sim: Nearest simulated points of each.
        away: Which real points could be neighbours.
        sim_blocks: The blocks of the simulated side.
        weights: Weight of each fibre member.
    """

    width: int
    rows: Ints
    real: Nearest
    sim: Nearest
    away: Away
    sim_blocks: Blocks
    weights: Mapping[int, float]

    @classmethod
    def find(
        cls,
        real: Floats,
        sim: Floats,
        away: Away,
        sim_blocks: Blocks,
        weights: Mapping[int, float],
        far: int,
        rows: Ints | None = None,
    ) -> Neighbours:
        """Search the neighbours of real points (n, d), all or some, on both sides."""
        rows = np.arange(len(real)) if rows is None else rows
        within, among = Nearest.within(real, away, rows, far), Nearest.among(sim, sim_blocks, real[rows], far)
        return cls(real.shape[1], rows, within, among, away, sim_blocks, weights)

    def terms(self, rule: Rule, real_out: int | None = None, sim_out: int | None = None) -> tuple[Floats, Floats]:
        """The terms whose mean is the estimate, in nats, and those of the plain one.

        Args:
            rule: Variant and number of neighbours; the variant "anchored" is plain here.
            real_out: A real block to leave out, both its points and as neighbours.
            sim_out: A simulated block to leave out.
        """
        kept = np.ones(len(self.rows), bool) if real_out is None else self.away.blocks.label[self.rows] != real_out
        rho = self.real.without(real_out)[0][kept]
        nu, block = (found[kept] for found in self.sim.without(sim_out))
        others = np.log(self.away.others(real_out)[self.rows[kept]])
        weight = np.log(self._weight_per_point(sim_out)[block].cumsum(axis=1))
        plain = self._ratio(rho, nu, rule.k, rule.k) - weight[:, rule.k - 1] + np.log(rule.k) - others
        if rule.variant == "reduced":
            radius = np.maximum(rho[:, rule.k - 1], nu[:, rule.k - 1])[:, None]
            inner, outer = (rho <= radius).sum(axis=1), (nu <= radius).sum(axis=1)
            counted = np.take_along_axis(weight, outer[:, None] - 1, axis=1)[:, 0] + digamma(outer) - np.log(outer)
            return self._ratio(rho, nu, inner, outer) - counted + digamma(inner) - others, plain
        if rule.variant == "extrapolated":
            far = self._ratio(rho, nu, rule.far, rule.far) - weight[:, rule.far - 1] + np.log(rule.far) - others
            return plain + (plain - far) / (_FARTHER ** (1 / self.width) - 1), plain
        return plain, plain

    def mean(self, rule: Rule, real_out: int | None = None, sim_out: int | None = None) -> float:
        """The estimate."""
        return float(self.terms(rule, real_out, sim_out)[0].mean())

    def left_out(self, rule: Rule) -> list[LeftOut]:
        """The estimate without each block: of the real side, then of each member."""
        real, sim = self.away.blocks, self.sim_blocks
        groups = [LeftOut(real.sizes, np.array([self.mean(rule, real_out=j) for j in range(real.count)]))]
        without = np.array([self.mean(rule, sim_out=j) for j in range(sim.count)])
        for member in self.weights:
            mine = sim.stratum == member
            groups.append(LeftOut(sim.sizes[mine], without[mine]))
        return groups

    def _ratio(self, rho: Floats, nu: Floats, inner: int | Ints, outer: int | Ints) -> Floats:
        """(n,) d ln(ν / ρ) of the neighbours of those ranks, counted from 1."""
        rows = np.arange(len(rho))
        near, far = rho[rows, inner - 1], nu[rows, outer - 1]
        positive = np.concatenate([near[near > 0], far[far > 0]])
        # What to put for a distance of 0, whose logarithm there is none: the smallest distance seen.
        floor = positive.min() if len(positive) else 1.0
        ratio: Floats = self.width * (np.log(np.maximum(far, floor)) - np.log(np.maximum(near, floor)))
        return ratio

    def _weight_per_point(self, sim_out: int | None) -> Floats:
        """(simulated blocks,) w_e / m_e with m_e the member's points outside the block left out."""
        sizes, stratum = self.sim_blocks.sizes.copy(), self.sim_blocks.stratum
        if sim_out is not None:
            sizes[sim_out] = 0
        per_point: Floats = np.array([self.weights[int(e)] / sizes[stratum == e].sum() for e in stratum])
        return per_point
