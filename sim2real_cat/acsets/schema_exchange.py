"""Schemas in ACSets.jl's JSON.

The format holds the generators and the equations; it has no schema name, and an attribute type is
only a name, so its Python type is given on reading.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from sim2real_cat.acsets import _json
from sim2real_cat.acsets.schema import AttrPythonType, Schema
from sim2real_cat.errors import ExchangeError, SchemaError, listed, unknown_name

VERSION = {"ACSets": "0.0.0", "ACSetSchema": "0.0.1"}
_GENERATORS = ("Ob", "Hom", "AttrType", "Attr")
_KEYS = ("version", *_GENERATORS, "equations")


def write(schema: Schema) -> str:
    """The JSON text of a schema: compact, with keys in the order ACSets.jl writes them."""
    document = {
        "version": VERSION,
        "Ob": [{"name": ob} for ob in schema.obs],
        "Hom": [{"name": f, "codom": codom, "dom": dom} for f, (dom, codom) in schema.homs.items()],
        "AttrType": [{"name": attrtype} for attrtype in schema.attrtypes],
        "Attr": [{"name": f, "codom": codom, "dom": dom} for f, (dom, codom) in schema.attrs.items()],
        "equations": [
            {"codom": left.codom, "name": None, "paths": [left.arrows, right.arrows], "dom": left.dom}
            for left, right in schema.equations
        ],
    }
    return json.dumps(document, separators=(",", ":"))


def read(text: str, attrtypes: Mapping[str, AttrPythonType], name: str, source: str) -> Schema:
    """The schema in a JSON text; see :meth:`Schema.from_json`."""
    document = _json.parse(text, source)
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
