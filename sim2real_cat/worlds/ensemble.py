"""An ensemble: worlds that differ in named parameters, a table with a row for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.change_entries import is_number, mode_and_keys
from sim2real_cat.worlds.changes import Array, Mode

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Worlds that differ in named parameters: one row each.

    Attributes:
        parameters: p names, as in ``"body_mass[torso]"``.
        modes: p modes, how each column changes the model's value.
        values: (n, p), the numbers drawn.
        weights: (n,), probability of each world in the mixture; sums to 1.
        level: the level of a curriculum at which the ranges were narrowed when it was drawn; 1 where they were not.
    """

    parameters: tuple[str, ...]
    modes: tuple[Mode, ...]
    values: Array
    weights: Array
    level: float = 1.0

    def __post_init__(self) -> None:
        shape = (len(self.weights), len(self.parameters))
        if self.values.shape != shape or len(self.modes) != shape[1] or not len(self.weights):
            raise WorldError(
                f"an ensemble of {shape[0]} worlds and {shape[1]} parameters needs as many modes and values of shape "
                f"{shape}, got {len(self.modes)} and {self.values.shape}; it has one world at least"
            )
        if not np.isfinite(self.values).all():
            member, column = np.argwhere(~np.isfinite(self.values))[0]
            raise WorldError(
                f"'{self.parameters[column]}' is {self.values[member, column]} in member {member}, not finite"
            )

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
            mode, keys = mode_and_keys(parameter, entry, place)
            if not (is_number(keys[mode]) and np.isfinite(keys[mode])):
                raise WorldError(f"{place}, '{parameter}': '{mode}' takes one finite number, got {keys[mode]!r}")
            modes.append(mode)
            values.append(float(keys[mode]))
        return cls(tuple(table), tuple(modes), np.array([values]).reshape(1, len(table)), np.ones(1))

    @classmethod
    def from_draws(
        cls,
        members: Sequence[int],
        parameters: Sequence[str],
        changes: Sequence[str],
        values: Sequence[float],
        weights: Sequence[float],
        level: float = 1.0,
    ) -> Ensemble:
        """The ensemble of single draws, a row each: the `Draw` rows of an instance, for the fibre of a policy.

        Args:
            members: which world each draw belongs to, from 0.
            parameters: the parameter of each draw.
            changes: the mode of each draw.
            values: the number drawn.
            weights: (n,) the weight of every world.
            level: the level of the curriculum.

        Raises:
            WorldError: a world lacks a parameter or has it twice, or a parameter has two modes.
        """
        columns = {parameter: i for i, parameter in enumerate(dict.fromkeys(parameters))}
        table = np.full((len(weights), len(columns)), np.nan)
        modes: dict[str, Any] = {}
        for member, parameter, mode, value in zip(members, parameters, changes, values, strict=True):
            if modes.setdefault(parameter, mode) != mode:
                raise WorldError(
                    f"'{parameter}' is both {modes[parameter]} and {mode}; draws of a column have one mode"
                )
            if not np.isnan(table[member, columns[parameter]]):
                raise WorldError(f"world {member} has two draws of '{parameter}'")
            table[member, columns[parameter]] = value
        if np.isnan(table).any():
            member, column = np.argwhere(np.isnan(table))[0]
            raise WorldError(f"world {member} has no draw of '{list(columns)[column]}', which other worlds have")
        return cls(tuple(columns), tuple(modes.values()), table, np.asarray(weights, dtype=float), level)

    def __len__(self) -> int:
        return len(self.values)

    def row(self, member: int) -> dict[str, float]:
        """The numbers of one world by parameter name."""
        return dict(zip(self.parameters, (float(v) for v in self.values[member]), strict=True))

    def select(self, rows: NDArray[np.intp] | Sequence[int]) -> Ensemble:
        """The worlds in `rows`, with the weights they have here."""
        index = np.asarray(rows, dtype=np.intp)
        return Ensemble(self.parameters, self.modes, self.values[index], self.weights[index], self.level)

    def to_arrow(self, policy: str | None = None) -> Any:
        """The ensemble as a `pyarrow.Table`, see `ensemble_table.to_arrow`."""
        from sim2real_cat.worlds.ensemble_table import to_arrow

        return to_arrow(self, policy)

    def to_parquet(self, path: str | Path, policy: str | None = None) -> None:
        """Write the table to a Parquet file, whole or not at all, see `ensemble_table.to_arrow` for its columns."""
        from sim2real_cat.worlds.ensemble_table import to_parquet

        to_parquet(self, path, policy)

    @staticmethod
    def from_parquet(path: str | Path) -> Ensemble:
        """Read an ensemble that `to_parquet` wrote.

        Raises:
            ExchangeError: the file is missing, cut short, or no table of an ensemble.
        """
        from sim2real_cat.worlds.ensemble_table import from_parquet

        return from_parquet(path)
