"""Instances as a table of text, which a failing test shows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim2real_cat import strategies

EPSILON = 0.5

JUST_UNDER, JUST_OVER = float(np.nextafter(EPSILON, 0)), float(np.nextafter(EPSILON, 1))


def test_an_instance_as_a_table(make_instance):
    instance = make_instance({"kl_gap": JUST_UNDER, "transfer": 0}, {"kl_gap": 0.75}, {})
    assert strategies.describe(instance, [("Policy", 1), ("Draw", 0)]).splitlines() == [
        "SchTransferStudy",
        "SimEnv  train  observe_sim  sim_name   sim_weight",
        "0       0      1            policy0/0  1",
        "1       1      1            policy1/0  1",
        "2       2      1            policy2/0  1",
        "RealEnv  observe_real  real_name",
        "0        0             robot0",
        "Policy  deploy  transfer  kl_gap               policy_name",
        "0       0       0         0.49999999999999994  policy0",
        "1       0       -         0.75                 policy1  <--",
        "2       0       -         -                    policy2",
        "Observation  observation_name",
        "0            seen 0",
        "1            seen 1",
        "Draw  (none)",
    ]


def test_a_failing_test_shows_the_instance_and_shrinks_it():
    @settings(derandomize=True, deadline=None, database=None, report_multiple_bugs=False, max_examples=300)
    @given(st.data())
    def no_policy_is_replaced(data):
        instance = data.draw(strategies.transfer_instances())
        assert (instance.acset.column_ids("transfer") <= instance.acset.parts("Policy")).all()

    with pytest.raises(AssertionError) as failed:
        no_policy_is_replaced()
    notes = "\n".join(failed.value.__notes__)
    assert "SchSim2RealTransfer\nSimEnv  (none)\nRealEnv  observe_real\n" in notes
    assert "Policy  deploy  transfer  kl_gap\n0       0       1         0.5\n1       0       1         0\n" in notes
