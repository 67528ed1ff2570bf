"""Small instances and morphisms between them, all maps tried one by one, and Catlab's cases."""

from __future__ import annotations

import itertools

from acset_strategies import schemas
from hypothesis import settings
from hypothesis import strategies as st

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.maps.colimits import coproduct
from sim2real_cat.acsets.maps.homomorphisms import homomorphisms
from sim2real_cat.acsets.maps.morphism import Morphism
from sim2real_cat.acsets.maps.subobjects import SubInstance
from sim2real_cat.acsets.schema import Schema

QUICK = settings(derandomize=True, deadline=None, max_examples=50)
GRAPH = Schema("Graph", obs=["V", "E"], homs={"src": ("E", "V"), "tgt": ("E", "V")})
WEIGHTED = GRAPH.extend("Weighted", attrtypes={"Weight": float}, attrs={"weight": ("E", "Weight")})
VALUES = {float: [0.5, float("nan")], int: [1, 2], str: ["a", "b"], bool: [False, True]}


def graph(n, *edges, weights=None):
    """A graph; with weights where they are given, and as many variables as they need."""
    x = ACSet(GRAPH if weights is None else WEIGHTED)
    x.add_parts("V", n)
    columns = {} if weights is None else {"weight": weights}
    if weights is not None:
        x.add_vars("Weight", 1 + max((w.k for w in weights if isinstance(w, Var)), default=-1))
    x.add_parts("E", len(edges), src=[s for s, _ in edges], tgt=[t for _, t in edges], **columns)
    return x


def path(n):
    return graph(n, *((i, i + 1) for i in range(n - 1)))


def cycle(n):
    return graph(n, *((i, (i + 1) % n) for i in range(n)))


@st.composite
def instances(draw, schema, most=2, total=False):
    """Up to ``most`` parts of each object, few values, and only variables that some part holds."""
    x = ACSet(schema)
    for ob in schema.obs:
        x.add_parts(ob, draw(st.integers(1 if total else 0, most)))
    for name, (ob, codom) in schema.homs.items():
        value = st.integers(0, x.nparts(codom) - 1) if x.nparts(codom) else st.none()
        x.set(ob, x.parts(ob), **{name: [draw(value if total else st.none() | value) for _ in x.parts(ob)]})
    numbers = {attrtype: {} for attrtype in schema.attrtypes}
    for name, (ob, attrtype) in schema.attrs.items():
        value = st.sampled_from(VALUES[schema.attrtypes[attrtype]]) | st.sampled_from([None, Var(0), Var(1)])
        drawn = [draw(value) for _ in x.parts(ob)]
        known = numbers[attrtype]
        column = [Var(known.setdefault(v.k, len(known))) if isinstance(v, Var) else v for v in drawn]
        x.add_vars(attrtype, len(known) - x.nvars(attrtype))
        x.set(ob, x.parts(ob), **{name: column})
    return x


@st.composite
def several(draw, n, most=2):
    """``n`` instances of one schema."""
    schema = draw(schemas())
    return [draw(instances(schema, most)) for _ in range(n)]


@st.composite
def subs(draw, x):
    """A sub-instance."""
    chosen = {ob: [part for part in x.parts(ob).tolist() if draw(st.booleans())] for ob in x.schema.obs}
    return SubInstance.generated(x, chosen)


@st.composite
def morphisms_into(draw, y):
    """A morphism into an instance, from a sub-instance of it, or of two copies of it, or from anywhere."""
    both = coproduct(y, y)
    folded = both.universal(Morphism.identity(y), Morphism.identity(y))
    inclusion = draw(subs(both.apex)).to_instance()[1]
    other = draw(instances(y.schema))
    found = list(itertools.islice(homomorphisms(other, y), 30))
    return draw(st.sampled_from([*found, inclusion.then(folded)]))


@st.composite
def parallel(draw, into=2):
    """Two morphisms from a small instance into one."""
    schema = draw(schemas())
    y = draw(instances(schema, into))
    x = held_only(draw(subs(y)).to_instance()[0])
    found = list(itertools.islice(homomorphisms(x, y), 30))
    return draw(st.sampled_from(found)), draw(st.sampled_from(found))


@st.composite
def picking(draw, most=4):
    """Two morphisms that pick out parts of one instance, whatever its arrows: their domain defines none."""
    y = draw(instances(draw(schemas()), most))
    x, images = ACSet(y.schema), ({}, {})
    for ob in y.schema.obs:
        x.add_parts(ob, draw(st.integers(0, min(2, y.nparts(ob)))))
        for side in images:
            side[ob] = [draw(st.sampled_from(y.parts(ob).tolist())) for _ in x.parts(ob)]
    return tuple(Morphism(x, y, side) for side in images)


@st.composite
def spans(draw):
    """Two morphisms from one small instance."""
    f, g = draw(parallel())
    inclusion = coproduct(g.codom, draw(instances(f.dom.schema, 1))).legs[0]
    return f, draw(st.sampled_from([g, g.then(inclusion)]))


def held_only(x):
    """The instance without the variables that no part holds."""
    names = {attrtype: [a for a, (_, t) in x.schema.attrs.items() if t == attrtype] for attrtype in x.schema.attrtypes}
    y = ACSet(x.schema)
    for ob in x.schema.obs:
        y.add_parts(ob, x.nparts(ob))
    for f, (ob, _) in x.schema.homs.items():
        y.set(ob, y.parts(ob), **{f: x.column(f)})
    for attrtype, attributes in names.items():
        known = {}
        for a in attributes:
            ob = x.schema.attrs[a][0]
            column = [x.subpart(a, part) for part in x.parts(ob)]
            column = [Var(known.setdefault(v.k, len(known))) if isinstance(v, Var) else v for v in column]
            y.add_vars(attrtype, len(known) - y.nvars(attrtype))
            y.set(ob, y.parts(ob), **{a: column})
    return y


def same(one, two):
    """Whether two values or variables are equal; NaN equals NaN."""
    return one == two or (one != one and two != two)


def tried(x, y):
    """All natural transformations, found by trying every map of parts and every image of every variable."""
    obs, kinds = x.schema.obs, x.schema.attrtypes
    options = [y.parts(ob).tolist() for ob in obs for _ in x.parts(ob)]
    for kind in kinds:
        held = [y.subpart(a, p) for a, (ob, t) in y.schema.attrs.items() if t == kind for p in y.parts(ob)]
        values = {repr(v): v for v in held if v is not None and not isinstance(v, Var)}
        options += [[*values.values(), *(Var(k) for k in range(y.nvars(kind)))]] * x.nvars(kind)
    for images in itertools.product(*options):
        rest = iter(images)
        components = {ob: [next(rest) for _ in x.parts(ob)] for ob in obs}
        variables = {kind: tuple(next(rest) for _ in range(x.nvars(kind))) for kind in kinds}
        if commutes(x, y, components, variables):
            yield Morphism(x, y, components, variables)


def commutes(x, y, components, variables):
    """Naturality, spelled out part by part."""
    return not any(broken_squares(x, y, components, variables))


def broken_squares(x, y, components, variables):
    """The arrows and parts at which the naturality square does not commute."""
    for f, (ob, codom) in {**x.schema.homs, **x.schema.attrs}.items():
        for part in x.parts(ob).tolist():
            end = x.subpart(f, part)
            if end is None:
                continue
            if f in x.schema.homs:
                end = components[codom][end]
            elif isinstance(end, Var):
                end = variables[codom][end.k]
            found = y.subpart(f, components[ob][part])
            if found is None or not same(found, end):
                yield f, part
