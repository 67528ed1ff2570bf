"""Random recordings are recordings."""

from __future__ import annotations

import numpy as np
from hypothesis import Phase, find, given, settings

from sim2real_cat import strategies
from sim2real_cat.recordings.logs.reader import read_log
from sim2real_cat.recordings.parquet import write_log
from sim2real_cat.recordings.trajectories import concatenate

FEW = settings(max_examples=25)

SEARCH = settings(derandomize=True, deadline=None, database=None, max_examples=1000, phases=[Phase.generate])

ARRAYS = ("observations", "actions", "rewards", "qpos", "qvel", "lengths", "terminated", "diverged", "member_index")


@given(strategies.trajectories(members=3))
def test_trajectories_are_padded_as_a_rollout_pads_them(played):
    n, longest = len(played), int(played.lengths.max())
    assert played.observations.shape == (n, longest + 1, 2)
    assert played.actions.shape == (n, longest, 1)
    for name in ("observations", "qpos", "qvel"):
        ends = np.arange(longest + 1) > played.lengths[:, None]
        assert np.array_equal(np.isnan(getattr(played, name)).all(axis=2), ends)
        assert np.array_equal(np.isnan(getattr(played, name)).any(axis=2), ends)
    assert np.array_equal(np.isnan(played.rewards), np.arange(longest) >= played.lengths[:, None])
    assert not (played.diverged & played.terminated).any()
    assert set(played.member_index.tolist()) <= {0, 1, 2}
    assert set(played.policies) <= {"ours", "theirs"}


@FEW
@given(played=strategies.trajectories(coordinates=(3, 2)))
def test_trajectories_survive_a_log(played, tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "log.parquet"
    write_log(path, played)
    again = read_log(path)
    assert all(np.array_equal(getattr(played, name), getattr(again, name), equal_nan=True) for name in ARRAYS[:5])
    assert all(np.array_equal(getattr(played, name), getattr(again, name)) for name in ARRAYS[5:])
    assert again.policies == played.policies


@given(strategies.trajectory_pairs(policies=["ours"], diverging=False))
def test_a_pair_is_of_one_robot(pair):
    real, sim = pair
    both = concatenate([real, sim])
    assert len(both) == len(real) + len(sim)
    assert real.member_index.max() == 0
    assert both.kept.all()


def test_ragged_and_diverged_episodes_occur():
    find(strategies.trajectories(), lambda t: len(set(t.lengths.tolist())) > 2, settings=SEARCH)
    find(strategies.trajectories(), lambda t: t.diverged.any() and t.terminated.any(), settings=SEARCH)
    find(strategies.trajectories(), lambda t: len(set(t.policies)) > 1, settings=SEARCH)
    find(strategies.trajectory_pairs(), lambda pair: pair[1].member_index.max() == 2, settings=SEARCH)
