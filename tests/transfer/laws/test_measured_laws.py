"""The laws that need more than arrows and gaps: fibre-bound, square and gap-recomputes."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transfer_strategies import FIXED

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.transfer import laws
from sim2real_cat.transfer.instance import TransferInstance
from sim2real_cat.transfer.laws import Recomputed
from sim2real_cat.transfer.schema import SchSim2RealTransfer, SchTransferStudy

LN2 = math.log(2)


@pytest.fixture
def fibre():
    """One policy with a row of attributes, trained in one world for each further row."""

    def make(policy, *worlds):
        acset = ACSet(SchTransferStudy)
        acset.add_parts("Observation", 2)
        acset.add("RealEnv", observe_real=0)
        acset.add("Policy", deploy=0, **policy)
        for world in worlds:
            acset.add("SimEnv", train=0, observe_sim=1, **{"sim_weight": 1.0} | world)
        return TransferInstance(acset)

    return make


def asked(instance, name, **more):
    return instance.check(0.5, [name], **more)[name]


# whether they can be asked


@pytest.mark.parametrize("name", ["fibre-bound", "square", "gap-recomputes"])
def test_without_its_attributes_a_law_is_not_asked(name):
    x = ACSet(SchSim2RealTransfer)
    result = laws.check(x, 0.5, [name])[name]
    assert (result.asked, result.verdict, len(result.witnesses)) == (False, "undecided", 0)
    assert "schema SchSim2RealTransfer has no " in result.reason
    assert laws.check(x, 0.5).verdict == "holds"
    assert laws.check(x, 0.5, [name]).verdict == "undecided"
    (row,) = laws.check(x, 0.5, [name]).to_table()["laws"]
    assert (row["asked"], row["reason"], row["verdict"]) == (False, result.reason, "undecided")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("fibre-bound", "no policy has a fibre_gap, its gap_steps, and the member_gap"),
        ("square", "no SimEnv has a square_gap"),
        ("gap-recomputes", "the gaps were not measured again"),
    ],
)
def test_where_nothing_was_recorded_a_law_is_not_asked(fibre, name, reason):
    result = asked(fibre({"kl_gap": 0.1, "gap_steps": 10.0}, {}), name)
    assert not result.asked
    assert result.reason.startswith(reason)


# fibre-bound: T = 10 steps, two worlds of equal weight


@pytest.mark.parametrize(
    ("policy", "worlds", "verdict", "excess"),
    [
        # 10 · 0.3 <= 10 · 0.25 + ln 2
        ({"fibre_gap": 0.3}, [{"member_gap": 0.25}, {"member_gap": 9.0}], "holds", None),
        ({"fibre_gap": 0.25 + LN2 / 10}, [{"member_gap": 0.25}, {"member_gap": 9.0}], "holds", None),
        ({"fibre_gap": 0.4}, [{"member_gap": 0.25}, {"member_gap": 9.0}], "violated", 1.5 - LN2),
        # the first world is all but left out, so that it bounds little
        ({"fibre_gap": 0.4}, [{"member_gap": 0.25, "sim_weight": 1e-3}, {"member_gap": 9.0}], "holds", None),
        ({"fibre_gap": 0.4}, [{"member_gap": 0.25, "sim_weight": 0.0}, {"member_gap": 9.0}], "holds", None),
        # a world that cannot have produced what was read has no gap, and bounds nothing
        ({"fibre_gap": 0.4}, [{}, {"member_gap": 0.4}], "holds", None),
        ({"fibre_gap": 0.5}, [{}, {"member_gap": 0.4}], "violated", 1.0 - LN2),
        # a missing weight makes all equal
        ({"fibre_gap": 0.4}, [{"member_gap": 0.25, "sim_weight": None}, {"member_gap": 9.0}], "violated", 1.5 - LN2),
        (
            {"fibre_gap": 0.25 + LN2 / 10},
            [{"member_gap": 0.25, "sim_weight": None}, {"sim_weight": 0.1}],
            "holds",
            None,
        ),
        ({"fibre_gap": 0.3}, [{"member_gap": 0.2, "sim_weight": None}, {"sim_weight": 0.1}], "violated", 1.0 - LN2),
        # a single world is the mixture
        ({"fibre_gap": 0.7}, [{"member_gap": 0.7, "sim_weight": 3.0}], "holds", None),
        ({"fibre_gap": 0.7 + 1e-13}, [{"member_gap": 0.7}], "holds", None),
        ({"fibre_gap": 0.7 + 1e-6}, [{"member_gap": 0.7}], "violated", 1e-5),
        # intervals: both must be left behind
        ({"fibre_gap": 0.8, "fibre_gap_low": 0.6}, [{"member_gap": 0.5, "member_gap_high": 0.55}], "violated", 0.5),
        ({"fibre_gap": 0.8, "fibre_gap_low": 0.54}, [{"member_gap": 0.5, "member_gap_high": 0.55}], "undecided", 3.0),
        ({"fibre_gap": 0.8, "fibre_gap_low": 0.6}, [{"member_gap": 0.5, "member_gap_low": 0.1}], "undecided", 3.0),
        ({"fibre_gap": 0.8, "gap_reliable": False}, [{"member_gap": 0.5}], "undecided", 3.0),
        ({"fibre_gap": 0.4, "fibre_gap_low": 0.0, "fibre_gap_high": 9.0}, [{"member_gap": 0.5}], "holds", None),
    ],
)
def test_a_mixture_is_no_worse_than_its_worlds(fibre, policy, worlds, verdict, excess):
    result = asked(fibre({"gap_steps": 10.0, **policy}, *worlds), "fibre-bound")
    assert (result.asked, result.verdict) == (True, verdict)
    if excess is None:
        assert len(result.notes) == 1
    else:
        (witness,) = result.witnesses
        assert (witness.verdict, witness.ob, witness.id) == (verdict, "Policy", 0)
        assert witness.excess == pytest.approx(excess, rel=1e-6)


def test_the_world_that_binds_is_named(fibre):
    worlds = [{"member_gap": 0.5}, {"member_gap": 0.2}, {"member_gap": 0.1, "sim_weight": 1e-9}]
    holds = asked(fibre({"fibre_gap": 0.2, "gap_steps": 10.0}, *worlds), "fibre-bound")
    assert holds.notes[0].message == "T·fibre_gap is 2 nats; SimEnv 1 binds it, at 2.693"
    breaks = asked(fibre({"fibre_gap": 0.4, "gap_steps": 10.0}, *worlds), "fibre-bound")
    assert breaks.witnesses[0].message == "T·fibre_gap is 4 nats, but SimEnv 1 alone bounds it by 2.693"
    assert breaks.witnesses[0].excess == pytest.approx(4 - 2 - LN2)


@pytest.mark.parametrize(
    "policy", [{"gap_method": "gaussian"}, {"gap_steps": None}, {"gap_steps": 0.0}, {"fibre_gap": None}]
)
def test_what_is_no_trajectory_gap_is_not_asked_about(fibre, policy):
    """The gaps of single steps forget which member the past spoke for, and are not bounded by it."""
    row = {"fibre_gap": 9.0, "gap_steps": 10.0, "gap_method": "predictive"}
    assert asked(fibre(row, {"member_gap": 0.1}), "fibre-bound").verdict == "violated"
    assert not asked(fibre(row | policy, {"member_gap": 0.1}), "fibre-bound").asked


@FIXED
@given(st.data())
def test_the_bound_holds_of_random_mixtures_and_their_members(data):
    """Trajectory divergences of discrete distributions, by the definition."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    m, outcomes, steps = data.draw(st.integers(1, 4)), data.draw(st.integers(2, 5)), float(data.draw(st.integers(1, 9)))
    real, members = rng.dirichlet(np.ones(outcomes)), rng.dirichlet(np.ones(outcomes), m)
    weights = rng.dirichlet(np.ones(m))
    own = (real * np.log(real / members)).sum(axis=1) / steps
    mixed = (real * np.log(real / (weights @ members))).sum() / steps
    x = ACSet(SchTransferStudy)
    x.add("Policy", fibre_gap=mixed, gap_steps=steps, occupancy_gap=mixed * steps)
    x.add_parts(
        "SimEnv", m, train=0, sim_weight=7 * weights, member_gap=own, square_gap=own * steps, square_level="occupancy"
    )
    assert laws.FIBRE_BOUND.check(x).verdict == "holds"
    assert laws.SQUARE.check(x).verdict == "holds"
    least = (own * steps - np.log(weights)).min()
    x.set("Policy", 0, fibre_gap=least / steps + 1e-3, occupancy_gap=least + 1e-3)
    assert laws.FIBRE_BOUND.check(x).ids("Policy", "violated").tolist() == [0]
    binding = laws.SQUARE.check(x).ids("SimEnv", "violated").tolist()
    assert int((own * steps - np.log(weights)).argmin()) in binding


