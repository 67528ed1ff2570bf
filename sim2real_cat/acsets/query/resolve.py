"""The names and types of a query, checked against a schema: variables become numbers, parameters values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.codecs import Codec, type_name
from sim2real_cat.acsets.coercion import MisfitError, allowed_ids, as_cells, as_ids, brief
from sim2real_cat.acsets.columns import DEFINED, dtype_of
from sim2real_cat.acsets.query.text import (
    ID,
    OPERATORS,
    Comparison,
    ConjunctiveQuery,
    Constant,
    Operator,
    Parameter,
    Term,
    Value,
    Variable,
)
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.acsets.storage import Storage
from sim2real_cat.errors import InstanceError, SchemaError, listed, unknown_name

_NUMBERS = (int, float)


class VariableType(NamedTuple):
    """The type of a variable's values.

    Attributes:
        name: an object or an attribute type.
        python_type: the Python type of an attribute type; None for the ids of an object.
    """

    name: str
    python_type: type | Codec | None

    def __str__(self) -> str:
        return f"a part of {self.name}" if self.python_type is None else f"{self.name}, {type_name(self.python_type)}"

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of an array of values: int64 for ids."""
        return np.dtype(np.int64) if self.python_type is None else dtype_of(self.python_type)


def arrow_type(schema: Schema, name: str) -> VariableType:
    """Return the type of the values of a hom or an attribute."""
    codom = (schema.homs if name in schema.homs else schema.attrs)[name][1]
    return VariableType(codom, schema.attrtypes.get(codom))


@dataclass
class Unknown:
    """A variable of the resolved query: each named one, and one for each part that the query does not name.

    Attributes:
        type: the type of its values.
        place: where the query first names it.
        fixed: its value, if a parameter or an equation gives one.
    """

    type: VariableType
    place: str
    fixed: Value | None = None


@dataclass(frozen=True)
class Pattern:
    """An atom whose names are resolved.

    Attributes:
        ob: the object.
        part: the number of the variable for its part.
        arrows: pairs of a hom or attribute and the number of a variable, or a value.
    """

    ob: str
    part: int
    arrows: tuple[tuple[str, int | Constant], ...]


@dataclass(frozen=True)
class Condition:
    """A comparison between a variable, by number, and another variable or a value."""

    left: int
    op: Operator
    right: int | Constant

    @property
    def variables(self) -> tuple[int, ...]:
        """The numbers of the variables on both sides."""
        return (self.left,) if isinstance(self.right, Constant) else (self.left, self.right)


@dataclass
class Resolved:
    """A query whose names are known and whose types agree.

    Attributes:
        unknowns: the variables; patterns, conditions and outputs refer to them by position.
        patterns: one for each atom.
        conditions: the comparisons that are left once equal variables are one and known values are filled in.
        out: the name and the variable of each output.
        impossible: whether the query asks for two different values of one variable.
    """

    unknowns: list[Unknown] = field(default_factory=list)
    patterns: list[Pattern] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)
    out: list[tuple[str, int]] = field(default_factory=list)
    impossible: bool = False


def resolve(instance: Storage, query: ConjunctiveQuery, params: Mapping[str, object]) -> Resolved:
    """Give every variable its type and every parameter its value.

    Raises:
        SchemaError: for an unknown object, arrow, output, operator or parameter, for types that clash, and for
            a parameter without a value.
        InstanceError: for a value of the wrong type and an id that does not exist.
    """
    return _Resolver(instance, query, params).run()


