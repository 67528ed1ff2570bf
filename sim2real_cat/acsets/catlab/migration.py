"""Migration along a functor of schemas by Catlab: Δ of pointed instances, Σ of instances with spans."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.catlab import julia
from sim2real_cat.acsets.catlab.crossing import received, sent, sent_json
from sim2real_cat.acsets.catlab.pointed import pointed_schema, with_points, without_points
from sim2real_cat.acsets.catlab.refusals import refused
from sim2real_cat.acsets.catlab.spans import Encoding
from sim2real_cat.acsets.columns import DEFINED, dtype_of
from sim2real_cat.acsets.maps.values import codes, decoded
from sim2real_cat.acsets.migration.functor import SchemaFunctor
from sim2real_cat.acsets.schema import Schema


def delta(functor: SchemaFunctor, instance: ACSet) -> ACSet:
    """Return the instance Δ_F(X)."""
    coded = codes(instance)
    source = with_points(instance, pointed_schema(functor.codom), coded)
    target = instance.like(pointed_schema(functor.dom))
    for kind, image in functor.attrtypes.items():
        target.add_vars(kind, source.nvars(image))
    found = julia.call("pull_back", *(sent(x, static=True) for x in (source, target)), *_sent_functor(functor))
    values = {kind: coded.values[image] for kind, image in functor.attrtypes.items()}
    read = received(found, instance.like(target.schema))
    return without_points(read, instance.like(functor.dom, engine="catlab"), values)


def sigma(functor: SchemaFunctor, instance: ACSet) -> ACSet:
    """Return the instance Σ_F(X).

    Whether it is finite must be known before, and that no two values are identified: Catlab's chase has no bound, and
    it takes one of the values. Where a hom or an attribute is undefined, it gives no condition: it is sent as a span,
    an object over its domain with a part for each value.

    Raises:
        EngineError: for attributes where Catlab's chase fails or has another answer: with variables, images that are
            paths, equations of attributes, or an endomorphism in one of the schemas.
    """
    _require_extendable(functor, instance)
    coded, known = _coded(functor, instance)
    encoding = Encoding((coded,))
    types = {kind: kind for kind in coded.schema.attrtypes}
    obs = dict(functor.obs)
    homs = {f: path.arrows for f, path in functor.homs.items() if f not in encoding.spans}
    attrs = {a: path.arrows for a, path in functor.attrs.items() if a not in encoding.spans}
    for f, span in encoding.spans.items():
        path = functor.homs.get(f) or functor.attrs[f]
        obs[span.ob], homs[span.start] = path.dom, ()
        (homs if f in functor.homs else attrs)[span.end] = path.arrows
    codom = _coded_schema(functor.codom)
    extended = SchemaFunctor(encoding.schema, codom, obs, homs, types, attrs)
    found = julia.call(
        "push_forward",
        sent(encoding.encoded[0].instance, static=True),
        sent(instance.like(codom), static=True),
        encoding.schema.to_json(),
        codom.to_json(),
        *_sent_functor(extended),
    )
    read = received(found, instance.like(codom))
    sizes = {ob: read.nparts(ob) for ob in codom.obs}
    nvars = {kind: read.nvars(kind) for kind in codom.attrtypes}
    values = {}
    for a, (_, kind) in codom.attrs.items():
        python_type = functor.codom.attrtypes[kind]
        found_values = known.get(kind, np.zeros(0, dtype_of(python_type)))
        data, status = read.cells(a)
        values[a] = decoded(np.where(status == DEFINED, data, len(found_values) + status), found_values, python_type)
    targets = {f: read.column_ids(f) for f in codom.homs}
    return instance.like(functor.codom, engine="catlab").fill(sizes, nvars, targets, values)


def _require_extendable(functor: SchemaFunctor, instance: ACSet) -> None:
    """Refuse attributes where Catlab does not compute Σ."""
    if not functor.codom.attrtypes:
        return
    for kind in functor.dom.attrtypes:
        if instance.nvars(kind):
            raise refused("sigma-variables", f"'{kind}' has {instance.nvars(kind)} of them")
    for a, path in functor.attrs.items():
        if len(path.arrows) > 1:
            raise refused("sigma-paths", f"'{a}' goes to '{path}'")
    for left, right in functor.codom.equations:
        if {*left.arrows, *right.arrows} & functor.codom.attrs.keys():
            raise refused("sigma-equations", f"{functor.codom.name} has '{left}' = '{right}'")
    for schema in (functor.dom, functor.codom):
        for f, (dom, codom) in schema.homs.items():
            if dom == codom:
                raise refused("sigma-endomorphisms", f"'{f}' of {schema.name} goes from '{dom}' to itself")


def _coded(functor: SchemaFunctor, instance: ACSet) -> tuple[ACSet, dict[str, NDArray[Any]]]:
    """Return an instance without variables with codes for its attribute values, and the values by their codes.

    It has the attribute types of the functor's codomain that it needs: those that go to one are one, so that their
    values have the same codes.
    """
    dom = functor.dom
    types = {image: functor.codom.attrtypes[image] for image in functor.attrtypes.values()}
    attrs = {a: (ob, functor.attrtypes[kind]) for a, (ob, kind) in dom.attrs.items()}
    merged = Schema(dom.name, dom.obs, dom.homs, types, attrs)
    sizes = {ob: instance.nparts(ob) for ob in dom.obs}
    homs = {f: instance.column_ids(f) for f in dom.homs}
    cells = {a: instance.cells(a) for a in dom.attrs}
    values, (columns,), _ = codes(instance.like(merged).fill(sizes, {}, homs, cells))
    cells = {a: decoded(columns[a], np.arange(len(values[kind])), int) for a, (_, kind) in attrs.items()}
    return instance.like(_coded_schema(merged)).fill(sizes, {}, homs, cells), values


def _coded_schema(schema: Schema) -> Schema:
    """Return a schema with integers for all values."""
    equations = [(left.arrows, right.arrows) for left, right in schema.equations]
    return Schema(schema.name, schema.obs, schema.homs, dict.fromkeys(schema.attrtypes, int), schema.attrs, equations)


def _sent_functor(functor: SchemaFunctor) -> tuple[str, str]:
    """Return a functor for Julia: the images of objects and attribute types, and those of arrows as paths."""
    arrows = {f: list(path.arrows) for f, path in {**functor.homs, **functor.attrs}.items()}
    return sent_json({**functor.obs, **functor.attrtypes}), sent_json(arrows)
