"""The engines that can hold an instance; naming them loads neither numpy nor Julia."""

from __future__ import annotations

from typing import Literal

from sim2real_cat.errors import EngineError, unknown_name

EngineName = Literal["embedded", "catlab"]
"""The home of an instance: numpy columns here, or Julia, in which Catlab.jl computes."""

ENGINES: tuple[EngineName, ...] = ("embedded", "catlab")


def require_engine(engine: str) -> None:
    """Refuse an engine that is not here; start Catlab where it is asked for.

    Raises:
        EngineError: for an engine that is not known, or not installed.
    """
    if engine not in ENGINES:
        raise EngineError(unknown_name("engine", str(engine), ENGINES))
    if engine == "catlab":
        from sim2real_cat.acsets.catlab import julia

        julia.start()
