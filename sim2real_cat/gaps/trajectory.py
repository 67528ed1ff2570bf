"""The level "trajectory": first observation and transitions, added up by the chain rule."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sim2real_cat.gaps.estimate import Estimate
from sim2real_cat.gaps.samples import UNITS, Floats, Ints, Samples

_MARKOV = "first-order Markov: the first observation's gap plus so many transitions' as an episode has"


@dataclass(frozen=True)
class FirstObservations:
    """The first observation of every episode, as `gap` reads episodes.

    Attributes:
        episodes: One array (1, d) per episode.
        members: (n_episodes,) the fibre member of each.
        sensors: The d names.
        control_period: Seconds, meaningless here.
    """

    episodes: list[Floats]
    members: Ints
    sensors: tuple[str, ...]
    control_period: float = 1.0

    @classmethod
    def of(cls, samples: Samples) -> FirstObservations:
        """The first observations of one side."""
        first = np.searchsorted(samples.episode, np.arange(len(samples.members)))
        return cls(list(samples.points[first][:, None]), samples.members, samples.sensors)


def always_the_same(real: FirstObservations, sim: FirstObservations) -> bool:
    """Whether all episodes of both sides start from one and the same observation."""
    starts = np.concatenate([*real.episodes, *sim.episodes])
    return bool((starts == starts[0]).all())


def along_trajectory(initial: Estimate | None, transition: Estimate, steps: float) -> Estimate:
    """KL of whole episodes in nats, under the first-order Markov assumption.

    KL(P_real(o_0..o_T) || P_sim(o_0..o_T)) = KL of o_0 + Σ_t E_real KL(P_real(o_t+1|o_t) || P_sim(o_t+1|o_t)). The two
    intervals are added end by end, as if both erred to the same side: they come from the same episodes.

    Args:
        initial: The gap of the first observations; None where it is 0, all being the same.
        transition: The gap of the transitions.
        steps: Transitions of a real episode, on average.

    Returns:
        The sum, in nats per episode.
    """
    parts = [(transition, steps)] if initial is None else [(initial, 1.0), (transition, steps)]
    raw = sum(times * part.raw for part, times in parts)
    low = raw - sum(times * (part.raw - part.low) for part, times in parts)
    high = raw + sum(times * (part.high - part.raw) for part, times in parts)
    start = "the first observation is the same in all episodes" if initial is None else f"first {initial.raw:.3f} nats"
    named = (("first observations", initial), ("transitions", transition))
    doubts = [f"{name}: {said}" for name, part in named if part is not None for said in part.why]
    return replace(
        transition,
        value=max(raw, 0.0),
        low=max(low, 0.0),
        high=max(high, 0.0),
        raw=raw,
        plug_in=sum(times * part.plug_in for part, times in parts),
        level="trajectory",
        units=UNITS["trajectory"],
        reliable=all(part.reliable for part, _ in parts),
        why=(*doubts, f"{_MARKOV}: {start}, {steps:.1f} transitions of {transition.raw:.4f} nats"),
    )
