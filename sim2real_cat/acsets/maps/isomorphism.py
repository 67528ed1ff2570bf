"""Isomorphisms and canonical forms of instances, by colour refinement and individualisation.

The parts and attribute variables of an instance are the vertices of a graph. Its homs, and its attributes where they
hold variables, are labelled edges; objects and attribute values colour the vertices. An isomorphism is a bijection of
vertices that keeps colours and edges.

Colour refinement (1-dimensional Weisfeiler-Leman) splits a colour until vertices of one colour have equally coloured
neighbours along each label. Where some vertices still share a colour, one is *individualised*: it gets a new colour,
and refinement goes on (McKay, Practical graph isomorphism, 1981). Two searches are built on this:

- `isomorphisms` refines the graphs of two instances side by side and sends a vertex to each candidate in turn.
- `canonical` orders the vertices of one instance so that isomorphic instances are numbered in the same way.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.codecs import Codec
from sim2real_cat.acsets.columns import DEFINED, UNDEFINED, AttrColumn, Cells, Ids, Var
from sim2real_cat.acsets.maps.partitions import classes
from sim2real_cat.acsets.maps.values import codes
from sim2real_cat.acsets.parts import restrict
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.acsets.storage import Storage
from sim2real_cat.errors import InstanceError

S = TypeVar("S", bound=Storage)

Prescribed = Mapping[str, Mapping[int, Any]]
"""For some objects the images of some parts, for some attribute types those of some attribute variables."""

_DEEPEST = 100  # nested choices; far within Python's own limit on recursion


def isomorphisms(X: Storage, Y: Storage, prescribed: Prescribed) -> Iterator[dict[str, Ids]]:
    """Find all isomorphisms from X to Y with prescribed images.

    Args:
        X: the domain.
        Y: the codomain, of the same schema.
        prescribed: images that the isomorphisms must have.

    Yields:
        For each object and attribute type the images of X's parts or variables, shape (n,).
    """
    start = _side_by_side(X, Y, prescribed)
    if start is None:
        return
    pair, colour = start
    for images in _search(pair, colour):
        yield {sort: images[at : at + pair.sizes[sort]] - at for sort, at in pair.first.items()}


def forced_images(X: Storage, Y: Storage, prescribed: Prescribed) -> tuple[dict[str, dict[int, Any]], int] | None:
    """Find the images that all isomorphisms from X to Y with prescribed images have in common, as far as colours tell.

    Returns:
        Images like the prescribed ones, for all parts and variables whose colour no other has, and the number of parts
        and variables that are left. None where there is no isomorphism, as X and Y have different colours.
    """
    start = _side_by_side(X, Y, prescribed)
    colour = None if start is None else _refined_alike(*start)
    if start is None or colour is None:
        return None
    pair, _ = start
    in_x, in_y = np.split(colour, 2)
    alone = np.bincount(in_x, minlength=1)[in_x] == 1
    images = np.argsort(in_y, kind="stable")[np.argsort(np.argsort(in_x, kind="stable"))]
    forced: dict[str, dict[int, Any]] = {}
    for sort, at in pair.first.items():
        own = np.flatnonzero(alone[at : at + pair.sizes[sort]])
        ends = (images[at + own] - at).tolist()
        forced[sort] = dict(zip(own.tolist(), map(Var, ends) if sort in X.schema.attrtypes else ends, strict=True))
    return forced, int(np.count_nonzero(~alone))


def count_isomorphisms(X: Storage, Y: Storage, prescribed: Prescribed) -> int:
    """Count the isomorphisms from X to Y with prescribed images.

    Those that agree on some vertices are a coset of a group, so every image of a further vertex that one of them
    reaches is reached by equally many: only one of these branches has to be counted.
    """
    start = _side_by_side(X, Y, prescribed)
    if start is None:
        return 0
    pair, colour = start
    number = 1
    while (refined := _refined_alike(pair, colour)) is not None:
        reached = [branch for branch in _branches(pair, refined) if next(_search(pair, branch), None) is not None]
        if not reached:
            return 0
        if reached[0] is refined:  # nothing is tangled
            return number * math.prod(math.factorial(len(in_x)) for in_x, _ in _exchangeable(refined))
        number *= len(reached)
        colour = reached[0]
    return 0


def canonical(instance: S, limit: int = 10_000) -> S:
    """Return the canonical form; see :meth:`~sim2real_cat.acsets.acset.ACSet.canonical`."""
    schema, sizes = instance.schema, sort_sizes(instance)
    first = _first_vertices(sizes)
    colour = _coloured(
        schema, first, sum(sizes.values()), {name: _ranks(instance.attr_columns[name]) for name in schema.attrs}
    )
    order = _CanonicalSearch(limit).order(_graph(instance, first), colour, 0, greedy=False)
    inside = {
        name: order[(order >= first[name]) & (order < first[name] + n)] - first[name] for name, n in sizes.items()
    }
    form = restrict(instance, {ob: inside[ob] for ob in schema.obs}).instance
    for name, (ob, kind) in schema.attrs.items():
        data, status = form.cells(name)
        renamed = np.where(status >= 0, np.append(np.argsort(inside[kind]), 0)[np.maximum(status, UNDEFINED)], status)
        form.attr_columns[name].put(form.parts(ob), Cells(data, renamed))
    return form


def sort_sizes(instance: Storage) -> dict[str, int]:
    """Return the number of parts of each object and of variables of each attribute type, in schema order."""
    schema = instance.schema
    return {ob: instance.nparts(ob) for ob in schema.obs} | {kind: instance.nvars(kind) for kind in schema.attrtypes}


# The graph of an instance, and its colours


class _Graph(NamedTuple):
    """Labelled edges ``label: source -> target`` between the vertices 0..n-1."""

    n: int
    source: Ids
    target: Ids
    label: Ids


def _first_vertices(sizes: Mapping[str, int]) -> dict[str, int]:
    """The first vertex of each object and attribute type, whose vertices are consecutive."""
    return dict(zip(sizes, [0, *itertools.accumulate(sizes.values())], strict=False))


def _graph(instance: Storage, first: Mapping[str, int]) -> _Graph:
    """The graph of an instance, its edges sorted by label and then by source."""
    schema = instance.schema
    edges = []
    for name, (dom, codom) in schema.homs.items():
        targets = instance.column_ids(name)
        defined = np.flatnonzero(targets != UNDEFINED)
        edges.append((defined + first[dom], targets[defined] + first[codom]))
    for name, (dom, kind) in schema.attrs.items():
        status = instance.cells(name).status
        variable = np.flatnonzero(status >= 0)
        edges.append((variable + first[dom], status[variable] + first[kind]))
    nothing = np.zeros(0, np.int64)
    return _Graph(
        sum(sort_sizes(instance).values()),
        np.concatenate([nothing, *(source for source, _ in edges)]),
        np.concatenate([nothing, *(target for _, target in edges)]),
        np.repeat(np.arange(len(edges)), [len(source) for source, _ in edges]),
    )


def _coloured(schema: Schema, first: Mapping[str, int], n: int, *values: Mapping[str, Ids]) -> Ids:
    """The vertices of some instances, n of each, coloured by object or attribute type and then by attribute values.

    Each of ``values`` holds the attributes of one instance as integers; all variables are one integer, as only the
    edges tell them apart.
    """
    colour = np.tile(np.searchsorted(sorted(first.values()), np.arange(n), side="right"), len(values))
    for name, (dom, _) in schema.attrs.items():
        held = np.zeros(n * len(values), np.int64)
        for number, columns in enumerate(values):
            start = number * n + first[dom]
            held[start : start + len(columns[name])] = columns[name]
        colour = _split(colour, held)
    return colour


def _refinements(graph: _Graph, colour: Ids) -> Iterator[tuple[Ids, NDArray[np.uint64]]]:
    """Yield ever finer colourings; in the last, vertices of a colour have equally coloured neighbours along each label.

    Each comes with the hashes by which the next one splits it: the multiset of a vertex's neighbours is summed up in 64
    mixed bits, so that two different ones are taken for the same with a chance of about 2^-64.
    """
    used = np.zeros(int(colour.max(initial=-1)) + 1, np.bool_)
    used[colour] = True
    colour = (np.cumsum(used) - 1)[colour]
    labels = graph.label.astype(np.uint64) * np.uint64(2)
    step = np.uint64(2 * (int(graph.label.max(initial=0)) + 1))
    count = 0
    while count < (count := int(colour.max(initial=-1)) + 1) < graph.n:
        numbers = (colour.astype(np.uint64) + np.uint64(1)) * step
        neighbours = np.zeros(graph.n, np.uint64)
        np.add.at(neighbours, graph.source, _mixed(numbers[graph.target] + labels))
        np.add.at(neighbours, graph.target, _mixed(numbers[graph.source] + labels + np.uint64(1)))
        yield colour, neighbours
        colour = _split(colour, neighbours)
    yield colour, np.zeros(graph.n, np.uint64)


def _refined(graph: _Graph, colour: Ids) -> Ids:
    """Return the last of the :func:`_refinements` of a colouring."""
    for finer, _ in _refinements(graph, colour):
        colour = finer
    return colour


def _individualised(colour: Ids, *vertices: int) -> Ids:
    """The colouring with a new colour for some vertices of one colour, just before that colour."""
    marked: Ids = colour + (colour >= colour[vertices[0]])
    marked[list(vertices)] -= 1
    return marked


def _split(colour: Ids, key: NDArray[Any]) -> Ids:
    """Split each colour by a key: the rank 0, 1, ... of each vertex by colour and then by key."""
    of_key = _dense(key)
    return _dense(colour * (int(of_key.max(initial=0)) + 1) + of_key)


def _dense(key: NDArray[Any]) -> Ids:
    """The rank 0, 1, ... of each entry among the distinct ones."""
    order = np.argsort(key)
    ordered = key[order]
    new = np.zeros(len(order), np.bool_)
    new[1:] = ordered[1:] != ordered[:-1]
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.cumsum(new)
    return ranks


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix the bits of numbers, so that close ones become far ones (the finaliser of SplitMix64)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


# Isomorphisms between two instances


class _Pair(NamedTuple):
    """The graphs of two instances with as many parts and variables of each kind, and both as one graph.

    Attributes:
        sizes: the number of parts or variables of each kind.
        first: the first vertex of each kind.
        x: the graph of X.
        y: the graph of Y.
        both: their disjoint union, the vertices of X before those of Y.
    """

    sizes: dict[str, int]
    first: dict[str, int]
    x: _Graph
    y: _Graph
    both: _Graph


def _side_by_side(X: Storage, Y: Storage, prescribed: Prescribed) -> tuple[_Pair, Ids] | None:
    """The pair of graphs with its coarsest colours; None where sizes or prescribed images rule out isomorphisms."""
    sizes = sort_sizes(X)
    if sizes != sort_sizes(Y):
        return None
    first = _first_vertices(dict(sorted(sizes.items())))  # in the order of names, which decides what is found first
    x, y = _graph(X, first), _graph(Y, first)
    both = _Graph(
        2 * x.n,
        np.concatenate([x.source, y.source + x.n]),
        np.concatenate([x.target, y.target + x.n]),
        np.concatenate([x.label, y.label]),
    )
    coded = codes(X, Y)
    known = {name: len(coded.values[kind]) for name, (_, kind) in X.schema.attrs.items()}
    values = [{name: np.minimum(column, known[name]) for name, column in columns.items()} for columns in coded.columns]
    colour = _coloured(X.schema, first, x.n, *values)
    for sort, images in prescribed.items():
        for part, image in images.items():
            if sort in X.schema.attrtypes and not isinstance(image, Var):
                return None  # a variable that becomes a value has no way back
            here = first[sort] + part
            there = x.n + first[sort] + (image.k if isinstance(image, Var) else image)
            if colour[here] != colour[there]:
                return None
            colour = _individualised(colour, here, there)
    return _Pair(sizes, first, x, y, both), colour


def _search(pair: _Pair, colour: Ids) -> Iterator[Ids]:
    """All isomorphisms that keep the colours, as the images of X's vertices."""
    stack = [iter([colour])]
    while stack:
        branch = next(stack[-1], None)
        if branch is None:
            stack.pop()
            continue
        refined = _refined_alike(pair, branch)
        if refined is None:
            continue
        branches = _branches(pair, refined)
        first = next(branches)
        if first is refined:
            yield from _read_off(pair, refined)
        else:
            stack.append(itertools.chain([first], branches))


