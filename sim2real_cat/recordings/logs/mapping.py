"""Mappings: the joint, actuator or sensor of each column of a log, with its unit, sign and zero.

A mapping in TOML, where a text alone stands for a column that needs nothing more::

    control_period = 0.02              # seconds; resample to this
    policy = "swing-up"

    [time]
    column = "stamp"
    unit = "ms"

    [state]                            # joints of the model
    "qpos[hinge]" = { column = "angle", unit = "deg", sign = -1, zero = 12.5 }
    "qvel[hinge]" = "speed"

    [observation]                      # sensors of the world
    "sensordata[encoder]" = { column = "encoder", unit = "deg" }

    [action]                           # actuators of the model
    motor = "torque"
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from sim2real_cat.errors import WorldError, listed, unknown_name
from sim2real_cat.toml_table import TomlTable

if TYPE_CHECKING:
    import mujoco

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
"""The quantity that each unit measures, and its size in MuJoCo's units (m, rad, s, N, N m)."""

DERIVATIVES = {"angle": "angular velocity", "length": "velocity", "velocity": "acceleration"}
"""The quantity of the change per second of each quantity."""

TIME_UNITS: dict[str, int] = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
"""Number of each unit of time in a second."""


def unit_factor(unit: str, expected: str | None, place: str) -> float:
    """Return the size of a unit in MuJoCo's unit of the same quantity.

    Args:
        unit: a key of `UNITS`.
        expected: the quantity that the channel measures; None where that is not known.
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


_SPELLINGS = (
    (r"\s*/\s*|\s+per\s+", "/"),
    (r"deg\w*|°", "deg"),
    (r"rads|radians?", "rad"),
    (r"revolutions?|revs?|turns", "turn"),
    (r"met(er|re)s?", "m"),
    (r"seconds?|secs?", "s"),
    (r"newtons?", "N"),
    (r"N[ .*·-]*m", "N m"),
)
"""Patterns of other spellings of units, and the spelling in `UNITS`."""


def unknown_unit(unit: str, expected: str | None = None) -> str:
    """Return one line for a unit that does not exist, with the nearest one of that quantity.

    Args:
        unit: the unknown unit.
        expected: the quantity that the channel measures; None where that is not known.
    """
    valid = [name for name, (what, _) in UNITS.items() if expected in (None, what)]
    if unit in TIME_UNITS:
        return f"'{unit}' is a unit of time, which goes under [time]. Valid: {listed(valid)}"
    spoken = unit.strip()
    for pattern, short in _SPELLINGS:
        spoken = re.sub(pattern, short, spoken, flags=re.IGNORECASE)
    if spoken in valid:
        return f"unknown unit '{unit}': did you mean '{spoken}'? Valid: {listed(valid)}"
    return unknown_name("unit", unit, valid)


def ticks_per_second(unit: str, place: str) -> int:
    """Return the number of a unit of time in a second.

    Raises:
        WorldError: no such unit.
    """
    if unit not in TIME_UNITS:
        raise WorldError(f"{place}: " + unknown_name("unit of time", unit, TIME_UNITS))
    return TIME_UNITS[unit]


Duplicates = Literal["refuse", "first", "last"]
AtGaps = Literal["refuse", "split", "bridge"]
Missing = Literal["refuse", "drop"]
Resampling = Literal["linear", "none"]


@dataclass(frozen=True)
class Channel:
    """One logged quantity: ``value = sign · scale · unit · (column - zero)``.

    Attributes:
        column: the column's name; ``"name[2]"``, ``"name[:, 2]"`` or ``"name[wrist]"`` for one component of a column
            of vectors, ``"name[0:3]"`` for several; in an npz, a ``*`` in the name stands for one episode per array.
            Several names are the components of one vector.
        unit: a key of `UNITS`; by default the unit that MuJoCo counts in.
        sign: 1, or -1 where the log counts in the direction opposite to the model's.
        zero: the reading of the column, in its own unit, where the model's quantity is 0.
        scale: a further factor, such as a gear ratio.
        unwrap: whether the column, before `scale`, jumps by a full turn where it leaves (-pi, pi].
        derivative: whether the quantity is the column's change per second, such as the velocity of a logged position.
            It is taken by central differences, so noise of the column grows with the rate of the log.
        time: the column of its timestamps, where it has another clock than the log.
        delay: seconds that its timestamps are late; they are taken off.
    """

    column: str | tuple[str, ...]
    unit: str = "1"
    sign: int = 1
    zero: float = 0.0
    scale: float = 1.0
    unwrap: bool = False
    derivative: bool = False
    time: str | None = None
    delay: float = 0.0

    def __post_init__(self) -> None:
        if not self.columns or not all(self.columns):
            raise WorldError("a channel needs the name of a column, got an empty one")
        place = f"column '{self.columns[0]}'"
        if self.unit not in UNITS:
            raise WorldError(f"{place}: " + unknown_unit(self.unit))
        if self.sign not in (1, -1):
            raise WorldError(f"{place}: sign is 1 or -1, got {self.sign}")
        for name in ("zero", "scale", "delay"):
            if not math.isfinite(getattr(self, name)):
                raise WorldError(f"{place}: {name} needs to be a finite number, got {getattr(self, name)}")
        if self.scale <= 0:
            raise WorldError(f"{place}: scale needs to be > 0, got {self.scale:g}; a reversed axis is sign = -1")

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, one or several."""
        return (self.column,) if isinstance(self.column, str) else self.column


