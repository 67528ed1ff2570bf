"""Julia in a worker process: it is started when the Catlab engine is first used, and asked one call at a time.

A process of its own makes that a call can be stopped, by Ctrl-C, a time limit or the end of Python, whatever Julia is
doing; that a crash of Julia is an error and not the end of Python; and that Julia's threads, signals and libraries meet
nobody else's. After it was stopped, the next call starts another one. A fork starts its own.
"""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from io import RawIOBase
from pathlib import Path
from typing import Any, Protocol, cast

from sim2real_cat.acsets.catlab.frames import packed, read_frame, unpacked, write_frame
from sim2real_cat.errors import EngineError

MODULE = "Sim2RealCat"
"""The Julia package and its module."""

WORKER = "sim2real_cat.acsets.catlab.worker"
"""The Python module that the process runs."""

EXE, PROJECT = "PYTHON_JULIACALL_EXE", "PYTHON_JULIACALL_PROJECT"
"""juliacall's variables for a Julia, and an environment with the packages of juliapkg.json, that are there already."""

SECONDS = "SIM2REAL_CAT_CATLAB_SECONDS"
"""The variable for the seconds that one call may take."""

CALL_SECONDS, START_SECONDS = 600.0, 3600.0
"""The seconds that a call may take where the variable is not set, and a start, which compiles when it is the first."""

INSTALL = "sim2real-cat engines --install catlab"

_FAULTS = {
    "AssertionError",
    "AttributeError",
    "BoundsError",
    "FieldError",
    "KeyError",
    "LoadError",
    "MethodError",
    "TypeError",
    "UndefKeywordError",
    "UndefRefError",
    "UndefVarError",
}
"""Exceptions in Julia that no data can cause, as Python checks all that it sends: faults of this package or Catlab."""

_lock = threading.RLock()
_worker: Worker | None = None


class JuliaError(Exception):
    """An exception in Julia as text: its name and message, then the stack trace."""


class Worker(Protocol):
    """A Julia that can be asked."""

    @property
    def alive(self) -> bool:
        """Tell whether it can be asked."""
        ...

    @property
    def versions(self) -> dict[str, str]:
        """The versions of Catlab and Julia."""
        ...

    def answer(self, function: str, arguments: tuple[object, ...], seconds: float) -> Any:
        """Call a function of the Julia module; a `JuliaError` is what it raises there."""
        ...

    def holds(self, handle: object) -> bool:
        """Return whether an object that a call returned is there."""
        ...

    def close(self) -> None:
        """End it."""
        ...


def call(function: str, *arguments: object) -> Any:
    """Call a function of the Julia module by its name, one call at a time.

    Args:
        function: the name.
        arguments: texts, numbers, None, one-dimensional arrays of int64, float64 and bool, and objects that a call
            returned.

    Returns:
        The same kinds, and tuples of them.

    Raises:
        EngineError: where Julia cannot be started, or ends, or takes longer than it may, or the function fails; Julia's
            stack trace is the cause.
    """
    seconds = _seconds()
    with _lock:
        worker = _running()
        try:
            return worker.answer(function, arguments, seconds)
        except JuliaError as trace:
            raise EngineError(_failure(function, str(trace), worker.versions)) from trace


def start() -> None:
    """Start Julia and load the module, unless that is done.

    Raises:
        EngineError: where Julia or Catlab is not here, with what to do.
    """
    with _lock:
        _running()


def lives(handle: object) -> bool:
    """Return whether an object that a call returned is still there: it ends with the process that holds it."""
    worker = _worker
    return worker is not None and worker.holds(handle)


def missing() -> str | None:
    """Return on one line why the engine cannot start here and what to do about it; None where it can.

    Julia is not started, and nothing is installed or downloaded; juliapkg may make an empty folder for it.
    """
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
    import juliapkg

    return f"{juliapkg.executable()} with the packages of {juliapkg.project()}"


def is_compiled() -> bool:
    """Return whether Julia keeps a compiled form of the module that is newer than its files, without starting Julia.

    One of another version of Julia, or for another environment, counts as well: Julia may have to compile again.
    """
    written = max(path.stat().st_mtime for path in (folder() / "julia").glob("*.jl"))
    compiled = (_depot() / "compiled").glob(f"v*/{MODULE}/*.ji")
    return any(path.stat().st_mtime >= written for path in compiled)


