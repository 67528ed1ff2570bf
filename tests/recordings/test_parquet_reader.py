"""Some episodes of a log, a part at a time, and logs of the version before."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rig import equal, made

from sim2real_cat.errors import ExchangeError
from sim2real_cat.recordings import parquet
from sim2real_cat.recordings.logs.reader import read_log
from sim2real_cat.recordings.parquet import iterate_log, write_log
from sim2real_cat.recordings.trajectories import concatenate

LENGTHS = [3, 0, 7, 12, 1, 1, 30, 2, 5, 9, 0, 4]
WHOLE = made(
    LENGTHS,
    members=range(12),
    policies=[f"policy {i % 3}" for i in range(12)],
    diverged=[i in (1, 4) for i in range(12)],
)


@pytest.fixture(scope="module", params=["now", "version 1"])
def log(request, tmp_path_factory):
    """The twelve episodes in several row groups; those of version 1 do not end with an episode."""
    path = tmp_path_factory.mktemp("log") / "log.parquet"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "_FRAMES", 8)
        write_log(path, WHOLE)
    if request.param == "version 1":
        table = pq.read_table(path)
        head = json.loads(table.schema.metadata[b"sim2real_cat"]) | {
            "version": 1,
            "policies": WHOLE.policies,
            "diverged": WHOLE.diverged.tolist(),
        }
        table = table.drop_columns(["policy", "diverged"])
        table = table.replace_schema_metadata({b"sim2real_cat": json.dumps(head).encode()})
        pq.write_table(table, path, row_group_size=10)
    assert pq.read_metadata(path).num_row_groups > 4
    return path


def some(first, end):
    """Episodes of the whole, padded to the longest of them only."""
    chosen = WHOLE.select(np.arange(first, end))
    longest = int(chosen.lengths.max(initial=0))
    cut = {name: getattr(chosen, name)[:, : longest + 1] for name in ("observations", "qpos", "qvel")}
    return replace(chosen, **cut, actions=chosen.actions[:, :longest], rewards=chosen.rewards[:, :longest])


@given(st.slices(12).filter(lambda chosen: chosen.step in (None, 1)))
@settings(max_examples=80, deadline=None)
def test_a_slice_is_what_a_list_would_give(log, chosen):
    first, end, _ = chosen.indices(12)
    assert equal(read_log(log, episodes=chosen), some(first, max(first, end)))


def test_all_of_it(log):
    assert equal(read_log(log), WHOLE)


@pytest.mark.parametrize("chosen", [None, slice(3, 9), slice(5, 6), slice(4, 4), slice(-2, None)])
def test_parts_follow_each_other_and_are_the_whole(log, chosen):
    parts = list(iterate_log(log, chosen))
    expected = read_log(log, episodes=chosen)
    assert sum(len(part) for part in parts) == len(expected)
    assert all(len(part) for part in parts)
    if chosen is None:
        assert len(parts) > 3
    if parts:
        assert equal(concatenate(parts), expected)


def test_only_the_row_groups_that_are_needed_are_decoded(log, monkeypatch):
    decoded = []
    original = pq.ParquetFile.read_row_groups

    def counted(self, groups, **settings):
        decoded.append(len(groups))
        return original(self, groups, **settings)

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", counted)
    read_log(log, episodes=slice(0, 1))
    list(iterate_log(log))
    assert decoded[0] == 1
    assert max(decoded) <= 5
    assert len(decoded) > 4


def test_a_stride_is_refused(log):
    with pytest.raises(ExchangeError, match="without a stride, got 2"):
        read_log(log, episodes=slice(0, 8, 2))


@pytest.mark.parametrize("chosen", [1, [1, 2], range(3), slice("a", None), slice(0, 8, 0)])
@pytest.mark.parametrize("reader", [lambda path, chosen: read_log(path, episodes=chosen), iterate_log])
def test_episodes_that_are_no_slice_are_refused_before_the_file_is_opened(reader, chosen):
    with pytest.raises(ExchangeError) as caught:
        reader("none.parquet", chosen)
    assert str(caught.value) == f"none.parquet: episodes is a slice, as slice(100, 110), got {chosen!r}"


def test_the_first_part_is_read_before_the_last_is_looked_at(log, tmp_path):
    """A page that was damaged late in the file is met when it is reached."""
    content = bytearray(log.read_bytes())
    metadata = pq.read_metadata(log)
    last = metadata.row_group(metadata.num_row_groups - 1)
    at = next(c for c in map(last.column, range(last.num_columns)) if c.path_in_schema.startswith("observation"))
    for offset in range(at.data_page_offset, at.data_page_offset + at.total_compressed_size):
        content[offset] ^= 0xFF
    damaged = tmp_path / "log.parquet"
    damaged.write_bytes(content)
    parts = iterate_log(damaged)
    assert len(next(parts))
    with pytest.raises(ExchangeError, match="not a whole Parquet log"):
        list(parts)
