import numpy as np
import pytest
from acset_strategies import FIXED, acsets, study
from hypothesis import given
from hypothesis import strategies as st

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.schema import Schema

LAWFUL = Schema(
    "Lawful",
    obs=["A", "B"],
    homs={"f": ("A", "B"), "g": ("A", "B"), "s": ("B", "A"), "e": ("A", "A")},
    attrtypes={"X": float, "N": str},
    attrs={"x": ("A", "X"), "y": ("B", "X"), "n": ("A", "N"), "m": ("B", "N")},
    equations=[("f", "g"), ("s.f", ""), ("e.e", "e"), ("x", "f.y"), ("e.n", "n"), ("g.m", ("e", "n"))],
)


@FIXED
@given(acsets(LAWFUL))
def test_violations_are_where_the_sides_differ(x):
    found = {violation.equation: violation for violation in x.check()}
    for left, right in LAWFUL.equations:
        sides = [[x.subpart(path.arrows, i, ob=left.dom) for i in range(x.nparts(left.dom))] for path in (left, right)]
        wrong = [i for i, (one, other) in enumerate(zip(*sides, strict=True)) if one != other]
        violation = found.pop(f"{str(left) or 'id'} = {str(right) or 'id'}", None)
        assert (violation is not None) == bool(wrong)
        if violation is not None:
            assert violation.ob == left.dom
            assert violation.ids.tolist() == wrong
            for shown, side in ((violation.left, sides[0]), (violation.right, sides[1])):
                assert shown.tolist() == [side[i] for i in wrong]
            assert "\n" not in str(violation)
    assert not found


def test_a_law_of_the_study_fails_where_it_does():
    x = study()
    assert [str(violation) for violation in x.check()] == [
        "transfer.deploy = deploy fails at 1 of 'Policy' (at 1: 1 and 0)"
    ]
    x.set("Policy", 1, deploy=1)
    assert x.check() == []
    x.set("Policy", 0, transfer=None)
    assert [violation.equation for violation in x.check()] == [
        "transfer.transfer = transfer",
        "transfer.deploy = deploy",
    ]
    assert "at 1: undefined and 0" in str(x.check()[0])


@pytest.mark.parametrize(
    ("one", "other", "holds"),
    [
        (None, None, True),
        (None, 0.5, False),
        (np.nan, np.nan, True),
        (np.nan, 0.5, False),
        (np.nan, None, False),
        (Var(0), Var(0), True),
        (Var(0), Var(1), False),
        (Var(0), 0.5, False),
        (Var(0), None, False),
    ],
)
def test_when_two_values_agree(one, other, holds):
    schema = Schema("Two", ["A"], {}, {"X": float}, {"x": ("A", "X"), "y": ("A", "X")}, [("x", "y")])
    x = ACSet(schema)
    x.add_vars("X", 2)
    x.add_parts("A", 3, x=1.0, y=1.0)
    x.add("A", x=one, y=other)
    assert [violation.ids.tolist() for violation in x.check()] == ([] if holds else [[3]])


@given(st.integers(4, 20))
@FIXED
def test_a_long_list_is_shown_by_its_beginning(n):
    x = ACSet(Schema("Loop", ["A"], {"f": ("A", "A")}, equations=[("f", "")]))
    x.add_parts("A", n)
    (violation,) = x.check()
    assert str(violation) == (
        f"f = id fails at {n} of 'A' (at 0: undefined and 0; at 1: undefined and 1; at 2: undefined and 2; ...)"
    )
