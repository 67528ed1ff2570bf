"""Queries whose names are known and whose types agree, with numbers for variables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from sim2real_cat.acsets.codecs import Codec, type_name
from sim2real_cat.acsets.query.ast import Constant, Value


class Kind(NamedTuple):
    """What the values of a variable are.

    Attributes:
        name: an object or an attribute type.
        python_type: of an attribute type; None for the ids of an object.
    """

    name: str
    python_type: type | Codec | None

    def __str__(self) -> str:
        return f"a part of {self.name}" if self.python_type is None else f"{self.name}, {type_name(self.python_type)}"


@dataclass
class Unknown:
    """A variable of the resolved query: named ones, and one for each part that the query does not name.

    Attributes:
        kind: the type of its values.
        label: how messages call it.
        place: where it first stood.
        fixed: its value, where a parameter or an equation says so.
    """

    kind: Kind
    label: str
    place: str
    fixed: Value | None = None


@dataclass(frozen=True)
class Restriction:
    """A comparison between a variable, by number, and a variable or a value."""

    left: int
    op: str
    right: int | Constant

    @property
    def variables(self) -> tuple[int, ...]:
        """The numbers of the variables on both sides."""
        return (self.left,) if isinstance(self.right, Constant) else (self.left, self.right)


@dataclass(frozen=True)
class Pattern:
    """One atom: the number of the variable for its part, and what its arrows are.

    Attributes:
        ob: the object.
        part: a variable.
        arrows: pairs of a hom or attribute and a variable or a value.
    """

    ob: str
    part: int
    arrows: tuple[tuple[str, int | Constant], ...]


@dataclass
class Resolved:
    """A query whose names are known and whose types agree.

    Attributes:
        unknowns: the variables; patterns, restrictions and outputs refer to them by their position.
        patterns: one for each atom.
        restrictions: the comparisons, but for equations, which have become one variable or a fixed one.
        out: name and variable of each output.
        impossible: whether two values that differ were demanded of one variable.
    """

    unknowns: list[Unknown] = field(default_factory=list)
    patterns: list[Pattern] = field(default_factory=list)
    restrictions: list[Restriction] = field(default_factory=list)
    out: list[tuple[str, int]] = field(default_factory=list)
    impossible: bool = False
