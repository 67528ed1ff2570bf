"""An instance as large as that of the demo, with the numbers of the README and worlds that are drawn here."""

from __future__ import annotations

import numpy as np

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.transfer.schema import SchTransferStudy

ROBOTS = ("pendulum", "hopper")
POLICIES = [
    ("pendulum-none", 0, 1, 0, 200.0, 76.6, (3.23, 3.15, 3.32)),
    ("pendulum-narrow", 0, 8, 1, 199.9, 200.0, (2.20, 2.20, 2.21)),
    ("pendulum-wide", 0, 64, 1, 200.0, 200.0, (0.129, 0.119, 0.139)),
    ("hopper-none", 1, 1, 0, 566.1, 507.7, (0.716, 0.690, 0.741)),
    ("hopper-narrow", 1, 8, 1, 573.5, 358.5, (0.433, 0.425, 0.442)),
    ("hopper-wide", 1, 16, 3, 479.0, 476.7, (0.023, 0.017, 0.030)),
]
"""Name, robot, worlds, parameters, mean returns in simulation and reality, gap with its interval."""

TRANSFER = (2, 2, 2, 5, 4, 5)


def demo_shape(*, gaps_and_heirs: bool = True) -> ACSet:
    """Six policies in 98 worlds.

    Args:
        gaps_and_heirs: whether all gaps are measured and every policy has a transfer, as in the demo; otherwise
            `pendulum-none` has neither, and `hopper-none` has a gap and no heir.
    """
    rng, x = np.random.default_rng(0), ACSet(SchTransferStudy, unique_index=["policy_name", "real_name", "sim_name"])
    x.add_parts("Observation", 2, observation_name=[f"{robot} (real)" for robot in ROBOTS], episodes=72)
    x.add_parts("RealEnv", 2, real_name=ROBOTS, observe_real=[0, 1])
    for number, (name, robot, worlds, parameters, sim, real, gap) in enumerate(POLICIES):
        value, low, high = gap if gaps_and_heirs or number != 0 else (None, None, None)
        x.add("Policy", policy_name=name, deploy=robot, return_sim=sim, return_real=real, trainer="ars",
              kl_gap=value, gap_low=low, gap_high=high, gap_reliable=None if value is None else True)  # fmt: skip
        labels = [f"{name}/{world}" for world in range(worlds)]
        seen = x.add_parts("Observation", worlds, observation_name=labels, episodes=2)
        envs = x.add_parts(
            "SimEnv", worlds, sim_name=labels, train=number, observe_sim=seen, sim_weight=1 / worlds, sim_level=1.0
        )
        x.set("SimEnv", envs, member_gap=rng.uniform(0.5, 4.0, worlds), square_low=0.0, square_level="occupancy")
        for parameter in range(parameters):
            x.add_parts("Draw", worlds, drawn_in=envs, parameter=f"parameter {parameter}", change="scale",
                        drawn_value=rng.uniform(0.7, 1.6, worlds))  # fmt: skip
    x.set("Policy", x.parts("Policy"), transfer=TRANSFER)
    if not gaps_and_heirs:
        x.clear("Policy", [0, 3], "transfer")
    return x
