from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rig import Scripted, equal, members, rig_world

from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.open_loop import AsRecorded, open_loop
from sim2real_cat.worlds.rollout import rollout
from sim2real_cat.worlds.segments import segments
from sim2real_cat.worlds.trajectories import concatenate


@pytest.fixture
def world(tmp_path):
    return rig_world(tmp_path, start_noise=0.3)


@pytest.fixture
def recording(world):
    actions = np.random.default_rng(0).uniform(-1, 1, (3, 20, 2))
    return rollout(world, Scripted(actions), rng=1, episodes=3)


def test_a_recording_of_the_world_itself_is_played_again(world, recording):
    again = open_loop(world, recording, rng=5)
    assert equal(again, replace(recording, policies=again.policies, notes=again.notes))


def test_pieces_of_a_recording_are_played_from_their_own_start(world, recording):
    pieces = segments(recording, 7)
    np.testing.assert_allclose(open_loop(world, pieces, rng=5).qpos, pieces.qpos, rtol=0, atol=1e-12)


def test_every_member_plays_every_episode(world, recording):
    heavier = members("body_mass[cart]", "scale", [1.0, 1.5])
    played = open_loop(world, recording, rng=5, members=heavier)
    assert played.member_index.tolist() == [0, 0, 0, 1, 1, 1]
    np.testing.assert_array_equal(played.qpos[:3], recording.qpos)
    gained = np.diff(played.qvel[:, :2, 1], axis=1)[:, 0]
    np.testing.assert_allclose(gained[3:], gained[:3] / 1.5, rtol=1e-9)


def test_episodes_of_different_length(world, recording):
    short = replace(recording.select(np.array([1])), lengths=np.array([5]))
    played = open_loop(
        world, concatenate([short, recording]), rng=5, members=members("opt.gravity[2]", "scale", [1, 2])
    )
    assert played.lengths.tolist() == [5, 20, 20, 20] * 2
    for name, frames in (("qpos", 6), ("qvel", 6), ("observations", 6), ("actions", 5), ("rewards", 5)):
        values = getattr(played, name)
        np.testing.assert_array_equal(values[0, :frames], values[2, :frames])
        assert np.isnan(values[0, frames:]).all()


def test_what_blows_up_after_the_end_did_not_blow_up(world, recording):
    wild = recording.actions.copy()
    wild[:, 4] = 1e200
    ends = np.array([5, 4, 20])
    played = open_loop(world, replace(recording, actions=wild, lengths=ends), rng=5)
    assert played.lengths.tolist() == [4, 4, 4]
    assert played.diverged.tolist() == [True, False, True]


def test_the_sensors_are_noisy_and_the_noise_hangs_on_the_seed(tmp_path, recording):
    noisy = rig_world(tmp_path, noise=0.1)
    first, second = (open_loop(noisy, recording, rng=5, threads=threads) for threads in (1, 2))
    assert equal(first, second)
    error = first.observations - first.qpos
    assert np.std(error) == pytest.approx(0.1, rel=0.1)
    assert not np.array_equal(first.observations, open_loop(noisy, recording, rng=6).observations)


def test_an_episode_goes_on_where_the_task_would_end_it(tmp_path, recording):
    world = rig_world(tmp_path, healthy={"qpos[rail]": (-1e-9, 1e-9)})
    played = open_loop(world, recording, rng=5)
    assert played.lengths.tolist() == [20] * 3


def test_diverged_episodes_are_left_out(world, recording):
    marked = replace(recording, diverged=np.array([False, True, False]))
    assert equal(open_loop(world, marked, rng=5), open_loop(world, recording.select(np.array([0, 2])), rng=5))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: replace(r, diverged=np.ones(3, dtype=bool)), "holds no episode with a control step"),
        (lambda r: replace(r, lengths=np.array([20, 0, 20])), "episode 1 of the recording has no control step"),
        (lambda r: replace(r, qpos=r.qpos[:, :, :0]), "has 4 positions, 4 velocities, 2 actuators and 4 sensors; the"),
        (lambda r: replace(r, sensors=("a", "b", "c", "d")), "4 sensors; the recording has 4, 4, 2 and 4"),
        (lambda r: replace(r, control_period=0.02), r"control period of 0.01 s, the recording of 0.02 s"),
        (lambda r: replace(r, qvel=np.full_like(r.qvel, np.nan)), "episode 0 of the recording has no state to start"),
    ],
)
def test_a_recording_that_cannot_be_played_is_refused(world, recording, change, said):
    with pytest.raises(WorldError, match=said):
        open_loop(world, change(recording), rng=5)


def test_the_digest_is_that_of_the_actions(recording):
    whole = AsRecorded.of(recording)
    again = AsRecorded.of(replace(recording, actions=recording.actions.copy(), observations=recording.observations * 2))
    assert whole.digest == again.digest
    shorter = AsRecorded.of(replace(recording, lengths=np.array([20, 19, 20])))
    one = AsRecorded.of(recording.select(np.array([0])))
    assert len({whole.digest, shorter.digest, one.digest}) == 3
