"""The tutorial in Julia: the page shows the script, and Python checks what the script writes."""

from __future__ import annotations

import os
import re
import subprocess

import pytest
from demo_shape import demo_shape
from julia_names import read_julia
from julia_package import FOLDER, MODULE, PACKAGES, files
from julia_stand_in import Handle, StandIn
from places import ROOT

from sim2real_cat.acsets.catlab import julia
from sim2real_cat.cli import main
from sim2real_cat.transfer.instance import TransferInstance

PAGE = ROOT / "docs" / "tutorial" / "julia.md"
SCRIPT = FOLDER / "examples" / "study.jl"
BASE = {"ARGS", "Int", "+", ">", ":", "collect", "findall", "length", "maximum", "println", "zeros"}
"""Names of Julia's own that the script uses; Catlab exports another `collect`, which it imports by name."""


def test_the_page_shows_the_script():
    blocks = re.findall(r"^```julia\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert "\n".join(blocks) == SCRIPT.read_text(encoding="utf-8")


def test_the_script_uses_names_that_are_there():
    read = read_julia(SCRIPT.read_text(encoding="utf-8"))
    assert read.errors == ()
    own = {definition.name for definition in read.definitions}
    known = own | BASE | set(files()[MODULE].exported) | PACKAGES["ACSets"] | PACKAGES["Catlab"]
    assert {use.name for use in read.uses} - known == set()
    assert read.imported == {"Base": ("collect",)}


@pytest.fixture
def demo(tmp_path):
    """The file of an instance like that of the demo."""
    TransferInstance(demo_shape()).write(tmp_path / "instance.json")
    return tmp_path / "instance.json"


def check_what_julia_wrote(path, capsys):
    """Check the file as the page does, and hold it to what was read."""
    assert main(["check", str(path), "--epsilon", "0.5"]) == 1
    assert "pendulum-none: kl_gap 3.23 >= 0.5, but transfer is the identity" in capsys.readouterr().out
    found, mine = TransferInstance.read(path), demo_shape()
    mine.set("Policy", 0, transfer=0)
    assert found == TransferInstance(mine)


def test_python_checks_what_was_changed(demo, capsys):
    """With the JSON that Julia's writer makes: other spaces, and tables and columns in another order."""
    changed = TransferInstance.read(demo).acset
    changed.set("Policy", 0, transfer=0)
    demo.write_text(StandIn().json_text(Handle(changed)), encoding="utf-8")
    check_what_julia_wrote(demo, capsys)


@pytest.mark.catlab
def test_the_script_runs(demo, tmp_path, capsys):
    exe, project = os.environ.get(julia.EXE), os.environ.get(julia.PROJECT)
    if exe is None or project is None:
        import juliapkg

        exe, project = juliapkg.executable(), juliapkg.project()
    command = [exe, "--startup-file=no", f"--project={project}", str(SCRIPT), str(demo), str(tmp_path / "changed.json")]
    places = os.pathsep.join(["@", str(ROOT), "@stdlib"])
    done = subprocess.run(
        command, env=os.environ | {"JULIA_LOAD_PATH": places}, capture_output=True, text=True, timeout=1200, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "6 policies, trained in 98 worlds"
    assert lines[3] == "pendulum-wide: 64 worlds, the largest weight 0.015625, gap 0.129"
    assert lines[7:] == [
        "their own transfer: [3, 5, 6]",
        "rows that break a law or leave it open: 0",
        "worlds that trained the heir of each policy: [64, 64, 64, 16, 8, 16]",
        "transfer-identity is violated at Policy 1",
    ]
    check_what_julia_wrote(tmp_path / "changed.json", capsys)
