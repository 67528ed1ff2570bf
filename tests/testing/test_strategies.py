"""The strategies themselves: what they promise holds, and what is interesting does occur."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

import sim2real_cat as s2r
from sim2real_cat import strategies
from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.codecs import Codec
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import InstanceError, LawError
from sim2real_cat.transfer.instance import TransferInstance
from sim2real_cat.transfer.laws import check
from sim2real_cat.transfer.schema import SchSim2RealTransfer, SchTransferStudy

SEARCH = settings(derandomize=True, deadline=None, database=None, max_examples=3000, phases=[Phase.generate])
EPSILON = 0.5
JUST_UNDER, JUST_OVER = float(np.nextafter(EPSILON, 0)), float(np.nextafter(EPSILON, 1))


# schemas and instances of any schema


@given(st.data())
def test_equations_hold_and_total_homs_are_total(data):
    homs = data.draw(st.sampled_from(["partial", "total"]))
    x = data.draw(strategies.acsets(homs=homs))
    assert x.check() == []
    if homs == "total":
        assert all((x.column_ids(hom) >= 0).all() for hom in x.schema.homs)


GROUP = Schema("Group", ["X"], {"f": ("X", "X"), "g": ("X", "X")}, equations=[("f.g", ""), ("g.f", "")])
ECHO = Schema(
    "Echo",
    ["A", "B"],
    {"f": ("A", "B")},
    {"Name": str},
    {"a": ("A", "Name"), "b": ("B", "Name")},
    equations=[("f.b", "a")],
)


@given(strategies.acsets(GROUP), strategies.acsets(ECHO))
def test_equations_with_identities_and_attributes_hold(group, echo):
    assert group.check() == []
    assert sorted(group.column("f").tolist()) == list(range(group.nparts("X")))
    assert echo.check() == []


@pytest.mark.parametrize(
    ("schema", "wanted"),
    [
        (GROUP, lambda x: x.nparts("X") > 2 and (x.column("f") != x.parts("X")).any()),
        (ECHO, lambda x: x.nparts("A") and x.subpart("a", 0) == "ä\n"),
        (ECHO, lambda x: x.nparts("A") > 1 and x.subpart("f", 0) is None and x.subpart("f", 1) is not None),
        (ECHO, lambda x: x.nparts("A") and isinstance(x.subpart("f.b", 0), Var)),
        (SchSim2RealTransfer, lambda x: x.nparts("SimEnv") and x.subpart("train.transfer.kl_gap", 0)),
    ],
)
def test_what_is_interesting_occurs(schema, wanted):
    assert wanted(find(strategies.acsets(schema), wanted, settings=SEARCH))


def test_equations_may_be_left_to_chance():
    broken = find(strategies.acsets(GROUP, equations="any"), lambda x: x.check(), settings=SEARCH)
    assert broken.check()


@given(strategies.schemas(max_objects=2, max_homs=3, max_attributes=1, max_equations=1))
def test_schemas_are_as_small_as_asked(schema):
    assert len(schema.obs) <= 2
    assert len(schema.homs) <= 3
    assert len(schema.attrs) <= 1
    assert len(schema.equations) <= 1
    assert eval(repr(schema)) == schema


def test_schemas_have_attributes_of_every_type_and_equations():
    for kind in (float, int, str, bool):
        find(strategies.schemas(), lambda s, kind=kind: kind in s.attrtypes.values() and s.attrs, settings=SEARCH)
    find(strategies.schemas(), lambda s: any(not left.arrows for left, _ in s.equations), settings=SEARCH)
    with pytest.raises(NoSuchExample):
        find(strategies.schemas(max_equations=0), lambda s: s.equations, settings=settings(SEARCH, max_examples=100))


@given(st.data())
def test_a_type_with_a_codec_takes_the_values_it_is_given(data):
    day = Codec(datetime.date, datetime.date.isoformat, datetime.date.fromisoformat)
    schema = Schema("Diary", ["Entry"], attrtypes={"Day": day}, attrs={"day": ("Entry", "Day")})
    blank = data.draw(strategies.acsets(schema))
    assert all(isinstance(blank.subpart("day", part), Var | None) for part in blank.parts("Entry").tolist())
    filled = data.draw(strategies.acsets(schema, values={"Day": st.dates()}))
    held = [filled.subpart("day", part) for part in filled.parts("Entry").tolist()]
    assert all(isinstance(value, datetime.date | Var | None) for value in held)


# transfer instances


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


OWN = SchTransferStudy.extend(
    "Own",
    obs=["Operator", "Site"],
    homs={"operated_by": ("RealEnv", "Operator"), "stands_at": ("RealEnv", "Site"), "based_at": ("Operator", "Site")},
    attrtypes={"Colour": str},
    attrs={"colour": ("RealEnv", "Colour")},
)


@given(st.data())
def test_a_schema_of_ones_own_is_filled_and_broken_as_lawfully(data):
    instance = data.draw(strategies.transfer_instances(schema=OWN))
    assert check(instance.acset, laws=strategies.LAWS).verdict == "holds"
    mutation = data.draw(strategies.mutations(instance))
    report = check(mutation.instance.acset, laws=strategies.LAWS)
    found = {(result.law.name, w.ob, w.id) for result in report.results for w in result.witnesses}
    assert found == {(mutation.law, *row) for row in mutation.rows}


def test_what_is_asked_wrongly_is_refused(refused):
    with refused(LawError, "unknown law 'gap-vald'", "did you mean 'gap-valid'?"):
        strategies.transfer_instances(satisfying=["gap-vald"])
    with refused(InstanceError, "schema 'Group' does not extend SchSim2RealTransfer"):
        strategies.transfer_instances(schema=GROUP)
    with refused(LawError, "unknown law 'functr'", "did you mean 'functor'?"):
        strategies.mutations(TransferInstance(ACSet(SchSim2RealTransfer)), "functr")


# mutations


@given(st.data())
def test_a_mutation_leaves_the_instance_as_it_was_and_says_what_it_did(data):
    instance = data.draw(strategies.transfer_instances())
    before = instance.acset.copy()
    mutation = data.draw(strategies.mutations(instance))
    assert instance.acset == before
    assert mutation.instance != instance
    assert mutation.law in strategies.LAWS
    assert "\n" not in mutation.what
    lines = str(mutation).splitlines()
    assert lines[0] == f"{mutation.law} is broken: {mutation.what}"
    assert sum(line.count("<--") for line in lines) == len(mutation.rows)


def test_several_rows_can_be_wrong_at_once(make_instance):
    instance = make_instance(
        {"kl_gap": 0.1, "transfer": 0}, {"kl_gap": 0.9, "transfer": 0}, {"kl_gap": 0.8, "transfer": 0}, robots=2
    )
    found = find(
        strategies.mutations(instance, "transfer-deploy"), lambda mutation: len(mutation.rows) > 1, settings=SEARCH
    )
    assert found.rows == {("Policy", 1), ("Policy", 2)}
    assert found.what == "Policy 0: deploy 0 -> 1"


# what a person sees


def test_an_instance_as_a_table(make_instance):
    instance = make_instance({"kl_gap": JUST_UNDER, "transfer": 0}, {"kl_gap": 0.75}, {})
    assert strategies.describe(instance, [("Policy", 1), ("Draw", 0)]).splitlines() == [
        "SchTransferStudy",
        "SimEnv  train  observe_sim  sim_name   sim_weight",
        "0       0      1            policy0/0  1",
        "1       1      1            policy1/0  1",
        "2       2      1            policy2/0  1",
        "RealEnv  observe_real  real_name",
        "0        0             robot0",
        "Policy  deploy  transfer  kl_gap               policy_name",
        "0       0       0         0.49999999999999994  policy0",
        "1       0       -         0.75                 policy1  <--",
        "2       0       -         -                    policy2",
        "Observation  observation_name",
        "0            seen 0",
        "1            seen 1",
        "Draw  (none)",
    ]


def test_a_failing_test_shows_the_instance_and_shrinks_it():
    @settings(derandomize=True, deadline=None, database=None, report_multiple_bugs=False, max_examples=300)
    @given(st.data())
    def no_policy_is_replaced(data):
        instance = data.draw(strategies.transfer_instances())
        assert (instance.acset.column_ids("transfer") <= instance.acset.parts("Policy")).all()

    with pytest.raises(AssertionError) as failed:
        no_policy_is_replaced()
    notes = "\n".join(failed.value.__notes__)
    assert "SchSim2RealTransfer\nSimEnv  (none)\nRealEnv  observe_real\n" in notes
    assert "Policy  deploy  transfer  kl_gap\n0       0       1         0.5\n1       0       1         0\n" in notes


def test_strategies_are_a_module_of_the_package():
    assert s2r.strategies is strategies
    assert set(strategies.__all__) >= {"schemas", "acsets", "transfer_instances", "mutations", "worlds"}
