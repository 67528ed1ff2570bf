"""Morphisms between two instances: all of them, one of them, how many, and whether one is invertible.

A morphism X -> Y is an answer of X's canonical query in Y, and is found as one; isomorphisms are found
by colour refinement. As in Catlab, parts and attribute variables are searched for and attribute values
stay what they are. Where one of the instances lives in Catlab, Catlab's own search finds them, all at once, in an
order of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.catlab import maps as by_catlab
from sim2real_cat.acsets.maps import isomorphism
from sim2real_cat.acsets.maps.canonical_query import CanonicalQuery, Initial, canonical_query, variable_name
from sim2real_cat.acsets.maps.morphism import Morphism, require_one_schema
from sim2real_cat.acsets.query.engine import answers, count
from sim2real_cat.acsets.storage import engine_of
from sim2real_cat.errors import SchemaError, unknown_name

Sorts = bool | Iterable[str]
"""All objects and attribute types, none of them, or those with these names."""

BLOCK = 2**14  # rows that a step of the search makes at once where all morphisms are wanted
FIRST = 2**6  # where one is


def homomorphisms(
    X: ACSet, Y: ACSet, *, monic: Sorts = False, iso: Sorts = False, initial: Initial | None = None
) -> Iterator[Morphism]:
    """All natural transformations from X to Y, found while they are asked for; their order is fixed.

    Until the last is found, the instances must not change.

    Args:
        X: the domain.
        Y: the codomain, of the same schema.
        monic: True for monomorphisms; or the objects (and attribute types) whose components must be injective.
        iso: True for isomorphisms; or the objects (and attribute types) whose components must be bijective.
        initial: images that are prescribed: ``{"V": {0: 3}}`` sends part 0 of V to part 3, and
            ``{"Weight": {0: 0.5, 1: Var(2)}}`` says what two attribute variables become.

    Raises:
        SchemaError: for instances of different schemas, or a name that is no object or attribute type.
        InstanceError: where ``initial`` prescribes what does not exist, or an attribute variable of X is
            at no part and has no prescribed image: then every value would be one.
    """
    return _homomorphisms(X, Y, monic, iso, initial or {}, BLOCK)


def homomorphism(
    X: ACSet, Y: ACSet, *, monic: Sorts = False, iso: Sorts = False, initial: Initial | None = None
) -> Morphism | None:
    """The first of :func:`homomorphisms`, or None where there is none."""
    return next(_homomorphisms(X, Y, monic, iso, initial or {}, FIRST), None)


def count_homomorphisms(
    X: ACSet, Y: ACSet, *, monic: Sorts = False, iso: Sorts = False, initial: Initial | None = None
) -> int:
    """How many :func:`homomorphisms` there are, exactly, without making them.

    X is a coproduct of connected parts, so the numbers of their morphisms multiply; unless some component
    must be injective, when only isolated parts can be counted apart.
    """
    require_one_schema(X, Y)
    bijective = _sorts(X, iso)
    injective = _sorts(X, monic) | bijective
    if engine_of(X, Y) == "catlab":
        return by_catlab.count(X, Y, injective, bijective, initial or {})
    if iso is True:
        return isomorphism.count_isomorphisms(X, Y, initial or {})
    asked = canonical_query(X, Y, initial or {}, injective, with_isolated=False)
    if _sizes_forbid(X, Y, injective, bijective):
        return 0
    number = 1
    for ob, n in asked.isolated.items():
        free = Y.nparts(ob) - (X.nparts(ob) - n)  # where the other parts leave an injective map a choice
        number *= math.perm(free, n) if ob in injective else Y.nparts(ob) ** n
    return number and number * count(asked.target, asked.query, asked.fixed)


def is_isomorphic(X: ACSet, Y: ACSet) -> bool:
    """Whether there is an isomorphism: a renaming of parts and attribute variables that makes X into Y.

    Raises:
        SchemaError: for instances of different schemas.
    """
    return homomorphism(X, Y, iso=True) is not None


def _homomorphisms(X: ACSet, Y: ACSet, monic: Sorts, iso: Sorts, initial: Initial, block: int) -> Iterator[Morphism]:
    require_one_schema(X, Y)
    bijective = _sorts(X, iso)
    injective = _sorts(X, monic) | bijective
    if engine_of(X, Y) == "catlab":
        return iter(by_catlab.homomorphisms(X, Y, injective, bijective, initial, one=block == FIRST))
    if iso is True:
        return isomorphism.isomorphisms(X, Y, initial)
    asked = canonical_query(X, Y, initial, injective, with_isolated=True)
    return iter(()) if _sizes_forbid(X, Y, injective, bijective) else _answers(X, Y, asked, block)


def _answers(X: ACSet, Y: ACSet, asked: CanonicalQuery, block: int) -> Iterator[Morphism]:
    """The answers of a canonical query as morphisms."""
    sizes = {ob: X.nparts(ob) for ob in X.schema.obs} | {kind: X.nvars(kind) for kind in X.schema.attrtypes}
    for table in answers(asked.target, asked.query, asked.fixed, block=block):
        images = {}
        for sort, n in sizes.items():
            columns = [table[variable_name(sort, number)] for number in range(n)]
            images[sort] = np.stack(columns, axis=1) if columns else np.zeros((len(table), 0), np.int64)
            images[sort].flags.writeable = False
        for row in range(len(table)):
            components = {ob: images[ob][row] for ob in X.schema.obs}
            variables = {
                attrtype: tuple(asked.coded.image(attrtype, code) for code in images[attrtype][row].tolist())
                for attrtype in X.schema.attrtypes
            }
            yield Morphism.unchecked(X, Y, components, variables)


def _sorts(X: ACSet, names: Sorts) -> frozenset[str]:
    everything = (*X.schema.obs, *X.schema.attrtypes)
    if isinstance(names, bool):
        return frozenset(everything if names else ())
    chosen = frozenset([names] if isinstance(names, str) else names)
    for name in sorted(chosen - set(everything)):
        raise SchemaError(f"injective or bijective on an {unknown_name('object', name, everything)}")
    return chosen


def _sizes_forbid(X: ACSet, Y: ACSet, injective: frozenset[str], bijective: frozenset[str]) -> bool:
    """Whether counting alone says no. Injections of finite sets of one size are bijections: no more to ask."""
    sizes = [
        {**{ob: x.nparts(ob) for ob in x.schema.obs}, **{t: x.nvars(t) for t in x.schema.attrtypes}} for x in (X, Y)
    ]
    return any(sizes[0][sort] != sizes[1][sort] for sort in bijective) or any(
        sizes[0][sort] > sizes[1][sort] for sort in injective
    )
