"""sim2real_cat: does a robot policy transfer from simulation to reality, by how much not, and why.

The names of the main job stand here; the rest stands in the floors, ``s2r.worlds``, ``s2r.gaps`` and so on, and in
the namespaces ``s2r.laws``, ``s2r.logs``, ``s2r.noise`` and ``s2r.strategies`` (``from sim2real_cat import noise``).
Every name is imported when it is first used, so that importing the package is quick and loads neither MuJoCo nor Julia.
"""

from __future__ import annotations

from importlib import import_module

import lazy_loader

_attached, _, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]

_NAMESPACES = {
    "laws": "transfer.laws",
    "logs": "recordings.logs",
    "noise": "worlds.sensors.noise",
    "strategies": "testing.strategies",
}
"""The namespaces at the top, and the modules inside the floors that they are."""


def __getattr__(name: str) -> object:
    if name == "__version__":
        return import_module("importlib.metadata").version("sim2real-cat")
    if name not in __all__:
        raise AttributeError(f"module 'sim2real_cat' has no attribute '{name}'")
    if name in _NAMESPACES:
        return import_module(f"sim2real_cat.{_NAMESPACES[name]}")
    return _attached(name)


def __dir__() -> list[str]:
    return sorted(__all__)
