"""Instances as a person wants to look at them: a small table for each object, as text or as HTML.

A table has the first rows, under the names of its columns and what they lead to. What is undefined is
blank, and an attribute variable is written ``Var(0)``.
"""

from __future__ import annotations

from html import escape
from typing import NamedTuple

from sim2real_cat.acsets.codecs import type_name
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.storage import Storage

LONGEST = 40
"""How many characters of a value are shown."""


class _Shown(NamedTuple):
    """The texts that are shown of one object."""

    title: str
    names: list[str]
    kinds: list[str]
    rows: list[list[str]]
    left_out: int


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
    """Return a value on one line, not too long; nothing for undefined."""
    if value is None:
        return ""
    written = f"Var({value.k})" if isinstance(value, Var) else f"{value:.6g}" if type(value) is float else str(value)
    line = "".join(character if character.isprintable() else repr(character)[1:-1] for character in written)
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