@dataclass(frozen=True)
class Time:
    """The entry of a mapping on the times at which the rows of a log were recorded.

    Attributes:
        column: the column of timestamps; by default the format's own, or `period`.
        unit: ``s``, ``ms``, ``us`` or ``ns``; dates need none.
        period: seconds between two rows, for logs without timestamps.
        duplicates: refuse rows of the same time, or keep the first or last of them.
        longest_gap: seconds without a row beyond which there is a gap; 2.5 median periods where none are given.
        at_gaps: refuse gaps, split the episode there, or bridge them by interpolation.
        second_clock: another column of timestamps in the same unit, which is compared with the first.
    """

    column: str | None = None
    unit: str = "s"
    period: float | None = None
    duplicates: Duplicates = "refuse"
    longest_gap: float | None = None
    at_gaps: AtGaps = "refuse"
    second_clock: str | None = None

    def __post_init__(self) -> None:
        if self.unit not in TIME_UNITS:
            raise WorldError(unknown_name("unit of time", self.unit, TIME_UNITS))
        _one_of("duplicates", self.duplicates, Duplicates)
        _one_of("at_gaps", self.at_gaps, AtGaps)
        for name in ("period", "longest_gap"):
            _positive(name, getattr(self, name))
        if self.column is not None and self.period is not None:
            raise WorldError("give column or period, not both: rows with timestamps need no period")


class MappedWorld(Protocol):
    """The part of a `World` that a mapping reads: names, and the model in which they are looked up."""

    @property
    def name(self) -> str:
        """Name of the world, for messages."""

    @property
    def sensors(self) -> tuple[str, ...]:
        """Names of the d observed channels."""

    @property
    def substeps(self) -> int:
        """Physics steps per control step."""

    def compile(self) -> mujoco.MjModel:
        """Compile the model."""


