"""The laws of the table, held to what they say: sound, complete, independent, invariant, and exact on the reals.

How many examples each proof takes is up to the profile: see `HYPOTHESIS_PROFILE` in `tests/conftest.py`.
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim2real_cat import strategies
from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.migration.delta import delta
from sim2real_cat.acsets.migration.functor import SchemaFunctor
from sim2real_cat.transfer import laws
from sim2real_cat.transfer.instance import TransferInstance
from sim2real_cat.transfer.schema import SchSim2RealTransfer, SchTransferStudy

LAWS = strategies.LAWS
EPSILONS = st.sampled_from([0.5, 0.1, 5e-324, 1e300])
SCHEMAS = st.sampled_from([SchSim2RealTransfer, SchTransferStudy])
DECIDED = st.sampled_from(["all", "some"])
INCLUSION = SchemaFunctor(
    SchSim2RealTransfer,
    SchTransferStudy,
    *({name: name for name in getattr(SchSim2RealTransfer, kind)} for kind in ("obs", "homs", "attrtypes", "attrs")),
)


def witnesses(instance, epsilon, names=LAWS):
    """What the laws say: (law, verdict, object, row) of every witness."""
    acset = instance.acset if isinstance(instance, TransferInstance) else instance
    report = laws.check(acset, epsilon, list(names))
    return {(r.law.name, w.verdict, w.ob, w.id) for r in report.results for w in r.witnesses}


def any_instances(epsilon, satisfying=None, **options):
    """Of both schemas."""
    return SCHEMAS.flatmap(lambda schema: strategies.transfer_instances(epsilon, satisfying, schema, **options))


# soundness


@pytest.mark.parametrize("law", LAWS)
@given(st.data())
def test_a_law_holds_in_what_is_built_to_satisfy_it(law, data):
    """Whatever the other laws say of it."""
    epsilon = data.draw(EPSILONS)
    instance = data.draw(any_instances(epsilon, [law]))
    assert witnesses(instance, epsilon, [law]) == set()


@given(st.data())
def test_all_laws_hold_in_what_is_built_to_satisfy_all(data):
    epsilon = data.draw(EPSILONS)
    instance = data.draw(any_instances(epsilon))
    report = instance.check(epsilon, list(LAWS))
    assert [result.verdict for result in report.results] == ["holds"] * len(LAWS)


@given(st.data())
def test_an_open_gap_leaves_one_law_open_and_violates_none(data):
    epsilon = data.draw(EPSILONS)
    instance = data.draw(any_instances(epsilon, decided="some"))
    found = witnesses(instance, epsilon)
    assert {(law, verdict) for law, verdict, _, _ in found} <= {("transfer-identity", "undecided")}


# completeness, and independence: there is a way to break each law that leaves all the others as they were


@pytest.mark.parametrize("law", LAWS)
@given(st.data())
def test_a_mutation_is_found_by_its_law_at_its_rows_and_by_no_other(law, data):
    epsilon = data.draw(EPSILONS)
    instance = data.draw(any_instances(epsilon, decided=data.draw(DECIDED)))
    before = witnesses(instance, epsilon)
    mutation = data.draw(strategies.mutations(instance, law, epsilon))
    assert mutation.law == law
    assert mutation.rows
    assert witnesses(mutation.instance, epsilon) == before | {(law, "violated", *row) for row in mutation.rows}
    assert witnesses(instance, epsilon) == before


def says(instance, epsilon):
    """What the statements of the laws say, read row by row: a second reading that shares no line with the first."""
    x = instance.acset
    for hom, (ob, _) in x.schema.homs.items():
        for part in x.parts(ob).tolist():
            if hom != "transfer" and x.subpart(hom, part) is None:
                yield "functor", "violated", ob, part
    bounded = "gap_low" in x.schema.attrs
    for policy in x.parts("Policy").tolist():
        gap, heir, robot = (x.subpart(name, policy) for name in ("kl_gap", "transfer", "deploy"))
        low, high, reliable = None, None, None
        if bounded:
            low, high, reliable = (x.subpart(name, policy) for name in ("gap_low", "gap_high", "gap_reliable"))
        if isinstance(gap, float) and not 0 <= gap < math.inf:
            yield "gap-valid", "violated", "Policy", policy
        if not isinstance(gap, float) or math.isnan(gap):
            if heir is not None:
                yield "transfer-identity", "undecided", "Policy", policy
        elif _straddles(gap, low, high, epsilon) or reliable is False:
            yield "transfer-identity", "undecided", "Policy", policy
        elif (heir == policy) != (gap < epsilon):
            yield "transfer-identity", "violated", "Policy", policy
        if heir is not None and x.subpart("transfer.transfer", policy) != heir:
            yield "transfer-idempotent", "violated", "Policy", policy
        if heir is not None and None not in (robot, x.subpart("deploy", heir)) and x.subpart("deploy", heir) != robot:
            yield "transfer-deploy", "violated", "Policy", policy


def _straddles(gap, low, high, epsilon):
    if low is None:
        return gap < epsilon <= (gap if high is None else high)
    return low < epsilon and (high is None or high >= epsilon)


@given(st.data())
def test_every_law_says_of_every_row_what_its_statement_says(data):
    epsilon = data.draw(EPSILONS)
    satisfying = data.draw(st.lists(st.sampled_from(LAWS), unique=True))
    instance = data.draw(any_instances(epsilon, satisfying, decided=data.draw(DECIDED)))
    assert witnesses(instance, epsilon) == set(says(instance, epsilon))


# invariance


@st.composite
def mixed_instances(draw, epsilon, satisfying=(), **options):
    """Instances in which laws hold, are open and are violated, at some rows each."""
    satisfying = [*satisfying, *draw(st.lists(st.sampled_from(LAWS), unique=True))]
    return draw(any_instances(epsilon, satisfying, decided=draw(DECIDED), **options))


@given(st.data())
def test_an_isomorphism_carries_the_verdicts_along(data):
    """Neither the order of rows nor the numbers of attribute variables matter."""
    epsilon = data.draw(EPSILONS)
    x = data.draw(mixed_instances(epsilon)).acset
    orders = {ob: data.draw(st.permutations(range(x.nparts(ob)))) for ob in x.schema.obs}
    y, moved = x.restrict({ob: np.array(order, dtype=np.int64) for ob, order in orders.items()})
    first = y.add_vars("TransferGap", 1)[0]
    for policy in np.flatnonzero(y.variables("kl_gap") >= 0).tolist():
        y.set("Policy", policy, kl_gap=first)
    carried = {(law, verdict, ob, int(moved[ob][row])) for law, verdict, ob, row in witnesses(x, epsilon)}
    assert witnesses(y, epsilon) == carried
    canonical = x.canonical()
    assert sorted(w[:3] for w in witnesses(canonical, epsilon)) == sorted(w[:3] for w in carried)


def from_frames(x):
    tables = [*x.schema.obs, *(kind for kind in x.schema.attrtypes if x.nvars(kind))]
    return ACSet.from_pandas(x.schema, {table: x.to_pandas(table) for table in tables})


def from_files(x):
    with tempfile.TemporaryDirectory() as folder:
        x.to_parquet(Path(folder))
        return ACSet.from_parquet(x.schema, folder)


TRIPS = {
    "Arrow": lambda x: ACSet.from_arrow(x.schema, x.to_arrow()),
    "Parquet": from_files,
    "JSON": lambda x: ACSet.from_json(x.schema, x.to_json()),
    "pandas": from_frames,
}


@pytest.mark.parametrize("trip", TRIPS)
@given(st.data())
def test_a_round_trip_keeps_the_whole_report(trip, data):
    """JSON has no word for infinity and NaN, so there the gaps are valid."""
    if trip == "pandas":
        pytest.importorskip("pandas", reason="needs the extra pandas")
    epsilon = data.draw(EPSILONS)
    x = data.draw(mixed_instances(epsilon, ["gap-valid"] if trip == "JSON" else [])).acset
    assert laws.check(TRIPS[trip](x), epsilon) == laws.check(x, epsilon)


@given(st.data())
def test_a_law_of_the_base_schema_does_not_see_an_extension(data):
    """Δ along the inclusion forgets intervals, so it may decide what they left open, and changes nothing else."""
    epsilon = data.draw(EPSILONS)
    satisfying = data.draw(st.lists(st.sampled_from(LAWS), unique=True))
    x = data.draw(
        strategies.transfer_instances(epsilon, satisfying, SchTransferStudy, decided=data.draw(DECIDED))
    ).acset
    above = {w for w in witnesses(x, epsilon) if w[2] != "Draw"}
    below = witnesses(delta(INCLUSION, x), epsilon)
    kept = {w for w in above if w[0] != "transfer-identity"}
    assert {w for w in below if w[0] != "transfer-identity"} == kept
    opened = {w[3] for w in above if w[:2] == ("transfer-identity", "undecided")}
    assert {w for w in below if w[3] not in opened} == {w for w in above if w[3] not in opened}
    bounded = "gap_low" in x.schema.attrs and not (
        np.ma.getmaskarray(x.column("gap_low")).all() and np.ma.getmaskarray(x.column("gap_high")).all()
    )
    if not bounded and np.ma.filled(x.column("gap_reliable"), True).all():
        assert below == above


@given(st.data())
def test_columns_that_a_law_does_not_read_do_not_matter(data):
    """The same policies under a schema with more of everything."""
    epsilon = data.draw(EPSILONS)
    instance = data.draw(mixed_instances(epsilon))
    schema = instance.acset.schema
    larger = schema.extend("Larger", ["Site"], attrtypes={"Colour": str}, attrs={"colour": ("Policy", "Colour")})
    tables = {**instance.acset.to_arrow(), **ACSet(larger).to_arrow()} | instance.acset.to_arrow()
    n = instance.acset.nparts("Policy")
    colours = ACSet(larger)
    colours.add_parts("Policy", n, colour=data.draw(st.lists(st.text(max_size=2), min_size=n, max_size=n)))
    tables["Policy"] = tables["Policy"].append_column("colour", colours.to_arrow()["Policy"].column("colour"))
    assert witnesses(ACSet.from_arrow(larger, tables), epsilon) == witnesses(instance, epsilon)


# the reals

REALS = [0.0, -0.0, 5e-324, 2.2250738585072014e-308, 1e-3, 0.5, 1.0, 1e300, 1e308, 1.7976931348623157e308]


@pytest.mark.parametrize("epsilon", [5e-324, 1e-310, 1e-3, 0.5, 1e300])
@pytest.mark.parametrize("near", ["far", "at", "under", "over"])
def test_real_gaps_are_on_the_side_where_they_are(epsilon, near):
    edges = {"at": epsilon, "under": float(np.nextafter(epsilon, 0)), "over": float(np.nextafter(epsilon, np.inf))}
    for gap in REALS if near == "far" else [edges[near]]:
        x = ACSet(SchSim2RealTransfer)
        x.add_parts("Policy", 2, kl_gap=gap)
        x.set("Policy", 0, transfer=0)
        found = witnesses(x, epsilon, ["gap-valid", "transfer-identity"])
        assert found == {("transfer-identity", "violated", "Policy", int(gap < epsilon))}


@pytest.mark.parametrize("gap", [math.nan, math.inf, -math.inf, -1.0, -5e-324, -1e308, float(np.nextafter(0, -1))])
@pytest.mark.parametrize("schema", [SchSim2RealTransfer, SchTransferStudy])
def test_what_is_no_gap_never_passes(gap, schema):
    x = ACSet(schema)
    x.add_parts("Policy", 3, kl_gap=[0.1, gap, gap])
    x.set("Policy", [0, 1], transfer=[0, 1])
    for epsilon in (5e-324, 0.5, 1e300):
        found = witnesses(x, epsilon, ["gap-valid"])
        assert found == {("gap-valid", "violated", "Policy", 1), ("gap-valid", "violated", "Policy", 2)}


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_exactly_the_numbers_from_zero_on_are_gaps(gap):
    x = ACSet(SchSim2RealTransfer)
    x.add_vars("TransferGap", 1)
    x.add_parts("Policy", 3, kl_gap=[gap, None, Var(0)])
    wrong = {("gap-valid", "violated", "Policy", 0)}
    assert witnesses(x, 0.5, ["gap-valid"]) == (set() if 0 <= gap <= 1.7976931348623157e308 else wrong)
