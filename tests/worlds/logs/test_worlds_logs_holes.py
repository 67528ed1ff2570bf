"""Logs with holes: rewards, episode numbers or rows that are missing."""

from __future__ import annotations

import numpy as np
import pytest

from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.logs.mapping import LogMapping
from sim2real_cat.worlds.recordings import read_log

T = np.arange(10) * 0.02
PLAIN = {"observation": {"p": "a"}, "action": {"m": "u"}, "time": {"column": "t"}}


def read(path, **more):
    return read_log(path, LogMapping.from_table(PLAIN | more))


def saved(folder, **arrays):
    np.savez(folder / "r.npz", **({"t": T, "a": T, "u": T} | arrays))
    return folder / "r.npz"


def refused(error, path, **more):
    """The message, which has to be one line."""
    with pytest.raises(error) as caught:
        read(path, **more)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("holes", [[4], [3, 6], [0], [4, 5, 6, 7], list(range(8)), list(range(9)), list(range(10))])
def test_rewards_stay_in_their_rows_beside_holes(tmp_path, holes):
    reward = T.copy()
    reward[holes] = np.nan
    log = read(saved(tmp_path, r=reward), reward="r", missing="drop")
    assert log.lengths.tolist() == [9]
    np.testing.assert_array_equal(log.rewards[0], reward[:9])


def test_rewards_stay_in_their_rows_where_the_states_have_holes_too(tmp_path):
    holed = T.copy()
    holed[4] = np.nan
    path = saved(tmp_path, a=holed, u=holed, r=holed)
    log = read(path, reward="r", missing="drop", resampling="none")
    np.testing.assert_array_equal(log.rewards[0], np.delete(T, 4)[:8])
    path = saved(tmp_path, a=holed, u=holed, r=T)
    message = refused(WorldError, path, reward="r", missing="drop", resampling="none")
    assert message == f"{path}: rewards belong to their rows and cannot be resampled; leave reward out"


@pytest.mark.parametrize("missing", ["refuse", "drop"])
@pytest.mark.parametrize("times", [np.arange(20) * 0.01, np.arange(10) * 0.02 + 0.001, np.arange(20) * 0.02])
def test_rewards_of_another_clock_are_not_resampled(tmp_path, missing, times):
    path = saved(tmp_path, r=times, tr=times)
    message = refused(WorldError, path, reward={"column": "r", "time": "tr"}, missing=missing)
    assert message == f"{path}: rewards belong to their rows and cannot be resampled; leave reward out"


def test_rewards_of_some_steps_only_are_missing_elsewhere(tmp_path):
    path = saved(tmp_path, r=T[::2], tr=T[::2])
    channel = {"column": "r", "time": "tr"}
    assert "rewards belong to their rows" in refused(WorldError, path, reward=channel)
    expected = np.where(np.arange(9) % 2, np.nan, T[:9])
    np.testing.assert_array_equal(read(path, reward=channel, missing="drop").rewards[0], expected)


@pytest.mark.parametrize("rows", [9, 10])
def test_rewards_of_another_clock_at_the_steps_are_read(tmp_path, rows):
    path = saved(tmp_path, r=T[:rows], tr=T[:rows])
    np.testing.assert_array_equal(read(path, reward={"column": "r", "time": "tr"}).rewards[0], T[:9])


@pytest.mark.parametrize(("unit", "turn"), [("rad", 2 * np.pi), ("deg", 360.0)])
@pytest.mark.parametrize(("scale", "sign"), [(0.1, 1), (0.1, -1), (7.0, 1)])
def test_a_geared_angle_is_unwrapped_before_the_gear(tmp_path, unit, turn, scale, sign):
    angle = np.arange(10) * 0.11 * turn  # of the motor
    path = saved(tmp_path, a=(angle + turn / 2) % turn - turn / 2)
    hinge = {"column": "a", "unit": unit, "scale": scale, "sign": sign, "unwrap": True}
    log = read(path, observation={"p": hinge})
    np.testing.assert_allclose(log.observations[0, :, 0], sign * scale * angle * 2 * np.pi / turn, atol=1e-12)
