import json
import random

import numpy as np
import pytest
from acset_strategies import FIXED, STUDY, acsets, refused, study
from hypothesis import given
from hypothesis import strategies as st

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import ExchangeError


@FIXED
@given(acsets())
def test_what_is_written_can_be_read(x):
    assert ACSet.from_json(x.schema, x.to_json()) == x
    assert ACSet.from_json(x.schema, x.to_json()).to_json() == x.to_json()


@FIXED
@given(acsets(), st.randoms(use_true_random=False))
def test_rows_may_come_in_any_order(x, rng):
    tables = json.loads(x.to_json())
    for rows in tables.values():
        rng.shuffle(rows)
    assert ACSet.from_json(x.schema, json.dumps(tables)) == x


def test_the_bytes_are_what_acsets_jl_writes():
    x = study()
    assert x.to_json() == (
        '{"SimEnv":[{"_id":1,"train":3,"seed":7,"noisy":true},{"_id":2,"train":1,"seed":8},'
        '{"_id":3,"train":1,"noisy":false},{"_id":4,"train":2,"seed":10,"noisy":true}],'
        '"RealEnv":[{"_id":1},{"_id":2}],'
        '"Policy":[{"_id":1,"deploy":2,"transfer":1,"kl_gap":0.02,"policy_name":"ours"},'
        '{"_id":2,"deploy":1,"transfer":1,"kl_gap":0.7},'
        '{"_id":3,"kl_gap":{"_var":2},"policy_name":"na\\u00efve"}],'
        '"TransferGap":[{"_id":1},{"_id":2}],"Name":[],"Seed":[],"Flag":[]}'
    )


def test_zero_and_null_are_read_as_undefined():
    tables = json.loads(study().to_json())
    tables["Policy"][2] |= {"deploy": 0, "transfer": None}
    tables["Policy"][1]["policy_name"] = None
    assert ACSet.from_json(STUDY, json.dumps(tables)) == study()


def test_an_integer_is_read_as_a_float_where_one_is_wanted():
    tables = json.loads(study().to_json())
    tables["Policy"][0]["kl_gap"] = 1
    assert ACSet.from_json(STUDY, json.dumps(tables)).subpart("kl_gap", 0) == 1.0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_json_does_not_have_is_not_written(value):
    x = study()
    x.set("Policy", 1, kl_gap=value)
    with refused(ExchangeError, "Policy row _id=2", "id 1", "'kl_gap'", str(value), "None"):
        x.to_json()


def test_a_text_cut_anywhere_is_said_to_be_cut():
    text = study().to_json()
    tables = text[: text.index("Policy") + 130]  # every kind of token occurs by here
    for end in range(1, len(tables)):
        with refused(ExchangeError, "half.json", "not JSON", "character", "cut short"):
            ACSet.from_json(STUDY, text[:end], source="half.json")
    with refused(ExchangeError, "half.json", "empty"):
        ACSet.from_json(STUDY, " \n", source="half.json")


@FIXED
@given(acsets(), st.data())
def test_a_cut_text_is_never_read(x, data):
    text = x.to_json()
    end = data.draw(st.integers(1, len(text) - 1))
    with refused(ExchangeError, "cut short"):
        ACSet.from_json(x.schema, text[:end])


