"""Hypothesis strategies of small schemas and instances, and what several test modules share."""

from __future__ import annotations

import re

import pytest
from hypothesis import settings
from hypothesis import strategies as st

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.schema import Schema

FIXED = settings(derandomize=True, deadline=None, max_examples=60)
PYTHON_TYPES = (float, int, str, bool)

STUDY = Schema(
    "Study",
    obs=["SimEnv", "RealEnv", "Policy"],
    homs={"train": ("SimEnv", "Policy"), "deploy": ("Policy", "RealEnv"), "transfer": ("Policy", "Policy")},
    attrtypes={"TransferGap": float, "Name": str, "Seed": int, "Flag": bool},
    attrs={
        "kl_gap": ("Policy", "TransferGap"),
        "policy_name": ("Policy", "Name"),
        "seed": ("SimEnv", "Seed"),
        "noisy": ("SimEnv", "Flag"),
    },
    equations=[("transfer.transfer", "transfer"), ("transfer.deploy", "deploy")],
)


def study() -> ACSet:
    """Four environments, three policies, two robots, one policy of whose gap only a name is known."""
    x = ACSet(STUDY)
    x.add_vars("TransferGap", 2)
    x.add_parts("RealEnv", 2)
    x.add_parts(
        "Policy",
        3,
        deploy=[1, 0, None],
        transfer=[0, 0, None],
        kl_gap=[0.02, 0.7, Var(1)],
        policy_name=["ours", None, "naïve"],
    )
    x.add_parts("SimEnv", 4, train=[2, 0, 0, 1], seed=[7, 8, None, 10], noisy=[True, None, False, True])
    return x


def refused(error: type[Exception], *parts: str):
    """Expect an error whose message is one line and contains all the parts."""
    wanted = "".join(f"(?=.*{re.escape(part)})" for part in parts)
    return pytest.raises(error, match=rf"\A{wanted}[^\n]*\Z")


def values_of(python_type: type) -> st.SearchStrategy:
    """Values of an attribute that JSON can hold; few, so that some occur twice."""
    return {
        float: st.sampled_from([0.0, -0.0, 0.25, 1e300, 5e-324]) | st.floats(allow_nan=False, allow_infinity=False),
        int: st.integers(-2, 2) | st.integers(-(2**63), 2**63 - 1),
        str: st.sampled_from(["", "a", "ä\n", "\U0001f916", '"\\']) | st.text(max_size=3),
        bool: st.booleans(),
    }[python_type]


@st.composite
def schemas(draw: st.DrawFn) -> Schema:
    """One to three objects, up to four homs between any of them, up to three attributes."""
    obs = [f"Ob{i}" for i in range(draw(st.integers(1, 3)))]
    ob = st.sampled_from(obs)
    homs = {f"f{i}": (draw(ob), draw(ob)) for i in range(draw(st.integers(0, 4)))}
    attrtypes = {f"T{i}": draw(st.sampled_from(PYTHON_TYPES)) for i in range(draw(st.integers(0, 2)))}
    attrs = {}
    if attrtypes:
        kind = st.sampled_from(list(attrtypes))
        attrs = {f"a{i}": (draw(ob), draw(kind)) for i in range(draw(st.integers(0, 3)))}
    return Schema("Random", obs, homs, attrtypes, attrs)


@st.composite
def acsets(draw: st.DrawFn, schema: Schema | None = None) -> ACSet:
    """Up to four parts of each object; homs and attributes partly undefined, some attributes variables."""
    x = ACSet(schema or draw(schemas()))
    for attrtype in x.schema.attrtypes:
        x.add_vars(attrtype, draw(st.integers(0, 2)))
    for ob in x.schema.obs:
        x.add_parts(ob, draw(st.integers(0, 4)))
    for name, (ob, codom) in x.schema.homs.items():
        value = st.none() | st.integers(0, x.nparts(codom) - 1) if x.nparts(codom) else st.none()
        x.set(ob, x.parts(ob), **{name: [draw(value) for _ in x.parts(ob)]})
    for name, (ob, attrtype) in x.schema.attrs.items():
        value = st.none() | values_of(x.schema.attrtypes[attrtype])
        if x.nvars(attrtype):
            value |= st.builds(Var, st.integers(0, x.nvars(attrtype) - 1))
        x.set(ob, x.parts(ob), **{name: [draw(value) for _ in x.parts(ob)]})
    return x


@st.composite
def paths_in(draw: st.DrawFn, schema: Schema, longest: int = 4) -> tuple[str, tuple[str, ...]]:
    """A domain and a path from it, of at most ``longest`` arrows; perhaps an attribute at its end."""
    dom = end = draw(st.sampled_from(schema.obs))
    arrows: list[str] = []
    for _ in range(draw(st.integers(0, longest))):
        onward = (*schema.homs_from(end), *schema.attrs_from(end))
        if not onward:
            break
        arrows.append(draw(st.sampled_from(onward)))
        if arrows[-1] in schema.attrs:
            break
        end = schema.homs[arrows[-1]][1]
    return dom, tuple(arrows)
