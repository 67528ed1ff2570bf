"""Tables and progress bars for a person at a terminal."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.report.summary import PolicySummary
from sim2real_cat.transfer.instance import TransferInstance, part_name
from sim2real_cat.transfer.laws.report import LawReport

if TYPE_CHECKING:
    from sim2real_cat.ranking.ranking import Ranking  # and with it scipy, which no other table needs

_VERDICTS = {"holds": "green", "violated": "red", "undecided": "yellow"}
"""Colours of the verdicts of laws."""

_KINDS = {"transfers": "green", "fails": "red", "open": "yellow"}
"""Colours of the kinds of `PolicySummary`."""


def policies_table(policies: list[PolicySummary]) -> Table:
    """Return a table of policies: robot, returns in simulation and reality, gap with interval, verdict.

    A predictive gap is shown with what it is made of: the rate and the complexity, which add up to that of an episode.
    """
    numeric = ("return sim", "return real", "gap [nats/step]")
    parts = ("+ complexity", "= episode") if any(policy.gap_of for policy in policies) else ()
    of = ("of the",) if parts else ()
    table = _empty_table("policy", "robot", *numeric, *parts, *of, "verdict", right=(*numeric, *parts))
    for policy in policies:
        numbers = [f"{value:.1f}" if np.isfinite(value) else "-" for value in (policy.return_sim, policy.return_real)]
        table.add_row(
            Text(policy.name),
            Text(policy.robot),
            *numbers,
            Text(policy.interval),
            *([policy.complexity, policy.episode, policy.gap_of] if parts else []),
            Text(policy.verdict, style=_KINDS[policy.kind]),
        )
    return table


def laws_table(instance: TransferInstance | ACSet, report: LawReport, most: int = 5) -> Table:
    """Return a table of laws: the verdict, and the first rows that break a law or leave it open.

    A law that was not asked shows the reason, one that holds what it reports of the first row.
    """
    acset = instance if isinstance(instance, ACSet) else instance.acset
    table = _empty_table("law", "verdict")
    table.add_column("rows")
    for result in report.results:
        if not result.asked:
            table.add_row(result.law.name, Text("not asked", style="dim"), Text(result.reason, style="dim"))
            continue
        shown, first = (result.witnesses, most) if result.witnesses else (result.notes, 1)
        said = [f"{part_name(acset, w.ob, w.id)}: {w.message}" for w in shown[:first]]
        if len(shown) > first:
            said.append(f"and {len(shown) - first} more")
        table.add_row(result.law.name, Text(result.verdict, style=_VERDICTS[result.verdict]), Text("\n".join(said)))
    return table


@contextmanager
def progress_bars(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """Yield a function that shows the progress of each task as a bar, if the console is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        tasks = {}

        def show(doing: str, done: int, total: int) -> None:
            if doing not in tasks:
                tasks[doing] = progress.add_task(doing, total=total)
            progress.update(tasks[doing], completed=done, total=total)

        yield show


def query_table(columns: Mapping[str, Sequence[object]]) -> Table:
    """Return the answer to a query as a table, blank where a value is undefined."""
    table = _empty_table(*columns)
    for row in zip(*columns.values(), strict=True):
        table.add_row(*(Text("" if value is None else str(value)) for value in row))
    return table


def scores_table(found: Ranking) -> Table:
    """Return a table of policies with their real and simulated scores and Clopper-Pearson intervals."""
    table = _empty_table("policy", "real", "sim", right=("real", "sim"))
    for policy in found.policies:
        real = _between(policy.real, policy.real_low, policy.real_high)
        table.add_row(Text(policy.name), Text(real), Text(_between(policy.sim, policy.sim_low, policy.sim_high)))
    return table


def ranking_table(found: Ranking) -> Table:
    """Return a table of statistics: interval, p-value, the least possible one, and the policy that carries it."""
    numeric = ("value", "p", "smallest p", "value then")
    table = _empty_table("statistic", "value", "p", "smallest p", "without", "value then", right=numeric)
    for statistic in found.statistics:
        name, value = found.carrier(statistic.name)
        table.add_row(
            statistic.name,
            Text(_between(statistic.value, statistic.low, statistic.high)),
            _number(statistic.p_value),
            _number(statistic.floor),
            Text(name),
            _number(value),
        )
    return table


def _empty_table(*names: str, right: Collection[str] = ()) -> Table:
    """Return a table without rows, whose columns named in `right` are aligned to the right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(name, justify="right" if name in right else "left", no_wrap=True)
    return table


def _between(value: float, low: float, high: float) -> str:
    """Return a number as text, with its interval where it has one."""
    return _number(value) if np.isnan(low) else f"{_number(value)} [{_number(low)}, {_number(high)}]"


def _number(value: float) -> str:
    """Return a small number with three decimals, a large one with four digits in all."""
    if np.isnan(value):
        return "-"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.4g}"
