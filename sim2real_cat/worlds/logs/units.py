"""Units of logged columns, and the factor by which each becomes the unit that MuJoCo counts in."""

from __future__ import annotations

import math
import re

from sim2real_cat.errors import WorldError, listed, unknown_name

UNITS: dict[str, tuple[str, float]] = {
    "1": ("plain number", 1.0),
    "%": ("plain number", 0.01),
    "rad": ("angle", 1.0),
    "mrad": ("angle", 1e-3),
    "deg": ("angle", math.pi / 180),
    "turn": ("angle", 2 * math.pi),
    "rad/s": ("angular velocity", 1.0),
    "deg/s": ("angular velocity", math.pi / 180),
    "turn/s": ("angular velocity", 2 * math.pi),
    "rpm": ("angular velocity", 2 * math.pi / 60),
    "m": ("length", 1.0),
    "cm": ("length", 1e-2),
    "mm": ("length", 1e-3),
    "m/s": ("velocity", 1.0),
    "cm/s": ("velocity", 1e-2),
    "mm/s": ("velocity", 1e-3),
    "m/s^2": ("acceleration", 1.0),
    "g": ("acceleration", 9.80665),  # standard gravity, CGPM 1901
    "N": ("force", 1.0),
    "mN": ("force", 1e-3),
    "kN": ("force", 1e3),
    "N m": ("torque", 1.0),
    "mN m": ("torque", 1e-3),
    "N mm": ("torque", 1e-3),
}
"""By name: what a unit measures, and how many of MuJoCo's units (m, rad, s, N, N m) it is."""

DERIVATIVES = {"angle": "angular velocity", "length": "velocity", "velocity": "acceleration"}
"""What the change per second of a quantity measures."""

TIME_UNITS: dict[str, int] = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
"""By name: how many of a unit of time make a second."""


def factor(unit: str, expected: str | None, place: str) -> float:
    """How many of MuJoCo's units one of `unit` is.

    Args:
        unit: a key of `UNITS`.
        expected: what the channel measures, a value of `UNITS`; None where that is not known.
        place: the channel, for messages.

    Raises:
        WorldError: no such unit, or one that measures something else.
    """
    if unit not in UNITS:
        raise WorldError(f"{place}: " + unknown_unit(unit, expected))
    dimension, value = UNITS[unit]
    if expected is not None and unit != "1" and dimension != expected:
        fitting = [name for name, (what, _) in UNITS.items() if what == expected]
        raise WorldError(f"{place} measures {expected}, '{unit}' {dimension}; write one of {', '.join(fitting)}")
    return value


_SPOKEN = (
    (r"\s*/\s*|\s+per\s+", "/"),
    (r"deg\w*|°", "deg"),
    (r"rads|radians?", "rad"),
    (r"revolutions?|revs?|turns", "turn"),
    (r"met(er|re)s?", "m"),
    (r"seconds?|secs?", "s"),
    (r"newtons?", "N"),
    (r"N[ .*·-]*m", "N m"),
)
"""How units are written elsewhere, and here."""


def unknown_unit(unit: str, expected: str | None = None) -> str:
    """One line for a unit that does not exist, with the nearest one of what the channel measures.

    Args:
        unit: no key of `UNITS`.
        expected: what the channel measures, a value of `UNITS`; None where that is not known.
    """
    valid = [name for name, (what, _) in UNITS.items() if expected in (None, what)]
    if unit in TIME_UNITS:
        return f"'{unit}' is a unit of time, which goes under [time]. Valid: {listed(valid)}"
    spoken = unit.strip()
    for pattern, short in _SPOKEN:
        spoken = re.sub(pattern, short, spoken, flags=re.IGNORECASE)
    if spoken in valid:
        return f"unknown unit '{unit}': did you mean '{spoken}'? Valid: {listed(valid)}"
    return unknown_name("unit", unit, valid)


def per_second(unit: str, place: str) -> int:
    """How many of a unit of time make a second.

    Raises:
        WorldError: no such unit.
    """
    if unit not in TIME_UNITS:
        raise WorldError(f"{place}: " + unknown_name("unit of time", unit, TIME_UNITS))
    return TIME_UNITS[unit]
