"""A package `juliacall` for worker processes under test: it answers as Julia would, and does as it is told.

Tests write it into a folder and put that on `sys.path`, which worker processes are given.
"""

from __future__ import annotations

import sys
from pathlib import Path

SOURCE = '''
import os, signal, sys, time, types
import numpy as np

FOLDERS = []
STATE = {"calls": 0, "freed": 0}

class JuliaError(Exception):
    pass

class Vector:
    """A Julia vector: of numbers it has an array interface, of anything else it has none."""
    def __init__(self, values):
        self.values = values
    @property
    def __array_interface__(self):
        if isinstance(self.values, np.ndarray):
            return self.values.__array_interface__
        raise AttributeError("__array_interface__")

class Instance:
    def __init__(self, value):
        self.value = value
    def __del__(self):
        STATE["freed"] += 1

def fail(text):
    raise JuliaError(text)

def hang():
    while True:
        time.sleep(60)

def describe(*arguments):
    """What arrived, in words."""
    return " ".join(f"{type(a).__name__}:{a.dtype}{a.shape}" if isinstance(a, np.ndarray) else f"{type(a).__name__}:{a}"
                    for a in arguments)

def same(*values):
    return tuple(Vector(v) if isinstance(v, np.ndarray) else v for v in values)

def say(text):
    print(text)
    print(text, file=sys.__stdout__, flush=True)
    os.write(1, text.encode())
    sys.stderr.write(text + "\\n")
    return sys.stdin.read()

def end(code, text=""):
    sys.stderr.write(text)
    sys.stderr.flush()
    os._exit(code)

module = types.SimpleNamespace(
    fail=fail, hang=hang, describe=describe, same=same, say=say, end=end,
    pid=os.getpid, folders=lambda: tuple(FOLDERS), make=Instance, value=lambda instance: instance.value,
    freed=lambda: STATE["freed"], die=lambda: os.kill(os.getpid(), signal.SIGKILL),
    texts=lambda: Vector(["a", "b"]), small=lambda: Vector(np.zeros(2, np.int32)), double=lambda x: 2 * x,
    wait=lambda seconds: time.sleep(seconds), session=lambda: os.getsid(0),
    threads=lambda: os.environ["PYTHON_JULIACALL_THREADS"],
)

def seval(code):
    if "LOAD_PATH" in code:
        return FOLDERS.append
    if code == "using Sim2RealCat":
        return LOAD()
    if "pkgversion" in code:
        return "0.17.4"
    if "VERSION" in code:
        return "1.12.5"
    if code == "Base.collect":
        return np.array
    assert code == "Sim2RealCat", code
    return module

LOAD = lambda: None
Main = types.SimpleNamespace(seval=seval)
'''


def write_juliacall(folder: Path, more: str = "") -> None:
    """Write the package, and more statements at its end, and let worker processes find it."""
    home = folder / "juliacall"
    home.mkdir(exist_ok=True)
    (home / "__init__.py").write_text(SOURCE + more, encoding="utf-8")
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
