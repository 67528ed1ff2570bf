from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rig import Constant, equal, made

from sim2real_cat.errors import WorldError
from sim2real_cat.recordings.trajectories import concatenate
from sim2real_cat.worlds.simulation.rollout import rollout


@pytest.fixture
def mixed():
    """Episodes of 3, 0, 5 and 5 steps by two policies in three members; the second diverged."""
    return made([3, 0, 5, 5], diverged=[False, True, False, False], members=[0, 0, 1, 2], policies="abab")


def test_episodes_and_their_members_leave_out_the_diverged(mixed):
    assert len(mixed) == 4
    assert [episode.shape for episode in mixed.episodes] == [(4, 2), (6, 2), (6, 2)]
    assert mixed.member_index[mixed.kept].tolist() == [0, 1, 2]
    assert mixed.kept.tolist() == [True, False, True, True]
    assert all(np.isfinite(episode).all() for episode in mixed.episodes)


def test_returns_sum_what_there_is(mixed):
    np.testing.assert_allclose(mixed.returns, [np.nansum(rewards) for rewards in mixed.rewards])
    assert mixed.returns[1] == 0.0


def test_within_marks_the_frames_of_each_episode(mixed):
    assert mixed.within().shape == mixed.observations.shape[:2]
    assert mixed.within().sum(axis=1).tolist() == [4, 1, 6, 6]
    np.testing.assert_array_equal(mixed.within(), np.isfinite(mixed.observations).all(axis=2))


def test_transitions_run_through_the_episodes_in_order(mixed):
    episode, step = mixed.transitions()
    assert list(zip(episode, step, strict=True)) == [(i, t) for i in (0, 2, 3) for t in range(mixed.lengths[i])]
    assert np.isfinite(mixed.actions[episode, step]).all()
    assert len(mixed.select(np.array([1])).transitions()[0]) == 0


@pytest.mark.parametrize("rows", [np.array([2, 0]), np.array([True, False, True, False]), np.array([], dtype=np.intp)])
def test_select(mixed, rows):
    chosen = mixed.select(rows)
    index = np.arange(4)[rows]
    assert len(chosen) == len(index)
    for name in ("observations", "actions", "rewards", "qpos", "qvel", "lengths", "terminated", "diverged"):
        np.testing.assert_array_equal(getattr(chosen, name), getattr(mixed, name)[index])
    assert chosen.policies == tuple(mixed.policies[i] for i in index)
    assert chosen.member_index.tolist() == mixed.member_index[index].tolist()


def test_of_policy(mixed):
    assert equal(mixed.of_policy("b"), mixed.select(np.array([1, 3])))
    assert len(mixed.of_policy("nobody")) == 0


def test_notes_go_along_and_are_told_once(mixed):
    one, other = (replace(mixed, notes=notes) for notes in (("a", "b"), ("b", "c")))
    assert one.select(np.array([1])).notes == ("a", "b")
    assert concatenate([one, other, mixed]).notes == ("a", "b", "c")


def test_concatenate_pads_to_the_longest(mixed):
    longer = made([7], policies="c", seed=1)
    joined = concatenate([mixed, longer])
    assert joined.observations.shape == (5, 8, 2)
    assert joined.actions.shape == (5, 7, 1)
    assert joined.policies == ("a", "b", "a", "b", "c")
    assert joined.lengths.tolist() == [3, 0, 5, 5, 7]
    assert np.isnan(joined.observations[:4, 6:]).all()
    assert np.isnan(joined.rewards[:4, 5:]).all()
    for i, episode in enumerate(mixed.episodes):
        np.testing.assert_array_equal(joined.episodes[i], episode)
    np.testing.assert_array_equal(joined.episodes[3], longer.episodes[0])


def test_concatenate_of_one_is_that_one(mixed):
    assert equal(concatenate([mixed]), mixed)


def test_concatenate_undoes_select(mixed):
    halves = [mixed.select(np.array([0, 1])), mixed.select(np.array([2, 3]))]
    assert equal(concatenate(halves), mixed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sensors": ("x", "z")}, r"sensors \('x', 'y'\) and \('x', 'z'\)"),
        ({"actuators": ("other",)}, "actuators"),
        ({"control_period": 0.5}, "control_period 0.1 and 0.5"),
        ({"qpos": np.zeros((4, 6, 0))}, "qpos of 3 and of 0 columns differ"),
    ],
)
def test_other_robots_do_not_join(mixed, change, message):
    with pytest.raises(WorldError, match=f"trajectories of different robots cannot be joined: {message}"):
        concatenate([mixed, replace(mixed, **change)])


def test_nothing_to_join():
    with pytest.raises(WorldError, match="no trajectories to join"):
        concatenate([])


def test_a_rollout_is_one(rig):
    done = rollout(rig, Constant(np.zeros(2)), rng=0, episodes=2, name="still")
    assert equal(done.of_policy("still"), done)
