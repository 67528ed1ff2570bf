"""Draw the validity experiment: the rank correlation of every score, and the gap and the loss on each robot."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from validity_statistics import Worlds
from validity_tables import of_ranks, statistic

from sim2real_cat.files import replacing

KIND_STYLES = {
    "none": ("#000000", "*"),
    "dynamics": ("#0072B2", "o"),
    "sensing": ("#E69F00", "s"),
    "timing": ("#D55E00", "^"),
    "several": ("#009E73", "D"),
}
"""Colours of Okabe and Ito, which people with any colour vision tell apart, and a marker for each as well."""

LEAST_GAP, MOST_LOSS = 1e-3, 1.5
"""Points beyond these are drawn on them."""

GAPS = ("predictive", "predictive, noise x 2", "predictive, no fibre", "gaussian", "gaussian, plug-in", "knn", "ratio")
"""The scores that estimate `kl_gap`; they are compared with the others."""


def draw(worlds: Worlds, path: Path, score: str) -> None:
    """Write the picture; `score` is the gap that the right half shows."""
    figure = plt.figure(figsize=(13, 6.5), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1, 2.1])
    _intervals(left.subplots(), worlds)
    axes = right.subplots(2, 3, sharey=True)
    robots = list(dict.fromkeys(worlds.robot.tolist()))
    for axis, robot in zip(axes.flat, robots, strict=False):
        _scatter(axis, worlds.among(worlds.robot == robot), robot, score)
    for axis in axes[:, 0]:
        axis.set_ylabel(f"share of the return lost\n(at most {MOST_LOSS:g} shown)")
    for axis in axes[1]:
        axis.set_xlabel(f"{score} gap, nats per control step")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    right.legend(
        handles, labels, loc="outside upper center", ncols=len(labels), frameon=False, title="reality differs in"
    )
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png", metadata={"Software": None})
    plt.close(figure)


def _intervals(axis: Axes, worlds: Worlds) -> None:
    """Draw the pooled rank correlation of every score with its interval, the largest at the top."""
    found = {score: statistic(of_ranks, worlds, score) for score in worlds.scores}
    ordered = sorted(found, key=lambda score: found[score].value)
    for height, score in enumerate(ordered):
        colour, marker = ("#0072B2", "o") if score in GAPS else ("#7F7F7F", "s")
        each = found[score]
        axis.plot([each.low, each.high], [height, height], color=colour, linewidth=2)
        axis.plot(each.value, height, marker, color=colour)
    axis.plot([], [], "o-", color="#0072B2", label="estimates of kl_gap")
    axis.plot([], [], "s-", color="#7F7F7F", label="others")
    axis.set_yticks(range(len(ordered)), ordered)
    axis.axvline(0, color="black", linewidth=0.8)
    axis.set_xlim(min(-0.05, min(each.low for each in found.values()) - 0.05), 1)
    axis.set_xlabel("Spearman correlation with the loss of return\n(ranks within each robot, 95% interval)")
    axis.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
    axis.spines[["top", "right"]].set_visible(False)


def _scatter(axis: Axes, worlds: Worlds, robot: str, score: str) -> None:
    """Draw the gap and the lost return of every world of a robot."""
    x, y = np.maximum(worlds.scores[score], LEAST_GAP), np.minimum(worlds.loss, MOST_LOSS)
    for kind, (colour, marker) in KIND_STYLES.items():
        rows = worlds.kind == kind
        size = 90 if marker == "*" else 30
        edge = {"edgecolors": "white", "linewidths": 0.5}
        axis.scatter(x[rows], y[rows], s=size, c=colour, marker=marker, label=kind, zorder=3, **edge)
    each = statistic(of_ranks, worlds, score)
    axis.set_title(f"{robot}\n{each}", fontsize=10)
    axis.set_xscale("log")
    axis.axhline(0, color="black", linewidth=0.8)
    axis.grid(color="#E5E5E5", linewidth=0.6)
    axis.spines[["top", "right"]].set_visible(False)
