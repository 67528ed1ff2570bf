"""What was done between observations, where a recording has it; no method but "ratio" needs it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def recorded_actions(observations: object, lengths: NDArray[np.intp]) -> NDArray[np.float64] | None:
    """The actions of an object that has the attribute `actions`, one row for each observation.

    Args:
        observations: Its `actions` are one array (T_i - 1, n_actions) per episode, or longer and padded. Where it
            has a mask `kept` of the episodes that count, the actions are those of all.
        lengths: (n_episodes,) observations T_i of each episode that counts.

    Returns:
        (n, n_actions), NaN after the last observation of an episode; None where there are no actions, or not for
        every step.
    """
    given = getattr(observations, "actions", None)
    if given is None:
        return None
    kept = getattr(observations, "kept", None)
    if kept is not None:
        given = np.asarray(given)[kept]
    episodes = [np.asarray(actions, dtype=np.float64) for actions in given]
    widths = {actions.shape[1:] for actions in episodes}
    short = any(len(actions) < length - 1 for actions, length in zip(episodes, lengths, strict=False))
    if len(episodes) != len(lengths) or short or len(widths) != 1 or len(next(iter(widths))) != 1:
        return None
    rows = []
    for actions, length in zip(episodes, lengths.tolist(), strict=True):
        row = np.full((length, actions.shape[1]), np.nan)
        row[: length - 1] = actions[: length - 1]
        rows.append(row)
    return np.concatenate(rows)
