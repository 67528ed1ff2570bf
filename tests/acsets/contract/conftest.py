"""One suite for every engine: what is tested here must hold wherever an instance lives."""

from __future__ import annotations

import pytest

from sim2real_cat.acsets.acset import ACSet


@pytest.fixture(params=["embedded", pytest.param("catlab", marks=pytest.mark.catlab)], scope="session")
def hold(request):
    """An instance moved to the engine under test; the only place that knows how."""

    def move(x: ACSet) -> ACSet:
        held = ACSet(x.schema, x.index, x.unique_index, engine=request.param)
        for attrtype in x.schema.attrtypes:
            held.add_vars(attrtype, x.nvars(attrtype))
        for ob in x.schema.obs:
            held.add_parts(ob, x.nparts(ob))
        for ob in x.schema.obs:
            columns = {name: cells(x, ob, name) for name in (*x.schema.homs_from(ob), *x.schema.attrs_from(ob))}
            held.set(ob, x.parts(ob), **columns)
        return held

    return move


def cells(x: ACSet, ob: str, name: str) -> list[object]:
    """A column as plain values, with None and variables."""
    return [x.subpart(name, part) for part in x.parts(ob).tolist()]
