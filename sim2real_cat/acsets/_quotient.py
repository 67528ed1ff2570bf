"""Instances in which parts and attribute variables are identified."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sim2real_cat.acsets._coerce import brief
from sim2real_cat.acsets._values import Codes, build, codes, decoded
from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import UNDEFINED, Ids
from sim2real_cat.acsets.morphism import Morphism
from sim2real_cat.errors import InstanceError

Pairs = list[tuple[Ids, Ids]]


def quotient(f: Morphism, g: Morphism) -> Morphism:
    """The projection of Y onto its quotient in which f(x) and g(x) are the same, for f, g: X -> Y.

    The classes are the smallest ones that the homs of Y keep: with two parts also their images under a
    hom that is defined at both. They are numbered in the order of their first members.

    Raises:
        InstanceError: where two different attribute values would be the same.
    """
    Y, schema = f.codom, f.codom.schema
    homs = {name: Y.column(name) for name in schema.homs}
    classes = _congruence(Y, homs, {ob: [(f.components[ob], g.components[ob])] for ob in schema.obs})
    counts = {ob: int(labels.max(initial=-1)) + 1 for ob, labels in classes.items()}
    quotient_homs = {}
    for name, (dom, codom) in schema.homs.items():
        sources, targets = _representatives(classes[dom], homs[name], counts[dom])
        quotient_homs[name] = np.full(counts[dom], UNDEFINED)
        quotient_homs[name][sources] = classes[codom][targets]

    images = {attrtype: (*f.variables[attrtype], *g.variables[attrtype]) for attrtype in schema.attrtypes}
    coded = codes(Y, also=images)
    attrs, nvars, variables = {}, {}, {}
    for attrtype, python_type in schema.attrtypes.items():
        names = [name for name, (_, kind) in schema.attrs.items() if kind == attrtype]
        left, right = np.split(coded.also[attrtype], 2)
        pairs = [(left, right)]
        held = {}
        for name in names:
            ob = schema.attrs[name][0]
            held[name] = _representatives(classes[ob], coded.columns[0][name], counts[ob])
            first = np.full(counts[ob], UNDEFINED)
            first[held[name][0]] = held[name][1]
            defined = np.flatnonzero(coded.columns[0][name] >= 0)
            pairs.append((coded.columns[0][name][defined], first[classes[ob][defined]]))
        meaning, nvars[attrtype] = _merged_values(Y, coded, attrtype, classes, pairs)
        for name in names:
            column = np.full(counts[schema.attrs[name][0]], UNDEFINED)
            column[held[name][0]] = meaning[held[name][1]]
            attrs[name] = decoded(column, coded.values[attrtype], python_type)
        known = len(coded.values[attrtype])
        variables[attrtype] = tuple(coded.image(attrtype, code) for code in meaning[known:].tolist())
    apex = build(schema, counts, nvars, quotient_homs, attrs)
    return Morphism(Y, apex, classes, variables)


def _congruence(Y: ACSet, homs: dict[str, Ids], pairs: dict[str, Pairs]) -> dict[str, Ids]:
    """Each part's class, where the pairs are in one class and the homs map classes into classes."""
    while True:
        classes = {ob: _classes(Y.nparts(ob), found) for ob, found in pairs.items()}
        grown = False
        for name, (dom, codom) in Y.schema.homs.items():
            defined = np.flatnonzero(homs[name] >= 0)
            owners, targets = classes[dom][defined], homs[name][defined]
            first = np.full(Y.nparts(dom), UNDEFINED)
            first[owners[::-1]] = targets[::-1]
            apart = np.flatnonzero(classes[codom][targets] != classes[codom][first[owners]])
            if len(apart):
                pairs[codom].append((targets[apart], first[owners[apart]]))
                grown = True
        if not grown:
            return classes


def _classes(n: int, pairs: Pairs) -> Ids:
    """The connected components of 0..n-1 under the pairs, numbered in the order of their first members."""
    left, right = (np.concatenate(side) for side in zip(*pairs, strict=True))
    links = coo_array((np.ones(len(left), np.bool_), (left, right)), shape=(n, n))
    labels = connected_components(links, directed=False)[1] if n else np.zeros(0, np.int64)
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def _representatives(classes: Ids, column: Ids, n: int) -> tuple[Ids, Ids]:
    """The classes in which a column is defined somewhere, and its value at the first such member."""
    defined = np.flatnonzero(column >= 0)
    first = np.full(n, UNDEFINED)
    first[classes[defined][::-1]] = column[defined][::-1]
    there = np.flatnonzero(first >= 0)
    return there, first[there]


def _merged_values(Y: ACSet, coded: Codes, attrtype: str, classes: dict[str, Ids], pairs: Pairs) -> tuple[Ids, int]:
    """What each code of a value or variable becomes, as a code again, and how many variables are left."""
    known = len(coded.values[attrtype])
    merged = _classes(known + Y.nvars(attrtype), pairs)
    value_of = np.full(len(merged), UNDEFINED)
    value_of[merged[:known]] = np.arange(known)
    lost = np.flatnonzero(value_of[merged[:known]] != np.arange(known))
    if len(lost):
        raise InstanceError(_clash(Y, coded, attrtype, classes, int(lost[0]), int(value_of[merged[lost[0]]])))
    unknown = value_of[merged[known:]] == UNDEFINED
    left, number = np.unique(merged[known:][unknown], return_inverse=True)
    meaning = np.concatenate([np.arange(known), value_of[merged[known:]]])
    meaning[known:][unknown] = known + number
    return meaning, len(left)


def _clash(Y: ACSet, coded: Codes, attrtype: str, classes: dict[str, Ids], one: int, two: int) -> str:
    """The one line that says which values are identified, and at which parts, if at parts."""
    for name, (ob, kind) in Y.schema.attrs.items():
        if kind != attrtype:
            continue
        column = coded.columns[0][name]
        valued = np.flatnonzero((column >= 0) & (column < len(coded.values[attrtype])))
        order = valued[np.lexsort((valued, classes[ob][valued]))]
        differing = (classes[ob][order[1:]] == classes[ob][order[:-1]]) & (column[order[1:]] != column[order[:-1]])
        if differing.any():
            place = int(np.argmax(differing))
            parts = [int(part) for part in order[place : place + 2]]
            values = [brief(coded.image(attrtype, int(column[part]))) for part in parts]
            return (
                f"no colimit: it identifies {ob} {parts[0]} and {parts[1]}, but '{name}' is "
                f"{values[0]} at one and {values[1]} at the other: attributes of identified parts must be equal"
            )
    values = [brief(coded.image(attrtype, code)) for code in (one, two)]
    return f"no colimit: a variable of '{attrtype}' would have to be {values[0]} and {values[1]}"
