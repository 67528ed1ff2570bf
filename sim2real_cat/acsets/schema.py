"""Schemas: finitely presented categories with attributes, the shape of a database.

Objects are tables, homs are foreign keys, attribute types are sets of values, attributes are typed
columns, and equations say which composites of arrows agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from sim2real_cat.acsets.codecs import Codec
from sim2real_cat.acsets.paths import Path, PathLike, names_of, parse_path
from sim2real_cat.errors import SchemaError, unknown_name

AttrPythonType = type[float] | type[int] | type[str] | type[bool] | Codec
Arrow = tuple[str, str]
Equation = tuple[Path, Path]

ATTRIBUTE_PYTHON_TYPES: tuple[AttrPythonType, ...] = (float, int, str, bool)
RESERVED = {"cat": "Catlab uses it itself", "_id": "it is the row's id in the exchange format"}
_REMEMBERED_PATHS = 1024


class Schema:
    """A finite presentation of a category with attributes.

    Two schemas are equal when they have the same generators, in the same order, and the same
    equations; the name is a label and does not count. A schema never changes: it can be hashed, and
    ``eval(repr(schema)) == schema`` (with codecs where :class:`~sim2real_cat.acsets.codecs.Codec` says so).

    >>> graph = Schema("Graph", obs=["V", "E"], homs={"src": ("E", "V"), "tgt": ("E", "V")})
    >>> graph.path("src")
    Path(dom='E', arrows=('src',), codom='V')
    >>> eval(repr(graph)) == graph
    True

    Args:
        name: a label, used in messages.
        obs: names of the objects.
        homs: each hom's (domain, codomain), both objects.
        attrtypes: each attribute type's Python type: float, int, str or bool, or a ``Codec`` for another.
        attrs: each attribute's (object, attribute type).
        equations: pairs of paths with the same ends; a path is ``"a.b"``, a tuple of names, or ``""``
            for the identity on the object where the other side starts.

    Raises:
        SchemaError: a name that is taken, reserved or not an identifier, an arrow whose ends are
            unknown, or an equation whose sides do not compose or do not have the same ends.
    """

    __slots__ = ("_columns", "_paths", "attrs", "attrtypes", "equations", "homs", "name", "obs")

    name: str
    obs: tuple[str, ...]
    homs: Mapping[str, Arrow]
    attrtypes: Mapping[str, AttrPythonType]
    attrs: Mapping[str, Arrow]
    equations: tuple[Equation, ...]
    _columns: dict[str, tuple[tuple[str, ...], tuple[str, ...]]]
    _paths: dict[tuple[PathLike, str | None], Path]

    def __init__(
        self,
        name: str,
        obs: Sequence[str] = (),
        homs: Mapping[str, Arrow] | None = None,
        attrtypes: Mapping[str, AttrPythonType] | None = None,
        attrs: Mapping[str, Arrow] | None = None,
        equations: Iterable[tuple[PathLike, PathLike]] = (),
    ) -> None:
        if isinstance(obs, str):
            raise SchemaError(f"obs is a list of names, not the text {obs!r}: write [{obs!r}]")
        homs, attrtypes, attrs = homs or {}, attrtypes or {}, attrs or {}
        _check_names({"object": obs, "hom": homs, "attribute type": attrtypes, "attribute": attrs})
        for attrtype, python_type in attrtypes.items():
            if not isinstance(python_type, Codec) and not any(python_type is valid for valid in ATTRIBUTE_PYTHON_TYPES):
                raise SchemaError(
                    f"attribute type '{attrtype}' has Python type {python_type!r}: use float, int, str or bool, "
                    "or a Codec for another type"
                )
        _check_arrows("hom", homs, obs, "object", obs)
        _check_arrows("attribute", attrs, obs, "attribute type", attrtypes)

        store = object.__setattr__
        store(self, "name", name)
        store(self, "obs", tuple(obs))
        store(self, "homs", MappingProxyType({f: (a, b) for f, (a, b) in homs.items()}))
        store(self, "attrtypes", MappingProxyType(dict(attrtypes)))
        store(self, "attrs", MappingProxyType({f: (a, b) for f, (a, b) in attrs.items()}))
        store(
            self,
            "_columns",
            {ob: tuple(tuple(f for f, (a, _) in arrows.items() if a == ob) for arrows in (homs, attrs)) for ob in obs},
        )
        store(self, "_paths", {})
        store(self, "equations", tuple(_equation(self, sides) for sides in equations))

    def path(self, path: PathLike, ob: str | None = None) -> Path:
        """The path with its domain and codomain; see :func:`sim2real_cat.acsets.paths.parse_path`."""
        if not isinstance(path, (str, tuple)):
            return parse_path(self, path, ob)
        try:
            return self._paths[path, ob]
        except KeyError:
            if len(self._paths) == _REMEMBERED_PATHS:
                self._paths.clear()
            return self._paths.setdefault((path, ob), parse_path(self, path, ob))
        except TypeError:  # a tuple of something unhashable, which is no path
            return parse_path(self, path, ob)

    def homs_from(self, ob: str) -> tuple[str, ...]:
        """The homs whose domain is ``ob``, in schema order."""
        return self._columns[ob][0] if ob in self._columns else ()

    def attrs_from(self, ob: str) -> tuple[str, ...]:
        """The attributes of ``ob``, in schema order."""
        return self._columns[ob][1] if ob in self._columns else ()

    def homs_into(self, ob: str) -> tuple[str, ...]:
        """The homs whose codomain is ``ob``, in schema order."""
        return tuple(f for f, (_, codom) in self.homs.items() if codom == ob)

    def extend(
        self,
        name: str,
        obs: Sequence[str] = (),
        homs: Mapping[str, Arrow] | None = None,
        attrtypes: Mapping[str, AttrPythonType] | None = None,
        attrs: Mapping[str, Arrow] | None = None,
        equations: Iterable[tuple[PathLike, PathLike]] = (),
    ) -> Schema:
        """A schema with everything of this one first and then what is given (Catlab's ``<:``).

        Raises:
            SchemaError: as the constructor, and where a new name is already in this schema.
        """
        added = {"object": obs, "hom": homs or {}, "attribute type": attrtypes or {}, "attribute": attrs or {}}
        taken = {*self.obs, *self.homs, *self.attrtypes, *self.attrs}
        for kind, names in added.items():
            for new in names:
                if new in taken:
                    raise SchemaError(f"{kind} '{new}' is already in schema {self.name}, which {name} extends")
        return Schema(
            name,
            (*self.obs, *([obs] if isinstance(obs, str) else obs)),
            {**self.homs, **(homs or {})},
            {**self.attrtypes, **(attrtypes or {})},
            {**self.attrs, **(attrs or {})},
            (*_pairs(self.equations), *equations),
        )

    def extends(self, base: Schema) -> bool:
        """Whether every generator and every equation of ``base`` is one of this schema's."""
        return (
            set(base.obs) <= set(self.obs)
            and base.homs.items() <= self.homs.items()
            and base.attrtypes.items() <= self.attrtypes.items()
            and base.attrs.items() <= self.attrs.items()
            and set(base.equations) <= set(self.equations)
        )

    def draw(self) -> str:
        """The schema as Graphviz DOT text."""
        from sim2real_cat.acsets.io.drawing import draw

        return draw(self)

    def to_json(self) -> str:
        """The schema in ACSets.jl's JSON, which has no name and no Python types of attribute types."""
        from sim2real_cat.acsets.io import json

        return json.write_schema(self)

    @staticmethod
    def from_json(
        text: str,
        attrtypes: Mapping[str, AttrPythonType] | None = None,
        name: str = "Schema",
        source: str = "schema.json",
    ) -> Schema:
        """Read a schema from ACSets.jl's JSON.

        Args:
            text: the JSON text.
            attrtypes: the Python type of each attribute type, which the format does not hold.
            name: the schema's label, which the format does not hold either.
            source: what to call the text in messages.

        Raises:
            ExchangeError: where the text is not a schema in this format.
            SchemaError: where it describes no schema, or ``attrtypes`` does not fit it.
        """
        from sim2real_cat.acsets.io import json

        return json.read_schema(text, attrtypes or {}, name, source)

    def _value(self) -> tuple[object, ...]:
        return (
            self.obs,
            tuple(self.homs.items()),
            tuple(self.attrtypes.items()),
            tuple(self.attrs.items()),
            self.equations,
        )

    def __setattr__(self, attribute: str, value: object) -> None:
        raise AttributeError(f"a Schema never changes: build another one with .extend(), not by setting {attribute!r}")

    def __delattr__(self, attribute: str) -> None:
        raise AttributeError(f"a Schema never changes: {attribute!r} cannot be deleted")

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return self._value() == other._value() if isinstance(other, Schema) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._value())

    def __reduce__(self) -> tuple[type[Schema], tuple[object, ...]]:
        return Schema, (
            self.name,
            self.obs,
            dict(self.homs),
            dict(self.attrtypes),
            dict(self.attrs),
            _pairs(self.equations),
        )

    def __repr__(self) -> str:
        fields = [repr(self.name), f"obs={list(self.obs)!r}"]
        if self.homs:
            fields.append(f"homs={dict(self.homs)!r}")
        if self.attrtypes:
            types = ", ".join(
                f"{attrtype!r}: {python_type!r}"
                if isinstance(python_type, Codec)
                else f"{attrtype!r}: {python_type.__name__}"
                for attrtype, python_type in self.attrtypes.items()
            )
            fields.append(f"attrtypes={{{types}}}")
        if self.attrs:
            fields.append(f"attrs={dict(self.attrs)!r}")
        if self.equations:
            fields.append(f"equations={[(str(left), str(right)) for left, right in self.equations]!r}")
        return f"Schema({', '.join(fields)})"


