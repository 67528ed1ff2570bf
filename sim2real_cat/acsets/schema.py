"""Schemas: finitely presented categories with attributes, the shape of a database.

Objects are tables, homs are foreign keys, attribute types are sets of values, attributes are typed
columns, and equations say which composites of arrows agree.

Paths are composable arrows of a schema, read left to right (diagrammatic order). In a schema with
``train: SimEnv -> Policy`` and ``deploy: Policy -> RealEnv`` the path ``"train.deploy"`` goes from SimEnv
to RealEnv. The empty path is the identity of an object. An attribute leaves the objects for a set of
values, so it can only come last.

The exchange format, ACSets.jl's JSON, holds the generators and the equations of a schema. It has no name
of the schema, and an attribute type is only a name, so its Python type is given on reading.
"""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from sim2real_cat.acsets.codecs import Codec
from sim2real_cat.acsets.io.strict_json import parse_json
from sim2real_cat.errors import ExchangeError, SchemaError, listed, unknown_name

PathLike = str | Sequence[str]


@dataclass(frozen=True)
class Path:
    """A morphism of the free category on a schema's arrows.

    Attributes:
        dom: the object it starts in.
        arrows: the names of its arrows, left to right; empty for an identity.
        codom: the object, or attribute type, it ends in.
    """

    dom: str
    arrows: tuple[str, ...]
    codom: str

    def __str__(self) -> str:
        return ".".join(self.arrows)


AttrPythonType = type[float] | type[int] | type[str] | type[bool] | Codec
Arrow = tuple[str, str]
Equation = tuple[Path, Path]

ATTRIBUTE_PYTHON_TYPES: tuple[AttrPythonType, ...] = (float, int, str, bool)
_RESERVED = {"cat": "Catlab uses it itself", "_id": "it is the row's id in the exchange format"}
_REMEMBERED_PATHS = 1024

_VERSION = {"ACSets": "0.0.0", "ACSetSchema": "0.0.1"}
_GENERATORS = ("Ob", "Hom", "AttrType", "Attr")
_KEYS = ("version", *_GENERATORS, "equations")
# fmt: off
_JULIA_WORDS = frozenset([
    "baremodule", "begin", "break", "catch", "const", "continue", "do", "else", "elseif", "end", "export", "false",
    "finally", "for", "function", "global", "if", "import", "in", "isa", "let", "local", "macro", "module", "quote",
    "return", "struct", "true", "try", "using", "where", "while", "Ob", "Hom", "AttrType", "Attr", "compose", "id",
])
# fmt: on
"""Words of Julia, and of Catlab's `@present`, that a generator cannot bear as its name there."""


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
        """Read a path: find its domain and codomain.

        Args:
            path: ``"a.b.c"`` or a tuple of names; empty for the identity.
            ob: the object in which the path starts; needed for the identity, checked otherwise.

        Raises:
            SchemaError: for an unknown arrow, arrows that do not compose, an attribute that is not the
                last arrow, an identity without its object, or another start than ``ob``.
        """
        if not isinstance(path, (str, tuple)):
            return _parsed_path(self, path, ob)
        try:
            return self._paths[path, ob]
        except KeyError:
            if len(self._paths) == _REMEMBERED_PATHS:
                self._paths.clear()
            return self._paths.setdefault((path, ob), _parsed_path(self, path, ob))
        except TypeError:  # a tuple of something unhashable, which the parser refuses
            return _parsed_path(self, path, ob)

    def homs_from(self, ob: str) -> tuple[str, ...]:
        """Return the homs whose domain is ``ob``, in schema order."""
        return self._columns[ob][0] if ob in self._columns else ()

    def attrs_from(self, ob: str) -> tuple[str, ...]:
        """Return the attributes of ``ob``, in schema order."""
        return self._columns[ob][1] if ob in self._columns else ()

    def homs_into(self, ob: str) -> tuple[str, ...]:
        """Return the homs whose codomain is ``ob``, in schema order."""
        return tuple(f for f, (_, codom) in self.homs.items() if codom == ob)

    def attrs_into(self, attrtype: str) -> tuple[str, ...]:
        """Return the attributes with values of ``attrtype``, in schema order."""
        return tuple(f for f, (_, codom) in self.attrs.items() if codom == attrtype)

    def extend(
        self,
        name: str,
        obs: Sequence[str] = (),
        homs: Mapping[str, Arrow] | None = None,
        attrtypes: Mapping[str, AttrPythonType] | None = None,
        attrs: Mapping[str, Arrow] | None = None,
        equations: Iterable[tuple[PathLike, PathLike]] = (),
    ) -> Schema:
        """Return a schema with everything of this one first, then what is given (Catlab's ``<:``).

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
        """Return whether every generator and every equation of ``base`` is one of this schema's."""
        return (
            set(base.obs) <= set(self.obs)
            and base.homs.items() <= self.homs.items()
            and base.attrtypes.items() <= self.attrtypes.items()
            and base.attrs.items() <= self.attrs.items()
            and set(base.equations) <= set(self.equations)
        )

    def to_json(self) -> str:
        """Return the schema in ACSets.jl's JSON: compact, with keys in the order ACSets.jl writes them."""
        document = {
            "version": _VERSION,
            "Ob": [{"name": ob} for ob in self.obs],
            "Hom": [{"name": f, "codom": codom, "dom": dom} for f, (dom, codom) in self.homs.items()],
            "AttrType": [{"name": attrtype} for attrtype in self.attrtypes],
            "Attr": [{"name": f, "codom": codom, "dom": dom} for f, (dom, codom) in self.attrs.items()],
            "equations": [
                {"codom": left.codom, "name": None, "paths": [left.arrows, right.arrows], "dom": left.dom}
                for left, right in self.equations
            ],
        }
        return json.dumps(document, separators=(",", ":"))

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
        return _read(text, attrtypes or {}, name, source)

    def to_present(self, base: Schema | None = None) -> str:
        """Return the schema as Julia code, a ``@present`` block of Catlab that ends in a line break.

        >>> graph = Schema("Graph", obs=["V", "E"], homs={"src": ("E", "V"), "tgt": ("E", "V")})
        >>> loops = graph.extend("Loops", homs={"loop": ("V", "E")}, equations=[("loop.src", "")])
        >>> print(loops.to_present(graph), end="")
        @present Loops <: Graph begin
          loop::Hom(V, E)
        <BLANKLINE>
          compose(loop, src) == id(V)
        end

        Args:
            base: a schema that this one extends; what it has already is left out.

        Raises:
            SchemaError: where this schema does not extend ``base``, or a name cannot stand in Julia.
        """
        if base is not None and not self.extends(base):
            raise SchemaError(f"schema {self.name} does not extend {base.name}: present it without a base")
        return _presented(self, base)

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


