"""Schemas and instances in Graphviz' language."""

import re

import numpy as np
from acset_strategies import FIXED, STUDY, acsets, refused, schemas, study
from hypothesis import given

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.io.display import draw, draw_elements
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import InstanceError

STRING = r'"(?:[^"\\\n]|\\.)*"'
VALUE = rf"(?:\w+|{STRING})"
STATEMENT = re.compile(
    rf"  (?:(?P<node>{STRING})(?: -> (?P<to>{STRING}))? \[(?P<options>\w+={VALUE}(?:, \w+={VALUE})*)\]|label={STRING});"
)


def read(dot):
    """The nodes and edges of a text in the small part of DOT that is written; everything else fails."""
    first, *lines, last = dot.split("\n")
    assert re.fullmatch(rf"digraph {STRING} {{", first)
    assert last == "}"
    nodes, edges = {}, []
    for line in lines:
        match = STATEMENT.fullmatch(line)
        assert match, line
        if match["to"]:
            edges.append((match["node"], match["to"], match["options"]))
        elif match["node"]:
            nodes[match["node"]] = match["options"]
    assert all(end in nodes for edge in edges for end in edge[:2])
    return nodes, edges


def test_the_drawing_of_a_schema():
    assert (
        draw(STUDY)
        == r"""digraph "Study" {
  label="Study";
  "SimEnv" [shape=box];
  "RealEnv" [shape=box];
  "Policy" [shape=box];
  "TransferGap" [shape=ellipse, label="TransferGap\nfloat"];
  "Name" [shape=ellipse, label="Name\nstr"];
  "Seed" [shape=ellipse, label="Seed\nint"];
  "Flag" [shape=ellipse, label="Flag\nbool"];
  "SimEnv" -> "Policy" [label="train"];
  "Policy" -> "RealEnv" [label="deploy"];
  "Policy" -> "Policy" [label="transfer"];
  "Policy" -> "TransferGap" [label="kl_gap", style=dashed];
  "Policy" -> "Name" [label="policy_name", style=dashed];
  "SimEnv" -> "Seed" [label="seed", style=dashed];
  "SimEnv" -> "Flag" [label="noisy", style=dashed];
  "= =" [shape=note, label="transfer.transfer = transfer\ltransfer.deploy = deploy\l"];
}"""
    )


@FIXED
@given(schemas())
def test_every_generator_is_drawn_once(schema):
    nodes, edges = read(draw(schema))
    assert nodes.keys() == {f'"{name}"' for name in (*schema.obs, *schema.attrtypes)}
    drawn = sorted((dom, codom, options.split('"')[1]) for dom, codom, options in edges)
    arrows = {**schema.homs, **schema.attrs}
    assert drawn == sorted((f'"{dom}"', f'"{codom}"', name) for name, (dom, codom) in arrows.items())


@FIXED
@given(acsets())
def test_every_element_is_drawn_once(x):
    nodes, edges = read(draw_elements(x))
    assert len(nodes) == sum(x.nparts(ob) for ob in x.schema.obs)
    assert len(edges) == sum(int(np.count_nonzero(x.column(name) >= 0)) for name in x.schema.homs)


def test_labels_cannot_leave_their_quotes():
    name = 'a"; "b" -> "c\\" &lt; \\N \r\n\0 {'
    x = ACSet(Schema(name, ["Ob"], attrtypes={"T": str}, attrs={"a": ("Ob", "T")}))
    x.add("Ob", a='"];\nb [label="\\')
    nodes, edges = read(draw_elements(x))
    assert (list(nodes), edges) == (['"Ob 0"'], [])
    assert nodes['"Ob 0"'] == r'shape=box, label="Ob 0\na = \"];\\nb [label=\"\\"'
    assert draw(x.schema).startswith(r'digraph "a\"; \"b\" -> \"c\\\" &amp;lt; \\N \n {" {')


def test_elements_show_their_values():
    nodes, edges = read(draw_elements(study()))
    assert nodes['"Policy 2"'] == r'shape=box, label="Policy 2\nkl_gap = Var(1)\npolicy_name = naïve"'
    assert ('"Policy 1"', '"Policy 0"', 'label="transfer"') in edges


def test_too_many_elements_are_not_drawn():
    with refused(InstanceError, "9 parts are too many", "limit= above 8"):
        draw_elements(study(), limit=8)
    assert read(draw_elements(study(), limit=9))
