"""Assert in tests of your own data that an instance keeps its laws, or show the rows that break them.

Under pytest, `assert_laws` is a fixture too: the package is a plugin.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Literal, get_args

from rich.console import Console

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.errors import LawError
from sim2real_cat.report.terminal import laws_table
from sim2real_cat.transfer.instance import TransferInstance
from sim2real_cat.transfer.laws.law import DEFAULT_EPSILON, Law
from sim2real_cat.transfer.laws.measured_laws import Recompute
from sim2real_cat.transfer.laws.report import LawReport, check

Undecided = Literal["pass", "fail"]
"""The outcome of a test where a law that was asked is undecided."""

_WIDTH = 160
# Rows that are shown of each law.
_MOST_ROWS = 10


def assert_laws(
    instance: TransferInstance | ACSet,
    epsilon: float = DEFAULT_EPSILON,
    laws: Sequence[str | Law] | None = None,
    *,
    undecided: Undecided = "pass",
    recompute: Recompute | None = None,
) -> LawReport:
    """Assert that no law is violated.

    Args:
        instance: an instance of the transfer schema, or any ACSet for your own laws.
        epsilon: bound under which a policy transfers.
        laws: names of laws, or your own laws; all of `sim2real_cat.laws.ALL` where none are given.
        undecided: whether a law that was asked and is undecided passes. A law that could not be asked passes unless
            none could.
        recompute: measures a policy's gap again, for the law `gap-recomputes`.

    Returns:
        The report, for further assertions.

    Raises:
        AssertionError: with a table of the laws and the rows that break them.
        LawError: an unknown law, or an epsilon that is not a positive number.
    """
    __tracebackhide__ = True
    if undecided not in get_args(Undecided):
        raise LawError(f"undecided is {undecided!r}: give 'pass' or 'fail'")
    acset = instance if isinstance(instance, ACSet) else instance.acset
    report = check(acset, epsilon, laws, recompute=recompute)
    if report.verdict == "violated" or (report.verdict == "undecided" and undecided == "fail"):
        raise AssertionError(f"the laws are {report.verdict} at epsilon = {report.epsilon:g}\n{as_text(acset, report)}")
    return report


def as_text(instance: TransferInstance | ACSet, report: LawReport) -> str:
    """Return a report as plain text: each law with its verdict and the first rows that break it or leave it open."""
    text = io.StringIO()
    Console(file=text, width=_WIDTH, color_system=None).print(laws_table(instance, report, _MOST_ROWS))
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())