# square


def test_a_square_that_does_not_commute_is_a_finding_and_no_fault(fibre):
    """A wide fibre, far from reality but for one world; the mixture is nearly as good as that one."""
    worlds = [
        {"square_gap": gap, "square_low": gap / 2, "square_high": 2 * gap, "square_level": "occupancy"}
        for gap in (7.0, 0.1)
    ]
    result = asked(fibre({"occupancy_gap": 0.6, "kl_gap": 3.0}, *worlds), "square")
    assert (result.verdict, len(result.witnesses)) == ("holds", 0)
    assert [(n.verdict, n.ob, n.id) for n in result.notes] == [("holds", "SimEnv", 0), ("holds", "SimEnv", 1)]
    assert result.notes[1].message == (
        "its square commutes up to 0.1 [0.05, 0.2] nats per observation, that of its fibre up to 0.6"
    )


@pytest.mark.parametrize(
    ("policy", "world", "verdict", "excess"),
    [
        ({"occupancy_gap": 0.1 + LN2 - 1e-6}, {"square_gap": 0.1}, "holds", None),
        ({"occupancy_gap": 0.2 + LN2}, {"square_gap": 0.1}, "violated", 0.1),
        ({"occupancy_gap": 0.2 + LN2, "occupancy_low": 0.05 + LN2}, {"square_gap": 0.1}, "undecided", 0.1),
        ({"occupancy_gap": 0.2 + LN2}, {"square_gap": 0.1, "square_low": 0.0}, "undecided", 0.1),
        (
            {"occupancy_gap": 0.4 + LN2, "occupancy_low": 0.3 + LN2},
            {"square_gap": 0.1, "square_high": 0.2},
            "violated",
            0.1,
        ),
        # gaps of other levels do not count
        ({"kl_gap": 50.0}, {"square_gap": 0.1}, "holds", None),
        ({"occupancy_gap": 50.0}, {"square_gap": 0.1, "square_level": "transition"}, "holds", None),
        ({"occupancy_gap": 50.0}, {"square_gap": 0.1, "square_level": None}, "holds", None),
        # per control step, the weight costs a T-th
        (
            {"kl_gap": 0.1 + LN2 / 10 - 1e-6, "gap_steps": 10.0},
            {"square_gap": 0.1, "square_level": "transition"},
            "holds",
            None,
        ),
        (
            {"kl_gap": 0.2 + LN2 / 10, "gap_steps": 10.0},
            {"square_gap": 0.1, "square_level": "transition"},
            "violated",
            0.1,
        ),
        ({"kl_gap": 50.0}, {"square_gap": 0.1, "square_level": "transition"}, "holds", None),
        (
            {"kl_gap": 0.2 + LN2 / 10, "gap_steps": 10.0, "gap_reliable": False},
            {"square_gap": 0.1, "square_level": "transition"},
            "undecided",
            0.1,
        ),
    ],
)
def test_the_mixture_commutes_as_far_as_each_world_bounds(fibre, policy, world, verdict, excess):
    other = {"square_gap": 99.0, "square_level": "occupancy"}
    result = asked(fibre(policy, {"square_level": "occupancy"} | world, other), "square")
    assert result.verdict == verdict
    if excess is not None:
        (witness,) = result.witnesses
        assert (witness.ob, witness.id, witness.excess) == ("SimEnv", 0, pytest.approx(excess))
        assert "bounds the mixture of Policy 0" in witness.message


