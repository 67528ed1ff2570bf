"""Rank violations and correlations of simulated with real scores of policies, with p-values and intervals.

A rank violation or a correlation takes scores (..., n) of n policies on both sides and reduces the last axis, so that
one call serves the scores observed, scores drawn and scores permuted. The order of the policies does not matter.

A permutation p-value says how often chance ranks as well, and its floor the smallest that so few policies allow.

Success counts leave the true success rates uncertain. Resampling the counts does not help: a resample carries the noise
of the counts twice, so its rankings agree less than those of the true rates, and an interval from its quantiles misses
them. A model of the policies takes the noise out instead of adding to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias, get_args

import numpy as np
from scipy import stats

from sim2real_cat.arrays import Bools, Floats, Ints
from sim2real_cat.errors import GapError, unknown_name
from sim2real_cat.gaps.permutation import every_order, p_value, random_orders
from sim2real_cat.linear_algebra import on_one_thread
from sim2real_cat.ranking.table import Counts, PolicyTable

Convention: TypeAlias = Literal["simpler", "autoeval", "real2sim", "realm"]
"""A published convention of the mean maximum rank violation."""

CONVENTIONS: tuple[Convention, ...] = get_args(Convention)
"""The conventions, as `mmrv` takes them."""

Agreement: TypeAlias = Callable[[Floats, Floats], Floats]
"""A statistic (...) of real and simulated scores (..., n)."""

SIGNIFICANT = 0.05
"""The p-value that a panel of policies must at least be able to reach."""

EXACT = 8
"""The most policies of which every permutation is tried: 8! = 40 320."""

SAMPLED = 9_999
"""The number of random permutations of more policies."""

DRAWS = 4_000
"""The number of draws of the true success rates."""

SPREADS = np.linspace(0.02, 1.2, 24)
"""The standard deviations of the policies' angles that are considered, on either side."""

ANGLE_CORRELATIONS = np.linspace(-1.0, 1.0, 41)
"""The correlations of the policies' angles that are considered; the ends are perfect agreement."""

# Pairs of policies in one batch of arrays.
_AT_ONCE = 2_000_000


def mmrv(real: Floats, sim: Floats, convention: Convention = "simpler") -> Floats:
    """Compute the mean maximum rank violation: how large, in units of the score, are the mistakes of a ranking.

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


def worst_violation(real: Floats, sim: Floats, convention: Convention = "simpler") -> tuple[int, int] | None:
    """Find the two policies, by position, whose order costs most: the better real one first; None without any."""
    violations = _violations(real, sim, convention)
    i, j = (int(k) for k in np.unravel_index(int(violations.argmax()), violations.shape))
    if violations[i, j] == 0:
        return None
    return (i, j) if real[i] >= real[j] else (j, i)


def _violations(real: Floats, sim: Floats, convention: Convention) -> Floats:
    """Compute (..., n, n) the violations V(i, j)."""
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
    """Compute (...) Pearson's r in [-1, 1]; NaN where all scores of a side are equal."""
    a, b = _centred(real), _centred(sim)
    return _ratio((a * b).sum(axis=-1), np.sqrt((a**2).sum(axis=-1) * (b**2).sum(axis=-1)))


def spearman(real: Floats, sim: Floats) -> Floats:
    """Compute (...) Spearman's ρ in [-1, 1], ties on their mean rank; NaN where all scores of a side are equal."""
    return pearson(stats.rankdata(real, axis=-1), stats.rankdata(sim, axis=-1))


def kendall(real: Floats, sim: Floats) -> Floats:
    """Compute (...) Kendall's τ_b in [-1, 1], corrected for ties; NaN where all scores of a side are equal."""
    a = np.sign(real[..., :, None] - real[..., None, :])
    b = np.sign(sim[..., :, None] - sim[..., None, :])
    pairs = (-2, -1)
    return _ratio((a * b).sum(axis=pairs), np.sqrt((a**2).sum(axis=pairs) * (b**2).sum(axis=pairs)))


