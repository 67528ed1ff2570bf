"""Rows on their way into an instance: columns checked against the schema, all of them before any is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sim2real_cat.acsets._coerce import MisfitError, allowed_ids, as_cells, as_sequence, as_targets, check_range
from sim2real_cat.acsets.codecs import Codec, type_name
from sim2real_cat.acsets.columns import Cells, Ids, Var
from sim2real_cat.errors import InstanceError, unknown_name

if TYPE_CHECKING:
    from sim2real_cat.acsets.acset import ACSet


@dataclass(frozen=True)
class Rows:
    """Columns of one object, each of the same length, ready to be stored."""

    homs: dict[str, Ids]
    attrs: dict[str, Cells]

    def __contains__(self, name: str) -> bool:
        return name in self.homs or name in self.attrs

    def __getitem__(self, name: str) -> Ids | Cells:
        return self.homs[name] if name in self.homs else self.attrs[name]


def checked_rows(
    instance: ACSet, ob: str, n: int, columns: Mapping[str, object], *, grown: int = 0, single: bool = False
) -> Rows:
    """Check ``n`` rows of an object.

    Args:
        instance: where the rows will go.
        ob: their object.
        n: how many rows.
        columns: for each hom or attribute n values, or one value for all rows.
        grown: how many parts the object will have gained once the rows are stored, so that a new part
            may refer to itself or to another new one.
        single: whether each column is one value, not a sequence.

    Raises:
        SchemaError: for an unknown object.
        InstanceError: for anything that does not fit.
    """
    size = instance.nparts(ob)
    schema = instance.schema
    homs, attrs = schema.homs_from(ob), schema.attrs_from(ob)
    rows = Rows({}, {})
    for name, values in columns.items():
        python_type: type | Codec = int
        if name not in homs and name not in attrs:
            raise InstanceError(f"'{ob}' has an {unknown_name('column', name, (*homs, *attrs))}")
        codom = (schema.homs if name in homs else schema.attrs)[name][1]
        if name in homs:
            limit = size + grown if codom == ob else instance.nparts(codom)
            allowed = f"{allowed_ids(codom, limit)}; None is undefined"
        else:
            python_type = schema.attrtypes[codom]
            allowed = f"{codom} is {type_name(python_type)}; None is undefined, Var(k) a variable"
        try:
            sequence = [values] if single else as_sequence(values, n, python_type)
            if len(sequence) != n:
                kind = "new parts" if grown else "parts"
                raise InstanceError(f"column '{name}' has {len(sequence)} values for {n} {kind} of '{ob}'")
            if name in homs:
                rows.homs[name] = as_targets(sequence)
                check_range(rows.homs[name], limit, undefined_allowed=True)
            else:
                rows.attrs[name] = as_cells(sequence, python_type)
                _check_variables(rows.attrs[name], instance.nvars(codom), codom)
        except MisfitError as misfit:
            place = "" if misfit.position is None or single else f" row {misfit.position}:"
            raise InstanceError(f"column '{name}' of '{ob}':{place} {misfit} ({allowed})") from None
    return rows


def quick_row(instance: ACSet, ob: str, subparts: Mapping[str, object], grown: int) -> dict[str, Any] | None:
    """Some columns of one row as plain Python values that fit as they are.

    None where a value is unusual or wrong, or its column unique: then :func:`checked_rows` decides.
    """
    schema, homs, attrs = instance.schema, instance._homs, instance._attrs
    own_homs, own_attrs = schema.homs_from(ob), schema.attrs_from(ob)
    for name, value in subparts.items():
        if name in instance._unique:
            return None
        if name in own_homs:
            codom = homs[name].codom
            limit = instance._nparts[codom] + (grown if codom == ob else 0)
            fits = value is None or (type(value) is int and 0 <= value < limit)
        elif name in own_attrs:
            fits = value is None or type(value) is attrs[name].python_type
            fits = fits and (type(value) is not int or -(2**63) <= value < 2**63)
        else:
            fits = False
        if not fits:
            return None
    return dict(subparts)


def _check_variables(cells: Cells, nvars: int, attrtype: str) -> None:
    if not cells.all_defined and cells.status.max() >= nvars:
        position = int((cells.status >= nvars).nonzero()[0][0])
        problem = f"does not exist: {attrtype} has {nvars} variables, add_vars adds more"
        raise MisfitError(position, Var(int(cells.status[position])), problem)