def _refined_alike(pair: _Pair, colour: Ids) -> Ids | None:
    """The refined colouring; None where X and Y do not have as many vertices of each colour."""
    for finer, neighbours in _refinements(pair.both, colour):
        in_x, in_y = np.split(finer, 2)
        if not np.array_equal(np.bincount(in_x), np.bincount(in_y)):
            return None
        of_x, of_y = np.split(_mixed(neighbours), 2)
        if of_x.sum() != of_y.sum():  # the next colours will differ: no need to find them
            return None
        colour = finer
    return colour


def _branches(pair: _Pair, colour: Ids) -> Iterator[Ids]:
    """The colourings with one vertex of X, of the rarest tangled colour, sent to each candidate in Y.

    A colour of several vertices is *tangled* where an edge links it to another such colour. Where none is,
    there is one branch, the colouring itself.
    """
    several = np.bincount(colour)[colour]
    source, target = pair.both.source, pair.both.target
    tangled = np.zeros(pair.both.n, np.bool_)
    edges = (several[source] > 2) & (several[target] > 2)  # in X and Y together
    tangled[source[edges]] = True
    tangled[target[edges]] = True
    candidates = np.flatnonzero(tangled[: pair.x.n])
    if not len(candidates):
        yield colour
        return
    x = int(candidates[np.argmin(several[candidates])])
    for y in np.flatnonzero(colour[pair.x.n :] == colour[x]).tolist():
        yield _individualised(colour, x, pair.x.n + y)


