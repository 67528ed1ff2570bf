"""Random queries, and their answers by trying all assignments of parts to atoms one by one."""

from __future__ import annotations

import itertools
import math
import operator

from acset_strategies import acsets, values_of
from hypothesis import strategies as st

from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.query.text import Atom, Comparison, ConjunctiveQuery, Constant, Parameter, Variable

TESTS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def kinds_of(schema, ob):
    """Each argument of an object with the object or attribute type it has values in."""
    return {
        "_id": ob,
        **{name: schema.homs[name][1] for name in schema.homs_from(ob)},
        **{name: schema.attrs[name][1] for name in schema.attrs_from(ob)},
    }


def values_in(x, kind):
    """A strategy for values of an object or attribute type, mostly such as occur; None where there can be none."""
    if kind in x.schema.obs:
        return st.integers(0, x.nparts(kind) - 1) if x.nparts(kind) else None
    python_type = x.schema.attrtypes[kind]
    held = [
        value
        for name, (_, codom) in x.schema.attrs.items()
        if codom == kind
        for value in (x.subpart(name, part) for part in x.parts(x.schema.attrs[name][0]))
        if value is not None and not isinstance(value, Var)
    ]
    return (st.sampled_from(held) | values_of(python_type)) if held else values_of(python_type)


@st.composite
def queries(draw):
    """An instance, a query over it that makes sense, and its parameters."""
    x = draw(acsets())
    for name, (ob, kind) in x.schema.attrs.items():
        if x.schema.attrtypes[kind] is float and x.nparts(ob) and draw(st.booleans()):
            x.set(ob, 0, **{name: math.nan})
    params = {}

    def value(kind):
        values = values_in(x, kind)
        if values is None:
            return None
        drawn = draw(values)
        if drawn == drawn and draw(st.booleans()):
            return Constant(drawn)
        name = f"given{len(params)}"
        params[name] = drawn
        return Parameter(name)

    atoms, variables = [], {}
    for _ in range(draw(st.integers(0, 3))):
        ob = draw(st.sampled_from(x.schema.obs))
        kinds = kinds_of(x.schema, ob)
        arguments = []
        for name in draw(st.lists(st.sampled_from(list(kinds)), unique=True)):
            term = value(kinds[name]) if draw(st.integers(0, 7)) == 0 else None
            if term is None:
                term = Variable(f"{kinds[name]}_{draw(st.integers(0, 1))}")
                variables[term.name] = kinds[name]
            arguments.append((name, term))
        atoms.append(Atom(ob, tuple(arguments)))
    comparisons = []
    for left in draw(st.lists(st.sampled_from(sorted(variables)), max_size=2)) if variables else ():
        kind = variables[left]
        python_type = x.schema.attrtypes.get(kind)
        number = python_type in (int, float)
        rights = [
            name
            for name, other in variables.items()
            if other == kind
            or python_type is x.schema.attrtypes.get(other, 0)
            or (number and x.schema.attrtypes.get(other) in (int, float))
        ]
        right = draw(st.sampled_from(rights).map(Variable) | st.just(None)) or value(kind) or Variable(left)
        sides = [Variable(left), right]
        if draw(st.booleans()):
            sides.reverse()
        comparisons.append(Comparison(sides[0], draw(st.sampled_from(list(TESTS))), sides[1]))
    for name, kind in variables.items():
        values = values_in(x, kind)
        if values is not None and draw(st.integers(0, 7)) == 0:
            params[name] = draw(values)
    out = tuple(draw(st.lists(st.sampled_from(list(variables)), unique=True))) if variables else ()
    return x, ConjunctiveQuery(tuple(atoms), draw(st.sampled_from([out, None])), tuple(comparisons)), params


def plain(row):
    """A row in which NaN equals NaN."""
    return tuple("nan" if isinstance(value, float) and math.isnan(value) else value for value in row)


def holds(left, op, right):
    """NaN equals NaN and has no place in the order."""
    if op in ("==", "!="):
        return (plain([left]) == plain([right])) == (op == "==")
    return TESTS[op](left, right)


def by_trying(x, query, params):
    """The rows of the answer in the order of the parts."""
    named = [t.name for atom in query.atoms for _, t in atom.arguments if isinstance(t, Variable)]
    out = list(dict.fromkeys(named)) if query.out is None else query.out
    rows = []
    for parts in itertools.product(*(x.parts(atom.ob).tolist() for atom in query.atoms)):
        known = {name: value for name, value in params.items() if name in named}

        def value_of(term, known=known):
            if isinstance(term, Variable):
                return known[term.name]
            return term.value if isinstance(term, Constant) else params[term.name]

        def matches(part, name, term, known=known):
            value = part if name == "_id" else x.subpart(name, part)
            if value is None or isinstance(value, Var):
                return False
            wanted = known.setdefault(term.name, value) if isinstance(term, Variable) else value_of(term)
            return holds(value, "==", wanted)

        arguments = [(part, *pair) for part, atom in zip(parts, query.atoms, strict=True) for pair in atom.arguments]
        if not all(matches(*argument) for argument in arguments):
            continue
        if all(holds(value_of(c.left), c.op, value_of(c.right)) for c in query.comparisons):
            rows.append(plain(known[name] for name in out))
    return rows
