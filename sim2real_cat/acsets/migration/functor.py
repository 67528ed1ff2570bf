"""Functors between schemas, along which instances migrate.

A functor sends objects to objects, homs to paths, attribute types to attribute types, and attributes to paths that end
in an attribute. It preserves domains, codomains and equations. It may send a hom to an identity.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Literal

from sim2real_cat.acsets.codecs import type_name
from sim2real_cat.acsets.schema import Equation, Path, PathLike, Schema
from sim2real_cat.acsets.storage import Storage
from sim2real_cat.errors import SchemaError, unknown_name

SEARCHED = 200
"""The number of paths equal to one side of an equation that are searched before the equation counts as undecided."""


class SchemaFunctor:
    """A functor F: dom -> codom of schemas, given by the images of the generators.

    Whether the image of an equation holds in the codomain is an instance of the word problem of categories, which is
    undecidable. So the two images are rewritten with the codomain's equations, shortest paths first. Where they meet,
    the equation is preserved. Where all paths equal to one of them are known and the other is not among them, it is
    not, which is an error. Where neither happens within ``SEARCHED`` paths for each side, the equation is listed in
    ``undecided`` and assumed to hold; :meth:`ACSet.check <sim2real_cat.acsets.acset.ACSet.check>` tells whether a
    migrated instance satisfies it.

    >>> graph = Schema("Graph", ["V", "E"], {"src": ("E", "V"), "tgt": ("E", "V")})
    >>> dynamics = Schema("Dynamics", ["X"], {"next": ("X", "X")})
    >>> F = SchemaFunctor(graph, dynamics, {"V": "X", "E": "X"}, {"src": "", "tgt": "next.next"})
    >>> F.path("tgt")
    Path(dom='X', arrows=('next', 'next'), codom='X')

    Args:
        dom: the schema it starts in.
        codom: the schema it ends in.
        obs: the image of each object.
        homs: the image of each hom, a path of the codomain; ``""`` is an identity.
        attrtypes: the image of each attribute type, with the same Python type.
        attrs: the image of each attribute, a path whose last arrow is an attribute.

    Attributes:
        undecided: the equations of the domain of which it is not known whether they are preserved.

    Raises:
        SchemaError: naming the generator whose image is missing, unknown or does not fit, or the equation
            that is broken.
    """

    __slots__ = ("attrs", "attrtypes", "codom", "dom", "homs", "obs", "undecided")

    dom: Schema
    codom: Schema
    obs: Mapping[str, str]
    homs: Mapping[str, Path]
    attrtypes: Mapping[str, str]
    attrs: Mapping[str, Path]
    undecided: tuple[Equation, ...]

    def __init__(
        self,
        dom: Schema,
        codom: Schema,
        obs: Mapping[str, str] | None = None,
        homs: Mapping[str, PathLike] | None = None,
        attrtypes: Mapping[str, str] | None = None,
        attrs: Mapping[str, PathLike] | None = None,
    ) -> None:
        obs, homs, attrtypes, attrs = obs or {}, homs or {}, attrtypes or {}, attrs or {}
        where = f"functor {dom.name} -> {codom.name}"
        _check_generators(where, "object", "obs", obs, dom.obs)
        _check_generators(where, "hom", "homs", homs, dom.homs)
        _check_generators(where, "attribute type", "attrtypes", attrtypes, dom.attrtypes)
        _check_generators(where, "attribute", "attrs", attrs, dom.attrs)
        for ob, image in obs.items():
            if image not in codom.obs:
                raise SchemaError(f"{where}: object '{ob}' goes to an {unknown_name('object', image, codom.obs)}")
        for attrtype, image in attrtypes.items():
            if image not in codom.attrtypes:
                problem = unknown_name("attribute type", image, codom.attrtypes)
                raise SchemaError(f"{where}: attribute type '{attrtype}' goes to an {problem}")
            wanted, found = dom.attrtypes[attrtype], codom.attrtypes[image]
            if wanted != found:
                raise SchemaError(
                    f"{where}: attribute type '{attrtype}' has Python type {type_name(wanted)}, "
                    f"its image '{image}' has {type_name(found)}: they must be the same"
                )
        ends = {**obs, **attrtypes}
        store = object.__setattr__
        store(self, "dom", dom)
        store(self, "codom", codom)
        store(self, "obs", MappingProxyType({ob: obs[ob] for ob in dom.obs}))
        store(self, "attrtypes", MappingProxyType({kind: attrtypes[kind] for kind in dom.attrtypes}))
        for kind, arrows, images in (("hom", dom.homs, homs), ("attribute", dom.attrs, attrs)):
            paths = {
                f: _image(f"{where}: {kind} '{f}'", codom, images[f], ends[a], ends[b]) for f, (a, b) in arrows.items()
            }
            store(self, "homs" if kind == "hom" else "attrs", MappingProxyType(paths))
        undecided = []
        for left, right in dom.equations:
            kept = _equal_paths(codom, self.path(left.arrows, left.dom), self.path(right.arrows, right.dom))
            if kept is None:
                undecided.append((left, right))
            elif not kept:
                images_text = " = ".join(f"'{self.path(side.arrows, side.dom)}'" for side in (left, right))
                raise SchemaError(
                    f"{where}: equation '{left}' = '{right}' goes to {images_text}, which {codom.name} does not say"
                )
        store(self, "undecided", tuple(undecided))

    @staticmethod
    def identity(schema: Schema) -> SchemaFunctor:
        """Return the identity functor of a schema."""
        return SchemaFunctor.inclusion(schema, schema)

    @staticmethod
    def inclusion(base: Schema, extension: Schema) -> SchemaFunctor:
        """Return the inclusion of a schema in an extension of it.

        Raises:
            SchemaError: where ``extension`` does not extend ``base``.
        """
        if not extension.extends(base):
            raise SchemaError(f"no inclusion: schema {extension.name} does not extend {base.name}")
        return SchemaFunctor(
            base,
            extension,
            {ob: ob for ob in base.obs},
            {f: (f,) for f in base.homs},
            {kind: kind for kind in base.attrtypes},
            {f: (f,) for f in base.attrs},
        )

    def path(self, path: PathLike, ob: str | None = None) -> Path:
        """Return the image of a path of the domain: the composite of the images of its arrows.

        Raises:
            SchemaError: for a path that the domain does not have.
        """
        route = self.dom.path(path, ob)
        images = {**self.homs, **self.attrs}
        arrows = tuple(arrow for name in route.arrows for arrow in images[name].arrows)
        ends = {**self.obs, **self.attrtypes}
        return Path(ends[route.dom], arrows, ends[route.codom])

    def then(self, other: SchemaFunctor) -> SchemaFunctor:
        """Compose in diagrammatic order: first this functor, then ``other``.

        Raises:
            SchemaError: where ``other`` does not start in the schema where this one ends.
        """
        if self.codom != other.dom:
            raise SchemaError(
                f"the functors do not compose: the first ends in {self.codom.name}, the second starts in "
                f"{other.dom.name}, which is another schema"
            )
        return SchemaFunctor(
            self.dom,
            other.codom,
            {ob: other.obs[image] for ob, image in self.obs.items()},
            {f: other.path(image.arrows, image.dom).arrows for f, image in self.homs.items()},
            {kind: other.attrtypes[image] for kind, image in self.attrtypes.items()},
            {f: other.path(image.arrows, image.dom).arrows for f, image in self.attrs.items()},
        )

    def _value(self) -> tuple[object, ...]:
        return (
            self.dom,
            self.codom,
            tuple(self.obs.items()),
            tuple(self.homs.items()),
            tuple(self.attrtypes.items()),
            tuple(self.attrs.items()),
        )

    def __reduce__(self) -> tuple[type[SchemaFunctor], tuple[object, ...]]:
        homs = {f: path.arrows for f, path in self.homs.items()}
        attrs = {f: path.arrows for f, path in self.attrs.items()}
        return SchemaFunctor, (self.dom, self.codom, dict(self.obs), homs, dict(self.attrtypes), attrs)

    def __setattr__(self, attribute: str, value: object) -> None:
        raise AttributeError(f"a SchemaFunctor never changes: build another one, do not set {attribute!r}")

    def __eq__(self, other: object) -> bool:
        return self._value() == other._value() if isinstance(other, SchemaFunctor) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._value())

    def __repr__(self) -> str:
        homs = {f: str(path) for f, path in self.homs.items()}
        attrs = {f: str(path) for f, path in self.attrs.items()}
        return (
            f"SchemaFunctor({self.dom!r}, {self.codom!r}, obs={dict(self.obs)!r}, homs={homs!r}, "
            f"attrtypes={dict(self.attrtypes)!r}, attrs={attrs!r})"
        )


def require_instance(
    schema: Schema, instance: Storage, operation: Literal["delta", "sigma"], verb: Literal["starts", "ends"]
) -> None:
    """Refuse an instance of another schema than the one in which a functor starts or ends."""
    if instance.schema != schema:
        raise SchemaError(
            f"{operation}: the functor {verb} in schema {schema.name}, but the instance is one of "
            f"{instance.schema.name}, which has other generators or equations"
        )


def _check_generators(
    where: str, kind: str, argument: str, images: Mapping[str, object], valid: Collection[str]
) -> None:
    """Refuse images for unknown generators, and generators without an image."""
    for name in images:
        if name not in valid:
            raise SchemaError(f"{where}: {argument} has an {unknown_name(kind, str(name), valid)}")
    for name in valid:
        if name not in images:
            raise SchemaError(f"{where}: {kind} '{name}' has no image: give {argument}={{{name!r}: ...}}")


def _image(place: str, codom: Schema, image: PathLike, start: str, end: str) -> Path:
    """The image of an arrow as a path of the codomain, whose ends must be the images of the arrow's ends."""
    try:
        route = codom.path(image, None if image else start)
    except SchemaError as error:
        raise SchemaError(f"{place}: {error}") from None
    if (route.dom, route.codom) != (start, end):
        text = f"'{route}'" if route.arrows else "the identity"
        raise SchemaError(f"{place} must go from {start} to {end}, but {text} goes from {route.dom} to {route.codom}")
    return route


