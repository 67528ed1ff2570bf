"""Every refusal of the Catlab engine is of one list, is met here, and its remedy answers; the page has that list."""

from __future__ import annotations

import re

import pytest
from acset_strategies import refused
from places import ROOT

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.catlab import finite_sets
from sim2real_cat.acsets.catlab.refusals import REFUSALS
from sim2real_cat.acsets.codecs import Codec
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.maps.homomorphisms import is_isomorphic
from sim2real_cat.acsets.maps.limits import loose_product
from sim2real_cat.acsets.migration.functor import SchemaFunctor
from sim2real_cat.acsets.migration.sigma import sigma
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import EngineError

LOOPS = Schema("Loops", ["X"], {"f": ("X", "X")})
POINTS = Schema("Points", ["X"], {}, {"T": float}, {"t": ("X", "T")})
MARKED = POINTS.extend("Marked", ["Y"], {"g": ("Y", "X")})
POSES = Schema("Poses", ["X"], {}, {"Pose": Codec(complex, str, complex)}, {"pose": ("X", "Pose")})


def cycles(n):
    """As many cycles of two parts, no two of which can be told apart."""
    x = ACSet(LOOPS)
    x.add_parts("X", 2 * n)
    x.set("X", x.parts("X"), f=x.parts("X") ^ 1)
    return x


def points(*values):
    x = ACSet(POINTS)
    x.add_vars("T", 1)
    x.add_parts("X", len(values), t=list(values))
    return x


def plain_points(n):
    x = ACSet(POINTS)
    x.add_parts("X", n, t=0.5)
    return x


CASES = {
    "codec": lambda hold: hold(ACSet(POSES)),
    "query": lambda hold: hold(cycles(3)).query("X(_id=a, f=b), X(_id=b, f=c)"),
    "isomorphism": lambda hold: is_isomorphic(hold(cycles(101)), cycles(101)),
    "loose-product": lambda hold: loose_product(hold(plain_points(2)), plain_points(2)),
    "sigma-variables": lambda hold: sigma(SchemaFunctor.inclusion(POINTS, MARKED), hold(points(Var(0)))),
    "sigma-paths": lambda hold: sigma(
        SchemaFunctor(
            Schema("Ends", ["Y"], {}, {"T": float}, {"u": ("Y", "T")}), MARKED, {"Y": "Y"}, {}, {"T": "T"}, {"u": "g.t"}
        ),
        hold(ACSet(Schema("Ends", ["Y"], {}, {"T": float}, {"u": ("Y", "T")}))),
    ),
    "sigma-equations": lambda hold: sigma(
        SchemaFunctor.inclusion(POINTS, MARKED.extend("Tied", attrs={"u": ("Y", "T")}, equations=[("g.t", "u")])),
        hold(plain_points(2)),
    ),
    "sigma-endomorphisms": lambda hold: sigma(
        SchemaFunctor.inclusion(POINTS, POINTS.extend("Turned", homs={"e": ("X", "X")}, equations=[("e.e", "e")])),
        hold(plain_points(2)),
    ),
}
"""A question for each refusal: given a way to move an instance into an engine, it asks there."""


def test_every_refusal_has_a_case():
    assert sorted(CASES) == sorted(REFUSALS), "add the case to CASES, and the row to docs/how-to/catlab.md"


@pytest.mark.parametrize("key", CASES)
def test_a_refusal_is_met_and_its_remedy_answers(catlab_engine, monkeypatch, key):
    monkeypatch.setattr(finite_sets, "MOST", 3)
    asked, refusal = CASES[key], REFUSALS[key]
    said = f"Catlab {refusal.verb} {refusal.operation} {refusal.needs}, but "
    with refused(EngineError, said, f"({refusal.reason}): {refusal.remedy}"):
        asked(lambda x: x.to_engine(catlab_engine))
    assert refusal.remedy == "ask the embedded engine"
    assert asked(lambda x: x.to_engine("embedded")) is not None


def test_the_page_has_the_same_list():
    page = (ROOT / "docs" / "how-to" / "catlab.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.*) \|$", page.partition("## The conditions under which Catlab computes")[2], re.MULTILINE)
    assert rows[1:] == [f"{r.operation} | {r.needs} | {r.reason}" for r in REFUSALS.values()], "write them there"


def test_nothing_is_refused_but_by_the_list():
    """Julia itself may be missing or fail: that is said where it is started."""
    folder = ROOT / "sim2real_cat" / "acsets" / "catlab"
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py"))}
    assert [name for name, text in texts.items() if "EngineError(" in text] == ["julia.py", "refusals.py"]
    used = {key for text in texts.values() for key in re.findall(r"\brefused\(\s*\"([a-z-]+)\"", text)}
    assert used == REFUSALS.keys()
