"""The house rules of the design that a program can check."""

from __future__ import annotations

import ast
import inspect
import shutil
import subprocess
import sys
from importlib.metadata import files
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest
from places import ROOT

import sim2real_cat

PACKAGE = Path(sim2real_cat.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))


def relative(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def test_imports_go_down_only():
    command = shutil.which("lint-imports", path=str(Path(sys.executable).parent)) or shutil.which("lint-imports")
    if command is None:
        pytest.skip("import-linter is not installed: pip install 'sim2real-cat[dev]'")
    done = subprocess.run([command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_types_are_shipped():
    assert (PACKAGE / "py.typed").is_file()
    recorded = files("sim2real-cat")
    assert recorded is not None
    assert {"entry_points.txt", "METADATA"} <= {path.name for path in recorded}


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_module_says_what_it_is(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), "a module says what it is"


@pytest.mark.parametrize("name", [name for name in sim2real_cat.__all__ if name != "__version__"])
def test_public_names_are_described(name):
    found = getattr(sim2real_cat, name)
    if isinstance(found, ModuleType) or callable(found):
        described = found.__doc__
    else:  # a value: its description is the text under its assignment
        home = Path(inspect.getsourcefile(sys.modules[f"sim2real_cat.{sim2real_cat._HOME[name]}"]))
        described = described_values(home).get(name)
    assert described, f"{name} has no docstring"
    # The one that a dataclass writes itself is its signature.
    assert not described.startswith(f"{name}(")


def described_values(path: Path) -> dict[str, str]:
    """The texts that follow assignments at the top of a module, by the name assigned."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return {
        first.targets[0].id: second.value.value
        for first, second in pairwise(body)
        if isinstance(first, ast.Assign)
        and isinstance(second, ast.Expr)
        and isinstance(second.value, ast.Constant)
        and isinstance(second.value.value, str)
    }


@pytest.mark.parametrize("folder", sorted(path.name for path in (ROOT / "tests").iterdir() if path.is_dir()))
def test_no_test_file_is_left_out(folder):
    """The runner finds a file by its name, so every file that holds tests has such a name."""
    for path in (ROOT / "tests" / folder).glob("*.py"):
        tests = [node.name for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if _is_test(node)]
        assert path.name.startswith("test_") or not tests, path


def _is_test(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
