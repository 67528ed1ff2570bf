"""The schema is the source document's, arrow for arrow, in every language that states it."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import julia_schemas
import pytest
from julia_schemas import COMMAND
from places import ROOT, SHARED

from sim2real_cat.acsets.schema import Schema
from sim2real_cat.transfer.schema import SchSim2RealTransfer, SchTransferStudy

STATED = {
    "the source document": SHARED / "seed" / "000_c4a93b488568950b.txt",
    "the Julia package": ROOT / "julia" / "schemas.jl",
}
FOUR = {"obs", "homs", "attrtypes", "attrs"}


def presented(text: str, name: str) -> dict[str, object]:
    """The generators that a block ``@present name(FreeSchema)``, or ``name <: other``, declares, in order."""
    head = rf"@present {name}(?:\(FreeSchema\)| <: \w+) begin\n"
    block = re.search(head + r"(.*?)^\s*end\b", text, re.DOTALL | re.MULTILINE)
    assert block is not None, f"no @present {name}"
    found = {"obs": [], "homs": {}, "attrtypes": [], "attrs": {}}
    for line in block[1].splitlines():
        code = line.split("#")[0].strip()
        if not code:
            continue
        match = re.fullmatch(r"(\w+)::(Ob|AttrType|Hom|Attr)(?:\((\w+),\s*(\w+)\))?", code)
        assert match is not None, f"no generator: {code!r}"
        generator, kind, dom, codom = match.groups()
        if kind in ("Ob", "AttrType"):
            found["obs" if kind == "Ob" else "attrtypes"].append(generator)
        else:
            found["homs" if kind == "Hom" else "attrs"][generator] = (dom, codom)
    return found


def generators(schema: Schema) -> dict[str, object]:
    return {
        "obs": list(schema.obs),
        "homs": dict(schema.homs),
        "attrtypes": list(schema.attrtypes),
        "attrs": dict(schema.attrs),
    }


@pytest.mark.parametrize("place", STATED)
def test_schema_is_the_presented_one(place):
    path = STATED[place]
    if not path.is_file():
        pytest.skip(f"{place} is not in this checkout")
    stated = presented(path.read_text(encoding="utf-8"), "SchSim2RealTransfer")
    assert stated == generators(SchSim2RealTransfer)
    assert list(stated["homs"]) == list(SchSim2RealTransfer.homs)


def test_the_study_extends_it_in_julia_by_the_same():
    text = STATED["the Julia package"].read_text(encoding="utf-8")
    assert "@present SchTransferStudy <: SchSim2RealTransfer begin" in text
    base, added, whole = (
        generators(SchSim2RealTransfer),
        presented(text, "SchTransferStudy"),
        generators(SchTransferStudy),
    )
    for kind in FOUR:
        together = [*base[kind], *added[kind]]
        assert together == list(whole[kind])
        if isinstance(whole[kind], dict):
            assert {**base[kind], **added[kind]} == whole[kind]


def test_the_julia_package_has_the_schemas_of_python():
    """Python's schemas are the ones to change."""
    assert STATED["the Julia package"].read_text(encoding="utf-8") == julia_schemas.text(), f"run {COMMAND}"


def test_the_command_writes_the_file_that_is_there(tmp_path):
    file = tmp_path / "schemas.jl"
    done = subprocess.run([sys.executable, *COMMAND.split()[1:], str(file)], cwd=ROOT, timeout=120, check=False)
    assert done.returncode == 0
    assert file.read_bytes() == STATED["the Julia package"].read_bytes()


def test_schema_is_the_one_catlab_answered_with():
    path = SHARED / "conformance" / "catlab.json"
    if not path.is_file():
        pytest.skip("Catlab's answers are not in this checkout")
    theirs = json.loads(path.read_text(encoding="utf-8"))["schemas"]["Transfer"]
    assert Schema.from_json(json.dumps(theirs), {"TransferGap": float}) == SchSim2RealTransfer


def test_the_study_extends_the_schema_and_keeps_its_arrows_first():
    assert SchTransferStudy.extends(SchSim2RealTransfer)
    assert not SchSim2RealTransfer.extends(SchTransferStudy)
    base, study = generators(SchSim2RealTransfer), generators(SchTransferStudy)
    assert all(list(study[kind])[: len(base[kind])] == list(base[kind]) for kind in FOUR)


def test_gap_and_interval_share_one_attribute_type():
    kinds = {SchTransferStudy.attrs[name][1] for name in ("kl_gap", "gap_low", "gap_high", "occupancy_gap")}
    assert kinds == {"TransferGap"}
    assert SchTransferStudy.attrtypes["TransferGap"] is float
