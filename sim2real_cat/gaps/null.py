"""A/A comparisons: the values of a method where there is no gap, and a p-value of "no more than A/A".

The A/A values compare a side with itself. Its whole episodes are dealt into two halves and the same method measures one
against the other, at the same level: real against real, and simulated against simulated with half of every member's
episodes as the simulated side and, of the others, at most as many as there are real ones, drawn with the weights. With
half the episodes, what is left of the bias is about twice and the variance up to four times that of the estimate. These
values show a reader what the method says where there is no gap; they are not a test.

The test compares like with like. Half of every member's episodes are the simulated side F and stay so. From the other
half, episodes H are drawn with the weights, so that each is an episode of a member drawn with its weight. Where the gap
is 0 in the sense of the test - every real episode is an episode of a member drawn with its weight, for itself - the
episodes of the real side and H are exchangeable given F. Dealing them anew, as many to the real side as it had, and
measuring each deal against F therefore gives a valid p-value (`permutation`) for samples of any size, dependence within
episodes and any method. All deals have the same sizes, so no bias enters.

Where members have a single episode each and equal weights, the members take the place of episodes: half of them are F.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from sim2real_cat.arrays import Bools, Floats, Ints
from sim2real_cat.errors import GapError
from sim2real_cat.gaps.estimate import Null
from sim2real_cat.gaps.permutation import least_p_value, p_value, random_orders
from sim2real_cat.gaps.samples import Cloud, subset

SPLITS = 4
"""The number of times that each side is split by default."""

DEALS = 199
"""The number of times that episodes are dealt anew for a p-value."""

DEALS_OF_COSTLY = 39
"""The same where the method itself measures every deal."""

# A smallest possible p-value above this is mentioned.
_WORTH_A_WORD = 0.05
# Where there are more episodes they are dealt into groups of equal size first, which stay together.
_MOST_UNITS = 256


@dataclass(frozen=True)
class HeldOut:
    """A simulated side in two parts.

    Attributes:
        sim: The points of the episodes that stay, as a simulated side.
        weights: Weight of each of its members, adding up to 1.
        held: The points of the episodes held out, as a real side; each is of a member drawn with its weight.
        notes: Remarks for the reader.
    """

    sim: Cloud
    weights: dict[int, float]
    held: Cloud
    notes: tuple[str, ...] = ()


def hold_out(
    sim: Cloud, weights: Mapping[int, float], rng: np.random.Generator, at_most: int | None = None
) -> HeldOut | str:
    """Hold out half of every member's episodes and draw from them with the weights.

    Episodes are drawn one by one: first a member with its weight, then one of its episodes not drawn yet; a member
    that has none left is drawn anew. So many are drawn that on average no member runs out.
    Where every member has a single episode and their weights are equal, half of the members are held out instead.

    Args:
        sim: Simulated points.
        weights: Weight of each member, adding up to 1.
        rng: Deals and draws.
        at_most: How many episodes to hold out; all that are drawn by default.

    Returns:
        The two parts, or the reason why there are none.
    """
    episodes = {e: np.unique(sim.episode[sim.member_index == e]) for e in weights}
    alone = [e for e, own in episodes.items() if len(own) < 2]
    if not alone:
        dealt = {e: rng.permutation(own) for e, own in episodes.items()}
        supply = {e: own[: len(own) // 2].tolist() for e, own in dealt.items()}
        held = _drawn(supply, weights, rng)[:at_most]
        stay = np.concatenate([own[len(own) // 2 :] for own in dealt.values()])
        return HeldOut(_of_episodes(sim, stay), dict(weights), _as_real(_of_episodes(sim, held)))
    if len(weights) == 1:
        return "the simulated side has a single episode: add episodes"
    if len(alone) < len(weights) or len(set(weights.values())) > 1:
        return f"{len(alone)} of {len(weights)} simulated members have a single episode, none to hold out: add episodes"
    members = rng.permutation(list(weights))
    out, stays = members[: len(members) // 2], members[len(members) // 2 :]
    note = "each simulated member has a single episode, so whole members are held out as if drawn at random"
    held = np.concatenate([episodes[int(e)] for e in out])[:at_most]
    stay = np.concatenate([episodes[int(e)] for e in stays])
    equal = dict.fromkeys(sorted(stays.tolist()), 1 / len(stays))
    return HeldOut(_of_episodes(sim, stay), equal, _as_real(_of_episodes(sim, held)), (note,))


def _drawn(supply: dict[int, list[int]], weights: Mapping[int, float], rng: np.random.Generator) -> Ints:
    """Draw episodes with the weights of their members, without replacement."""
    members = list(weights)
    chance = np.array([weights[e] for e in members])
    count = int(min(len(supply[e]) / weights[e] for e in members) + 1e-9)
    drawn = []
    for _ in range(max(count, 1)):
        left = chance * [len(supply[e]) > 0 for e in members]
        if not left.any():
            break
        drawn.append(supply[members[int(rng.choice(len(members), p=left / left.sum()))]].pop())
    return np.array(drawn, dtype=np.intp)


def _real_halves(real: Cloud, rng: np.random.Generator) -> tuple[Cloud, Cloud] | str:
    """Deal the real episodes into two halves, the second as a simulated side of one member 0; or say why not."""
    dealt = rng.permutation(np.unique(real.episode))
    if len(dealt) < 4:
        return f"the real side has {len(dealt)} episodes, and two halves need at least 4"
    half = len(dealt) // 2
    other = _of_episodes(real, dealt[half:])
    as_sim = replace(other, side="simulated", member_index=np.zeros_like(other.member_index))
    return _of_episodes(real, dealt[:half]), as_sim


def _of_episodes(cloud: Cloud, episodes: Ints) -> Cloud:
    return subset(cloud, np.isin(cloud.episode, episodes))


def _as_real(cloud: Cloud) -> Cloud:
    """Return the same points, playing the real side."""
    return replace(cloud, side="real", member_index=np.zeros_like(cloud.member_index))


@dataclass(frozen=True)
class PooledUnits:
    """The points of two sides in exchangeable units: episodes, or groups of them.

    Attributes:
        cloud: All of them, as a real side; `episode` is the unit, from 0.
        n_first: How many units the first side has: those with the lowest numbers.
        n_units: How many there are.
        notes: Remarks for the reader.
    """

    cloud: Cloud
    n_first: int
    n_units: int
    notes: tuple[str, ...] = ()

    def of(self, chosen: Bools) -> Cloud:
        """Return the points of some units (n_units,), as a real side."""
        return subset(self.cloud, chosen[self.cloud.episode])

    def deals(self, count: int, rng: np.random.Generator) -> Bools:
        """Draw (count + 1, n_units) which units are on the first side: as observed, then in random deals."""
        chosen = np.zeros((count + 1, self.n_units), dtype=bool)
        chosen[0, : self.n_first] = True
        orders = random_orders(self.n_units, count, rng)
        np.put_along_axis(chosen[1:], orders[:, : self.n_first], True, axis=1)
        return chosen

    def least_p_value(self, count: int) -> float:
        """Compute the smallest p-value that so many deals can give."""
        return least_p_value(self.n_units, self.n_first, count)


def pool(first: Cloud, second: Cloud, rng: np.random.Generator) -> PooledUnits:
    """Pool the episodes of two sides, alike in length and few enough to be dealt.

    Episodes of different lengths are alike only if lengths come about by chance. Where every episode of one side is
    longer than every one of the other, they do not, and the longer ones are cut to their first steps.
    """
    notes: tuple[str, ...] = ()
    lengths = [np.unique(side.episode, return_counts=True)[1] for side in (first, second)]
    if lengths[0].min() > lengths[1].max() or lengths[1].min() > lengths[0].max():
        most = min(int(own.max()) for own in lengths)
        first, second = _beginning(first, most), _beginning(second, most)
        notes = (f"episodes of the longer side are cut to their first {most} {first.rows}, to be alike",)
    counts = [len(own) for own in lengths]
    size = -(-sum(counts) // _MOST_UNITS)
    labels: list[Ints] = []
    units: list[int] = []
    for side, count in zip((first, second), counts, strict=True):
        groups = count // size
        dealt = rng.permutation(count) // size if size > 1 else np.arange(count)
        dealt = np.where(dealt < groups, dealt + sum(units), -1)
        labels.append(dealt[np.unique(side.episode, return_inverse=True)[1]])
        units.append(groups)
    label = np.concatenate(labels)
    points = np.concatenate([first.points, second.points])
    actions = None
    if first.actions is not None and second.actions is not None and first.actions.shape[1] == second.actions.shape[1]:
        actions = np.concatenate([first.actions, second.actions])
    one_member = np.zeros(len(points), dtype=np.intp)
    both = replace(first, points=points, episode=label, member_index=one_member, actions=actions)
    return PooledUnits(subset(both, label >= 0), units[0], sum(units), notes)


def _beginning(cloud: Cloud, most: int) -> Cloud:
    """Return the first points of every episode, at most `most`."""
    starts = np.flatnonzero(np.r_[True, cloud.episode[1:] != cloud.episode[:-1]])
    step: Ints = np.arange(len(cloud.episode)) - np.repeat(starts, np.diff(np.r_[starts, len(cloud.episode)]))
    return subset(cloud, step < most)


Corrected: TypeAlias = Callable[[Cloud, Cloud, Mapping[int, float]], float]
"""The bias-corrected estimate of a method: real points, simulated points, weights of the members."""

OfDeals: TypeAlias = Callable[[PooledUnits, Bools, Cloud, Mapping[int, float]], Floats]
"""A statistic of many deals: the units, (deals, n_units) which are real, simulated points, weights of the members."""


def estimate_null(
    real: Cloud,
    sim: Cloud,
    weights: Mapping[int, float],
    corrected: Corrected,
    splits: int,
    rng: np.random.Generator,
    of_deals: OfDeals | None = None,
) -> Null:
    """Compute the A/A values of a method and the p-value of "no more than A/A".

    Args:
        real: Real points.
        sim: Simulated points.
        weights: Weight of each member, adding up to 1.
        corrected: The estimate of the method.
        splits: How often each side is split, at least 1.
        rng: Splits, draws and deals.
        of_deals: The same for many deals against one simulated side, up to a term that is the same for all; without it
            the method itself is called for every deal, of which there are fewer then.

    Returns:
        The values and the p-value; what could not be had is left out, with the reason.
    """
    real_values, real_why = _repeat(splits, lambda: _real_against_real(real, corrected, rng))
    episodes = max(2, len(np.unique(real.episode)))
    sim_values, sim_why = _repeat(splits, lambda: _sim_against_sim(sim, weights, corrected, rng, episodes))
    p, p_why = _test(real, sim, weights, corrected, rng, of_deals)
    return Null(real_values, sim_values, p, splits, tuple(dict.fromkeys((*real_why, *sim_why, *p_why))))


def _repeat(times: int, value: Callable[[], float | str]) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """Call a function several times and return its values; none, and the reason, once it gives a reason."""
    values: list[float] = []
    for _ in range(times):
        found = value()
        if isinstance(found, str):
            return (), (found,)
        values.append(found)
    return tuple(values), ()


def _real_against_real(real: Cloud, corrected: Corrected, rng: np.random.Generator) -> float | str:
    parts = _real_halves(real, rng)
    if isinstance(parts, str):
        return f"no A/A of the real side: {parts}"
    try:
        return corrected(*parts, {0: 1.0})
    except GapError as error:
        return f"no A/A of the real side, in halves: {error}"


def _sim_against_sim(
    sim: Cloud, weights: Mapping[int, float], corrected: Corrected, rng: np.random.Generator, at_most: int
) -> float | str:
    parts = hold_out(sim, weights, rng, at_most)
    if isinstance(parts, str):
        return f"no A/A of the simulated side: {parts}"
    try:
        return corrected(parts.held, parts.sim, parts.weights)
    except GapError as error:
        return f"no A/A of the simulated side, in halves: {error}"


def _test(
    real: Cloud,
    sim: Cloud,
    weights: Mapping[int, float],
    corrected: Corrected,
    rng: np.random.Generator,
    of_deals: OfDeals | None,
) -> tuple[float | None, tuple[str, ...]]:
    """Compute the p-value, with remarks; None and the reason where there is none."""
    parts = hold_out(sim, weights, rng)
    if isinstance(parts, str):
        return None, (f"no p-value: {parts}",)
    pooled = pool(real, parts.held, rng)
    count = DEALS if of_deals else DEALS_OF_COSTLY
    chosen = pooled.deals(count, rng)
    try:
        if of_deals:
            statistics = of_deals(pooled, chosen, parts.sim, parts.weights)
        else:
            statistics = np.array([corrected(pooled.of(row), parts.sim, parts.weights) for row in chosen])
    except GapError as error:
        return None, (f"no p-value from half of the simulated side: {error}",)
    least = pooled.least_p_value(count)
    few = f"with {pooled.n_first} real and {pooled.n_units - pooled.n_first} held out episodes"
    notes = (f"{few} no p-value can be below {least:.3f}",) if least > _WORTH_A_WORD else ()
    return p_value(statistics[1:], float(statistics[0]), sampled=True), (*parts.notes, *pooled.notes, *notes)
