import copy
import json
import pickle
import re

import pytest
from acset_strategies import FIXED, STUDY, refused, schemas
from hypothesis import given

from sim2real_cat.acsets.schema import Path, Schema, names_of
from sim2real_cat.errors import ExchangeError, SchemaError
from sim2real_cat.testing import strategies

GRAPH = Schema("Graph", obs=["V", "E"], homs={"src": ("E", "V"), "tgt": ("E", "V")})


@FIXED
@given(schemas())
def test_a_schema_is_a_value(schema):
    assert eval(repr(schema)) == schema
    assert hash(eval(repr(schema))) == hash(schema)
    assert pickle.loads(pickle.dumps(schema)) == schema
    assert copy.deepcopy(schema) == schema
    assert Schema.from_json(schema.to_json(), schema.attrtypes, name=schema.name) == schema


def test_repr_shows_equations_as_they_are_written():
    schema = GRAPH.extend("Reflexive", homs={"refl": ("V", "E")}, equations=[("refl.src", ""), ("", ("refl", "tgt"))])
    assert "equations=[('refl.src', ''), ('', 'refl.tgt')]" in repr(schema)
    assert eval(repr(schema)) == schema
    assert pickle.loads(pickle.dumps(schema)) == schema
    assert [(left.dom, left.codom) for left, _ in schema.equations] == [("V", "V"), ("V", "V")]


def test_the_name_is_a_label_and_everything_else_counts():
    assert Schema("A", obs=["X"]) == Schema("B", obs=["X"])
    assert Schema("A", obs=["X"]) != Schema("A", obs=["Y"])
    assert Schema("A", obs=["X"], attrtypes={"T": float}) != Schema("A", obs=["X"], attrtypes={"T": int})
    loop = {"f": ("X", "X")}
    assert Schema("A", ["X"], loop) != Schema("A", ["X"], loop, equations=[("f.f", "f")])
    assert Schema("A", obs=["X"]) != "A"


def test_a_schema_does_not_change():
    with pytest.raises(AttributeError, match="extend"):
        GRAPH.obs = ("V",)
    with pytest.raises(AttributeError):
        del GRAPH.obs
    with pytest.raises(TypeError):
        GRAPH.homs["src"] = ("V", "V")


def test_extend_puts_the_new_after_the_old():
    weighted = GRAPH.extend("Weighted", attrtypes={"Weight": float}, attrs={"weight": ("E", "Weight")})
    assert weighted.obs == GRAPH.obs
    assert weighted.homs == GRAPH.homs
    assert weighted.extends(GRAPH)
    assert not GRAPH.extends(weighted)
    assert weighted.homs_from("E") == ("src", "tgt")
    assert weighted.attrs_from("E") == ("weight",)
    with refused(SchemaError, "hom 'src'", "already in schema Graph", "Weighted"):
        GRAPH.extend("Weighted", homs={"src": ("V", "V")})


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({"obs": ["X", "X"]}, ["object 'X'", "all names must differ"]),
        ({"obs": ["X"], "homs": {"X": ("X", "X")}}, ["hom 'X'", "object"]),
        ({"obs": ["X"], "attrtypes": {"X": float}}, ["attribute type 'X'", "object"]),
        ({"obs": ["a b"]}, ["'a b'", "not an identifier"]),
        ({"obs": [3]}, ["3", "not an identifier"]),
        ({"obs": "XY"}, ["'XY'", "list"]),
        ({"obs": ["cat"]}, ["'cat'", "reserved", "Catlab"]),
        ({"obs": ["X"], "homs": {"_id": ("X", "X")}}, ["'_id'", "reserved"]),
        ({"obs": ["Env"], "homs": {"f": ("Emv", "Env")}}, ["hom 'f'", "'Emv'", "did you mean 'Env'"]),
        ({"obs": ["Env"], "homs": {"f": ("Env", "Real")}}, ["hom 'f'", "'Real'", "Valid: Env"]),
        ({"obs": ["X"], "homs": {"f": "XX"}}, ["hom 'f'", "pair"]),
        ({"obs": ["X"], "attrs": {"a": ("X", "X")}}, ["attribute 'a'", "unknown attribute type 'X'"]),
        ({"obs": ["X"], "attrtypes": {"T": list}}, ["'T'", "float, int, str or bool", "Codec"]),
        ({"obs": ["X"], "homs": {"f": ("X", "X")}, "equations": [("f", "g")]}, ["'f' = 'g'", "unknown arrow 'g'"]),
        ({"obs": ["X"], "equations": [("", "")]}, ["two identities", "leave it out"]),
        ({"obs": ["X"], "equations": ["ab"]}, ["pair of paths"]),
    ],
)
def test_what_is_no_schema_is_refused(arguments, parts):
    with refused(SchemaError, *parts):
        Schema("Bad", **arguments)


