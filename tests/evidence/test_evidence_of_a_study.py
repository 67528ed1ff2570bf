"""The events of a study that was run: they average to the gap and agree with the recordings."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from sim2real_cat.evidence.proof import verify_transfer_success


def test_events_average_to_the_gap_before_its_correction_for_having_been_fitted(tiny_run):
    _, result = tiny_run
    assert [log.policy for log in result.events] == ["plain", "wide"]
    acset = result.instance.acset
    names = acset.column("policy_name").tolist()
    for log, gap in zip(result.events, result.gaps, strict=True):
        stored = acset.subpart("gap_uncorrected", names.index(log.policy))
        assert log.kl_gap.mean() == pytest.approx(stored, rel=1e-9, abs=1e-12)
        assert len(log) == gap.transition.n_real
    plain, wide = result.gaps
    assert plain.transition.raw == pytest.approx(result.events[0].kl_gap.mean(), rel=1e-9)
    assert wide.transition.raw != pytest.approx(result.events[1].kl_gap.mean(), rel=1e-3)


def test_events_are_the_transitions_of_reality(tiny_run):
    _, result = tiny_run
    for log, deployment in zip(result.events, result.deployments, strict=True):
        real = deployment.real
        assert len(log) == int(real.lengths[real.kept].sum())
        np.testing.assert_array_equal(log.after, real.observations[log.episode, log.step + 1])
        np.testing.assert_allclose(log.observation_error, np.linalg.norm(log.after - log.before, axis=1))
        assert (log.dynamics_error > 0).all()
        assert set(log.latency_delta) == {20.0}


def test_the_file_and_the_proofs_hold_the_same_events(tiny_run):
    folder, result = tiny_run
    table = pq.read_table(folder / "events.parquet")
    assert table["kl_gap"].to_pylist() == [float(gap) for log in result.events for gap in log.kl_gap]
    proofs = json.loads((folder / "proof.json").read_text())
    assert proofs == {log.policy: verify_transfer_success(log).to_dict() for log in result.events}
