"""Read changes and their dependence from TOML: ``{ scale = [0.8, 1.2], distribution = "uniform" }``."""

from __future__ import annotations

import math
from typing import cast, get_args

from sim2real_cat.errors import WorldError
from sim2real_cat.toml_table import TomlTable
from sim2real_cat.worlds.randomization.change import Change, Distribution, Mode
from sim2real_cat.worlds.randomization.dependence import Correlation, FixedTotal


def read_change(parameter: str, table: TomlTable) -> Change:
    """Read the change of one parameter from a table of changes.

    Raises:
        WorldError: no mode, an unknown key, or an invalid range, list or setting.
    """
    entry = table.entry(parameter, "{ scale = [0.8, 1.2] }")
    mode = read_mode(entry)
    distribution = cast(Distribution, entry.text("distribution", "uniform"))  # `Change` checks it
    discrete = distribution == "discrete"
    numbers = entry.numbers(mode) if discrete else entry.pair(mode)
    probabilities = entry.numbers("probabilities") if entry.has("probabilities") else None
    within = entry.pair("within") if entry.has("within") else None
    centre, each = entry.optional_number("centre"), entry.flag("each", False)
    entry.close()
    if distribution != "normal" and within is not None:
        raise entry.refusal(f"only a normal change is cut to a range by 'within', this one is {distribution}")
    if discrete and probabilities == []:
        raise entry.refusal(f"{len(numbers)} values need as many probabilities, got 0")
    if not discrete and probabilities is not None:
        raise entry.refusal(f"only a discrete change has probabilities, this one is {distribution}")
    try:
        if discrete:
            return Change.discrete(mode, numbers, probabilities or (), centre=centre, each=each)
        if distribution != "normal":
            return Change(mode, numbers[0], numbers[1], distribution, centre=centre, each=each)
        low, high = within or (-math.inf, math.inf)
        mean, deviation = numbers
        return Change(mode, low, high, distribution, mean=mean, deviation=deviation, centre=centre, each=each)
    except WorldError as error:
        raise entry.refusal(str(error)) from None


def read_mode(entry: TomlTable) -> Mode:
    """Return the mode of an entry such as ``{"scale": 1.3}``, the key under which its numbers stand.

    Raises:
        WorldError: the entry has no mode, or several.
    """
    return cast(Mode, entry.only(get_args(Mode)))


def read_correlations(table: TomlTable) -> tuple[Correlation, ...]:
    """Read the list ``correlations``, of ``{ between = [names], coefficient = 0.8 }`` or with a ``matrix``.

    Raises:
        WorldError: the entry is not a list of such tables.
    """
    example = "{ between = ['body_mass[torso]', 'dof_damping'], coefficient = 0.8 }"
    found = []
    for entry in table.tables("correlations", example):
        coefficient = entry.optional_number("coefficient")
        matrix = entry.rows("matrix") if entry.has("matrix") else None
        names = entry.raw("between")
        entry.close()
        names = _parameters(names, f"{entry.place}: between")
        try:
            found.append(Correlation(names, coefficient, matrix))
        except WorldError as error:
            raise entry.refusal(str(error)) from None
    return tuple(found)


def read_totals(table: TomlTable) -> tuple[FixedTotal, ...]:
    """Read the list ``fixed_totals``, of lists of parameters.

    Raises:
        WorldError: the entry is not a list of lists of names.
    """
    place, entries = table.beside("fixed_totals"), table.raw("fixed_totals") if table.has("fixed_totals") else []
    if not isinstance(entries, list):
        raise WorldError(
            f"{place}: needs to be a list of lists of parameters, as in [['body_mass[*]']], got {entries!r}"
        )
    return tuple(FixedTotal(_parameters(entry, f"{place}: each of them")) for entry in entries)


def _parameters(value: object, place: str) -> tuple[str, ...]:
    """Return the names in a list of at least one parameter."""
    if not (isinstance(value, list) and value and all(isinstance(name, str) for name in value)):
        raise WorldError(f"{place} needs to be a list of parameters, got {value!r}")
    return tuple(value)
