"""The house rules of the design that a program can check."""

from __future__ import annotations

import ast
import doctest
import importlib
import re
import shutil
import subprocess
import sys
from importlib.metadata import files
from itertools import pairwise
from pathlib import Path
from types import FunctionType, ModuleType

import pytest
from house import RIDDLE, House
from places import ROOT

import sim2real_cat
from sim2real_cat.errors import Sim2RealError
from sim2real_cat.transfer.laws.law import Law

PACKAGE = Path(sim2real_cat.__file__).parent
HOUSE = House(PACKAGE)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "benchmarks").rglob("*.md"))]


def test_imports_go_down_only():
    command = shutil.which("lint-imports", path=str(Path(sys.executable).parent)) or shutil.which("lint-imports")
    if command is None:
        pytest.skip("import-linter is not installed: pip install 'sim2real-cat[dev]'")
    done = subprocess.run([command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_is_no_import_circle():
    assert HOUSE.circles() == []


def test_few_modules_have_exactly_one_importer():
    """A module that only one neighbour reads is mostly a part of it that was cut off."""
    found = HOUSE.single_importers()
    shown = "\n".join(f"{module} <- {importer}" for module, importer in found.items())
    assert len(found) <= 0.15 * len(HOUSE.rooms), f"{len(found)} of {len(HOUSE.rooms)} modules\n{shown}"


def test_no_folder_is_crowded():
    assert HOUSE.crowded(16) == {}


def test_modules_have_public_names():
    assert [name for name in HOUSE.rooms if name.rpartition(".")[2].startswith("_") and "__main__" not in name] == []


def test_nobody_imports_what_is_private_to_another_module():
    assert HOUSE.private_imports() == []


def test_names_are_imported_from_the_module_that_defines_them():
    assert HOUSE.through_a_package() == []


def test_a_class_name_means_one_thing():
    assert HOUSE.classes_named_twice() == {}


def test_docstrings_begin_with_a_verb_or_a_noun():
    wrong = [f"{place}: {title}" for place, title in HOUSE.titles() if RIDDLE.match(title) or "that is no " in title]
    assert wrong == [], "\n" + "\n".join(wrong)


@pytest.mark.parametrize("name", [name for name, path in HOUSE.files.items() if ">>> " in path.read_text("utf-8")])
def test_examples_in_docstrings_tell_the_truth(name):
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted > 0
    assert found.failed == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_documentation_imports_the_package_or_one_floor(page):
    """A reader meets ``import sim2real_cat as s2r`` and ``from sim2real_cat.worlds import World``, no deeper path."""
    assert re.findall(r"\bsim2real_cat(?:\.\w+){2,}", page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", [ROOT / "CONTRIBUTING.md", *PAGES], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_files_named_in_documentation_exist(page):
    """Paths of modules, tests and benchmarks that a page names are those of today."""
    named = re.findall(r"`((?:\w+/)+\w+\.(?:py|jl))\b", page.read_text(encoding="utf-8"))
    assert [name for name in named if not any((home / name).exists() for home in (ROOT, PACKAGE))] == []


def test_types_are_shipped():
    assert (PACKAGE / "py.typed").is_file()
    recorded = files("sim2real-cat")
    assert recorded is not None
    assert {"entry_points.txt", "METADATA"} <= {path.name for path in recorded}


@pytest.mark.parametrize("name", sorted(HOUSE.files))
def test_a_module_says_what_it_is(name):
    assert ast.get_docstring(HOUSE.trees[name]), "a module says what it is"


def offered() -> list[tuple[str, str, str]]:
    """Return the name of every package with a stub, each name that it offers, and the module where that lives."""
    found = []
    for stub in sorted(PACKAGE.rglob("__init__.pyi")):
        package = ".".join(stub.parent.relative_to(PACKAGE.parent).parts)
        for node in ast.parse(stub.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom):
                home = f"{package}.{node.module}" if node.module else package
                found += [(package, alias.name, home) for alias in node.names]
    return found


@pytest.mark.parametrize(("package", "name", "home"), offered(), ids=lambda entry: entry)
def test_public_names_are_described(package, name, home):
    try:
        found = getattr(importlib.import_module(package), name)
    except Sim2RealError as error:
        if "pip install" not in str(error):
            raise
        pytest.skip(str(error))
    if isinstance(found, ModuleType | type | FunctionType):
        described = found.__doc__
    elif isinstance(found, Law):
        described = found.statement
    else:  # a value: its description is the text under its assignment
        described = described_values(Path(importlib.import_module(home).__file__)).get(name)
    assert described, f"{name} has no docstring"
    # The one that a dataclass writes itself is its signature.
    assert not described.startswith(f"{name}(")


@pytest.mark.parametrize("package", sorted({package for package, _, _ in offered()}))
def test_a_package_offers_names_of_its_own(package):
    """A floor names no module like a function that it offers, which Python would bind the module over."""
    names = [name for owner, name, _ in offered() if owner == package]
    assert len(set(names)) == len(names)
    modules = {room.rpartition(".")[2] for room in HOUSE.files if room.rpartition(".")[0] == package}
    assert {name for owner, name, home in offered() if owner == package and home != package} & modules == set()


def described_values(path: Path) -> dict[str, str]:
    """Return the texts that follow assignments at the top of a module, by the name assigned."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return {
        (first.target if isinstance(first, ast.AnnAssign) else first.targets[0]).id: second.value.value
        for first, second in pairwise(body)
        if isinstance(first, ast.Assign | ast.AnnAssign)
        and isinstance(second, ast.Expr)
        and isinstance(second.value, ast.Constant)
        and isinstance(second.value.value, str)
    }


@pytest.mark.parametrize("folder", sorted(path.name for path in (ROOT / "tests").iterdir() if path.is_dir()))
def test_no_test_file_is_left_out(folder):
    """The runner finds a file by its name, so every file that holds tests has such a name."""
    for path in (ROOT / "tests" / folder).rglob("*.py"):
        tests = [node.name for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if _is_test(node)]
        assert path.name.startswith("test_") or not tests, path


def _is_test(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
