"""Your own laws, for instances of any schema: a path equation, a query that nothing may match, or a function.

Such a law is written for one schema: a name that the schema does not have is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim2real_cat.acsets import equations
from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.coercion import brief
from sim2real_cat.acsets.columns import Ids
from sim2real_cat.acsets.query.engine import answer
from sim2real_cat.acsets.query.text import ID, Parameter, Variable, parse
from sim2real_cat.acsets.schema import PathLike, names_of
from sim2real_cat.errors import LawError, SchemaError, unknown_name
from sim2real_cat.transfer.laws.law import Law, Witness, Witnesses, WitnessRows

Found = Mapping[str, ArrayLike] | Sequence[Witness]
"""The result of a law's function: by object a mask over its parts, or the ids of those that break it; or witnesses."""


def path_equation(name: str, left: PathLike, right: PathLike, statement: str = "", *, partial: bool = False) -> Law:
    """Make the law that two paths send every part to the same: ``path_equation("home", "train.deploy", "home")``.

    Args:
        name: the name of the law.
        left: a path, ``"train.deploy"`` or a tuple of names; empty for the identity on the object of the other side.
        right: likewise.
        statement: the law in words; the equation where none is given.
        partial: whether parts are left out at which a side is undefined. Otherwise a side that is undefined agrees
            with one that is undefined too, and with nothing else.

    Raises:
        LawError: both sides are identities.
        SchemaError: when it is checked: paths with other ends, or that do not compose.
    """
    sides = (names_of(left), names_of(right))
    if not any(sides):
        raise LawError(f"law '{name}': two identities say nothing; give a path for one side")
    shown = [".".join(side) or "id" for side in sides]

    def witnesses(instance: ACSet, epsilon: float) -> Witnesses:
        found, codom = _violation(instance, name, *sides)
        both = (found.left, found.right)
        without = [_undefined(values) for values in both]
        ids = found.ids[~(without[0] | without[1])] if partial else found.ids

        def message(row: int) -> str:
            at = int(np.searchsorted(found.ids, row))
            one, other = (
                "undefined" if gone[at] else _end(codom, instance, values[at : at + 1].tolist()[0])
                for values, gone in zip(both, without, strict=True)
            )
            return f"{shown[0]} is {one}, but {shown[1]} is {other}"

        return Witnesses([WitnessRows("violated", found.ob, ids, message)])

    symbols = " = ".join(shown) + (", where defined" if partial else "")
    return Law(name, statement or f"{symbols}.", symbols, witnesses)


def from_query(
    name: str,
    body: str,
    where: str | None = None,
    statement: str = "",
    *,
    of: str | None = None,
    params: Mapping[str, object] | None = None,
) -> Law:
    """Make the law that nothing matches a query: ``from_query("weak", "Policy(_id=p, kl_gap=g)", where="g > 3")``.

    Args:
        name: the name of the law.
        body: atoms, as `ACSet.query` takes them.
        where: comparisons; ``$epsilon`` is the epsilon of the check.
        statement: the law in words; the query where none is given.
        of: the variable for the part that a match is held against; the first ``_id`` where none is named.
        params: values of other ``$names``.

    Raises:
        SchemaError: the query cannot be parsed; when it is checked: it does not fit the schema.
        LawError: no ``_id`` is a variable, or none has the name `of`.
    """
    asked = parse(body, None, where)
    arguments = [(a.ob, key, term) for a in asked.atoms for key, term in a.arguments]
    parts = {term.name: ob for ob, key, term in arguments if key == ID and isinstance(term, Variable)}
    if not parts:
        raise LawError(f"law '{name}': the query names no part; write an atom as {asked.atoms[0].ob}(_id=x, ...)")
    if of is not None and of not in parts:
        raise LawError(f"law '{name}': " + unknown_name("part", of, parts))
    chosen = next(iter(parts)) if of is None else of
    terms = [term for _, _, term in arguments]
    terms += [side for comparison in asked.comparisons for side in (comparison.left, comparison.right)]
    takes_epsilon = any(isinstance(term, Parameter) and term.name == "epsilon" for term in terms)
    text = body if where is None else f"{body} where {where}"

    def witnesses(instance: ACSet, epsilon: float) -> Witnesses:
        given = {**(params or {}), **({"epsilon": epsilon} if takes_epsilon else {})}
        found = answer(instance, asked, given)
        ids, first = np.unique(found[chosen], return_index=True)

        def message(row: int) -> str:
            match = int(first[np.searchsorted(ids, row)])
            values = {column: array[match] for column, array in found.columns.items()}
            return f"matches {text}: " + ", ".join(f"{column} = {_plain(value)}" for column, value in values.items())

        return Witnesses([WitnessRows("violated", parts[chosen], ids, message)])

    return Law(name, statement or f"Nothing matches {text}.", f"∄ {text}", witnesses)


