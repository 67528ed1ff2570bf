"""Instances with undefined arrows as total ones, as Catlab needs them, and back.

An *encoding* is a schema in which everything is defined:

- A hom that is undefined somewhere becomes a span: an object with a hom to where it starts and one to where it ends,
  and one part for each value. Homs that are defined everywhere stay as they are.
- Attribute values become integers, the same in all instances, which are equal where the values are.
- An undefined attribute becomes a fresh attribute variable, one for each slot.
- An attribute type has *carriers* where the images of its variables are asked for: the parts of an object with one
  attribute, which holds a variable or a value.
- An attribute may be *detached*: it becomes an object with a hom to where it starts, and a part for each slot that is
  not undefined.

Homomorphisms of encoded instances, with a carrier for every variable, are the homomorphisms of the instances. Colimits
are those of encodings without attributes (:class:`Diagram`), once each span is a function again (:func:`coinciding`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np

from sim2real_cat.acsets.columns import DEFINED, UNDEFINED, Cells, Ids, all_defined
from sim2real_cat.acsets.maps.partitions import on_classes
from sim2real_cat.acsets.maps.values import Codes, Variables, codes, decoded
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.acsets.storage import Storage

S = TypeVar("S", bound=Storage)

Carried = Mapping[str, Ids]
"""For attribute types with carriers, the sorted codes that have one in an instance."""

Components = Mapping[str, Ids]
"""For each object of an encoded schema the images of the parts."""


class Span(NamedTuple):
    """A hom as a span.

    Attributes:
        ob: the object whose parts are the values of the hom.
        start: its hom to the domain.
        end: its hom to the codomain.
    """

    ob: str
    start: str
    end: str


class Carrier(NamedTuple):
    """The object of the carriers of an attribute type, and its attribute."""

    ob: str
    attribute: str


class Slots(NamedTuple):
    """The object of the slots of a detached attribute, and its hom to where the attribute starts."""

    ob: str
    start: str


@dataclass(frozen=True, eq=False)
class Encoded:
    """An instance and its encoding.

    Attributes:
        original: the instance.
        instance: its encoding, an instance of the encoded schema in which everything is defined.
        carried: the code of every carrier.
        defined: for each hom that is a span, and each detached attribute, the part of every value or slot, sorted.
        undefined: for each other attribute the sorted parts where it is undefined, and where fresh variables stand.
    """

    original: Storage
    instance: Storage
    carried: Carried
    defined: Mapping[str, Ids]
    undefined: Mapping[str, Ids]


class Encoding:
    """The encoding of some instances of one schema.

    Args:
        instances: the instances of a diagram, with which it is decided what becomes a span.
        coded: their attributes as integers.
        carried: for each instance the codes that have carriers; an attribute type that none names has none.
        detached: the attributes that are detached.

    Attributes:
        schema: the encoded schema. Names that are new do not clash with those of the instances' schema.
        spans: the homs that are spans.
        carriers: the attribute types with carriers.
        slots: the detached attributes.
        encoded: the encoded instances, in the order of the instances.
    """

    def __init__(
        self, instances: Sequence[Storage], coded: Codes, carried: Sequence[Carried], detached: Sequence[str] = ()
    ) -> None:
        self.of = of = instances[0].schema
        self._coded = coded
        partial = [f for f in of.homs if any((x.column_ids(f) == UNDEFINED).any() for x in instances)]
        fresh_name = _Names((*of.obs, *of.homs, *of.attrtypes, *of.attrs))
        self.spans = {f: Span(*(fresh_name(f"{f}_{role}") for role in ("span", "start", "end"))) for f in partial}
        types = [kind for kind in of.attrtypes if any(kind in carriers for carriers in carried)]
        self.carriers = {kind: Carrier(*(fresh_name(f"{kind}_{role}") for role in ("carrier", "at"))) for kind in types}
        self.slots = {a: Slots(*(fresh_name(f"{a}_{role}") for role in ("slot", "start"))) for a in detached}
        self.schema = self._encoded_schema()
        self.encoded = tuple(
            self._encoded(x, columns, carriers)
            for x, columns, carriers in zip(instances, coded.columns, carried, strict=True)
        )

    def _encoded_schema(self) -> Schema:
        of = self.of
        made: list[Span | Carrier | Slots] = [*self.spans.values(), *self.carriers.values(), *self.slots.values()]
        obs = [*of.obs, *(new.ob for new in made)]
        homs = {f: ends for f, ends in of.homs.items() if f not in self.spans}
        for f, span in self.spans.items():
            homs |= {span.start: (span.ob, of.homs[f][0]), span.end: (span.ob, of.homs[f][1])}
        attrs = dict(of.attrs)
        for kind, carrier in self.carriers.items():
            attrs[carrier.attribute] = (carrier.ob, kind)
        for a, slot in self.slots.items():
            homs[slot.start] = (slot.ob, of.attrs[a][0])
            attrs[a] = (slot.ob, of.attrs[a][1])
        return Schema(f"{of.name} without undefined arrows", obs, homs, dict.fromkeys(of.attrtypes, int), attrs)

    def _encoded(self, x: Storage, columns: Mapping[str, Ids], carried: Carried) -> Encoded:
        of = self.of
        counts = {ob: x.nparts(ob) for ob in of.obs}
        nvars = {kind: x.nvars(kind) for kind in of.attrtypes}
        homs = {f: x.column_ids(f) for f in of.homs if f not in self.spans}
        defined = {}
        for f, span in self.spans.items():
            targets = x.column_ids(f)
            defined[f] = np.flatnonzero(targets != UNDEFINED)
            homs |= {span.start: defined[f], span.end: targets[defined[f]]}
            counts[span.ob] = len(defined[f])
        attrs, undefined = {}, {}
        for a, (_, kind) in of.attrs.items():
            column, known = columns[a], self.known(kind)
            if a in self.slots:
                defined[a] = np.flatnonzero(column != UNDEFINED)
                homs[self.slots[a].start] = defined[a]
                counts[self.slots[a].ob] = len(defined[a])
                column = column[defined[a]]
            else:
                undefined[a] = np.flatnonzero(column == UNDEFINED)
                column = column.copy()
                column[undefined[a]] = known + nvars[kind] + np.arange(len(undefined[a]))
                nvars[kind] += len(undefined[a])
            attrs[a] = _cells(column, known)
        complete = {kind: carried.get(kind, np.zeros(0, np.int64)) for kind in self.carriers}
        for kind, carrier in self.carriers.items():
            counts[carrier.ob] = len(complete[kind])
            attrs[carrier.attribute] = _cells(complete[kind], self.known(kind))
        instance = x.like(self.schema).fill(counts, nvars, homs, attrs)
        return Encoded(x, instance, complete, defined, undefined)

    def known(self, kind: str) -> int:
        """Return the number of values of an attribute type, after which the codes of variables begin."""
        return len(self._coded.values[kind])

    def arrow(self, dom: Encoded, codom: Encoded, components: Components) -> Components:
        """Return a natural transformation between two of the instances, without attributes, as one of their encodings.

        Args:
            dom: the domain.
            codom: the codomain.
            components: for each object the images of the parts.
        """
        encoded = {ob: components[ob] for ob in self.of.obs}
        for f, span in self.spans.items():
            encoded[span.ob] = np.searchsorted(codom.defined[f], components[self.of.homs[f][0]][dom.defined[f]])
        return encoded

    def images(self, dom: Encoded, codom: Encoded, components: Components) -> dict[str, tuple[Any, ...]]:
        """Return for each attribute type the images of the variables of the domain, all of which have carriers."""
        images = {}
        for kind in self.of.attrtypes:
            if kind in self.carriers and dom.original.nvars(kind):
                reached = codom.carried[kind][components[self.carriers[kind].ob]]
                own = reached[dom.carried[kind] >= self.known(kind)]
                images[kind] = tuple(self._coded.image(kind, code) for code in own.tolist())
            else:
                images[kind] = ()
        return images

    def homs(self, encoded: Storage) -> dict[str, Ids]:
        """Return the homs of an instance by an encoding of it, in which every span is a function."""
        found = {f: encoded.column_ids(f) for f in self.of.homs if f not in self.spans}
        for f, span in self.spans.items():
            found[f] = np.full(encoded.nparts(self.of.homs[f][0]), UNDEFINED)
            found[f][encoded.column_ids(span.start)] = encoded.column_ids(span.end)
        return found


def coinciding(apex: Storage, spans: Iterable[Span]) -> tuple[Storage, Components, Components] | None:
    """Return two maps into an encoded instance whose coequalizer takes one step towards every span being a function.

    The domain has a part for each pair of values of a hom at one part, and for each pair to which homs lead from there.
    The maps send pairs to their first and second part.

    Args:
        apex: an instance of the encoded schema, which has no attributes.
        spans: its spans.

    Returns:
        The domain and the two maps; None where every span is a function.
    """
    schema = apex.schema
    pairs = {ob: np.zeros((0, 2), np.int64) for ob in schema.obs}
    for span in spans:
        starts = apex.column_ids(span.start)
        ids = np.arange(len(starts))
        first, differing = on_classes(ids, starts, int(starts.max(initial=-1)) + 1)
        pairs[span.ob] = np.unique(np.stack([first[starts[differing]], differing], axis=1), axis=0)
    new = {ob: found for ob, found in pairs.items() if len(found)}
    if not new:
        return None
    while new:
        reached: dict[str, list[Ids]] = {}
        for f, (dom, codom) in schema.homs.items():
            if dom in new:
                reached.setdefault(codom, []).append(apex.column_ids(f)[new[dom]])
        new = {}
        for ob, found in reached.items():
            grown = np.unique(np.concatenate([pairs[ob], *found]), axis=0)
            if len(grown) > len(pairs[ob]):
                known = _rows(pairs[ob], apex.nparts(ob))
                new[ob] = grown[~np.isin(_rows(grown, apex.nparts(ob)), known)]
            pairs[ob] = grown
    keys = {ob: _rows(found, apex.nparts(ob)) for ob, found in pairs.items()}
    homs = {
        f: np.searchsorted(keys[codom], _rows(apex.column_ids(f)[pairs[dom]], apex.nparts(codom)))
        for f, (dom, codom) in schema.homs.items()
    }
    domain = apex.like(schema).fill({ob: len(found) for ob, found in pairs.items()}, {}, homs, {})
    one, other = ({ob: found[:, side] for ob, found in pairs.items()} for side in (0, 1))
    return domain, one, other


def for_search(
    X: Storage, Y: Storage, injective: Collection[str], prescribed: Variables
) -> tuple[Encoding, dict[str, Ids]]:
    """Return the encoding with which morphisms X -> Y are searched for, and the prescribed images as codes.

    Its homomorphisms are exactly those of the instances. Carriers say what variables may become, and a part holds no
    variable in two attributes, as Catlab 0.17.4 checks both before it assigns an image.

    Args:
        X: the domain.
        Y: the codomain.
        injective: the attribute types whose variables must not become values.
        prescribed: for attribute types values and variables that must have a carrier in Y.
    """
    coded = codes(X, Y, also=prescribed)
    carried: tuple[dict[str, Ids], dict[str, Ids]] = {}, {}
    for kind in X.schema.attrtypes:
        if X.nvars(kind):
            known = len(coded.values[kind])
            carried[0][kind] = np.arange(known, known + X.nvars(kind))
            carried[1][kind] = np.arange(known if kind in injective else 0, known + Y.nvars(kind))
    return Encoding((X, Y), coded, carried, _repeating(X)), coded.also


class Diagram:
    """A diagram of instances without attributes, and so without attribute variables, for a colimit of instances.

    Each attribute type becomes an object that has a part for each value and each variable, the values first and the
    same in all instances, and attributes become homs to it. Catlab's colimits with attribute variables would take
    quadratic time: they evaluate a whole attribute for each part, and go through all variables for each of them.

    Args:
        instances: the instances, of one schema.
        images: for each morphism of the diagram the images of the variables.

    Attributes:
        encoding: the encoding of the instances without attributes.
        images: for each morphism, attribute type and variable the part for its image.
    """

    def __init__(self, instances: Sequence[Storage], images: Sequence[Variables]) -> None:
        self._of = of = instances[0].schema
        self._instances = instances
        also = {kind: tuple(image for each in images for image in each[kind]) for kind in of.attrtypes}
        self._coded = coded = codes(*instances, also=also)
        ends = {kind: np.cumsum([len(each[kind]) for each in images]) for kind in of.attrtypes}
        pieces = {kind: np.split(found, ends[kind]) for kind, found in coded.also.items()}
        self.images = tuple({kind: pieces[kind][number] for kind in pieces} for number in range(len(images)))
        schema = Schema(f"{of.name} with values as parts", (*of.obs, *of.attrtypes), {**of.homs, **of.attrs})
        plain = []
        for x, columns in zip(instances, coded.columns, strict=True):
            sizes = {ob: x.nparts(ob) for ob in of.obs}
            sizes |= {kind: self._known(kind) + x.nvars(kind) for kind in of.attrtypes}
            homs = {f: x.column_ids(f) for f in of.homs} | columns
            plain.append(x.like(schema).fill(sizes, {}, homs, {}))
        values = {kind: self._known(kind) for kind in of.attrtypes}
        plain.append(plain[0].like().fill(dict.fromkeys(of.obs, 0) | values, {}, {}, {}))
        nothing = Codes({}, ({},) * len(plain), {})
        self.encoding = Encoding(plain, nothing, [{}] * len(plain))

    @property
    def values(self) -> Encoded:
        """Return the instance that has only the values, and goes to each of the others."""
        return self.encoding.encoded[-1]

    def _known(self, kind: str) -> int:
        return len(self._coded.values[kind])

    def arrow(self, dom: Encoded, codom: Encoded, components: Components, images: Mapping[str, Ids]) -> Components:
        """Return a natural transformation between two of the instances, or from the values, as one of encodings.

        Args:
            dom: the domain.
            codom: the codomain.
            components: for each object the images of the parts.
            images: for each attribute type the parts for the images of the variables.
        """
        meaning = {kind: np.concatenate([np.arange(self._known(kind)), images[kind]]) for kind in self._of.attrtypes}
        return self.encoding.arrow(dom, codom, {**components, **meaning})

    def inclusion(self, codom: Encoded) -> Components:
        """Return the map from the values to an instance."""
        nothing = np.zeros(0, np.int64)
        obs, kinds = dict.fromkeys(self._of.obs, nothing), dict.fromkeys(self._of.attrtypes, nothing)
        return self.arrow(self.values, codom, obs, kinds)

    def filled(self, into: S, apex: Storage, legs: Sequence[Components]) -> tuple[S, list[dict[str, tuple[Any, ...]]]]:
        """Fill an empty instance with a colimit, given by its encoding in which every span is a function.

        Args:
            into: the empty instance.
            apex: the encoding of the colimit, in which no two values are identified.
            legs: for each of the first instances of the diagram its leg; together they reach all of the apex.

        Returns:
            The instance, and for each leg the images of the variables.
        """
        of, columns = self._of, self.encoding.homs(apex)
        attrs, nvars = {}, {}
        variables: list[dict[str, tuple[Any, ...]]] = [{} for _ in legs]
        for kind, python_type in of.attrtypes.items():
            known = self._known(kind)
            meaning = np.full(apex.nparts(kind) + 1, UNDEFINED)
            meaning[legs[0][kind][:known]] = np.arange(known)
            unknown = np.flatnonzero(meaning[:-1] == UNDEFINED)
            meaning[unknown] = known + np.arange(len(unknown))
            nvars[kind] = len(unknown)
            for images, leg in zip(variables, legs, strict=True):
                images[kind] = tuple(self._coded.image(kind, code) for code in meaning[leg[kind][known:]].tolist())
            for a in of.attrs_into(kind):
                attrs[a] = decoded(meaning[columns[a]], self._coded.values[kind], python_type)
        return into.fill({ob: apex.nparts(ob) for ob in of.obs}, nvars, columns, attrs), variables


def _repeating(X: Storage) -> list[str]:
    """The attributes that hold a variable at a part where an attribute before them holds it, too."""
    seen: dict[tuple[str, str], list[Ids]] = {}
    repeating = []
    for a, ends in X.schema.attrs.items():
        status = X.cells(a).status
        if any(((status >= 0) & (status == other)).any() for other in seen.setdefault(ends, [])):
            repeating.append(a)
        seen[ends].append(status)
    return repeating


class _Names:
    """New names for objects and arrows, none of which is taken."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    def __call__(self, wanted: str) -> str:
        while wanted in self._taken:
            wanted += "_"
        self._taken.add(wanted)
        return wanted


def _cells(codes: Ids, known: int) -> Cells:
    """Codes as an attribute of integers: a value is its code, and codes from ``known`` on are variables."""
    if not len(codes) or codes.max() < known:
        return Cells(codes, all_defined(len(codes)))
    valued = codes < known
    return Cells(np.where(valued, codes, 0), np.where(valued, DEFINED, codes - known))


def _rows(pairs: Ids, size: int) -> Ids:
    """A number for each pair of parts of an object of this size, in the order of the pairs."""
    return pairs[:, 0] * size + pairs[:, 1]
