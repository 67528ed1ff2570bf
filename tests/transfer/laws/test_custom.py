"""Laws of one's own: path equations, queries that nothing may match, functions; on any schema."""

from __future__ import annotations

import numpy as np
import pytest

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import LawError, SchemaError
from sim2real_cat.transfer import laws
from sim2real_cat.transfer.laws import Law, Witness, from_function, from_query, path_equation

LAB = Schema(
    "Lab",
    obs=["Arm", "Room"],
    homs={"stands": ("Arm", "Room"), "twin": ("Arm", "Arm"), "home": ("Arm", "Room")},
    attrtypes={"Number": float, "Name": str},
    attrs={"reach": ("Arm", "Number"), "label": ("Room", "Name"), "sign": ("Arm", "Name")},
)


@pytest.fixture
def lab():
    x = ACSet(LAB)
    x.add_parts("Room", 3, label=["hall", "shop", None])
    x.add_parts("Arm", 4, stands=[0, 1, 1, None], home=[0, 0, None, None], reach=[1.0, 2.5, None, 0.5])
    x.set("Arm", [0, 1, 2, 3], twin=[0, 0, 1, None], sign=["hall", "hall", "shop", None])
    return x


def said(law, x, epsilon=0.5):
    return [(w.verdict, w.ob, w.id, w.message) for w in law.check(x, epsilon).witnesses]


# path equations


def test_a_path_equation_names_both_ends(lab):
    law = path_equation("at home", "stands", "home")
    assert (law.statement, law.symbols) == ("stands = home.", "stands = home")
    assert said(law, lab) == [
        ("violated", "Arm", 1, "stands is Room 1, but home is Room 0"),
        ("violated", "Arm", 2, "stands is Room 1, but home is undefined"),
    ]
    partial = path_equation("at home", "stands", "home", "Arms stand at home.", partial=True)
    assert (partial.statement, partial.symbols) == ("Arms stand at home.", "stands = home, where defined")
    assert [row[2] for row in said(partial, lab)] == [1]


def test_a_path_may_end_in_an_attribute_or_be_an_identity(lab):
    assert said(path_equation("signed", "stands.label", ("sign",)), lab) == [
        ("violated", "Arm", 1, "stands.label is 'shop', but sign is 'hall'")
    ]
    lab.add_vars("Number")
    lab.set("Arm", 1, reach=Var(0))
    reaches = path_equation("reaches", "twin.reach", "reach")
    assert said(reaches, lab) == [
        ("violated", "Arm", 1, "twin.reach is 1.0, but reach is Var(k=0)"),
        ("violated", "Arm", 2, "twin.reach is Var(k=0), but reach is undefined"),
        ("violated", "Arm", 3, "twin.reach is undefined, but reach is 0.5"),
    ]
    itself = path_equation("itself", "twin", "", partial=True)
    assert said(itself, lab)[0] == ("violated", "Arm", 1, "twin is Arm 0, but id is Arm 1")
    assert said(path_equation("itself", "", "twin"), lab)[2][3] == "id is Arm 3, but twin is undefined"


def test_the_equations_of_a_schema_are_such_laws(lab):
    told = Schema("Told", LAB.obs, LAB.homs, LAB.attrtypes, LAB.attrs, [("stands", "home"), ("twin.stands", "stands")])
    x = ACSet.from_json(told, lab.to_json())
    for violation, (left, right) in zip(x.check(), told.equations, strict=True):
        result = path_equation("one", left.arrows, right.arrows).check(x)
        assert result.ids(violation.ob).tolist() == violation.ids.tolist()


def test_path_equations_that_are_none_are_refused(lab, refused):
    with refused(LawError, "law 'x'", "two identities say nothing"):
        path_equation("x", "", ())
    with refused(SchemaError, "law 'x'", "unknown arrow 'hom'", "did you mean 'home'?"):
        path_equation("x", "stands", "hom").check(lab)
    with refused(SchemaError, "law 'x'", "from Arm to Room", "from Arm to Arm"):
        path_equation("x", "stands", "").check(lab)


# queries


def test_what_matches_a_query_breaks_the_law(lab):
    law = from_query("short", "Arm(_id=a, reach=r, stands=s), Room(_id=s, label=l)", "r > 2")
    assert said(law, lab) == [
        (
            "violated",
            "Arm",
            1,
            "matches Arm(_id=a, reach=r, stands=s), Room(_id=s, label=l) where r > 2: "
            "a = 1, r = 2.5, s = 1, l = 'shop'",
        )
    ]
    assert law.statement == "Nothing matches Arm(_id=a, reach=r, stands=s), Room(_id=s, label=l) where r > 2."


