"""What Catlab.jl itself answered to the same questions."""

import json
from pathlib import Path

import pytest

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.schema import Schema

FILE = Path(__file__).parents[3] / "shared" / "conformance" / "catlab.json"
pytestmark = pytest.mark.skipif(
    not FILE.exists(), reason="the conformance cases are not at ../shared/conformance/catlab.json"
)
PYTHON_TYPES = {"float": float, "int": int, "str": str, "bool": bool}


@pytest.fixture(scope="module")
def document():
    return json.loads(FILE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def schemas(document):
    types = document["conventions"]["attribute_types"]
    return {
        name: Schema.from_json(json.dumps(text), {t: PYTHON_TYPES[p] for t, p in types.get(name, {}).items()}, name)
        for name, text in document["schemas"].items()
    }


def steps(document, schemas, *operations):
    for case in document["cases"]:
        for step in case["steps"]:
            if step["op"] in operations:
                yield ACSet.from_json(schemas[case["schema"]], json.dumps(case["instance"]), case["name"]), step


def instances(document):
    """Every instance in the file with the name of its schema."""
    for case in document["cases"]:
        for key in ("instance", "X", "Y", "Z"):
            if key in case:
                yield case["schema"], case[key]
        for step in case["steps"]:
            if "expect_instance" in step:
                yield case["target"] if step["op"] == "delta" else case["schema"], step["expect_instance"]


def test_schemas_are_written_byte_for_byte(document, schemas):
    for name, text in document["schemas"].items():
        assert schemas[name].to_json() == json.dumps(text, separators=(",", ":"))


def test_instances_survive_the_round_trip(document, schemas):
    count = 0
    for name, tables in instances(document):
        homs = schemas[name].homs
        defined = {
            table: [{k: v for k, v in row.items() if v is not None and not (k in homs and v == 0)} for row in rows]
            for table, rows in tables.items()
        }
        assert json.loads(ACSet.from_json(schemas[name], json.dumps(tables)).to_json()) == defined
        count += 1
    assert count > 150


def test_subpart(document, schemas):
    count = 0
    for x, step in steps(document, schemas, "subpart"):
        path = tuple(step["path"])
        ids = [i - 1 for i in step["ids"]]
        is_attribute = path[-1] in x.schema.attrs
        found = x.subpart(path, ids).tolist()
        assert (found if is_attribute else [i + 1 for i in found]) == step["expect"]
        assert [x.subpart(".".join(path), i) for i in ids] == [None if value == -1 else value for value in found]
        count += 1
    assert count > 20


def test_incident(document, schemas):
    count = 0
    for x, step in steps(document, schemas, "incident"):
        path = tuple(step["path"])
        is_attribute = path[-1] in x.schema.attrs
        values = [value if is_attribute else value - 1 for value in step["values"]]
        assert [(ids + 1).tolist() for ids in x.incident(values, path)] == step["expect"]
        assert [(x.incident(value, path) + 1).tolist() for value in values] == step["expect"]
        count += 1
    assert count > 20


def test_remove(document, schemas):
    count = 0
    for x, step in steps(document, schemas, "remove"):
        maps = x.remove(step["ob"], [i - 1 for i in step["ids"]], cascade=step["cascade"])
        assert x == ACSet.from_json(x.schema, json.dumps(step["expect_instance"]))
        for ob, expected in step.get("expect_new_to_old", {}).items():
            stays = [(new, old + 1) for old, new in enumerate(maps[ob].tolist()) if new >= 0]
            assert [old for _, old in sorted(stays)] == expected
        count += 1
    assert count == 24


def test_elements(document, schemas):
    count = 0
    for x, step in steps(document, schemas, "elements"):
        graph = x.to_networkx()
        assert {"El": graph.number_of_nodes(), "Arr": graph.number_of_edges()} == step["expect"]
        count += 1
    assert count > 0
