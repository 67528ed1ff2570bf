from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig import equal, made

from sim2real_cat.errors import WorldError
from sim2real_cat.recordings.trajectories import segments


@given(
    lengths=st.lists(st.integers(0, 12), min_size=1, max_size=4),
    steps=st.integers(1, 5),
    every=st.integers(1, 6),
)
def test_a_piece_is_a_piece_of_its_episode(lengths, steps, every):
    whole = made(lengths)
    expected = [(i, first) for i, length in enumerate(lengths) for first in range(0, length, every)]
    expected = [(i, first) for i, first in expected if first + steps <= lengths[i]]
    if not expected:
        with pytest.raises(WorldError, match=f"no episode has {steps} control steps, the longest has {max(lengths)}"):
            segments(whole, steps, every)
        return
    pieces = segments(whole, steps, every)
    assert len(pieces) == len(expected)
    assert pieces.lengths.tolist() == [steps] * len(expected)
    for row, (i, first) in enumerate(expected):
        for name in ("observations", "qpos", "qvel", "actions", "rewards"):
            last = first + steps + (name in ("observations", "qpos", "qvel"))
            np.testing.assert_array_equal(getattr(pieces, name)[row], getattr(whole, name)[i, first:last])
        assert pieces.terminated[row] == (first + steps == lengths[i])


def test_a_whole_episode_is_one_piece():
    whole = made([7], policies=["walker"], members=[3])
    assert equal(segments(whole, 7), whole)


def test_diverged_episodes_are_left_out():
    pieces = segments(made([4, 4], diverged=[True, False], members=[0, 1]), 2)
    assert pieces.member_index.tolist() == [1, 1]
    assert not pieces.diverged.any()


@pytest.mark.parametrize(("steps", "every"), [(0, 1), (1, 0)])
def test_pieces_have_steps(steps, every):
    with pytest.raises(WorldError, match=f"pieces need steps >= 1 and every >= 1, got {steps} and {every}"):
        segments(made([4]), steps, every)


def test_reasons_go_along():
    whole = replace(made([4, 6]), reasons=("", "it fell"))
    pieces = segments(whole, 2)
    assert pieces.reasons == ("", "", "it fell", "it fell", "it fell")
