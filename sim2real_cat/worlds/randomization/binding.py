"""Bind a randomization to a model: one change for each element where asked, and totals as the model's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import mujoco
import numpy as np

from sim2real_cat.errors import WorldError, listed, unknown_name
from sim2real_cat.model_names import matches
from sim2real_cat.worlds.parameters.apply import ACTION_FIELDS, SENSOR_FIELDS
from sim2real_cat.worlds.parameters.fields import element_name, split, values
from sim2real_cat.worlds.parameters.physical import TOGETHER, targets
from sim2real_cat.worlds.randomization.change import Change
from sim2real_cat.worlds.randomization.dependence import FixedTotal
from sim2real_cat.worlds.randomization.randomization import Randomization


def bind(randomization: Randomization, model: mujoco.MjModel, sensors: Sequence[str] = ()) -> Randomization:
    """The randomization on a model, every change for one column.

    Args:
        randomization: what varies.
        model: the model whose elements are meant.
        sensors: names of the observed channels, for noise and bias of each.

    Raises:
        WorldError: a parameter that the model does not have or that cannot vary, a parameter that is named twice,
            a matrix that is no correlation matrix, or a total that is none or that the ranges do not allow.
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
    """The parameters that a change stands for: itself, or one for each element.

    An element that is 0 in the model stays 0 when it is scaled, so it gets no column.
    """
    field, parts = split(name)
    if field in SENSOR_FIELDS:
        return _sensor_columns(sensors, name, field, ", ".join(parts)) if change.each else [name]
    if field in ACTION_FIELDS:
        if change.each:
            raise WorldError(f"'{name}': an action is one packet, which has no elements; leave 'each' out")
        return [name]
    found = targets(model, name, change.mode)
    if not change.each:
        return [name]
    elements = [
        element
        for element in found[0].elements
        if change.mode != "scale" or values(model, found[0].name).reshape(-1)[element] != 0
    ]
    if not elements:
        raise WorldError(
            f"'{name}': all of them are 0 in this model, so that scaling changes nothing; shift or set them"
        )
    if field not in TOGETHER:
        return [element_name(model, field, element) for element in elements]
    width = int(np.prod(values(model, found[0].name).shape[1:], dtype=int))
    rows = [element_name(model, found[0].name, element).split("[", 1)[1] for element in elements]
    return [f"{field}[{row if width == 1 else row.rsplit(',', 1)[0] + ']'}" for row in rows]


def _sensor_columns(sensors: Sequence[str], name: str, field: str, pattern: str) -> list[str]:
    """A parameter for each sensor that a pattern means."""
    found = [sensor for sensor in sensors if pattern in ("", ":") or matches(sensor, pattern)]
    if not found:
        raise WorldError(f"'{name}': " + unknown_name("sensor", pattern, sensors))
    return [f"{field}[{sensor}]" for sensor in found]


def _total(
    model: mujoco.MjModel, total: FixedTotal, columns: dict[str, list[str]], changes: dict[str, Change]
) -> FixedTotal:
    """A total with its weights: what the model's elements of each column contribute to the sum."""
    names = _flat(columns, total.parameters)
    where = f"fixed total of {listed(total.parameters)}"
    if any(split(name)[0] in SENSOR_FIELDS + ACTION_FIELDS for name in names):
        raise WorldError(f"{where}: sensors and actions have no total in the model")
    mode = changes[names[0]].mode
    targeted = [targets(model, name, mode)[0] for name in names]
    fields = sorted({target.name for target in targeted})
    if len(fields) > 1:
        raise WorldError(f"{where}: adds up {listed(fields)}, which are different quantities")
    elements = [element for target in targeted for element in target.elements]
    if len(set(elements)) != len(elements):
        raise WorldError(f"{where}: two of them name the same element, which would count twice")
    held = values(model, fields[0]).reshape(-1)
    sums = [float(held[list(target.elements)].sum()) for target in targeted]
    if mode == "scale":
        if min(sums) < 0 or sum(sums) == 0:
            raise WorldError(f"{where}: needs values >= 0 in the model, of which one is positive, to scale")
        return FixedTotal(names, tuple(sums), float(np.sum(sums)))
    sizes = tuple(float(len(target.elements)) for target in targeted)
    return FixedTotal(names, sizes, 0.0 if mode == "shift" else float(np.sum(sums)))


def _flat(columns: dict[str, list[str]], names: Sequence[str]) -> tuple[str, ...]:
    """The columns of several parameters, one after the other."""
    return tuple(column for name in names for column in columns[name])
