"""From a query and its parameters to variables with types: what can be known without looking at the data.

Queries whose names are known and whose types agree, with numbers for variables.

What the comparisons of a query mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.codecs import Codec, type_name
from sim2real_cat.acsets.coercion import MisfitError, allowed_ids, as_cells, as_ids, brief
from sim2real_cat.acsets.columns import DEFINED
from sim2real_cat.acsets.query.syntax import (
    ID,
    OPERATORS,
    Comparison,
    ConjunctiveQuery,
    Constant,
    Parameter,
    Term,
    Value,
)
from sim2real_cat.acsets.query.syntax import Variable as Named
from sim2real_cat.errors import InstanceError, SchemaError, listed, unknown_name

_NUMBERS = (int, float)


def resolve(instance: ACSet, query: ConjunctiveQuery, params: Mapping[str, object]) -> Resolved:
    """Give every variable its type and every parameter its place.

    Raises:
        SchemaError: for an unknown object, arrow, output, operator or parameter, for types that clash, and for
            a parameter without a value.
        InstanceError: for a value of the wrong type and an id that does not exist.
    """
    return _Resolver(instance, query, params).run()


class _Resolver:
    def __init__(self, instance: ACSet, query: ConjunctiveQuery, params: Mapping[str, object]) -> None:
        self.instance, self.query, self.params = instance, query, params
        self.result = Resolved()
        self.numbers: dict[str, int] = {}
        terms = [term for atom in query.atoms for _, term in atom.arguments]
        terms += [side for comparison in query.comparisons for side in (comparison.left, comparison.right)]
        self.places = {term.name for term in terms if isinstance(term, Parameter)}

    def run(self) -> Resolved:
        for position, atom in enumerate(self.query.atoms):
            self.add_atom(f"atom {position + 1}", atom.ob, atom.arguments)
        for name, value in self.params.items():
            if name in self.places:
                continue
            if name not in self.numbers:
                raise SchemaError(unknown_name("parameter", str(name), [*sorted(self.places), *self.numbers]))
            self.fix(self.numbers[name], self.checked(value, self.unknown(name).kind, f"parameter '{name}'"))
        same: list[tuple[int, int]] = []
        for comparison in self.query.comparisons:
            self.add_comparison(comparison, same)
        out = tuple(self.numbers) if self.query.out is None else self.query.out
        for name in out:
            if name not in self.numbers:
                raise SchemaError(f"the output '{name}' is not bound: {unknown_name('variable', name, self.numbers)}")
        self.result.out = [(name, self.numbers[name]) for name in out]
        return _merged(self.result, same)

    def unknown(self, name: str) -> Unknown:
        return self.result.unknowns[self.numbers[name]]

    def add_atom(self, place: str, ob: str, arguments: tuple[tuple[str, Term], ...]) -> None:
        schema = self.instance.schema
        if ob not in schema.obs:
            raise SchemaError(f"{place}: {unknown_name('object', ob, schema.obs)}")
        arrows = {name: Kind(schema.homs[name][1], None) for name in schema.homs_from(ob)}
        for name in schema.attrs_from(ob):
            codom = schema.attrs[name][1]
            arrows[name] = Kind(codom, schema.attrtypes[codom])
        part: int | Constant | None = None
        meant: list[tuple[str, int | Constant]] = []
        seen: set[str] = set()
        for name, term in arguments:
            if name != ID and name not in arrows:
                raise SchemaError(f"{place}: {unknown_name(f'argument of {ob}', name, [ID, *arrows])}")
            if name in seen:
                raise SchemaError(f"{place}: argument '{name}' of {ob} is given twice")
            seen.add(name)
            kind = Kind(ob, None) if name == ID else arrows[name]
            where = f"{ob}.{name} in {place}"
            operand = (
                self.variable(term.name, kind, where) if isinstance(term, Named) else self.value(term, kind, where)
            )
            if name == ID:
                part = operand
            else:
                meant.append((name, operand))
        if not isinstance(part, int):
            fixed = part.value if isinstance(part, Constant) else None
            part = self.new(Unknown(Kind(ob, None), f"the part of {place}", place, fixed))
        self.result.patterns.append(Pattern(ob, part, tuple(meant)))

    def variable(self, name: str, kind: Kind, place: str) -> int:
        """The number of a named variable, whose type must be the same wherever it stands."""
        if name not in self.numbers:
            self.numbers[name] = self.new(Unknown(kind, f"variable '{name}'", place))
        first = self.unknown(name)
        if first.kind != kind:
            raise SchemaError(
                f"variable '{name}' is {first.kind} at {first.place}, but {kind} at {place}: use two variables"
            )
        return self.numbers[name]

    def new(self, unknown: Unknown) -> int:
        self.result.unknowns.append(unknown)
        return len(self.result.unknowns) - 1

    def value(self, term: Term, kind: Kind, place: str) -> Constant:
        if isinstance(term, Parameter):
            place = f"parameter '${term.name}' at {place}"
        return self.checked(self.raw(term), kind, place)

    def raw(self, term: Term) -> object:
        """The value of a constant or a parameter, not checked."""
        if isinstance(term, Parameter):
            if term.name not in self.params:
                raise SchemaError(f"parameter '${term.name}' has no value: give params={{'{term.name}': ...}}")
            return self.params[term.name]
        return term.value if isinstance(term, Constant) else None

    def checked(self, value: object, kind: Kind, place: str) -> Constant:
        """A value as one of a kind: ids must exist, attributes have their type."""
        size = self.instance.nparts(kind.name) if kind.python_type is None else 0
        try:
            if kind.python_type is None:
                return Constant(int(as_ids([value], size)[0]))
            cells = as_cells([value], kind.python_type)
            if cells.status[0] != DEFINED:
                raise MisfitError(0, value, "is not a value")
            return Constant(cells.data.tolist()[0])
        except MisfitError as misfit:
            allowed = allowed_ids(kind.name, size) if kind.python_type is None else f"{kind}"
            raise InstanceError(f"{place}: {misfit} ({allowed})") from None

    def fix(self, number: int, constant: Constant) -> None:
        unknown = self.result.unknowns[number]
        if unknown.fixed is None:
            unknown.fixed = constant.value
        elif not compare(unknown.fixed, "==", constant.value):
            self.result.impossible = True

    def add_comparison(self, comparison: Comparison, same: list[tuple[int, int]]) -> None:
        left, op, right = comparison.left, comparison.op, comparison.right
        if op not in OPERATORS:
            raise SchemaError(f"'{comparison}': there is no operator '{op}'; valid: {listed(OPERATORS)}")
        if not isinstance(left, Named):
            if not isinstance(right, Named):
                raise SchemaError(f"'{comparison}': a comparison needs a variable on one side")
            left, op, right = right, _MIRRORED[op], left
        first = self.numbered(left, comparison)
        kind = self.result.unknowns[first].kind
        if isinstance(kind.python_type, Codec) and op not in ("==", "!="):
            raise SchemaError(f"'{comparison}': variable '{left.name}' is {kind}, whose values are only == or !=")
        if isinstance(right, Named):
            second = self.numbered(right, comparison)
            other = self.result.unknowns[second].kind
            _check_comparable(comparison, left.name, kind, right.name, other)
            if op == "==" and kind.python_type == other.python_type:
                same.append((first, second))
            else:
                self.result.restrictions.append(Restriction(first, op, second))
            return
        constant = Constant(_literal(self.raw(right), kind, comparison, left.name))
        if op == "==" and kind.python_type is not None and (kind.python_type is not int or type(constant.value) is int):
            self.fix(first, constant)
        else:
            self.result.restrictions.append(Restriction(first, op, constant))

    def numbered(self, variable: Named, comparison: Comparison) -> int:
        if variable.name not in self.numbers:
            raise SchemaError(f"'{comparison}': {unknown_name('variable', variable.name, self.numbers)}")
        return self.numbers[variable.name]


_MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def _check_comparable(comparison: Comparison, left: str, kind: Kind, right: str, other: Kind) -> None:
    numbers = kind.python_type in _NUMBERS and other.python_type in _NUMBERS
    if not numbers and (kind.python_type != other.python_type or (kind.python_type is None and kind != other)):
        raise SchemaError(
            f"'{comparison}': variable '{left}' is {kind}, but variable '{right}' is {other}: they cannot be compared"
        )


def _literal(value: object, kind: Kind, comparison: Comparison, name: str) -> Value:
    """A value that can be compared with one of a kind; ids and integers are integers, numbers mix."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(kind.python_type, Codec) and isinstance(value, kind.python_type.python_type):
        return value
    wanted = int if kind.python_type is None else kind.python_type
    allowed = (int,) if kind.python_type is None else _NUMBERS if wanted in _NUMBERS else (wanted,)
    if type(value) not in allowed:
        raise SchemaError(f"'{comparison}': variable '{name}' is {kind}, and {brief(value)} cannot be compared with it")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InstanceError(f"'{comparison}': {brief(value)} does not fit into 64 bits")
    return float(value) if isinstance(value, int) and wanted is float else value