def names_of(path: PathLike) -> tuple[str, ...]:
    """Return the arrow names of a path written as ``"a.b.c"`` or as a sequence of names; ``""`` has none."""
    if isinstance(path, str):
        names = tuple(path.split(".")) if path else ()
    elif isinstance(path, Sequence) and all(isinstance(name, str) for name in path):
        names = tuple(path)
    else:
        raise SchemaError(f"a path is written 'a.b.c' or as a tuple of names, not {path!r}")
    if "" in names:
        raise SchemaError(f"path '{'.'.join(names)}' has an empty name: write one dot between two arrows")
    return names


def _parsed_path(schema: Schema, path: PathLike, ob: str | None) -> Path:
    """Read a path; see :meth:`Schema.path`."""
    names = names_of(path)
    text = ".".join(names)
    if ob is not None and ob not in schema.obs:
        raise SchemaError(unknown_name("object", ob, schema.obs))
    if not names:
        if ob is None:
            raise SchemaError("the empty path is the identity of an object: say which one with ob=...")
        return Path(ob, (), ob)

    arrows = {**schema.homs, **schema.attrs}
    for name in names:
        if name not in arrows:
            raise SchemaError(f"path '{text}': {unknown_name('arrow', name, arrows)}")
    for first, second in itertools.pairwise(names):
        end, start = arrows[first][1], arrows[second][0]
        if first in schema.attrs:
            raise SchemaError(
                f"'{first}' ends in {end}, an attribute type: only the last arrow can be an attribute, not in '{text}'"
            )
        if end != start:
            raise SchemaError(f"'{first}' ends in {end}, '{second}' starts in {start}: they do not compose in '{text}'")
    dom, codom = arrows[names[0]][0], arrows[names[-1]][1]
    if ob is not None and ob != dom:
        raise SchemaError(f"path '{text}' starts in {dom}, not in {ob}")
    return Path(dom, names, codom)


def _pairs(equations: Iterable[Equation]) -> tuple[tuple[PathLike, PathLike], ...]:
    return tuple((left.arrows, right.arrows) for left, right in equations)


def _check_names(kinds: Mapping[str, Iterable[str]]) -> None:
    """Refuse names that occur twice: all of them are columns or tables of one database."""
    seen: dict[str, str] = {}
    for kind, names in kinds.items():
        for name in names:
            if not isinstance(name, str) or not name.isidentifier():
                raise SchemaError(f"{kind} {name!r} is not an identifier: use letters, digits and underscores")
            if name in _RESERVED:
                raise SchemaError(f"{kind} '{name}' is a reserved name ({_RESERVED[name]}): choose another")
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


