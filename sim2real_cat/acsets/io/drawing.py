"""Pictures of schemas and of small instances, as text in Graphviz' language DOT.

Nothing is drawn here: ``dot -Tsvg`` and many notebooks turn the text into a picture.
"""

from __future__ import annotations

import numpy as np

from sim2real_cat.acsets.codecs import type_name
from sim2real_cat.acsets.columns import UNDEFINED
from sim2real_cat.acsets.io.display import shown
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.acsets.storage import Storage
from sim2real_cat.errors import InstanceError


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
            values = {name: instance.value(name, part) for name in schema.attrs_from(ob)}
            facts = [f"{name} = {shown(value)}" for name, value in values.items() if value is not None]
            label = _quoted("\n".join([f"{ob} {part}", *facts]))
            lines.append(f"  {_quoted(f'{ob} {part}')} [shape=box, label={label}];")
    for name, (dom, codom) in schema.homs.items():
        targets = instance.column_ids(name)
        for part in np.flatnonzero(targets != UNDEFINED).tolist():
            ends = f"{_quoted(f'{dom} {part}')} -> {_quoted(f'{codom} {targets[part]}')}"
            lines.append(f"  {ends} [label={_quoted(name)}];")
    return "\n".join([*lines, "}"])


def _escaped(label: str) -> str:
    """Return a text for the quotes of DOT, where a backslash begins an escape and an ampersand an entity."""
    lines = label.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"').split("\n")
    return "\\n".join("".join(filter(str.isprintable, line)) for line in lines)


def _quoted(label: str) -> str:
    return f'"{_escaped(label)}"'
