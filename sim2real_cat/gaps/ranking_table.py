"""Policies with their real and simulated scores, checked: what a ranking is made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim2real_cat.errors import GapError
from sim2real_cat.gaps.ranking_statistics import Floats

Ints = NDArray[np.int64]

MOST_TRIALS = 10**12
"""More trials than anybody makes: a number above is a mistake."""


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
        """(n,) successes by trials."""
        return self.successes / self.trials

    @property
    def angles(self) -> Floats:
        """(n,) arcsin √rate by Anscombe's formula (1948, Biometrika 35:246-254), nearly normal for any true rate."""
        found: Floats = np.arcsin(np.sqrt((self.successes + 0.375) / (self.trials + 0.75)))
        return found

    @property
    def variances(self) -> Floats:
        """(n,) of the angles, whatever the true rates."""
        return 1 / (4 * self.trials + 2)


@dataclass(frozen=True)
class PolicyTable:
    """What n policies scored on both sides. Make one by `of_counts` or `of_scores`, which check it.

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
        """Policies whose score is the rate of success.

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
        """Policies with plain scores, such as returns, of which more is better.

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
    """What is wrong with one policy's counts, and the remedy; None where nothing is."""
    for column, value in ((f"{side}_successes", successes), (f"{side}_trials", trials)):
        if not (value == np.floor(value) and 0 <= value <= MOST_TRIALS):
            return f"{column} is {value:.15g}: give a whole number of at most {MOST_TRIALS:.0e}"
    if trials == 0:
        return f"{side}_trials is 0: a policy that was never tried has no rate; try it or leave it out"
    if successes > trials:
        return f"{side}_successes is {successes:.15g} of {trials:.15g} {side}_trials: give at most as many as trials"
    return None


def _names(names: Sequence[str]) -> tuple[str, ...]:
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
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise GapError(f"{column} are not numbers: give one for each policy") from None
    if array.shape != (len(names),):
        raise GapError(f"{column} has shape {array.shape} for {len(names)} policies: give one number for each")
    return array


def _counts(names: tuple[str, ...], side: str, successes: ArrayLike, trials: ArrayLike) -> Counts:
    good = _numbers(names, f"{side}_successes", successes)
    of = _numbers(names, f"{side}_trials", np.full(len(names), trials) if np.ndim(trials) == 0 else trials)
    for name, some, all_ in zip(names, good.tolist(), of.tolist(), strict=True):
        problem = count_problem(side, some, all_)
        if problem is not None:
            raise GapError(f"policy '{name}': {problem}")
    return Counts(good.astype(np.int64), of.astype(np.int64))


def _scores(names: tuple[str, ...], column: str, values: ArrayLike) -> Floats:
    scores = _numbers(names, column, values)
    for name, score in zip(names, scores.tolist(), strict=True):
        if not np.isfinite(score):
            raise GapError(f"policy '{name}': {column} is {score}: give a finite number or leave the policy out")
    if np.abs(scores).max() > 1e150:
        raise GapError(f"{column} go up to {np.abs(scores).max():.3g}: give them in a larger unit")
    return scores
