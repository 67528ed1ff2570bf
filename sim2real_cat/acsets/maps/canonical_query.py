"""The canonical query of an instance X, to be asked of an instance Y: its answers are the morphisms X -> Y.

There is one variable for each part and each attribute variable of X, and one atom for each part, which
says what its arrows are. An attribute variable of X may become a value or a variable of Y, so Y is asked
with its values and variables as parts of further objects: attributes are homs to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.coercion import MisfitError, allowed_ids, as_cells, as_ids
from sim2real_cat.acsets.columns import Ids
from sim2real_cat.acsets.query.syntax import ID, Atom, Comparison, ConjunctiveQuery, Constant, Term, Variable
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.acsets.values import Codes, build, codes
from sim2real_cat.errors import InstanceError, SchemaError, unknown_name

Initial = Mapping[str, Mapping[int, Any]]
"""For some objects or attribute types, images prescribed for some parts or variables."""


class CanonicalQuery(NamedTuple):
    """A query whose answers are the morphisms from X to Y.

    Attributes:
        target: Y; where X holds values or variables, with these as parts and the attributes as homs to them.
        query: X's canonical query.
        fixed: the prescribed images of its variables, as ids of ``target``.
        isolated: how many parts of each object are left out.
        coded: the attributes of X and Y as ids of ``target``.
    """

    target: ACSet
    query: ConjunctiveQuery
    fixed: dict[str, int]
    isolated: dict[str, int]
    coded: Codes


def variable_name(sort: str, number: int) -> str:
    """The query's variable for a part or an attribute variable."""
    return f"{sort}.{number}"


def canonical_query(
    X: ACSet, Y: ACSet, initial: Initial, injective: frozenset[str], *, with_isolated: bool
) -> CanonicalQuery:
    """X's canonical query, with the part of Y that it asks about.

    Args:
        X: the domain.
        Y: the codomain, of the same schema.
        initial: images that are prescribed.
        injective: the objects and attribute types on which the morphisms must be injective.
        with_isolated: whether to ask for parts without arrows and prescribed image, too, whose images are
            all that is left, or to leave them out and say how many they are.

    Raises:
        SchemaError: where ``initial`` names no object or attribute type.
        InstanceError: where it prescribes what does not exist, or a variable of X is at no part and has
            no prescribed image.
    """
    schema = X.schema
    prescribed = prescribed_images(X, Y, initial)
    coded = codes(X, Y, also={T: tuple(images.values()) for T, images in prescribed.items() if T in schema.attrtypes})
    columns = {f: X.column_ids(f) for f in schema.homs} | coded.columns[0]
    fixed: dict[str, int] = {}
    for sort, images in prescribed.items():
        found = coded.also[sort].tolist() if sort in schema.attrtypes else images.values()
        fixed.update((variable_name(sort, x), int(y)) for x, y in zip(images, found, strict=True))
    atoms: list[Atom] = []
    left_out: dict[str, list[int]] = {}
    for ob in schema.obs:
        arrows = {f: columns[f] for f in (*schema.homs_from(ob), *schema.attrs_from(ob))}
        starts = np.logical_or.reduce([np.zeros(X.nparts(ob), np.bool_), *(c >= 0 for c in arrows.values())])
        is_end = np.zeros(X.nparts(ob), np.bool_)
        for f, (_, codom) in schema.homs.items():
            if codom == ob:
                is_end[columns[f][columns[f] >= 0]] = True
        left_out[ob] = []
        for x in np.flatnonzero(starts | ~is_end).tolist():
            name = variable_name(ob, x)
            if starts[x] or name in fixed or with_isolated:
                terms = [(f, _term(X, coded, f, int(c[x]))) for f, c in arrows.items() if c[x] >= 0]
                atoms.append(Atom(ob, ((ID, Variable(name)), *terms)))
            else:
                left_out[ob].append(x)
    for attrtype in schema.attrtypes:
        atoms += _floating(X, attrtype, fixed)
    query = ConjunctiveQuery(tuple(atoms), None, _apart(X, coded, columns, injective, left_out))
    isolated = {ob: len(parts) for ob, parts in left_out.items()}
    return CanonicalQuery(_target(X, Y, coded, columns), query, fixed, isolated, coded)