def expected_start() -> str:
    """Return in words how long the next start will take; measured on a core of a busy machine, with Catlab 0.17.4."""
    return "compiled, it starts in some 10 s" if is_compiled() else "its first start compiles for minutes, once"


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
        raise EngineError(f"Catlab could not be installed ({_first_line(str(error))}): try again with a network") from (
            error
        )
    say("compiling what Python asks of Catlab, for minutes, so that later starts are short")
    compiling = time.monotonic()
    start()
    now, size = time.monotonic(), _size(depot) - before + (_size(project) if depot not in project.parents else 0)
    say(
        f"Catlab is ready after {now - begun:.0f} s, of which {now - compiling:.0f} s compiled and started it; "
        f"it takes {size / 1e9:.2f} GB in {depot} and {project}"
    )


def folder() -> Path:
    """Return the folder of the Julia package, the installed package's or the checkout's: it has a Project.toml.

    Raises:
        EngineError: where it is in neither.
    """
    package = Path(__file__).parents[2]
    for place in (package, package.parent):
        if (place / "Project.toml").is_file() and (place / "julia" / f"{MODULE}.jl").is_file():
            return place
    raise EngineError(f"{package / 'julia' / MODULE}.jl is missing: install sim2real-cat again")


# The worker, seen from here


class Handle:
    """An object in a worker. When it is collected here, the worker lets go of it with the next call.

    Attributes:
        owner: the worker that holds the object.
        number: its number there.
    """

    __slots__ = ("number", "owner")

    def __init__(self, owner: Process, number: int) -> None:
        self.owner, self.number = owner, number

    def __del__(self) -> None:
        self.owner.released.append(self.number)

    def __reduce_ex__(self, protocol: object) -> Any:
        raise TypeError("an object in Julia cannot be pickled or copied")


@dataclass(frozen=True)
class _Ended:
    """The end of a worker: its exit code, negative for a signal, and the last line that it wrote to stderr."""

    code: int
    line: str


