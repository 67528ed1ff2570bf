"""Strategies of schemas and of instances of any schema: their equations hold, and interesting cases occur."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from sim2real_cat import strategies
from sim2real_cat.acsets.codecs import Codec
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.transfer.schema import SchSim2RealTransfer

SEARCH = settings(derandomize=True, deadline=None, database=None, max_examples=3000, phases=[Phase.generate])


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


def held(instance, name):
    return [instance.acset.subpart(name, part) for part in instance.acset.parts("Policy").tolist()]