def _read_off(pair: _Pair, colour: Ids) -> Iterator[Ids]:
    """The bijections that keep the colours and are isomorphisms; all of them are, where nothing is tangled."""
    in_x, in_y = np.split(colour, 2)
    images = np.empty(pair.x.n, np.int64)
    images[np.argsort(in_x, kind="stable")] = np.argsort(in_y, kind="stable")
    cells = _exchangeable(colour)
    arrangements = [itertools.permutations(of_y) for _, of_y in cells]
    for orders in arrangements:
        next(orders)  # the first arrangement of each cell is the map above
    while True:
        if _keeps_edges(pair, images):
            yield images.copy()
        # Take the next arrangement of the last cell; when it has none left, start again and turn to the cell before.
        for place in reversed(range(len(cells))):
            of_x, of_y = cells[place]
            arrangement = next(arrangements[place], None)
            if arrangement is not None:
                images[of_x] = arrangement
                break
            arrangements[place] = itertools.permutations(of_y)
            images[of_x] = next(arrangements[place])
        else:
            return


def _exchangeable(colour: Ids) -> list[tuple[list[int], list[int]]]:
    """The colours of several vertices: their vertices in X and in Y, in the order of the first in X."""
    in_x, in_y = np.split(colour, 2)
    order_x, order_y = np.argsort(in_x, kind="stable"), np.argsort(in_y, kind="stable")
    ends = np.cumsum(np.bincount(in_x)).tolist()
    cells = [
        (order_x[a:b].tolist(), order_y[a:b].tolist()) for a, b in zip([0, *ends], ends, strict=False) if b - a > 1
    ]
    return sorted(cells)


