"""Domain randomization: what varies from one simulated world to the next, and the worlds drawn from it.

A *change* says what happens to one parameter: its value is scaled, shifted or set. A `Randomization`
holds a distribution for every changed parameter; drawing from it gives an `Ensemble`, a table with a
named column for every parameter and a row for every world. The real world of an experiment is an
ensemble of one row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.errors import WorldError, listed, unknown_name

Mode = Literal["scale", "shift", "set"]
Distribution = Literal["uniform", "loguniform", "normal"]


@dataclass(frozen=True)
class Change:
    """A random change of one parameter.

    Attributes:
        mode: ``scale`` multiplies the model's value, ``shift`` adds to it, ``set`` replaces it.
        low: lower end of the range; the mean where the distribution is normal.
        high: upper end of the range; the standard deviation where the distribution is normal.
        distribution: ``uniform``, ``loguniform`` (uniform in the logarithm) or ``normal``.
    """

    mode: Mode
    low: float
    high: float
    distribution: Distribution = "uniform"

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise WorldError(unknown_name("mode", self.mode, get_args(Mode)))
        if self.distribution not in get_args(Distribution):
            raise WorldError(unknown_name("distribution", self.distribution, get_args(Distribution)))
        if not np.all(np.isfinite([self.low, self.high])):
            raise WorldError(f"a change needs finite numbers, got [{self.low}, {self.high}]")
        if self.distribution == "normal":
            if self.high < 0:
                raise WorldError(f"a normal change is [mean, standard deviation], got the deviation {self.high}")
        elif self.low > self.high:
            raise WorldError(f"a change needs low <= high, got [{self.low}, {self.high}]")
        if self.distribution == "loguniform" and self.low <= 0:
            raise WorldError(f"a loguniform change needs positive ends, got [{self.low}, {self.high}]")

    def draw(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """`n` independent draws, shape (n,), in the units of the parameter (a factor where it scales)."""
        if self.distribution == "normal":
            return rng.normal(self.low, self.high, n)
        if self.distribution == "loguniform":
            return np.exp(rng.uniform(np.log(self.low), np.log(self.high), n))
        return rng.uniform(self.low, self.high, n)


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Worlds that differ in named parameters: one row each.

    Attributes:
        parameters: p names, as in ``"body_mass[torso]"``.
        modes: p modes, how each column changes the model's value.
        values: (n, p), the numbers drawn.
        weights: (n,), probability of each world in the mixture; sums to 1.
    """

    parameters: tuple[str, ...]
    modes: tuple[Mode, ...]
    values: NDArray[np.float64]
    weights: NDArray[np.float64]

    @classmethod
    def nominal(cls) -> Ensemble:
        """One world: the model as it is."""
        return cls((), (), np.zeros((1, 0)), np.ones(1))

    @classmethod
    def single(cls, table: Mapping[str, object], place: str = "world") -> Ensemble:
        """One world that differs from the model as the table says, ``{"body_mass[torso]": {"scale": 1.3}}``.

        Raises:
            WorldError: an entry without a mode, with an unknown key, or whose value is not a finite number.
        """
        modes, values = [], []
        for parameter, entry in table.items():
            mode, keys = _entry(parameter, entry, place)
            if not (_is_number(keys[mode]) and np.isfinite(keys[mode])):
                raise WorldError(f"{place}, '{parameter}': '{mode}' takes one finite number, got {keys[mode]!r}")
            modes.append(mode)
            values.append(float(keys[mode]))
        return cls(tuple(table), tuple(modes), np.array([values]).reshape(1, len(table)), np.ones(1))

    def __len__(self) -> int:
        return len(self.values)

    def row(self, member: int) -> dict[str, float]:
        """The numbers of one world by parameter name."""
        return dict(zip(self.parameters, (float(v) for v in self.values[member]), strict=True))


@dataclass(frozen=True)
class Randomization:
    """A distribution over worlds: a `Change` for every parameter that varies, drawn independently."""

    changes: Mapping[str, Change] = field(default_factory=dict)

    @classmethod
    def from_table(cls, table: Mapping[str, object], place: str = "randomization") -> Randomization:
        """Read ``{"body_mass[torso]": {"scale": [0.8, 1.2], "distribution": "uniform"}}``, as TOML gives it.

        Raises:
            WorldError: an entry without a mode, with an unknown key, or with a range that is none.
        """
        return cls({name: _change(name, entry, place) for name, entry in table.items()})

    def draw(self, n: int, rng: np.random.Generator | int) -> Ensemble:
        """`n` worlds of equal weight, from a generator or a seed; one nominal world where nothing varies."""
        if n < 1:
            raise WorldError(f"an ensemble needs at least one world, got {n}")
        if not self.changes:
            return Ensemble.nominal()
        rng = np.random.default_rng(rng)
        columns = [change.draw(n, rng) for change in self.changes.values()]
        modes = tuple(change.mode for change in self.changes.values())
        return Ensemble(tuple(self.changes), modes, np.stack(columns, axis=1), np.full(n, 1.0 / n))

    def extremes(self) -> Ensemble:
        """Two worlds: every parameter at its low end, and at its high end (three deviations where it is normal)."""
        ends = [
            (c.low - 3 * c.high, c.low + 3 * c.high) if c.distribution == "normal" else (c.low, c.high)
            for c in self.changes.values()
        ]
        modes = tuple(change.mode for change in self.changes.values())
        return Ensemble(tuple(self.changes), modes, np.array(ends).reshape(-1, 2).T, np.full(2, 0.5))


def _change(parameter: str, entry: object, place: str) -> Change:
    """One entry of a table of changes."""
    where = f"{place}, '{parameter}'"
    mode, keys = _entry(parameter, entry, place, also=("distribution",))
    ends = keys[mode]
    if not (isinstance(ends, Sequence) and len(ends) == 2 and all(_is_number(end) for end in ends)):
        raise WorldError(f"{where}: '{mode}' takes two numbers, as in [0.8, 1.2], got {ends!r}")
    distribution: Distribution = keys.get("distribution", "uniform")
    try:
        return Change(mode, float(ends[0]), float(ends[1]), distribution)
    except WorldError as error:
        raise WorldError(f"{where}: {error}") from None


def _entry(parameter: str, entry: object, place: str, also: tuple[str, ...] = ()) -> tuple[Mode, Mapping[str, Any]]:
    """The mode and all keys of a table entry such as ``{"scale": 1.3}``."""
    modes = get_args(Mode)
    if not isinstance(entry, Mapping) or sum(key in modes for key in entry) != 1:
        raise WorldError(f"{place}, '{parameter}': needs exactly one of {listed(modes)}, got {entry!r}")
    for key in entry:
        if key not in (*modes, *also):
            raise WorldError(f"{place}, '{parameter}': " + unknown_name("key", key, [*modes, *also]))
    mode: Mode = next(key for key in modes if key in entry)
    return mode, entry


def _is_number(value: object) -> bool:
    """Whether a value read from a file is a number (booleans are not)."""
    return isinstance(value, int | float) and not isinstance(value, bool)
