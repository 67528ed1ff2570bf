"""Where an instance can live: in numpy columns here, or in Julia, where Catlab.jl computes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sim2real_cat.errors import EngineError, unknown_name

if TYPE_CHECKING:
    from sim2real_cat.acsets.acset import ACSet

EngineName = Literal["embedded", "catlab"]
ENGINES: tuple[EngineName, ...] = ("embedded", "catlab")


def engine_of(*instances: ACSet) -> EngineName:
    """Which engine computes with these instances together: Catlab where one of them lives there."""
    return "catlab" if any(instance.engine == "catlab" for instance in instances) else "embedded"


def require_engine(engine: str) -> None:
    """See that an engine is here; Catlab is started.

    Raises:
        EngineError: for an engine that is not known, or not installed.
    """
    if engine not in ENGINES:
        raise EngineError(unknown_name("engine", str(engine), ENGINES))
    if engine == "catlab":
        from sim2real_cat.acsets.catlab import julia

        julia.start()