def _keeps_edges(pair: _Pair, images: Ids) -> bool:
    """Return whether a bijection of vertices maps edges to edges."""
    x, y = pair.x, pair.y
    if not np.array_equal(x.label, y.label):
        return False
    source, target = images[x.source], images[x.target]
    order = np.lexsort((source, x.label))
    return np.array_equal(source[order], y.source) and np.array_equal(target[order], y.target)


# Canonical forms


def _ranks(column: AttrColumn) -> Ids:
    """For each slot of an attribute the rank of its value among all of them; what has none comes first."""
    data, status = column.cells
    ranks = np.minimum(status, UNDEFINED + 1)  # all variables are alike until the graph tells them apart
    defined = np.flatnonzero(status == DEFINED)
    values: Any = data[defined]
    if isinstance(column.python_type, Codec):
        values = _texts(values.tolist(), column.python_type)
    ranks[defined] = np.unique(values, return_inverse=True)[1] + 1
    return ranks


def _texts(values: list[Any], codec: Codec) -> NDArray[Any]:
    """A text for each value of a codec, the same for equal values, so that they can be ordered."""
    texts: dict[object, str] = {}
    try:
        for value in values:
            text = json.dumps(codec.to_json(value), sort_keys=True)
            texts[value] = min(text, texts.get(value, text))
    except ValueError as error:
        raise InstanceError(f"canonical: {value!r} {error}: mend the codec") from None
    return np.array([texts[value] for value in values], np.dtype(object))


_Form = tuple[int, int, bytes]


def _form(graph: _Graph, colour: Ids, order: Ids) -> _Form:
    """A coloured graph with its vertices numbered in an order: equal exactly where the numbered graphs are."""
    position = np.argsort(order)
    edges = np.stack([position[graph.source], position[graph.target], graph.label])
    edges = edges[:, np.lexsort(edges)]
    return graph.n, len(graph.label), colour[order].astype(">i8").tobytes() + edges.astype(">i8").tobytes()


