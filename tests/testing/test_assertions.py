"""`assert_laws`: what passes, and how a failure reads."""

from __future__ import annotations

import pytest

from sim2real_cat.errors import LawError
from sim2real_cat.testing.assertions import as_text, assert_laws
from sim2real_cat.transfer.laws import DEFAULT_EPSILON, from_query

OPEN = {"kl_gap": 0.3, "gap_low": 0.1, "gap_high": 0.9, "transfer": 0, "gap_episodes": 10}


def test_what_holds_passes_and_gives_the_report(make_instance):
    instance = make_instance({"kl_gap": 0.01, "transfer": 0})
    assert assert_laws(instance) == instance.check(DEFAULT_EPSILON)
    assert assert_laws(instance.acset, 0.2).epsilon == 0.2


def test_a_failure_is_a_table_of_the_rows(make_instance):
    instance = make_instance({"kl_gap": 0.9, "transfer": 0, "policy_name": "wide [red]"}, OPEN | {"transfer": 1})
    with pytest.raises(AssertionError) as failure:
        assert_laws(instance, 0.5)
    lines = str(failure.value).splitlines()
    assert lines[0] == "the laws are violated at epsilon = 0.5"
    assert lines[1].split() == ["law", "verdict", "rows"]
    assert any("wide [red]: kl_gap 0.9 >= 0.5, but transfer is the identity" in line for line in lines)
    assert any("policy1: the interval [0.1, 0.9] of kl_gap straddles 0.5; some 80 more real" in line for line in lines)
    assert any(line.split()[:3] == ["gap-recomputes", "not", "asked"] for line in lines)
    assert all(line == line.rstrip() for line in lines)


def test_what_is_open_passes_unless_it_may_not(make_instance):
    instance = make_instance(OPEN)
    assert assert_laws(instance, 0.5).verdict == "undecided"
    with pytest.raises(AssertionError, match="the laws are undecided at epsilon"):
        assert_laws(instance, 0.5, undecided="fail")
    with pytest.raises(LawError, match="undecided is 'no': give 'pass' or 'fail'"):
        assert_laws(instance, undecided="no")


def test_laws_are_chosen_and_may_be_one_s_own(make_instance):
    instance = make_instance({"kl_gap": 4.0, "transfer": 0})
    assert_laws(instance, laws=["functor", "gap-valid"])
    with pytest.raises(AssertionError, match="policy0: matches Policy"):
        assert_laws(instance, laws=[from_query("weak", "Policy(_id=p, kl_gap=g)", "g > 3")])


def test_the_first_rows_are_shown(make_instance):
    instance = make_instance(*({"kl_gap": 0.01} for _ in range(14)))
    text = as_text(instance, instance.check(0.5, ["transfer-identity"]))
    assert text.count("instead of itself") == 10
    assert text.splitlines()[-1].strip() == "and 4 more"
