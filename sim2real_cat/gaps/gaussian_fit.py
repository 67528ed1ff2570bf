"""The Gaussian estimate on all points and without each block: what the method "gaussian" and the anchor share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from sim2real_cat.gaps.moments import Moments, unbiased_divergence
from sim2real_cat.gaps.normal import Mixture, Normal
from sim2real_cat.gaps.resampling import Blocks, LeftOut, jackknife
from sim2real_cat.gaps.samples import Cloud, Floats, require_density

# What the jackknife leaves of the bias, as a share of what it removes: it sees the first order in 1/n only. Measured: 2
# times the bias per dimension (10 sensors, 40 to 500 rows), and 0.2 to 0.6, 0.2 to 0.3 and 0.1 with 2, 4 and 12 blocks.
_BIAS_DOUBT = 0.5


def log_ratios(real: Cloud, sim: Cloud, weights: Mapping[int, float], at: Floats | None = None) -> Floats:
    """(n,) log p_real - log p_sim under the fitted Gaussians, in nats, at every real point or at others.

    At the level "transition" these are the conditional densities of o' given o. The mean over the real points is
    the plug-in estimate: for one member exactly the closed form, `moments.divergence`, of the sample moments.

    Args:
        real: Real points.
        sim: Simulated points.
        weights: Weight of each fibre member, adding up to 1.
        at: (n, D) where; by default the real points.

    Raises:
        GapError: Too few points or dependent sensors, on the real side or in a member.
    """
    require_densities(real, sim, weights)
    centre, scale = common_scale(real, sim)
    real, sim = rescaled(real, centre, scale), rescaled(sim, centre, scale)
    points = real.points if at is None else (at - centre) / scale
    total = np.zeros(len(points))
    for width, sign in real.scopes:
        mixture = Mixture.fit(members_of(sim, weights, width), weights, points[:, :width])
        total += sign * (Normal.fit(real.points[:, :width]).logpdf(points[:, :width]) - mixture.logpdf())
    return total


@dataclass(frozen=True)
class Fitted:
    """The Gaussian estimate.

    Attributes:
        plug_in: On all points, with its bias.
        raw: Without: in closed form where rows are independent and the fibre has one member, else by the jackknife.
        bias_doubt: What is left of the bias, as a standard deviation in nats.
        strata: The plug-in estimate without each block, of the real side and of each member.
    """

    plug_in: float
    raw: float
    bias_doubt: float
    strata: list[LeftOut]

    @classmethod
    def leave_out(
        cls, real: Cloud, sim: Cloud, weights: Mapping[int, float], real_blocks: Blocks, sim_blocks: Blocks
    ) -> Fitted:
        """Fit with all blocks, and without each.

        Raises:
            GapError: Too few points or dependent sensors, on the real side or in a member.
            numpy.linalg.LinAlgError: Too few points to leave out a block.
        """
        plug_in = float(log_ratios(real, sim, weights).mean())
        centre, scale = common_scale(real, sim)
        real, sim = rescaled(real, centre, scale), rescaled(sim, centre, scale)
        strata = _left_out(real, sim, weights, real_blocks, sim_blocks)
        if independent_rows(real) and independent_rows(sim) and len(weights) == 1:
            moments = Moments.of(real.points), Moments.of(sim.points)
            raw = unbiased_divergence(*moments, len(real.points), len(sim.points))
            return cls(plug_in, raw, 0.0, strata)
        spread = jackknife(plug_in, strata)
        share = min(_BIAS_DOUBT, 2 * abs(spread.bias) / len(real.columns) + 1 / spread.blocks)
        return cls(plug_in, plug_in - spread.bias, share * abs(spread.bias), strata)


def independent_rows(cloud: Cloud) -> bool:
    """Whether every point is an episode of its own."""
    return cloud.level == "occupancy" and len(np.unique(cloud.episode)) == len(cloud.episode)


def require_densities(real: Cloud, sim: Cloud, weights: Mapping[int, float]) -> None:
    """Check that the real side and every member can have a density.

    Raises:
        GapError: Too few points or dependent sensors.
    """
    require_density(real.points, real.columns, f"the {real.rows} of the real side")
    for member in weights:
        what = f"the {sim.rows} of simulated member {member}"
        require_density(sim.points[sim.member == member], sim.columns, what)


def common_scale(real: Cloud, sim: Cloud) -> tuple[Floats, Floats]:
    """Mean and standard deviation of both clouds' columns; on this scale factors are well conditioned."""
    both = np.concatenate([real.points, sim.points])
    return both.mean(axis=0), both.std(axis=0)


def rescaled(cloud: Cloud, centre: Floats, scale: Floats) -> Cloud:
    """A cloud on another scale, which changes no ratio of densities."""
    return replace(cloud, points=(cloud.points - centre) / scale)


def members_of(sim: Cloud, weights: Mapping[int, float], width: int) -> dict[int, Floats]:
    """The leading columns of each member's points."""
    return {member: sim.points[sim.member == member, :width] for member in weights}


def _left_out(
    real: Cloud, sim: Cloud, weights: Mapping[int, float], real_blocks: Blocks, sim_blocks: Blocks
) -> list[LeftOut]:
    """The estimate without each block, for each stratum."""
    without_real = np.zeros(real_blocks.count)
    without_sim = np.zeros(sim_blocks.count)
    for width, sign in real.scopes:
        at = real.points[:, :width]
        members = members_of(sim, weights, width)
        mixture = Mixture.fit(members, weights, at)
        log_mixture = mixture.logpdf()
        entropy = -Normal.fit(at).mean_logpdf()
        for j in range(real_blocks.count):
            kept = real_blocks.label != j
            without_real[j] += sign * (Normal.fit(at[kept]).mean_logpdf() - log_mixture[kept].mean())
        for column, member in enumerate(members):
            rows = sim.member == member
            for j in np.flatnonzero(sim_blocks.stratum == member).tolist():
                kept_points = sim.points[rows & (sim_blocks.label != j), :width]
                without_sim[j] += sign * (-entropy - mixture.logpdf_with(column, kept_points).mean())
    strata = [LeftOut(real_blocks.sizes, without_real)]
    for member in weights:
        mine = sim_blocks.stratum == member
        strata.append(LeftOut(sim_blocks.sizes[mine], without_sim[mine]))
    return strata
