"""The wheel holds the Julia module, the pins for juliapkg, the demo study and the stubs."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The files of the wheel, by name."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_julia_module_is_in_the_wheel(wheel):
    for path in (ROOT / "julia").glob("*.jl"):
        assert wheel[f"sim2real_cat/julia/{path.name}"] == path.read_bytes()


def test_the_wheel_is_a_julia_package_as_the_checkout_is(wheel):
    """Julia finds the name, the entry and the dependencies in a Project.toml beside the folder of the module."""
    assert wheel["sim2real_cat/Project.toml"] == (ROOT / "Project.toml").read_bytes()
    project = tomllib.loads(wheel["sim2real_cat/Project.toml"].decode())
    assert project["name"] == "Sim2RealCat"
    assert f"sim2real_cat/{project['entryfile']}" in wheel


def test_the_demo_study_and_the_types_are_in_the_wheel(wheel):
    """The stubs too, which say at run time what a package offers."""
    stubs = [path.relative_to(ROOT / "sim2real_cat") for path in (ROOT / "sim2real_cat").rglob("*.pyi")]
    assert Path("__init__.pyi") in stubs
    for name in ("study/demo.toml", "py.typed", *(stub.as_posix() for stub in stubs)):
        assert wheel[f"sim2real_cat/{name}"] == (ROOT / "sim2real_cat" / name).read_bytes()


def test_every_file_that_the_module_includes_is_there(wheel):
    text = wheel["sim2real_cat/julia/Sim2RealCat.jl"].decode()
    included = [line.split('"')[1] for line in text.splitlines() if line.startswith("include(")]
    assert len(included) > 5
    assert {f"sim2real_cat/julia/{name}" for name in included} <= wheel.keys()


def test_both_projects_pin_the_same_packages(wheel):
    pins = json.loads(wheel["sim2real_cat/juliapkg.json"])
    project = tomllib.loads((ROOT / "Project.toml").read_text(encoding="utf-8"))
    packages = {name: package["uuid"] for name, package in pins["packages"].items()}
    assert packages == project["deps"]
    assert {name: package["version"] for name, package in pins["packages"].items()} == {
        name: project["compat"][name] for name in packages
    }
    assert not any("path" in package or "url" in package for package in pins["packages"].values())


def test_julia_is_bounded_alike():
    """juliapkg takes a range, Julia's Pkg a list; 1.10 breaks Catlab's pushouts (JuliaLang/julia#59626)."""
    from juliapkg.compat import Compat, Version

    pins = json.loads((ROOT / "sim2real_cat" / "juliapkg.json").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "Project.toml").read_text(encoding="utf-8"))
    for text in (pins["julia"], project["compat"]["julia"]):
        allowed = Compat.parse(text)
        versions = ["1.10.10", "1.11.0", "1.11.9", "1.12.0", "1.12.9", "1.13.0"]
        assert [v for v in versions if Version.parse(v) in allowed] == versions[1:-1]


def test_the_julia_project_has_our_version_and_an_entry_for_old_and_new_julia():
    project = tomllib.loads((ROOT / "Project.toml").read_text(encoding="utf-8"))
    package = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["version"] == package["project"]["version"]
    assert project["path"] == project["entryfile"] == "julia/Sim2RealCat.jl"