CORRELATIONS: dict[str, Agreement] = {
    "pearson": pearson,
    "spearman": spearman,
    "kendall": kendall,
}
"""The correlations by name."""


def _centred(scores: Floats) -> Floats:
    """Return deviations from the mean on a scale of at most 1, exactly 0 where all scores are equal."""
    low, high = scores.min(axis=-1, keepdims=True), scores.max(axis=-1, keepdims=True)
    spread = np.where(high > low, high - low, 1.0)
    scaled = (scores - low) / spread
    centred: Floats = scaled - scaled.mean(axis=-1, keepdims=True)
    return centred


def _ratio(above: Floats, below: Floats) -> Floats:
    """Return the quotient, between -1 and 1; NaN where `below` is 0."""
    some = below > 0
    return np.where(some, np.clip(above / np.where(some, below, 1.0), -1.0, 1.0), np.nan)


def permutations(n: int, rng: np.random.Generator) -> Ints:
    """Return (m, n) all permutations of n policies where they are few, else `SAMPLED` random ones."""
    return every_order(n) if n <= EXACT else random_orders(n, SAMPLED, rng)


def chance_of(strength: Agreement, real: Floats, sim: Floats, orders: Ints) -> tuple[float, float]:
    """Compute the p-value of an agreement, and the smallest that these scores allow.

    Args:
        strength: The agreement of (..., n) real and (..., n) simulated scores: a larger one is more extreme.
        real: (n,) real scores.
        sim: (n,) simulated scores.
        orders: (m, n) from `permutations`.

    Returns:
        The p-value; and that of the best agreement that any permutation of these scores could show, ties included.
    """
    permuted = _in_batches(strength, np.broadcast_to(real, orders.shape), sim[orders])
    seen = strength(real, sim)
    ordered = np.sort(real)
    best = max(permuted.max(), seen, strength(ordered, np.sort(sim)), strength(ordered, np.sort(sim)[::-1]))
    share = partial(p_value, permuted, sampled=len(real) > EXACT, size=max(1e-300, float(np.abs(permuted).max())))
    return share(float(seen)), share(float(best))


