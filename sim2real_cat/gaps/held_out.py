"""Whole simulated episodes held out of the fibre, to play the real side in an A/A comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.gaps.samples import Cloud, Ints


@dataclass(frozen=True)
class HeldOut:
    """A simulated side in two.

    Attributes:
        fibre: The points of the episodes that stay, as a simulated side.
        weights: Of its members, adding up to 1.
        held: The points of the episodes held out, as a real side; each is of a member drawn with its weight.
        notes: What the reader should know.
    """

    fibre: Cloud
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
        weights: Of the members, adding up to 1.
        rng: Deals and draws.
        at_most: How many episodes to hold out; all that are drawn by default.

    Returns:
        The two parts, or the reason why there are none.
    """
    episodes = {e: np.unique(sim.episode[sim.member == e]) for e in weights}
    alone = [e for e, own in episodes.items() if len(own) < 2]
    if not alone:
        dealt = {e: rng.permutation(own) for e, own in episodes.items()}
        supply = {e: own[: len(own) // 2].tolist() for e, own in dealt.items()}
        held = _drawn(supply, weights, rng)[:at_most]
        stay = np.concatenate([own[len(own) // 2 :] for own in dealt.values()])
        return HeldOut(_of(sim, stay), dict(weights), as_real(_of(sim, held)))
    if len(weights) == 1:
        return "the simulated side has a single episode: add episodes"
    if len(alone) < len(weights) or len(set(weights.values())) > 1:
        return f"{len(alone)} of {len(weights)} simulated members have a single episode, none to hold out: add episodes"
    members = rng.permutation(list(weights))
    out, stays = members[: len(members) // 2], members[len(members) // 2 :]
    note = "each simulated member has a single episode, so whole members are held out as if drawn at random"
    held = np.concatenate([episodes[int(e)] for e in out])[:at_most]
    stay = np.concatenate([episodes[int(e)] for e in stays])
    return HeldOut(
        _of(sim, stay), dict.fromkeys(sorted(stays.tolist()), 1 / len(stays)), as_real(_of(sim, held)), (note,)
    )


def halves(real: Cloud, rng: np.random.Generator) -> tuple[Cloud, Cloud] | str:
    """The real episodes in two halves at random, the second as a simulated side of one member 0.

    Returns:
        The halves, or the reason why there are none.
    """
    dealt = rng.permutation(np.unique(real.episode))
    if len(dealt) < 4:
        return f"the real side has {len(dealt)} episodes, and two halves need at least 4"
    half = len(dealt) // 2
    other = _of(real, dealt[half:])
    return _of(real, dealt[:half]), replace(other, side="simulated", member=np.zeros_like(other.member))


def subset(cloud: Cloud, rows: NDArray[np.bool_]) -> Cloud:
    """Some of the points (n,), with all that belongs to them."""
    actions = None if cloud.actions is None else cloud.actions[rows]
    member, episode = cloud.member[rows], cloud.episode[rows]
    return replace(cloud, points=cloud.points[rows], episode=episode, member=member, actions=actions)


def as_real(cloud: Cloud) -> Cloud:
    """The same points, playing the real side."""
    return replace(cloud, side="real", member=np.zeros_like(cloud.member))


def _drawn(supply: dict[int, list[int]], weights: Mapping[int, float], rng: np.random.Generator) -> Ints:
    """Episodes drawn with the weights of their members, without replacement."""
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


def _of(cloud: Cloud, episodes: Ints) -> Cloud:
    return subset(cloud, np.isin(cloud.episode, episodes))
