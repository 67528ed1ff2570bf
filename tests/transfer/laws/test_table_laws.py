"""Each law: where it holds, is violated or undecided, the rows it names and what it says of them."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transfer_strategies import EPSILONS, FIXED

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Var
from sim2real_cat.errors import LawError
from sim2real_cat.transfer import laws
from sim2real_cat.transfer.instance import TransferInstance
from sim2real_cat.transfer.schema import SchSim2RealTransfer, SchTransferStudy

TABLE = ["functor", "gap-valid", "transfer-identity", "transfer-idempotent", "transfer-deploy"]
EVIDENCE = ["fibre-bound", "square", "gap-recomputes"]
NAMES = [*TABLE, *EVIDENCE]
WELL = dict.fromkeys(TABLE, "holds") | dict.fromkeys(EVIDENCE, "not asked")
EPSILON = 0.1
UP, DOWN = float(np.nextafter(EPSILON, 1)), float(np.nextafter(EPSILON, 0))
ITSELF, NOWHERE = 0, None


def said(result):
    """What a law found: verdict, object, row and message of every witness."""
    return [(w.verdict, w.ob, w.id, w.message) for w in result.witnesses]


def verdicts(report):
    return {result.law.name: result.verdict if result.asked else "not asked" for result in report.results}


@pytest.mark.parametrize("schema", [SchSim2RealTransfer, SchTransferStudy])
def test_all_laws_hold_in_the_empty_instance(schema):
    report = TransferInstance(ACSet(schema)).check(EPSILON)
    assert verdicts(report) == WELL
    assert report.verdict == "holds"
    assert TransferInstance(ACSet(schema)).check().epsilon == laws.DEFAULT_EPSILON


# transfer-identity, on one policy of a study

UNDER = "< 0.1, but transfer is undefined instead of itself"
OVER = ">= 0.1, but transfer is the identity"


@pytest.mark.parametrize(
    ("gap", "transfer", "message"),
    [
        (0.0, ITSELF, None),
        (-0.0, ITSELF, None),
        (5e-324, ITSELF, None),
        (DOWN, ITSELF, None),
        (0.1, NOWHERE, None),
        (UP, NOWHERE, None),
        (1e308, NOWHERE, None),
        (math.inf, NOWHERE, None),
        (None, NOWHERE, None),
        (math.nan, NOWHERE, None),
        (0.0, NOWHERE, f"kl_gap 0 {UNDER}"),
        (5e-324, NOWHERE, f"kl_gap 4.941e-324 {UNDER}"),
        (DOWN, NOWHERE, f"kl_gap 0.09999999999999999 {UNDER}"),
        (-2.5, NOWHERE, f"kl_gap -2.5 {UNDER}"),
        (0.1, ITSELF, f"kl_gap 0.1 {OVER}"),
        (UP, ITSELF, f"kl_gap 0.1 {OVER}"),
        (1e308, ITSELF, f"kl_gap 1e+308 {OVER}"),
        (math.inf, ITSELF, f"kl_gap inf {OVER}"),
    ],
)
def test_identity_is_exactly_under_epsilon(make_instance, gap, transfer, message):
    result = make_instance({"kl_gap": gap, "transfer": transfer}).check(EPSILON)["transfer-identity"]
    assert said(result) == ([] if message is None else [("violated", "Policy", 0, message)])
    assert result.verdict == ("holds" if message is None else "violated")


@pytest.mark.parametrize("gap", [None, math.nan])
@pytest.mark.parametrize(("transfer", "where"), [(0, "is the identity"), (1, "goes to Policy 1")])
def test_a_transfer_without_a_gap_is_undecided(make_instance, gap, transfer, where):
    instance = make_instance({"kl_gap": gap, "transfer": transfer}, {"kl_gap": 0.0, "transfer": 1})
    result = instance.check(EPSILON)["transfer-identity"]
    assert result.verdict == "undecided"
    assert said(result) == [("undecided", "Policy", 0, f"transfer {where}, but kl_gap was not measured")]


def test_a_gap_of_which_only_a_variable_is_known_is_unmeasured(make_instance):
    instance = make_instance({"transfer": 0})
    instance.acset.add_vars("TransferGap", 1)
    instance.acset.set("Policy", 0, kl_gap=Var(0))
    report = instance.check(EPSILON)
    assert report["gap-valid"].verdict == "holds"
    assert report["transfer-identity"].verdict == "undecided"
    assert instance.failing().tolist() == []


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.0, DOWN, "holds"),
        (0.0, 0.1, "undecided"),
        (0.0, 7.0, "undecided"),
        (0.0, math.inf, "undecided"),
        (0.0, None, "undecided"),
        (None, 0.2, "undecided"),
        (None, DOWN, "holds"),
        (None, None, "holds"),
    ],
)
def test_an_interval_that_reaches_over_epsilon_leaves_the_law_open(make_instance, low, high, verdict):
    row = {"kl_gap": 0.05, "gap_low": low, "gap_high": high, "transfer": 0}
    assert make_instance(row).check(EPSILON)["transfer-identity"].verdict == verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.1, 0.3, "violated"),
        (UP, None, "violated"),
        (DOWN, 0.3, "undecided"),
        (DOWN, None, "undecided"),
        (None, None, "violated"),
    ],
)
def test_an_interval_that_reaches_under_epsilon_leaves_the_law_open(make_instance, low, high, verdict):
    row = {"kl_gap": 0.2, "gap_low": low, "gap_high": high, "transfer": 0}
    assert make_instance(row).check(EPSILON)["transfer-identity"].verdict == verdict


def test_what_is_said_of_open_rows(make_instance):
    instance = make_instance(
        {"kl_gap": 0.05, "gap_low": 0.01, "gap_high": 0.25, "transfer": None},
        {"kl_gap": 0.05, "gap_low": 0.01, "transfer": 1},
        {"kl_gap": 0.7, "gap_low": 0.6, "gap_high": 0.8, "gap_reliable": False, "transfer": 2},
        {"kl_gap": 0.05, "gap_low": 0.01, "gap_high": 0.25, "gap_reliable": False},
        {"kl_gap": 0.7, "gap_reliable": True, "transfer": 4},
    )
    assert said(instance.check(EPSILON)["transfer-identity"]) == [
        ("violated", "Policy", 4, f"kl_gap 0.7 {OVER}"),
        ("undecided", "Policy", 0, "the interval [0.01, 0.25] of kl_gap straddles 0.1"),
        ("undecided", "Policy", 1, "the interval [0.01, inf] of kl_gap straddles 0.1"),
        ("undecided", "Policy", 3, "the interval [0.01, 0.25] of kl_gap straddles 0.1"),
        ("undecided", "Policy", 2, "kl_gap 0.7 is marked unreliable, see gap_note"),
    ]


def test_a_takeover_of_a_policy_that_transfers_is_named(make_instance):
    instance = make_instance({"kl_gap": 0.01, "transfer": 1}, {"kl_gap": 0.02, "transfer": 1})
    message = "kl_gap 0.01 < 0.1, but transfer goes to Policy 1 instead of itself"
    assert said(instance.check(EPSILON)["transfer-identity"]) == [("violated", "Policy", 0, message)]


# the other laws


@pytest.mark.parametrize(
    ("gap", "shown"), [(-5e-324, "-4.94066e-324"), (-1.0, "-1"), (math.nan, "nan"), (math.inf, "inf")]
)
def test_a_gap_is_finite_and_not_negative(make_instance, gap, shown):
    instance = make_instance({"kl_gap": 0.0}, {"kl_gap": gap}, {"kl_gap": None})
    message = f"kl_gap is {shown}, but must be finite and >= 0"
    assert said(instance.check(EPSILON)["gap-valid"]) == [("violated", "Policy", 1, message)]


@pytest.mark.parametrize(
    ("ob", "hom", "codom"),
    [
        ("SimEnv", "train", "Policy"),
        ("Policy", "deploy", "RealEnv"),
        ("SimEnv", "observe_sim", "Observation"),
        ("RealEnv", "observe_real", "Observation"),
        ("Draw", "drawn_in", "SimEnv"),
    ],
)
def test_every_arrow_but_transfer_is_total(make_instance, ob, hom, codom):
    instance = make_instance({"kl_gap": 0.01, "transfer": 0}, {"kl_gap": 0.02, "transfer": 1}, robots=2)
    instance.acset.add_parts("Draw", 2, drawn_in=[0, 1])
    instance.acset.set(ob, 1, **{hom: None})
    report = instance.check(EPSILON)
    assert said(report["functor"]) == [("violated", ob, 1, f"{hom} is undefined, but every part needs a {codom}")]
    assert verdicts(report) == WELL | {"functor": "violated"}


def test_transfer_may_be_undefined(make_instance):
    assert make_instance({"kl_gap": 3.0}, {}).check(EPSILON).verdict == "holds"


@pytest.mark.parametrize(
    ("transfer", "found"),
    [
        ([0, 0, None], []),
        ([1, 2, 2], [(0, "Policy 1 took over, but its own transfer goes to Policy 2")]),
        ([1, None, None], [(0, "Policy 1 took over, but its own transfer is undefined")]),
        (
            [1, 0, 2],
            [
                (0, "Policy 1 took over, but its own transfer goes to Policy 0"),
                (1, "Policy 0 took over, but its own transfer goes to Policy 1"),
            ],
        ),
    ],
)
def test_who_took_over_transfers(make_instance, transfer, found):
    result = make_instance(*({"transfer": target} for target in transfer)).check(EPSILON)["transfer-idempotent"]
    assert said(result) == [("violated", "Policy", row, message) for row, message in found]


def test_who_took_over_runs_on_the_same_robot(make_instance):
    instance = make_instance(
        {"transfer": 1, "deploy": 0},
        {"transfer": 1, "deploy": 2},
        {"transfer": None, "deploy": 1},
        {"transfer": 1, "deploy": None},
        robots=3,
    )
    message = "runs on RealEnv 0, but Policy 1, which took over, runs on RealEnv 2"
    assert said(instance.check(EPSILON)["transfer-deploy"]) == [("violated", "Policy", 0, message)]


def test_no_robot_is_made_up_where_the_heir_has_none(make_instance):
    instance = make_instance({"transfer": 1}, {"transfer": 1, "deploy": None})
    assert instance.check(EPSILON)["transfer-deploy"].verdict == "holds"
    assert instance.check(EPSILON)["functor"].verdict == "violated"


# the report


def test_laws_are_chosen_by_name_in_the_order_asked(make_instance):
    report = make_instance({"kl_gap": -1.0, "transfer": 0}).check(EPSILON, ["transfer-deploy", "gap-valid"])
    assert verdicts(report) == {"transfer-deploy": "holds", "gap-valid": "violated"}
    assert [result.law.name for result in report.results] == ["transfer-deploy", "gap-valid"]
    assert report.verdict == "violated"


def test_all_laws_are_those_of_the_design():
    assert [law.name for law in laws.ALL] == NAMES


def test_unknown_laws_are_refused(make_instance, refused):
    instance = make_instance()
    with refused(LawError, "unknown law 'gap-vald'", "did you mean 'gap-valid'?", *NAMES):
        instance.check(EPSILON, ["functor", "gap-vald"])
    with refused(LawError, "unknown law 'functor'", "Valid: gap-valid"):
        _ = instance.check(EPSILON, ["gap-valid"])["functor"]


@pytest.mark.parametrize("epsilon", [0.0, -0.1, math.nan, math.inf])
def test_epsilon_is_a_positive_number(make_instance, refused, epsilon):
    with refused(LawError, "epsilon must be a positive number of nats", str(epsilon)):
        make_instance().check(epsilon)


def test_the_report_as_plain_values(make_instance):
    table = make_instance({"kl_gap": 0.7, "transfer": 0}).check(0.5).to_table()
    assert json.loads(json.dumps(table)) == table
    assert (table["epsilon"], table["verdict"]) == (0.5, "violated")
    assert [law["name"] for law in table["laws"]] == NAMES
    assert table["laws"][2]["witnesses"] == [
        {
            "verdict": "violated",
            "ob": "Policy",
            "id": 0,
            "message": "kl_gap 0.7 >= 0.5, but transfer is the identity",
            "excess": pytest.approx(0.2),
            "more_episodes": None,
        }
    ]


@pytest.mark.parametrize(
    ("policies", "verdict"),
    [
        ([{"kl_gap": 0.01, "transfer": 0}], "holds"),
        ([{"transfer": 0}], "undecided"),
        ([{"transfer": 0}, {"kl_gap": -1.0, "transfer": 1}], "violated"),
    ],
)
def test_one_verdict_over_all_laws(make_instance, policies, verdict):
    assert make_instance(*policies).check(EPSILON).verdict == verdict


# over random instances; test_transfer_law_proofs.py has more of them


@FIXED
@given(st.data())
def test_transfer_identity_is_the_equalizer_row_by_row(data):
    """transfer(π) = π ⇔ kl_gap(π) < ε says: the equalizer of transfer and the identity is {kl_gap < ε}."""
    epsilon = data.draw(EPSILONS)
    n = data.draw(st.integers(0, 6))
    near = st.sampled_from([0.0, epsilon, float(np.nextafter(epsilon, 0))])
    gaps = data.draw(st.lists(near | st.floats(0, allow_infinity=False), min_size=n, max_size=n))
    x = ACSet(SchSim2RealTransfer)
    x.add_parts("Policy", n, kl_gap=gaps)
    x.set("Policy", x.parts("Policy"), transfer=[data.draw(st.none() | st.integers(0, n - 1)) for _ in gaps])
    equalizer = set(TransferInstance(x).transferring().tolist())
    under = {policy for policy, gap in enumerate(gaps) if gap < epsilon}
    result = laws.check(x, epsilon, ["transfer-identity"])["transfer-identity"]
    assert {w.id for w in result.witnesses} == equalizer ^ under
    assert (result.verdict == "holds") == (equalizer == under)
