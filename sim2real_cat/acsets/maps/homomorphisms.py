"""Search for morphisms between two instances: all of them, the first, their number, an isomorphism.

A morphism X -> Y is an answer in Y of the *canonical query* of X, and is found as one: the query has one variable for
each part and each attribute variable of X, and one atom for each part, which says where its arrows lead. An attribute
variable of X may become a value or a variable of Y, so Y is asked with its values and variables as parts of further
objects, and with its attributes as homs to these. Isomorphisms are found by colour refinement instead.

As in Catlab, parts and attribute variables are searched for, and attribute values stay what they are. Where one of the
instances lives in Catlab, Catlab searches, and finds the morphisms all at once and in another order; it counts them by
joins where these are small.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.catlab import homomorphisms as by_catlab
from sim2real_cat.acsets.coercion import MisfitError, allowed_ids, as_cells, as_ids
from sim2real_cat.acsets.columns import UNDEFINED, Ids, Var
from sim2real_cat.acsets.maps.isomorphism import Prescribed, count_isomorphisms, isomorphisms, sort_sizes
from sim2real_cat.acsets.maps.morphism import Morphism, Question, require_one_schema, unheld_variables
from sim2real_cat.acsets.maps.values import Codes, codes
from sim2real_cat.acsets.query.engine import answers, count, counting_cost
from sim2real_cat.acsets.query.text import ID, Atom, Comparison, ConjunctiveQuery, Constant, Term, Variable
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.acsets.storage import engine_of
from sim2real_cat.errors import InstanceError, SchemaError, unknown_name

Sorts = bool | Iterable[str]
"""All objects and attribute types, none of them, or those with these names."""

_BLOCK = 2**14  # rows that a step of the search makes at once where all morphisms are wanted
_FIRST = 2**6  # where one is
_JOINED = 1e7  # the largest number of rows in joins by which Catlab counts morphisms


def homomorphisms(
    X: ACSet, Y: ACSet, *, monic: Sorts = False, iso: Sorts = False, initial: Prescribed | None = None
) -> Iterator[Morphism]:
    """Find all natural transformations from X to Y, one by one as they are asked for, in a fixed order.

    Until the last is found, the instances must not change.

    Args:
        X: the domain.
        Y: the codomain, of the same schema.
        monic: True for monomorphisms; or the objects (and attribute types) whose components must be injective.
        iso: True for isomorphisms; or the objects (and attribute types) whose components must be bijective.
        initial: images that are prescribed: ``{"V": {0: 3}}`` sends part 0 of V to part 3, and
            ``{"Weight": {0: 0.5, 1: Var(2)}}`` says what two attribute variables become.

    Raises:
        SchemaError: for instances of different schemas, or a name that is neither an object nor an attribute type.
        InstanceError: where ``initial`` prescribes what does not exist, or an attribute variable of X is
            at no part and has no prescribed image: then every value would be one.
    """
    return _found(_question(X, Y, monic, iso, initial), one=False)


def homomorphism(
    X: ACSet, Y: ACSet, *, monic: Sorts = False, iso: Sorts = False, initial: Prescribed | None = None
) -> Morphism | None:
    """Return the first of :func:`homomorphisms`, or None where there is none."""
    return next(_found(_question(X, Y, monic, iso, initial), one=True), None)


def count_homomorphisms(
    X: ACSet, Y: ACSet, *, monic: Sorts = False, iso: Sorts = False, initial: Prescribed | None = None
) -> int:
    """Count the :func:`homomorphisms` exactly, without making them.

    X is a coproduct of connected parts, so the numbers of their morphisms multiply; unless some component
    must be injective, when only isolated parts can be counted apart.

    Where one of the instances lives in Catlab, it counts the answers of X's canonical query in Y by joins, as pullbacks
    in ``SkelFinSet()``, if nothing must be injective and the plan is estimated to make at most 10^7 rows: of an edge, a
    vertex, a path, any small X. Otherwise Catlab's search finds all morphisms.
    """
    question = _question(X, Y, monic, iso, initial)
    in_catlab = question.engine == "catlab"
    if in_catlab and question.injective:
        return by_catlab.count(question)
    if question.invertible:
        return count_isomorphisms(X, Y, question.prescribed)
    asked = _canonical_query(question, with_isolated=False)
    if in_catlab and counting_cost(asked.target, asked.query, asked.fixed) > _JOINED:
        return by_catlab.count(question)
    if _sizes_forbid(question):
        return 0
    number = 1
    for ob, n in asked.isolated.items():
        free = Y.nparts(ob) - (X.nparts(ob) - n)  # where the other parts leave an injective map a choice
        number *= math.perm(free, n) if ob in question.injective else Y.nparts(ob) ** n
    return number and number * count(asked.target, asked.query, asked.fixed, engine="catlab" if in_catlab else "auto")


def is_isomorphic(X: ACSet, Y: ACSet) -> bool:
    """Return whether there is an isomorphism: a renaming of parts and attribute variables that makes X into Y.

    Raises:
        SchemaError: for instances of different schemas.
    """
    return homomorphism(X, Y, iso=True) is not None


def _question(X: ACSet, Y: ACSet, monic: Sorts, iso: Sorts, initial: Prescribed | None) -> Question:
    """Check the arguments of :func:`homomorphisms`."""
    require_one_schema(X, Y)
    bijective = _chosen(X, iso)
    injective = _chosen(X, monic) | bijective
    question = Question(X, Y, injective, bijective, iso is True, _existing_images(X, Y, initial or {}), engine_of(X, Y))
    if not question.invertible:
        _require_images(question)
    return question


def _chosen(X: ACSet, names: Sorts) -> frozenset[str]:
    """The objects and attribute types that an argument names."""
    everything = (*X.schema.obs, *X.schema.attrtypes)
    if isinstance(names, bool):
        return frozenset(everything if names else ())
    chosen = frozenset([names] if isinstance(names, str) else names)
    for name in sorted(chosen - set(everything)):
        raise SchemaError(f"injective or bijective on an {unknown_name('object', name, everything)}")
    return chosen


def _existing_images(X: ACSet, Y: ACSet, initial: Prescribed) -> dict[str, dict[int, Any]]:
    """The prescribed images: ids of parts; values or variables for attribute variables."""
    schema = X.schema
    checked: dict[str, dict[int, Any]] = {}
    for sort, images in initial.items():
        if sort not in schema.obs and sort not in schema.attrtypes:
            valid = (*schema.obs, *schema.attrtypes)
            raise SchemaError(f"initial prescribes images for an {unknown_name('object', str(sort), valid)}")
        if sort in schema.obs:
            keys = _existing_ids(sort, list(images), X.nparts(sort), "the domain")
            values: list[Any] = _existing_ids(sort, list(images.values()), Y.nparts(sort), "the codomain")
        else:
            keys = _existing_ids(sort, list(images), X.nvars(sort), "the variables of the domain")
            values = list(images.values())
            _check_images(Y, sort, values)
        checked[sort] = dict(zip(keys, values, strict=True))
    return checked


def _existing_ids(sort: str, ids: list[Any], size: int, where: str) -> list[int]:
    """The ids of parts or variables, which must exist."""
    try:
        return [int(number) for number in as_ids(ids, size)]
    except MisfitError as misfit:
        raise InstanceError(f"initial '{sort}': {misfit} (in {where} {allowed_ids(sort, size)})") from None


def _check_images(Y: ACSet, attrtype: str, images: list[Any]) -> None:
    """Refuse images of attribute variables that are no values of the type and no variables of Y."""
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


def _require_images(question: Question) -> None:
    """Refuse an attribute variable at no part whose image is not prescribed: every value would be one."""
    for attrtype in question.X.schema.attrtypes:
        for k in unheld_variables(question.X, attrtype):
            if k not in question.prescribed.get(attrtype, {}):
                raise InstanceError(
                    f"Var({k}) of '{attrtype}' is at no part of the domain, so any value could be its image: "
                    f"prescribe one with initial={{'{attrtype}': {{{k}: ...}}}}"
                )


def _found(question: Question, *, one: bool) -> Iterator[Morphism]:
    """The morphisms, or at least the first, by the search that fits the question."""
    X, Y, prescribed = question.X, question.Y, question.prescribed
    if question.engine == "catlab":
        return iter(by_catlab.homomorphisms(question, one=one))
    if question.invertible:
        return (_isomorphism(X, Y, images) for images in isomorphisms(X, Y, prescribed))
    asked = _canonical_query(question, with_isolated=True)
    return iter(()) if _sizes_forbid(question) else _answers(question, asked, _FIRST if one else _BLOCK)


def _isomorphism(X: ACSet, Y: ACSet, images: Mapping[str, Ids]) -> Morphism:
    """A bijection of parts and variables as a morphism."""
    variables = {attrtype: tuple(map(Var, images[attrtype].tolist())) for attrtype in X.schema.attrtypes}
    return Morphism.unchecked(X, Y, {ob: images[ob] for ob in X.schema.obs}, variables)


def _sizes_forbid(question: Question) -> bool:
    """Return whether the numbers of parts and variables rule out all morphisms.

    An injection between finite sets of one size is a bijection, so the search need not ask for surjectivity.
    """
    of_x, of_y = sort_sizes(question.X), sort_sizes(question.Y)
    return any(of_x[sort] != of_y[sort] for sort in question.bijective) or any(
        of_x[sort] > of_y[sort] for sort in question.injective
    )


class _CanonicalQuery(NamedTuple):
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


def _answers(question: Question, asked: _CanonicalQuery, block: int) -> Iterator[Morphism]:
    """The answers of a canonical query as morphisms; ``block`` is how many rows a step of the search makes at once."""
    X, Y = question.X, question.Y
    for table in answers(asked.target, asked.query, asked.fixed, block=block):
        images = {}
        for sort, n in sort_sizes(X).items():
            columns = [table[_variable_name(sort, number)] for number in range(n)]
            images[sort] = np.stack(columns, axis=1) if columns else np.zeros((len(table), 0), np.int64)
            images[sort].flags.writeable = False
        for row in range(len(table)):
            components = {ob: images[ob][row] for ob in X.schema.obs}
            variables = {
                attrtype: tuple(asked.coded.image(attrtype, code) for code in images[attrtype][row].tolist())
                for attrtype in X.schema.attrtypes
            }
            yield Morphism.unchecked(X, Y, components, variables)


def _canonical_query(question: Question, *, with_isolated: bool) -> _CanonicalQuery:
    """The canonical query of X, with the part of Y that it asks about.

    Args:
        question: the question.
        with_isolated: whether the query has atoms for parts without arrows and without a prescribed image, which
            may go to any part; otherwise they are left out and counted.
    """
    X, schema = question.X, question.X.schema
    variables = {
        kind: tuple(images.values()) for kind, images in question.prescribed.items() if kind in schema.attrtypes
    }
    coded = codes(X, question.Y, also=variables)
    columns = {f: X.column_ids(f) for f in schema.homs} | coded.columns[0]
    fixed: dict[str, int] = {}
    for sort, images in question.prescribed.items():
        found = coded.also[sort].tolist() if sort in schema.attrtypes else images.values()
        fixed.update((_variable_name(sort, x), int(y)) for x, y in zip(images, found, strict=True))
    atoms: list[Atom] = []
    left_out: dict[str, list[int]] = {}
    for ob in schema.obs:
        arrows = {f: columns[f] for f in (*schema.homs_from(ob), *schema.attrs_from(ob))}
        starts = np.logical_or.reduce([np.zeros(X.nparts(ob), np.bool_), *(c >= 0 for c in arrows.values())])
        is_end = np.zeros(X.nparts(ob), np.bool_)
        for f in schema.homs_into(ob):
            is_end[columns[f][columns[f] >= 0]] = True
        left_out[ob] = []
        for x in np.flatnonzero(starts | ~is_end).tolist():
            name = _variable_name(ob, x)
            if starts[x] or name in fixed or with_isolated:
                terms = [(f, _term(X, coded, f, int(c[x]))) for f, c in arrows.items() if c[x] >= 0]
                atoms.append(Atom(ob, ((ID, Variable(name)), *terms)))
            else:
                left_out[ob].append(x)
    for kind in schema.attrtypes:
        unheld = (_variable_name(kind, k) for k in unheld_variables(X, kind))
        atoms += [Atom(kind, ((ID, Variable(name)),)) for name in unheld]
    query = ConjunctiveQuery(tuple(atoms), None, _injectivity(question, coded, columns, left_out))
    isolated = {ob: len(parts) for ob, parts in left_out.items()}
    return _CanonicalQuery(_target(question, coded, columns), query, fixed, isolated, coded)


def _variable_name(sort: str, number: int) -> str:
    """The query's variable for a part or an attribute variable."""
    return f"{sort}.{number}"


