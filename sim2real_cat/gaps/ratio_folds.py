"""Cross-fitting: every point's log ratio comes from classifiers that saw neither it nor its episode.

The points are dealt into `FOLDS` folds of whole episodes. A classifier trained without fold k answers for
fold k. Which candidate, and how its logits are calibrated, is decided for fold k on the other folds j by
classifiers trained without both j and k, so that nothing of fold k has a say in its own answer. These
classifiers, which saw fewer points, also answer for fold k: how much worse they do tells what more points
would bring.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from sim2real_cat.gaps.ratio_models import NAMES, Calibration, Labelled, fit, log_loss
from sim2real_cat.gaps.samples import Cloud, Floats, Ints

FOLDS = 4
"""Into how many folds the episodes are dealt: classifiers see 3/4 of the points, to choose among them 2/4."""

# The most points of either side that a classifier is trained on; more are thinned evenly.
_MOST_TRAINING = 20_000


@dataclass(frozen=True)
class CrossFitted:
    """Calibrated held-out logits of every point in one scope, clipped at the largest that samples can show.

    Attributes:
        candidates: (len(NAMES), N) of all candidates, trained on 3/4 of the points.
        chosen: (FOLDS,) which of them was chosen for each fold.
        fold: (N,) the fold of each point.
        fewer: (FOLDS - 1, N) of the one chosen, trained on 2/4 of the points.
    """

    candidates: Floats
    chosen: Ints
    fold: Ints
    fewer: Floats

    @property
    def logits(self) -> Floats:
        """(N,) of the candidate chosen."""
        logits: Floats = self.candidates[self.chosen[self.fold], np.arange(len(self.fold))]
        return logits


def deal_folds(cloud: Cloud, weights: Mapping[int, float], rng: np.random.Generator) -> tuple[Ints, int]:
    """Deal the episodes of one side into folds, each member's for itself.

    A member with fewer episodes than folds is cut into stretches of time, lest a training set lack a part of the
    mixture. At the level "occupancy", where one stretch betrays the next, only a member that is much of it is cut.

    Args:
        cloud: The points of the side.
        weights: Weight of each member; of one member on the real side.
        rng: Deals.

    Returns:
        (n,) the fold of each point, and how many members were cut.
    """
    fold = np.empty(len(cloud.points), dtype=np.intp)
    much = 0.0 if cloud.level == "transition" else 1 / (2 * FOLDS)
    dealt, cut = 0, 0
    for member in np.unique(cloud.member):
        rows = np.flatnonzero(cloud.member == member)
        names, unit = np.unique(cloud.episode[rows], return_inverse=True)
        if len(names) < FOLDS and weights.get(int(member), 1.0) > much:
            pieces = -(-FOLDS // len(names))
            start = np.searchsorted(unit, np.arange(len(names)))
            position = np.arange(len(rows)) - start[unit]
            unit = unit * pieces + position * pieces // np.bincount(unit)[unit]
            cut += 1
        units = int(unit.max()) + 1
        fold[rows] = ((rng.permutation(units) + dealt) % FOLDS)[unit]
        dealt += units
    return fold, cut


def cross_fit(labelled: Labelled, fold: Ints, widths: Sequence[int], seed: int) -> list[CrossFitted]:
    """Held-out logits in every scope.

    Args:
        labelled: The points of both sides.
        fold: (N,) the fold of each.
        widths: How many leading coordinates each scope has. The first scope chooses the candidate for all, so
            that in a difference of scopes what a candidate lacks in both drops out.
        seed: For the classifiers.

    Returns:
        One entry for each scope.
    """
    from threadpoolctl import threadpool_limits

    chosen: Ints | None = None
    found = []
    # Sums on one thread are the same on every machine, and small classifiers cost more to share out than to train.
    with threadpool_limits(limits=1):
        for width in widths:
            found.append(_in_scope(labelled.leading(width), fold, seed, chosen))
            chosen = found[-1].chosen
    return found


def _in_scope(labelled: Labelled, fold: Ints, seed: int, chosen: Ints | None) -> CrossFitted:
    held = [np.flatnonzero(fold == k) for k in range(FOLDS)]
    # without[a, b] are the logits in fold a of classifiers trained without folds a and b.
    without: dict[tuple[int, int], Floats] = {}
    for j, k in combinations(range(FOLDS), 2):
        logits = fit(labelled.rows(_thinned(labelled, (fold != j) & (fold != k))), seed)
        without[j, k], without[k, j] = logits(labelled.points[held[j]]), logits(labelled.points[held[k]])
    largest = np.log((~labelled.real).sum())
    candidates = np.empty((len(NAMES), len(fold)))
    fewer = np.empty((FOLDS - 1, len(fold)))
    choice = np.empty(FOLDS, dtype=np.intp) if chosen is None else chosen
    for k in range(FOLDS):
        others = [j for j in range(FOLDS) if j != k]
        told = labelled.rows(np.concatenate([held[j] for j in others]))
        shown = np.concatenate([without[j, k] for j in others])
        calibrations = [Calibration.fit(column, told.real, told.weight) for column in shown.T]
        if chosen is None:
            losses = [
                np.average(log_loss(calibrate(column), told.real), weights=told.weight)
                for calibrate, column in zip(calibrations, shown.T, strict=True)
            ]
            choice[k] = int(np.argmin(losses))
        answers = fit(labelled.rows(_thinned(labelled, fold != k)), seed)(labelled.points[held[k]])
        for c, calibrate in enumerate(calibrations):
            candidates[c, held[k]] = np.clip(calibrate(answers[:, c]), -largest, largest)
        for row, j in enumerate(others):
            column = without[k, j][:, choice[k]]
            fewer[row, held[k]] = np.clip(calibrations[choice[k]](column), -largest, largest)
    return CrossFitted(candidates, choice, fold, fewer)


def _thinned(labelled: Labelled, training: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Ints:
    """The rows to train on: at most `_MOST_TRAINING` of each side, evenly in time and over members."""
    kept = []
    for side in (labelled.real, ~labelled.real):
        rows = np.flatnonzero(training & side)
        count = min(len(rows), _MOST_TRAINING)
        kept.append(rows[np.arange(count) * len(rows) // count])
    return np.concatenate(kept)
