"""Catlab's own `query`, by an undirected wiring diagram, to hold our plans of pullbacks against.

Catlab 0.17.4 answers as we do where every arrow that the query names is defined and holds no variable, no float is NaN
or -0.0, and no variable stands twice in one atom. Elsewhere it is not asked, as it differs for these reasons: `query`
fails on some data where a variable stands twice in one atom; floats are compared by `==` and by hash, so that NaN is
not equal to NaN and -0.0 not to 0.0; and an undefined hom is a 0, which is no part, and an undefined attribute and a
variable are values like others, where ours match nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np

from sim2real_cat.acsets.catlab import julia
from sim2real_cat.acsets.catlab.crossing import received_ids, sent_json
from sim2real_cat.acsets.catlab.instances import handle_of
from sim2real_cat.acsets.codecs import type_name
from sim2real_cat.acsets.query.resolve import arrow_type, resolve
from sim2real_cat.acsets.query.text import ID, Atom, Constant, Parameter, Variable


def with_parts(query):
    """The query without comparisons, with a variable for the part of every atom; and these variables."""
    atoms = []
    for number, atom in enumerate(query.atoms):
        if not isinstance(dict(atom.arguments).get(ID), Variable):
            others = tuple(pair for pair in atom.arguments if pair[0] != ID)
            atom = Atom(atom.ob, ((ID, Variable(f"part_{number}")), *others))
        atoms.append(atom)
    out = tuple(dict.fromkeys(dict(atom.arguments)[ID].name for atom in atoms))
    return replace(query, atoms=tuple(atoms), out=out, comparisons=())


def parameters_of(query, params):
    """The parameters that a query names as ``$name`` or as a variable."""
    terms = [term for atom in query.atoms for _, term in atom.arguments]
    names = {term.name for term in terms if isinstance(term, Parameter | Variable)}
    return {name: value for name, value in params.items() if name in names}


def is_comparable(x, query, params):
    """Whether Catlab and we mean the same by a query; see above."""
    for atom in query.atoms:
        variables = [term.name for _, term in atom.arguments if isinstance(term, Variable)]
        if len(set(variables)) < len(variables):
            return False
        for name, _ in atom.arguments:
            if name in x.schema.homs and (x.column_ids(name) < 0).any():
                return False
            if name in x.schema.attrs and not are_plain(x.cells(name)):
                return False
    constants = [t.value for atom in query.atoms for _, t in atom.arguments if isinstance(t, Constant)]
    return all(not isinstance(v, float) or (math.isfinite(v) and v != 0) for v in [*constants, *params.values()])


def are_plain(cells):
    """Whether all slots hold a value, and no float is NaN or -0.0."""
    data = cells.data
    odd = np.isnan(data) | ((data == 0) & np.signbit(data)) if data.dtype.kind == "f" else np.zeros(len(data), bool)
    return bool((cells.status == -2).all() and not odd.any())


def rows_by_query(x, query, params):
    """The rows that `query` gives for a query with variables for its parts, as a bag."""
    resolved = resolve(x, query, params)
    atoms, parameters = [], []

    def fixed(variable, kind, value):
        is_id = kind.python_type is None
        parameters.append((variable, "id" if is_id else type_name(kind.python_type), value + 1 if is_id else value))

    for position, pattern in enumerate(resolved.patterns):
        arguments = [(ID, f"v{pattern.part}")]
        for name, operand in pattern.arrows:
            variable = f"a{position}_{name}" if isinstance(operand, Constant) else f"v{operand}"
            if isinstance(operand, Constant):
                fixed(variable, arrow_type(x.schema, name), operand.value)
            arguments.append((name, variable))
        atoms.append((pattern.ob, arguments))
    stated = {variable for _, arguments in atoms for _, variable in arguments}
    for number, unknown in enumerate(resolved.unknowns):
        if unknown.fixed is not None and f"v{number}" in stated:
            fixed(f"v{number}", unknown.type, unknown.fixed)
    out = [f"v{number}" for _, number in resolved.out]
    found = julia.call("answer_query", handle_of(x), *map(sent_json, (atoms, out, parameters)))
    return Counter(zip(*(received_ids(column).tolist() for column in found), strict=True))
