"""Paths: composable arrows of a schema, read left to right (diagrammatic order).

In a schema with ``train: SimEnv -> Policy`` and ``deploy: Policy -> RealEnv`` the path
``"train.deploy"`` goes from SimEnv to RealEnv. The empty path is the identity of an object. An
attribute leaves the objects for a set of values, so it can only come last.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim2real_cat.errors import SchemaError, unknown_name

if TYPE_CHECKING:
    from sim2real_cat.acsets.schema import Schema

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


def names_of(path: PathLike) -> tuple[str, ...]:
    """The arrow names of a path written as ``"a.b.c"`` or as a sequence of names; ``""`` has none."""
    if isinstance(path, str):
        names = tuple(path.split(".")) if path else ()
    elif isinstance(path, Sequence) and all(isinstance(name, str) for name in path):
        names = tuple(path)
    else:
        raise SchemaError(f"a path is written 'a.b.c' or as a tuple of names, not {path!r}")
    if "" in names:
        raise SchemaError(f"path '{'.'.join(names)}' has an empty name: write one dot between two arrows")
    return names


def parse_path(schema: Schema, path: PathLike, ob: str | None = None) -> Path:
    """Read a path against a schema.

    Args:
        schema: the schema whose homs and attributes the path names.
        path: ``"a.b.c"`` or a tuple of names; empty for the identity.
        ob: the object the path starts in; needed for the identity, checked otherwise.

    Raises:
        SchemaError: for an unknown arrow, arrows that do not compose, an attribute that is not the
            last arrow, an identity without its object, or an ``ob`` the path does not start in.
    """
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
