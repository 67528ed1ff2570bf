"""Read changes from tables, as TOML gives them: ``{ scale = [0.8, 1.2], distribution = "uniform" }``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from sim2real_cat.errors import WorldError, listed, unknown_name
from sim2real_cat.worlds.randomization.change import Change, Mode
from sim2real_cat.worlds.randomization.dependence import Correlation, FixedTotal

_KEYS = ("distribution", "probabilities", "within", "centre", "each")


def read_change(parameter: str, entry: object, place: str) -> Change:
    """One entry of a table of changes.

    Raises:
        WorldError: no mode, an unknown key, or a range, list or setting that is none.
    """
    where = f"{place}, '{parameter}'"
    mode, keys = mode_and_keys(parameter, entry, place, also=_KEYS)
    try:
        return _change(mode, keys)
    except WorldError as error:
        raise WorldError(f"{where}: {error}") from None


def _change(mode: Mode, keys: Mapping[str, Any]) -> Change:
    each, centre = keys.get("each", False), keys.get("centre")
    if not isinstance(each, bool):
        raise WorldError(f"'each' takes true or false, got {each!r}")
    if centre is not None and not is_number(centre):
        raise WorldError(f"'centre' takes a number, got {centre!r}")
    centre = None if centre is None else float(centre)
    distribution = keys.get("distribution", "uniform")
    if distribution == "discrete":
        if "within" in keys:
            raise WorldError("only a normal change is cut to a range by 'within', this one is discrete")
        values = _numbers(keys[mode], mode, "a list of numbers, as in [0.5, 1, 2]")
        chances = _numbers(keys.get("probabilities", []), "probabilities", "a list of numbers")
        if "probabilities" in keys and not chances:
            raise WorldError(f"{len(values)} values need as many probabilities, got 0")
        return Change.discrete(mode, values, chances, centre=centre, each=each)
    if "probabilities" in keys:
        raise WorldError(f"only a discrete change has probabilities, this one is {distribution}")
    low, high = _pair(keys[mode], mode)
    within = _pair(keys["within"], "within") if "within" in keys else None
    return Change(mode, low, high, distribution, within=within, centre=centre, each=each)


def read_correlations(entries: object, place: str) -> tuple[Correlation, ...]:
    """The list ``correlations``, of ``{ between = [names], coefficient = 0.8 }`` or with a ``matrix``.

    Raises:
        WorldError: no list of such tables.
    """
    where = f"{place}, 'correlations'"
    example = "{ between = ['body_mass[torso]', 'dof_damping'], coefficient = 0.8 }"
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise WorldError(f"{where}: takes a list of tables, as in [{example}]")
    found = []
    for entry in entries:
        for key in entry:
            if key not in ("between", "coefficient", "matrix"):
                raise WorldError(f"{where}: " + unknown_name("key", key, ["between", "coefficient", "matrix"]))
        coefficient, matrix = entry.get("coefficient"), entry.get("matrix")
        if coefficient is not None and not is_number(coefficient):
            raise WorldError(f"{where}: 'coefficient' takes a number, got {coefficient!r}")
        if matrix is not None and not (isinstance(matrix, list) and all(_is_row(row) for row in matrix)):
            raise WorldError(f"{where}: 'matrix' takes a list of rows of numbers, got {matrix!r}")
        rows = None if matrix is None else tuple(tuple(float(number) for number in row) for row in matrix)
        try:
            names = _names(entry.get("between"), "between")
            found.append(Correlation(names, None if coefficient is None else float(coefficient), rows))
        except WorldError as error:
            raise WorldError(f"{where}: {error}") from None
    return tuple(found)


def read_totals(entries: object, place: str) -> tuple[FixedTotal, ...]:
    """The list ``fixed_totals``, of lists of parameters.

    Raises:
        WorldError: no list of lists of names.
    """
    where = f"{place}, 'fixed_totals'"
    if not isinstance(entries, list):
        raise WorldError(f"{where}: takes a list of lists of parameters, as in [['body_mass[*]']], got {entries!r}")
    try:
        return tuple(FixedTotal(_names(entry, "each of them")) for entry in entries)
    except WorldError as error:
        raise WorldError(f"{where}: {error}") from None


def mode_and_keys(
    parameter: str, entry: object, place: str, also: tuple[str, ...] = ()
) -> tuple[Mode, Mapping[str, Any]]:
    """The mode and all keys of a table entry such as ``{"scale": 1.3}``."""
    modes = get_args(Mode)
    if not isinstance(entry, Mapping) or sum(key in modes for key in entry) != 1:
        raise WorldError(f"{place}, '{parameter}': needs exactly one of {listed(modes)}, got {entry!r}")
    for key in entry:
        if key not in (*modes, *also):
            raise WorldError(f"{place}, '{parameter}': " + unknown_name("key", key, [*modes, *also]))
    mode: Mode = next(key for key in modes if key in entry)
    return mode, entry


def is_number(value: object) -> bool:
    """Whether a value read from a file is a number (booleans are not)."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_row(value: object) -> bool:
    return isinstance(value, list) and all(is_number(number) for number in value)


def _pair(value: object, key: str) -> tuple[float, float]:
    numbers = _numbers(value, key, "two numbers, as in [0.8, 1.2]")
    if len(numbers) != 2:
        raise WorldError(f"'{key}' takes two numbers, as in [0.8, 1.2], got {value!r}")
    return numbers[0], numbers[1]


def _numbers(value: object, key: str, expected: str) -> list[float]:
    if not isinstance(value, Sequence) or isinstance(value, str) or not all(is_number(number) for number in value):
        raise WorldError(f"'{key}' takes {expected}, got {value!r}")
    return [float(number) for number in value]


def _names(value: object, key: str) -> tuple[str, ...]:
    if not (isinstance(value, list) and value and all(isinstance(name, str) for name in value)):
        raise WorldError(f"{key} takes a list of parameters, got {value!r}")
    return tuple(value)
