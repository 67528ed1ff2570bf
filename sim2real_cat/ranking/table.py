"""Policies with their real and simulated scores, checked, and read from a CSV file with one line for each."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from sim2real_cat.arrays import Floats, Ints
from sim2real_cat.errors import ExchangeError, GapError, listed

MOST_TRIALS = 10**12
"""The most trials believed: a larger number is a mistake."""


@dataclass(frozen=True)
class Counts:
    """Successes in trials, a pair for each policy.

    Attributes:
        successes: (n,) from 0 to the trials.
        trials: (n,) from 1 on.
    """

    successes: Ints
    trials: Ints

    @property
    def rates(self) -> Floats:
        """Compute (n,) successes by trials."""
        return self.successes / self.trials

    @property
    def angles(self) -> Floats:
        """Compute (n,) arcsin √rate as Anscombe does (1948, Biometrika 35:246-254): nearly normal for any true rate."""
        found: Floats = np.arcsin(np.sqrt((self.successes + 0.375) / (self.trials + 0.75)))
        return found

    @property
    def variances(self) -> Floats:
        """Compute (n,) the variances of the angles, whatever the true rates."""
        return 1 / (4 * self.trials + 2)


@dataclass(frozen=True)
class PolicyTable:
    """The scores of n policies on both sides. Make one by `of_counts` or `of_scores`, which check it.

    Attributes:
        names: Of the policies, all different.
        real: (n,) real scores: success rates, or any number of which more is better.
        sim: (n,) simulated scores.
        real_counts: The successes and trials that `real` are the rates of, None for plain scores.
        sim_counts: Likewise.
    """

    names: tuple[str, ...]
    real: Floats
    sim: Floats
    real_counts: Counts | None = None
    sim_counts: Counts | None = None

    @classmethod
    def of_counts(
        cls,
        names: Sequence[str],
        real_successes: ArrayLike,
        real_trials: ArrayLike,
        sim_successes: ArrayLike,
        sim_trials: ArrayLike,
    ) -> PolicyTable:
        """Check policies whose score is the rate of success.

        Args:
            names: Of the n policies.
            real_successes: (n,) whole numbers from 0 to the trials.
            real_trials: (n,) whole numbers from 1 on; or one number for all.
            sim_successes: Likewise, simulated.
            sim_trials: Likewise.

        Raises:
            GapError: Fewer than two policies, a name twice or empty, another number of values than of names, no
                trials, more successes than trials, or no whole numbers.
        """
        named = _names(names)
        real = _counts(named, "real", real_successes, real_trials)
        sim = _counts(named, "sim", sim_successes, sim_trials)
        return cls(named, real.rates, sim.rates, real, sim)

    @classmethod
    def of_scores(cls, names: Sequence[str], real: ArrayLike, sim: ArrayLike) -> PolicyTable:
        """Check policies with plain scores, such as returns, of which more is better.

        Args:
            names: Of the n policies.
            real: (n,) real scores.
            sim: (n,) simulated scores.

        Raises:
            GapError: Fewer than two policies, a name twice or empty, another number of scores than of names, or a
                score that is NaN or infinite.
        """
        named = _names(names)
        return cls(named, _scores(named, "real_score", real), _scores(named, "sim_score", sim))


def count_problem(side: str, successes: float, trials: float) -> str | None:
    """Return the fault of one policy's counts, and the remedy; None where they are right."""
    for column, value in ((f"{side}_successes", successes), (f"{side}_trials", trials)):
        if not (value == np.floor(value) and 0 <= value <= MOST_TRIALS):
            return f"{column} is {value:.15g}: give a whole number of at most {MOST_TRIALS:.0e}"
    if trials == 0:
        return f"{side}_trials is 0: a policy that was never tried has no rate; try it or leave it out"
    if successes > trials:
        return f"{side}_successes is {successes:.15g} of {trials:.15g} {side}_trials: give at most as many as trials"
    return None


def _names(names: Sequence[str]) -> tuple[str, ...]:
    """Check the names of the policies."""
    if isinstance(names, str):
        raise GapError(f"names is the text '{names}': give a list of names")
    named = tuple(str(name) for name in names)
    for name in named:
        if not name.strip():
            raise GapError("a policy has an empty name: name it")
        if named.count(name) > 1:
            raise GapError(f"policy '{name}' is there {named.count(name)} times: give one row for each policy")
    if len(named) < 2:
        raise GapError(f"{len(named)} policies cannot be ranked: give at least 2, better 5 or more")
    return named


def _numbers(names: tuple[str, ...], column: str, values: ArrayLike) -> Floats:
    """Check that there is one number for each policy."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise GapError(f"{column} are not numbers: give one for each policy") from None
    if array.shape != (len(names),):
        raise GapError(f"{column} has shape {array.shape} for {len(names)} policies: give one number for each")
    return array


def _counts(names: tuple[str, ...], side: str, successes: ArrayLike, trials: ArrayLike) -> Counts:
    """Check the counts of one side."""
    good = _numbers(names, f"{side}_successes", successes)
    of = _numbers(names, f"{side}_trials", np.full(len(names), trials) if np.ndim(trials) == 0 else trials)
    for name, some, all_ in zip(names, good.tolist(), of.tolist(), strict=True):
        problem = count_problem(side, some, all_)
        if problem is not None:
            raise GapError(f"policy '{name}': {problem}")
    return Counts(good.astype(np.intp), of.astype(np.intp))


def _scores(names: tuple[str, ...], column: str, values: ArrayLike) -> Floats:
    """Check the scores of one side."""
    scores = _numbers(names, column, values)
    for name, score in zip(names, scores.tolist(), strict=True):
        if not np.isfinite(score):
            raise GapError(f"policy '{name}': {column} is {score}: give a finite number or leave the policy out")
    if np.abs(scores).max() > 1e150:
        raise GapError(f"{column} go up to {np.abs(scores).max():.3g}: give them in a larger unit")
    return scores


COUNTS = ("real_successes", "real_trials", "sim_successes", "sim_trials")
"""The columns of policies with counted trials, besides ``policy``."""

SCORES = ("real_score", "sim_score")
"""The columns of policies with plain scores, besides ``policy``."""


def read_policy_table(path: str | Path) -> PolicyTable:
    """Read policies from a CSV file in UTF-8, with or without a byte order mark.

    The first line names the columns, in any order: ``policy, real_successes, real_trials, sim_successes, sim_trials``,
    or ``policy, real_score, sim_score``; columns of other names are left alone. They are separated by whichever of
    ``, ; tab`` the first line has most of. Blank lines are skipped.

    Args:
        path: The file.

    Returns:
        The policies, in the order of the file.

    Raises:
        ExchangeError: The file is missing, empty or not such a CSV, a line of it is wrong (which, and the remedy), a
            policy stands there twice, or there are fewer than two.
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
    """Read the filled lines of a file as fields, with their numbers."""
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
    """Find the columns that the numbers are in: `COUNTS` or `SCORES`."""
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
    """Read a number from a field."""
    try:
        if "_" in text:  # Python would read 1_000
            raise ValueError
        return float(text)
    except ValueError:
        what = f"'{text}'" if text else "empty"
        comma = "; write a decimal point" if "," in text else ""
        raise ExchangeError(f"{where}: {column} is {what}, which is no number{comma}; correct it") from None


def _check_counts(where: str, numbers: list[float]) -> None:
    """Check the counts of one line."""
    for side, start in (("real", 0), ("sim", 2)):
        problem = count_problem(side, numbers[start], numbers[start + 1])
        if problem is not None:
            raise ExchangeError(f"{where}: {problem}")
