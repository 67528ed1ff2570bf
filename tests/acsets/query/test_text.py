"""The meaning of a query's text, and the refusals."""

import datetime
import math

import numpy as np
import pytest
from acset_strategies import refused, study

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.codecs import Codec
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.query.engine import query
from sim2real_cat.acsets.query.text import Atom, Comparison, ConjunctiveQuery, Constant, Parameter, Variable, parse
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import InstanceError, SchemaError

BOTH = pytest.mark.parametrize("engine", ["numpy", "duckdb"])
EVIL = "'; DROP TABLE r0; --"


def test_the_parts_of_the_text():
    body = 'SimEnv(_id=e, train=p);\n Policy(\n  _id=p, kl_gap=$g,\n policy_name="a\\"\\u00e4\\n")\nRealEnv()'
    assert parse(
        body, ("e",), "e != 3 and\n$x <= p and -1.5e3 == q and n == 'it\\'s' and b == true"
    ) == ConjunctiveQuery(
        (
            Atom("SimEnv", (("_id", Variable("e")), ("train", Variable("p")))),
            Atom(
                "Policy",
                (("_id", Variable("p")), ("kl_gap", Parameter("g")), ("policy_name", Constant('a"ä\n'))),
            ),
            Atom("RealEnv"),
        ),
        ("e",),
        (
            Comparison(Variable("e"), "!=", Constant(3)),
            Comparison(Parameter("x"), "<=", Variable("p")),
            Comparison(Constant(-1500.0), "==", Variable("q")),
            Comparison(Variable("n"), "==", Constant("it's")),
            Comparison(Variable("b"), "==", Constant(True)),
        ),
    )


@BOTH
def test_undefined_and_variable_values_match_nothing(engine):
    x = study()
    assert query(x, "Policy(_id=p, kl_gap=g)", engine=engine).to_dict() == {"p": [0, 1], "g": [0.02, 0.7]}
    assert list(query(x, "Policy(_id=p, deploy=r)", ["p"], engine=engine)) == [(0,), (1,)]
    x.set("Policy", 0, kl_gap=Var(1))
    assert list(query(x, "Policy(_id=p, kl_gap=g), Policy(_id=q, kl_gap=g)", ["p", "q"], engine=engine)) == [(1, 1)]
    assert len(query(x, "Policy(_id=p)", engine=engine)) == 3


@BOTH
def test_values_never_become_sql(engine):
    x = study()
    x.set("Policy", 1, policy_name=EVIL)
    asked = "Policy(_id=p, policy_name=n)"
    for where, params in (("n == $n", {"n": EVIL}), (None, {"n": EVIL}), (f'n == "{EVIL}"', None)):
        assert list(query(x, asked, ["p", "n"], where=where, params=params, engine=engine)) == [(1, EVIL)]
    both = query(x, f"{asked}, Policy(_id=q, policy_name=m)", ["p", "q"], where="n < m", engine=engine)
    assert list(both) == [(1, 0), (1, 2), (2, 0)]
    assert list(query(x, "Policy(_id=p, policy_name=$evil)", params={"evil": EVIL}, engine=engine)) == [(1,)]


@BOTH
def test_comparisons_between_atoms(engine):
    x = study()
    asked = "SimEnv(_id=e, seed=s), Policy(_id=p, kl_gap=g)"
    assert list(query(x, asked, ["e", "p"], where="s < g", engine=engine)) == []
    assert len(query(x, asked, where="s > g and e == 1", engine=engine)) == 2
    flags = "SimEnv(_id=e, noisy=a), SimEnv(_id=f, noisy=b)"
    assert list(query(x, flags, ["e", "f"], where="a < b", engine=engine)) == [(2, 0), (2, 3)]
    x.set("Policy", [0, 1], kl_gap=[math.nan, 0.5])
    gaps = "Policy(_id=p, kl_gap=g), Policy(_id=q, kl_gap=h)"
    for op, rows in {"==": [(0, 0), (1, 1)], "!=": [(0, 1), (1, 0)], "<=": [(1, 1)], ">": []}.items():
        assert list(query(x, gaps, ["p", "q"], where=f"g {op} h", engine=engine)) == rows
    assert list(query(x, "Policy(_id=p, kl_gap=g)", ["p"], params={"g": math.nan}, engine=engine)) == [(0,)]
    assert list(query(x, "Policy(_id=p, kl_gap=g)", ["p"], where="g != $n", params={"n": math.nan})) == [(1,)]