def from_function(
    name: str,
    function: Callable[[ACSet, float], Found],
    statement: str,
    symbols: str = "",
    *,
    needs: Sequence[str] = (),
) -> Law:
    """Make a law of a function of an instance and epsilon.

    Args:
        name: the name of the law.
        function: gives, by object, a mask over all parts or an array of ids that break the law; a masked array counts
            as False where it is masked. Or a sequence of witnesses, for laws that leave rows open or have more to say.
        statement: the law in words; said of every row that breaks it, too.
        symbols: the law in symbols.
        needs: objects, homs and attributes without which it is not asked.

    Raises:
        LawError: when it is checked: the function gave something else.
    """

    def witnesses(instance: ACSet, epsilon: float) -> Witnesses | Sequence[Witness]:
        found = function(instance, epsilon)
        if not isinstance(found, Mapping):
            if not (isinstance(found, Sequence) and all(isinstance(one, Witness) for one in found)):
                raise LawError(
                    f"law '{name}': its function gave a {type(found).__name__}; it gives a mapping from objects to "
                    "masks or ids, or a sequence of witnesses"
                )
            return found
        return Witnesses([_rows(instance, name, ob, column, statement) for ob, column in found.items()])

    return Law(name, statement, symbols, witnesses, needs=tuple(needs))


def _rows(instance: ACSet, name: str, ob: str, column: ArrayLike, statement: str) -> WitnessRows:
    """Return the rows of an object that a function gave as a mask or as ids."""
    if ob not in instance.schema.obs:
        raise SchemaError(f"law '{name}': " + unknown_name("object", ob, instance.schema.obs))
    n = instance.nparts(ob)
    array = np.ma.filled(np.ma.asarray(column), False) if np.ma.isMaskedArray(column) else np.asarray(column)
    if array.dtype == bool and array.shape == (n,):
        ids: Ids = np.flatnonzero(array)
    elif array.ndim == 1 and (array.dtype.kind in "iu" or not array.size):
        ids = np.unique(array.astype(np.int64))
        if len(ids) and not (ids[0] >= 0 and ids[-1] < n):
            raise LawError(f"law '{name}': names {ob} {ids[0] if ids[0] < 0 else ids[-1]}, but there are {n}")
    else:
        raise LawError(
            f"law '{name}': gave {array.dtype} of shape {array.shape} for {ob}; give a mask of shape ({n},), or ids"
        )
    return WitnessRows("violated", ob, ids, lambda row: f"breaks it: {statement}")


def _violation(
    instance: ACSet, name: str, left: tuple[str, ...], right: tuple[str, ...]
) -> tuple[equations.EquationViolation, str]:
    """Find the parts at which the two sides differ, and the object where both end; refuse paths that do not fit."""
    schema = instance.schema
    try:
        start = schema.path(left or right).dom
        one, other = (schema.path(side, None if side else start) for side in (left, right))
    except SchemaError as error:
        raise SchemaError(f"law '{name}': {error}") from None
    if (one.dom, one.codom) != (other.dom, other.codom):
        raise SchemaError(
            f"law '{name}': one side goes from {one.dom} to {one.codom}, the other from {other.dom} to {other.codom}"
        )
    return equations.violation(instance, one, other), one.codom


def _end(codom: str, instance: ACSet, value: object) -> str:
    """Return the end of a path in words: a part, or a value."""
    return f"{codom} {value}" if codom in instance.schema.obs else brief(value)


def _undefined(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return a mask of the ids, or values as objects, that are undefined."""
    if values.dtype == object:
        return np.array([value is None for value in values.tolist()], np.bool_)
    return np.ma.getmaskarray(values)


def _plain(value: Any) -> str:
    """Return a value of a match as text."""
    return brief(value.item() if isinstance(value, np.generic) else value)
