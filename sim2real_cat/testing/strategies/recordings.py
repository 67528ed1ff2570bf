"""Strategies of trajectories: episodes of several lengths and policies, some of which diverged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from sim2real_cat.recordings.trajectories import Trajectories

_NUMBERS = st.floats(-100, 100, width=32)
_PERIODS = (0.02, 0.1, 0.002)


@st.composite
def trajectories(
    draw: st.DrawFn,
    *,
    sensors: Sequence[str] = ("x", "y"),
    actuators: Sequence[str] = ("motor",),
    policies: Sequence[str] = ("ours", "theirs"),
    control_period: float | None = None,
    coordinates: tuple[int, int] = (2, 2),
    members: int = 1,
    min_episodes: int = 1,
    max_episodes: int = 4,
    max_steps: int = 5,
    diverging: bool = True,
) -> Trajectories:
    """Draw episodes of different lengths, padded with NaN as a rollout's are; numbers are those of single precision.

    Args:
        draw: given by Hypothesis.
        sensors: d names.
        actuators: nu names.
        policies: the names of the policies that may have acted.
        control_period: seconds between two observations; one of a few where none is given.
        coordinates: nq and nv, (0, 0) for a recording without states.
        members: the number of worlds that episodes ran in.
        min_episodes: episodes at least.
        max_episodes: episodes at most.
        max_steps: control steps of an episode at most; an episode may have none.
        diverging: whether some may have diverged.
    """
    n = draw(st.integers(min_episodes, max_episodes))
    lengths = np.array(draw(st.lists(st.integers(0, max_steps), min_size=n, max_size=n)), dtype=np.int64)
    longest = int(lengths.max(initial=0))

    def padded(ends: NDArray[np.int64], frames: int, *width: int) -> NDArray[np.float64]:
        values: NDArray[Any] = draw(arrays(np.float64, (n, frames, *width), elements=_NUMBERS))
        values = values.copy()
        values[np.arange(frames) >= ends[:, None]] = np.nan
        return values

    def flags(possible: NDArray[np.bool_]) -> NDArray[np.bool_]:
        drawn = draw(st.lists(st.booleans(), min_size=n, max_size=n))
        return np.asarray(np.array(drawn, dtype=np.bool_) & possible)

    diverged = flags(np.full(n, diverging))
    return Trajectories(
        observations=padded(lengths + 1, longest + 1, len(sensors)),
        actions=padded(lengths, longest, len(actuators)),
        rewards=padded(lengths, longest),
        qpos=padded(lengths + 1, longest + 1, coordinates[0]),
        qvel=padded(lengths + 1, longest + 1, coordinates[1]),
        lengths=lengths,
        terminated=flags(~diverged & (lengths > 0)),
        diverged=diverged,
        member_index=np.array(draw(st.lists(st.integers(0, members - 1), min_size=n, max_size=n)), dtype=np.int64),
        policies=tuple(draw(st.lists(st.sampled_from(list(policies)), min_size=n, max_size=n))),
        sensors=tuple(sensors),
        actuators=tuple(actuators),
        control_period=draw(st.sampled_from(_PERIODS)) if control_period is None else control_period,
    )


@st.composite
def trajectory_pairs(draw: st.DrawFn, /, *, members: int = 3, **options: Any) -> tuple[Trajectories, Trajectories]:
    """Draw two recordings of one robot: a real one, and a simulated one in up to `members` worlds.

    Args:
        draw: given by Hypothesis.
        members: the simulated worlds.
        options: further arguments of `trajectories`, for both.
    """
    real = draw(trajectories(**options))
    options |= {"control_period": real.control_period, "members": members}
    return real, draw(trajectories(**options))