@BOTH
def test_values_that_contradict_each_other_have_no_answer(engine):
    asked = "Policy(_id=p, kl_gap=g), SimEnv(train=p)"
    for where in ("g == 0.02 and g == 0.7", "g == 0.02 and g > 1", "g == $a and g == $b"):
        params = {"a": 0.02, "b": 0.7} if "$" in where else None
        assert len(query(study(), asked, where=where, params=params, engine=engine)) == 0
    pair = "Policy(_id=p, kl_gap=g), Policy(_id=q, kl_gap=h)"
    assert len(query(study(), pair, where="g == 0.02 and h == 0.7 and g == h", engine=engine)) == 0
    assert list(query(study(), pair, ["p", "q"], where="g == h and h == 0.7", engine=engine)) == [(1, 1)]
    assert list(query(study(), pair, ["q"], params={"g": 0.02}, where="g < h", engine=engine)) == [(1,)]
    assert list(query(study(), pair, ["q"], params={"g": 0.02, "h": 0.02}, where="g < h", engine=engine)) == []


@BOTH
def test_parameters_of_variables_are_given_out_like_any_value(engine):
    table = query(study(), "SimEnv(_id=e, train=p), Policy(_id=p, policy_name=n)", params={"p": 0}, engine=engine)
    assert table.to_dict() == {"e": [1, 2], "p": [0, 0], "n": ["ours", "ours"]}
    assert table["p"].dtype == np.int64
    assert list(query(study(), "SimEnv(train=0, _id=e)", engine=engine)) == [(1,), (2,)]
    assert list(query(study(), "Policy(_id=1, deploy=r)", engine=engine)) == [(0,)]


@BOTH
def test_no_atoms_have_one_answer(engine):
    assert list(query(study(), "", engine=engine)) == [()]
    assert list(query(study(), "", distinct=True, engine=engine)) == [()]
    assert len(query(study(), "SimEnv()", [], engine=engine)) == 4
    assert len(query(study(), "SimEnv()", [], distinct=True, engine=engine)) == 1


@BOTH
def test_types_with_a_codec(engine):
    days = Codec(datetime.date, datetime.date.isoformat, datetime.date.fromisoformat)
    pairs = Codec(tuple, list, tuple)
    schema = Schema("Log", ["Run"], {}, {"Day": days, "Pair": pairs}, {"day": ("Run", "Day"), "at": ("Run", "Pair")})
    x = ACSet(schema)
    first, second = datetime.date(2025, 3, 1), datetime.date(2025, 3, 2)
    x.add_parts("Run", 3, day=[second, first, second], at=[(1, 2), (3, 4), None])
    assert list(query(x, "Run(_id=r, day=$d)", params={"d": second}, engine=engine)) == [(0,), (2,)]
    assert list(query(x, "Run(_id=r, at=a)", where="a == $a", params={"a": (3, 4)}, engine=engine)) == [(1, (3, 4))]
    both = query(x, "Run(_id=r, day=d), Run(_id=q, day=d)", ["r", "q"], where="r != q", engine=engine)
    assert list(both) == [(0, 2), (2, 0)]
    other = "Run(_id=r, at=a), Run(_id=q, at=b)"
    assert list(query(x, other, ["r", "q"], where="a != b", engine=engine)) == [(0, 1), (1, 0)]
    assert list(query(x, "Run(day=d)", distinct=True, engine=engine)) == [(second,), (first,)]
    with refused(SchemaError, "variable 'd'", "date", "== or !="):
        query(x, "Run(day=d)", where="d < $d", params={"d": first}, engine=engine)


