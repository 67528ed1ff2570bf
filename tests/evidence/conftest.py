"""Events by hand: one for each gap, with errors that stay under every threshold."""

from __future__ import annotations

import numpy as np
import pytest

from sim2real_cat.evidence.events import EventLog

BALANCED = (0.01, 0.02, 0.7, 0.9)
"""Gaps whose trits are those of the source document's balanced quad."""


@pytest.fixture(scope="session")
def make_log():
    def make(kl_gap=BALANCED, policy="p", d=2, **columns):
        n = len(kl_gap)
        given = {
            "episode": np.arange(n) // 3,
            "step": np.arange(n) % 3,
            "before": np.zeros((n, d)),
            "after": np.full((n, d), 0.25),
            "kl_gap": np.array(kl_gap, dtype=float),
            "observation_error": np.full(n, 0.1),
            "dynamics_error": np.full(n, 0.2),
            "latency_delta": np.full(n, 10.0),
        }
        return EventLog(policy, **given | columns)

    return make