def _equal_paths(schema: Schema, left: Path, right: Path) -> bool | None:
    """Return whether the schema's equations make two paths equal; None where the search does not find out."""
    if (left.dom, left.codom) != (right.dom, right.codom):
        return False
    seen: tuple[set[Path], set[Path]] = ({left}, {right})
    fronts = [[(len(side.arrows), side.arrows)] for side in (left, right)]
    for _ in range(SEARCHED):
        for mine, others, front in zip(seen, reversed(seen), fronts, strict=True):
            if not mine.isdisjoint(others):
                return True
            if not front:
                return False
            _, arrows = heapq.heappop(front)
            for path in _rewritten(schema, Path(left.dom, arrows, left.codom)):
                if path not in mine:
                    mine.add(path)
                    heapq.heappush(front, (len(path.arrows), path.arrows))
    return None


def _rewritten(schema: Schema, path: Path) -> Iterator[Path]:
    """Yield all paths that one use of one equation makes of a path."""
    ends = {**schema.homs, **schema.attrs}
    stops = [path.dom, *(ends[name][1] for name in path.arrows)]
    for equation in schema.equations:
        for old, new in (equation, reversed(equation)):
            for start, stop in enumerate(stops):
                end = start + len(old.arrows)
                if stop == old.dom and path.arrows[start:end] == old.arrows:
                    yield Path(path.dom, path.arrows[:start] + new.arrows + path.arrows[end:], path.codom)
