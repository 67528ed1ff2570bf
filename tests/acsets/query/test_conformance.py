"""The answers of Catlab.jl to the same queries; ids are 1-based there."""

import json
from collections import Counter

import pytest
from places import SHARED

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.query.engine import query
from sim2real_cat.acsets.schema import Schema

FILE = SHARED / "conformance" / "catlab.json"
pytestmark = pytest.mark.skipif(
    not FILE.exists(), reason="the conformance cases are not at ../shared/conformance/catlab.json"
)
PYTHON_TYPES = {"float": float, "int": int, "str": str, "bool": bool}


@pytest.mark.parametrize("engine", ["numpy", "duckdb"])
def test_the_answers_are_those_of_catlab(engine):
    document = json.loads(FILE.read_text(encoding="utf-8"))
    count = 0
    for case in document["cases"]:
        types = document["conventions"]["attribute_types"].get(case["schema"], {})
        schema = Schema.from_json(
            json.dumps(document["schemas"][case["schema"]]), {t: PYTHON_TYPES[p] for t, p in types.items()}
        )
        for step in case["steps"]:
            if step["op"] != "query":
                continue
            x = ACSet.from_json(schema, json.dumps(case["instance"]))
            params = {name: value - 1 for name, value in step.get("params", {}).items()}
            table = query(x, step["body"], step["out"], params=params, engine=engine)
            columns = [(table[name] + (table[name].dtype.kind == "i")).tolist() for name in step["out"]]
            expected = [step["expect"][name] for name in step["out"]]
            assert Counter(zip(*columns, strict=True)) == Counter(zip(*expected, strict=True)), (case["name"], step)
            count += 1
    assert count == 32
