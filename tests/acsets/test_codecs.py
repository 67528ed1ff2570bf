import copy
import datetime
import decimal
import enum
import json
import pickle

import numpy as np
import pytest
from acset_strategies import FIXED, refused
from hypothesis import given
from hypothesis import strategies as st

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.codecs import Codec
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import ExchangeError, InstanceError, SchemaError


class Outcome(enum.Enum):
    MATCH = 1
    MISMATCH = -1


def outcome_name(outcome):
    return outcome.name


STAMP = Codec(datetime.date, datetime.date.isoformat, datetime.date.fromisoformat)
OUTCOME = Codec(Outcome, outcome_name, Outcome.__getitem__)
PAIR = Codec(tuple, list, tuple)
NUMBER = Codec(decimal.Decimal, str, decimal.Decimal)
LOG = Schema(
    "Log",
    obs=["Run"],
    homs={"before": ("Run", "Run")},
    attrtypes={"Stamp": STAMP, "Pair": PAIR, "Number": NUMBER},
    attrs={"day": ("Run", "Stamp"), "pair": ("Run", "Pair"), "number": ("Run", "Number")},
)
DAY = datetime.date(2025, 3, 1)


@st.composite
def logs(draw):
    x = ACSet(LOG)
    n = draw(st.integers(0, 4))
    for kind in LOG.attrtypes:
        x.add_vars(kind, 1)
    unknown = st.none() | st.just(Var(0))
    x.add_parts(
        "Run",
        n,
        day=draw(st.lists(unknown | st.dates(), min_size=n, max_size=n)),
        pair=draw(st.lists(unknown | st.tuples(st.integers(0, 2), st.text(max_size=2)), min_size=n, max_size=n)),
        number=draw(st.lists(unknown | st.decimals(allow_nan=False), min_size=n, max_size=n)),
        before=draw(st.lists(st.none() | st.integers(0, n - 1), min_size=n, max_size=n)) if n else [],
    )
    return x


@FIXED
@given(logs())
def test_what_is_written_can_be_read(x):
    text = x.to_json()
    assert ACSet.from_json(LOG, text) == x
    assert ACSet.from_json(LOG, text).to_json() == text
    assert x.copy() == x


@FIXED
@given(logs(), st.data())
def test_values_are_found_and_forms_do_not_depend_on_numbers(x, data):
    for name in LOG.attrs:
        values = [x.subpart(name, part) for part in range(x.nparts("Run"))]
        for value in values:
            if value is not None:
                expected = [part for part, other in enumerate(values) if other == value]
                assert x.incident(value, name).tolist() == expected
                assert [ids.tolist() for ids in x.incident([value], name)] == [expected]
    order = data.draw(st.permutations(range(x.nparts("Run"))))
    assert x.restrict({"Run": order}).instance.canonical() == x.canonical()


def test_how_values_are_written():
    x = ACSet(LOG)
    assert x.add("Run", day=DAY, pair=(1, "a"), number=decimal.Decimal("1.50")) == 0
    x.add("Run", day=None)
    assert json.loads(x.to_json())["Run"] == [
        {"_id": 1, "day": "2025-03-01", "pair": [1, "a"], "number": "1.50"},
        {"_id": 2},
    ]
    assert x.subpart("day", 0) == DAY
    assert x.subpart("before.day", 0) is None
    assert x.column("pair").tolist() == [(1, "a"), None]


def test_one_tuple_is_one_value_and_a_list_is_a_column():
    x = ACSet(LOG)
    x.add_parts("Run", 2, pair=(1, 2), day=DAY)
    x.add_parts("Run", 2, pair=[(1, 2), (3, 4)])
    assert x.column("pair").tolist() == [(1, 2), (1, 2), (1, 2), (3, 4)]
    x.set("Run", [0, 1], pair=(3, 4))
    assert x.incident((3, 4), "pair").tolist() == [0, 1, 3]
    assert [ids.tolist() for ids in x.incident([(3, 4), (5,)], "pair")] == [[0, 1, 3], []]
    values = np.empty(4, object)
    values[:] = [DAY, None, Var(0), DAY]
    x.add_vars("Stamp")
    x.set("Run", range(4), day=values)
    assert x.incident(DAY, "day").tolist() == [0, 3]


def test_equal_values_are_one_however_they_are_written():
    first, second = ACSet(LOG, unique_index=["number"]), ACSet(LOG)
    first.add("Run", number=decimal.Decimal("1.0"))
    second.add("Run", number=decimal.Decimal("1.00"))
    assert first == second
    assert first.incident(decimal.Decimal(1), "number").tolist() == [0]
    with refused(InstanceError, "unique"):
        first.add("Run", number=decimal.Decimal(1))
    mixed = [decimal.Decimal(text) for text in ("100", "101", "1E+2")]
    first, second = ACSet(LOG), ACSet(LOG)
    first.add_parts("Run", 3, number=mixed)
    second.add_parts("Run", 3, number=mixed[::-1])
    assert first.canonical() == second.canonical()


def test_a_value_equals_itself_even_where_it_denies_it():
    x = ACSet(LOG)
    x.add("Run", number=decimal.Decimal("nan"))
    assert x == x.copy()