class Process:
    """A worker process.

    One thread starts it and moves frames: to it, and back from it. So the process can be told to end with that thread,
    and whoever waits for an answer only waits, which can be interrupted, and ended after a time.

    Raises:
        EngineError: where Julia, or the module, cannot be loaded, or this takes longer than it may.
    """

    def __init__(self, seconds: float) -> None:
        self.versions: dict[str, str] = {}
        self.released: deque[int] = deque()
        self._requests: queue.SimpleQueue[list[memoryview] | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[list[bytearray] | _Ended | OSError] = queue.SimpleQueue()
        self._process: subprocess.Popen[bytes] | None = None
        self._said = bytearray()
        self._is_closed = False
        command = [sys.executable, "-P", "-m", WORKER, str(os.getpid()), str(folder()), MODULE]
        self._thread = threading.Thread(target=self._run, args=(command,), name="Catlab", daemon=True)
        with self._closed_by_failure():
            self._thread.start()
            self._get_ready(seconds)

    @property
    def alive(self) -> bool:
        """Tell whether it can be asked."""
        return not self._is_closed and self._process is not None and self._process.poll() is None

    def holds(self, handle: object) -> bool:
        """Return whether an object that a call returned is there."""
        return isinstance(handle, Handle) and handle.owner is self and self.alive

    def answer(self, function: str, arguments: tuple[object, ...], seconds: float) -> Any:
        """Call a function of the Julia module.

        Raises:
            JuliaError: what the function raises.
            EngineError: where the worker ends, or takes longer than it may, or an argument is of another one.
        """
        released = [self.released.popleft() for _ in range(len(self.released))]
        try:
            request = packed((function, arguments, released), self._number_of)
        except BaseException:
            self.released.extend(released)
            raise
        with self._closed_by_failure():
            self._requests.put(request)
            pieces = self._wait(seconds, f"Catlab computes ({function}) ...")
            if pieces is None:
                raise EngineError(
                    f"Catlab did not answer within {seconds:g} s ({function}) and was stopped: "
                    f"allow more seconds with {SECONDS}, or ask the embedded engine"
                )
            if isinstance(pieces, _Ended):
                raise EngineError(
                    f"Catlab's process ended in a call ({function}) {_described(pieces)}: "
                    "ask again, which starts another, or ask the embedded engine"
                )
            assert not isinstance(pieces, OSError), "only a start raises these"
            kind, result = unpacked(pieces, lambda number: Handle(self, number))
        if kind == "raised":
            raise JuliaError(result)
        return result

    def close(self) -> None:
        """End the process, and all that it started, whatever it is doing."""
        self._is_closed = True
        self._kill()
        self._requests.put(None)
        self._thread.join(10)

    def forget(self) -> None:
        """Let go of the process in a fork of the one that started it, without ending it."""
        self._is_closed = True
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
                assert pipe is not None
                pipe.close()
            self._process.returncode = 0  # it is not ours to wait for

    @contextlib.contextmanager
    def _closed_by_failure(self) -> Iterator[None]:
        """Close the worker where anything goes wrong, Ctrl-C as well: an answer that is still to come would stay."""
        try:
            yield
        except BaseException:
            self.close()
            raise

    def _get_ready(self, seconds: float) -> None:
        """Wait until the worker is ready."""
        pieces = self._wait(seconds, "starting Catlab ...", after=0.0)
        if pieces is None:
            raise EngineError(f"Julia did not start within {seconds:g} s and was stopped: {_hint()}")
        if isinstance(pieces, OSError):
            raise EngineError(f"Catlab's process could not be started ({pieces}): {_hint()}") from pieces
        if isinstance(pieces, _Ended):
            raise EngineError(f"Julia could not be started, its process ended {_described(pieces)}: {_hint()}")
        kind, found = unpacked(pieces, lambda number: Handle(self, number))
        if kind == "ready":
            self.versions = found
            return
        line = _first_line(found)
        if kind == "not started":
            raise EngineError(f"Julia could not be started ({line}): {_hint()}") from JuliaError(found)
        self.close()  # so that all that it wrote to stderr has been read
        if "Failed to precompile" in line and (cause := self._last_line("ERROR: ")):
            line = f"{line}: {cause}"
        raise EngineError(f"Julia could not load Catlab ({line}): {_load_hint(found)}") from JuliaError(found)

    def _number_of(self, value: object) -> int | None:
        if not isinstance(value, Handle):
            return None
        if value.owner is not self:
            raise EngineError("an object in Julia was lost as the process that held it ended: ask again")
        return value.number

    def _wait(self, seconds: float, note: str, after: float = 1.0) -> list[bytearray] | _Ended | OSError | None:
        """Return the next answer, None where there is none in time; terminals see a note after some seconds."""
        now = time.monotonic()
        deadline, shown_from = now + seconds, now + after
        with contextlib.ExitStack() as shown:
            while (left := deadline - time.monotonic()) > 0:
                try:
                    # In slices, as Windows hears Ctrl-C only between them.
                    return self._answers.get(timeout=min(left, 0.25))
                except queue.Empty:
                    if (
                        time.monotonic() >= shown_from
                        and _is_terminal()
                        and not hasattr(sys.stderr, "rich_proxied_file")
                    ):
                        # Of rich's progress bars there is none already, beside which it would not fit.
                        shown.enter_context(_spinner(note))
                        shown_from = math.inf
        return None

    # In the thread

    def _run(self, command: list[str]) -> None:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(entry or os.curdir for entry in sys.path)},
                start_new_session=True,  # so that Ctrl-C in a terminal reaches only Python
            )
        except OSError as error:
            self._answers.put(error)
            return
        to, back = cast(RawIOBase, process.stdin), cast(RawIOBase, process.stdout)
        self._process = process
        if self._is_closed:  # while it was starting
            self._kill()
        listener = threading.Thread(target=self._listen, args=(process.stderr,), name="Catlab's stderr", daemon=True)
        listener.start()
        try:
            self._answers.put(read_frame(back))
            while (request := self._requests.get()) is not None:
                write_frame(to, request)
                self._answers.put(read_frame(back))
        except (OSError, EOFError):
            pass  # it ended
        except (MemoryError, OverflowError):
            self._kill()  # an answer has no room here
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            self._kill()
            process.wait()
        listener.join(1)
        for pipe in (to, back):
            pipe.close()
        self._answers.put(_Ended(process.returncode, self._last_line()))

    def _listen(self, stream: Any) -> None:
        """Keep the end of what the process writes to stderr."""
        with stream:
            while said := stream.read(65536):
                self._said += said
                del self._said[:-65536]

    def _kill(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        if os.name == "posix":
            with contextlib.suppress(ProcessLookupError, PermissionError):  # it ended; macOS says the second
                os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()

    def _last_line(self, beginning: str = "") -> str:
        lines = [line.strip() for line in bytes(self._said).decode(errors="replace").splitlines()]
        return next((line for line in reversed(lines) if line and line.startswith(beginning)), "")


def _running() -> Worker:
    """Return the worker; start one where there is none, or where it ended."""
    global _worker
    if _worker is None or not _worker.alive:
        if _worker is not None:
            _worker.close()
            _worker = None
        if problem := missing():
            raise EngineError(problem)
        if _is_terminal():
            print(f"Catlab: {expected_start()}; a first query or coproduct takes 5 to 15 s more", file=sys.stderr)
        _worker = Process(max(START_SECONDS, _seconds()))
    return _worker


def _end() -> None:
    """End the worker with Python."""
    global _worker
    if _worker is not None:
        _worker.close()
        _worker = None


def _forget() -> None:
    """Leave the worker to the process of which this one is a fork."""
    global _lock, _worker
    _lock = threading.RLock()  # another thread may have held it
    if isinstance(_worker, Process):
        _worker.forget()
        _worker = None


atexit.register(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


# Words


def _seconds() -> float:
    """Return the seconds that a call may take.

    Raises:
        EngineError: where the variable is not a positive number.
    """
    text = os.environ.get(SECONDS)
    if text is None:
        return CALL_SECONDS
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds > 0):
        raise EngineError(f"{SECONDS}={text} is not a positive number of seconds: set it to one, such as 600")
    return seconds


def _failure(function: str, text: str, versions: dict[str, str]) -> str:
    """Return the message for an exception in Julia, by whose fault it is."""
    line = _first_line(text)
    if _is_package_missing(text):
        return f"Catlab could not compute this ({function}: {line}): {_hint()}"
    if line.split(":")[0].split("(")[0] in _FAULTS:
        return (
            f"sim2real_cat failed ({function}: {line}): this is a fault of sim2real_cat {version('sim2real-cat')} "
            f"{_with(versions)}, report it with this line; meanwhile the embedded engine can answer"
        )
    return f"Catlab could not compute this ({function}: {line}): ask the embedded engine, which needs no Julia"


def _with(versions: dict[str, str]) -> str:
    return "with " + " and ".join(f"{name} {number}" for name, number in versions.items())


def _is_package_missing(text: str) -> bool:
    """Return whether Julia looked for a package and did not find it."""
    return "ArgumentError: Package " in text


def _load_hint(text: str) -> str:
    """Return advice where the module could not be loaded."""
    if _is_package_missing(text) or ("Failed to precompile" in text and f"precompile {MODULE}" not in text):
        return _hint()
    return (
        f"where the packages are those of juliapkg.json, this is a fault of sim2real_cat {version('sim2real-cat')}, "
        f"report it with this line; else {_hint()}"
    )


def _described(end: _Ended) -> str:
    """Return the end of a process in words."""
    if end.code >= 0:
        how = f"with exit code {end.code}"
    else:
        try:
            name = signal.Signals(-end.code).name
        except ValueError:
            name = f"signal {-end.code}"
        how = f"by {name}" + (", as when memory runs out" if name == "SIGKILL" else "")
    return f"{how} (its last line: {end.line})" if end.line else how


def _hint() -> str:
    """Return advice on how to get Catlab."""
    if EXE in os.environ and PROJECT in os.environ:
        return (
            f"see that {os.environ[EXE]} is a Julia 1.11 or 1.12, and add PythonCall, Catlab, ACSets, JSON3 and "
            f"PrecompileTools to {os.environ[PROJECT]}"
        )
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


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _spinner(note: str) -> Any:
    """Return a note for terminals that it takes a while."""
    from rich.console import Console

    return Console(stderr=True).status(note)


def _first_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[0].strip() if lines else "without a message"
