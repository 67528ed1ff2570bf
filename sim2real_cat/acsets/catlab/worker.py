"""The process in which Julia runs: the only file that imports juliacall.

``python -m sim2real_cat.acsets.catlab.worker PARENT FOLDER MODULE`` is started by
:mod:`sim2real_cat.acsets.catlab.julia`, with the number of the process that starts it, and the folder and name of the
Julia package. Requests come in on standard input and answers go out on standard output, whose places are then taken by
nothing and by standard error, so that Julia and its packages may read and print as they like.

Vectors of integers, floats and booleans arrive in Python as arrays; texts, numbers, nothing and tuples as themselves.
Every other object stays here in a table, and its number crosses.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import signal
import sys
from dataclasses import dataclass
from io import RawIOBase
from typing import Any

import numpy as np

from sim2real_cat.acsets.catlab.frames import packed, read_frame, unpacked, write_frame

_DIE_WITH_PARENT = 1
"""``PR_SET_PDEATHSIG`` of Linux's ``prctl``."""

_PLAIN = (str, int, float, bool, type(None))


@dataclass(frozen=True)
class _Kept:
    """An object that stays here, by its number in the table."""

    number: int


class _Table:
    """The objects that were answers, until the other side lets go of them."""

    def __init__(self) -> None:
        self.objects: dict[int, object] = {}
        self._numbers = itertools.count()

    def crossing(self, value: Any) -> Any:
        """Return a Julia value as Python has it on the other side; keep it where it stays here."""
        if isinstance(value, _PLAIN):
            return value
        if isinstance(value, tuple):
            return tuple(map(self.crossing, value))
        if hasattr(type(value), "__array_interface__") and hasattr(value, "__array_interface__"):
            array = np.array(value)
            if array.dtype in (np.int64, np.float64, np.bool_) and array.ndim == 1:
                return array
        number = next(self._numbers)
        self.objects[number] = value
        return _Kept(number)


def serve(parent: int, folder: str, name: str) -> None:
    """Start Julia, load the package, and answer requests until there are no more.

    Args:
        parent: the number of the process that asks, with which this one ends.
        folder: the folder of the Julia package.
        name: the name of the package, which is that of its module.
    """
    _die_with(parent)
    requests, answers = _own_streams()

    def say(*answer: object) -> None:
        write_frame(answers, packed(answer, lambda value: value.number if isinstance(value, _Kept) else None))

    try:
        juliacall = _started()
    except Exception as error:
        say("not started", _text(error))
        return
    try:
        module, versions = _loaded(juliacall, folder, name)
        vector = juliacall.Main.seval("Base.collect")
    except Exception as error:
        say("not loaded", _text(error))
        return
    say("ready", versions)
    table = _Table()
    while True:
        try:
            pieces = read_frame(requests)
        except EOFError:
            return
        function, arguments, released = unpacked(pieces, table.objects.__getitem__)
        for number in released:
            del table.objects[number]
        try:
            # Julia's own vectors, for which the module is compiled ahead
            taken = [vector(value) if isinstance(value, np.ndarray) else value for value in arguments]
            found = table.crossing(getattr(module, function)(*taken))
        except Exception as error:
            say("raised", _text(error))
        else:
            say("found", found)
        arguments, taken, found = (), [], None  # what is released must not live on in here


def _die_with(parent: int) -> None:
    """End with the process that started this one, in the midst of a call as well; other systems than Linux cannot."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before
            sys.exit(1)


def _own_streams() -> tuple[RawIOBase, RawIOBase]:
    """Take standard input and output for the frames, and leave others in their places."""
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return os.fdopen(requests, "rb", buffering=0), os.fdopen(answers, "wb", buffering=0)


def _started() -> Any:
    """Import juliacall, which starts Julia, with one thread: with several, Python may crash."""
    os.environ.setdefault("PYTHON_JULIACALL_THREADS", "1")
    import juliacall

    return juliacall


def _loaded(juliacall: Any, folder: str, name: str) -> tuple[Any, dict[str, str]]:
    """Load the Julia package: the module, and the versions of what computes.

    The folder has a Project.toml that names the package and its dependencies. It comes last on the load path, so the
    dependencies are those of the active project. Julia keeps what it compiles in its depot, never in the folder.
    """
    main = juliacall.Main
    main.seval("folder -> (push!(LOAD_PATH, folder); nothing)")(folder)
    main.seval(f"using {name}")
    module = main.seval(name)
    versions = {
        "Catlab": str(main.seval(f"string(pkgversion({name}.Catlab))")),
        "Julia": str(main.seval("string(VERSION)")),
    }
    return module, versions


def _text(error: Exception) -> str:
    """Return an exception as text: of Julia its name, message and stack trace, of Python the first two."""
    text = str(error)
    return text if type(error).__name__ == "JuliaError" else f"{type(error).__name__}: {text}"


if __name__ == "__main__":
    serve(int(sys.argv[1]), *sys.argv[2:])
