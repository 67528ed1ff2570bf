"""One contract for every format: what a simulated robot recorded is read back, and replays to the same."""

from __future__ import annotations

import numpy as np
import pytest
from arm import FORMATS, PERIOD

from sim2real_cat.recordings.logs.mapping import LogMapping
from sim2real_cat.recordings.logs.reader import read_log
from sim2real_cat.recordings.parquet import write_log
from sim2real_cat.worlds.simulation.prediction import predict_steps
from sim2real_cat.worlds.simulation.replay import replay


@pytest.fixture(params=FORMATS)
def log(request, tmp_path, world, done):
    path, table = FORMATS[request.param](tmp_path, done)
    return read_log(path, LogMapping.from_table(table, world))


def test_what_was_recorded_is_read(log, done):
    for name in ("qpos", "qvel", "actions", "observations", "lengths"):
        np.testing.assert_array_equal(getattr(log, name), getattr(done, name), err_msg=name)
    assert log.control_period == pytest.approx(PERIOD, rel=1e-12)
    assert (log.sensors, log.actuators) == (done.sensors, done.actuators)
    assert not log.diverged.any()
    assert log.notes[0].startswith("read from ")
    assert all("period 20 ms" in note for note in log.notes if "rows" in note)


def test_replaying_it_gives_it_back(log, world):
    """Noiseless and in the world that it was recorded in, so to 1e-9."""
    played = replay(world, log)
    np.testing.assert_allclose(played.qpos, log.qpos, rtol=0, atol=1e-9)
    np.testing.assert_allclose(played.observations, log.observations, rtol=0, atol=1e-9)


def test_every_step_of_it_is_predicted(log, world):
    predicted = predict_steps(world, log)
    state = np.concatenate([log.qpos, log.qvel], axis=2)
    np.testing.assert_allclose(predicted.state, state[predicted.episode, predicted.step + 1], rtol=0, atol=1e-9)
    observed = log.observations[predicted.episode, predicted.step + 1]
    np.testing.assert_allclose(predicted.observation, observed, rtol=0, atol=1e-9)


def test_it_is_kept_with_its_notes(log, tmp_path):
    write_log(tmp_path / "kept.parquet", log)
    kept = read_log(tmp_path / "kept.parquet")
    assert kept.notes == log.notes
    np.testing.assert_array_equal(kept.observations, log.observations)
