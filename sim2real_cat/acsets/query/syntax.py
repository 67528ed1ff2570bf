"""Conjunctive queries as values: atoms over variables, comparisons, and what to give out.

A query can be written as text (:mod:`sim2real_cat.acsets.query.text`) or put together from these classes,
as the search for homomorphisms does: the canonical query of an instance has one atom for each part.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

Value = Any
"""An id, or a value of an attribute type: float, int, str, bool, or whatever its codec has."""

ID = "_id"
"""The name of the argument that stands for the part itself, as in the exchange format."""

OPERATORS = ("==", "!=", "<", "<=", ">", ">=")


@dataclass(frozen=True)
class Variable:
    """A name that takes one value in each row of the answer: a part of an object, or a value of an attribute."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Constant:
    """A value written in the query: an id where a part is meant, otherwise a value of an attribute."""

    value: Value

    def __str__(self) -> str:
        return json.dumps(self.value, ensure_ascii=False, default=repr)


@dataclass(frozen=True)
class Parameter:
    """A place, written ``$name``, whose value is handed over beside the query."""

    name: str

    def __str__(self) -> str:
        return f"${self.name}"


Term = Variable | Constant | Parameter


@dataclass(frozen=True)
class Atom:
    """One part of an object, and what some of its arrows are.

    Attributes:
        ob: the object.
        arguments: pairs of an arrow and what it is: ``_id`` for the part, a hom or an attribute of ``ob``.
    """

    ob: str
    arguments: tuple[tuple[str, Term], ...] = ()

    def __str__(self) -> str:
        return f"{self.ob}({', '.join(f'{name}={term}' for name, term in self.arguments)})"


@dataclass(frozen=True)
class Comparison:
    """``left op right``, with an operator of :data:`OPERATORS`."""

    left: Term
    op: str
    right: Term

    def __str__(self) -> str:
        return f"{self.left} {self.op} {self.right}"


@dataclass(frozen=True)
class ConjunctiveQuery:
    """All assignments of parts to atoms under which atoms with the same variable agree and the comparisons hold.

    Attributes:
        atoms: in the order that sorts the rows of the answer.
        out: the variables to give out; None for all of them in the order of their first appearance.
        comparisons: conditions on the variables of the atoms.
    """

    atoms: tuple[Atom, ...]
    out: tuple[str, ...] | None = None
    comparisons: tuple[Comparison, ...] = ()

    def __str__(self) -> str:
        return ", ".join(map(str, self.atoms))
