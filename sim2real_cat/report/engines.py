"""What this machine has: the engines that can hold an instance, and the physics."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from sim2real_cat.acsets.catlab import julia


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
    """The engines, in the order in which a person asks for them; nothing is started."""
    numpy, mujoco, problem = _version("numpy"), _version("mujoco"), julia.missing()
    return [
        Engine("embedded", numpy is not None, f"ACSets as numpy {numpy} columns" if numpy else "pip install numpy"),
        Engine("mujoco", mujoco is not None, f"physics by MuJoCo {mujoco}" if mujoco else "pip install 'mujoco>=4,<5'"),
        Engine("catlab", problem is None, problem or f"Catlab by Julia: {julia.found()}; started when first used"),
    ]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