class _Resolver:
    def __init__(self, instance: Storage, query: ConjunctiveQuery, params: Mapping[str, object]) -> None:
        self.instance, self.query, self.params = instance, query, params
        self.result = Resolved()
        self.numbers: dict[str, int] = {}  # of the named variables
        self.equal: list[tuple[int, int]] = []  # variables that an equation makes one

    def run(self) -> Resolved:
        for position, atom in enumerate(self.query.atoms):
            self.add_atom(f"atom {position + 1}", atom.ob, atom.arguments)
        self.fix_parameters()
        for comparison in self.query.comparisons:
            self.add_comparison(comparison)
        for name in self.numbers if self.query.out is None else self.query.out:
            if name not in self.numbers:
                raise SchemaError(f"the output '{name}' is not bound: {unknown_name('variable', name, self.numbers)}")
            self.result.out.append((name, self.numbers[name]))
        self.merge_equal()
        return self.result

    def add_atom(self, place: str, ob: str, arguments: tuple[tuple[str, Term], ...]) -> None:
        schema = self.instance.schema
        if ob not in schema.obs:
            raise SchemaError(f"{place}: {unknown_name('object', ob, schema.obs)}")
        types = {ID: VariableType(ob, None)}
        types |= {name: arrow_type(schema, name) for name in (*schema.homs_from(ob), *schema.attrs_from(ob))}
        operands: dict[str, int | Constant] = {}
        for name, term in arguments:
            if name not in types:
                raise SchemaError(f"{place}: {unknown_name(f'argument of {ob}', name, types)}")
            if name in operands:
                raise SchemaError(f"{place}: argument '{name}' of {ob} is given twice")
            where = f"{ob}.{name} in {place}"
            if isinstance(term, Variable):
                operands[name] = self.variable(term.name, types[name], where)
            else:
                where = f"parameter '${term.name}' at {where}" if isinstance(term, Parameter) else where
                operands[name] = self.checked(self.value(term), types[name], where)
        part = operands.pop(ID, None)
        if not isinstance(part, int):
            part = self.new(Unknown(types[ID], place, part.value if part else None))
        self.result.patterns.append(Pattern(ob, part, tuple(operands.items())))

    def variable(self, name: str, type_: VariableType, place: str) -> int:
        """Return the number of a named variable; its type must be the same at every place."""
        if name not in self.numbers:
            self.numbers[name] = self.new(Unknown(type_, place))
        first = self.result.unknowns[self.numbers[name]]
        if first.type != type_:
            raise SchemaError(
                f"variable '{name}' is {first.type} at {first.place}, but {type_} at {place}: use two variables"
            )
        return self.numbers[name]

    def new(self, unknown: Unknown) -> int:
        self.result.unknowns.append(unknown)
        return len(self.result.unknowns) - 1

    def value(self, term: Constant | Parameter) -> object:
        """Return the value of a constant or a parameter, not checked."""
        if isinstance(term, Constant):
            return term.value
        if term.name not in self.params:
            raise SchemaError(f"parameter '${term.name}' has no value: give params={{'{term.name}': ...}}")
        return self.params[term.name]

    def checked(self, value: object, type_: VariableType, place: str) -> Constant:
        """Return a value as one of a type: an id that exists, or an attribute's value."""
        size = self.instance.nparts(type_.name) if type_.python_type is None else 0
        try:
            if type_.python_type is None:
                return Constant(int(as_ids([value], size)[0]))
            cells = as_cells([value], type_.python_type)
            if cells.status[0] != DEFINED:
                raise MisfitError(0, value, "is not a value")
            return Constant(cells.data.tolist()[0])
        except MisfitError as misfit:
            allowed = allowed_ids(type_.name, size) if type_.python_type is None else f"{type_}"
            raise InstanceError(f"{place}: {misfit} ({allowed})") from None

    def fix_parameters(self) -> None:
        """Fix the variables that ``params`` names; its other names must be those of ``$parameters``."""
        terms = [term for atom in self.query.atoms for _, term in atom.arguments]
        terms += [side for comparison in self.query.comparisons for side in (comparison.left, comparison.right)]
        places = {term.name for term in terms if isinstance(term, Parameter)}
        for name, value in self.params.items():
            if name in places:
                continue
            if name not in self.numbers:
                raise SchemaError(unknown_name("parameter", str(name), [*sorted(places), *self.numbers]))
            number = self.numbers[name]
            self.fix(number, self.checked(value, self.result.unknowns[number].type, f"parameter '{name}'").value)

    def fix(self, number: int, value: Value) -> None:
        unknown = self.result.unknowns[number]
        if unknown.fixed is None:
            unknown.fixed = value
        elif not compare(unknown.fixed, "==", value):
            self.result.impossible = True

    def add_comparison(self, comparison: Comparison) -> None:
        left, op, right = comparison.left, comparison.op, comparison.right
        if op not in OPERATORS:
            raise SchemaError(f"'{comparison}': there is no operator '{op}'; valid: {listed(OPERATORS)}")
        if not isinstance(left, Variable):
            left, op, right = right, _MIRRORED[op], left
        if not isinstance(left, Variable):
            raise SchemaError(f"'{comparison}': a comparison needs a variable on one side")
        first = self.number(left, comparison)
        type_ = self.result.unknowns[first].type
        if isinstance(type_.python_type, Codec) and op not in ("==", "!="):
            raise SchemaError(f"'{comparison}': variable '{left.name}' is {type_}, whose values are only == or !=")
        if isinstance(right, Variable):
            second = self.number(right, comparison)
            other = self.result.unknowns[second].type
            if not _comparable(type_, other):
                raise SchemaError(
                    f"'{comparison}': variable '{left.name}' is {type_}, but variable '{right.name}' is {other}: "
                    "they cannot be compared"
                )
            if op == "==" and type_.python_type == other.python_type:
                self.equal.append((first, second))
            else:
                self.result.conditions.append(Condition(first, op, second))
            return
        value = _as_comparable(self.value(right), type_, comparison, left.name)
        if op == "==" and type_.python_type is not None and (type_.python_type is not int or type(value) is int):
            self.fix(first, value)
        else:
            self.result.conditions.append(Condition(first, op, Constant(value)))

    def number(self, variable: Variable, comparison: Comparison) -> int:
        if variable.name not in self.numbers:
            raise SchemaError(f"'{comparison}': {unknown_name('variable', variable.name, self.numbers)}")
        return self.numbers[variable.name]

    def merge_equal(self) -> None:
        """Put one variable in the place of all that are equal, and the known values into the conditions."""
        result = self.result
        leader = list(range(len(result.unknowns)))

        def root(number: int) -> int:
            while leader[number] != number:
                number = leader[number]
            return number

        def operand(side: int | Constant) -> int | Constant:
            return side if isinstance(side, Constant) else root(side)

        for left, right in self.equal:
            leader[root(right)] = root(left)
        for number, unknown in enumerate(result.unknowns):
            if unknown.fixed is not None and root(number) != number:
                self.fix(root(number), unknown.fixed)
        result.patterns = [
            Pattern(p.ob, root(p.part), tuple((name, operand(side)) for name, side in p.arrows))
            for p in result.patterns
        ]
        result.out = [(name, root(number)) for name, number in result.out]
        conditions, result.conditions = result.conditions, []
        for condition in conditions:
            self.simplify(root(condition.left), condition.op, operand(condition.right))

    def simplify(self, left: int, op: Operator, right: int | Constant) -> None:
        """Add a condition, with known values in the place of variables; decide it where both sides are known."""
        value = self.result.unknowns[left].fixed
        if not isinstance(right, Constant):
            known = self.result.unknowns[right].fixed
            right = right if known is None else Constant(known)
        if value is None:
            self.result.conditions.append(Condition(left, op, right))
        elif not isinstance(right, Constant):
            self.result.conditions.append(Condition(right, _MIRRORED[op], Constant(value)))
        elif not compare(value, op, right.value):
            self.result.impossible = True


