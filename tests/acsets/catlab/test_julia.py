"""What is missing, what to do about it, and what an error of Julia says; the process itself is in `test_worker.py`."""

from __future__ import annotations

import os
import re
import sys

import juliapkg
import pytest
from acset_strategies import STUDY, refused, study

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.catlab import julia
from sim2real_cat.errors import EngineError

FAULT = "this is a fault of sim2real_cat"


class Answering:
    """A worker that answers with what it is given, or raises it."""

    alive = True

    def __init__(self, answer=None):
        self.given = answer
        self.versions = {"Catlab": "0.17.4", "Julia": "1.12.5"}

    def answer(self, function, arguments, seconds):
        if isinstance(self.given, Exception):
            raise self.given
        return self.given

    def holds(self, handle):
        return False

    def close(self):
        self.alive = False


@pytest.fixture(autouse=True)
def nothing_is_started(monkeypatch):
    monkeypatch.setattr(julia, "_worker", None)
    for variable in (julia.EXE, julia.PROJECT, julia.SECONDS, "JULIA_DEPOT_PATH"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def prescribed(monkeypatch, tmp_path):
    """A Julia and an environment of the user's own."""
    (tmp_path / "Project.toml").touch()
    monkeypatch.setenv(julia.EXE, sys.executable)
    monkeypatch.setenv(julia.PROJECT, str(tmp_path))


# What is missing


def test_a_julia_of_ones_own_is_used(prescribed, tmp_path):
    assert julia.missing() is None
    assert julia.found() == f"{sys.executable} with the packages of {tmp_path}"


@pytest.mark.parametrize(
    ("variables", "parts"),
    [
        ({julia.EXE: "julia"}, [f"{julia.EXE} is set and {julia.PROJECT} is not: set both"]),
        ({julia.PROJECT: "/"}, [f"{julia.PROJECT} is set and {julia.EXE} is not: set both"]),
        ({julia.EXE: "/no/julia", julia.PROJECT: "/"}, ["/no/julia is no program", "give the path of a julia"]),
        (
            {julia.EXE: sys.executable, julia.PROJECT: "/no/where"},
            ["/no/where has no Project.toml", "give a Julia environment"],
        ),
    ],
)
def test_a_julia_that_is_not_there(monkeypatch, variables, parts):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with refused(EngineError, "the Catlab engine cannot start", *parts):
        ACSet(STUDY, engine="catlab")


@pytest.mark.parametrize("resolve", [lambda **_: False, lambda **_: (_ for _ in ()).throw(PermissionError("no"))])
def test_an_engine_that_is_not_installed(monkeypatch, resolve):
    monkeypatch.setattr(juliapkg, "resolve", resolve)
    with refused(EngineError, "not installed", "sim2real-cat engines --install catlab", julia.EXE, julia.PROJECT):
        study().to_engine("catlab")


def test_nothing_is_downloaded_unasked(monkeypatch):
    asked = []
    monkeypatch.setattr(juliapkg, "resolve", lambda **options: asked.append(options))
    assert "not installed" in julia.missing()
    assert asked == [{"dry_run": True}]


@pytest.mark.parametrize("package", ["juliacall", "juliapkg"])
def test_a_package_that_is_not_installed(monkeypatch, package):
    monkeypatch.setattr(julia, "find_spec", lambda name: None if name == package else name)
    with refused(EngineError, f"the Catlab engine needs {package}: pip install {package}"):
        ACSet(STUDY, engine="catlab")
    with refused(EngineError, f"pip install {package}"):
        julia.install(print)


def test_asking_what_is_missing_starts_and_imports_nothing(prescribed):
    before = set(sys.modules)
    assert julia.missing() is None
    assert julia.found()
    assert julia._worker is None
    assert "juliacall" not in set(sys.modules) - before


# Errors, by whose fault they are


@pytest.mark.parametrize(
    "text",
    [
        "UndefVarError: `collect` not defined in `Sim2RealCat`\nStacktrace:\n [1] set_hom",
        "MethodError: no method matching is_epic(::SkelKleisli)\nStacktrace:\n [1] somewhere",
        'KeyError: key "nope" not found\nStacktrace:\n [1] somewhere',
        "BoundsError: attempt to access 2-element Vector{Int64} at index [3]\nStacktrace:",
        "LoadError: UndefVarError: `x` not defined\nin expression starting at a.jl:1",
        "AttributeError: 'Module' object has no attribute 'f'",
    ],
)
def test_a_fault_of_ours_is_said_to_be_one(monkeypatch, text):
    monkeypatch.setattr(julia, "_worker", Answering(julia.JuliaError(text)))
    first = text.splitlines()[0]
    parts = [f"(set_hom: {first})", FAULT, "Catlab 0.17.4", "Julia 1.12.5", "report it", "embedded engine can answer"]
    with refused(EngineError, *parts) as caught:
        julia.call("set_hom")
    assert str(caught.value.__cause__) == text


@pytest.mark.parametrize("text", ["OutOfMemoryError()", "ErrorException: no such thing\nStacktrace:\n [1] f"])
def test_an_error_that_data_can_cause_names_the_remedy(monkeypatch, text):
    monkeypatch.setattr(julia, "_worker", Answering(julia.JuliaError(text)))
    first = text.splitlines()[0]
    with refused(EngineError, f"Catlab could not compute this (follow: {first}): ask the embedded engine") as caught:
        julia.call("follow")
    assert FAULT not in str(caught.value)


def test_a_package_that_is_not_there_is_to_be_installed(monkeypatch):
    text = "ArgumentError: Package Catlab not found in current path."
    monkeypatch.setattr(julia, "_worker", Answering(julia.JuliaError(text)))
    with refused(EngineError, "Package Catlab not found", "sim2real-cat engines --install catlab") as caught:
        julia.call("follow")
    assert FAULT not in str(caught.value)


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "ten", ""])
def test_seconds_that_are_none(monkeypatch, text):
    monkeypatch.setattr(julia, "_worker", Answering(1))
    monkeypatch.setenv(julia.SECONDS, text)
    with refused(EngineError, f"{julia.SECONDS}={text} is not a positive number of seconds", "600"):
        julia.call("anything")


