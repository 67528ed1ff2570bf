"""Every exception that the package raises on purpose, and helpers to write its one line.

Each message names the thing, the place and the remedy in a single line; the command line prints
it after ``error:`` and exits with code 2.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class Sim2RealError(Exception):
    """Base of every error that the package raises on purpose: bad input, or something missing."""


class SchemaError(Sim2RealError):
    """A malformed schema, or a name or path that a schema does not have."""


class InstanceError(Sim2RealError):
    """Data that does not fit its schema: an id out of range, a wrong type, a wrong length."""


class ExchangeError(Sim2RealError):
    """A file or text that cannot be read as what it claims to be."""


class EngineError(Sim2RealError):
    """An engine that is not known, or not installed on this machine."""


class WorldError(Sim2RealError):
    """A model, task, sensor or parameter that a world cannot be built from."""


class PolicyError(Sim2RealError):
    """A policy that does not fit its world, cannot be read, or answers with NaN."""


class GapError(Sim2RealError):
    """Samples from which no honest divergence can be estimated."""


class LawError(Sim2RealError):
    """A law that is not known, or cannot be asked of this instance."""


class StudyError(Sim2RealError):
    """A study description with a wrong, missing or contradictory entry."""


class EvidenceError(Sim2RealError):
    """Events or proofs that are malformed or do not match their hash."""


class PlausibilityWarning(UserWarning):
    """Recorded numbers that are unlikely, such as velocities in degrees; they are used as they are."""


def one_line(value: object) -> str:
    """Return a value as text, such as the message of an error, in one line."""
    return " ".join(str(value).split())


def with_kind(error: BaseException) -> str:
    """Return an error in one line that begins with its class, as a traceback ends."""
    return one_line(f"{type(error).__name__}: {error}")


def listed(names: Iterable[str]) -> str:
    """Return names as ``a, b, c``, or ``(none)``."""
    return ", ".join(names) or "(none)"


def unknown_name(kind: str, name: str, valid: Iterable[str]) -> str:
    """Return one line for a name that does not exist: the nearest one that does, then all that do.

    >>> unknown_name("robot", "Hoper", ["Hopper", "Walker2d"])
    "unknown robot 'Hoper': did you mean 'Hopper'? Valid: Hopper, Walker2d"
    """
    names = list(valid)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f": did you mean '{near[0]}'?" if near else "."
    return f"unknown {kind} '{name}'{hint} Valid: {listed(names)}"