def test_a_row_is_named_once_however_often_it_matches(lab):
    law = from_query("empty", "Arm(stands=s), Room(_id=s)")
    assert [(row[1], row[2]) for row in said(law, lab)] == [("Room", 0), ("Room", 1)]
    pairs = from_query("pairs", "Arm(_id=a, stands=s), Arm(_id=b, stands=s)", "a != b", of="b")
    assert [(row[1], row[2]) for row in said(pairs, lab)] == [("Arm", 1), ("Arm", 2)]


def test_epsilon_and_parameters(lab):
    law = from_query("far", "Arm(_id=a, reach=r, sign=s)", "r > $epsilon and s != $name", params={"name": "shop"})
    assert [row[2] for row in said(law, lab, epsilon=1.0)] == [1]
    assert [row[2] for row in said(law, lab, epsilon=0.5)] == [0, 1]


def test_queries_without_a_part_are_refused(lab, refused):
    with refused(LawError, "law 'x'", "names no part", "Arm(_id=x, ...)"):
        from_query("x", "Arm(reach=r)")
    with refused(LawError, "law 'x'", "unknown part 'b'", "Valid: a"):
        from_query("x", "Arm(_id=a)", of="b")
    with refused(SchemaError, "reech"):
        from_query("x", "Arm(_id=a, reech=r)").check(lab)


# functions


def test_a_function_gives_masks_or_ids(lab):
    law = from_function(
        "long", lambda x, epsilon: {"Arm": x.column("reach") > epsilon, "Room": [2, 0, 2]}, "All short."
    )
    assert said(law, lab, 2.0) == [
        ("violated", "Arm", 1, "breaks it: All short."),
        ("violated", "Room", 0, "breaks it: All short."),
        ("violated", "Room", 2, "breaks it: All short."),
    ]
    assert said(from_function("none", lambda *_: {"Arm": []}, "Nothing."), lab) == []


def test_a_function_gives_witnesses_of_its_own(lab):
    law = from_function("open", lambda *_: [Witness("undecided", "Arm", 2, "who knows")], "Open.", "?")
    result = law.check(lab)
    assert (result.verdict, law.symbols) == ("undecided", "?")
    assert result.ids("Arm", "undecided").tolist() == [2]


@pytest.mark.parametrize(
    ("found", "error", "part"),
    [
        ({"Arn": [0]}, SchemaError, "unknown object 'Arn'"),
        ({"Arm": [4]}, LawError, "names Arm 4, but there are 4"),
        ({"Arm": [-1]}, LawError, "names Arm -1"),
        ({"Arm": [True]}, LawError, "gave bool of shape (1,) for Arm; give a mask of shape (4,)"),
        ({"Arm": [0.5]}, LawError, "gave float64"),
        (None, LawError, "gave a NoneType; it gives a mapping from objects to masks or ids"),
        ([0, 1], LawError, "gave a list"),
    ],
)
def test_what_is_neither_is_refused(lab, refused, found, error, part):
    with refused(error, "law 'x'", part):
        from_function("x", lambda *_: found, "x").check(lab)


# together


def test_own_laws_are_checked_beside_those_of_the_design(make_instance):
    weak = from_query("weak", "Policy(_id=p, kl_gap=g)", "g > 3")
    report = make_instance({"kl_gap": 4.0}, {"kl_gap": 0.1, "transfer": 1}).check(0.5, ["functor", weak])
    assert [(r.law.name, r.verdict) for r in report.results] == [("functor", "holds"), ("weak", "violated")]
    assert report["weak"].ids("Policy").tolist() == [0]


def test_a_law_says_what_it_needs(lab):
    law = from_function("gaps", lambda x, _: {"Policy": x.column("kl_gap") > 1}, "Small.", needs=["Policy", "kl_gap"])
    result = law.check(lab)
    assert (result.asked, result.reason) == (False, "schema Lab has no Policy, kl_gap")
    with pytest.raises(SchemaError, match="unknown arrow 'kl_gap'"):
        from_function("gaps", lambda x, _: {"Policy": x.column("kl_gap") > 1}, "Small.").check(lab)


def test_the_laws_of_the_design_may_be_asked_of_any_instance(lab):
    report = laws.check(lab, 0.5)
    assert [r.law.name for r in report.results if r.asked] == ["functor"]
    assert np.array_equal(report["functor"].ids("Arm"), [2, 3])


def test_laws_are_checked_of_an_acset(make_instance, refused):
    with refused(LawError, "laws are checked of an ACSet, got TransferInstance; give instance.acset"):
        laws.check(make_instance({}))


def test_a_text_is_no_list_of_laws(make_instance, refused):
    with refused(LawError, "laws is a list of names, not the text 'functor'"):
        make_instance().check(0.5, "functor")


def test_laws_are_values():
    one, two = (Law("a", "b", "c", said, needs=("x",)) for _ in range(2))
    assert one == two
    assert len({one, two}) == 1