def _presented(schema: Schema, base: Schema | None) -> str:
    """Write a schema as Julia code; see :meth:`Schema.to_present`."""
    for name in (schema.name, *([] if base is None else [base.name])):
        if not name.isidentifier():
            raise SchemaError(
                f"the name {name!r} of a schema cannot stand in Julia: use letters, digits and underscores"
            )
    for name in (schema.name, *schema.obs, *schema.homs, *schema.attrtypes, *schema.attrs):
        if name in _JULIA_WORDS:
            raise SchemaError(
                f"'{name}' of schema {schema.name} is a word of Julia or of @present: choose another name"
            )
    old = Schema("") if base is None else base
    groups = [
        [f"{ob}::Ob" for ob in schema.obs if ob not in old.obs],
        [f"{f}::Hom({dom}, {codom})" for f, (dom, codom) in schema.homs.items() if f not in old.homs],
        [f"{attrtype}::AttrType" for attrtype in schema.attrtypes if attrtype not in old.attrtypes],
        [f"{f}::Attr({dom}, {codom})" for f, (dom, codom) in schema.attrs.items() if f not in old.attrs],
        [f"{_term(left)} == {_term(right)}" for left, right in schema.equations if (left, right) not in old.equations],
    ]
    head = f"{schema.name}(FreeSchema)" if base is None else f"{schema.name} <: {base.name}"
    body = "\n\n".join("\n".join(f"  {line}" for line in group) for group in groups if group)
    return f"@present {head} begin\n{body}\nend\n"


def _term(path: Path) -> str:
    """Write a path as a term of Catlab, two arrows at a time."""
    if not path.arrows:
        return f"id({path.dom})"
    first, *rest = path.arrows
    return functools.reduce(lambda left, right: f"compose({left}, {right})", rest, first)


def _read(text: str, attrtypes: Mapping[str, AttrPythonType], name: str, source: str) -> Schema:
    """Read a schema from a JSON text; see :meth:`Schema.from_json`."""
    document = parse_json(text, source)
    if not isinstance(document, dict):
        raise ExchangeError(f"{source}: expected a JSON object with {listed(_GENERATORS)}, found {_kind(document)}")
    for key in document:
        if key not in _KEYS:
            raise ExchangeError(f"{source}: {unknown_name('key', key, _KEYS)}")
    generators = {key: _entries(document, key, source) for key in _GENERATORS}
    names = [_text(entry, "name", f"{source}: AttrType[{i}]") for i, entry in enumerate(generators["AttrType"])]
    twice = {attrtype for attrtype in names if names.count(attrtype) > 1}
    if twice:
        raise ExchangeError(f"{source}: AttrType has {listed(sorted(twice))} twice: all names must differ")
    missing = [attrtype for attrtype in names if attrtype not in attrtypes]
    if missing:
        raise SchemaError(
            f"{source}: no Python type for attribute type {listed(missing)}: "
            f"give attrtypes={{{', '.join(f'{m!r}: float' for m in missing)}}} (or int, str, bool, a Codec)"
        )
    for attrtype in attrtypes:
        if attrtype not in names:
            raise SchemaError(f"{source}: attrtypes has an {unknown_name('attribute type', attrtype, names)}")
    obs = [_text(entry, "name", f"{source}: Ob[{i}]") for i, entry in enumerate(generators["Ob"])]
    homs = _arrows(generators["Hom"], f"{source}: Hom")
    attrs = _arrows(generators["Attr"], f"{source}: Attr")
    equations = _equations(_entries(document, "equations", source) if "equations" in document else [], source)
    try:
        return Schema(name, obs, homs, {attrtype: attrtypes[attrtype] for attrtype in names}, attrs, equations)
    except SchemaError as error:
        raise SchemaError(f"{source}: {error}") from None


def _entries(document: dict[str, object], key: str, source: str) -> list[dict[str, object]]:
    if key not in document:
        raise ExchangeError(f"{source}: no '{key}': a schema has {listed(_GENERATORS)}; write [] where there are none")
    entries = document[key]
    if not isinstance(entries, list):
        raise ExchangeError(f"{source}: '{key}' must be an array of objects, found {_kind(entries)}")
    for i, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise ExchangeError(f"{source}: {key}[{i}] must be an object, found {_kind(entry)}")
    return entries


def _text(entry: dict[str, object], key: str, place: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str):
        raise ExchangeError(f"{place} needs a '{key}' that is a string, found {_kind(value)}")
    return value


def _arrows(entries: list[dict[str, object]], place: str) -> dict[str, tuple[str, str]]:
    arrows: dict[str, tuple[str, str]] = {}
    for i, entry in enumerate(entries):
        name, dom, codom = (_text(entry, key, f"{place}[{i}]") for key in ("name", "dom", "codom"))
        if name in arrows:
            raise ExchangeError(f"{place}[{i}]: the name '{name}' occurs twice: all names must differ")
        arrows[name] = (dom, codom)
    return arrows


def _equations(entries: list[dict[str, object]], source: str) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    equations = []
    for i, entry in enumerate(entries):
        paths = entry.get("paths")
        if not (
            isinstance(paths, list)
            and len(paths) == 2
            and all(isinstance(path, list) and all(isinstance(name, str) for name in path) for path in paths)
        ):
            raise ExchangeError(f"{source}: equations[{i}] needs 'paths', two arrays of arrow names")
        equations.append((tuple(paths[0]), tuple(paths[1])))
    return equations


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "nothing"}
    return kinds.get(type(value), "a number")
