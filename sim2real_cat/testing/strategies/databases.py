"""Strategies of schemas and of instances of any schema."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

from hypothesis import note
from hypothesis import strategies as st

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.migration.functor import SchemaFunctor
from sim2real_cat.acsets.migration.sigma import sigma
from sim2real_cat.acsets.schema import AttrPythonType, Path, Schema
from sim2real_cat.testing.strategies.text_table import LazyText, describe

Values = Mapping[str, st.SearchStrategy[Any]]
"""Strategies of values by attribute type."""

PYTHON_TYPES = (float, int, str, bool)

_VALUES: dict[object, st.SearchStrategy[Any]] = {
    float: st.sampled_from([0.0, -0.0, 0.25, 1e300, 5e-324]) | st.floats(allow_nan=False, allow_infinity=False),
    int: st.integers(-2, 2) | st.integers(-(2**63), 2**63 - 1),
    str: st.sampled_from(["", "a", "ä\n", "\U0001f916", '"\\']) | st.text(max_size=3),
    bool: st.booleans(),
}


def attribute_values(python_type: AttrPythonType) -> st.SearchStrategy[Any]:
    """Draw values of an attribute that JSON can hold; some of them often, so that they occur twice in an instance.

    A type with a codec has none here: only its owner knows its values.
    """
    return _VALUES.get(python_type, st.nothing())


@st.composite
def schemas(
    draw: st.DrawFn,
    *,
    max_objects: int = 3,
    max_homs: int = 4,
    max_attributes: int = 3,
    max_equations: int = 2,
) -> Schema:
    """Draw small schemas: homs between any objects, attributes of every type, equations of paths of up to two arrows.

    Args:
        draw: given by Hypothesis.
        max_objects: there is one at least.
        max_homs: homs at most.
        max_attributes: attributes at most.
        max_equations: equations at most; none where no two paths have the same ends.
    """
    obs = [f"Ob{i}" for i in range(draw(st.integers(1, max_objects)))]
    ob = st.sampled_from(obs)
    homs = {f"f{i}": (draw(ob), draw(ob)) for i in range(draw(st.integers(0, max_homs)))}
    types = st.integers(0, min(2, max_attributes))
    attrtypes = {f"T{i}": draw(st.sampled_from(PYTHON_TYPES)) for i in range(draw(types))}
    attrs = {}
    if attrtypes:
        kind = st.sampled_from(list(attrtypes))
        attrs = {f"a{i}": (draw(ob), draw(kind)) for i in range(draw(st.integers(0, max_attributes)))}
    free = Schema("Random", obs, homs, attrtypes, attrs)
    pairs = _parallel(free) if max_equations else []
    if not pairs:
        return free
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=max_equations, unique=True))
    return Schema("Random", obs, homs, attrtypes, attrs, chosen)


def _parallel(schema: Schema) -> list[tuple[str, str]]:
    """List pairs of different paths with the same ends, of at most two arrows each; one side may be an identity."""
    arrows = {**schema.homs, **schema.attrs}
    paths = [Path(ob, (), ob) for ob in schema.obs]
    paths += [Path(dom, (name,), codom) for name, (dom, codom) in arrows.items()]
    paths += [
        Path(dom, (first, second), arrows[second][1])
        for first, (dom, middle) in schema.homs.items()
        for second in (*schema.homs_from(middle), *schema.attrs_from(middle))
    ]
    return [
        (str(one), str(other))
        for i, one in enumerate(paths)
        for other in paths[i + 1 :]
        if (one.dom, one.codom) == (other.dom, other.codom)
    ]


@st.composite
def acsets(
    draw: st.DrawFn,
    schema: Schema | None = None,
    *,
    max_parts: int = 4,
    homs: Literal["partial", "total"] = "partial",
    equations: Literal["hold", "any"] = "hold",
    values: Values | None = None,
) -> ACSet:
    """Draw small instances of a schema; attributes are partly undefined, some of them are variables.

    Where equations hold, they do by construction: the parts that they identify are identified, in the way of
    `sim2real_cat.sigma`, and what undefined homs leave with one side is undefined too. Nothing is drawn in vain.

    Args:
        draw: given by Hypothesis.
        schema: the schema; one of `schemas()` where none is given.
        max_parts: parts of each object at most.
        homs: whether some may be undefined.
        equations: whether those of the schema hold.
        values: strategies of values by attribute type, for types with a codec or values of your own choice.
    """
    schema = draw(schemas()) if schema is None else schema
    lawful = equations == "hold" and bool(schema.equations)
    whole = homs == "total" or lawful
    x = ACSet(schema)
    for attrtype in () if lawful else schema.attrtypes:
        x.add_vars(attrtype, draw(st.integers(0, 2)))
    for ob, n in _sizes(draw, schema, max_parts, whole).items():
        x.add_parts(ob, n)
    for name, (ob, codom) in schema.homs.items():
        x.set(ob, x.parts(ob), **{name: [draw(hom_targets(x.nparts(codom), whole)) for _ in x.parts(ob)]})
    given = {} if values is None else values
    if lawful:
        x = _with_values(draw, _quotient(x), given)
        if homs == "partial":
            _undefine(draw, x)
    else:
        for name, (ob, attrtype) in schema.attrs.items():
            value = attribute(x, attrtype, given)
            x.set(ob, x.parts(ob), **{name: [draw(value) for _ in x.parts(ob)]})
    note(LazyText(lambda: describe(x)))
    return x


def hom_targets(n: int, total: bool) -> st.SearchStrategy[Any]:
    """Draw the target of a hom: one of the n parts of its codomain, or nothing where the hom is not total."""
    parts = st.integers(0, n - 1) if n else st.nothing()
    return parts if total else st.none() | parts


def attribute(x: ACSet, attrtype: str, values: Values) -> st.SearchStrategy[Any]:
    """Draw the content of an attribute: nothing, a value, or one of the variables that there are."""
    held = st.none() | values.get(attrtype, attribute_values(x.schema.attrtypes[attrtype]))
    return held | st.builds(Var, st.integers(0, x.nvars(attrtype) - 1)) if x.nvars(attrtype) else held


def _sizes(draw: st.DrawFn, schema: Schema, most: int, total: bool) -> dict[str, int]:
    """Draw the number of parts of each object; none where a total hom would have nowhere to go."""
    sizes = {ob: draw(st.integers(0, most)) for ob in schema.obs}
    changed = total
    while changed:
        bare = [dom for dom, codom in schema.homs.values() if sizes[dom] and not sizes[codom]]
        sizes |= dict.fromkeys(bare, 0)
        changed = bool(bare)
    return sizes


def _quotient(x: ACSet) -> ACSet:
    """Return the instance with those parts identified that the equations of its schema identify."""
    schema = x.schema
    free = Schema(schema.name, schema.obs, schema.homs, schema.attrtypes, schema.attrs)
    unrestrained = ACSet(free)
    for ob in schema.obs:
        unrestrained.add_parts(ob, x.nparts(ob))
    for name, (ob, _) in schema.homs.items():
        unrestrained.set(ob, x.parts(ob), **{name: x.column_ids(name)})
    same = [{name: name for name in names} for names in (schema.obs, schema.homs, schema.attrtypes, schema.attrs)]
    return sigma(SchemaFunctor(free, schema, *same), unrestrained)


def _with_values(draw: st.DrawFn, x: ACSet, values: Values) -> ACSet:
    """Return the instance with each of its variables replaced by a value, nothing, or another variable."""
    y = ACSet(x.schema)
    drawn = {}
    for attrtype in x.schema.attrtypes:
        y.add_vars(attrtype, draw(st.integers(0, 2)))
        drawn[attrtype] = [draw(attribute(y, attrtype, values)) for _ in range(x.nvars(attrtype))]
    for ob in x.schema.obs:
        y.add_parts(ob, x.nparts(ob))
    for name, (ob, _) in x.schema.homs.items():
        y.set(ob, y.parts(ob), **{name: x.column_ids(name)})
    for name, (ob, attrtype) in x.schema.attrs.items():
        y.set(ob, y.parts(ob), **{name: [drawn[attrtype][k] for k in x.variables(name).tolist()]})
    return y


def _undefine(draw: st.DrawFn, x: ACSet) -> None:
    """Make a few homs undefined, and the other side of each equation with them."""
    kept = _kept_total(x.schema)
    cells = [(ob, name, part) for name, (ob, _) in x.schema.homs.items() if name not in kept for part in x.parts(ob)]
    for ob, name, part in draw(st.lists(st.sampled_from(cells), max_size=4)) if cells else ():
        x.set(ob, int(part), **{name: None})
    changed = True
    while changed:
        changed = False
        for sides in x.schema.equations:
            for part in x.parts(sides[0].dom).tolist():
                left, right = (x.subpart(side.arrows, part, ob=side.dom) for side in sides)
                if (left is None) != (right is None):
                    _cut(x, sides[left is None], part, kept)
                    changed = True


def _kept_total(schema: Schema) -> set[str]:
    """Find the homs that cannot be undefined anywhere: those in a composite that equals an identity."""
    kept: set[str] = set()
    grown = True
    while grown:
        before = len(kept)
        for left, right in schema.equations:
            for one, other in ((left, right), (right, left)):
                if kept.issuperset(one.arrows):
                    kept |= set(other.arrows) & set(schema.homs)
        grown = len(kept) > before
    return kept


def _cut(x: ACSet, path: Path, part: int, kept: Collection[str]) -> None:
    """Make a path undefined at a part, by the first of its arrows that may be."""
    ob = path.dom
    for name in path.arrows:
        if name not in kept:
            x.set(ob, part, **{name: None})
            return
        part, ob = x.subpart((name,), part), x.schema.homs[name][1]
