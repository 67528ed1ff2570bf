"""The returns of one robot's policies, as a table to be ranked."""

from __future__ import annotations

import numpy as np
import pytest

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.errors import InstanceError
from sim2real_cat.transfer.instance import TransferInstance
from sim2real_cat.transfer.schema import SchSim2RealTransfer


@pytest.fixture
def two_robots(make_instance):
    rows = [(0, 5.0, 4.0), (1, 1.0, 2.0), (0, 7.0, 8.0), (1, 3.0, 2.5), (0, None, 3.0), (1, 2.0, 2.0)]
    policies = [{"deploy": robot, "return_sim": sim, "return_real": real} for robot, real, sim in rows]
    return make_instance(*({k: v for k, v in row.items() if v is not None} for row in policies), robots=2)


def test_policies_of_one_robot(two_robots):
    table, lacking = two_robots.returns("robot0")
    assert (table.names, lacking) == (("policy0", "policy2"), ("policy4",))
    assert np.array_equal([table.real, table.sim], [[5, 7], [4, 8]])
    table, lacking = two_robots.returns("robot1")
    assert (table.names, lacking) == (("policy1", "policy3", "policy5"), ())
    assert table.real_counts is None


def test_what_cannot_be_ranked(two_robots, make_instance, refused):
    with refused(InstanceError, "ranked on one robot: say which of robot0, robot1"):
        two_robots.returns()
    with refused(InstanceError, "unknown robot 'robot'", "did you mean 'robot1'"):
        two_robots.returns("robot")
    with refused(InstanceError, "robot0 has 0 policies with a real and a simulated return"):
        make_instance({}, {}).returns()
    with refused(InstanceError, "records no returns"):
        TransferInstance(ACSet(SchSim2RealTransfer)).returns()