def _term(X: ACSet, coded: Codes, arrow: str, end: int) -> Term:
    """The query's term for the end of an arrow of X: a variable for a part or attribute variable, or a value's id."""
    if arrow in X.schema.homs:
        return Variable(_variable_name(X.schema.homs[arrow][1], end))
    attrtype = X.schema.attrs[arrow][1]
    known = len(coded.values[attrtype])
    return Constant(end) if end < known else Variable(_variable_name(attrtype, end - known))


def _injectivity(
    question: Question, coded: Codes, columns: Mapping[str, Ids], left_out: Mapping[str, list[int]]
) -> tuple[Comparison, ...]:
    """The inequalities that make the answers injective."""
    X, schema = question.X, question.X.schema
    comparisons = []
    for ob, (left, right) in _independent_pairs(question, coded, columns).items():
        asked = ~np.isin(left, left_out[ob]) & ~np.isin(right, left_out[ob])
        comparisons += _unequal(ob, left[asked], right[asked])
    for attrtype in (attrtype for attrtype in schema.attrtypes if attrtype in question.injective):
        comparisons += _unequal(attrtype, *np.triu_indices(X.nvars(attrtype), 1))
        # A variable that becomes a value collides with the value, which stays what it is.
        no_value = Constant(len(coded.values[attrtype]))
        names = (_variable_name(attrtype, k) for k in range(X.nvars(attrtype)))
        comparisons += [Comparison(Variable(name), ">=", no_value) for name in names]
    return tuple(comparisons)


