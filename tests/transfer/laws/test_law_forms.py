"""transfer-identity in its two forms, how many more episodes would decide it, and a million witnesses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transfer_strategies import EPSILONS, FIXED

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.transfer import laws
from sim2real_cat.transfer.schema import SchSim2RealTransfer, SchTransferStudy

EPSILON = 0.1


@st.composite
def policies(draw, epsilon):
    """Policies with any gaps, intervals, doubts and transfers, often right at epsilon."""
    near = st.sampled_from([0.0, epsilon, float(np.nextafter(epsilon, 0)), float(np.nextafter(epsilon, 1)), math.inf])
    gap = st.none() | near | st.floats(0, 2, allow_nan=False) | st.sampled_from([math.nan, -1.0])
    n = draw(st.integers(0, 6))
    x = ACSet(SchTransferStudy)
    columns = {"kl_gap": gap, "gap_low": gap, "gap_high": gap, "gap_reliable": st.none() | st.booleans()}
    x.add_parts("Policy", n, **{name: [draw(value) for _ in range(n)] for name, value in columns.items()})
    x.set("Policy", x.parts("Policy"), transfer=[draw(st.none() | st.integers(0, n - 1)) for _ in range(n)])
    return x


@FIXED
@given(st.data())
def test_both_forms_say_the_same_of_the_same_rows(data):
    epsilon = data.draw(EPSILONS)
    x = data.draw(policies(epsilon))
    rows, equalizer = laws.TRANSFER_IDENTITY.check(x, epsilon), laws.TRANSFER_EQUALIZER.check(x, epsilon)
    assert equalizer.verdict == rows.verdict
    for verdict in ("violated", "undecided"):
        assert equalizer.ids("Policy", verdict).tolist() == rows.ids("Policy", verdict).tolist()


@FIXED
@given(st.data())
def test_the_subobjects_are_what_they_are_called(data):
    """Decided by the definition, one policy at a time."""
    epsilon = data.draw(EPSILONS)
    x = data.draw(policies(epsilon))
    found = laws.identity_subobjects(x, epsilon)
    gap, low, high = laws.intervals(x)
    n = x.nparts("Policy")
    transfer = [x.subpart("transfer", p) for p in range(n)]
    reliable = [x.subpart("gap_reliable", p) is not False for p in range(n)]
    assert found.surely <= found.possibly
    assert found.equalizer.parts["Policy"].tolist() == [p for p in range(n) if transfer[p] == p]
    open_ = [not math.isnan(gap[p]) and (low[p] < epsilon <= high[p] or not reliable[p]) for p in range(n)]
    under = [p for p in range(n) if gap[p] < epsilon and not open_[p]]
    unmeasured = [p for p in range(n) if math.isnan(gap[p]) and transfer[p] is not None]
    assert found.surely.parts["Policy"].tolist() == under
    assert found.possibly.parts["Policy"].tolist() == sorted([*under, *unmeasured, *(p for p in range(n) if open_[p])])


def test_the_equalizer_is_taken_in_catlab_too(catlab_engine, make_instance):
    x = make_instance({"kl_gap": 0.01, "transfer": 0}, {"kl_gap": 0.9, "transfer": 1}, {"transfer": 0}, {})
    there = laws.TRANSFER_EQUALIZER.check(x.acset.to_engine(catlab_engine), EPSILON)
    assert there.ids("Policy", "violated").tolist() == [1]
    assert there.ids("Policy", "undecided").tolist() == [2]
    assert laws.TRANSFER_EQUALIZER not in laws.ALL


# how many more episodes


@pytest.mark.parametrize(
    ("gap", "low", "high", "more"),
    [
        # half-width 0.04, 0.02 away: 4 n episodes in all
        (0.08, 0.04, 0.12, 30),
        (0.12, 0.08, 0.16, 30),
        # the lower end was cut off at 0: the half-width is that of the upper side
        (0.05, 0.0, 0.25, 150),
        (0.0999, 0.05, 0.1, 1),
        # epsilon itself, no end, or no number that is one
        (0.1, 0.0, 0.2, None),
        (0.05, 0.0, None, None),
        (0.05, 0.0, math.inf, None),
        (float(np.nextafter(0.1, 0)), 0.0, 1e300, None),
    ],
)
def test_the_width_of_the_interval_says_how_many_more(make_instance, gap, low, high, more):
    row = {"kl_gap": gap, "gap_low": low, "gap_high": high, "transfer": 0, "gap_episodes": 10}
    (witness,) = make_instance(row).check(EPSILON)["transfer-identity"].witnesses
    assert witness.more_episodes == more
    assert ("more real episodes would decide it" in witness.message) == (more is not None)
    assert more is None or f"some {more} more" in witness.message


def test_the_episodes_of_a_robot_count_where_it_ran_one_policy(make_instance):
    row = {"kl_gap": 0.08, "gap_low": 0.04, "gap_high": 0.12}
    alone = make_instance(
        {**row, "deploy": 0}, {**row, "deploy": 1}, {**row, "deploy": 1}, {**row, "deploy": None}, robots=2
    )
    alone.acset.set("Observation", [0, 1], episodes=[12, 12], diverged=[2, None])
    alone.acset.set("Policy", 2, gap_episodes=20)
    found = alone.check(EPSILON)["transfer-identity"].witnesses
    assert [w.more_episodes for w in found] == [30, None, 60, None]


def test_how_far_rows_are_off(make_instance):
    x = make_instance(
        {"kl_gap": 0.03},
        {"kl_gap": 0.7, "transfer": 1},
        {"kl_gap": 0.08, "gap_low": 0.04, "gap_high": 0.13},
        {"transfer": 3},
        {"kl_gap": math.inf, "transfer": 4},
    )
    assert [w.excess for w in x.check(EPSILON)["transfer-identity"].witnesses] == [
        pytest.approx(0.07),
        pytest.approx(0.6),
        None,
        pytest.approx(0.03),
        None,
    ]
    x = make_instance({"kl_gap": -2.5}, {"kl_gap": math.nan})
    assert [w.excess for w in x.check(EPSILON)["gap-valid"].witnesses] == [2.5, None]


# many witnesses


def test_a_great_many_witnesses_are_columns(monkeypatch):
    n = 100_000
    x = ACSet(SchSim2RealTransfer)
    x.add_parts("Policy", n, kl_gap=np.where(np.arange(n) % 2, 0.01, 0.7))
    result = laws.check(x, EPSILON, ["transfer-identity", "functor"])["transfer-identity"]
    assert (len(result.witnesses), result.verdict) == (n // 2, "violated")
    assert np.array_equal(result.ids("Policy"), np.arange(1, n, 2))
    assert result.ids("Policy", "undecided").tolist() == result.ids("RealEnv").tolist() == []
    assert result.witnesses[-1].id == n - 1
    assert [w.id for w in result.witnesses[:3]] == [1, 3, 5]
    assert repr(result.witnesses) == "<Witnesses: 50000 Policy violated>"
    with pytest.raises(IndexError, match="there are 50000 witnesses, none has the number 50000"):
        _ = result.witnesses[n // 2]


def test_witnesses_are_a_sequence(make_instance):
    found = make_instance({"kl_gap": 0.03}, {"kl_gap": 0.7, "transfer": 1}, {"transfer": 2}).check(EPSILON)
    witnesses = found["transfer-identity"].witnesses
    assert [witnesses[i] for i in range(-3, 0)] == list(witnesses)
    assert witnesses == tuple(witnesses)
    assert witnesses != tuple(witnesses)[:2]
    assert witnesses != tuple(reversed(witnesses))
    assert witnesses != "abc"
    assert list(witnesses[::-1]) == list(reversed(list(witnesses)))
