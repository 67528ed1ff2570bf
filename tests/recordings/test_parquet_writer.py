"""The file depends on the episodes alone, appears whole or not at all, and refuses another robot."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rig import made

from sim2real_cat.errors import ExchangeError, WorldError
from sim2real_cat.recordings import parquet
from sim2real_cat.recordings.logs.reader import read_log
from sim2real_cat.recordings.parquet import TrajectoryWriter, write_log
from sim2real_cat.recordings.trajectories import concatenate

FEW = 16
"""Frames that fill a row group in these tests."""


@pytest.fixture(autouse=True)
def small_groups(monkeypatch):
    monkeypatch.setattr(parquet, "_FRAMES", FEW)


def written(path, *parts):
    with TrajectoryWriter(path) as log:
        for part in parts:
            log.append(part)
    return log


@given(st.lists(st.integers(0, 20), min_size=1, max_size=12), st.lists(st.integers(0, 12), max_size=4))
@settings(max_examples=60, deadline=None)
def test_same_bytes_however_the_episodes_come(tmp_path_factory, lengths, cuts):
    folder = tmp_path_factory.mktemp("logs")
    whole = made(lengths, policies=[f"policy {i % 2}" for i in range(len(lengths))], members=range(len(lengths)))
    edges = [0, *sorted(min(cut, len(lengths)) for cut in cuts), len(lengths)]
    log = written(folder / "parts.parquet", *(whole.select(np.arange(*edge)) for edge in pairwise(edges)))
    assert log.digest == write_log(folder / "whole.parquet", whole)
    assert log.digest == hashlib.sha256((folder / "parts.parquet").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("lengths", "groups"),
    [([], []), ([3], [4]), ([15, 15, 2], [16, 16, 3]), ([3] * 9, [16, 16, 4]), ([40, 1, 40], [41, 43])],
)
def test_a_row_group_ends_with_the_episode_that_fills_it(tmp_path, lengths, groups):
    write_log(tmp_path / "log.parquet", made(lengths))
    metadata = pq.read_metadata(tmp_path / "log.parquet")
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == groups


def test_a_failure_on_the_way_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "log.parquet"
    write_log(path, made([2]))
    before = path.read_bytes()
    with pytest.raises(WorldError):
        written(path, made([40, 3]), made([2], d=1))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_log_of_nothing_is_refused(tmp_path):
    with pytest.raises(ExchangeError, match="nothing was recorded"), TrajectoryWriter(tmp_path / "log.parquet"):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (made([2], d=1), r"sensors \('x', 'y'\) and \('x',\) differ"),
        (made([2], nu=2), r"actuators \('a',\) and \('a', 'b'\) differ"),
        (replace(made([2]), control_period=0.2), r"control_period 0.1 and 0.2 differ"),
        (made([2], nq=4), "qpos of 3 and of 4 columns differ"),
        (made([2], nv=0), "qvel of 3 and of 0 columns differ"),
    ],
)
def test_one_log_holds_one_robot(tmp_path, other, message):
    with pytest.raises(WorldError, match=message):
        written(tmp_path / "log.parquet", made([2]), other)
    assert not list(tmp_path.iterdir())


def test_parts_of_different_length_are_padded_when_they_are_read(tmp_path):
    parts = [made([1, 3]), made([9]), made([0])]
    written(tmp_path / "log.parquet", *parts)
    joined, read = concatenate(parts), read_log(tmp_path / "log.parquet")
    np.testing.assert_array_equal(read.observations, joined.observations)
    assert read.lengths.tolist() == [1, 3, 9, 0]


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    path = tmp_path / "file" / "log.parquet"
    with pytest.raises(ExchangeError, match=r"log.parquet: cannot be written \(.*\); choose another place"):
        write_log(path, made([2]))
    assert (tmp_path / "file").read_text() == "in the way"
