"""The schemas of sim-to-real transfer.

`SchSim2RealTransfer` is the schema of the source document, arrow for arrow. `SchTransferStudy` extends it with the
names, digests and measurements that a person needs to read the rows.
"""

from __future__ import annotations

from sim2real_cat.acsets.schema import Schema

SchSim2RealTransfer = Schema(
    "SchSim2RealTransfer",
    obs=["SimEnv", "RealEnv", "Policy", "Observation"],
    homs={
        "train": ("SimEnv", "Policy"),
        "deploy": ("Policy", "RealEnv"),
        "observe_sim": ("SimEnv", "Observation"),
        "observe_real": ("RealEnv", "Observation"),
        "transfer": ("Policy", "Policy"),
    },
    attrtypes={"TransferGap": float},
    attrs={"kl_gap": ("Policy", "TransferGap")},
)
"""The schema of policies: the environments that trained them, the robot, what was observed, and the gap."""

SchTransferStudy = SchSim2RealTransfer.extend(
    "SchTransferStudy",
    obs=["Draw"],
    homs={"drawn_in": ("Draw", "SimEnv")},
    attrtypes={"Name": str, "Digest": str, "Number": float, "Count": int, "Flag": bool},
    attrs={
        "sim_name": ("SimEnv", "Name"),
        "sim_weight": ("SimEnv", "Number"),
        "sim_level": ("SimEnv", "Number"),
        "member_gap": ("SimEnv", "TransferGap"),
        "member_gap_low": ("SimEnv", "TransferGap"),
        "member_gap_high": ("SimEnv", "TransferGap"),
        "square_gap": ("SimEnv", "TransferGap"),
        "square_low": ("SimEnv", "TransferGap"),
        "square_high": ("SimEnv", "TransferGap"),
        "square_level": ("SimEnv", "Name"),
        "parameter": ("Draw", "Name"),
        "change": ("Draw", "Name"),
        "drawn_value": ("Draw", "Number"),
        "real_name": ("RealEnv", "Name"),
        "policy_name": ("Policy", "Name"),
        "weights_digest": ("Policy", "Digest"),
        "birth_digest": ("Policy", "Digest"),
        "trainer": ("Policy", "Name"),
        "entropy_coefficient": ("Policy", "Number"),
        "return_sim": ("Policy", "Number"),
        "return_real": ("Policy", "Number"),
        "gap_low": ("Policy", "TransferGap"),
        "gap_high": ("Policy", "TransferGap"),
        "gap_uncorrected": ("Policy", "TransferGap"),
        "gap_of": ("Policy", "Name"),
        "kl_gap_episode": ("Policy", "TransferGap"),
        "kl_gap_episode_low": ("Policy", "TransferGap"),
        "kl_gap_episode_high": ("Policy", "TransferGap"),
        "gap_complexity": ("Policy", "TransferGap"),
        "gap_complexity_low": ("Policy", "TransferGap"),
        "gap_complexity_high": ("Policy", "TransferGap"),
        "fibre_gap": ("Policy", "TransferGap"),
        "fibre_gap_low": ("Policy", "TransferGap"),
        "fibre_gap_high": ("Policy", "TransferGap"),
        "gap_method": ("Policy", "Name"),
        "gap_level": ("Policy", "Name"),
        "gap_reliable": ("Policy", "Flag"),
        "gap_note": ("Policy", "Name"),
        "gap_steps": ("Policy", "Number"),
        "gap_episodes": ("Policy", "Count"),
        "gap_null": ("Policy", "TransferGap"),
        "gap_p_value": ("Policy", "Number"),
        "occupancy_gap": ("Policy", "TransferGap"),
        "occupancy_low": ("Policy", "TransferGap"),
        "occupancy_high": ("Policy", "TransferGap"),
        "observation_name": ("Observation", "Name"),
        "recording": ("Observation", "Name"),
        "recording_digest": ("Observation", "Digest"),
        "episodes": ("Observation", "Count"),
        "frames": ("Observation", "Count"),
        "diverged": ("Observation", "Count"),
    },
)
"""`SchSim2RealTransfer` with the measurements of a study.

A `Draw` is one number drawn for one parameter of one simulated world; `sim_level` is how far a curriculum had widened
the ranges it was drawn from. `trainer` says how a policy was trained, `entropy_coefficient` how much its entropy
counted. `kl_gap`, `gap_low` and `gap_high` are in nats per control step where `gap_level` is ``transition``; the
`occupancy_*` are in nats per observation. `gap_note` says why a gap is missing or not to be relied on. The gap
was measured over `gap_episodes` real episodes of `gap_steps` control steps on average; `gap_null` is what the same
estimator says where there is no gap, of one side against itself, and `gap_p_value` is that of "no more than that".
A predictive gap says what it is of: `gap_of` is ``randomization`` where its worlds were integrated, ``fibre`` where the
finite mixture was taken. `kl_gap` is its rate, the divergence from the best world; `gap_uncorrected` is the same before
the correction for having been fitted, the mean over the events. `kl_gap_episode` is the gap of one episode by itself,
and `gap_complexity`, the difference, is the price of not knowing the world when an episode starts. `fibre_gap` is the
episode's gap of the finite mixture.
`member_gap` is the gap of one simulated world by itself, as `fibre_gap` is that of the mixture. `square_gap` is the
divergence between what one simulated world showed and what its policy's robot showed, at `square_level`, ``occupancy``
or ``transition``.
"""
