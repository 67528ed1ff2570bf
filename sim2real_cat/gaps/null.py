"""What a gap looks like where there is none: A/A comparisons, and a p-value of "no more than A/A".

The A/A values compare a side with itself. Its whole episodes are dealt into two halves and the same method measures one
against the other, at the same level: real against real, and simulated against simulated with half of every member's
episodes as the fibre and, of the others, at most as many as there are real ones, drawn with the weights. With half the
episodes, what is left of the bias is about twice and the variance up to four times that of the estimate. They show a
reader what the method says about nothing; they are no test.

The test compares like with like. Half of every member's episodes are the fibre F and stay so. From the other half,
episodes H are drawn with the weights, so that each is an episode of a member drawn with its weight. Where the
gap is 0 in the sense of the test - every real episode is an episode of a member drawn with its weight, for
itself - the episodes of real side and H are exchangeable given F. Dealing them anew, as many to the real side as it
had, and measuring each deal against F therefore gives a p-value that is at most α with probability at most α, for
samples of any size, dependence within episodes and any method (Phipson and Smyth 2010, Statistical Applications in
Genetics and Molecular Biology 9:39). All deals have the same sizes, so no bias enters.

Where members have a single episode each and equal weights, the members take the place of episodes: half of them are F.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import GapError
from sim2real_cat.gaps.estimate import Null
from sim2real_cat.gaps.permutation import Pool, deals, floor, p_value, pool
from sim2real_cat.gaps.samples import Cloud, halves, hold_out

Raw: TypeAlias = Callable[[Cloud, Cloud, Mapping[int, float]], float]
"""The bias-corrected estimate of a method: real points, simulated points, weights of the fibre."""

Quick: TypeAlias = Callable[[Pool, NDArray[np.bool_], Cloud, Mapping[int, float]], Floats]
"""A statistic for many deals at once: the pool, (deals, units) which are on the real side, the fibre, its weights."""

SPLITS = 4
"""How often each side is split where nothing else is asked for."""

DEALS = 199
"""How often episodes are dealt anew for a p-value."""

DEALS_OF_COSTLY = 39
"""The same where every deal is measured by the method itself."""

# A smallest possible p-value above this is said.
_WORTH_A_WORD = 0.05


def calibrate(
    real: Cloud,
    sim: Cloud,
    weights: Mapping[int, float],
    raw: Raw,
    splits: int,
    rng: np.random.Generator,
    quick: Quick | None = None,
) -> Null:
    """The A/A values of a method and the p-value of "no more than A/A".

    Args:
        real: Real points.
        sim: Simulated points.
        weights: Of the members, adding up to 1.
        raw: The method.
        splits: How often each side is split, at least 1.
        rng: Splits, draws and deals.
        quick: The same for many deals against one fibre, up to a term that is the same for all; without it the method
            itself is called for every deal, of which there are fewer then.

    Returns:
        What was found; what could not be had is left out, with the reason.
    """
    real_values, real_why = _repeat(splits, lambda: _real_against_real(real, raw, rng))
    episodes = max(2, len(np.unique(real.episode)))
    sim_values, sim_why = _repeat(splits, lambda: _sim_against_sim(sim, weights, raw, rng, episodes))
    p, p_why = _test(real, sim, weights, raw, rng, quick)
    return Null(real_values, sim_values, p, splits, tuple(dict.fromkeys((*real_why, *sim_why, *p_why))))


def _repeat(times: int, value: Callable[[], float | str]) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """So many values, or none and the first reason against one."""
    values: list[float] = []
    for _ in range(times):
        found = value()
        if isinstance(found, str):
            return (), (found,)
        values.append(found)
    return tuple(values), ()


def _real_against_real(real: Cloud, raw: Raw, rng: np.random.Generator) -> float | str:
    parts = halves(real, rng)
    if isinstance(parts, str):
        return f"no A/A of the real side: {parts}"
    try:
        return raw(*parts, {0: 1.0})
    except GapError as error:
        return f"no A/A of the real side, in halves: {error}"


def _sim_against_sim(
    sim: Cloud, weights: Mapping[int, float], raw: Raw, rng: np.random.Generator, at_most: int
) -> float | str:
    parts = hold_out(sim, weights, rng, at_most)
    if isinstance(parts, str):
        return f"no A/A of the simulated side: {parts}"
    try:
        return raw(parts.held, parts.fibre, parts.weights)
    except GapError as error:
        return f"no A/A of the simulated side, in halves: {error}"


def _test(
    real: Cloud, sim: Cloud, weights: Mapping[int, float], raw: Raw, rng: np.random.Generator, quick: Quick | None
) -> tuple[float | None, tuple[str, ...]]:
    """The p-value, or None, and what is to be said about it."""
    parts = hold_out(sim, weights, rng)
    if isinstance(parts, str):
        return None, (f"no p-value: {parts}",)
    pooled = pool(real, parts.held, rng)
    count = DEALS if quick else DEALS_OF_COSTLY
    chosen = deals(pooled, count, rng)
    try:
        if quick:
            statistics = quick(pooled, chosen, parts.fibre, parts.weights)
        else:
            statistics = np.array([raw(pooled.of(row), parts.fibre, parts.weights) for row in chosen])
    except GapError as error:
        return None, (f"no p-value from half of the simulated side: {error}",)
    least = floor(pooled, count)
    few = f"with {pooled.first} real and {pooled.units - pooled.first} held out episodes"
    notes = (f"{few} no p-value can be below {least:.3f}",) if least > _WORTH_A_WORD else ()
    return p_value(statistics), (*parts.notes, *pooled.notes, *notes)
