"""Hypothesis strategies of functors between schemas."""

from __future__ import annotations

from hypothesis import strategies as st

from sim2real_cat.acsets.migration.functor import SchemaFunctor
from sim2real_cat.acsets.schema import Schema


@st.composite
def functors_into(draw: st.DrawFn, codom: Schema, name: str = "A") -> SchemaFunctor:
    """A functor from a small schema, whose homs and attributes go to paths of up to three arrows.

    The domain is made along with the functor: a path between images of its objects gives it an arrow.
    """
    obs = {f"{name}{i}": draw(st.sampled_from(codom.obs)) for i in range(draw(st.integers(1, 3)))}
    attrtypes = {f"{name}T{i}": kind for i, kind in enumerate(codom.attrtypes)}
    arrows, images = {}, {}
    for i in range(draw(st.integers(0, 5))):
        start = draw(st.sampled_from(list(obs)))
        path: list[str] = []
        end = obs[start]
        for _ in range(draw(st.integers(0, 3))):
            onward = (*codom.homs_from(end), *codom.attrs_from(end)) if end in codom.obs else ()
            if onward:
                path.append(draw(st.sampled_from(onward)))
                end = {**codom.homs, **codom.attrs}[path[-1]][1]
        over = [new for new, image in {**obs, **attrtypes}.items() if image == end]
        if over:
            arrows[f"{name}_{i}"] = (start, draw(st.sampled_from(over)))
            images[f"{name}_{i}"] = path
    homs = {f: ends for f, ends in arrows.items() if ends[1] in obs}
    attrs = {f: ends for f, ends in arrows.items() if ends[1] in attrtypes}
    types = {new: codom.attrtypes[image] for new, image in attrtypes.items()}
    dom = Schema(name, list(obs), homs, types, attrs)
    return SchemaFunctor(dom, codom, obs, {f: images[f] for f in homs}, attrtypes, {f: images[f] for f in attrs})
