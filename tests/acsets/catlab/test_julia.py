"""Starting Julia: once, from the right place, and one line of what to do where it cannot be started."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from types import ModuleType, SimpleNamespace

import juliapkg
import pytest
from acset_strategies import STUDY, refused, study

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.catlab import julia
from sim2real_cat.errors import EngineError


class FakeError(Exception):
    """juliacall's JuliaError."""


@pytest.fixture(autouse=True)
def nothing_is_started(monkeypatch):
    monkeypatch.setattr(julia, "_started", None)
    monkeypatch.setattr(julia, "_pid", None)
    for variable in (julia.EXE, julia.PROJECT, "JULIA_DEPOT_PATH"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.delitem(sys.modules, "juliacall", raising=False)


@pytest.fixture
def prescribed(monkeypatch, tmp_path):
    """A Julia and an environment of the user's own."""
    (tmp_path / "Project.toml").touch()
    monkeypatch.setenv(julia.EXE, sys.executable)
    monkeypatch.setenv(julia.PROJECT, str(tmp_path))


class FakeJulia:
    """What importing juliacall gives, as far as it is used."""

    def __init__(self, monkeypatch):
        self.included = []
        self.module = ModuleType("juliacall")
        self.module.JuliaError = FakeError
        self.module.Main = SimpleNamespace(
            include=self.include,
            Sim2RealCat=SimpleNamespace(double=lambda x: 2 * x, fail=self.fail),
            Threads=SimpleNamespace(nthreads=lambda: 1),
        )
        monkeypatch.setattr(julia, "_import", lambda: self.module)

    def include(self, path):
        time.sleep(0.01)  # time for another thread to come
        self.included.append(path)

    def fail(self):
        raise FakeError("BoundsError: no such part\nStacktrace:\n [1] somewhere")


@pytest.fixture
def fake(monkeypatch, prescribed):
    return FakeJulia(monkeypatch)


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


# Starting


def test_it_starts_once_and_calls_by_name(fake):
    threads = [threading.Thread(target=julia.start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fake.included == [str(julia.source())]
    assert julia.call("double", 21) == 42


def test_the_environment_is_left_alone(fake):
    before = dict(os.environ)
    julia.start()
    assert dict(os.environ) == before


def test_an_error_in_julia_is_one_line_with_its_trace_as_the_cause(fake):
    with refused(EngineError, "Catlab could not compute this (fail: BoundsError: no such part)", "embedded") as caught:
        julia.call("fail")
    assert isinstance(caught.value.__cause__, FakeError)


@pytest.mark.parametrize("succeeds", [True, False])
def test_a_fork_cannot_use_julia_whatever_its_parent_is_doing(fake, monkeypatch, succeeds):
    if succeeds:
        julia.start()
    else:
        fake.module.Main.include = None
        with pytest.raises(TypeError):
            julia.start()
    parent = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: parent + 1)
    holding, release = threading.Event(), threading.Event()

    def hold():
        with julia._lock:
            holding.set()
            release.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    holding.wait(10)
    with refused(EngineError, f"Julia was started in process {parent}", "fork", "'spawn'"):
        julia.call("double", 1)
    release.set()
    thread.join()


def test_a_julia_without_catlab(fake):
    def include(_):
        raise FakeError("ArgumentError: Package Catlab not found\nStacktrace:")

    fake.module.Main.include = include
    with refused(
        EngineError, "Julia could not load Catlab (ArgumentError: Package Catlab not found)", "add PythonCall"
    ):
        julia.start()
    fake.module.Main.include = fake.include
    assert julia.call("double", 1) == 2


def test_a_julia_that_does_not_come_up(prescribed, monkeypatch):
    def fail():
        raise OSError("libjulia.so: cannot open")

    monkeypatch.setattr(julia, "_import", fail)
    with refused(EngineError, "Julia could not be started (libjulia.so: cannot open)", "add PythonCall, Catlab"):
        julia.start()


def test_several_threads_of_a_julia_that_runs_already_are_warned_of(fake, monkeypatch):
    monkeypatch.setitem(sys.modules, "juliacall", fake.module)
    monkeypatch.delenv(julia.EXE)
    monkeypatch.delenv(julia.PROJECT)
    assert julia.found() == "the one that runs in this process"
    fake.module.Main.Threads.nthreads = lambda: 4
    with pytest.warns(RuntimeWarning, match="several Julia threads"):
        julia.start()


# Installing


def test_installing_says_how_long_and_how_big(fake, monkeypatch, tmp_path):
    monkeypatch.delenv(julia.EXE)
    monkeypatch.delenv(julia.PROJECT)
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
    assert len(said) == 2
    assert re.sub(r"after \d+ s", "after N s", said[1]) == (
        f"Catlab is ready after N s; it takes 0.03 GB in {depot} and {project}"
    )
    assert fake.included


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


# The Julia module


def test_the_module_is_found_in_a_checkout():
    assert julia.source().is_file()
    assert julia.source().parent.name == "julia"


def test_an_installation_without_the_module(monkeypatch, tmp_path):
    monkeypatch.setattr(julia, "__file__", str(tmp_path / "a" / "b" / "c" / "julia.py"))
    with refused(EngineError, "Sim2RealCat.jl is missing: install sim2real-cat again"):
        julia.source()
