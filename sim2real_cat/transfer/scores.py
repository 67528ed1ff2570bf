"""What the policies of one robot scored in simulation and on it, to be ranked."""

from __future__ import annotations

import numpy as np

from sim2real_cat.errors import InstanceError, unknown_name
from sim2real_cat.ranking.table import PolicyTable
from sim2real_cat.transfer.instance import TransferInstance


def returns_of(instance: TransferInstance, robot: str | None = None) -> tuple[PolicyTable, tuple[str, ...]]:
    """The mean returns of the policies deployed on one robot; returns of different robots do not compare.

    Args:
        instance: An instance of `SchTransferStudy`.
        robot: The robot's name; may be left out where there is only one.

    Returns:
        The policies that have both returns, and the names of those that lack one.

    Raises:
        InstanceError: The instance records no returns, the robot is not known or not said, or fewer than two policies
            have returns.
    """
    acset = instance.acset
    if "return_sim" not in acset.schema.attrs:
        raise InstanceError(
            f"an instance of {acset.schema.name} records no returns: give one of SchTransferStudy, or a CSV of policies"
        )
    robots = [instance.name("RealEnv", part) for part in map(int, acset.parts("RealEnv"))]
    if robot is None and len(robots) != 1:
        raise InstanceError(f"policies are ranked on one robot: say which of {', '.join(robots) or '(none)'}")
    if robot is not None and robot not in robots:
        raise InstanceError(unknown_name("robot", robot, robots))
    place = 0 if robot is None else robots.index(robot)
    numbers = [np.asarray(np.ma.filled(acset.column(name), np.nan)) for name in ("return_real", "return_sim")]
    names, real, sim, lacking = [], [], [], []
    for policy in map(int, acset.incident(place, "deploy")):
        name, scores = instance.name("Policy", policy), [float(column[policy]) for column in numbers]
        if np.isfinite(scores).all():
            names.append(name)
            real.append(scores[0])
            sim.append(scores[1])
        else:
            lacking.append(name)
    if len(names) < 2:
        raise InstanceError(
            f"{robots[place]} has {len(names)} policies with a real and a simulated return: ranking needs at least 2"
        )
    return PolicyTable.of_scores(names, real, sim), tuple(lacking)
