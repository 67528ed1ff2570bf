"""Domain randomization: a distribution over simulated worlds.

A `Change` says what happens to one parameter: its value is scaled, shifted or set. A `Randomization` holds a change for
every parameter that varies, and their dependence. A draw from it is an `Ensemble`, a table with a column for every
parameter and a row for every world. The real world of an experiment is an ensemble of one row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import mujoco
import numpy as np

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import WorldError, listed, unknown_name
from sim2real_cat.model_names import actuator_names
from sim2real_cat.toml_table import TomlTable
from sim2real_cat.worlds.parameters.channels import CHANNEL_FIELDS, channel_columns
from sim2real_cat.worlds.parameters.fields import element_name, field_values, split
from sim2real_cat.worlds.parameters.friction import JOINT_FIELDS, joint_columns
from sim2real_cat.worlds.parameters.physical import TOGETHER, targets
from sim2real_cat.worlds.randomization.change import Change
from sim2real_cat.worlds.randomization.dependence import Correlation, FixedTotal
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.randomization.entries import read_change, read_correlations, read_totals
from sim2real_cat.worlds.world import World, require_model


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
        for name, change in self.changes.items():
            if not isinstance(change, Change):
                raise WorldError(
                    f"'{name}': a randomization needs a Change, got {change!r}; from_table reads tables such as "
                    '{"scale": [0.8, 1.2]}'
                )
        for kind, groups in (("correlation", self.correlations), ("fixed total", self.totals)):
            named = [name for group in groups for name in group.parameters]
            for name in named:
                if name not in self.changes:
                    raise WorldError(f"{kind}: " + unknown_name("parameter", name, self.changes))
                if named.count(name) > 1:
                    raise WorldError(f"{kind}: '{name}' is named twice; put what belongs together into one {kind}")
        for total in self.totals:
            modes = sorted({self.changes[name].mode for name in total.parameters})
            if len(modes) > 1:
                raise WorldError(f"fixed total of {listed(total.parameters)}: needs one mode, got {listed(modes)}")

    @classmethod
    def from_table(cls, table: Mapping[str, object], place: str = "randomization") -> Randomization:
        """Read ``{"body_mass[torso]": {"scale": [0.8, 1.2], "distribution": "uniform"}}``, as TOML gives it.

        Two keys are not parameters: ``correlations``, a list of ``{"between": [names], "coefficient": 0.8}`` or with
        a ``matrix``, and ``fixed_totals``, a list of lists of names.

        Raises:
            WorldError: an entry without a mode, with an unknown key, or with an invalid range.
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
        """Fit the randomization to a world: a change for each element where one was asked for, totals as the model's.

        Raises:
            WorldError: a parameter that the world does not have, or that cannot vary.
        """
        return bind(self, require_model(world).compile(), world.sensors)

    def at(self, level: float) -> Randomization:
        """Return the randomization with every range narrowed to `level` times its width around its centre.

        Raises:
            WorldError: a level outside [0, 1], or a randomization that is narrowed already.
        """
        if not 0 <= level <= 1:
            raise WorldError(f"a level is from 0 to 1, got {level:g}")
        if self.level != 1:
            raise WorldError(f"these ranges are narrowed to level {self.level:g} already; narrow the full ones")
        return replace(self, changes={name: change.at(level) for name, change in self.changes.items()}, level=level)

    def draw(self, n: int, *, rng: np.random.Generator | int = 0) -> Ensemble:
        """Draw `n` worlds of equal weight; one nominal world where nothing varies.

        Args:
            n: how many.
            rng: a generator, or a seed for one.

        Raises:
            WorldError: n < 1, a randomization that needs to be bound to a world first, an invalid correlation matrix,
                or a total that the ranges do not allow.
        """
        if n < 1:
            raise WorldError(f"an ensemble needs at least one world, got {n}")
        if not self.changes:
            return replace(Ensemble.nominal(), level=self.level)
        return self._ensemble(self._with_totals(self._drawn(n, np.random.default_rng(rng))))

    def draw_boundary(self, n: int, *, rng: np.random.Generator | int = 0) -> Ensemble:
        """Draw `n` worlds on the boundary of the ranges: in each, one parameter at random is at one of its two ends.

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
        """Return two worlds: all parameters at their low ends, and at their high ends (3 deviations where normal)."""
        ends = [change.ends for change in self.changes.values()]
        modes = tuple(change.mode for change in self.changes.values())
        return Ensemble(tuple(self.changes), modes, np.array(ends).reshape(-1, 2).T, np.full(2, 0.5), self.level)

    def log_density(self, worlds: Ensemble | Floats) -> Floats:
        """Return the log-density (n,) of worlds under this distribution; -inf outside.

        A density per unit of each continuous number; discrete and constant numbers count by their probability. Where
        totals are fixed or correlations are singular, some numbers follow from others, see `FixedTotal.log_density`
        and `Correlation.log_density`, and it is per unit of the others.

        Args:
            worlds: an ensemble with these parameters, in any order, or their numbers (n, p) in the order of `changes`.

        Raises:
            WorldError: a randomization that needs to be bound to a world first, an ensemble of other parameters, or a
                total of parameters that are correlated too, whose density has no closed form.
        """
        columns = self._columns_of(worlds)
        rows = len(worlds)
        together = {name for correlation in self.correlations for name in correlation.parameters}
        summed = {name for total in self.totals for name in total.parameters}
        if both := sorted(together & summed):
            raise WorldError(
                f"{listed(both)} are correlated and in a fixed total: draws like these have no known density"
            )
        found = np.zeros(rows)
        for name, change in self.changes.items():
            if name not in together | summed:
                found += change.log_density(columns[name])
        groups: list[Correlation | FixedTotal] = [*self.correlations, *self.totals]
        for group in groups:
            found += group.log_density(np.stack([columns[name] for name in group.parameters], axis=1), self.changes)
        return found

    def _columns_of(self, worlds: Ensemble | Floats) -> dict[str, Floats]:
        """Return the numbers of worlds by parameter."""
        self._require_bound()
        if isinstance(worlds, Ensemble):
            modes = dict(zip(worlds.parameters, worlds.modes, strict=True))
            wanted = {name: change.mode for name, change in self.changes.items()}
            if modes != wanted:
                other = sorted(set(modes.items()) ^ set(wanted.items()))
                raise WorldError(
                    "the worlds do not have the parameters of this randomization: "
                    + listed(f"{name} ({mode})" for name, mode in other)
                )
            return dict(zip(worlds.parameters, worlds.values.T, strict=True))
        values = np.asarray(worlds, dtype=float)
        if values.ndim != 2 or values.shape[1] != len(self.changes):
            raise WorldError(
                f"{len(self.changes)} parameters need numbers (n, {len(self.changes)}), got {values.shape}"
            )
        return dict(zip(self.changes, values.T, strict=True))

    def _require_bound(self) -> None:
        """Refuse changes that draw for each element of a world that is not known."""
        for name, change in self.changes.items():
            if change.each:
                raise WorldError(f"'{name}' is drawn for each element: bind the randomization to its world first")

    def _drawn(self, n: int, rng: np.random.Generator) -> dict[str, Floats]:
        """Draw a column for every parameter, before the totals: the independent ones first, in order."""
        self._require_bound()
        together = {name for correlation in self.correlations for name in correlation.parameters}
        drawn = {name: change.draw(n, rng=rng) for name, change in self.changes.items() if name not in together}
        for correlation in self.correlations:
            for name, column in zip(correlation.parameters, correlation.uniforms(n, rng).T, strict=True):
                drawn[name] = self.changes[name].quantile(column)
        return drawn

    def _with_totals(self, columns: dict[str, Floats]) -> Floats:
        """Return the columns as a matrix, (n, p), those of a fixed total moved to it."""
        for total in self.totals:
            moved = total.restore(np.stack([columns[name] for name in total.parameters], axis=1), self.changes)
            columns |= dict(zip(total.parameters, moved.T, strict=True))
        return np.stack([columns[name] for name in self.changes], axis=1)

    def _ensemble(self, values: Floats) -> Ensemble:
        modes = tuple(change.mode for change in self.changes.values())
        return Ensemble(tuple(self.changes), modes, values, np.full(len(values), 1.0 / len(values)), self.level)


def bind(randomization: Randomization, model: mujoco.MjModel, sensors: Sequence[str] = ()) -> Randomization:
    """Fit a randomization to a model, so that every change stands for one column.

    Args:
        randomization: the randomization.
        model: the model whose elements are meant.
        sensors: names of the observed channels, for noise and bias of each.

    Raises:
        WorldError: a parameter that the model does not have or that cannot vary, a parameter that is named twice,
            an invalid correlation matrix, or a total that makes no sense or that the ranges do not allow.
    """
    columns = {name: _columns(model, sensors, name, change) for name, change in randomization.changes.items()}
    changes: dict[str, Change] = {}
    for name, change in randomization.changes.items():
        for column in columns[name]:
            if column in changes:
                raise WorldError(f"'{column}' is changed twice, also by '{name}'; say one of them in words")
            changes[column] = replace(change, each=False)
    bound = replace(
        randomization,
        changes=changes,
        correlations=tuple(
            replace(correlation, parameters=_flat(columns, correlation.parameters))
            for correlation in randomization.correlations
        ),
        totals=tuple(_total(model, total, columns, changes) for total in randomization.totals),
    )
    for correlation in bound.correlations:
        correlation.array()
    for total in bound.totals:
        total.check(changes)
    return bound


def _columns(model: mujoco.MjModel, sensors: Sequence[str], name: str, change: Change) -> list[str]:
    """Return the parameters that a change stands for: itself, or one for each element.

    An element that is 0 in the model stays 0 when it is scaled, so it gets no column.
    """
    field = split(name)[0]
    if field in CHANNEL_FIELDS:
        return channel_columns(name, change, sensors, actuator_names(model))
    if field in JOINT_FIELDS:
        return joint_columns(model, name, change)
    found = targets(model, name, change.mode)
    if not change.each:
        return [name]
    elements = [
        element
        for element in found[0].elements
        if change.mode != "scale" or field_values(model, found[0].name).reshape(-1)[element] != 0
    ]
    if not elements:
        raise WorldError(
            f"'{name}': all of them are 0 in this model, so that scaling changes nothing; shift or set them"
        )
    if field not in TOGETHER:
        return [element_name(model, field, element) for element in elements]
    width = int(np.prod(field_values(model, found[0].name).shape[1:], dtype=int))
    rows = [element_name(model, found[0].name, element).split("[", 1)[1] for element in elements]
    return [f"{field}[{row if width == 1 else row.rsplit(',', 1)[0] + ']'}" for row in rows]


def _total(
    model: mujoco.MjModel, total: FixedTotal, columns: dict[str, list[str]], changes: dict[str, Change]
) -> FixedTotal:
    """Return a total with its sum in the model and its weights, the part of each column in the sum."""
    names = _flat(columns, total.parameters)
    where = f"fixed total of {listed(total.parameters)}"
    if any(split(name)[0] in CHANNEL_FIELDS | JOINT_FIELDS for name in names):
        raise WorldError(f"{where}: sensors, actions and the friction of servos have no total in the model")
    mode = changes[names[0]].mode
    targeted = [targets(model, name, mode)[0] for name in names]
    fields = sorted({target.name for target in targeted})
    if len(fields) > 1:
        raise WorldError(f"{where}: adds up {listed(fields)}, which are different quantities")
    elements = [element for target in targeted for element in target.elements]
    if len(set(elements)) != len(elements):
        raise WorldError(f"{where}: two of them name the same element, which would count twice")
    held = field_values(model, fields[0]).reshape(-1)
    sums = [float(held[list(target.elements)].sum()) for target in targeted]
    if mode == "scale":
        if min(sums) < 0 or sum(sums) == 0:
            raise WorldError(f"{where}: needs values >= 0 in the model, of which one is positive, to scale")
        return FixedTotal(names, tuple(sums), float(np.sum(sums)))
    sizes = tuple(float(len(target.elements)) for target in targeted)
    return FixedTotal(names, sizes, 0.0 if mode == "shift" else float(np.sum(sums)))


def _flat(columns: dict[str, list[str]], names: Sequence[str]) -> tuple[str, ...]:
    """Return the columns of several parameters, one after the other."""
    return tuple(column for name in names for column in columns[name])