_MIRRORED: dict[Operator, Operator] = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def _comparable(one: VariableType, other: VariableType) -> bool:
    """Return whether values of two types can be compared: of one object, of one Python type, or numbers."""
    if one.python_type in _NUMBERS and other.python_type in _NUMBERS:
        return True
    return one.python_type == other.python_type and (one.python_type is not None or one == other)


def _as_comparable(value: object, type_: VariableType, comparison: Comparison, name: str) -> Value:
    """Return a value that can be compared with those of a type; ids and integers are integers, numbers mix."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(type_.python_type, Codec) and isinstance(value, type_.python_type.python_type):
        return value
    wanted = int if type_.python_type is None else type_.python_type
    allowed = (int,) if type_.python_type is None else _NUMBERS if wanted in _NUMBERS else (wanted,)
    if type(value) not in allowed:
        raise SchemaError(
            f"'{comparison}': variable '{name}' is {type_}, and {brief(value)} cannot be compared with it"
        )
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InstanceError(f"'{comparison}': {brief(value)} does not fit into 64 bits")
    return float(value) if isinstance(value, int) and wanted is float else value


_ORDER = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}


def compare(left: Any, op: Operator, right: Any) -> NDArray[np.bool_]:
    """Compare elementwise: NaN equals NaN, and is neither less nor greater than anything."""
    if op not in ("==", "!="):
        return np.asarray(_ORDER[op](left, right), np.bool_)
    left, right = _array(left), _array(right)
    if not left.dtype.kind == right.dtype.kind == "f":
        return np.asarray(left == right if op == "==" else left != right, np.bool_)
    equal: NDArray[np.bool_] = (left == right) | (np.isnan(left) & np.isnan(right))
    return equal if op == "==" else ~equal


def _array(values: Any) -> NDArray[Any]:
    """Return an array as it is, and a value as an array without dimensions, even a tuple."""
    if isinstance(values, np.ndarray) or not hasattr(values, "__len__"):
        return np.asarray(values)
    array = np.empty((), object)
    array[()] = values
    return array