@dataclass(frozen=True)
class LogMapping:
    """The meaning of the columns of a log in a world.

    Attributes:
        state: joints by ``"qpos[joint]"`` and ``"qvel[joint]"``, or elements of them as in ``"qpos[root, 0:3]"``.
        observation: sensors of the world by name; a sensor with the name of an entry of `state` needs no entry here.
        action: actuators of the model by name.
        world: the world of these joints, sensors and actuators; without a world, `state` is empty and names are free.
        time: the times at which the rows were recorded.
        control_period: seconds between two control steps; None leaves the rows as they are.
        resampling: ``linear`` (actions hold, they never interpolate), or ``none``: every row is a control step.
        missing: refuse rows in which a channel has no value, or drop them for that channel.
        episode_column: a column whose values tell episodes apart; without one every file (or array) is an episode.
        policy: name of the policy that acted.
        policy_column: a column with that name.
        policies: that name by a pattern of the file's name, as in ``{"ddp*": "DDP"}``.
        reward: the reward of the action of each row.
        terminated: a column that is not 0 in the row whose action ended the episode.
        delimiter: character between the columns of a CSV; found in its first line where none is given.
        decimal_point: ``.`` or ``,``.
    """

    state: Mapping[str, Channel] = field(default_factory=dict)
    observation: Mapping[str, Channel] = field(default_factory=dict)
    action: Mapping[str, Channel] = field(default_factory=dict)
    world: MappedWorld | None = None
    time: Time = field(default_factory=Time)
    control_period: float | None = None
    resampling: Resampling = "linear"
    missing: Missing = "refuse"
    episode_column: str | None = None
    policy: str = ""
    policy_column: str | None = None
    policies: Mapping[str, str] = field(default_factory=dict)
    reward: Channel | None = None
    terminated: Channel | None = None
    delimiter: str | None = None
    decimal_point: str = "."

    def __post_init__(self) -> None:
        if not self.state and not self.observation:
            raise WorldError("a mapping needs columns under [state] or [observation], it has none")
        if self.state and self.world is None:
            raise WorldError("a mapping with a [state] needs the world whose joints these are; pass world=...")
        _one_of("resampling", self.resampling, Resampling)
        _one_of("missing", self.missing, Missing)
        _positive("control_period", self.control_period)
        for name, mark in (("delimiter", self.delimiter), ("decimal_point", self.decimal_point)):
            if mark is not None and len(mark) != 1:
                raise WorldError(f"{name} is one character, got {mark!r}")
        if not all(isinstance(name, str) for name in self.policies.values()):
            raise WorldError(f"[policies] needs a name for every pattern of files, got {dict(self.policies)}")
        if sum(bool(name) for name in (self.policy, self.policy_column, self.policies)) > 1:
            raise WorldError("policy, policy_column and [policies] all name the policy; keep one of them")

    @classmethod
    def from_toml(cls, path: str | Path, world: MappedWorld | None = None) -> LogMapping:
        """Read a mapping from a TOML file.

        Raises:
            WorldError: the file is missing or not TOML, or an entry is unknown, missing or has a wrong value.
        """
        return _read(TomlTable.read(Path(path), "mapping", WorldError), world)

    @classmethod
    def from_table(
        cls, table: Mapping[str, Any], world: MappedWorld | None = None, place: str = "mapping"
    ) -> LogMapping:
        """Read a mapping from a table, as TOML gives it.

        Raises:
            WorldError: an entry is unknown, missing or has a wrong value.
        """
        return _read(TomlTable(table, place, WorldError), world)


def _read(root: TomlTable, world: MappedWorld | None) -> LogMapping:
    """Return the mapping that a table describes."""
    return root.fill(
        LogMapping,
        world=world,
        policies=root.table("policies").values,
        time=root.table("time").fill(Time),
        **{part: _channels(root.table(part)) for part in ("state", "observation", "action")},
        **{name: _channel(root.raw(name), root.beside(name)) for name in ("reward", "terminated") if root.has(name)},
    )


def _channels(table: TomlTable) -> dict[str, Channel]:
    """Return a channel for every key of a table."""
    return {name: _channel(value, table.beside(name)) for name, value in table.values.items()}


def _channel(value: object, place: str) -> Channel:
    """Return the channel of a table; a text or a list of texts stands for a table with nothing but a column."""
    table = TomlTable({"column": value} if isinstance(value, str | list) else value, place, WorldError)
    if not table.has("column"):
        return table.fill(Channel)
    column = table.raw("column")
    if not isinstance(column, str | list) or not all(isinstance(name, str) for name in column):
        raise table.refusal(f"column needs to be a text or a list of texts, got {column!r}")
    return table.fill(Channel, column=column if isinstance(column, str) else tuple(column))


def _one_of(place: str, value: str, choice: Any) -> None:
    if value not in get_args(choice):
        raise WorldError(f"{place} is one of {listed(get_args(choice))}, got {value!r}")


def _positive(place: str, value: float | None) -> None:
    if value is not None and not (math.isfinite(value) and value > 0):
        raise WorldError(f"{place} needs to be > 0 seconds, got {value}")
