"""Schemas and instances to look at: tables as text or HTML, graphs for Graphviz or networkx.

There is a table for each object. It has the first rows, under the names of its columns and what they lead to. What is
undefined is blank, and an attribute variable is written ``Var(0)``.

Graphs are texts in Graphviz' language DOT, which ``dot -Tsvg`` and many notebooks turn into pictures, or graphs of
networkx. Those of an instance show its category of elements: parts are nodes, and homs lead from part to part.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sim2real_cat.acsets.codecs import type_name
from sim2real_cat.acsets.columns import UNDEFINED, Var
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.acsets.storage import Storage
from sim2real_cat.errors import InstanceError

if TYPE_CHECKING:
    import networkx

LONGEST = 40
"""The largest number of characters shown of a value."""


def text(instance: Storage, rows: int = 10) -> str:
    """Return the tables as plain text, with at most ``rows`` rows each.

    >>> from sim2real_cat.acsets import ACSet, Schema
    >>> x = ACSet(Schema("Graph", ["V", "E"], {"src": ("E", "V")}, {"W": float}, {"weight": ("E", "W")}))
    >>> x.add("V"), x.add("E", src=0, weight=0.5), x.add("E")
    (0, 0, 1)
    >>> print(text(x))
    Graph
    <BLANKLINE>
    V: 1 part
    <BLANKLINE>
    E: 2 parts
    id  src  weight
        V    float
     0  0    0.5
     1
    """
    pieces = [instance.schema.name]
    for table in _tables(instance, rows):
        lines = [table.title]
        if table.names:
            grid = [table.names, table.kinds, *table.rows]
            widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
            lines += [
                "  ".join(
                    [
                        row[0].rjust(widths[0]),
                        *(cell.ljust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
                    ]
                ).rstrip()
                for row in grid
            ]
            lines += [f"... {table.left_out:,} more"] * (table.left_out > 0)
        pieces.append("\n".join(lines))
    return "\n\n".join(pieces)


def html(instance: Storage, rows: int = 10) -> str:
    """Return the tables as HTML without scripts or styles from elsewhere; every name and value is escaped."""
    pieces = [f"<div><p><strong>{escape(instance.schema.name)}</strong></p>"]
    for table in _tables(instance, rows):
        if not table.names:
            pieces.append(f"<p>{escape(table.title)}</p>")
            continue
        head = "".join(
            f"<th>{escape(name)}<br><small>{escape(kind)}</small></th>"
            for name, kind in zip(table.names, table.kinds, strict=True)
        )
        body = "".join(
            f"<tr><th>{row[0]}</th>{''.join(f'<td>{escape(cell)}</td>' for cell in row[1:])}</tr>" for row in table.rows
        )
        more = f"<p>… {table.left_out:,} more</p>" if table.left_out else ""
        pieces.append(
            f"<table><caption>{escape(table.title)}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"
        )
    return "\n".join([*pieces, "</div>"])


class _Shown(NamedTuple):
    """The texts that are shown of one object."""

    title: str
    names: list[str]
    kinds: list[str]
    rows: list[list[str]]
    left_out: int


def _tables(instance: Storage, rows: int) -> list[_Shown]:
    schema = instance.schema
    tables = []
    for ob in schema.obs:
        n = instance.nparts(ob)
        homs, attrs = schema.homs_from(ob), schema.attrs_from(ob)
        columns = [("id", ""), *((f, schema.homs[f][1]) for f in homs)]
        columns += [(f, type_name(schema.attrtypes[schema.attrs[f][1]])) for f in attrs]
        first = [
            [str(part), *(shown(instance.value(f, part)) for f in (*homs, *attrs))] for part in range(min(n, rows))
        ]
        names, kinds = ([*side] for side in zip(*columns, strict=True))
        bare = n == 0 or len(columns) == 1
        tables.append(
            _Shown(f"{ob}: {_counted(n, 'part')}", [] if bare else names, [] if bare else kinds, first, n - len(first))
        )
    for kind in schema.attrtypes:
        if instance.nvars(kind):
            tables.append(_Shown(f"{kind}: {_counted(instance.nvars(kind), 'variable')}", [], [], [], 0))
    return tables


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}" + "s" * (n != 1)


def shown(value: object) -> str:
    """Return a value on one short line; an empty one for undefined."""
    if value is None:
        return ""
    written = f"Var({value.k})" if isinstance(value, Var) else f"{value:.6g}" if type(value) is float else str(value)
    line = "".join(character if character.isprintable() else repr(character)[1:-1] for character in written)
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


# Graphs


def draw(schema: Schema) -> str:
    r"""Draw a schema as a directed graph: its objects as boxes, its attribute types as ellipses with their Python type.

    Homs are arrows, attributes dashed ones. The equations are a note beside the graph.

    >>> print(draw(Schema("Dynamics", ["X"], {"next": ("X", "X")}, equations=[("next.next", "")])))
    digraph "Dynamics" {
      label="Dynamics";
      "X" [shape=box];
      "X" -> "X" [label="next"];
      "= =" [shape=note, label="next.next = id(X)\l"];
    }
    """
    lines = [f"digraph {_quoted(schema.name)} {{", f"  label={_quoted(schema.name)};"]
    lines += [f"  {_quoted(ob)} [shape=box];" for ob in schema.obs]
    for kind, python_type in schema.attrtypes.items():
        label = _quoted(f"{kind}\n{type_name(python_type)}")
        lines.append(f"  {_quoted(kind)} [shape=ellipse, label={label}];")
    for style, arrows in (("", schema.homs), (", style=dashed", schema.attrs)):
        for name, (dom, codom) in arrows.items():
            lines.append(f"  {_quoted(dom)} -> {_quoted(codom)} [label={_quoted(name)}{style}];")
    if schema.equations:
        sides = [[str(side) or f"id({side.dom})" for side in equation] for equation in schema.equations]
        # \l ends a line that is aligned to the left.
        label = "".join(_escaped(" = ".join(pair)) + r"\l" for pair in sides)
        # A node whose name no generator can have.
        lines.append(f'  "= =" [shape=note, label="{label}"];')
    return "\n".join([*lines, "}"])


def draw_elements(instance: Storage, limit: int = 200) -> str:
    """Draw the category of elements of a small instance: its parts as nodes, what homs send where as arrows.

    Args:
        instance: the instance.
        limit: the largest number of parts that is drawn.

    Raises:
        InstanceError: where the instance has more parts.
    """
    schema = instance.schema
    total = sum(instance.nparts(ob) for ob in schema.obs)
    if total > limit:
        raise InstanceError(
            f"{total} parts are too many to draw: restrict the instance, or give a limit= above {limit}"
        )
    lines = [f"digraph {_quoted(schema.name)} {{"]
    for ob in schema.obs:
        for part in range(instance.nparts(ob)):
            facts = [f"{name} = {shown(value)}" for name, value in _values(instance, ob, part).items()]
            label = _quoted("\n".join([f"{ob} {part}", *facts]))
            lines.append(f"  {_quoted(f'{ob} {part}')} [shape=box, label={label}];")
    for name, (dom, codom) in schema.homs.items():
        targets = instance.column_ids(name)
        for part in np.flatnonzero(targets != UNDEFINED).tolist():
            ends = f"{_quoted(f'{dom} {part}')} -> {_quoted(f'{codom} {targets[part]}')}"
            lines.append(f"  {ends} [label={_quoted(name)}];")
    return "\n".join([*lines, "}"])


def _values(instance: Storage, ob: str, part: int) -> dict[str, Any]:
    """Return the attributes of a part that are defined, with their values or variables."""
    values = {name: instance.value(name, part) for name in instance.schema.attrs_from(ob)}
    return {name: value for name, value in values.items() if value is not None}


def _escaped(label: str) -> str:
    """Return a text for the quotes of DOT, where a backslash begins an escape and an ampersand an entity."""
    lines = label.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"').split("\n")
    return "\\n".join("".join(filter(str.isprintable, line)) for line in lines)


def _quoted(label: str) -> str:
    return f'"{_escaped(label)}"'


def to_networkx(instance: Storage) -> networkx.MultiDiGraph[Any]:
    """Return the Grothendieck construction of an instance.

    There is a node ``(ob, id)`` for every part, with the values of its attributes as node data
    (undefined ones left out, variables as ``Var(k)``), and for every hom f defined at a part x an edge
    from x to f(x) with the key ``f``.
    """
    import networkx

    schema = instance.schema
    graph: networkx.MultiDiGraph[Any] = networkx.MultiDiGraph()
    for ob in schema.obs:
        graph.add_nodes_from(((ob, part), _values(instance, ob, part)) for part in range(instance.nparts(ob)))
    for name, (dom, codom) in schema.homs.items():
        targets = instance.column_ids(name)
        defined = np.flatnonzero(targets != UNDEFINED)
        for part, target in zip(defined.tolist(), targets[defined].tolist(), strict=True):
            graph.add_edge((dom, part), (codom, target), key=name)
    return graph