def changed(table, row, **columns):
    """Change one row; None leaves a column out."""

    def change(tables):
        tables[table][row].update(columns)
        tables[table][row] = {name: value for name, value in tables[table][row].items() if value is not None}
        return tables

    return change


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (lambda t: [t], ["expected a JSON object", "SimEnv, RealEnv, Policy"]),
        (lambda t: {**t, "Polcy": []}, ["unknown table 'Polcy'", "did you mean 'Policy'"]),
        (lambda t: {k: v for k, v in t.items() if k != "RealEnv"}, ["table RealEnv is missing", '"RealEnv":[]']),
        (lambda t: {k: v for k, v in t.items() if k != "Name"}, ["table Name is missing", '"Name":[]']),
        (lambda t: {**t, "Policy": {}}, ["Policy must be an array of rows"]),
        (lambda t: {**t, "RealEnv": [{"_id": 1}, 2]}, ["RealEnv[1]", '{"_id":2}', "not 2"]),
        (changed("Policy", 1, _id=None), ["Policy[1]", "no '_id'"]),
        (changed("Policy", 1, _id="2"), ["Policy[1]", "'_id' is '2'", "integer", "1..3"]),
        (changed("RealEnv", 0, _id=True), ["RealEnv[0]", "'_id' is True"]),
        (changed("Policy", 1, _id=1), ["Policy row _id=1", "twice"]),
        (changed("Policy", 1, _id=0), ["Policy row _id=0", "must be 1..3"]),
        (changed("Policy", 1, _id=4), ["Policy row _id=4", "must be 1..3"]),
        (changed("SimEnv", 2, trian=1), ["SimEnv row _id=3", "unknown column 'trian'", "did you mean 'train'"]),
        (lambda t: {**t, "Name": [{"_id": 1, "x": 1}]}, ["Name row _id=1", "unknown column 'x'"]),
        (changed("SimEnv", 2, train=9), ["SimEnv row _id=3", "'train' points to Policy 9", "there are 3 Policy parts"]),
        (changed("SimEnv", 2, train=4), ["SimEnv row _id=3", "'train' points to Policy 4", "there are 3 Policy parts"]),
        (changed("SimEnv", 2, train=-1), ["SimEnv row _id=3", "'train' is -1", "negative"]),
        (changed("SimEnv", 2, train="1"), ["SimEnv row _id=3", "'train' is '1'", "not an integer id"]),
        (changed("SimEnv", 2, train=1.0), ["SimEnv row _id=3", "'train' is 1.0", "not an integer id"]),
        (changed("SimEnv", 2, train=True), ["SimEnv row _id=3", "'train' is True"]),
        (changed("SimEnv", 2, train=2**70), ["SimEnv row _id=3", "'train'", "64 bits"]),
        (changed("SimEnv", 2, train={"_var": 1}), ["SimEnv row _id=3", "'train'", "not an integer id"]),
        (changed("Policy", 1, kl_gap="0.7"), ["Policy row _id=2", "'kl_gap' is '0.7'", "not a float", "leave it out"]),
        (changed("Policy", 1, kl_gap=True), ["Policy row _id=2", "'kl_gap' is True", "not a float"]),
        (changed("Policy", 1, kl_gap=[0.7]), ["Policy row _id=2", "'kl_gap' is [0.7]"]),
        (changed("Policy", 1, kl_gap=10**400), ["Policy row _id=2", "'kl_gap'", "64 bits"]),
        (changed("Policy", 1, kl_gap=np.nan), ["Policy row _id=2", "'kl_gap' is nan", "finite"]),
        (changed("Policy", 1, kl_gap=-np.inf), ["Policy row _id=2", "'kl_gap' is -inf", "finite"]),
        (changed("Policy", 1, kl_gap={"_var": 3}), ["Policy row _id=2", "{'_var': 3}", "2 rows"]),
        (changed("Policy", 1, kl_gap={"_var": 0}), ["Policy row _id=2", "{'_var': 0}", "not a float"]),
        (changed("Policy", 1, kl_gap={"_var": 1, "x": 1}), ["Policy row _id=2", "not a float"]),
        (changed("SimEnv", 0, seed=1.5), ["SimEnv row _id=1", "'seed' is 1.5", "not an int"]),
        (changed("SimEnv", 0, noisy=1), ["SimEnv row _id=1", "'noisy' is 1", "not a bool"]),
        (changed("Policy", 0, policy_name=1), ["Policy row _id=1", "'policy_name' is 1", "not a str"]),
    ],
)
def test_what_is_no_instance_is_refused(change, parts):
    text = json.dumps(change(json.loads(study().to_json())))
    with refused(ExchangeError, "there.json: ", *parts):
        ACSet.from_json(STUDY, text, source="there.json")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("SimEnv: []", ["not JSON", "line 1, character 0", "mend"]),
        ('{"SimEnv":[]\n,}', ["not JSON", "line 2", "mend"]),
        ('{"SimEnv":[],"SimEnv":[]}', ["'SimEnv' occurs twice"]),
        ('{"SimEnv":[{"_id":1,"train":1,"train":2}]}', ["'train' occurs twice"]),
        ("[" * 100_000, ["nested too deep"]),
        ('{"SimEnv":[{"_id":' + "9" * 5000 + "}]}", ["number", "shorten"]),
        ('{"SimEnv":[{"_id":1,"seed":1e999}]}', ["RealEnv is missing"]),
        ("NaN", ["expected a JSON object"]),
    ],
)
def test_what_is_no_json_is_refused(text, parts):
    with refused(ExchangeError, "instance.json: ", *parts):
        ACSet.from_json(STUDY, text)


def test_a_float_that_overflows_is_refused():
    text = study().to_json().replace("0.7", "1e999")
    with refused(ExchangeError, "Policy row _id=2", "'kl_gap' is inf", "finite"):
        ACSet.from_json(STUDY, text)


def test_many_rows_are_read_in_bulk():
    schema = Schema("Graph", ["V", "E"], {"src": ("E", "V")}, {"W": float}, {"weight": ("E", "W")})
    x = ACSet(schema)
    x.add_vars("W", 1)
    x.add_parts("V", 1000)
    x.add_parts("E", 20_000, src=np.arange(20_000) % 1000, weight=np.arange(20_000) / 7)
    x.set("E", 5, weight=Var(0))
    tables = json.loads(x.to_json())
    random.Random(0).shuffle(tables["E"])
    assert ACSet.from_json(schema, json.dumps(tables)) == x
