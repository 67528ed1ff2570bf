"""Every law has one verdict, whichever engine evaluates it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transfer_strategies import EPSILONS, FIXED

from sim2real_cat import strategies
from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.catlab import instances
from sim2real_cat.acsets.columns import Var
from sim2real_cat.errors import EngineError, LawError
from sim2real_cat.transfer.instance import TransferInstance
from sim2real_cat.transfer.laws import ALL, Law, Witness, check, check_in_both
from sim2real_cat.transfer.schema import SchTransferStudy

GAPS = st.none() | st.sampled_from([0.0, 0.5, -1.0, np.nan, np.inf, 5e-324]) | st.floats(0, 1)


@st.composite
def any_instances(draw):
    """Policies with any gaps, intervals and transfers, lawful or not, some of their gaps variables."""
    x = ACSet(SchTransferStudy)
    x.add_vars("TransferGap", 1)
    x.add_parts("Observation", 1)
    x.add_parts("RealEnv", 2, observe_real=draw(st.sampled_from([[0, 0], [0, None]])))
    n = draw(st.integers(0, 4))
    target = st.none() | st.integers(0, n - 1) if n else st.none()
    columns = {
        "deploy": st.none() | st.integers(0, 1),
        "kl_gap": GAPS | st.just(Var(0)),
        "gap_low": GAPS,
        "gap_high": GAPS,
        "gap_reliable": st.none() | st.booleans(),
    }
    x.add_parts("Policy", n, **{name: [draw(value) for _ in range(n)] for name, value in columns.items()})
    x.set("Policy", x.parts("Policy"), transfer=[draw(target) for _ in range(n)])
    x.add_parts("SimEnv", 2, train=[draw(target) for _ in range(2)], observe_sim=0)
    return x


@FIXED
@given(any_instances(), EPSILONS)
def test_any_instance_has_the_same_verdicts(catlab_engine, x, epsilon):
    mine = check(x, epsilon)
    assert check(x.to_engine(catlab_engine), epsilon) == mine
    assert check_in_both(x, epsilon) == mine


@FIXED
@given(st.data())
def test_a_broken_law_is_found_in_catlab(catlab_engine, data):
    epsilon = data.draw(EPSILONS)
    x = data.draw(strategies.transfer_instances(epsilon, min_policies=1))
    assert check(x.acset.to_engine(catlab_engine), epsilon, strategies.LAWS).verdict == "holds"
    broken = data.draw(strategies.mutations(x, epsilon=epsilon))
    report = check(broken.instance.acset.to_engine(catlab_engine), epsilon, strategies.LAWS)
    found = {(result.law.name, w.verdict, w.ob, w.id) for result in report.results for w in result.witnesses}
    assert found == {(broken.law, "violated", *row) for row in broken.rows}


def test_a_difference_between_the_engines_is_an_error(catlab_engine, make_instance, monkeypatch, refused):
    x = make_instance({"kl_gap": 0.01, "transfer": 0}).acset
    monkeypatch.setattr(instances, "law_rows", lambda *_: [("violated", "Policy", 0)])
    with refused(
        LawError, "the engines differ on law 'functor'", "Policy 0 is violated for Catlab and not for embedded"
    ):
        check_in_both(x)
    report = check(x.to_engine(catlab_engine), laws=["functor"])
    assert report["functor"].witnesses == (Witness("violated", "Policy", 0, "violated according to Catlab alone"),)
    monkeypatch.setattr(instances, "law_rows", lambda *_: [])
    broken = make_instance({"kl_gap": 0.01}).acset
    with refused(LawError, "'transfer-identity'", "Policy 0 is violated for embedded and not for Catlab"):
        check_in_both(broken)


def test_a_law_of_ones_own_reads_the_instance_in_catlab(catlab_engine, make_instance):
    named = Law(
        "named",
        "Every policy has a name.",
        "policy_name total",
        lambda x, _: [
            Witness("violated", "Policy", part, "has no name")
            for part in x.parts("Policy").tolist()
            if x.subpart("policy_name", part) is None
        ],
    )
    x = make_instance({"kl_gap": 0.01, "policy_name": None}).to_engine(catlab_engine)
    assert x.acset.engine == "catlab"
    assert named.check(x.acset).verdict == "violated"
    assert named not in ALL


def test_a_transfer_instance_moves_between_engines(catlab_engine, make_instance):
    here = make_instance({"kl_gap": 0.01, "transfer": 0}, {"kl_gap": 0.9, "transfer": 0})
    there = here.to_engine(catlab_engine)
    assert isinstance(there, TransferInstance)
    assert there == here
    assert there.fibre("policy1").tolist() == here.fibre("policy1").tolist()
    assert there.failing().tolist() == [1]
    assert sorted(there.transfer_graph().edges(keys=True)) == sorted(here.transfer_graph().edges(keys=True))
    with pytest.raises(EngineError, match="unknown engine 'catlb'"):
        here.to_engine("catlb")