def _in_batches(statistic: Agreement, real: Floats, sim: Floats) -> Floats:
    """Compute (m,) a statistic of (m, n) rows, a few at a time so that the pairs of policies fit into memory."""
    step = max(1, _AT_ONCE // real.shape[1] ** 2)
    return np.concatenate([statistic(real[i : i + step], sim[i : i + step]) for i in range(0, len(real), step)])


def draw_rates(real: Counts, sim: Counts, draws: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Draw true success rates given the counts.

    The policies' angles arcsin √rate, real and simulated, are taken as bivariate normal across policies. Its mean has
    a flat prior; the two standard deviations and the correlation are uniform over a grid, on which their posterior is
    computed exactly rather than walked over, so nothing has to converge. Given these, the angles of each policy are
    normal.

    Args:
        real: Counts of n policies, n >= 2.
        sim: Counts of the same.
        draws: The number of draws.
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
    """Return (g, 2, 2) the covariances across policies that are considered."""
    a, b, correlation = (axis.ravel() for axis in np.meshgrid(SPREADS, SPREADS, ANGLE_CORRELATIONS, indexing="ij"))
    across = a * b * correlation
    return np.stack([np.stack([a**2, across], axis=-1), np.stack([across, b**2], axis=-1)], axis=-2)


def _inverse(matrices: Floats) -> tuple[Floats, Floats]:
    """Compute inverse (..., 2, 2) and determinant (...) of symmetric matrices."""
    a, b, c = matrices[..., 0, 0], matrices[..., 0, 1], matrices[..., 1, 1]
    determinant = a * c - b**2
    adjugate = np.stack([np.stack([c, -b], axis=-1), np.stack([-b, a], axis=-1)], axis=-2)
    return adjugate / determinant[..., None, None], determinant


def _normal(covariance: Floats, rng: np.random.Generator) -> Floats:
    """Draw (..., 2) once for each covariance (..., 2, 2), which may be singular."""
    a, b, c = covariance[..., 0, 0], covariance[..., 0, 1], covariance[..., 1, 1]
    first = np.sqrt(a)
    across = b / first
    second = np.sqrt(np.maximum(c - across**2, 0.0))
    z = rng.standard_normal(covariance.shape[:-1])
    return np.stack([first * z[..., 0], across * z[..., 0] + second * z[..., 1]], axis=-1)


@dataclass(frozen=True)
class PolicyScore:
    """One policy with its scores.

    Attributes:
        name: Its name.
        real: Its real score; the success rate where trials were counted.
        real_low: Lower end of the Clopper-Pearson interval of that rate; NaN for a plain score.
        real_high: Upper end.
        sim: The simulated score.
        sim_low: Likewise.
        sim_high: Likewise.
    """

    name: str
    real: float
    real_low: float
    real_high: float
    sim: float
    sim_low: float
    sim_high: float


@dataclass(frozen=True)
class RankStatistic:
    """One number for the agreement of the simulated with the real ranking.

    Attributes:
        name: "mmrv-simpler", "mmrv-autoeval", "mmrv-real2sim", "mmrv-realm", "pearson", "spearman" or "kendall".
        value: Of the scores given. An MMRV is >= 0 in units of the score and better small, a correlation is in [-1, 1]
            and better large. NaN where all scores of a side are equal and a correlation has no meaning.
        low: Lower end of the interval for the true success rates of these very policies; NaN without trials.
        high: Upper end.
        population_low: Lower end of a correlation's interval for policies such as these, of which these are a sample
            (Fisher's z; Bonett and Wright 2000, Psychometrika 65:23-28); NaN for an MMRV.
        population_high: Upper end.
        p_value: The share of all orders of the policies that agree at least as well: two-sided for a correlation,
            with an MMRV at most as large for an MMRV.
        floor: The smallest p-value that these scores could have shown in any order.
        without: The value with each policy left out, in the order of the policies; NaN where one alone remains.
    """

    name: str
    value: float
    low: float
    high: float
    population_low: float
    population_high: float
    p_value: float
    floor: float
    without: tuple[float, ...]


@dataclass(frozen=True)
class Ranking:
    """The agreement of simulated with real scores across policies.

    Attributes:
        policies: The policies, in the order given.
        statistics: The rank violations in each convention, then the correlations.
        worst: The two policies whose simulated order costs most, the better real one first; None without any.
        confidence: The nominal coverage of the intervals.
        reliable: Whether the panel can say anything.
        why: Reasons why not, then notes.
    """

    policies: tuple[PolicyScore, ...]
    statistics: tuple[RankStatistic, ...]
    worst: tuple[str, str] | None
    confidence: float
    reliable: bool
    why: tuple[str, ...]

    def __getitem__(self, name: str) -> RankStatistic:
        """Return the statistic of a name.

        Raises:
            GapError: No statistic has that name.
        """
        found = {statistic.name: statistic for statistic in self.statistics}
        if name not in found:
            raise GapError(unknown_name("statistic", name, found))
        return found[name]

    def to_table(self) -> dict[str, object]:
        """Return the ranking as plain values for JSON; None where a number is not defined."""

        def plain(row: PolicyScore | RankStatistic) -> dict[str, object]:
            return {key: _plain(value) for key, value in vars(row).items()}

        names = [policy.name for policy in self.policies]
        return {
            "reliable": self.reliable,
            "why": list(self.why),
            "confidence": self.confidence,
            "worst": None if self.worst is None else list(self.worst),
            "policies": [plain(policy) for policy in self.policies],
            "statistics": [
                plain(statistic) | {"without": dict(zip(names, map(_plain, statistic.without), strict=True))}
                for statistic in self.statistics
            ],
        }

    def carrier(self, name: str) -> tuple[str, float]:
        """Return the policy without which a statistic changes most, and its value then.

        Raises:
            GapError: There is no statistic of that name.
        """
        statistic = self[name]
        without = np.array(statistic.without)
        # Left out, a policy may leave equal scores behind: nothing changes a correlation more than losing its meaning.
        change = np.where(np.isnan(without), np.inf, np.abs(without - statistic.value))
        place = int(change.argmax())
        return self.policies[place].name, statistic.without[place]


def rank(
    table: PolicyTable,
    *,
    confidence: float = 0.95,
    rng: np.random.Generator | int = 0,
) -> Ranking:
    """Compute rank violations and correlations of simulated with real scores across policies.

    There are two kinds of chance. That of trials: 14 successes of 20 do not give an exact rate. `low` and `high` are
    posterior quantiles for these very policies, given the counts of both sides (`draw_rates`). That of policies: a few
    may agree by luck. `p_value`, its `floor`, `without` and `population_low` say how far.

    Args:
        table: At least two policies, from `PolicyTable.of_counts`, `PolicyTable.of_scores` or `read_policy_table`.
        confidence: Nominal coverage of the intervals, between 0 and 1.
        rng: Draws true success rates, and permutations of more than 8 policies. The default seed 0 makes the result
            reproducible.

    Returns:
        The ranking; not reliable, with the reason, where the policies are so few or so tied that no order of them
        would be significant, all scores of a side are equal, or one policy alone turns a correlation's sign.

    Raises:
        GapError: The confidence is not between 0 and 1, or there is no table.
    """
    if not isinstance(table, PolicyTable):
        raise GapError(f"rank takes a PolicyTable, got {type(table).__name__}; ranking.read_policy_table reads a file")
    if not 0 < confidence < 1:
        raise GapError(f"confidence is {confidence}: give a number between 0 and 1, such as 0.95")
    generator = np.random.default_rng(rng)
    orders = permutations(len(table.names), generator)
    rates = None
    if table.real_counts is not None and table.sim_counts is not None:
        with on_one_thread():  # the order of a sum, and with it the last digit, would depend on the threads
            rates = draw_rates(table.real_counts, table.sim_counts, DRAWS, generator)
    measured = partial(_statistic, table, orders, rates, confidence)
    statistics = (
        *(measured(f"mmrv-{name}", partial(mmrv, convention=name)) for name in CONVENTIONS),
        *(measured(name, function) for name, function in CORRELATIONS.items()),
    )
    pair = worst_violation(table.real, table.sim)
    found = Ranking(
        policies=_policies(table, confidence),
        statistics=statistics,
        worst=None if pair is None else (table.names[pair[0]], table.names[pair[1]]),
        confidence=confidence,
        reliable=True,
        why=(),
    )
    reasons, notes = _doubts(found, table)
    return Ranking(found.policies, statistics, found.worst, confidence, not reasons, (*reasons, *notes))


def _plain(value: object) -> object:
    """Return a value as JSON has it, without NaN."""
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _statistic(
    table: PolicyTable,
    orders: Ints,
    rates: tuple[Floats, Floats] | None,
    confidence: float,
    name: str,
    statistic: Agreement,
) -> RankStatistic:
    """Compute one statistic with its intervals, its p-value, and its values without each policy."""
    real, sim, n = table.real, table.sim, len(table.names)
    value = float(statistic(real, sim))
    low = high = population_low = population_high = probability = floor = np.nan
    if rates is not None:
        drawn = _in_batches(statistic, *rates)
        tails = np.nanquantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
        low, high = (float(end) for end in tails)
    if name in CORRELATIONS:
        population_low, population_high = _population(name, value, n, confidence)
    if np.isnan(value):
        floor = 1.0
    elif name in CORRELATIONS:
        probability, floor = chance_of(lambda a, b: np.abs(statistic(a, b)), real, sim, orders)
    else:
        probability, floor = chance_of(lambda a, b: -statistic(a, b), real, sim, orders)
    kept = [np.delete(np.arange(n), i) for i in range(n)]
    without = tuple(float(statistic(real[rest], sim[rest])) if n > 2 else np.nan for rest in kept)
    return RankStatistic(name, value, low, high, population_low, population_high, probability, floor, without)


def _population(name: str, value: float, n: int, confidence: float) -> tuple[float, float]:
    """Compute Fisher's interval with Bonett and Wright's variances; [-1, 1] where it breaks down."""
    scale = {"pearson": 1.0, "spearman": 1 + value**2 / 2, "kendall": 0.437}[name]
    fewer = 4 if name == "kendall" else 3
    if n <= fewer or not abs(value) < 1:
        return -1.0, 1.0
    half = float(stats.norm.ppf(0.5 + confidence / 2)) * np.sqrt(scale / (n - fewer))
    low, high = np.tanh(np.arctanh(value) + np.array([-half, half]))
    return float(low), float(high)


def _policies(table: PolicyTable, confidence: float) -> tuple[PolicyScore, ...]:
    """Return every policy with the intervals of its rates."""
    n = len(table.names)
    real, sim = (_clopper_pearson(counts, n, confidence) for counts in (table.real_counts, table.sim_counts))
    rows = zip(table.names, table.real.tolist(), real, table.sim.tolist(), sim, strict=True)
    return tuple(PolicyScore(name, a, *a_ends, b, *b_ends) for name, a, a_ends, b, b_ends in rows)


def _clopper_pearson(counts: Counts | None, n: int, confidence: float) -> list[tuple[float, float]]:
    """Compute Clopper and Pearson's interval of each rate (1934, Biometrika 26:404-413)."""
    if counts is None:
        return [(np.nan, np.nan)] * n
    pairs = zip(counts.successes.tolist(), counts.trials.tolist(), strict=True)
    tests = [stats.binomtest(good, of).proportion_ci(confidence, method="exact") for good, of in pairs]
    return [(float(interval.low), float(interval.high)) for interval in tests]


def _doubts(found: Ranking, table: PolicyTable) -> tuple[list[str], list[str]]:
    """List reasons why the panel says nothing, and notes."""
    n = len(table.names)
    reasons, notes = [], []
    equal = [side for side, scores in (("real", table.real), ("simulated", table.sim)) if np.ptp(scores) == 0]
    if equal:
        reasons.append(
            f"all {' and all '.join(equal)} scores are equal: there is no order to predict and no correlation; "
            "add policies that differ"
        )
    floors = {s.name: s.floor for s in found.statistics if s.name in CORRELATIONS and s.floor > SIGNIFICANT}
    if floors and not equal:
        which = ", ".join(f"{name} {floor:.3g}" for name, floor in floors.items())
        reasons.append(
            f"{n} policies{' with such ties' if n > 4 else ''} are too few: even the best order of them has a p-value "
            f"above {SIGNIFICANT} ({which}); add policies"
        )
    for statistic in found.statistics:
        if statistic.name not in CORRELATIONS or n < 3 or np.isnan(statistic.value):
            continue
        name, value = found.carrier(statistic.name)
        if statistic.value > 0 and not value > 0:
            left = "undefined" if np.isnan(value) else f"{value:.3g}"
            reasons.append(f"{statistic.name} rests on '{name}' alone: without it {statistic.value:.3g} is {left}")
    if table.real_counts is None:
        notes.append("plain scores say nothing about their own noise: no interval for these policies; give trials")
    if n > 2:
        name, value = found.carrier("pearson")
        if not np.isnan(value):
            notes.append(f"leaving out '{name}' changes pearson most, from {found['pearson'].value:.3g} to {value:.3g}")
    return reasons, notes
