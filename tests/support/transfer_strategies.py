"""What several tests of laws share: how many examples, and which bounds."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st

FIXED = settings(derandomize=True, deadline=None, max_examples=80)
EPSILONS = st.sampled_from([0.1, 5e-324, 1e-3, 1.0, 1e300])
