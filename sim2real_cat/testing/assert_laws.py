"""For tests of one's own data: assert that an instance keeps its laws, or say which rows do not.

Under pytest, `assert_laws` is a fixture too: the package is a plugin.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from sim2real_cat.errors import LawError

if TYPE_CHECKING:
    from sim2real_cat.acsets.acset import ACSet
    from sim2real_cat.transfer.instance import TransferInstance
    from sim2real_cat.transfer.laws.law import Law
    from sim2real_cat.transfer.laws.measured_laws import Recompute
    from sim2real_cat.transfer.laws.report import LawReport

_WIDTH = 160


def assert_laws(
    instance: TransferInstance | ACSet,
    epsilon: float | None = None,
    laws: Sequence[str | Law] | None = None,
    *,
    undecided: Literal["pass", "fail"] = "pass",
    recompute: Recompute | None = None,
) -> LawReport:
    """Assert that no law is violated.

    Args:
        instance: an instance of the transfer schema, or any ACSet for laws of one's own.
        epsilon: bound under which a policy transfers; `sim2real_cat.laws.DEFAULT_EPSILON` where none is given.
        laws: names of laws, or laws of one's own; all of `sim2real_cat.laws.ALL` where none are given.
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
    from sim2real_cat.acsets.acset import ACSet
    from sim2real_cat.transfer.laws.law import DEFAULT_EPSILON
    from sim2real_cat.transfer.laws.report import check

    if undecided not in ("pass", "fail"):
        raise LawError(f"undecided is {undecided!r}: give 'pass' or 'fail'")
    acset = instance if isinstance(instance, ACSet) else instance.acset
    report = check(acset, DEFAULT_EPSILON if epsilon is None else epsilon, laws, recompute=recompute)
    if report.verdict == "violated" or (report.verdict == "undecided" and undecided == "fail"):
        raise AssertionError(f"the laws are {report.verdict} at epsilon = {report.epsilon:g}\n{table(acset, report)}")
    return report


def table(instance: TransferInstance | ACSet, report: LawReport, most: int = 10) -> str:
    """A report as plain text: each law with its verdict and the first rows that break it or leave it open."""
    from rich.console import Console

    from sim2real_cat.report.terminal import laws_table

    text = io.StringIO()
    Console(file=text, width=_WIDTH, color_system=None).print(laws_table(instance, report, most))
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())
