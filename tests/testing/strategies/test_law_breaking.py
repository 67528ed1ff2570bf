"""Mutations: exactly one law is broken, the original stays as it was, and the rows are named."""

from __future__ import annotations

from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from sim2real_cat import strategies
from sim2real_cat.transfer.laws import check
from sim2real_cat.transfer.schema import SchTransferStudy

SEARCH = settings(derandomize=True, deadline=None, database=None, max_examples=3000, phases=[Phase.generate])

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
