"""Logs with holes: rewards, episode numbers or rows that are missing."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from arm import lerobot, write_csv

from sim2real_cat.errors import ExchangeError, WorldError
from sim2real_cat.recordings.logs.mapping import LogMapping
from sim2real_cat.recordings.logs.reader import read_log
from sim2real_cat.recordings.logs.tables import columns_of

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


def in_parquet(folder, **arrays):
    pq.write_table(pa.table({"t": T, "a": T, "u": T} | arrays), folder / "r.parquet")
    return folder / "r.parquet"


@pytest.mark.parametrize(
    ("episodes", "row", "got"),
    [
        (pa.array([0] * 5 + [None] * 2 + [1] * 3), 5, "nan"),
        (pa.array(["a"] * 5 + [None] * 2 + ["b"] * 3), 5, "None"),
        (pa.array([0] * 5 + [None] * 5, pa.timestamp("ns")), 5, "NaT"),
        (pa.array([0.0] * 8 + [0.5] * 2), 8, "0.5"),
        (pa.array([float("inf")] * 10), 0, "inf"),
    ],
)
def test_a_row_without_an_episode(tmp_path, episodes, row, got):
    path = in_parquet(tmp_path, e=episodes)
    message = refused(WorldError, path, episode_column="e")
    assert message == (
        f"{path}, row {row}: 'e' names no episode, got {got}; give every row a whole number or a text, or cut it out"
    )


def test_a_row_without_an_episode_in_a_csv(tmp_path):
    path = write_csv(tmp_path / "r.csv", {"t": T, "a": T, "u": T, "e": np.where(np.arange(10) == 6, np.nan, 1.0)})
    assert "r.csv, line 8: 'e' names no episode" in refused(WorldError, path, episode_column="e")


def test_whole_episode_numbers_may_be_stored_as_floats(tmp_path):
    path = saved(tmp_path, e=np.repeat([3.0, -1.0], 5))
    assert read(path, episode_column="e").lengths.tolist() == [4, 4]


def test_an_episode_column_of_vectors(tmp_path):
    number = np.repeat([3, 1], 5)
    path = saved(tmp_path, e=np.stack([number, np.arange(10)], axis=1))
    message = refused(WorldError, path, episode_column="e")
    assert message == f"{path}: 'e' has 2 numbers a row, an episode needs one; write e[0]"
    assert read(path, episode_column="e[0]").lengths.tolist() == [4, 4]
    assert read(saved(tmp_path, e=number[:, None]), episode_column="e").lengths.tolist() == [4, 4]


def test_a_parquet_file_of_episodes_without_rows(tmp_path):
    path = in_parquet(tmp_path, e=np.zeros(10, dtype=np.int64))
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    message = refused(WorldError, path, episode_column="e")
    assert message == f"{path}: no episode in it; it has no row, or none within longest_gap of another, check both"
    assert f"{path} and 1 more: no episode" in refused(WorldError, [path, path], episode_column="e")
    assert "no row; an episode needs two rows or more" in refused(WorldError, path)


def test_gaps_between_all_rows(tmp_path):
    path = saved(tmp_path)
    message = refused(WorldError, path, time={"column": "t", "at_gaps": "split", "longest_gap": 0.01})
    assert message == f"{path}: no episode in it; it has no row, or none within longest_gap of another, check both"


def test_a_lerobot_folder_without_rows(tmp_path, world, done):
    root, table = lerobot(tmp_path, done, frames_said=0)
    for file in root.glob("data/*/*.parquet"):
        pq.write_table(pq.read_table(file).slice(0, 0), file)
    with pytest.raises(WorldError, match="lerobot: no episode in it; it has no row"):
        read_log(root, LogMapping.from_table(table, world))


@pytest.mark.parametrize("feature", [5, None, ["hinge.pos"]])
def test_a_lerobot_feature_that_is_none(tmp_path, world, done, feature):
    root, table = lerobot(tmp_path, done)
    path = root / "meta/info.json"
    info = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(info | {"features": {"observation.state": feature}}), encoding="utf-8")
    with pytest.raises(ExchangeError) as caught:
        read_log(root, LogMapping.from_table(table, world))
    assert str(caught.value) == f"{path}: not the description of a LeRobot data set (features, total_frames and fps)"


@pytest.mark.parametrize("values", [[], [None, None]])
@pytest.mark.parametrize(
    ("kind", "width"),
    [
        (pa.list_(pa.float64(), 3), 3),
        (pa.list_(pa.list_(pa.float64(), 3), 2), 6),
        (pa.list_(pa.float64()), 0),
        (pa.large_list(pa.int64()), 0),
    ],
)
def test_lists_without_rows(values, kind, width):
    found = columns_of(pa.table({"x": pa.array(values, kind)}))["x"]
    assert found.shape == (len(values), width)
    assert np.isnan(found).all()
