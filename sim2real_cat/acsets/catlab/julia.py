"""Julia in this process: the only file that imports juliacall, when the Catlab engine is first used, once.

juliacall keeps its defaults, one Julia thread and Python's signal handling, and warns itself where torch was imported
first. A process that was forked after the start cannot use Julia; spawned ones start their own.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sim2real_cat.errors import EngineError

MODULE = "Sim2RealCat"
EXE, PROJECT = "PYTHON_JULIACALL_EXE", "PYTHON_JULIACALL_PROJECT"
"""juliacall's variables for a Julia, and an environment with the packages of juliapkg.json, that are there already."""

INSTALL = "sim2real-cat engines --install catlab"
_lock = threading.RLock()
_started: _Julia | None = None
_pid: int | None = None
"""The process in which Julia was started, or in which it was tried."""


@dataclass(frozen=True)
class _Julia:
    """Julia as it was started.

    Attributes:
        module: the Julia module whose functions are called.
        error: the exception that juliacall raises for one in Julia.
    """

    module: Any
    error: type[Exception]


def call(function: str, *arguments: object) -> Any:
    """Call a function of the Julia module by its name, one call at a time.

    Args:
        function: the name.
        arguments: texts, numbers, arrays, and Julia objects that a call returned.

    Raises:
        EngineError: where Julia cannot be started, or the function fails; Julia's stack trace is the cause.
    """
    julia = start()
    with _lock:
        try:
            return getattr(julia.module, function)(*arguments)
        except julia.error as error:
            raise EngineError(
                f"Catlab could not compute this ({function}: {_first_line(error)}): "
                "ask the embedded engine, which needs no Julia"
            ) from error


def start() -> _Julia:
    """Start Julia and load the module, unless that is done.

    Raises:
        EngineError: where Julia or Catlab is not here, with what to do; and in a forked process.
    """
    global _started
    if _pid is not None and _pid != os.getpid():  # before the lock, which another thread of the parent may have held
        raise EngineError(
            f"Julia was started in process {_pid}, of which this one is a fork, where it cannot run: "
            "start workers with multiprocessing's 'spawn'"
        )
    with _lock:
        if _started is None:
            if problem := missing():
                raise EngineError(problem)
            _started = _start()
        return _started


def missing() -> str | None:
    """Return on one line why the engine cannot start here and what to do about it; None where it can.

    Julia is not started, and nothing is installed or downloaded; juliapkg may make an empty folder for it.
    """
    if "juliacall" in sys.modules:
        return None  # it runs in this process already
    if (problem := _missing_package()) is not None:
        return problem
    exe, project = os.environ.get(EXE), os.environ.get(PROJECT)
    if exe is None and project is None:
        return None if _is_resolved() else f"the Catlab engine is not installed: {_hint()}"
    if exe is None or project is None:
        lone, other = (EXE, PROJECT) if project is None else (PROJECT, EXE)
        return f"the Catlab engine cannot start: {lone} is set and {other} is not: set both, or neither"
    if shutil.which(exe) is None:
        return f"the Catlab engine cannot start: {EXE}={exe} is no program: give the path of a julia"
    if not any((Path(project) / name).is_file() for name in ("Project.toml", "JuliaProject.toml")):
        return f"the Catlab engine cannot start: {PROJECT}={project} has no Project.toml: give a Julia environment"
    return None


def found() -> str:
    """Return the origin of the Julia that will be used."""
    if exe := os.environ.get(EXE):
        return f"{exe} with the packages of {os.environ.get(PROJECT)}"
    if "juliacall" in sys.modules:
        return "the one that runs in this process"
    import juliapkg

    return str(juliapkg.executable())


def install(say: Callable[[str], None]) -> None:
    """Download Julia and the packages of juliapkg.json, compile them, and start them once.

    Args:
        say: shown what is done, and at the end how long it took and how much it takes on the disk. juliapkg says on
            stderr what it does meanwhile.

    Raises:
        EngineError: where juliacall is not installed, a Julia is prescribed already, or installing fails.
    """
    for variable in (EXE, PROJECT):
        if variable in os.environ:
            raise EngineError(f"{variable} is set, so Julia is not installed: unset it, or install Catlab there")
    if (problem := _missing_package()) is not None:
        raise EngineError(problem)
    import juliapkg

    say("installing Julia and Catlab: downloads and compiles, for minutes")
    begun, depot = time.monotonic(), _depot()
    before = _size(depot)
    try:
        juliapkg.resolve()
        project = Path(juliapkg.project())
    except Exception as error:
        raise EngineError(f"Catlab could not be installed ({_first_line(error)}): try again with a network") from error
    start()
    size = _size(depot) - before + (_size(project) if depot not in project.parents else 0)
    say(
        f"Catlab is ready after {time.monotonic() - begun:.0f} s; it takes {size / 1e9:.2f} GB in {depot} and {project}"
    )


def source() -> Path:
    """Return the file of the Julia module, in the installed package or in the checkout.

    Raises:
        EngineError: where it is in neither.
    """
    package = Path(__file__).parents[2]
    for folder in (package / "julia", package.parent / "julia"):
        if (folder / f"{MODULE}.jl").is_file():
            return folder / f"{MODULE}.jl"
    raise EngineError(f"{package / 'julia' / MODULE}.jl is missing: install sim2real-cat again")


def _hint() -> str:
    """Return advice on how to get Catlab."""
    if EXE in os.environ and PROJECT in os.environ:
        return f"add PythonCall, Catlab, ACSets, JSON3 and PrecompileTools to {os.environ[PROJECT]}"
    return f"run '{INSTALL}' on a machine with a network, or set {EXE} and {PROJECT} to a Julia that has Catlab"


def _missing_package() -> str | None:
    for package in ("juliacall", "juliapkg"):
        if find_spec(package) is None:
            return f"the Catlab engine needs {package}: pip install {package}"
    return None


def _depot() -> Path:
    """Return the folder in which Julia keeps packages and what it compiles of them."""
    first = os.environ.get("JULIA_DEPOT_PATH", "").split(os.pathsep)[0]
    return Path(first) if first else Path.home() / ".julia"


def _size(folder: Path) -> int:
    """Return the bytes in a folder, 0 where there is none."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


def _is_resolved() -> bool:
    """Return whether juliapkg has a Julia with our packages, which it would otherwise download."""
    import juliapkg

    try:
        return bool(juliapkg.resolve(dry_run=True))
    except Exception:
        # Its environment is broken, such as a folder that cannot be written: installing it will say how.
        return False


def _start() -> _Julia:
    global _pid
    was_running = "juliacall" in sys.modules
    with _spinner():
        _pid = os.getpid()
        try:
            juliacall = _import()
        except Exception as error:
            raise EngineError(f"Julia could not be started ({_first_line(error)}): {_hint()}") from error
        if was_running and juliacall.Main.Threads.nthreads() > 1:
            warnings.warn(
                "juliacall runs with several Julia threads, with which Python may crash: start Julia with one",
                RuntimeWarning,
                stacklevel=2,
            )
        try:
            juliacall.Main.include(str(source()))
            module = getattr(juliacall.Main, MODULE)
        except juliacall.JuliaError as error:
            raise EngineError(f"Julia could not load Catlab ({_first_line(error)}): {_hint()}") from error
    return _Julia(module, juliacall.JuliaError)


def _import() -> Any:
    """Import juliacall, which starts Julia."""
    import juliacall

    return juliacall


def _spinner() -> Any:
    """Return a note for terminals that it takes a while."""
    from rich.console import Console

    return Console(stderr=True).status("starting Catlab ...")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__
