"""What the predictive gap looks like where there is none: simulated episodes against their own fibre."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sim2real_cat.gaps.estimate import Null
from sim2real_cat.predictive.estimate import Predictive
from sim2real_cat.recordings.trajectories import Trajectories

_EXACT = "no A/A of the real side: its episodes are held against their own density already"
_WORTH_A_WORD = 0.05


def without_null(found: Predictive, reason: str) -> Predictive:
    """The gap without A/A, and why."""
    null = Null((), (), None, 0, (_EXACT, f"no A/A of the simulated side: {reason}"))
    return replace(found, estimate=replace(found.estimate, null=null))


def calibrated(
    found: Predictive, sim: Trajectories, ask: Callable[[Trajectories], Predictive], rng: np.random.Generator
) -> Predictive:
    """The gap with its null: of a robot that is one of the fibre's worlds.

    Simulated episodes are held against the fibre with the density of their own member as the truth, which gives each
    world its own gap: what the mixture costs a robot that lives there. Worlds are the units: where the robot is one
    more world, drawn as the members were, its gap is as likely to rank anywhere among theirs, so that

        p = (1 + number of members whose gap is at least the robot's) / (1 + members)

    is at most α with probability at most α, up to the members' own presence in the mixture.

    Args:
        found: the gap of the real episodes.
        sim: simulated episodes; `member_index` says in which member of the fibre each ran. Of each member that has a
            weight as many are drawn as make, together, about as many as there are real ones, at least one.
        ask: the predictive gap of some simulated episodes.
        rng: draws them.
    """
    usable = np.flatnonzero(sim.kept & (sim.lengths > 0) & (found.weights[sim.member_index] > 0))
    members = np.unique(sim.member_index[usable])
    if not len(members):
        return without_null(found, "no episode of a member with a weight went on")
    each = max(len(found.surprise) // len(members), 1)
    shuffled = rng.permutation(usable)
    drawn = np.concatenate([shuffled[sim.member_index[shuffled] == member][:each] for member in members])
    drawn.sort()
    own = ask(sim.select(drawn))
    member = sim.member_index[drawn][own.episode]
    gaps = np.array([own.terms[member == one].mean() for one in members])
    p_value = float((1 + (gaps >= found.estimate.raw).sum()) / (1 + len(members)))
    why = [_EXACT]
    if 1 / (1 + len(members)) > _WORTH_A_WORD:
        why.append(f"with {len(members)} worlds the p-value is at least {1 / (1 + len(members)):.2g}")
    null = Null((), (float(gaps.mean()),), p_value, 1, tuple(why))
    return replace(found, estimate=replace(found.estimate, null=null))
