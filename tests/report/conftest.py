"""An instance with every kind of policy, and its report."""

from __future__ import annotations

import pytest

EPSILON = 0.1

HARD = r"""<b>&"x'</b> $\frac{1$ ] [red]"""
"""A name that is markup to HTML, mathematics to matplotlib and style to rich."""


@pytest.fixture
def every_kind(make_instance):
    """Every verdict once; negative, missing and large returns; intervals that end nowhere."""
    policies = [
        {"kl_gap": 0.02, "gap_low": 0.01, "gap_high": 0.03, "transfer": 0, "return_sim": 200.0, "return_real": 190.4},
        {"kl_gap": 0.02, "gap_low": 0.0, "gap_high": 0.4, "transfer": 1, "return_sim": 200.0, "return_real": 950.0},
        {"kl_gap": 0.7, "gap_low": 0.5, "transfer": 0, "return_sim": 100.0, "return_real": -40.0},
        {"kl_gap": 0.7, "gap_low": 0.05, "transfer": 0, "return_sim": -5.0, "return_real": -50.0},
        {"kl_gap": 12.345, "gap_low": 2.0, "gap_high": 1234.5, "return_sim": 0.0, "return_real": 1.0},
        {"kl_gap": 0.3, "gap_low": 0.2, "gap_high": 0.4, "gap_reliable": False, "gap_note": "few <episodes>"},
        {"gap_note": "transition: every episode diverged", "return_sim": 10.0},
        {"transfer": 0},
        {"transfer": 8},
        {"kl_gap": 0.05, "transfer": 9, "policy_name": HARD, "gap_note": HARD},
    ]
    return make_instance(*({"deploy": i % 2} | row for i, row in enumerate(policies)), robots=2)


@pytest.fixture
def report(every_kind):
    return every_kind.check(EPSILON)
