"""Policies from a CSV file: one line each, with successes and trials, or scores, on both sides."""

from __future__ import annotations

import csv
import difflib
from pathlib import Path

from sim2real_cat.errors import ExchangeError, GapError, listed
from sim2real_cat.gaps.ranking_table import PolicyTable, count_problem

COUNTS = ("real_successes", "real_trials", "sim_successes", "sim_trials")
"""The columns of policies with counted trials, besides ``policy``."""

SCORES = ("real_score", "sim_score")
"""The columns of policies with plain scores, besides ``policy``."""


def read_policy_table(path: str | Path) -> PolicyTable:
    """Read policies from a CSV file in UTF-8, with or without a byte order mark.

    The first line names the columns, in any order: ``policy, real_successes, real_trials, sim_successes, sim_trials``,
    or ``policy, real_score, sim_score``; columns of other names are left alone. They are separated by whichever of
    ``, ; tab`` the first line has most of. Blank lines are no policies.

    Args:
        path: The file.

    Returns:
        The policies, in the order of the file.

    Raises:
        ExchangeError: The file is missing, empty or no such CSV, or a line of it is wrong; it says which and what to
            do. Likewise fewer than two policies, or one of them twice.
    """
    path = Path(path)
    lines = _lines(path)
    if not lines:
        raise ExchangeError(
            f"{path}: an empty file; its first line has to name the columns policy, {', '.join(COUNTS)}"
        )
    first, *rows = lines
    columns = [name.strip() for name in first[1]]
    wanted = _columns(path, first[0], columns)
    names: dict[str, int] = {}
    numbers: list[list[float]] = []
    for line, row in rows:
        where = f"{path}, line {line}"
        if len(row) != len(columns):
            raise ExchangeError(
                f"{where}: {len(row)} fields where the first line has {len(columns)}; fill in or quote the fields"
            )
        fields = dict(zip(columns, (field.strip() for field in row), strict=True))
        name = fields["policy"]
        if not name:
            raise ExchangeError(f"{where}: the policy has no name; give it one")
        if name in names:
            raise ExchangeError(
                f"{where}: policy '{name}' stands in line {names[name]} already; add its trials up or rename one"
            )
        names[name] = line
        numbers.append([_number(where, column, fields[column]) for column in wanted])
        if wanted == COUNTS:
            _check_counts(where, numbers[-1])
    by_column = [list(column) for column in zip(*numbers, strict=True)] or [[] for _ in wanted]
    try:
        if wanted == COUNTS:
            return PolicyTable.of_counts(list(names), *by_column)
        return PolicyTable.of_scores(list(names), *by_column)
    except GapError as error:
        raise ExchangeError(f"{path}: {error}") from None


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """The filled lines of a file as fields, with their numbers."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = next((line for line in file if line.strip()), "")
            file.seek(0)
            delimiter = max((",", ";", "\t"), key=first.count)
            reader = csv.reader(file, delimiter=delimiter, strict=True, skipinitialspace=True)
            try:
                rows = [(reader.line_num, row) for row in reader if any(field.strip() for field in row)]
            except csv.Error as error:
                raise ExchangeError(f"{path}, line {reader.line_num}: no CSV ({error}); mend its quotes") from None
    except FileNotFoundError:
        raise ExchangeError(f"{path}: no such file; give the path of a CSV file of policies") from None
    except UnicodeDecodeError:
        raise ExchangeError(f"{path}: not a text file in UTF-8, so no CSV; save it again as UTF-8") from None
    except OSError as error:
        raise ExchangeError(f"{path}: cannot be read ({error.strerror}); give the path of a CSV file") from None
    for number, row in rows:
        if any(len(field.strip().splitlines()) > 1 for field in row):
            raise ExchangeError(f"{path}, line {number}: a field goes over several lines; mend its quotes")
    return rows


def _columns(path: Path, line: int, columns: list[str]) -> tuple[str, ...]:
    """Which columns the numbers are in: `COUNTS` or `SCORES`."""
    where = f"{path}, line {line}"
    twice = next((name for name in columns if name and columns.count(name) > 1), None)
    if twice is not None:
        raise ExchangeError(f"{where}: two columns have the name '{twice}'; rename one")
    counts, scores = (any(name in columns for name in names) for names in (COUNTS, SCORES))
    if counts and scores:
        raise ExchangeError(
            f"{where}: both counts and scores; keep the columns {', '.join(COUNTS)} or {' and '.join(SCORES)}"
        )
    wanted = SCORES if scores else COUNTS
    for name in ("policy", *wanted):
        if name not in columns:
            others = [column for column in columns if column not in ("policy", *wanted)]
            near = difflib.get_close_matches(name, others, n=1)
            hint = f": did you mean '{near[0]}'?" if near else "."
            raise ExchangeError(f"{where}: no column '{name}'{hint} The line has {listed(columns)}; rename or add it")
    return wanted


def _number(where: str, column: str, text: str) -> float:
    try:
        if "_" in text:  # Python would read 1_000
            raise ValueError
        return float(text)
    except ValueError:
        what = f"'{text}'" if text else "empty"
        comma = "; write a decimal point" if "," in text else ""
        raise ExchangeError(f"{where}: {column} is {what}, which is no number{comma}; correct it") from None


def _check_counts(where: str, numbers: list[float]) -> None:
    for side, start in (("real", 0), ("sim", 2)):
        problem = count_problem(side, numbers[start], numbers[start + 1])
        if problem is not None:
            raise ExchangeError(f"{where}: {problem}")
