"""Transitions with the action between: (o, a, o') where both sides recorded what was done."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from sim2real_cat.gaps.samples import Cloud, Floats, Ints, require_density

# An action of which the observations and the other actions leave a smaller share than this unexplained is a linear
# function of them: it says nothing more, and has no density.
_DEPENDENT = 1e-6

Scopes: TypeAlias = tuple[tuple[int, int], ...]


def with_actions(pairs: Floats, real: Cloud, sim: Cloud) -> tuple[Floats, Scopes, tuple[str, ...]]:
    """Transitions with their actions, where both sides have the same number of finite ones.

    Args:
        pairs: (N, 2 d) pairs (o, o') of the real side, then of the simulated side.
        real: The real side.
        sim: The simulated side.

    Returns:
        (N, 2 d + n_actions) points (o, a, o') without the actions that are linear functions of o, the scopes of
        the chain rule on them, and notes.

    Raises:
        GapError: The next observations are linear functions of observations and actions.
    """
    if real.actions is None or sim.actions is None or real.actions.shape[1] == 0:
        return pairs, real.scopes, ()
    if real.actions.shape[1] != sim.actions.shape[1]:
        counts = f"{real.actions.shape[1]} and {sim.actions.shape[1]}"
        return pairs, real.scopes, (f"actions are left out: the sides have {counts} of them",)
    actions = np.concatenate([real.actions, sim.actions])
    bad = int((~np.isfinite(actions)).any(axis=1).sum())
    if bad:
        return pairs, real.scopes, (f"actions are left out: {bad} transitions have one that is NaN or infinite",)
    d = len(real.sensors)
    kept = _independent(pairs[:, :d], actions)
    if not len(kept):
        return pairs, real.scopes, ("actions are left out: they are linear functions of the observation",)
    points = np.hstack([pairs[:, :d], actions[:, kept], pairs[:, d:]])
    width = d + len(kept)
    names = (*real.sensors, *(f"action {i}" for i in kept), *real.columns[d:])
    require_density(points, names, "the transitions of both sides together, with their actions")
    note = f"given the observation and {len(kept)} of {actions.shape[1]} actions"
    return points, ((width + d, 1), (width, -1)), (note,)


def _independent(observations: Floats, actions: Floats) -> Ints:
    """The actions that are no linear function of the observations and of the actions before them."""
    columns = np.hstack([observations, actions])
    columns = columns - columns.mean(axis=0)
    spread = np.linalg.norm(columns, axis=0)
    left = np.abs(np.diag(np.linalg.qr(columns / np.where(spread > 0, spread, 1.0), mode="r")))
    moving = spread > _DEPENDENT * np.abs(np.hstack([observations, actions])).max(axis=0)
    kept: Ints = np.flatnonzero(((left > _DEPENDENT) & moving)[observations.shape[1] :])
    return kept
