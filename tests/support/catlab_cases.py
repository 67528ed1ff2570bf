"""The cases that Catlab.jl computed, step by step; ids are 1-based there and 0-based here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from places import SHARED

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.schema import Schema

FILE = SHARED / "conformance" / "catlab.json"
REASON = "the conformance cases are not at ../shared/conformance/catlab.json"
PYTHON_TYPES = {"float": float, "int": int, "str": str, "bool": bool}


@dataclass(frozen=True)
class Step:
    """One step of one case."""

    case: dict[str, Any]
    number: int

    @property
    def asked(self) -> dict[str, Any]:
        return self.case["steps"][self.number]

    def instance(self, key: str) -> ACSet:
        """The case's instance of that key, read anew."""
        return read(self.case["schema"], self.case[key])

    def __str__(self) -> str:
        return f"{self.case['name']}-{self.number}-{self.asked['op']}"


@cache
def document() -> dict[str, Any]:
    return json.loads(FILE.read_text(encoding="utf-8"))


@cache
def schema(name: str) -> Schema:
    types = document()["conventions"]["attribute_types"].get(name, {})
    text = json.dumps(document()["schemas"][name])
    return Schema.from_json(text, {key: PYTHON_TYPES[value] for key, value in types.items()}, name)


def read(schema_name: str, tables: dict[str, Any]) -> ACSet:
    return ACSet.from_json(schema(schema_name), json.dumps(tables))


def steps() -> Iterator[Step]:
    """Every step, none where the file is missing."""
    if FILE.exists():
        for case in document()["cases"]:
            for number in range(len(case["steps"])):
                yield Step(case, number)
