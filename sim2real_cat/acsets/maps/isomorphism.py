"""Isomorphisms of instances by colour refinement (1-dimensional Weisfeiler-Leman) and individualisation.

Parts and attribute variables of both instances are coloured together. A colour is split where two parts
of it hold different values, or their homs or preimages have different colours; isomorphisms keep
colours. A colour of several parts that are linked to parts of such colours is *tangled*: one of X is sent
to each candidate in Y in turn, which gives it a colour of its own, and refinement goes on. Once no colour
is tangled, the parts of a colour can be exchanged freely: the maps are read off, and each is checked.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Ids, Var
from sim2real_cat.acsets.maps.canonical_query import Initial, prescribed_images
from sim2real_cat.acsets.maps.morphism import Morphism
from sim2real_cat.acsets.values import Codes, codes

Colours = dict[str, Ids]
"""For each object and attribute type the colours of X's parts or variables, then of Y's."""


class _Link(NamedTuple):
    """An arrow of both instances, where it is defined: numbers of parts of X, then of Y, and their targets."""

    dom: str
    sources: Ids
    codom: str
    targets: Ids


class _Pair(NamedTuple):
    """Two instances side by side, with as many parts and variables of each kind."""

    X: ACSet
    Y: ACSet
    coded: Codes
    sizes: dict[str, int]
    links: list[_Link]


def isomorphisms(X: ACSet, Y: ACSet, initial: Initial) -> Iterator[Morphism]:
    """All isomorphisms with the prescribed images; see :func:`sim2real_cat.acsets.maps.homomorphisms.homomorphisms`."""
    pair, colours = _start(X, Y, initial)
    return iter(()) if pair is None else _leaves(pair, colours)


def count_isomorphisms(X: ACSet, Y: ACSet, initial: Initial) -> int:
    """How many isomorphisms there are with the prescribed images.

    Those that agree on some parts are a coset of a group, so all images of a further part that one of
    them reaches are reached by equally many: only one of these branches has to be counted.
    """
    pair, colours = _start(X, Y, initial)
    if pair is None:
        return 0
    number = 1
    while (refined := _refined(pair, colours)) is not None:
        reached = [branch for branch in _branches(pair, refined) if next(_leaves(pair, branch), None) is not None]
        if not reached:
            return 0
        if reached[0] is refined:  # nothing is tangled
            return number * math.prod(math.factorial(len(of_x)) for _, of_x, _ in _exchangeable(pair, refined))
        number *= len(reached)
        colours = reached[0]
    return 0


def _start(X: ACSet, Y: ACSet, initial: Initial) -> tuple[_Pair | None, Colours]:
    """The pair with its coarsest colours; no pair where sizes or prescribed images rule out isomorphisms."""
    schema = X.schema
    prescribed = prescribed_images(X, Y, initial)
    sizes = {ob: X.nparts(ob) for ob in schema.obs} | {t: X.nvars(t) for t in schema.attrtypes}
    others = {ob: Y.nparts(ob) for ob in schema.obs} | {t: Y.nvars(t) for t in schema.attrtypes}
    if sizes != others:
        return None, {}
    coded = codes(X, Y)
    links = []
    for f, (dom, codom) in schema.homs.items():
        links.append(_link(dom, X.column_ids(f), codom, Y.column_ids(f), sizes))
    for f, (dom, attrtype) in schema.attrs.items():
        of_x, of_y = (column[f] - len(coded.values[attrtype]) for column in coded.columns)  # variables, from 0
        links.append(_link(dom, of_x, attrtype, of_y, sizes))
    pair = _Pair(X, Y, coded, sizes, links)
    colours = {sort: np.zeros(2 * n, np.int64) for sort, n in sizes.items()}
    for f, (dom, attrtype) in schema.attrs.items():
        values = np.concatenate([column[f] for column in coded.columns])
        values = np.minimum(values, len(coded.values[attrtype]))  # any variable: the links tell which
        _, colours[dom] = np.unique(np.stack([colours[dom], values]), axis=1, return_inverse=True)
    for sort, images in prescribed.items():
        for x, image in images.items():
            y = image.k if isinstance(image, Var) else image
            is_value = sort in schema.attrtypes and not isinstance(image, Var)
            if is_value or colours[sort][x] != colours[sort][sizes[sort] + y]:
                return None, {}
            colours = _individualised(pair, colours, sort, x, y)
    return pair, colours


def _link(dom: str, of_x: Ids, codom: str, of_y: Ids, sizes: dict[str, int]) -> _Link:
    targets = np.concatenate([of_x, np.where(of_y >= 0, of_y + sizes[codom], -1)])
    sources = np.flatnonzero(targets >= 0)
    return _Link(dom, sources, codom, targets[sources])


def _leaves(pair: _Pair, colours: Colours) -> Iterator[Morphism]:
    """All isomorphisms that keep the colours."""
    stack = [iter([colours])]
    while stack:
        branch = next(stack[-1], None)
        if branch is None:
            stack.pop()
            continue
        refined = _refined(pair, branch)
        if refined is None:
            continue
        branches = _branches(pair, refined)
        first = next(branches)
        if first is refined:
            yield from _read_off(pair, refined)
        else:
            stack.append(itertools.chain([first], branches))


def _branches(pair: _Pair, colours: Colours) -> Iterator[Colours]:
    """The colours with one part of X, of the rarest tangled colour, sent to each candidate in Y.

    Where nothing is tangled there is one branch, the colours themselves.
    """
    sizes = {sort: np.bincount(colour[: pair.sizes[sort]])[colour] for sort, colour in colours.items()}
    tangled = {sort: np.zeros(len(colour), np.bool_) for sort, colour in colours.items()}
    for link in pair.links:
        both = (sizes[link.dom][link.sources] > 1) & (sizes[link.codom][link.targets] > 1)
        tangled[link.dom][link.sources[both]] = True
        tangled[link.codom][link.targets[both]] = True
    choices = []
    for sort, n in pair.sizes.items():
        candidates = np.flatnonzero(tangled[sort][:n])
        if len(candidates):
            x = candidates[np.argmin(sizes[sort][candidates])]
            choices.append((int(sizes[sort][x]), sort, int(x)))
    if not choices:
        yield colours
        return
    _, sort, x = min(choices)
    for y in np.flatnonzero(colours[sort][pair.sizes[sort] :] == colours[sort][x]).tolist():
        yield _individualised(pair, colours, sort, x, y)


def _exchangeable(pair: _Pair, colours: Colours) -> list[tuple[str, Ids, Ids]]:
    """The colours of several parts: their object or attribute type, and their parts in X and in Y."""
    cells = []
    for sort, colour in colours.items():
        of_x, of_y = np.split(colour, 2)
        ends = np.cumsum(np.bincount(of_x))
        of_x, of_y = np.argsort(of_x, kind="stable"), np.argsort(of_y, kind="stable")
        for start, end in zip([0, *ends.tolist()], ends.tolist(), strict=False):
            if end - start > 1:
                cells.append((sort, of_x[start:end], of_y[start:end]))
    return cells


def _individualised(pair: _Pair, colours: Colours, sort: str, x: int, y: int) -> Colours:
    """The colours with a new one for a part of X and a part of Y."""
    colour = colours[sort].copy()
    colour[[x, pair.sizes[sort] + y]] = colour.max() + 1
    return colours | {sort: colour}


def _refined(pair: _Pair, colours: Colours) -> Colours | None:
    """The coarsest colours that refine these and that all arrows keep; None where X and Y differ in a colour."""
    number = -1
    while number < (number := sum(len(np.unique(colour)) for colour in colours.values())):
        signatures = {sort: np.zeros(len(colour), np.uint64) for sort, colour in colours.items()}
        for place, link in enumerate(pair.links):
            signatures[link.dom][link.sources] += _mixed(colours[link.codom][link.targets], 2 * place)
            np.add.at(signatures[link.codom], link.targets, _mixed(colours[link.dom][link.sources], 2 * place + 1))
        for sort, signature in signatures.items():
            values, ranks = np.unique(signature, return_inverse=True)
            split = np.unique(colours[sort] * max(len(values), 1) + ranks, return_inverse=True)[1]
            of_x, of_y = np.split(split, 2)
            if not np.array_equal(np.bincount(of_x), np.bincount(of_y)):
                return None
            colours = colours | {sort: split}
    return colours


def _mixed(colour: Ids, salt: int) -> NDArray[np.uint64]:
    """Colours as 64 well-mixed bits, other ones for every salt (the finaliser of SplitMix64).

    Sums of them tell multisets of colours apart. Should two collide, an isomorphism might be missed, but
    no other map be taken for one.
    """
    bits = colour.astype(np.uint64) + np.uint64(salt * 0x9E3779B97F4A7C15 % 2**64)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def _read_off(pair: _Pair, colours: Colours) -> Iterator[Morphism]:
    """The bijections between parts of one colour that are isomorphisms: all of them, where nothing is tangled."""
    images: dict[str, Ids] = {}
    for sort, colour in colours.items():
        of_x, of_y = np.split(colour, 2)
        images[sort] = np.empty(len(of_x), np.int64)
        images[sort][np.argsort(of_x, kind="stable")] = np.argsort(of_y, kind="stable")
    cells = _exchangeable(pair, colours)
    wheels = [itertools.permutations(of_y.tolist()) for _, _, of_y in cells]
    for wheel in wheels:
        next(wheel)  # their first arrangement is the map above
    place = 0
    while place >= 0:
        found = _isomorphism(pair, images)
        if found is not None:
            yield found
        place = len(cells) - 1
        while place >= 0:  # turn the last wheel; one that is through begins anew and turns the one before it
            sort, of_x, of_y = cells[place]
            arrangement = next(wheels[place], None)
            is_through = arrangement is None
            if arrangement is None:
                wheels[place] = itertools.permutations(of_y.tolist())
                arrangement = next(wheels[place])
            images[sort] = images[sort].copy()
            images[sort][of_x] = arrangement
            if not is_through:
                break
            place -= 1


def _isomorphism(pair: _Pair, images: dict[str, Ids]) -> Morphism | None:
    """The bijection as a morphism, if it is an isomorphism."""
    for link in pair.links:
        first, first_target = pair.sizes[link.dom], pair.sizes[link.codom]
        in_x = link.sources < first
        column, renamed = np.full((2, first), -1)
        column[link.sources[~in_x] - first] = link.targets[~in_x] - first_target
        renamed[images[link.dom][link.sources[in_x]]] = images[link.codom][link.targets[in_x]]
        if not np.array_equal(column, renamed):
            return None
    variables: dict[str, tuple[Any, ...]] = {
        attrtype: tuple(map(Var, images[attrtype].tolist())) for attrtype in pair.X.schema.attrtypes
    }
    return Morphism.unchecked(pair.X, pair.Y, {ob: images[ob] for ob in pair.X.schema.obs}, variables)