def prescribed_images(X: ACSet, Y: ACSet, initial: Initial) -> dict[str, dict[int, Any]]:
    """The prescribed images, checked: ids of parts, and values or variables for variables.

    Raises:
        SchemaError: where they are for what is no object or attribute type.
        InstanceError: for an id or variable that does not exist, or a value of a wrong type.
    """
    schema = X.schema
    checked: dict[str, dict[int, Any]] = {}
    for sort, images in initial.items():
        if sort not in schema.obs and sort not in schema.attrtypes:
            valid = (*schema.obs, *schema.attrtypes)
            raise SchemaError(f"initial prescribes images for an {unknown_name('object', str(sort), valid)}")
        if sort in schema.obs:
            keys = _existing(sort, list(images), X.nparts(sort), "the domain")
            values: list[Any] = _existing(sort, list(images.values()), Y.nparts(sort), "the codomain")
        else:
            keys = _existing(sort, list(images), X.nvars(sort), "the variables of the domain")
            values = list(images.values())
            _check_images(Y, sort, values)
        checked[sort] = dict(zip(keys, values, strict=True))
    return checked


def _existing(sort: str, ids: list[Any], size: int, where: str) -> list[int]:
    try:
        return [int(number) for number in as_ids(ids, size)]
    except MisfitError as misfit:
        raise InstanceError(f"initial '{sort}': {misfit} (in {where} {allowed_ids(sort, size)})") from None


def _check_images(Y: ACSet, attrtype: str, images: list[Any]) -> None:
    try:
        status = as_cells(images, Y.schema.attrtypes[attrtype]).status
    except MisfitError as misfit:
        raise InstanceError(f"initial '{attrtype}': {misfit}") from None
    for image, k in zip(images, status.tolist(), strict=True):
        if image is None or k >= Y.nvars(attrtype):
            text = "None" if image is None else f"Var({k})"
            raise InstanceError(
                f"initial '{attrtype}': {text} is no image: the codomain has {Y.nvars(attrtype)} variables"
            )


def _term(X: ACSet, coded: Codes, arrow: str, end: int) -> Term:
    """What an arrow of X leads to: the variable for a part or attribute variable, or the id of a value."""
    if arrow in X.schema.homs:
        return Variable(variable_name(X.schema.homs[arrow][1], end))
    attrtype = X.schema.attrs[arrow][1]
    known = len(coded.values[attrtype])
    return Constant(end) if end < known else Variable(variable_name(attrtype, end - known))


def floating(X: ACSet, attrtype: str) -> list[int]:
    """The attribute variables that are at no part. Their images would be all values there are, if not prescribed."""
    held = [X.variables(f) for f, (_, kind) in X.schema.attrs.items() if kind == attrtype]
    found: list[int] = np.setdiff1d(
        np.arange(X.nvars(attrtype)), np.concatenate([np.zeros(0, np.int64), *held])
    ).tolist()
    return found


def unprescribed(attrtype: str, k: int) -> InstanceError:
    """The error for an attribute variable at no part, whose image is not prescribed."""
    return InstanceError(
        f"Var({k}) of '{attrtype}' is at no part of the domain, so any value could be its image: "
        f"prescribe one with initial={{'{attrtype}': {{{k}: ...}}}}"
    )


def _floating(X: ACSet, attrtype: str, fixed: Mapping[str, int]) -> list[Atom]:
    """Atoms for attribute variables at no part."""
    atoms = []
    for k in floating(X, attrtype):
        name = variable_name(attrtype, k)
        if name not in fixed:
            raise unprescribed(attrtype, k)
        atoms.append(Atom(attrtype, ((ID, Variable(name)),)))
    return atoms


