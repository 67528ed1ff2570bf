"""What the predictive gap looks like where there is none: simulated episodes against their own fibre."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy import stats

from sim2real_cat.gaps.null import Null
from sim2real_cat.gaps.predictive import Predictive
from sim2real_cat.worlds.trajectories import Trajectories

_EXACT = "no A/A of the real side: its episodes are held against their own density already"
_FEW = 0.05


def calibrated(
    found: Predictive, sim: Trajectories, ask: Callable[[Trajectories], Predictive], rng: np.random.Generator
) -> Predictive:
    """The gap with its null.

    The A/A value is the gap of simulated episodes, each with the density of its own member as the truth, against the
    fibre: what the mixture costs a robot that is one of its worlds. The p-value compares how surprised the mixture is
    by episodes, -ln p_sim per control step, on the real and the simulated side: where both come from the mixture
    their ranks are exchangeable (one-sided test of Mann and Whitney, exact for few episodes).

    Args:
        found: the gap of the real episodes.
        sim: simulated episodes; `member_index` says in which member of the fibre each ran. As many as there are real
            ones are drawn, with the members' weights.
        ask: the predictive gap of some simulated episodes.
        rng: draws them.
    """
    usable = np.flatnonzero(sim.kept & (sim.lengths > 0))
    if not len(usable):
        null = Null((), (), None, 0, (_EXACT, "no A/A of the simulated side: no episode went on"))
        return replace(found, estimate=replace(found.estimate, null=null))
    member = sim.member_index[usable]
    share = found.weights[member] / np.bincount(member, minlength=len(found.weights))[member]
    count = min(len(found.surprise), int((share > 0).sum()))
    drawn = np.sort(rng.choice(usable, count, replace=False, p=share / share.sum()))
    own = ask(sim.select(drawn))
    p_value = float(stats.mannwhitneyu(found.surprise, own.surprise, alternative="greater").pvalue)
    highest = count + np.arange(len(found.surprise))
    least = float(stats.mannwhitneyu(highest, np.arange(count), alternative="greater").pvalue)
    few = f"with {len(found.surprise)} real and {count} simulated episodes the p-value is at least {least:.2g}"
    null = Null((), (own.estimate.raw,), p_value, 1, (_EXACT, *([few] if least > _FEW else [])))
    return replace(found, estimate=replace(found.estimate, null=null))
