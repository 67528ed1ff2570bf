"""The engines on this machine: those that can hold an instance, and the physics."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from sim2real_cat.acsets.catlab import julia


@dataclass(frozen=True)
class InstalledEngine:
    """An engine, and whether it can be used here.

    Attributes:
        name: its name on the command line.
        here: whether it can be used on this machine, by this version of the package.
        detail: its version, or what is missing and how to get it.
    """

    name: str
    here: bool
    detail: str


def installed_engines() -> list[InstalledEngine]:
    """Return every engine, those that are missing too; none is started."""
    numpy, mujoco, problem = _version("numpy"), _version("mujoco"), julia.missing()
    return [
        InstalledEngine(
            "embedded", numpy is not None, f"ACSets as numpy {numpy} columns" if numpy else "pip install numpy"
        ),
        InstalledEngine(
            "mujoco", mujoco is not None, f"physics by MuJoCo {mujoco}" if mujoco else "pip install 'mujoco>=4,<5'"
        ),
        InstalledEngine(
            "catlab", problem is None, problem or f"Catlab by Julia: {julia.found()}; started when first used"
        ),
    ]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
