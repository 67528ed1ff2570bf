"""The result of a study, in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sim2real_cat.evidence.events import EventLog
from sim2real_cat.evidence.proof import ProofBundle
from sim2real_cat.policies.policy import Policy
from sim2real_cat.study.description import Description
from sim2real_cat.transfer.deployment import Deployment
from sim2real_cat.transfer.instance import TransferInstance
from sim2real_cat.transfer.laws.report import LawReport
from sim2real_cat.transfer.measurement import MeasuredGap


@dataclass(frozen=True, eq=False)
class StudyResult:
    """Everything that a study found.

    Attributes:
        description: the study.
        policies: the policies, by name.
        deployments: the recordings of each policy on both sides, in the order of the description.
        gaps: the measured gap of each policy, in the same order.
        instance: the categorical database.
        report: the verdicts of its laws.
        events: the events of every policy whose gap was measured and has a Gaussian plug-in.
        proofs: the proof bundle of each of them, by policy name.
    """

    description: Description
    policies: Mapping[str, Policy]
    deployments: tuple[Deployment, ...]
    gaps: tuple[MeasuredGap, ...]
    instance: TransferInstance
    report: LawReport
    events: tuple[EventLog, ...]
    proofs: Mapping[str, ProofBundle]