def _independent_pairs(question: Question, coded: Codes, columns: Mapping[str, Ids]) -> dict[str, tuple[Ids, Ids]]:
    """The pairs of parts of each injective object whose images must be told apart by an inequality.

    By naturality two parts have different images where an arrow sends these to different images. So pairs are the
    vertices of a graph, with an edge from each pair to the one to which an arrow sends it; vertex 0 stands for two
    different values. Of each strongly connected component that no edge leaves, one pair is enough.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    X, schema = question.X, question.X.schema
    pairs = {ob: np.triu_indices(X.nparts(ob), 1) for ob in schema.obs if ob in question.injective}
    ends = np.cumsum([1, *(len(left) for left, _ in pairs.values())]).tolist()
    first = dict(zip(pairs, ends, strict=False))
    sources, targets = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for ob, (left, right) in pairs.items():
        for f in (*schema.homs_from(ob), *schema.attrs_from(ob)):
            column = columns[f]
            if f in schema.attrs and schema.attrs[f][1] not in question.injective:
                # Values stay apart, variables may become equal.
                column = np.where(column < len(coded.values[schema.attrs[f][1]]), column, UNDEFINED)
            one, two = column[left], column[right]
            apart = np.flatnonzero((one >= 0) & (two >= 0) & (one != two))
            if f in schema.attrs:
                targets.append(np.zeros_like(apart))
            elif schema.homs[f][1] in question.injective:
                a, b = np.minimum(one, two)[apart], np.maximum(one, two)[apart]
                row = a * (2 * X.nparts(schema.homs[f][1]) - a - 1) // 2  # pairs as np.triu_indices numbers them
                targets.append(first[schema.homs[f][1]] + row + b - a - 1)
            else:
                continue
            sources.append(first[ob] + apart)
    source, target = np.concatenate(sources), np.concatenate(targets)
    edges = coo_array((np.ones(len(source), np.bool_), (source, target)), shape=(ends[-1], ends[-1]))
    component = connected_components(edges, connection="strong")[1]
    _, chosen = np.unique(component, return_index=True)
    left_by_none = np.ones(len(chosen), np.bool_)
    left_by_none[component[source[component[source] != component[target]]]] = False
    left_by_none[component[0]] = False
    kept = np.zeros(ends[-1], np.bool_)
    kept[chosen[left_by_none]] = True
    return {
        ob: (left[kept[first[ob] :][: len(left)]], right[kept[first[ob] :][: len(left)]])
        for ob, (left, right) in pairs.items()
    }


def _unequal(sort: str, left: NDArray[Any], right: NDArray[Any]) -> list[Comparison]:
    """Inequalities between the query's variables for pairs of parts or attribute variables."""
    return [
        Comparison(Variable(_variable_name(sort, one)), "!=", Variable(_variable_name(sort, two)))
        for one, two in zip(left.tolist(), right.tolist(), strict=True)
    ]


def _target(question: Question, coded: Codes, columns: Mapping[str, Ids]) -> ACSet:
    """Y with values and variables as parts, and only the arrows that X defines somewhere; Y itself where X has none."""
    X, Y, schema = question.X, question.Y, question.X.schema
    asked = {f: ends for f, ends in {**schema.homs, **schema.attrs}.items() if np.any(columns[f] >= 0)}
    if not any(map(X.nvars, schema.attrtypes)) and not asked.keys() & schema.attrs.keys():
        return Y
    sizes = {ob: Y.nparts(ob) for ob in schema.obs}
    sizes |= {attrtype: len(coded.values[attrtype]) + Y.nvars(attrtype) for attrtype in schema.attrtypes}
    homs = {f: Y.column_ids(f) if f in schema.homs else coded.columns[1][f] for f in asked}
    return Y.like(Schema(f"{schema.name} with values as parts", tuple(sizes), asked)).fill(sizes, {}, homs, {})