def test_a_schema_with_codecs_is_a_value():
    assert eval(repr(LOG), {"Schema": Schema, "Codec": Codec, "datetime": datetime, "decimal": decimal}) == LOG
    assert pickle.loads(pickle.dumps(LOG)) == LOG == copy.deepcopy(LOG)
    assert hash(pickle.loads(pickle.dumps(LOG))) == hash(LOG)
    assert Schema.from_json(LOG.to_json(), LOG.attrtypes) == LOG
    assert "Outcome" in repr(OUTCOME)
    assert Codec(tuple, list, lambda pair: tuple(pair)) != PAIR
    assert repr(PAIR) == "Codec(tuple, list, tuple)"


def test_enumerations_are_frozen_types():
    schema = Schema("S", ["Run"], {}, {"Outcome": OUTCOME}, {"outcome": ("Run", "Outcome")})
    x = ACSet(schema)
    x.add_parts("Run", 3, outcome=[Outcome.MATCH, None, Outcome.MISMATCH])
    assert ACSet.from_json(schema, x.to_json()) == x
    with refused(ExchangeError, "Run row _id=1", "'outcome' is 'DRAW'", "cannot be read as Outcome", "KeyError"):
        ACSet.from_json(schema, x.to_json().replace('"MATCH"', '"DRAW"'))


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ((float, float, float), ["float needs no codec"]),
        ((bool, bool, bool), ["bool needs no codec"]),
        ((list, list, list), ["list", "hashed", "frozen"]),
        ((type(None), str, str), ["NoneType", "undefined"]),
        (("date", str, str), ["'date'", "Codec(type, encode, decode)"]),
        ((tuple, "list", tuple), ["codec of tuple", "encode must be a function", "'list'"]),
        ((tuple, list, None), ["decode must be a function"]),
    ],
)
def test_what_is_no_codec_is_refused(arguments, parts):
    with refused(SchemaError, *parts):
        Codec(*arguments)


@pytest.mark.parametrize(
    ("columns", "parts"),
    [
        ({"day": "2025-03-01"}, ["'day' of 'Run'", "'2025-03-01' is not a date", "Stamp is date"]),
        ({"day": np.datetime64("2025-03-01")}, ["not a date"]),
        ({"pair": ([],)}, ["not a tuple"]),
        ({"number": 1.5}, ["not a Decimal"]),
        ({"number": decimal.Decimal("sNaN")}, ["not a Decimal"]),
        ({"day": Var(0)}, ["Var(k=0)", "add_vars"]),
    ],
)
def test_a_value_of_another_type_is_refused(columns, parts):
    x = ACSet(LOG)
    for mutate in (
        lambda: x.add("Run", **columns),
        lambda: x.add_parts("Run", 1, **{name: [value] for name, value in columns.items()}),
    ):
        with refused(InstanceError, *parts):
            mutate()
    assert x == ACSet(LOG)
    with refused(InstanceError, "datetime64", "not a date"):
        x.add_parts("Run", 1, day=np.array(["2025-03-01"], "M8[D]"))
    with refused(InstanceError, "incident 'day'", "Stamp is date"):
        x.incident("2025-03-01", "day")


@pytest.mark.parametrize(
    ("encode", "parts"),
    [
        (lambda value: None, ["(1,)", "encoded as None", "undefined", "codec of T"]),
        (lambda value: {"_var": 1}, ["attribute variable"]),
        (lambda value: {1, 2}, ["cannot be written", "TypeError"]),
        (lambda value: float("nan"), ["cannot be written", "ValueError"]),
        (lambda value: value[7], ["cannot be written", "IndexError"]),
    ],
)
def test_a_codec_that_cannot_write_is_named(encode, parts):
    x = ACSet(Schema("S", ["X"], {}, {"T": Codec(tuple, encode, tuple)}, {"t": ("X", "T")}))
    x.add_parts("X", 2, t=[None, (1,)])
    with refused(ExchangeError, "X row _id=2", "'t'", *parts):
        x.to_json()


def test_a_form_needs_a_codec_that_writes():
    x = ACSet(Schema("S", ["X"], {}, {"T": Codec(tuple, id, tuple)}, {"t": ("X", "T")}))
    x.add("X", t=(1,))
    broken = ACSet(Schema("S", ["X"], {}, {"T": Codec(tuple, set, tuple)}, {"t": ("X", "T")}))
    broken.add("X", t=(1,))
    assert x.canonical() == x
    with refused(InstanceError, "canonical", "(1,)", "codec"):
        broken.canonical()


@pytest.mark.parametrize(
    ("decode", "written", "parts"),
    [
        (list, [1], ["decoded to a list", "tuple"]),
        (lambda value: ([],), [1], ["hashable tuple"]),
        (lambda value: tuple(value), 3, ["cannot be read as tuple", "TypeError"]),
        (tuple, {"_var": 1}, ["0 rows"]),
    ],
)
def test_what_a_codec_cannot_read_is_refused(decode, written, parts):
    schema = Schema("S", ["X"], {}, {"T": Codec(tuple, list, decode)}, {"t": ("X", "T")})
    with refused(ExchangeError, "x.json: X row _id=1", "'t'", *parts):
        ACSet.from_json(schema, json.dumps({"X": [{"_id": 1, "t": written}], "T": []}), source="x.json")