@pytest.mark.parametrize(
    ("equation", "parts"),
    [
        (("src.tgt", "src"), ["'src' ends in V", "'tgt' starts in E", "'src.tgt'"]),
        (("src", "loop"), ["left side starts in E", "right side in V"]),
        (("loop", "colour"), ["left side ends in V", "right side in Colour"]),
        (("src", ""), ["left side ends in V", "right side in E"]),
    ],
)
def test_equations_have_two_sides_with_the_same_ends(equation, parts):
    extra = {"homs": {"loop": ("V", "V")}, "attrtypes": {"Colour": str}, "attrs": {"colour": ("V", "Colour")}}
    with refused(SchemaError, "equation", *parts):
        GRAPH.extend("Bad", **extra, equations=[equation])


def test_json_names_the_types_it_was_not_given():
    text = STUDY.to_json()
    with refused(SchemaError, "s.json", "TransferGap, Seed", "attrtypes="):
        Schema.from_json(text, {"Name": str, "Flag": bool}, source="s.json")
    with refused(SchemaError, "unknown attribute type 'Sed'", "did you mean 'Seed'"):
        Schema.from_json(text, {**STUDY.attrtypes, "Sed": int})


def test_json_of_what_is_no_schema_names_its_source():
    text = GRAPH.to_json().replace('"codom":"V"', '"codom":"W"')
    with refused(SchemaError, "s.json: hom 'src'", "unknown object 'W'"):
        Schema.from_json(text, source="s.json")


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (lambda d: [], ["expected a JSON object", "an array"]),
        (lambda d: {**d, "Homs": []}, ["unknown key 'Homs'", "did you mean 'Hom'"]),
        (lambda d: {k: v for k, v in d.items() if k != "Attr"}, ["no 'Attr'", "write []"]),
        (lambda d: {**d, "Ob": {}}, ["'Ob' must be an array"]),
        (lambda d: {**d, "Ob": ["V"]}, ["Ob[0]", "a string"]),
        (lambda d: {**d, "Hom": [{"name": "f", "dom": "V"}]}, ["Hom[0]", "'codom'", "nothing"]),
        (lambda d: {**d, "Hom": [d["Hom"][0], d["Hom"][0]]}, ["Hom[1]", "'src'", "twice"]),
        (lambda d: {**d, "AttrType": [{"name": "T"}, {"name": "T"}]}, ["AttrType has T twice"]),
        (lambda d: {**d, "equations": [{"paths": [["src"]]}]}, ["equations[0]", "two arrays"]),
    ],
)
def test_json_that_is_no_schema_is_refused(change, parts):
    with refused(ExchangeError, "schema.json", *parts):
        Schema.from_json(json.dumps(change(json.loads(GRAPH.to_json()))))


def test_a_path_has_a_domain_and_a_codomain():
    path = STUDY.path("train.deploy")
    assert path == Path("SimEnv", ("train", "deploy"), "RealEnv")
    assert str(path) == "train.deploy"
    assert STUDY.path(("train", "deploy"), "SimEnv") == path
    assert STUDY.path(["train", "kl_gap"]).codom == "TransferGap"


def test_the_empty_path_is_the_identity_of_an_object():
    assert STUDY.path("", "Policy") == STUDY.path((), "Policy") == Path("Policy", (), "Policy")
    assert names_of("") == ()


