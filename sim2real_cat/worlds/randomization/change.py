"""Random changes of one number of a model: its distribution, and its range at a level of a curriculum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Literal, get_args

import numpy as np

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import WorldError, unknown_name

Mode = Literal["scale", "shift", "set"]
"""What a drawn number does to the model's value: it multiplies it, is added to it, or replaces it."""

Distribution = Literal["uniform", "loguniform", "normal", "discrete"]
"""How a number is drawn; ``loguniform`` is uniform in the logarithm."""

_DEVIATIONS = 3.0
"""Deviations from the mean that count as the ends of a normal change without limits."""


@dataclass(frozen=True)
class Change:
    """A random change of one parameter.

    ``Change("scale", 0.8, 1.2)`` is uniform; `Change.normal` and `Change.discrete` make the others.

    Attributes:
        mode: ``scale`` multiplies the model's value, ``shift`` adds to it, ``set`` replaces it.
        low: the least number that is drawn; minus infinity where a normal distribution is not truncated.
        high: the largest number that is drawn; infinity where a normal distribution is not truncated.
        distribution: ``uniform``, ``loguniform`` (uniform in the logarithm), ``normal`` or ``discrete``.
        mean: the mean of the normal distribution before it is truncated; None for the others.
        deviation: its standard deviation; None for the others.
        values: the numbers that a discrete change draws from.
        probabilities: the probability of each of them; equal where none are given.
        centre: the point around which a curriculum widens the range; where none is given, its middle, the
            geometric one where it is loguniform, and of discrete values the one nearest to the middle.
        each: whether a number is drawn for every element that the parameter names, each a column once the
            randomization is bound to a world; otherwise one number is drawn for all of them.
    """

    mode: Mode
    low: float
    high: float
    distribution: Distribution = "uniform"
    _: KW_ONLY
    mean: float | None = None
    deviation: float | None = None
    values: tuple[float, ...] = ()
    probabilities: tuple[float, ...] = ()
    centre: float | None = None
    each: bool = False

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise WorldError(unknown_name("mode", self.mode, get_args(Mode)))
        if self.distribution not in get_args(Distribution):
            raise WorldError(unknown_name("distribution", self.distribution, get_args(Distribution)))
        if self.distribution == "normal":
            self._check_normal()
        else:
            self._check_range()
        if self.distribution == "discrete":
            self._check_discrete()
        elif self.values or self.probabilities:
            raise WorldError(f"only a discrete change has values and probabilities, this one is {self.distribution}")
        self._check_centre()

    def _check_normal(self) -> None:
        if self.mean is None or self.deviation is None:
            raise WorldError("a normal change has a mean and a deviation: write Change.normal(mode, mean, deviation)")
        if not np.isfinite([self.mean, self.deviation]).all():
            raise WorldError(f"a change needs finite numbers, got [{self.mean}, {self.deviation}]")
        if self.deviation < 0:
            raise WorldError(f"a normal change is [mean, standard deviation], got the deviation {self.deviation}")
        truncated = (self.low, self.high) != (-np.inf, np.inf)
        if truncated and not -np.inf < self.low <= self.mean <= self.high < np.inf:
            limits = [self.low, self.high]
            raise WorldError(f"a normal change needs its mean {self.mean:g} within its limits, got {limits}")

    def _check_range(self) -> None:
        if self.mean is not None or self.deviation is not None:
            raise WorldError(f"only a normal change has a mean and a deviation, this one is {self.distribution}")
        if not np.isfinite([self.low, self.high]).all() or not np.isfinite(self.high - self.low):
            raise WorldError(f"a change needs finite numbers, got [{self.low}, {self.high}]")
        if self.low > self.high:
            raise WorldError(f"a change needs low <= high, got [{self.low}, {self.high}]")
        if self.distribution == "loguniform" and self.low <= 0:
            raise WorldError(f"a loguniform change needs positive ends, got [{self.low}, {self.high}]")

    def _check_discrete(self) -> None:
        if not self.values or (min(self.values), max(self.values)) != (self.low, self.high):
            raise WorldError("a discrete change needs values, of which the least and the largest are its ends")
        chances = self.probabilities
        if not chances:
            return
        if len(chances) != len(self.values):
            raise WorldError(f"{len(self.values)} values need as many probabilities, got {len(chances)}")
        if not all(0 <= chance <= 1 for chance in chances) or abs(sum(chances) - 1) > 1e-9:
            raise WorldError(f"probabilities need to be >= 0 and sum to 1, got {list(chances)}, sum {sum(chances):g}")

    def _check_centre(self) -> None:
        if self.centre is None:
            return
        if self.distribution == "normal":
            raise WorldError("a normal change widens around its mean; leave 'centre' out")
        if self.distribution == "discrete" and self.centre not in self.values:
            raise WorldError(f"the centre of a discrete change is one of its values, got {self.centre:g}")
        if not self.low <= self.centre <= self.high:
            raise WorldError(f"the centre {self.centre:g} is outside the range [{self.low:g}, {self.high:g}]")

    @classmethod
    def normal(
        cls,
        mode: Mode,
        mean: float,
        deviation: float,
        *,
        within: tuple[float, float] = (-np.inf, np.inf),
        each: bool = False,
    ) -> Change:
        """Make a change that is drawn from a normal distribution.

        Args:
            mode: the effect of the number on the model's value.
            mean: the mean of the distribution.
            deviation: its standard deviation.
            within: limits at which it is truncated: a number outside is never drawn.
            each: whether a number is drawn for every element.

        Raises:
            WorldError: a deviation < 0, or a mean outside the limits.
        """
        return cls(mode, *within, "normal", mean=mean, deviation=deviation, each=each)

    @classmethod
    def discrete(
        cls,
        mode: Mode,
        values: Sequence[float],
        probabilities: Sequence[float] = (),
        *,
        centre: float | None = None,
        each: bool = False,
    ) -> Change:
        """Make a change that draws one of a list of values.

        Raises:
            WorldError: no values, or probabilities that are not one for each and sum to 1.
        """
        numbers = tuple(float(value) for value in values)
        if not numbers:
            raise WorldError("a discrete change needs at least one value")
        chances = tuple(float(chance) for chance in probabilities)
        low, high = min(numbers), max(numbers)
        return cls(mode, low, high, "discrete", values=numbers, probabilities=chances, centre=centre, each=each)

    @property
    def ends(self) -> tuple[float, float]:
        """The ends of the range, three deviations from the mean at most where it is normal."""
        if self.mean is None or self.deviation is None:
            return self.low, self.high
        spread = _DEVIATIONS * self.deviation
        return max(self.mean - spread, self.low), min(self.mean + spread, self.high)

    def draw(self, n: int, *, rng: np.random.Generator | int = 0) -> Floats:
        """Return `n` independent draws, shape (n,), in the units of the parameter (a factor where it scales)."""
        rng = np.random.default_rng(rng)
        if self.mean is not None and self.deviation is not None and self.high == np.inf:
            return rng.normal(self.mean, self.deviation, n)
        if self.distribution in ("normal", "discrete"):
            return self.quantile(rng.random(n))
        if self.distribution == "loguniform":
            return np.clip(np.exp(rng.uniform(np.log(self.low), np.log(self.high), n)), self.low, self.high)
        return np.clip(rng.uniform(self.low, self.high, n), self.low, self.high)

    def quantile(self, probability: Floats) -> Floats:
        """Evaluate the inverse distribution function at numbers in [0, 1), any shape."""
        if self.distribution == "discrete":
            order = np.argsort(self.values, kind="stable")
            chances = np.array(self.probabilities or [1 / len(self.values)] * len(self.values))[order]
            last = int(np.flatnonzero(chances)[-1])
            rank = np.searchsorted(np.cumsum(chances), probability, side="right")
            return np.asarray(np.array(self.values)[order][np.minimum(rank, last)])
        if self.mean is not None and self.deviation is not None:
            return self._normal_quantile(probability, self.mean, self.deviation)
        if self.distribution == "loguniform":
            low, high = np.log(self.low), np.log(self.high)
            return np.asarray(np.clip(np.exp(low + probability * (high - low)), self.low, self.high))
        return np.asarray(np.clip(self.low + probability * (self.high - self.low), self.low, self.high))

    def _normal_quantile(self, probability: Floats, mean: float, deviation: float) -> Floats:
        from scipy.special import ndtr, ndtri

        if deviation == 0:
            return np.full(np.shape(probability), mean)
        below, above = ndtr((self.low - mean) / deviation), ndtr((self.high - mean) / deviation)
        # the ends 0 and 1 themselves, which the normal distribution never reaches, would give infinity
        inside = np.clip(below + probability * (above - below), np.nextafter(0.0, 1.0), np.nextafter(1.0, 0.0))
        return np.asarray(np.clip(mean + deviation * ndtri(inside), self.low, self.high))

    @property
    def constant(self) -> bool:
        """Tell if every draw is the same number."""
        return self.low == self.high or self.deviation == 0

    def log_density(self, values: Floats) -> Floats:
        """Return the log-density of drawn numbers, of any shape; -inf outside the range.

        It is a density per unit of the number, and of discrete and constant changes the logarithm of a probability.
        """
        from scipy.special import ndtr

        values = np.asarray(values, dtype=float)
        if self.distribution == "discrete":
            with np.errstate(divide="ignore"):
                return np.log(self._below(values, inclusive=True) - self._below(values, inclusive=False))
        if self.constant:
            return np.where(values == self.quantile(np.array(0.5)), 0.0, -np.inf)
        inside = (values >= self.low) & (values <= self.high)
        if self.mean is not None and self.deviation is not None:
            mass = ndtr((self.high - self.mean) / self.deviation) - ndtr((self.low - self.mean) / self.deviation)
            away = (values - self.mean) / self.deviation
            density = -0.5 * np.square(away) - np.log(self.deviation * mass) - 0.5 * np.log(2 * np.pi)
        elif self.distribution == "loguniform":
            density = -np.log(np.where(inside, values, 1.0)) - np.log(np.log(self.high) - np.log(self.low))
        else:
            density = np.full(values.shape, -np.log(self.high - self.low))
        return np.where(inside, density, -np.inf)

    def cumulative(self, values: Floats) -> Floats:
        """Return the probability that a draw is at most each number, of any shape."""
        from scipy.special import ndtr

        values = np.asarray(values, dtype=float)
        if self.distribution == "discrete":
            return self._below(values, inclusive=True)
        if self.constant:
            return np.where(values >= self.quantile(np.array(0.5)), 1.0, 0.0)
        values = np.clip(values, self.low, self.high)
        if self.mean is not None and self.deviation is not None:
            low, high = ndtr((self.low - self.mean) / self.deviation), ndtr((self.high - self.mean) / self.deviation)
            return np.asarray((ndtr((values - self.mean) / self.deviation) - low) / (high - low))
        if self.distribution == "loguniform":
            return np.asarray(np.log(values / self.low) / np.log(self.high / self.low))
        return np.asarray((values - self.low) / (self.high - self.low))

    def cell(self, values: Floats) -> tuple[Floats, Floats]:
        """Return the probabilities between which a discrete change draws each of some numbers."""
        return self._below(values, inclusive=False), self._below(values, inclusive=True)

    def _below(self, values: Floats, *, inclusive: bool) -> Floats:
        """Return the probability that a discrete draw is less than each number, or at most it."""
        order = np.argsort(self.values, kind="stable")
        chances = np.array(self.probabilities or [1 / len(self.values)] * len(self.values))[order]
        sums = np.concatenate([[0.0], np.cumsum(chances)])
        rank = np.searchsorted(np.array(self.values)[order], values, side="right" if inclusive else "left")
        return np.asarray(np.minimum(sums, 1.0)[rank])

    def at(self, level: float) -> Change:
        """Return the change with its range narrowed to `level` times its width around its centre; all of it at 1.

        Of a normal change the deviation shrinks; of a discrete one the values stay that are no farther from the
        centre than `level` times the farthest.
        """
        if level == 1:
            return self
        if self.deviation is not None:
            return replace(self, deviation=level * self.deviation)
        centre = self._middle()
        if self.distribution == "discrete":
            reach = level * max(abs(value - centre) for value in self.values)
            return self._only([i for i, value in enumerate(self.values) if abs(value - centre) <= reach])
        low, high = (_between(centre, end, level, self.distribution) for end in (self.low, self.high))
        return replace(self, low=min(max(low, self.low), centre), high=max(min(high, self.high), centre))

    def _only(self, kept: list[int]) -> Change:
        """Return a discrete change with some of its values, of equal probability where none could be drawn before."""
        values = [self.values[i] for i in kept]
        chances = [self.probabilities[i] for i in kept] if self.probabilities else []
        total = sum(chances)
        shares = [chance / total for chance in chances] if total > 0 else []
        return Change.discrete(self.mode, values, shares, centre=self.centre, each=self.each)

    def _middle(self) -> float:
        """Return the point around which the range widens."""
        if self.centre is not None:
            return self.centre
        if self.distribution == "loguniform":
            return float(np.clip(np.exp((np.log(self.low) + np.log(self.high)) / 2), self.low, self.high))
        middle = float(np.clip(self.low + (self.high - self.low) / 2, self.low, self.high))
        return min(self.values, key=lambda value: abs(value - middle)) if self.values else middle


def _between(centre: float, end: float, level: float, distribution: Distribution) -> float:
    """Return the point at `level` of the way from the centre to an end, along the logarithm where that is uniform."""
    if level == 0:
        return centre
    if distribution == "loguniform":
        return float(np.exp(np.log(centre) + level * (np.log(end) - np.log(centre))))
    return centre + level * (end - centre)