def _apart(
    X: ACSet, coded: Codes, columns: Mapping[str, Ids], injective: frozenset[str], left_out: Mapping[str, list[int]]
) -> tuple[Comparison, ...]:
    """Return the comparisons that make answers injective, without those that follow from others.

    Two parts have different images where an arrow leads them to different images. So that this never goes in a
    circle, as it would at a loop, an arrow that a path leads back from counts only where it leads to an earlier pair.
    """
    schema = X.schema
    position = {ob: place for place, ob in enumerate(schema.obs)}
    comparisons = []
    for ob in (ob for ob in schema.obs if ob in injective):
        parts = np.setdiff1d(X.parts(ob), left_out[ob])
        left, right = np.triu_indices(len(parts), 1)
        left, right = parts[left], parts[right]
        follows = np.zeros(len(left), np.bool_)
        for f in (*schema.homs_from(ob), *schema.attrs_from(ob)):
            telling = columns[f]
            if f in schema.attrs and schema.attrs[f][1] not in injective:
                telling = np.where(telling < len(coded.values[schema.attrs[f][1]]), telling, -1)
            if f in schema.attrs or schema.homs[f][1] in injective:
                one, two = telling[left], telling[right]
                apart = (one >= 0) & (two >= 0) & (one != two)
                if f in schema.homs and ob in _reachable(schema, schema.homs[f][1]):
                    apart &= _earlier(one, two, position[schema.homs[f][1]], left, right, position[ob])
                follows |= apart
        comparisons += _unequal(ob, left[~follows], right[~follows])
    for attrtype in (attrtype for attrtype in schema.attrtypes if attrtype in injective):
        comparisons += _unequal(attrtype, *np.triu_indices(X.nvars(attrtype), 1))
        # A variable that becomes a value collides with the value, which stays what it is.
        no_value = Constant(len(coded.values[attrtype]))
        names = (variable_name(attrtype, k) for k in range(X.nvars(attrtype)))
        comparisons += [Comparison(Variable(name), ">=", no_value) for name in names]
    return tuple(comparisons)


def _reachable(schema: Schema, ob: str) -> set[str]:
    """Return the objects to which a path of homs leads from one, and that object."""
    reached: set[str] = set()
    frontier = {ob}
    while frontier:
        reached |= frontier
        frontier = {codom for dom, codom in schema.homs.values() if dom in frontier} - reached
    return reached


def _earlier(one: Ids, two: Ids, place: int, left: Ids, right: Ids, other_place: int) -> NDArray[np.bool_]:
    """Return where the pair (one, two) of one object comes before (left, right) of another, in some order of pairs."""
    high, low = np.maximum(one, two), np.minimum(one, two)
    other_high, other_low = np.maximum(left, right), np.minimum(left, right)
    lower = (low < other_low) | (low == other_low) & (place < other_place)
    earlier: NDArray[np.bool_] = (high < other_high) | (high == other_high) & lower
    return earlier


def _unequal(sort: str, left: NDArray[Any], right: NDArray[Any]) -> list[Comparison]:
    return [
        Comparison(Variable(variable_name(sort, one)), "!=", Variable(variable_name(sort, two)))
        for one, two in zip(left.tolist(), right.tolist(), strict=True)
    ]


def _target(X: ACSet, Y: ACSet, coded: Codes, columns: Mapping[str, Ids]) -> ACSet:
    """Y with values and variables as parts, and only the arrows that X defines somewhere; Y itself where X has none."""
    schema = X.schema
    asked = {f: ends for f, ends in {**schema.homs, **schema.attrs}.items() if np.any(columns[f] >= 0)}
    if not any(map(X.nvars, schema.attrtypes)) and not asked.keys() & schema.attrs.keys():
        return Y
    sizes = {ob: Y.nparts(ob) for ob in schema.obs}
    sizes |= {attrtype: len(coded.values[attrtype]) + Y.nvars(attrtype) for attrtype in schema.attrtypes}
    homs = {f: Y.column_ids(f) if f in schema.homs else coded.columns[1][f] for f in asked}
    return build(Schema(f"{schema.name} with values as parts", tuple(sizes), asked), sizes, {}, homs, {})
