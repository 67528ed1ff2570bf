"""What is particular to an instance that lives in Catlab."""

from __future__ import annotations

import copy
import pickle

import pytest
from acset_strategies import refused, study

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.catlab import crossing, julia
from sim2real_cat.acsets.codecs import Codec
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import EngineError, ExchangeError, InstanceError

NAMED = Schema("Named", ["X"], {"f": ("X", "X")}, {"N": str, "W": float}, {"name": ("X", "N"), "w": ("X", "W")})


@pytest.fixture
def calls(catlab_engine, monkeypatch):
    """The names of the functions that are called in Julia."""
    named = []
    call = julia.call

    def recorded(function, *arguments):
        named.append(function)
        return call(function, *arguments)

    monkeypatch.setattr(julia, "call", recorded)
    return named


def test_the_engine_is_chosen_by_name(catlab_engine):
    x = ACSet(NAMED, ["f"], ["name"], "catlab")
    assert (x.engine, x.copy().engine, x.index, x.unique_index) == ("catlab", "catlab", ("f",), ("name",))
    assert x.to_engine("embedded").engine == "embedded"
    assert repr(x) == "<ACSet in Catlab: Named {X: 0, N: 0, W: 0}>"


def test_columns_go_over_once_and_again_only_after_a_change(calls):
    x = ACSet(NAMED, engine="catlab")
    x.add_parts("X", 1000, f=range(1000), w=0.5)
    for part in range(5):
        x.set("X", part, f=0)
    assert calls == []
    x.column("f"), x.incident(0, "f"), x.subpart("f.w", 3)
    assert calls.count("empty_instance") == 1
    assert len(calls) < 15
    x.set("X", 7, name="seven")
    assert x.incident("seven", "name").tolist() == [7]
    assert calls.count("empty_instance") == 2
    x.remove("X", [7])
    assert x.incident("seven", "name").tolist() == []
    assert calls.count("empty_instance") == 2, "after a removal Catlab has what it removed from"


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.add("X", name="b"),
        lambda x: x.add_parts("X", 1, name=["b"]),
        lambda x: x.set("X", 0, name="b"),
        lambda x: x.set("X", [0], name=["b"]),
    ],
)
def test_every_change_is_seen_in_catlab(catlab_engine, change):
    x = ACSet(NAMED, engine="catlab")
    x.add("X", name="a")
    assert x.incident(["a", "b"], "name")[1].tolist() == []
    change(x)
    assert len(x.incident("b", "name")) == 1
    x.clear("X", 0, "name")
    assert x.incident("a", "name").tolist() == []
    (k,) = x.add_vars("N")
    x.set("X", 0, name=k)
    assert x.incident(k, "name").tolist() == [0]


def test_new_variables_are_seen_in_catlab(catlab_engine):
    x = ACSet(NAMED, engine="catlab")
    assert '"W":[]' in x.to_json().replace(" ", "")
    x.add_vars("W")
    assert '"W":[{"_id":1}]' in x.to_json().replace(" ", "")


def test_a_copy_is_independent_however_it_is_made(catlab_engine):
    x = study().to_engine("catlab")
    for twin in (x.copy(), copy.copy(x), copy.deepcopy(x)):
        assert (twin.engine, twin) == ("catlab", x)
        twin.set("SimEnv", 0, train=1)
        assert (x.subpart("train", 0), twin.subpart("train", 0)) == (2, 1)


def test_a_removal_that_fails_in_julia_changes_nothing(catlab_engine, monkeypatch):
    x = study().to_engine("catlab")
    x.column("train")
    call = julia.call

    def failing(function, *arguments):
        answer = call(function, *arguments)
        if function == "remove_cascading":
            raise EngineError("it was interrupted")
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(julia, "call", failing)
        with pytest.raises(EngineError):
            x.remove("Policy", [0], cascade=True)
    assert x == study()
    assert x.subpart("train.deploy").tolist() == study().subpart("train.deploy").tolist()


def test_unique_columns_stay_unique_through_a_removal(catlab_engine):
    x = ACSet(NAMED, unique_index=["name"], engine="catlab")
    x.add_parts("X", 3, name=["a", "b", "c"])
    x.remove("X", [0])
    x.add("X", name="a")
    with refused(InstanceError, "'name' of 'X' is unique"):
        x.add("X", name="c")


def test_what_is_pickled_is_the_instance_without_julia(catlab_engine):
    x = study().to_engine("catlab")
    x.column("train")
    again = pickle.loads(pickle.dumps(x))
    assert (again.engine, again) == ("catlab", x)
    assert again.column("train").tolist() == x.column("train").tolist()


def test_types_without_a_counterpart_in_julia_are_refused(catlab_engine):
    schema = Schema("Complex", ["X"], {}, {"C": Codec(complex, str, complex)}, {"c": ("X", "C")})
    with refused(EngineError, "float, int, str or bool", "'C' is complex", "ask the embedded engine"):
        ACSet(schema, engine="catlab")


def test_half_a_character_is_refused(catlab_engine):
    x = ACSet(NAMED, engine="catlab")
    x.add("X", name="broken \ud800 here")
    with refused(InstanceError, "half a character", "Julia cannot take"):
        x.incident("a", "name")
    assert x.query("X(_id=a, name=$n)", params={"n": "broken \ud800 here"})["a"].tolist() == [0], "texts stay here"


def test_json_has_no_infinity_in_any_engine(catlab_engine):
    x = ACSet(NAMED, engine="catlab")
    x.add("X", w=float("inf"))
    with refused(ExchangeError, "cannot write X row _id=1 (id 0): 'w' is inf"):
        x.to_json()


def test_json_is_read_into_an_engine(catlab_engine):
    x = ACSet.from_json(study().schema, study().to_json(), engine="catlab")
    assert (x.engine, x) == ("catlab", study())
    with refused(EngineError, "unknown engine 'sql'"):
        ACSet.from_json(study().schema, study().to_json(), engine="sql")


def test_other_ways_out_are_the_same(catlab_engine):
    here, there = study(), study().to_engine("catlab")
    assert str(there) == str(here)
    assert there.to_arrow() == here.to_arrow()
    assert sorted(there.to_networkx().edges(keys=True)) == sorted(here.to_networkx().edges(keys=True))
    assert there.canonical() == here.canonical()
    assert there.restrict({"Policy": [1]}).instance == here.restrict({"Policy": [1]}).instance


def test_ids_cross_as_julia_counts_them():
    assert crossing.sent_ids(study().column_ids("deploy")).tolist() == [2, 1, 0]
    assert crossing.received_ids([2, 1, 0]).tolist() == [1, 0, -1]