class _CanonicalSearch:
    """Canonical orders, with a limit on how often the search may choose between vertices that look alike.

    Two things are added to individualisation and refinement:

    - The vertices that refinement leaves undecided fall into connected components. Each is ordered by itself, and then
      they are ordered among each other by their forms. So a thousand parts that nothing tells apart are no search.
    - Of the candidates for individualisation one in each orbit is tried, as far as automorphisms are found.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._choices = 0

    def order(self, graph: _Graph, colour: Ids, depth: int, *, greedy: bool) -> Ids:
        """The vertices in an order such that isomorphic coloured graphs have equal forms.

        A greedy order takes the first candidate at every choice instead, and so depends on the numbering.
        """
        refined = _refined(graph, colour)
        loose = np.bincount(refined, minlength=1)[refined] > 1
        if not loose.any():
            return np.argsort(refined)
        # An edge to a vertex whose colour is unique tells nothing that the colours do not.
        inner = loose[graph.source] & loose[graph.target]
        component = classes(graph.n, graph.source[inner], graph.target[inner])
        if not component.any():
            return self._least_order(graph, refined, depth, greedy=greedy)
        alone = np.bincount(component)[component] == 1
        head = np.flatnonzero(alone)
        pieces = []
        for vertices, piece in _pieces(graph, component, inner, np.flatnonzero(~alone)):
            local = self.order(piece, refined[vertices], depth, greedy=greedy)
            pieces.append((_form(piece, refined[vertices], local), vertices[local]))
        pieces.sort(key=lambda piece: piece[0])
        return np.concatenate([head[np.argsort(refined[head], kind="stable")], *(vertices for _, vertices in pieces)])

    def _least_order(self, graph: _Graph, colour: Ids, depth: int, *, greedy: bool) -> Ids:
        """The order with the least form among those in which one vertex of a cell comes first in it."""
        sizes = np.bincount(colour)
        cell = int(np.argmin(np.where(sizes > 1, sizes, graph.n + 1)))
        candidates = np.flatnonzero(colour == cell).tolist()

        def solved(vertex: int, greedy: bool) -> tuple[_Form, Ids]:
            self._choices += 1
            if self._choices > self._limit or depth >= _DEEPEST:
                raise InstanceError(
                    f"canonical: {graph.n} parts are connected so symmetrically that {self._choices} choices between "
                    "them were not enough: tell them apart by an attribute, or raise the limit"
                )
            order = self.order(graph, _individualised(colour, vertex), depth + 1, greedy=greedy)
            return _form(graph, colour, order), order

        if greedy:
            return solved(candidates[0], greedy=True)[1]
        best, order = solved(candidates[0], greedy=False)
        known = {best: order} | dict([solved(candidates[0], greedy=True)])
        orbits, tried = np.arange(graph.n), [candidates[0]]
        for vertex in candidates[1:]:
            for way in (True, False):
                if orbits[vertex] in orbits[tried]:
                    break
                form, found = solved(vertex, greedy=way)
                if form in known:  # two orders of one form: from one to the other leads an automorphism
                    everything = np.arange(graph.n)
                    sources, targets = np.concatenate([known[form], everything]), np.concatenate([found, orbits])
                    orbits = classes(graph.n, sources, targets)
                else:
                    known[form] = found
                if not way:
                    tried.append(vertex)
                    if form < best:
                        best, order = form, found
        return order


def _pieces(graph: _Graph, component: Ids, inner: NDArray[np.bool_], vertices: Ids) -> list[tuple[Ids, _Graph]]:
    """The components of some vertices, each with the graph that the inner edges make of it."""
    vertices = vertices[np.argsort(component[vertices], kind="stable")]
    starts = np.flatnonzero(np.diff(component[vertices], prepend=-1))
    ends = np.append(starts[1:], len(vertices))[: len(starts)]
    position = np.zeros(graph.n, np.int64)
    position[vertices] = np.arange(len(vertices)) - np.repeat(starts, ends - starts)
    edges = np.flatnonzero(inner)
    edges = edges[np.argsort(component[graph.source[edges]], kind="stable")]
    owners = component[graph.source[edges]]
    found = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        members = vertices[start:end]
        number = component[members[0]]
        mine = edges[np.searchsorted(owners, number) : np.searchsorted(owners, number, side="right")]
        piece = _Graph(len(members), position[graph.source[mine]], position[graph.target[mine]], graph.label[mine])
        found.append((members, piece))
    return found
