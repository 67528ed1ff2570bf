"""Trits at their boundaries, and their conservation law in GF(3)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim2real_cat.evidence.events import conserved, trits


@pytest.mark.parametrize(
    ("gap", "trit"),
    [
        (-3.0, 1),
        (0.0, 1),
        (5e-324, 1),
        (np.nextafter(0.1, 0), 1),
        (0.1, 0),
        (0.3, 0),
        (0.5, 0),
        (np.nextafter(0.5, 1), -1),
        (1e308, -1),
        (math.inf, -1),
    ],
)
def test_exact_match_tolerance_and_mismatch(gap, trit):
    """The field comment of the source document decides: -1 mismatch, 0 within tolerance, +1 exact match."""
    assert trits(gap) == trit


@pytest.mark.parametrize(
    ("values", "balanced"),
    [
        ([1, 1, -1, -1], True),
        ([], True),
        ([0, 0, 0], True),
        ([1, 1, 1], True),
        ([-1, -1, -1], True),
        ([1], False),
        ([-1], False),
        ([1, 1], False),
        ([1, 0, -1, -1], False),
    ],
)
def test_conservation(values, balanced):
    """The source document's balanced quad, +1 +1 -1 -1, sums to 0 in GF(3)."""
    assert conserved(values) is balanced


def test_many_small_integers_do_not_overflow():
    assert conserved(np.ones(3 * 129, dtype=np.int8))
    assert not conserved(np.ones(3 * 129 + 1, dtype=np.int8))


@settings(derandomize=True, deadline=None)
@given(st.lists(st.floats(0, 2), max_size=30))
def test_completing_a_log_conserves_it(gaps):
    found = trits(gaps).tolist()
    assert set(found) <= {-1, 0, 1}
    assert conserved(found + [-trit for trit in found])
    assert conserved(found) == (sum(found) % 3 == 0)
