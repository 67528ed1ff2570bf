"""The picture of a study: every gap with its interval, and how much of the return was kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sim2real_cat.errors import StudyError, unknown_name
from sim2real_cat.files import replacing
from sim2real_cat.report.summary import PolicySummary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = {".png": {"Software": None}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
"""Formats of `save_figure`, by ending, and the metadata left out so that the same picture is the same file."""

_COLOURS = {"transfers": "#2a7f4f", "fails": "#b5412f", "open": "#8a8a8a"}
"""Colours of the kinds of `PolicySummary`."""


def draw_policies(policies: Sequence[PolicySummary], epsilon: float, title: str = "") -> Figure:
    """Draw gaps with intervals on the left, returns in simulation and reality on the right."""
    from matplotlib.figure import Figure

    placed = list(zip(range(len(policies) - 1, -1, -1), policies, strict=True))
    measured = [(place, policy) for place, policy in placed if np.isfinite(policy.gap)]
    floor = epsilon / 30
    figure = Figure(figsize=(10, 1.4 + 0.42 * len(policies)), layout="constrained")
    gaps, returns = figure.subplots(1, 2, width_ratios=[3, 2], sharey=True)
    ceiling = 3 * max([epsilon, *(policy.high if np.isfinite(policy.high) else policy.gap for _, policy in measured)])
    for place, policy in measured:
        value, low, high = (min(max(number, floor), ceiling) for number in (policy.gap, policy.low, policy.high))
        colour = _COLOURS[policy.kind]
        gaps.plot([low, high], [place, place], color=colour, linewidth=2.5, solid_capstyle="round")
        gaps.plot([value], [place], "o", color=colour, markersize=7)
    gaps.axvline(epsilon, color="black", linewidth=1, linestyle="--")
    gaps.annotate(
        f"ε = {epsilon:g}",
        (epsilon, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(4, 4),
        textcoords="offset points",
        fontsize=8,
    )
    gaps.set_xscale("log")
    gaps.set_xlim(floor / 1.5, ceiling)
    gaps.set_xlabel("KL(P_real ‖ P_sim)  [nats per control step]")
    gaps.set_yticks([place for place, _ in placed], [policy.name for policy in policies], parse_math=False)
    gaps.set_ylim(-0.6, len(policies) - 0.4)
    _write_beside(gaps, [(place, policy.interval) for place, policy in placed])
    _draw_returns(returns, placed)
    for axes in (gaps, returns):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", alpha=0.25)
    figure.suptitle(title, fontsize=11, x=0.01, ha="left")
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write the picture in the format of the path's ending, without a date, whole or not at all.

    Raises:
        StudyError: the ending is not one of `FORMATS`.
    """
    if path.suffix not in FORMATS:
        raise StudyError(f"{path}: " + unknown_name("picture format", path.suffix, FORMATS))
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=150, metadata=FORMATS[path.suffix])


def _draw_returns(axes: Axes, placed: Sequence[tuple[int, PolicySummary]]) -> None:
    """Draw the real return of every policy as a share of the simulated one, where that is positive."""
    widest = 1.6
    for place, policy in placed:
        kept = policy.return_real / policy.return_sim if policy.return_sim > 0 else np.nan
        bar = min(max(kept, 0.0), widest) if np.isfinite(kept) else 0.0
        axes.barh(place, bar, height=0.5, color=_COLOURS[policy.kind], alpha=0.8)
    axes.axvline(1.0, color="black", linewidth=1, linestyle=":")
    axes.set_xlim(0, widest)
    labels = [(place, f"{_rounded(policy.return_sim)} → {_rounded(policy.return_real)}") for place, policy in placed]
    _write_beside(axes, labels)
    axes.set_xlabel("return kept: real / simulated")


def _write_beside(axes: Axes, labels: Sequence[tuple[int, str]]) -> None:
    """Write a column of text to the right of the axes, where no line crosses it."""
    side = axes.secondary_yaxis("right")
    side.set_yticks([place for place, _ in labels], [text for _, text in labels], fontsize=8)
    side.tick_params(length=0)
    side.spines["right"].set_visible(False)


def _rounded(value: float) -> str:
    return f"{value:.0f}" if np.isfinite(value) else "–"
