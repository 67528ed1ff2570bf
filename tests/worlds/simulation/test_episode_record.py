"""Records grow block by block, give back what was not needed, and are joined without a trace of their blocks."""

from __future__ import annotations

import numpy as np
import pytest
from rig import equal

from sim2real_cat.worlds.simulation import episode_record
from sim2real_cat.worlds.simulation.episode_record import EpisodeRecord, join_records
from sim2real_cat.worlds.tasks.task import State

STEPS, ROBOT = 20, (("x", "y"), ("a",), 0.1)


def played(lengths, seed, room=None):
    """A record of episodes of the given lengths, out of random numbers."""
    n, rng = len(lengths), np.random.default_rng(seed)
    room = np.full((n, STEPS + 1, 2), 7.0) if room is None else room
    state = lambda rows: State(rng.standard_normal((len(rows), 3)), rng.standard_normal((len(rows), 2)))  # noqa: E731
    everyone = np.arange(n)
    record = EpisodeRecord(room, 1, state(everyone), rng.standard_normal((n, 2)))
    for step in range(max(lengths)):
        rows = np.flatnonzero(np.asarray(lengths) > step)
        action, reward, readings = rng.standard_normal((len(rows), 1)), rng.standard_normal(len(rows)), len(rows)
        record.step(rows, step, action, reward, state(rows), rng.standard_normal((readings, 2)))
    return record


def together(records):
    return join_records(records, np.zeros(sum(map(len, records)), dtype=np.int64), "it", *ROBOT)


@pytest.mark.parametrize("block", [1, 5, 20, 21, 64])
def test_the_length_of_a_block_does_not_show(monkeypatch, block):
    expected = together([played([20, 3, 0], 0), played([7], 1)])
    monkeypatch.setattr(episode_record, "_BLOCK", block)
    assert equal(together([played([20, 3, 0], 0), played([7], 1)]), expected)


def test_what_was_recorded_stands_where_it_belongs():
    record = played([20, 3, 0], 0)
    before = record.state(slice(None), 3).qpos[:2].copy()
    done = together([record])
    np.testing.assert_array_equal(done.qpos[:2, 3], before)
    assert done.lengths.tolist() == [20, 3, 0]
    for name, more in (("observations", 1), ("actions", 0), ("rewards", 0), ("qpos", 1), ("qvel", 1)):
        values = getattr(done, name).reshape(3, 20 + more, -1)
        for episode, length in enumerate(done.lengths + more):
            assert np.isfinite(values[episode, :length]).all()
            assert np.isnan(values[episode, length:]).all()


def test_room_that_was_not_needed_is_given_back():
    record = played([4, 2], 0).finish()
    assert record.observations.shape == (2, 5, 2)
    assert record.observations.base is None


@pytest.mark.parametrize(("lengths", "kept"), [(([20, 3], [20]), True), (([20, 3], [4]), False), (([9], [4]), False)])
def test_observations_stay_in_a_shared_room_that_is_used_up(lengths, kept):
    room = np.empty((sum(map(len, lengths)), STEPS + 1, 2))
    rooms = np.split(room, [len(lengths[0])])
    records = [played(each, seed, part).finish() for seed, (each, part) in enumerate(zip(lengths, rooms, strict=True))]
    done = together(records)
    assert (done.observations is room) == kept
    assert equal(done, together([played(each, seed).finish() for seed, each in enumerate(lengths)]))
