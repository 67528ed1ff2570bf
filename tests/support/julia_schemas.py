"""Write julia/schemas.jl from the schemas of the Python package: python tests/support/julia_schemas.py [FILE]."""

from __future__ import annotations

import ast
import sys
import textwrap
from itertools import pairwise
from pathlib import Path

from places import ROOT

from sim2real_cat.acsets.schema import Schema
from sim2real_cat.transfer import schema as owner
from sim2real_cat.transfer.schema import SchSim2RealTransfer, SchTransferStudy

FILE = ROOT / "julia" / "schemas.jl"
COMMAND = "python tests/support/julia_schemas.py"
UNINDEXED = frozenset(["observe_sim", "observe_real"])
"""Homs whose preimages nothing asks for."""


def text() -> str:
    """Return the file: both schemas with the descriptions that Python has, and a type of instances for each."""
    return "\n".join(
        [
            f"# Written by {COMMAND}: change the schemas in Python.",
            "",
            docstring(described()["SchSim2RealTransfer"]) + SchSim2RealTransfer.to_present(),
            docstring(described()["SchTransferStudy"]) + SchTransferStudy.to_present(SchSim2RealTransfer),
            acset_type(
                "Sim2RealTransfer",
                SchSim2RealTransfer,
                "An instance of `SchSim2RealTransfer`; `Sim2RealTransfer{Float64}` has gaps in nats per control step.",
            ),
            acset_type(
                "TransferStudy",
                SchTransferStudy,
                "An instance of `SchTransferStudy`, its attribute types in the order "
                f"{', '.join(SchTransferStudy.attrtypes)}.",
            ),
        ]
    )


def acset_type(name: str, schema: Schema, description: str) -> str:
    """Return the definition of a type of instances, with an index for each hom along which preimages are asked for."""
    indexed = ", ".join(f":{hom}" for hom in schema.homs if hom not in UNINDEXED)
    return docstring(description) + f"@acset_type {name}({schema.name}, index=[{indexed}])\n"


def docstring(description: str) -> str:
    """Return a description as a docstring of Julia."""
    assert not set(description) & set("\\$"), "these mean something in a text of Julia"
    paragraphs = description.replace("``", "`").split("\n\n")
    filled = "\n\n".join(textwrap.fill(part, 120, break_on_hyphens=False) for part in paragraphs)
    return f'"""\n{filled}\n"""\n'


def described() -> dict[str, str]:
    """Return the texts that follow the assignments of the module of the schemas, by the name assigned."""
    body = ast.parse(Path(owner.__file__).read_text(encoding="utf-8")).body
    return {
        first.targets[0].id: second.value.value
        for first, second in pairwise(body)
        if isinstance(first, ast.Assign) and isinstance(second, ast.Expr) and isinstance(second.value, ast.Constant)
    }


if __name__ == "__main__":
    Path(*sys.argv[1:] or [FILE]).write_text(text(), encoding="utf-8")