# Installing


def test_installing_says_how_long_and_how_big(monkeypatch, tmp_path):
    started = []
    monkeypatch.setattr(julia, "start", lambda: started.append(True))
    depot, project = tmp_path / "depot", tmp_path / "env"
    monkeypatch.setenv("JULIA_DEPOT_PATH", f"{depot}{os.pathsep}/elsewhere")
    (depot / "old").mkdir(parents=True)
    (depot / "old" / "file").write_bytes(bytes(5_000_000))

    def resolve(**options):
        if not options:
            (depot / "new").write_bytes(bytes(20_000_000))
            project.mkdir()
            (project / "Manifest.toml").write_bytes(bytes(10_000_000))
        return True

    monkeypatch.setattr(juliapkg, "resolve", resolve)
    monkeypatch.setattr(juliapkg, "project", lambda: str(project))
    said = []
    julia.install(said.append)
    assert len(said) == 3
    assert "compiling" in said[1]
    assert re.sub(r"\d+ s", "N s", said[2]) == (
        f"Catlab is ready after N s, of which N s compiled and started it; it takes 0.03 GB in {depot} and {project}"
    )
    assert started


def test_installing_without_a_network(monkeypatch):
    def fail():
        raise OSError("<urlopen error [Errno -2] Name or service not known>")

    monkeypatch.setattr(juliapkg, "resolve", fail)
    with refused(EngineError, "Catlab could not be installed (<urlopen error", "try again with a network"):
        julia.install(print)


@pytest.mark.parametrize("variable", [julia.EXE, julia.PROJECT])
def test_installing_beside_a_julia_of_ones_own(monkeypatch, variable):
    monkeypatch.setenv(variable, "something")
    with refused(EngineError, f"{variable} is set, so Julia is not installed: unset it"):
        julia.install(print)


# The Julia package


def test_the_package_is_found_in_a_checkout():
    assert (julia.folder() / "Project.toml").is_file()
    assert (julia.folder() / "julia" / "Sim2RealCat.jl").is_file()


def test_the_package_is_found_beside_the_installed_one(monkeypatch, tmp_path):
    installed = tmp_path / "sim2real_cat"
    (installed / "julia").mkdir(parents=True)
    (installed / "julia" / "Sim2RealCat.jl").touch()
    (installed / "Project.toml").touch()
    monkeypatch.setattr(julia, "__file__", str(installed / "acsets" / "catlab" / "julia.py"))
    assert julia.folder() == installed


@pytest.mark.parametrize("there", ["Project.toml", "julia/Sim2RealCat.jl"])
def test_an_installation_without_the_package(monkeypatch, tmp_path, there):
    path = tmp_path / there
    path.parent.mkdir(exist_ok=True)
    path.touch()
    monkeypatch.setattr(julia, "__file__", str(tmp_path / "b" / "c" / "julia.py"))
    with refused(EngineError, "Sim2RealCat.jl is missing: install sim2real-cat again"):
        julia.folder()


def test_what_is_compiled_is_newer_than_its_files(monkeypatch, tmp_path):
    monkeypatch.setenv("JULIA_DEPOT_PATH", str(tmp_path))
    assert not julia.is_compiled()
    compiled = tmp_path / "compiled" / "v1.12" / "Sim2RealCat" / "abc_def.ji"
    compiled.parent.mkdir(parents=True)
    compiled.touch()
    assert julia.is_compiled()
    assert julia.expected_start() == "compiled, it starts in some 10 s"
    written = max(path.stat().st_mtime for path in (julia.folder() / "julia").glob("*.jl"))
    os.utime(compiled, (written - 10, written - 10))
    assert not julia.is_compiled()
    assert julia.expected_start() == "its first start compiles for minutes, once"
