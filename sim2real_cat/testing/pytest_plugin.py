"""The pytest plugin: a fixture that asserts laws. It imports the rest of the package when a test asks for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sim2real_cat.transfer.laws.report import LawReport


@pytest.fixture(scope="session", name="assert_laws")
def _assert_laws() -> Callable[..., LawReport]:
    """Return `sim2real_cat.testing.assert_laws`, which fails with a readable table where an instance breaks a law.

    ``assert_laws(instance, epsilon=0.5, laws=["functor"], undecided="fail")``
    """
    from sim2real_cat.testing.assertions import assert_laws

    return assert_laws
