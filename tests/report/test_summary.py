"""What is said of every policy."""

from __future__ import annotations

import numpy as np
import pytest

from sim2real_cat.acsets.columns import Var
from sim2real_cat.report.summary import summaries


def test_every_verdict(every_kind, report):
    assert [(row.verdict, row.kind) for row in summaries(every_kind, report)] == [
        ("transfers", "transfers"),
        ("transfers (undecided)", "open"),
        ("replaced by policy0", "fails"),
        ("replaced by policy0 (undecided)", "open"),
        ("does not transfer", "fails"),
        ("does not transfer (undecided)", "open"),
        ("not measured", "open"),
        ("not measured", "open"),
        ("not measured", "open"),
        ("transfers", "transfers"),
    ]


def test_gaps_with_intervals(every_kind, report):
    found = summaries(every_kind, report)
    assert [row.interval for row in found if row.name != "policy4"] == [
        "0.020 [0.010, 0.030]",
        "0.020 [0.000, 0.400]",
        "0.700 [0.500, ∞]",
        "0.700 [0.050, ∞]",
        "0.300 [0.200, 0.400]",
        "not measured",
        "not measured",
        "not measured",
        "0.050 [0.050, 0.050]",
    ]
    assert found[4].interval.startswith("12.3 [2")
    assert (found[2].high, found[9].low, found[9].high) == (np.inf, 0.05, 0.05)


def test_the_rest_of_a_row(every_kind, report):
    found = summaries(every_kind, report)
    assert (found[0].name, found[0].robot, found[1].robot, found[0].note) == ("policy0", "robot0", "robot1", "")
    assert (found[0].return_sim, found[0].return_real) == (200.0, 190.4)
    assert np.isnan([found[5].return_sim, found[5].return_real, found[6].return_real, found[6].gap]).all()
    assert found[5].note == "few <episodes>"


def test_only_the_law_of_the_gap_leaves_a_row_open(every_kind):
    found = summaries(every_kind, every_kind.check(0.1, ["functor"]))
    assert [row.verdict for row in found[:2]] == ["transfers", "transfers"]


def test_no_robot_and_variables_are_no_text(make_instance):
    instance = make_instance({"deploy": None, "kl_gap": 0.01, "transfer": 0})
    instance.acset.add_vars("Name", 1)
    instance.acset.set("Policy", 0, gap_note=Var(0))
    (row,) = summaries(instance, instance.check(0.1))
    assert (row.robot, row.note) == ("", "")


@pytest.mark.parametrize(
    ("gap", "shown"), [(0.0, "0.000"), (0.9994, "0.999"), (99.96, "100"), (123.4, "123"), (1e6, "1000000")]
)
def test_numbers_have_no_exponent(make_instance, gap, shown):
    instance = make_instance({"kl_gap": gap})
    (row,) = summaries(instance, instance.check(0.1))
    assert row.interval == f"{shown} [{shown}, {shown}]"


def test_no_policies_no_rows(make_instance):
    instance = make_instance()
    assert summaries(instance, instance.check(0.1)) == []
