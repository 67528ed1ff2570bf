"""The library's strategies as these tests want them, and what several test modules share."""

from __future__ import annotations

import re

import pytest
from hypothesis import settings
from hypothesis import strategies as st

from sim2real_cat import strategies
from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.schema import Schema

FIXED = settings(derandomize=True, deadline=None, max_examples=60)

values_of = strategies.attribute_values
"""Values of an attribute that JSON can hold; few, so that some occur twice."""

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


def schemas() -> st.SearchStrategy[Schema]:
    """One to three objects, up to four homs between any of them, up to three attributes, and no equations."""
    return strategies.schemas(max_equations=0)


def acsets(schema: Schema | None = None) -> st.SearchStrategy[ACSet]:
    """Up to four parts of each object; homs and attributes partly undefined, equations left to chance."""
    chosen = schemas() if schema is None else st.just(schema)
    return chosen.flatmap(lambda known: strategies.acsets(known, equations="any"))


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