@pytest.mark.parametrize(("gap", "excess"), [(-0.5, 0.5), (math.nan, None), (math.inf, None)])
def test_a_divergence_is_finite_and_not_negative(fibre, gap, excess):
    result = asked(fibre({}, {"square_gap": gap, "square_level": "occupancy"}, {"square_gap": 0.0}), "square")
    (witness,) = result.witnesses
    assert (witness.verdict, witness.id, witness.excess) == ("violated", 0, excess)
    assert "must be finite and >= 0" in witness.message


# gap-recomputes


@pytest.fixture
def recorded(fibre):
    """A measured policy whose observations name their recordings."""
    x = fibre({"kl_gap": 0.3, "gap_low": 0.2, "gap_high": 0.4}, {})
    x.acset.set("Observation", [0, 1], recording=["real", "sim"], recording_digest=["1f", "2e"])
    return x


@pytest.mark.parametrize(
    ("again", "verdict", "part"),
    [
        (Recomputed(0.3, 0.2, 0.4), "holds", ""),
        (Recomputed(0.3 * (1 + 1e-9), 0.2, 0.4), "holds", ""),
        (Recomputed(0.31, 0.2, 0.4), "violated", "kl_gap is 0.3, but measured again it is 0.31"),
        (Recomputed(0.3, 0.1, 0.4), "violated", "gap_low is 0.2, but measured again it is 0.1"),
        (Recomputed(0.3, 0.2), "violated", "gap_high is 0.4, but measured again it is inf"),
        (
            Recomputed(0.31, 0.2, 0.4, note="measured with numpy 1, here 2"),
            "violated",
            "(measured with numpy 1, here 2)",
        ),
        (Recomputed(), "violated", "kl_gap is 0.3, but there is none again"),
        (Recomputed(reason="the recording is gone"), "undecided", "the recording is gone"),
        (Recomputed(broken="the recording is another"), "violated", "the recording is another"),
    ],
)
def test_the_gap_is_what_its_estimator_says_again(recorded, again, verdict, part):
    asked_of = []
    result = asked(recorded, "gap-recomputes", recompute=lambda x, policy: asked_of.append(policy) or again)
    assert (result.verdict, asked_of) == (verdict, [0])
    assert [part in w.message for w in result.witnesses] == [True] * (verdict != "holds")
    table = recorded.check(0.5, recompute=lambda x, policy: again).to_table()
    assert json.loads(json.dumps(table, allow_nan=False)) == table


