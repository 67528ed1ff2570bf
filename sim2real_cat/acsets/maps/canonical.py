"""Canonical forms: one instance for each class of isomorphic ones.

Parts and attribute variables are the vertices of a graph whose labelled edges are the homs, and the
attributes that hold variables. Isomorphisms are the bijections of vertices that keep object, values and
edges, so a canonical order of the vertices gives a canonical numbering. The order is found by
*individualisation and refinement* (McKay, Practical graph isomorphism, 1981), with two additions:

- What refinement leaves undecided falls into components; these are ordered each for itself and then among
  each other by their forms. So a thousand parts that nothing tells apart are no search at all.
- Of the candidates for individualisation one in each orbit is tried, as far as automorphisms are found.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.codecs import Codec
from sim2real_cat.acsets.columns import DEFINED, UNDEFINED, AttrColumn, Cells, Ids
from sim2real_cat.acsets.parts import restrict
from sim2real_cat.errors import InstanceError

if TYPE_CHECKING:
    from sim2real_cat.acsets.acset import ACSet

_DEEPEST = 100  # nested choices; far within Python's own limit on recursion
_Form = tuple[int, int, bytes]


class _Graph(NamedTuple):
    """Labelled edges ``label: source -> target`` between the vertices 0..n-1."""

    n: int
    source: Ids
    target: Ids
    label: Ids


def canonical(instance: ACSet, limit: int = 10_000) -> ACSet:
    """The canonical form; see :meth:`~sim2real_cat.acsets.acset.ACSet.canonical`."""
    schema = instance.schema
    sizes = {ob: instance.nparts(ob) for ob in schema.obs} | {kind: instance.nvars(kind) for kind in schema.attrtypes}
    ends = np.cumsum([0, *sizes.values()])
    first = dict(zip(sizes, ends[:-1].tolist(), strict=True))
    graph, colour = _graph(instance, first, int(ends[-1]))
    order = _Search(limit).order(graph, colour, 0, greedy=False)
    inside = {
        name: order[(order >= first[name]) & (order < first[name] + n)] - first[name] for name, n in sizes.items()
    }
    form = restrict(instance, {ob: inside[ob] for ob in schema.obs}).instance
    for name, (ob, kind) in schema.attrs.items():
        data, status = form.cells(name)
        renamed = np.where(status >= 0, np.append(np.argsort(inside[kind]), 0)[np.maximum(status, UNDEFINED)], status)
        form.attr_columns[name].put(form.parts(ob), Cells(data, renamed))
    return form


def _graph(instance: ACSet, first: dict[str, int], n: int) -> tuple[_Graph, Ids]:
    """The graph of an instance, and a colouring by object and values."""
    schema = instance.schema
    colour = np.searchsorted(list(first.values()), np.arange(n), side="right")
    edges: list[tuple[Ids, Ids]] = []
    for name, (dom, codom) in schema.homs.items():
        targets = instance.column_ids(name)
        defined = np.flatnonzero(targets != UNDEFINED)
        edges.append((defined + first[dom], targets[defined] + first[codom]))
    for name, (dom, kind) in schema.attrs.items():
        status = instance.cells(name).status
        variable = np.flatnonzero(status >= 0)
        edges.append((variable + first[dom], status[variable] + first[kind]))
        values = np.zeros(n, np.int64)
        values[first[dom] : first[dom] + len(status)] = _ranks(instance.attr_columns[name])
        colour = _dense(colour, values)
    lengths = [len(source) for source, _ in edges]
    nothing = np.zeros(0, np.int64)
    return _Graph(
        n,
        np.concatenate([nothing, *(source for source, _ in edges)]),
        np.concatenate([nothing, *(target for _, target in edges)]),
        np.repeat(np.arange(len(edges)), lengths),
    ), colour


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


def _dense(*keys: NDArray[Any]) -> Ids:
    """The rank 0, 1, ... of each row of some columns, the first column the most significant."""
    order = np.lexsort(keys[::-1])
    new = np.zeros(len(order), np.bool_)
    for key in keys:
        ordered = key[order]
        new[1:] |= ordered[1:] != ordered[:-1]
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.cumsum(new)
    return ranks


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64: close numbers become far ones."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


def _refined(graph: _Graph, colour: Ids) -> Ids:
    """The coarsest finer colouring in which vertices of a colour have alike coloured neighbours along each label.

    The multiset of a vertex's neighbours is summed up in 64 mixed bits, so that two different ones are
    taken for alike with a chance of about 2^-64.
    """
    colour = _dense(colour)
    labels = graph.label.astype(np.uint64) * np.uint64(2)
    step = np.uint64(2 * (int(graph.label.max(initial=0)) + 1))
    count = -1
    while count != (count := int(colour.max(initial=-1))) and count + 1 < graph.n:
        numbers = (colour.astype(np.uint64) + np.uint64(1)) * step
        neighbours = np.zeros(graph.n, np.uint64)
        np.add.at(neighbours, graph.source, _mixed(numbers[graph.target] + labels))
        np.add.at(neighbours, graph.target, _mixed(numbers[graph.source] + labels + np.uint64(1)))
        colour = _dense(colour, neighbours)
    return colour


def _form(graph: _Graph, colour: Ids, order: Ids) -> _Form:
    """A coloured graph with its vertices numbered in an order: equal exactly where the numbered graphs are."""
    position = np.argsort(order)
    edges = np.stack([position[graph.source], position[graph.target], graph.label])
    edges = edges[:, np.lexsort(edges)]
    return graph.n, len(graph.label), colour[order].astype(">i8").tobytes() + edges.astype(">i8").tobytes()


def _joined(n: int, source: Ids, target: Ids) -> Ids:
    """For each of n vertices the number of its connected component."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    adjacency = coo_array((np.ones(len(source), np.int8), (source, target)), shape=(n, n))
    components: Ids = connected_components(adjacency, directed=False)[1].astype(np.int64)
    return components


class _Search:
    """Canonical orders, with a limit on how often it may choose between vertices that look alike."""

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
        # Edges to a vertex that has its colour for itself are told by the colours already.
        inner = loose[graph.source] & loose[graph.target]
        component = _joined(graph.n, graph.source[inner], graph.target[inner])
        if not component.any():
            return self._individualised(graph, refined, depth, greedy=greedy)
        alone = np.bincount(component)[component] == 1
        head = np.flatnonzero(alone)
        orders = [head[np.argsort(refined[head], kind="stable")]]
        pieces = []
        for vertices, piece in _pieces(graph, component, inner, np.flatnonzero(~alone)):
            local = self.order(piece, refined[vertices], depth, greedy=greedy)
            pieces.append((_form(piece, refined[vertices], local), vertices[local]))
        pieces.sort(key=lambda piece: piece[0])
        return np.concatenate(orders + [vertices for _, vertices in pieces])

    def _individualised(self, graph: _Graph, colour: Ids, depth: int, *, greedy: bool) -> Ids:
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
            marked = 2 * colour + 1
            marked[vertex] -= 1
            order = self.order(graph, marked, depth + 1, greedy=greedy)
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
                    orbits = _joined(graph.n, sources, targets)
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
