"""Domain randomization: what varies from one simulated world to the next.

A `Change` says what happens to one parameter: its value is scaled, shifted or set. A `Randomization`
holds a change for every parameter that varies, and how they hang together; drawing from it gives an `Ensemble`, a
table with a named column for every parameter and a row for every world. The real world of an experiment is
an ensemble of one row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import WorldError, listed, unknown_name
from sim2real_cat.toml_table import TomlTable
from sim2real_cat.worlds.randomization.change import Change as Change
from sim2real_cat.worlds.randomization.change import Distribution as Distribution
from sim2real_cat.worlds.randomization.change import Mode as Mode
from sim2real_cat.worlds.randomization.dependence import Correlation as Correlation
from sim2real_cat.worlds.randomization.dependence import FixedTotal as FixedTotal
from sim2real_cat.worlds.randomization.ensemble import Ensemble as Ensemble
from sim2real_cat.worlds.randomization.entries import read_change, read_correlations, read_totals

if TYPE_CHECKING:
    from sim2real_cat.worlds.world import World


@dataclass(frozen=True)
class Randomization:
    """A distribution over worlds: a `Change` for every parameter that varies.

    Attributes:
        changes: the changes by parameter, applied in this order.
        correlations: parameters that are not drawn independently; each is in one of them at most.
        totals: parameters whose sum over the model stays fixed; each is in one of them at most.
        level: the level of a curriculum to which the ranges were narrowed, 1 where they were not.
    """

    changes: Mapping[str, Change] = field(default_factory=dict)
    correlations: tuple[Correlation, ...] = ()
    totals: tuple[FixedTotal, ...] = ()
    level: float = 1.0

    def __post_init__(self) -> None:
        for what, groups in (("correlation", self.correlations), ("fixed total", self.totals)):
            named = [name for group in groups for name in group.parameters]
            for name in named:
                if name not in self.changes:
                    raise WorldError(f"{what}: " + unknown_name("parameter", name, self.changes))
                if named.count(name) > 1:
                    raise WorldError(f"{what}: '{name}' is named twice; put what belongs together into one {what}")
        for total in self.totals:
            modes = sorted({self.changes[name].mode for name in total.parameters})
            if len(modes) > 1:
                raise WorldError(f"fixed total of {listed(total.parameters)}: needs one mode, got {listed(modes)}")

    @classmethod
    def from_table(cls, table: Mapping[str, object], place: str = "randomization") -> Randomization:
        """Read ``{"body_mass[torso]": {"scale": [0.8, 1.2], "distribution": "uniform"}}``, as TOML gives it.

        Two keys are no parameters: ``correlations``, a list of ``{"between": [names], "coefficient": 0.8}`` or with
        a ``matrix``, and ``fixed_totals``, a list of lists of names.

        Raises:
            WorldError: an entry without a mode, with an unknown key, or with a range that is none.
        """
        entries = TomlTable(table, place, WorldError)
        correlations, totals = read_correlations(entries), read_totals(entries)
        parameters = [name for name in table if name not in ("correlations", "fixed_totals")]
        changes = {name: read_change(name, entries) for name in parameters}
        try:
            return cls(changes, correlations, totals)
        except WorldError as error:
            raise WorldError(f"{place}: {error}") from None

    def bind(self, world: World) -> Randomization:
        """The randomization on a world: a change for each element where one was asked for, totals as the model's.

        Raises:
            WorldError: a parameter that the world does not have, or that cannot vary.
        """
        from sim2real_cat.worlds.randomization.binding import bind

        return bind(self, world.compile(), world.sensors)

    def at(self, level: float) -> Randomization:
        """The randomization with every range narrowed to `level` times its width around its centre.

        Raises:
            WorldError: a level outside [0, 1], or a randomization that is narrowed already.
        """
        if not 0 <= level <= 1:
            raise WorldError(f"a level is from 0 to 1, got {level:g}")
        if self.level != 1:
            raise WorldError(f"these ranges are narrowed to level {self.level:g} already; narrow the full ones")
        return replace(self, changes={name: change.at(level) for name, change in self.changes.items()}, level=level)

    def draw(self, n: int, rng: np.random.Generator | int) -> Ensemble:
        """`n` worlds of equal weight, from a generator or a seed; one nominal world where nothing varies.

        Raises:
            WorldError: n < 1, a randomization that needs to be bound to a world first, a matrix that is no
                correlation matrix, or a total that the ranges do not allow.
        """
        if n < 1:
            raise WorldError(f"an ensemble needs at least one world, got {n}")
        if not self.changes:
            return replace(Ensemble.nominal(), level=self.level)
        return self._ensemble(self._with_totals(self._drawn(n, np.random.default_rng(rng))))

    def draw_boundary(self, n: int, rng: np.random.Generator | int) -> Ensemble:
        """`n` worlds on the boundary of the ranges: in each, one parameter at random is at one of its two ends.

        This is the boundary sampling of automatic domain randomization: OpenAI et al., "Solving Rubik's Cube with
        a Robot Hand", 2019, algorithm 1. Parameters in a fixed total may move on from their end to keep it.

        Raises:
            WorldError: as `draw`.
        """
        if n < 1:
            raise WorldError(f"an ensemble needs at least one world, got {n}")
        if not self.changes:
            return replace(Ensemble.nominal(), level=self.level)
        rng = np.random.default_rng(rng)
        columns = self._drawn(n, rng)
        chosen, side = rng.integers(len(self.changes), size=n), rng.integers(2, size=n)
        ends = np.array([change.ends for change in self.changes.values()])
        for column, name in enumerate(self.changes):
            columns[name] = np.where(chosen == column, ends[column, side], columns[name])
        return self._ensemble(self._with_totals(columns))

    def extremes(self) -> Ensemble:
        """Two worlds: every parameter at its low end, and at its high end (three deviations where it is normal)."""
        ends = [change.ends for change in self.changes.values()]
        modes = tuple(change.mode for change in self.changes.values())
        return Ensemble(tuple(self.changes), modes, np.array(ends).reshape(-1, 2).T, np.full(2, 0.5), self.level)

    def _drawn(self, n: int, rng: np.random.Generator) -> dict[str, Floats]:
        """A column for every parameter, before the totals: the independent ones first, in order."""
        for name, change in self.changes.items():
            if change.each:
                raise WorldError(f"'{name}' is drawn for each element: bind the randomization to its world first")
        together = {name for correlation in self.correlations for name in correlation.parameters}
        drawn = {name: change.draw(n, rng) for name, change in self.changes.items() if name not in together}
        for correlation in self.correlations:
            for name, column in zip(correlation.parameters, correlation.uniforms(n, rng).T, strict=True):
                drawn[name] = self.changes[name].quantile(column)
        return drawn

    def _with_totals(self, columns: dict[str, Floats]) -> Floats:
        """The columns as a matrix, (n, p), those of a fixed total moved to it."""
        for total in self.totals:
            moved = total.restore(np.stack([columns[name] for name in total.parameters], axis=1), self.changes)
            columns |= dict(zip(total.parameters, moved.T, strict=True))
        return np.stack([columns[name] for name in self.changes], axis=1)

    def _ensemble(self, values: Floats) -> Ensemble:
        modes = tuple(change.mode for change in self.changes.values())
        return Ensemble(tuple(self.changes), modes, values, np.full(len(values), 1.0 / len(values)), self.level)
