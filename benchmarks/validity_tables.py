"""The tables of the validity experiment, in Markdown as the documentation shows them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from validity_statistics import Interval, Worlds, flagged, interval, kendall, resampled, spearman

LOST = 0.1
"""Share of the return beyond which a world counts as one in which the policy loses."""

BANDS = (0.0, 0.1, 0.5, 10.0, 1000.0, np.inf)
"""Nats per control step: below the first an exact match, above the second a mismatch, as the trits have it."""

EXAMPLES = (
    ("Hopper", 10, "too little for the sensors to see in a step, enough to fall in 250"),
    ("Hopper", 8, "likewise"),
    ("InvertedPendulum", 15, "the sensors see it at once, the policy does not mind"),
    ("Hopper", 15, "likewise"),
    ("HalfCheetah", 0, "no world of the fibre is near enough for sensors so precise"),
    ("HalfCheetah", 6, "a robot that hardly moves surprises nobody"),
    ("Reacher", 3, "a difference that helps"),
)
"""Worlds that a gap misjudges: the robot, the number among its worlds, and why."""

Statistic = Callable[[Worlds, str, NDArray[np.float64]], NDArray[np.float64]]


def of_ranks(worlds: Worlds, score: str, counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute Spearman's correlation of a score with the loss, of ranks within each robot."""
    return spearman(worlds.scores[score], worlds.loss, worlds.robot, counts)


def of_pairs(worlds: Worlds, score: str, counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute Kendall's correlation of a score with the loss, over pairs of worlds of a robot."""
    return kendall(worlds.scores[score], worlds.loss, worlds.robot, counts)


def of_flags(worlds: Worlds, score: str, counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute how often a score is larger where the policy loses, over pairs of worlds of a robot."""
    return flagged(worlds.scores[score], worlds.loss > LOST, worlds.robot, counts)


def across_robots(worlds: Worlds, score: str, counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute Spearman's correlation of a score with the loss, of ranks over all robots together."""
    return spearman(worlds.scores[score], worlds.loss, np.full(len(worlds.loss), "any"), counts)


@lru_cache
def counts_of(robot: tuple[str, ...]) -> NDArray[np.float64]:
    """Return the same resamples for every score of the same worlds, so that scores are compared on equal terms."""
    return resampled(np.array(robot), np.random.default_rng(0))


def statistic(of: Statistic, worlds: Worlds, score: str) -> Interval:
    """Compute a statistic with its interval, from the worlds in which the score has a value."""
    some = worlds.among(np.isfinite(worlds.scores[score]))
    return interval(of(some, score, counts_of(tuple(some.robot.tolist()))))


def advantage(worlds: Worlds, score: str, other: str) -> Interval:
    """Compute the rank correlation of one score minus that of another, on the worlds that have both."""
    some = worlds.among(np.isfinite(worlds.scores[score]) & np.isfinite(worlds.scores[other]))
    counts = counts_of(tuple(some.robot.tolist()))
    return interval(of_ranks(some, score, counts) - of_ranks(some, other, counts))


def summary(worlds: Worlds) -> str:
    """Tell the number of worlds, the losses of the policies in them, and how precisely these are known."""
    counts = counts_of(tuple(worlds.robot.tolist()))
    halves = interval(spearman(worlds.loss_even, worlds.loss_odd, worlds.robot, counts))
    little, most = int((worlds.loss <= LOST).sum()), int((worlds.loss > 0.9).sum())
    return (
        f"{len(worlds.loss)} worlds; the policy loses at most {LOST:.0%} of its return in {little} of them and more "
        f"than 90% in {most}. The losses in two halves of the episodes correlate with {halves}."
    )


def pooled(worlds: Worlds) -> str:
    """Tabulate every statistic of every score over all worlds."""
    header = ("score", "Spearman", "Kendall", f"finds a loss > {LOST:.0%}", "Spearman across robots", "worlds")
    rows = []
    for score, values in worlds.scores.items():
        statistics = (statistic(of, worlds, score) for of in (of_ranks, of_pairs, of_flags, across_robots))
        rows.append((score, *map(str, statistics), str(int(np.isfinite(values).sum()))))
    return table(header, rows)


def by_robot(worlds: Worlds) -> str:
    """Tabulate Spearman's correlation of every score on each robot."""
    robots = list(dict.fromkeys(worlds.robot.tolist()))
    parts = {robot: worlds.among(worlds.robot == robot) for robot in robots}
    return parted(worlds, parts)


def by_kind(worlds: Worlds) -> str:
    """Tabulate Spearman's correlation in each kind of difference, with the worlds without any, and of middle losses."""
    kinds = [kind for kind in dict.fromkeys(worlds.kind.tolist()) if kind != "none"]
    parts = {kind: worlds.among(np.isin(worlds.kind, [kind, "none"])) for kind in kinds}
    parts["loss 5 to 90%"] = worlds.among((worlds.loss > 0.05) & (worlds.loss < 0.9))
    return parted(worlds, parts)


def parted(worlds: Worlds, parts: dict[str, Worlds]) -> str:
    """Tabulate Spearman's correlation of every score in parts of the worlds."""
    header = ("score", *(f"{name} ({len(part.loss)})" for name, part in parts.items()))
    rows = [(s, *(str(statistic(of_ranks, part, s)) for part in parts.values())) for s in worlds.scores]
    return table(header, rows)


def compared(worlds: Worlds, score: str) -> str:
    """Tabulate the advantage of one score over each other."""
    rows = [(other, str(advantage(worlds, score, other))) for other in worlds.scores if other != score]
    return table((f"{score} minus", "difference of Spearman's correlations"), rows)


def bands(worlds: Worlds, scores: Sequence[str]) -> str:
    """Tabulate, for gaps of each size, the number of worlds, how many of them lose return, and their median loss."""
    header = ["nats per control step"]
    rows = [[f"{low:g} to {high:g}" if np.isfinite(high) else f"over {low:g}"] for low, high in pairwise(BANDS)]
    for score in scores:
        header += [f"{score}: worlds", f"of which lose > {LOST:.0%}", "median loss"]
        for row, (low, high) in zip(rows, pairwise(BANDS), strict=True):
            loss = worlds.loss[(worlds.scores[score] >= low) & (worlds.scores[score] < high)]
            row += [str(len(loss)), str(int((loss > LOST).sum())), f"{np.median(loss):.0%}" if len(loss) else "–"]
    return table(header, rows).replace("-0%", "0%")


def examples(worlds: Worlds, scores: Sequence[str]) -> str:
    """Tabulate the worlds of `EXAMPLES`, with some scores and the loss."""
    rows = []
    for robot, number, why in EXAMPLES:
        row = np.flatnonzero(worlds.robot == robot)[number]
        difference = f"{worlds.differences[row] or 'nothing'} ({worlds.severity[row]:.2f})"
        said = [f"{worlds.scores[score][row]:.3g}" for score in scores]
        rows.append((robot, difference, *said, f"{worlds.loss[row]:.0%}".replace("-", "−"), why))
    return table(("robot", "reality differs in (severity)", *scores, "loss", "why"), rows)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table in Markdown; all columns but the first are aligned to the right."""
    lines = [header, ["---"] + ["--:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