@pytest.mark.parametrize(
    ("path", "ob", "parts"),
    [
        ("train.deplyo", None, ["'train.deplyo'", "unknown arrow 'deplyo'", "did you mean 'deploy'"]),
        ("deploy.train", None, ["'deploy' ends in RealEnv", "'train' starts in SimEnv", "do not compose"]),
        ("train.kl_gap.deploy", None, ["'kl_gap'", "attribute", "last", "'train.kl_gap.deploy'"]),
        ("train..deploy", None, ["empty name"]),
        ("", None, ["identity", "ob="]),
        ("", "Polcy", ["unknown object 'Polcy'", "did you mean 'Policy'"]),
        ("train", "Policy", ["starts in SimEnv", "not in Policy"]),
        (3, None, ["'a.b.c'", "3"]),
        (("train", 3), None, ["'a.b.c'"]),
    ],
)
def test_what_is_no_path_is_refused(path, ob, parts):
    with refused(SchemaError, *parts):
        STUDY.path(path, ob)


# as Julia code


def presented(text, base, schema):
    """Read a block of `to_present` back; the types come from the schema that was written."""
    head, *lines, end = text.splitlines()
    assert head == f"@present {schema.name}" + (f" <: {base.name} begin" if base.obs else "(FreeSchema) begin")
    assert end == "end"
    obs, homs, attrtypes, attrs, equations = list(base.obs), dict(base.homs), dict(base.attrtypes), dict(base.attrs), []
    for line in filter(None, lines):
        if match := re.fullmatch(r"  (\w+)::(Ob|AttrType)", line):
            name, kind = match.groups()
            obs += [name] * (kind == "Ob")
            attrtypes |= {name: schema.attrtypes[name]} if kind == "AttrType" else {}
        elif match := re.fullmatch(r"  (\w+)::(Hom|Attr)\((\w+), (\w+)\)", line):
            name, kind, dom, codom = match.groups()
            (homs if kind == "Hom" else attrs)[name] = (dom, codom)
        else:
            names = {name: (name,) for name in (*homs, *attrs)} | dict.fromkeys(obs, ())
            given = {"compose": lambda left, right: left + right, "id": lambda path: path}
            equations.append(tuple(eval(side, given, names) for side in line.split(" == ")))
    return Schema(schema.name, obs, homs, attrtypes, attrs, equations)


@FIXED
@given(strategies.schemas())
def test_present_says_all_of_a_schema(schema):
    assert presented(schema.to_present(), Schema("nothing"), schema) == schema
    objects = Schema("Objects", obs=schema.obs)
    assert presented(schema.to_present(objects), objects, schema) == schema


def test_present_writes_equations_as_terms_of_two():
    schema = GRAPH.extend(
        "Weighted",
        homs={"refl": ("V", "E"), "inv": ("E", "E")},
        attrtypes={"Weight": float},
        attrs={"weight": ("E", "Weight")},
        equations=[("refl.src", ""), ("refl.inv.inv", "refl"), ("inv.weight", "weight")],
    )
    assert (
        schema.to_present(GRAPH)
        == """@present Weighted <: Graph begin
  refl::Hom(V, E)
  inv::Hom(E, E)

  Weight::AttrType

  weight::Attr(E, Weight)

  compose(refl, src) == id(V)
  compose(compose(refl, inv), inv) == refl
  compose(inv, weight) == weight
end
"""
    )
    assert schema.extend("More", obs=["X"]).to_present(schema) == "@present More <: Weighted begin\n  X::Ob\nend\n"


@pytest.mark.parametrize(
    ("schema", "base", "parts"),
    [
        (GRAPH, Schema("Other", obs=["X"]), ["Graph does not extend Other", "without a base"]),
        (Schema("my graph", obs=["V"]), None, ["'my graph'", "letters, digits and underscores"]),
        (Schema("G", obs=["end"]), None, ["'end' of schema G", "choose another"]),
        (Schema("G", obs=["X"], homs={"compose": ("X", "X")}), None, ["'compose' of schema G"]),
    ],
)
def test_present_refuses_what_julia_cannot_read(schema, base, parts):
    with refused(SchemaError, *parts):
        schema.to_present(base)
