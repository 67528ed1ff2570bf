from __future__ import annotations

import pytest
from arm import arm_world, recorded


@pytest.fixture
def world(tmp_path):
    return arm_world(tmp_path)


@pytest.fixture
def done(world):
    return recorded(world)
