"""Verify the events of a deployment and bind the answer to them by a hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, astuple, dataclass
from typing import Literal

import numpy as np

from sim2real_cat.errors import EvidenceError
from sim2real_cat.evidence.events import Sim2RealNaryaEvent, conserved


@dataclass(frozen=True)
class Thresholds:
    """Bounds that every event must stay under.

    Attributes:
        observation: ||o_real - o_sim||, in the sensors' units.
        dynamics: ||s'_real - s'_predicted||, in the units of the state.
        latency: how much later reality may act [ms].
    """

    observation: float = 1.0
    dynamics: float = 1.0
    latency: float = 20.0


@dataclass(frozen=True)
class ProofBundle:
    """The answers of the verifiers and the hash of the events they looked at.

    Attributes:
        verifiers: the answer of each verifier by name.
        overall: ``VERIFIED`` where all say yes, else ``FAILED``.
        events: number of events.
        thresholds: the bounds that the events were held to.
        proof_hash: SHA-256 over the events as JSON, hexadecimal.
    """

    verifiers: dict[str, bool]
    overall: Literal["VERIFIED", "FAILED"]
    events: int
    thresholds: Thresholds
    proof_hash: str

    def to_dict(self) -> dict[str, object]:
        """Return the bundle as plain values for JSON."""
        return asdict(self)


def verify_transfer_success(events: Iterable[Sim2RealNaryaEvent], thresholds: Thresholds | None = None) -> ProofBundle:
    """Hold every event to the thresholds, and the trits of the log to their conservation law in GF(3).

    Raises:
        EvidenceError: there are no events, so nothing can be verified, or an event holds NaN or infinity.
    """
    bounds = Thresholds() if thresholds is None else thresholds
    log = list(events)
    if not log:
        raise EvidenceError("there are no events to verify: record at least one transition of the deployment")
    try:
        text = json.dumps([e.to_dict() for e in log], sort_keys=True, separators=(",", ":"), allow_nan=False)
    except ValueError:
        wrong = next(e.event_id for e in log if not np.isfinite([*e.before, *e.after, *astuple(e.delta)]).all())
        raise EvidenceError(f"event '{wrong}' holds NaN or infinity: record finite numbers") from None
    verifiers = {
        "observation_consistency": all(e.delta.observation_error < bounds.observation for e in log),
        "dynamics_fidelity": all(e.delta.dynamics_error < bounds.dynamics for e in log),
        "latency_bounds": all(e.delta.latency_delta < bounds.latency for e in log),
        "gf3_conservation": conserved([e.trit for e in log]),
    }
    overall: Literal["VERIFIED", "FAILED"] = "VERIFIED" if all(verifiers.values()) else "FAILED"
    return ProofBundle(verifiers, overall, len(log), bounds, hashlib.sha256(text.encode()).hexdigest())
