"""How well one ranking agrees with another: rank violations in their published conventions, and correlations.

Every function takes scores (..., n) of n policies and reduces the last axis, so that one call serves the scores
observed, scores resampled and scores permuted. Which order the policies stand in does not matter.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import stats

from sim2real_cat.arrays import Bools, Floats
from sim2real_cat.errors import GapError, unknown_name

CONVENTIONS = ("simpler", "autoeval", "real2sim", "realm")
"""The published conventions of the mean maximum rank violation, as `mmrv` takes them."""


def mmrv(real: Floats, sim: Floats, convention: str = "simpler") -> Floats:
    """The mean maximum rank violation: how large, in units of the score, are the mistakes of a ranking.

    With R_i the real and S_i the simulated score of policy i,

        MMRV = 1/n Σ_i max_j V(i, j)

    where V(i, j) is a gap between the policies i and j if the two sides order them differently, else 0. The
    publications differ in the gap and in what a tie is:

    - "simpler": V = |R_i - R_j| where (S_i > S_j) ≠ (R_i > R_j). Li et al. 2024, Evaluating Real-World Robot
      Manipulation Policies in Simulation, arXiv 2405.05941, as its authors' code computes it
      (`mean_maximum_rank_violation` in SimplerEnv's `simpler_env/utils/metrics.py`). Of two policies that tie on one
      side alone the better one, on the other side, is charged.
    - "autoeval": V = |R_i - R_j| where (S_i < S_j) ≠ (R_i < R_j), the formula as Zhou et al. 2025, AutoEval, arXiv
      2503.24278, section 5.1, print it. It charges the worse one of such a tie; without ties it is "simpler".
    - "real2sim": V = |S_i - S_j| where (S_i > S_j) ≠ (R_i > R_j): the simulated gap. Zhang et al. 2025, Real-to-Sim
      Robot Policy Evaluation with Gaussian Splatting, arXiv 2511.04665, cite SIMPLER and print no formula; this is the
      one that reproduces their table I from the counts of their figure 3.
    - "realm": V = |R_i - R_j| where (R_i - R_j)(S_i - S_j) < 0, a product of signs, so that a tie is never a violation.
      Sedlacek et al. 2025, REALM, arXiv 2512.19562.

    Args:
        real: (..., n) real scores, n >= 1.
        sim: (..., n) simulated scores.
        convention: One of `CONVENTIONS`.

    Returns:
        (...) >= 0, and <= 1 for scores in [0, 1]; 0 where the rankings agree.

    Raises:
        GapError: The convention is not known.
    """
    if convention not in CONVENTIONS:
        raise GapError(unknown_name("convention of MMRV", convention, CONVENTIONS))
    found: Floats = _violations(real, sim, convention).max(axis=-1).mean(axis=-1)
    return found


def worst_violation(real: Floats, sim: Floats, convention: str = "simpler") -> tuple[int, int] | None:
    """The two policies, by their positions, whose order costs most: the better real one first; None without any."""
    violations = _violations(real, sim, convention)
    i, j = (int(k) for k in np.unravel_index(int(violations.argmax()), violations.shape))
    if violations[i, j] == 0:
        return None
    return (i, j) if real[i] >= real[j] else (j, i)


def _violations(real: Floats, sim: Floats, convention: str) -> Floats:
    """(..., n, n) V(i, j)."""
    real_gap = real[..., :, None] - real[..., None, :]
    sim_gap = sim[..., :, None] - sim[..., None, :]
    differ: Bools
    if convention == "realm":
        differ = np.sign(real_gap) * np.sign(sim_gap) < 0
    elif convention == "autoeval":
        differ = (sim_gap < 0) != (real_gap < 0)
    else:
        differ = (sim_gap > 0) != (real_gap > 0)
    gap = np.abs(sim_gap if convention == "real2sim" else real_gap)
    return np.where(differ, gap, 0.0)


def pearson(real: Floats, sim: Floats) -> Floats:
    """(...) Pearson's r in [-1, 1]; NaN where all scores of a side are equal."""
    a, b = _centred(real), _centred(sim)
    return _ratio((a * b).sum(axis=-1), np.sqrt((a**2).sum(axis=-1) * (b**2).sum(axis=-1)))


def spearman(real: Floats, sim: Floats) -> Floats:
    """(...) Spearman's ρ in [-1, 1], with tied scores on their mean rank; NaN where all scores of a side are equal."""
    return pearson(stats.rankdata(real, axis=-1), stats.rankdata(sim, axis=-1))


def kendall(real: Floats, sim: Floats) -> Floats:
    """(...) Kendall's τ_b in [-1, 1], corrected for ties; NaN where all scores of a side are equal."""
    a = np.sign(real[..., :, None] - real[..., None, :])
    b = np.sign(sim[..., :, None] - sim[..., None, :])
    pairs = (-2, -1)
    return _ratio((a * b).sum(axis=pairs), np.sqrt((a**2).sum(axis=pairs) * (b**2).sum(axis=pairs)))


CORRELATIONS: dict[str, Callable[[Floats, Floats], Floats]] = {
    "pearson": pearson,
    "spearman": spearman,
    "kendall": kendall,
}
"""The correlations by name."""


def _centred(scores: Floats) -> Floats:
    """Deviations from the mean on a scale of at most 1, exactly 0 where all scores are equal."""
    low, high = scores.min(axis=-1, keepdims=True), scores.max(axis=-1, keepdims=True)
    spread = np.where(high > low, high - low, 1.0)
    scaled = (scores - low) / spread
    centred: Floats = scaled - scaled.mean(axis=-1, keepdims=True)
    return centred


def _ratio(above: Floats, below: Floats) -> Floats:
    """The quotient, between -1 and 1; NaN where `below` is 0."""
    some = below > 0
    return np.where(some, np.clip(above / np.where(some, below, 1.0), -1.0, 1.0), np.nan)
