import numpy as np
import pytest
from acset_strategies import FIXED
from hypothesis import given
from hypothesis import strategies as st

from sim2real_cat.acsets.catlab import finite_sets


@st.composite
def functions(draw, same_domain=False):
    """Two functions to one set, and its size."""
    size = draw(st.integers(1, 4))
    values = st.integers(0, size - 1)
    left = draw(st.lists(values, max_size=5))
    length = {"min_size": len(left), "max_size": len(left)} if same_domain else {"max_size": 5}
    right = draw(st.lists(values, **length))
    return np.array(left, np.int64), np.array(right, np.int64), size


@pytest.fixture(autouse=True)
def asked_of_catlab(catlab_engine):
    """Every test here asks Catlab, or its stand-in."""


@FIXED
@given(functions())
def test_a_pullback_is_the_pairs_that_agree(drawn):
    left, right, size = drawn
    rows = list(zip(*(side.tolist() for side in finite_sets.pullback(left, right, size)), strict=True))
    agreeing = [(i, j) for i, a in enumerate(left) for j, b in enumerate(right) if a == b]
    assert sorted(rows) == agreeing


@FIXED
@given(functions(same_domain=True))
def test_an_equalizer_is_the_elements_that_agree(drawn):
    left, right, size = drawn
    assert finite_sets.equalizer(left, right, size).tolist() == np.flatnonzero(left == right).tolist()
