"""The Julia package where there is any Julia: its files parse."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted((ROOT / "julia").glob("*.jl"))
PARSE = """
parsed = Meta.parse("begin\\n" * read(ARGS[1], String) * "\\nend"; raise=false)
exit(parsed.head in (:error, :incomplete))
"""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_it_parses(path):
    julia = shutil.which(os.environ.get("PYTHON_JULIACALL_EXE", "julia"))
    if julia is None:
        pytest.skip("there is no julia on the PATH, and PYTHON_JULIACALL_EXE names none")
    done = subprocess.run([julia, "--startup-file=no", "-e", PARSE, str(path)], timeout=120, check=False)
    assert done.returncode == 0


def test_all_its_files_are_included_once():
    text = (ROOT / "julia" / "Sim2RealCat.jl").read_text(encoding="utf-8")
    included = [line.split('"')[1] for line in text.splitlines() if line.startswith("include(")]
    assert sorted([*included, "Sim2RealCat.jl", "runtests.jl", "sysimage.jl"]) == [path.name for path in FILES]
