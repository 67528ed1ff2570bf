"""What this machine has: the engines that can hold an instance, and the physics."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version


@dataclass(frozen=True)
class Engine:
    """One engine and whether it can be used here.

    Attributes:
        name: what it is called.
        here: whether it can be used on this machine, by this version of the package.
        detail: its version, or what is missing and how to get it.
    """

    name: str
    here: bool
    detail: str


def engines() -> list[Engine]:
    """The engines, in the order in which a person asks for them; nothing is imported or started."""
    numpy, mujoco = _version("numpy"), _version("mujoco")
    return [
        Engine("embedded", numpy is not None, f"ACSets as numpy {numpy} columns" if numpy else "pip install numpy"),
        Engine("mujoco", mujoco is not None, f"physics by MuJoCo {mujoco}" if mujoco else "pip install 'mujoco>=4,<5'"),
        Engine("catlab", False, _catlab()),
    ]


def _catlab() -> str:
    """What of the Catlab engine is here already."""
    found = os.environ.get("PYTHON_JULIACALL_EXE") or shutil.which("julia")
    juliacall = _version("juliacall")
    bridge = f"juliacall {juliacall} is installed" if juliacall else "juliacall is missing: pip install juliacall"
    julia = f"Julia is at {found}" if found else "Julia was not found: install 1.11 or 1.12 from julialang.org"
    return f"not in this version of sim2real_cat, use embedded; {bridge}; {julia}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