def test_an_open_interval_is_open_again(recorded):
    recorded.acset.set("Policy", 0, gap_high=None)
    assert asked(recorded, "gap-recomputes", recompute=lambda *_: Recomputed(0.3, 0.2)).verdict == "holds"


def test_only_what_was_measured_is_measured_again(recorded):
    def never(*_):
        raise AssertionError("asked")

    recorded.acset.add("Policy", deploy=0)
    recorded.acset.set("Policy", 0, kl_gap=None)
    result = asked(recorded, "gap-recomputes", recompute=never)
    assert (result.asked, result.reason) == (False, "no policy has a kl_gap")


def test_without_recordings_nothing_is_measured_again(fibre):
    result = asked(fibre({"kl_gap": 0.3}, {}), "gap-recomputes", recompute=lambda *_: Recomputed(9.0))
    assert (result.asked, result.reason) == (False, "no observation names its recording")


# both engines


def test_laws_that_julia_does_not_state_are_evaluated_here(catlab_engine, fibre):
    x = fibre(
        {"fibre_gap": 0.4, "gap_steps": 10.0}, {"member_gap": 0.25, "square_gap": 1.0, "square_level": "occupancy"}
    )
    names = ["fibre-bound", "square"]
    here = x.check(0.5, names)
    assert x.to_engine(catlab_engine).check(0.5, names) == here
    assert laws.check_in_both(x.acset, 0.5, names) == here
    assert here["fibre-bound"].verdict == "violated"
    assert [law.name for law in laws.ALL if law.python_only] == ["fibre-bound", "square", "gap-recomputes"]