def _pairs(equations: Iterable[Equation]) -> tuple[tuple[PathLike, PathLike], ...]:
    return tuple((left.arrows, right.arrows) for left, right in equations)


def _check_names(kinds: Mapping[str, Iterable[str]]) -> None:
    """All names of a schema are columns or tables of one database, so they are unique together."""
    seen: dict[str, str] = {}
    for kind, names in kinds.items():
        for name in names:
            if not isinstance(name, str) or not name.isidentifier():
                raise SchemaError(f"{kind} {name!r} is not an identifier: use letters, digits and underscores")
            if name in RESERVED:
                raise SchemaError(f"{kind} '{name}' is a reserved name ({RESERVED[name]}): choose another")
            if name in seen:
                raise SchemaError(f"{kind} '{name}' has the name of another {seen[name]}: all names must differ")
            seen[name] = kind


def _check_arrows(
    kind: str, arrows: Mapping[str, Arrow], obs: Iterable[str], codom_kind: str, codoms: Iterable[str]
) -> None:
    for name, ends in arrows.items():
        if not isinstance(ends, (tuple, list)) or len(ends) != 2:
            raise SchemaError(f"{kind} '{name}' needs a pair (domain, codomain), not {ends!r}")
        dom, codom = ends
        if dom not in obs:
            raise SchemaError(f"{kind} '{name}' starts in an {unknown_name('object', str(dom), obs)}")
        if codom not in codoms:
            raise SchemaError(f"{kind} '{name}' ends in an {unknown_name(codom_kind, str(codom), codoms)}")


def _equation(schema: Schema, sides: tuple[PathLike, PathLike]) -> Equation:
    if not isinstance(sides, (tuple, list)) or len(sides) != 2:
        raise SchemaError(f"an equation is a pair of paths, not {sides!r}")
    written = [names_of(side) for side in sides]
    text = f"'{'.'.join(written[0])}' = '{'.'.join(written[1])}'"
    if not any(written):
        raise SchemaError(f"equation {text} has two identities and says nothing: leave it out")
    try:
        start = schema.path(written[0] or written[1]).dom
        # Without ob, a side that starts elsewhere is reported below together with the other side.
        left, right = (schema.path(names, None if names else start) for names in written)
    except SchemaError as error:
        raise SchemaError(f"equation {text}: {error}") from None
    if left.dom != right.dom:
        raise SchemaError(f"equation {text}: the left side starts in {left.dom}, the right side in {right.dom}")
    if left.codom != right.codom:
        raise SchemaError(f"equation {text}: the left side ends in {left.codom}, the right side in {right.codom}")
    return left, right
