"""Every engine gives the answers that Catlab.jl gave."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from catlab_cases import FILE, REASON, document, read, schema, steps

from sim2real_cat.acsets.maps.colimits import coequalizer, coproduct, pushout
from sim2real_cat.acsets.maps.homomorphisms import count_homomorphisms, homomorphisms, is_isomorphic
from sim2real_cat.acsets.maps.limits import equalizer, product, pullback
from sim2real_cat.acsets.maps.morphism import Morphism
from sim2real_cat.acsets.migration.delta import delta
from sim2real_cat.acsets.migration.functor import SchemaFunctor

needs_cases = pytest.mark.skipif(not FILE.exists(), reason=REASON)


def subpart(step, hold):
    asked, x = step.asked, hold(step.instance("instance"))
    path, ids = tuple(asked["path"]), [i - 1 for i in asked["ids"]]
    found = x.subpart(path, ids).tolist()
    undefined, shift = (None, 0) if path[-1] in x.schema.attrs else (0, 1)
    assert [undefined if value is None else value + shift for value in found] == asked["expect"]
    assert [x.subpart(".".join(path), i) for i in ids] == found


def incident(step, hold):
    asked, x = step.asked, hold(step.instance("instance"))
    path = tuple(asked["path"])
    values = asked["values"] if path[-1] in x.schema.attrs else [value - 1 for value in asked["values"]]
    assert [(ids + 1).tolist() for ids in x.incident(values, path)] == asked["expect"]
    assert [(x.incident(value, path) + 1).tolist() for value in values] == asked["expect"]


def remove(step, hold):
    asked, x = step.asked, hold(step.instance("instance"))
    maps = x.remove(asked["ob"], [i - 1 for i in asked["ids"]], cascade=asked["cascade"])
    assert x == read(step.case["schema"], asked["expect_instance"])
    for ob, expected in asked.get("expect_new_to_old", {}).items():
        stays = [(new, old + 1) for old, new in enumerate(maps[ob].tolist()) if new >= 0]
        assert [old for _, old in sorted(stays)] == expected


def query(step, hold):
    asked, x = step.asked, hold(step.instance("instance"))
    params = {name: value - 1 for name, value in asked.get("params", {}).items()}
    table = x.query(asked["body"], asked["out"], params=params)
    columns = [(table[name] + (table[name].dtype.kind == "i")).tolist() for name in asked["out"]]
    expected = [asked["expect"][name] for name in asked["out"]]
    assert Counter(zip(*columns, strict=True)) == Counter(zip(*expected, strict=True))


def elements(step, hold):
    graph = hold(step.instance("instance")).to_networkx()
    assert {"El": graph.number_of_nodes(), "Arr": graph.number_of_edges()} == step.asked["expect"]


def count_homs(step, hold):
    X, Y = hold(step.instance("X")), hold(step.instance("Y"))
    monic = step.asked.get("monic", False)
    assert count_homomorphisms(X, Y, monic=monic) == step.asked["expect"]
    assert len(list(homomorphisms(X, Y, monic=monic))) == step.asked["expect"]


def isomorphic(step, hold):
    X, Y = hold(step.instance("X")), hold(step.instance("Y"))
    assert is_isomorphic(X, Y) == step.asked["expect"]
    assert is_isomorphic(Y, Y)


def _arrow(dom, codom, components):
    return Morphism(dom, codom, {ob: [i - 1 for i in images] for ob, images in components.items()})


def universal(step, hold):
    """A limit or colimit, whose apex is unique up to isomorphism."""
    kind, asked = step.asked["op"], step.asked
    X, Y = hold(step.instance("X")), hold(step.instance("Y"))
    if kind in ("product", "coproduct"):
        found = {"product": product, "coproduct": coproduct}[kind](X, Y)
    elif kind in ("equalizer", "coequalizer"):
        f, g = _arrow(X, Y, asked["f"]), _arrow(X, Y, asked["g"])
        found = {"equalizer": equalizer, "coequalizer": coequalizer}[kind](f, g)
    else:
        Z = hold(step.instance("Z"))
        ends = ((X, Z), (Y, Z)) if kind == "pullback" else ((Z, X), (Z, Y))
        f, g = (_arrow(dom, codom, asked[name]) for (dom, codom), name in zip(ends, "fg", strict=True))
        found = (pullback if kind == "pullback" else pushout)(f, g)
    assert is_isomorphic(found.apex, read(step.case["schema"], asked["expect_instance"]))


def pulled_back(step, hold):
    asked, x = step.asked, hold(step.instance("instance"))
    target = schema(step.case["target"])
    functor = SchemaFunctor(
        target, x.schema, obs=asked["ob"], homs={k: tuple(path) for k, path in asked["hom"].items()}
    )
    assert delta(functor, x) == read(step.case["target"], asked["expect_instance"])


CHECKS = {
    "subpart": subpart,
    "incident": incident,
    "remove": remove,
    "query": query,
    "elements": elements,
    "count_homs": count_homs,
    "is_isomorphic": isomorphic,
    "delta": pulled_back,
    **dict.fromkeys(["product", "coproduct", "pushout", "pullback", "equalizer", "coequalizer"], universal),
}


@needs_cases
@pytest.mark.parametrize("step", list(steps()), ids=str)
def test_step(step, hold):
    CHECKS[step.asked["op"]](step, hold)


@needs_cases
def test_every_step_is_there():
    assert (len(document()["cases"]), len(list(steps()))) == (71, 203)


@needs_cases
def test_schemas_are_written_byte_for_byte():
    for name, text in document()["schemas"].items():
        assert schema(name).to_json() == json.dumps(text, separators=(",", ":"))


def _instances():
    """Every instance in the file with the name of its schema."""
    for case in document()["cases"]:
        for key in ("instance", "X", "Y", "Z"):
            if key in case:
                yield case["schema"], case[key]
        for step in case["steps"]:
            if "expect_instance" in step:
                yield case["target"] if step["op"] == "delta" else case["schema"], step["expect_instance"]


@needs_cases
def test_instances_survive_the_round_trip(hold):
    count = 0
    for name, tables in _instances():
        homs = schema(name).homs
        defined = {
            table: [{k: v for k, v in row.items() if v is not None and not (k in homs and v == 0)} for row in rows]
            for table, rows in tables.items()
        }
        assert json.loads(hold(read(name, tables)).to_json()) == defined
        count += 1
    assert count > 150