def _merged(result: Resolved, same: list[tuple[int, int]]) -> Resolved:
    """The query with one variable in the place of all that are equal."""
    leader = list(range(len(result.unknowns)))

    def find(number: int) -> int:
        while leader[number] != number:
            number = leader[number]
        return number

    for left, right in same:
        leader[find(right)] = find(left)
    roots = [find(number) for number in leader]
    for number, root in enumerate(roots):
        value = result.unknowns[number].fixed
        first = result.unknowns[root]
        if value is None or number == root:
            continue
        if first.fixed is None:
            first.fixed = value
        elif not compare(first.fixed, "==", value):
            result.impossible = True

    def operand(side: int | Constant) -> int | Constant:
        return side if isinstance(side, Constant) else roots[side]

    result.patterns = [
        Pattern(ob, roots[part], tuple((name, operand(side)) for name, side in arrows))
        for ob, part, arrows in ((p.ob, p.part, p.arrows) for p in result.patterns)
    ]
    merged = [Restriction(roots[r.left], r.op, operand(r.right)) for r in result.restrictions]
    result.restrictions = []
    for restriction in merged:
        _restrict(result, restriction)
    result.out = [(name, roots[number]) for name, number in result.out]
    return result


def _restrict(result: Resolved, restriction: Restriction) -> None:
    """Add a comparison, with the value in the place of a variable that is fixed."""
    left, op, right = restriction.left, restriction.op, restriction.right
    if not isinstance(right, Constant):
        known = result.unknowns[right].fixed
        right = right if known is None else Constant(known)
    value = result.unknowns[left].fixed
    if value is None:
        result.restrictions.append(Restriction(left, op, right))
    elif not isinstance(right, Constant):
        result.restrictions.append(Restriction(right, _MIRRORED[op], Constant(value)))
    elif not compare(value, op, right.value):
        result.impossible = True


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


_ORDER = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}


def compare(left: Any, op: str, right: Any) -> NDArray[np.bool_]:
    """Elementwise comparison: NaN equals NaN, and nothing is less or greater than it."""
    if op not in ("==", "!="):
        return np.asarray(_ORDER[op](left, right), np.bool_)
    left, right = _array(left), _array(right)
    if not left.dtype.kind == right.dtype.kind == "f":
        return np.asarray(left == right if op == "==" else left != right, np.bool_)
    equal: NDArray[np.bool_] = (left == right) | (np.isnan(left) & np.isnan(right))
    return equal if op == "==" else ~equal


def _array(values: Any) -> NDArray[Any]:
    """An array as it is, a value as an array without dimensions, also where numpy would take it for a sequence."""
    if isinstance(values, np.ndarray) or not hasattr(values, "__len__"):
        return np.asarray(values)
    array = np.empty((), object)
    array[()] = values
    return array
