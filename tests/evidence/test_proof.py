"""Proof bundles: each verifier can fail alone, and the hash binds the answer to every event."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from sim2real_cat.errors import EvidenceError
from sim2real_cat.evidence.proof import Thresholds, verify_transfer_success

VERIFIERS = ["observation_consistency", "dynamics_fidelity", "latency_bounds", "gf3_conservation"]
LAST = np.array([0.0, 0.0, 0.0, 1.0])


def test_all_verifiers_say_yes(make_log):
    proof = verify_transfer_success(make_log())
    assert proof.verifiers == dict.fromkeys(VERIFIERS, True)
    assert (proof.overall, proof.events, proof.thresholds) == ("VERIFIED", 4, Thresholds())
    assert len(proof.proof_hash) == 64
    assert json.loads(json.dumps(proof.to_dict()))["thresholds"] == {
        "observation": 1.0,
        "dynamics": 1.0,
        "latency": 20.0,
    }


@pytest.mark.parametrize(
    ("failing", "columns"),
    [
        ("observation_consistency", {"observation_error": LAST}),
        ("dynamics_fidelity", {"dynamics_error": LAST}),
        ("latency_bounds", {"latency_delta": 20.0 * LAST}),
        ("gf3_conservation", {"kl_gap": np.array([0.01, 0.02, 0.7, 0.2])}),
    ],
)
def test_each_verifier_fails_alone(make_log, failing, columns):
    proof = verify_transfer_success(make_log(**columns))
    assert proof.verifiers == dict.fromkeys(VERIFIERS, True) | {failing: False}
    assert proof.overall == "FAILED"


@pytest.mark.parametrize(
    ("thresholds", "failing"),
    [
        (Thresholds(observation=0.1), "observation_consistency"),
        (Thresholds(dynamics=0.2), "dynamics_fidelity"),
        (Thresholds(latency=10.0), "latency_bounds"),
    ],
)
def test_thresholds_are_strict_and_one_s_own(make_log, thresholds, failing):
    proof = verify_transfer_success(make_log(), thresholds)
    assert [name for name, yes in proof.verifiers.items() if not yes] == [failing]
    assert proof.thresholds == thresholds
    assert proof.proof_hash == verify_transfer_success(make_log()).proof_hash


def test_the_hash_changes_with_any_event(make_log):
    log = make_log()
    hashes = {verify_transfer_success(log).proof_hash, verify_transfer_success(replace(log, policy="q")).proof_hash}
    for name in (
        "episode",
        "step",
        "before",
        "after",
        "kl_gap",
        "observation_error",
        "dynamics_error",
        "latency_delta",
    ):
        for row in range(4):
            values = getattr(log, name).copy()
            values[row] = values[row] + 3 if values.dtype.kind == "i" else np.nextafter(values[row], 9)
            hashes.add(verify_transfer_success(replace(log, **{name: values})).proof_hash)
    events = list(log)
    hashes |= {verify_transfer_success(part).proof_hash for part in (events[1:], events[:-1], events[::-1])}
    assert len(hashes) == 2 + 8 * 4 + 3
    assert verify_transfer_success(events).proof_hash == verify_transfer_success(make_log()).proof_hash


def test_the_hash_can_be_recomputed_by_anyone(make_log):
    events = [event.to_dict() for event in make_log()]
    text = json.dumps(events, sort_keys=True, separators=(",", ":"))
    assert verify_transfer_success(make_log()).proof_hash == hashlib.sha256(text.encode()).hexdigest()


def test_no_events_prove_nothing(make_log, refused):
    for nothing in ([], make_log(())):
        with refused(EvidenceError, "there are no events to verify"):
            verify_transfer_success(nothing)


@pytest.mark.parametrize("name", ["before", "after", "kl_gap", "dynamics_error"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_json_cannot_hash_is_refused(make_log, refused, name, value):
    values = np.array(getattr(make_log(), name))
    values[2] = value
    with refused(EvidenceError, "event 'transfer_p_0_2' holds NaN or infinity"):
        verify_transfer_success(make_log(**{name: values}))
