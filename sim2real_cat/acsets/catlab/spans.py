"""Instances with undefined arrows as total ones without attributes, as Catlab needs them, and back.

A hom or an attribute that is undefined somewhere becomes a *span* (:class:`Encoding`): an object with an arrow to where
it starts and one to where it ends, and one part for each value. Arrows that are defined everywhere stay as they are.

Attribute values and variables become the parts of one object for each attribute type, and attributes become homs to it
(:class:`Diagram`). Catlab's own attribute variables would cost quadratic time in colimits, which evaluate a whole
attribute for each part; and its search checks all attributes of a part before it assigns an image to a variable, so it
finds morphisms that are not natural.

Homomorphisms of these encodings that keep the values are the homomorphisms of the instances. Colimits are those of the
encodings, once each span is a function again (:mod:`~sim2real_cat.acsets.catlab.universal`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np

from sim2real_cat.acsets.columns import UNDEFINED, Cells, Ids
from sim2real_cat.acsets.maps.values import Variables, codes, decoded
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.acsets.storage import Storage

S = TypeVar("S", bound=Storage)

Components = Mapping[str, Ids]
"""For each object of an encoded schema the images of the parts."""


class Span(NamedTuple):
    """A hom or an attribute as a span.

    Attributes:
        ob: the object whose parts are the values.
        start: its hom to the domain.
        end: its hom to the codomain, or the attribute.
    """

    ob: str
    start: str
    end: str


@dataclass(frozen=True, eq=False)
class Encoded:
    """The encoding of an instance.

    Attributes:
        instance: an instance of the encoded schema in which everything is defined.
        defined: for each arrow that is a span the sorted parts where it is defined, one for each part of the span.
    """

    instance: Storage
    defined: Mapping[str, Ids]


class Encoding:
    """The encoding of some instances of one schema, in which everything is defined.

    Args:
        instances: the instances of a diagram; an arrow becomes a span where it is undefined somewhere in one of them.

    Attributes:
        schema: the encoded schema. Names that are new do not clash with those of the instances' schema.
        spans: the spans, by the arrows that they stand for.
        encoded: the encoded instances, in the order of the instances.
    """

    def __init__(self, instances: Sequence[Storage]) -> None:
        self._of = of = instances[0].schema
        fresh_name = _Names((*of.obs, *of.homs, *of.attrtypes, *of.attrs))
        partial = [f for f in of.homs if any((x.column_ids(f) == UNDEFINED).any() for x in instances)]
        partial += [a for a in of.attrs if any((x.cells(a).status == UNDEFINED).any() for x in instances)]
        self.spans = {f: Span(*(fresh_name(f"{f}_{role}") for role in ("span", "start", "end"))) for f in partial}
        self.schema = self._encoded_schema()
        self.encoded = tuple(map(self._encoded, instances))

    def _encoded_schema(self) -> Schema:
        of = self._of
        homs = {f: ends for f, ends in of.homs.items() if f not in self.spans}
        attrs = {a: ends for a, ends in of.attrs.items() if a not in self.spans}
        for f, span in self.spans.items():
            dom, codom = of.homs.get(f) or of.attrs[f]
            homs[span.start] = span.ob, dom
            (homs if f in of.homs else attrs)[span.end] = span.ob, codom
        obs = [*of.obs, *(span.ob for span in self.spans.values())]
        return Schema(f"{of.name} without undefined arrows", obs, homs, of.attrtypes, attrs)

    def _encoded(self, x: Storage) -> Encoded:
        of = self._of
        sizes = {ob: x.nparts(ob) for ob in of.obs}
        homs, attrs, defined = {}, {}, {}
        for f in of.homs:
            targets = x.column_ids(f)
            if f in self.spans:
                defined[f] = np.flatnonzero(targets != UNDEFINED)
                homs[self.spans[f].end] = targets[defined[f]]
            else:
                homs[f] = targets
        for a in of.attrs:
            data, status = x.cells(a)
            if a in self.spans:
                defined[a] = np.flatnonzero(status != UNDEFINED)
                attrs[self.spans[a].end] = Cells(data[defined[a]], status[defined[a]])
            else:
                attrs[a] = Cells(data, status)
        for f, span in self.spans.items():
            homs[span.start] = defined[f]
            sizes[span.ob] = len(defined[f])
        nvars = {kind: x.nvars(kind) for kind in of.attrtypes}
        return Encoded(x.like(self.schema).fill(sizes, nvars, homs, attrs), defined)

    def arrow(self, dom: Encoded, codom: Encoded, components: Components) -> Components:
        """Return a natural transformation between two of the instances as one of their encodings.

        Args:
            dom: the domain.
            codom: the codomain.
            components: for each object the images of the parts.
        """
        encoded = {ob: components[ob] for ob in self._of.obs}
        for f, span in self.spans.items():
            (start, _) = self._of.homs.get(f) or self._of.attrs[f]
            encoded[span.ob] = np.searchsorted(codom.defined[f], components[start][dom.defined[f]])
        return encoded

    def homs(self, encoded: Storage) -> dict[str, Ids]:
        """Return the homs of an instance by an encoding of it, in which every span is a function."""
        found = {}
        for f, (dom, _) in self._of.homs.items():
            if f in self.spans:
                found[f] = np.full(encoded.nparts(dom), UNDEFINED)
                found[f][encoded.column_ids(self.spans[f].start)] = encoded.column_ids(self.spans[f].end)
            else:
                found[f] = encoded.column_ids(f)
        return found


class Diagram:
    """Instances as encodings without attributes, in which values and variables are parts.

    Each attribute type becomes an object that has a part for each value and each variable, and attributes become homs
    to it. The values come first and are the same in all instances; of lean types the first instance has fewer, so that
    what is searched for stays small.

    Args:
        instances: the instances, of one schema.
        images: for each morphism of the diagram the images of the variables.
        lean: attribute types of which the first instance has only the values that it holds.

    Attributes:
        encoding: the encoding, of the instances and of one more that has only the values.
        images: for each morphism, attribute type and variable the part for its image.
        held: for each attribute type the values of the first instance, as parts of the others.
    """

    def __init__(
        self, instances: Sequence[Storage], images: Sequence[Variables] = (), lean: Collection[str] = ()
    ) -> None:
        self._of = of = instances[0].schema
        also = {kind: tuple(image for each in images for image in each[kind]) for kind in of.attrtypes}
        self._coded = coded = codes(*instances, also=also)
        ends = {kind: np.cumsum([len(each[kind]) for each in images]) for kind in of.attrtypes}
        pieces = {kind: np.split(found, ends[kind]) for kind, found in coded.also.items()}
        self.images = tuple({kind: pieces[kind][number] for kind in pieces} for number in range(len(images)))
        first = dict(coded.columns[0])
        self.held = {}
        for kind in of.attrtypes:
            values, attrs = np.arange(self.known(kind)), of.attrs_into(kind)
            if kind in lean:
                own = np.unique(np.concatenate([np.zeros(0, np.int64), *(first[a] for a in attrs)]))
                values = own[(own >= 0) & (own < self.known(kind))]
                parts = np.concatenate([values, self.known(kind) + np.arange(instances[0].nvars(kind))])
                for a in attrs:
                    first[a] = np.where(first[a] == UNDEFINED, UNDEFINED, np.searchsorted(parts, first[a]))
            self.held[kind] = values
        schema = Schema(f"{of.name} with values as parts", (*of.obs, *of.attrtypes), {**of.homs, **of.attrs})
        plain = []
        for number, (x, columns) in enumerate(zip(instances, (first, *coded.columns[1:]), strict=True)):
            sizes = {ob: x.nparts(ob) for ob in of.obs}
            for kind in of.attrtypes:
                sizes[kind] = (self.known(kind) if number else len(self.held[kind])) + x.nvars(kind)
            homs = {f: x.column_ids(f) for f in of.homs} | columns
            plain.append(x.like(schema).fill(sizes, {}, homs, {}))
        alone = dict.fromkeys(of.obs, 0) | {kind: self.known(kind) for kind in of.attrtypes}
        plain.append(plain[0].like().fill(alone, {}, {}, {}))
        self.encoding = Encoding(plain)

    @property
    def values(self) -> Encoded:
        """Return the instance that has only the values, and goes to each of the others."""
        return self.encoding.encoded[-1]

    def known(self, kind: str) -> int:
        """Return the number of values of an attribute type, whose parts are the first ones."""
        return len(self._coded.values[kind])

    def image(self, kind: str, part: int) -> Any:
        """Return the value or the variable that a part of an attribute type stands for."""
        return self._coded.image(kind, part)

    def arrow(self, dom: Encoded, codom: Encoded, components: Components, images: Mapping[str, Ids]) -> Components:
        """Return a natural transformation between two of the instances, or from the values, as one of encodings.

        Args:
            dom: the domain.
            codom: the codomain.
            components: for each object the images of the parts.
            images: for each attribute type the parts for the images of the variables.
        """
        meaning = {kind: np.concatenate([np.arange(self.known(kind)), images[kind]]) for kind in self._of.attrtypes}
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
            known = self.known(kind)
            meaning = np.full(apex.nparts(kind) + 1, UNDEFINED)
            meaning[legs[0][kind][:known]] = np.arange(known)
            unknown = np.flatnonzero(meaning[:-1] == UNDEFINED)
            meaning[unknown] = known + np.arange(len(unknown))
            nvars[kind] = len(unknown)
            for images, leg in zip(variables, legs, strict=True):
                images[kind] = tuple(self.image(kind, code) for code in meaning[leg[kind][known:]].tolist())
            for a in of.attrs_into(kind):
                attrs[a] = decoded(meaning[columns[a]], self._coded.values[kind], python_type)
        return into.fill({ob: apex.nparts(ob) for ob in of.obs}, nvars, columns, attrs), variables


class _Names:
    """New names for objects and arrows, none of which is taken."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    def __call__(self, wanted: str) -> str:
        while wanted in self._taken:
            wanted += "_"
        self._taken.add(wanted)
        return wanted
