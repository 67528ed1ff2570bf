"""Tables and progress bars for a person at a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from sim2real_cat.report.rows import Row
from sim2real_cat.transfer.instance import TransferInstance
from sim2real_cat.transfer.laws import LawReport

_COLOURS = {"holds": "green", "violated": "red", "undecided": "yellow"}
_KINDS = {"transfers": "green", "fails": "red", "open": "yellow"}


def policies_table(found: list[Row]) -> Table:
    """Policy, robot, return simulated and real, gap with interval, verdict."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("policy", "robot", "return sim", "return real", "gap [nats/step]", "verdict"):
        table.add_column(name, justify="right" if name.startswith(("return", "gap")) else "left", no_wrap=True)
    for row in found:
        numbers = [f"{value:.1f}" if np.isfinite(value) else "-" for value in (row.return_sim, row.return_real)]
        table.add_row(
            Text(row.policy), Text(row.robot), *numbers, Text(row.interval), Text(row.verdict, style=_KINDS[row.kind])
        )
    return table


def laws_table(instance: TransferInstance, report: LawReport, most: int = 5) -> Table:
    """Every law with its verdict and the first rows that break it or leave it open."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("law", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("rows")
    for result in report.results:
        said = [f"{instance.name(w.ob, w.id)}: {w.message}" for w in result.witnesses[:most]]
        if len(result.witnesses) > most:
            said.append(f"and {len(result.witnesses) - most} more")
        table.add_row(result.law.name, Text(result.verdict, style=_COLOURS[result.verdict]), Text("\n".join(said)))
    return table


@contextmanager
def progress_bars(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """A bar for everything that is being done, on the console given; nothing where that is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        tasks = {}

        def show(doing: str, done: int, total: int) -> None:
            if doing not in tasks:
                tasks[doing] = progress.add_task(doing, total=total)
            progress.update(tasks[doing], completed=done, total=total)

        yield show


def query_table(columns: Mapping[str, Sequence[object]]) -> Table:
    """The answer to a query: a column for every path, blank where a value is undefined."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, no_wrap=True)
    for row in zip(*columns.values(), strict=True):
        table.add_row(*(Text("" if value is None else str(value)) for value in row))
    return table
