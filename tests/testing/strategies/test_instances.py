"""Strategies of transfer instances: interesting shapes occur, and laws hold as asked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis.errors import NoSuchExample

import sim2real_cat as s2r
from sim2real_cat import strategies
from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import InstanceError, LawError
from sim2real_cat.transfer.instance import TransferInstance
from sim2real_cat.transfer.laws import check
from sim2real_cat.transfer.schema import SchSim2RealTransfer, SchTransferStudy

SEARCH = settings(derandomize=True, deadline=None, database=None, max_examples=3000, phases=[Phase.generate])

EPSILON = 0.5

JUST_UNDER, JUST_OVER = float(np.nextafter(EPSILON, 0)), float(np.nextafter(EPSILON, 1))

GROUP = Schema("Group", ["X"], {"f": ("X", "X"), "g": ("X", "X")}, equations=[("f.g", ""), ("g.f", "")])


def held(instance, name):
    return [instance.acset.subpart(name, part) for part in instance.acset.parts("Policy").tolist()]


SHAPES = {
    "nothing": lambda i: not any(i.acset.nparts(ob) for ob in i.acset.schema.obs),
    "a policy without worlds": lambda i: i.acset.nparts("Policy") and not i.acset.nparts("SimEnv"),
    "one policy in many worlds": lambda i: any(len(fibre) > 2 for fibre in map(i.fibre, i.acset.parts("Policy"))),
    "several policies on one robot": lambda i: held(i, "deploy").count(0) > 2,
    "one took over from two": lambda i: any(held(i, "transfer").count(p) > 2 for p in i.transferring().tolist()),
    "not measured": lambda i: None in held(i, "kl_gap"),
    "a variable": lambda i: Var(0) in held(i, "kl_gap"),
    **{f"gap {g}": lambda i, g=g: g in held(i, "kl_gap") for g in (0.0, 5e-324, JUST_UNDER, 0.5, JUST_OVER, 1e308)},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_instances_of_every_interesting_shape_occur(shape):
    find(strategies.transfer_instances(EPSILON), SHAPES[shape], settings=SEARCH)


OPEN = {
    "straddling": lambda i: any(
        low is not None and high is not None and low < EPSILON <= high
        for low, high in zip(held(i, "gap_low"), held(i, "gap_high"), strict=True)
    ),
    "unreliable": lambda i: False in held(i, "gap_reliable"),
    "never measured but transfers": lambda i: any(
        gap is None and heir is not None for gap, heir in zip(held(i, "kl_gap"), held(i, "transfer"), strict=True)
    ),
}


@pytest.mark.parametrize("shape", OPEN)
def test_open_gaps_occur_only_where_they_are_asked_for(shape):
    some = find(
        strategies.transfer_instances(EPSILON, schema=SchTransferStudy, decided="some"), OPEN[shape], settings=SEARCH
    )
    assert check(some.acset, EPSILON, ["transfer-identity"]).verdict == "undecided"
    with pytest.raises(NoSuchExample):
        find(
            strategies.transfer_instances(EPSILON, schema=SchTransferStudy),
            OPEN[shape],
            settings=settings(SEARCH, max_examples=100),
        )


@pytest.mark.parametrize("law", strategies.LAWS)
def test_a_law_that_is_not_asked_for_may_be_violated(law):
    others = [name for name in strategies.LAWS if name != law]
    found = find(
        strategies.transfer_instances(EPSILON, others),
        lambda i: check(i.acset, EPSILON, [law]).verdict == "violated",
        settings=SEARCH,
    )
    assert check(found.acset, EPSILON, others).verdict in ("holds", "undecided")


@given(strategies.transfer_instances(min_policies=2, max_policies=3, schema=SchTransferStudy))
def test_a_study_has_names_and_weights(instance):
    acset = instance.acset
    assert 2 <= acset.nparts("Policy") <= 3
    for policy in acset.parts("Policy").tolist():
        assert instance.policy(instance.name("Policy", policy)) == policy
        fibre = instance.fibre(policy)
        assert not len(fibre) or acset.subpart("sim_weight", fibre).sum() == pytest.approx(1.0)


def test_what_is_asked_wrongly_is_refused(refused):
    with refused(LawError, "unknown law 'gap-vald'", "did you mean 'gap-valid'?"):
        strategies.transfer_instances(satisfying=["gap-vald"])
    with refused(InstanceError, "schema 'Group' does not extend SchSim2RealTransfer"):
        strategies.transfer_instances(schema=GROUP)
    with refused(LawError, "unknown law 'functr'", "did you mean 'functor'?"):
        strategies.mutations(TransferInstance(ACSet(SchSim2RealTransfer)), "functr")


def test_strategies_are_a_module_of_the_package():
    assert s2r.strategies is strategies
    assert set(strategies.__all__) >= {"schemas", "acsets", "transfer_instances", "mutations", "worlds"}