def test_an_answer_is_no_view_of_the_instance():
    x = study()
    table = query(x, "SimEnv(_id=e, train=p, seed=s)")
    x.set("SimEnv", 0, train=0, seed=99)
    assert table.to_dict() == {"e": [0, 1, 3], "p": [2, 0, 1], "s": [7, 8, 10]}
    train = query(x, "SimEnv(train=p)")
    x.set("SimEnv", 0, train=2)
    assert list(train) == [(0,), (0,), (0,), (1,)]


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        ("Polcy(_id=p)", ["atom 1", "unknown object 'Polcy'", "'Policy'"]),
        ("Policy(_id=p), SimEnv(trian=p)", ["atom 2", "unknown argument of SimEnv 'trian'", "'train'"]),
        ("SimEnv(_id=e, train=e)", ["variable 'e'", "a part of SimEnv", "SimEnv.train in atom 1", "a part of Policy"]),
        ("Policy(kl_gap=p), SimEnv(train=p)", ["variable 'p'", "TransferGap, float at Policy.kl_gap in atom 1"]),
        ("SimEnv(train=p, train=q)", ["argument 'train'", "twice"]),
        ("Policy(kl_gap=$g)", ["parameter '$g' has no value"]),
        ("Policy(_id=p", ["position 13", "expected ','", "the end"]),
        ("Policy _id=p)", ["position 8", "expected '('"]),
        ("Policy(_id p)", ["position 12", "expected '='"]),
        ("Policy(_id=)", ["position 12", "a variable, a value or a $parameter"]),
        ("Policy(p)", ["expected '='"]),
        ("Policy(_id=p) SimEnv(train=p)", ["position 15", "between atoms"]),
        ("Policy(_id=p),", ["an atom after the comma"]),
        ("Policy(_id=p),,SimEnv()", ["position 15", "the name of an object"]),
        ("Policy(kl_gap=0.1x)", ["position 15", "cannot be read"]),
        ('Policy(policy_name="abc)', ["position 20", "cannot be read"]),
        ('Policy(policy_name="\\q")', ["unknown escape"]),
        ("Policy(_id=p); DROP TABLE x", ["expected '('"]),
        (3, ["must be a text", "int"]),
    ],
)
def test_a_faulty_body_is_refused(body, parts):
    with refused(SchemaError, *parts):
        query(study(), body)


@pytest.mark.parametrize(
    ("where", "parts"),
    [
        ("g > 'a'", ["'g > \"a\"'", "variable 'g'", "TransferGap, float", "'a'"]),
        ("n == 1", ["variable 'n'", "Name, str", "1"]),
        ("n < g", ["variable 'n' is Name, str", "variable 'g' is TransferGap, float"]),
        ("p == e", ["variable 'p' is a part of Policy", "variable 'e' is a part of SimEnv"]),
        ("p < 0.5", ["variable 'p'", "0.5"]),
        ("g == true", ["variable 'g'", "True"]),
        ("p == $x", ["parameter '$x' has no value"]),
        ("h > 1", ["unknown variable 'h'", "Valid: p, g, n, e"]),
        ("1 < 2", ["needs a variable"]),
        ("g > ", ["where, position 5", "the end"]),
        ("g = 1", ["one of ==, !="]),
        ("0 < g < 1", ["'and' between comparisons"]),
        ("g < 1 or g > 2", ["'and' between comparisons"]),
        ("g < 1 and", ["the end"]),
    ],
)
def test_a_faulty_filter_is_refused(where, parts):
    with refused(SchemaError, *parts):
        query(study(), "Policy(_id=p, kl_gap=g, policy_name=n), SimEnv(_id=e, train=p)", where=where)


@pytest.mark.parametrize(
    ("params", "error", "parts"),
    [
        ({"h": 1}, SchemaError, ["unknown parameter 'h'"]),
        ({"p": 3}, InstanceError, ["parameter 'p'", "3", "0..2"]),
        ({"p": -1}, InstanceError, ["parameter 'p'", "-1"]),
        ({"p": None}, InstanceError, ["parameter 'p'"]),
        ({"g": "a"}, InstanceError, ["parameter 'g'", "'a'", "TransferGap, float"]),
        ({"g": None}, InstanceError, ["parameter 'g'", "not a value"]),
        ({"g": Var(0)}, InstanceError, ["parameter 'g'", "not a value"]),
        ({"s": 2**63}, InstanceError, ["64 bits"]),
    ],
)
def test_parameters_that_do_not_fit_are_refused(params, error, parts):
    with refused(error, *parts):
        query(study(), "Policy(_id=p, kl_gap=g), SimEnv(seed=s)", params=params)


def test_outputs_and_values_in_the_text_are_checked_too():
    with refused(SchemaError, "output 'q' is not bound", "Valid: p"):
        query(study(), "Policy(_id=p)", ["q"])
    with refused(SchemaError, "list of variables", "['p']"):
        query(study(), "Policy(_id=p)", "p")
    with refused(InstanceError, "Policy._id in atom 1", "5 does not exist"):
        query(study(), "Policy(_id=5)")
    with refused(InstanceError, "parameter '$g' at Policy.kl_gap in atom 1", "'x'"):
        query(study(), "Policy(kl_gap=$g)", params={"g": "x"})
    with refused(InstanceError, "64 bits"):
        query(study(), "SimEnv(seed=s)", where="s < 9223372036854775808")
    with refused(SchemaError, "no operator '~'", "=="):
        from sim2real_cat.acsets.query.engine import answer

        atom = Atom("Policy", (("_id", Variable("p")),))
        answer(study(), ConjunctiveQuery((atom,), None, (Comparison(Variable("p"), "~", Constant(0)),)))
