from __future__ import annotations

import numpy as np
import pytest
from arm import MAPPING, columns, write_csv

from sim2real_cat.errors import WorldError
from sim2real_cat.recordings.logs.clocks import compare_clocks, time_report
from sim2real_cat.recordings.logs.mapping import LogMapping
from sim2real_cat.recordings.logs.reader import read_log


def test_an_even_clock():
    found = time_report(0.01 * np.arange(101))
    assert (found.rows, found.period) == (101, pytest.approx(0.01))
    assert max(found.jitter, found.uneven) < 1e-12
    assert not len(found.gaps) + len(found.duplicates) + len(found.backwards)


def test_jitter_and_unevenness_are_measured():
    """Steps of 9 and 11 ms in turn: standard deviation 1 ms, every second row 1 ms off the even grid."""
    found = time_report(np.concatenate([[0.0], np.cumsum(np.tile([0.009, 0.011], 50))]))
    assert found.jitter == pytest.approx(0.001)
    assert found.uneven == pytest.approx(0.001)
    assert found.longest == pytest.approx(0.011)


def test_gaps_are_those_of_the_limit():
    times = np.delete(0.01 * np.arange(100), [10, 50, 51])
    assert time_report(times).gaps.tolist() == [49]
    assert time_report(times, longest_gap=0.015).gaps.tolist() == [10, 49]
    assert time_report(times, longest_gap=1.0).gaps.tolist() == []
    assert time_report(times).jitter == pytest.approx(np.std([0.01] * 94 + [0.02]))


def test_two_clocks_by_what_was_put_in():
    """A clock 3 s ahead that gains 50 us per second, with 0.1 ms of noise on one row."""
    first = 0.01 * np.arange(1000)
    second = 3.0 + first * (1 + 50e-6)
    second[500] += 1e-4
    found = compare_clocks(first, second)
    assert found.offset == pytest.approx(3.0, abs=1e-6)
    assert found.drift == pytest.approx(50e-6, abs=1e-7)
    assert found.residual == pytest.approx(1e-4, rel=0.01)
    assert str(found).startswith("offset 3 s, drift 50 ppm, residual 0.0999 ms")


@pytest.fixture
def read(tmp_path, world, done):
    """Reads the arm's log with its times changed, under some settings of [time]."""

    def reading(change, control_period=None, **settings):
        table = columns(done, 0)
        table = change(table) or table
        path = write_csv(tmp_path / "log.csv", table)
        mapping = MAPPING | {"time": {"column": "t"} | settings}
        if control_period is not None:
            mapping["control_period"] = control_period
        return read_log(path, LogMapping.from_table(mapping, world))

    return reading


def times(values):
    def change(table):
        table["t"] = np.asarray(values(table["t"].copy()), dtype=float)

    return change


def without(*rows):
    return lambda table: {name: np.delete(column, rows) for name, column in table.items()}


def twice(*rows):
    return lambda table: {name: np.insert(column, rows, column[list(rows)]) for name, column in table.items()}


def swapped(t):
    t[[5, 6]] = t[[6, 5]]
    return t


def second_clock_from_row_10(t):
    t[10:] += 1.79e9
    return t


def and_back(t):
    t[10:12] += 1.79e9
    return t


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (times(swapped), "log.csv, line 8: 't' runs 0.02 s backwards, in 1 row; sort the rows, or split the file"),
        (times(and_back), "log.csv, line 14: 't' runs 1.79e+09 s backwards, in 1 row; two clocks in one column?"),
        (twice(3, 7), "log.csv, line 6, line 11: 't' has the time of the row before, in 2 rows; drop them with"),
        (without(5, 6), "log.csv, line 7: no row for 0.06 s, 3 times the period, 1 row with a gap in 't'; set at_gaps"),
        (times(second_clock_from_row_10), "8.95e+10 times the period (two clocks in one column?), 1 row with a gap"),
        (
            times(lambda t: t + 0.004 * (np.arange(len(t)) % 2)),
            "'t' is uneven (period 24 ms, jitter 4 ms, up to 3.84 ms off)",
        ),
        (times(lambda t: np.where(t == t[4], np.nan, t)), "log.csv, line 6: 't' has no time, in 1 of 26 rows"),
        (without(*range(1, 26)), "log.csv: one row (line 2); an episode needs two rows or more"),
    ],
)
def test_bad_times_are_refused_in_one_line_that_says_where(read, change, message):
    with pytest.raises(WorldError) as caught:
        read(change)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("keep", ["first", "last"])
def test_duplicates_are_dropped_on_demand(read, done, keep):
    def one_wrong(table):
        table = twice(3)(table)
        table["angle"][4 if keep == "first" else 3] = 99.0
        return table

    np.testing.assert_array_equal(read(one_wrong, duplicates=keep).qpos, done.qpos[:1])


def test_episodes_are_split_at_gaps_on_demand(read, done):
    log = read(without(5, 6, 8, 9, 20, 21), at_gaps="split")
    assert log.lengths.tolist() == [4, 9, 3]
    np.testing.assert_array_equal(log.qpos[1, :10], done.qpos[0, 10:20])


def test_gaps_are_bridged_on_demand(read, done):
    log = read(without(5, 6), at_gaps="bridge", control_period=0.02)
    assert log.lengths.tolist() == [25]
    np.testing.assert_allclose(log.qpos[0, [4, 7]], done.qpos[0, [4, 7]], rtol=0, atol=1e-12)
    middle = done.qpos[0, 4] * 2 / 3 + done.qpos[0, 7] / 3
    np.testing.assert_allclose(log.qpos[0, 5], middle, rtol=0, atol=1e-12)
    assert any(note.endswith(", 1 gap") for note in log.notes)
    assert any("1 of 1 episodes resampled to 0.02 s" in note for note in log.notes)


def test_a_longer_gap_may_be_none(read):
    assert read(without(5, 6), longest_gap=0.1, control_period=0.02).lengths.tolist() == [25]


def test_a_second_clock_is_compared(read):
    def change(table):
        table["received"] = 100.0 + table["t"] * (1 + 1e-4)

    notes = read(change, second_clock="received").notes
    assert any("clock 'received' against 't': offset 100 s, drift 100 ppm" in note for note in notes)


def test_times_in_ns_since_1970_keep_their_digits(tmp_path, world, done):
    table = columns(done, 0)
    table["t"] = 1_790_000_000_123_456_789 + np.round(table["t"] * 1e9).astype(np.int64)
    mapping = MAPPING | {"time": {"column": "t", "unit": "ns"}, "control_period": 0.02}
    log = read_log(write_csv(tmp_path / "log.csv", table), LogMapping.from_table(mapping, world))
    np.testing.assert_array_equal(log.qpos, done.qpos[:1])
    assert not any("resampled" in note for note in log.notes)


def test_dates_are_times(tmp_path, world, done):
    path = write_csv(tmp_path / "log.csv", columns(done, 0))
    lines = path.read_text().splitlines()
    for row in range(1, len(lines)):
        rest = lines[row].split(",", 1)[1]
        lines[row] = f"2026-11-25 12:00:{(row - 1) * 0.02:09.6f},{rest}"
    path.write_text("\n".join(lines))
    log = read_log(path, LogMapping.from_table(MAPPING | {"control_period": 0.02}, world))
    np.testing.assert_array_equal(log.qpos, done.qpos[:1])


@pytest.mark.parametrize("period", [None, 0.02])
def test_uneven_rows_are_control_steps_on_demand(tmp_path, world, done, period):
    """How uneven they are is noted, and nothing is interpolated."""
    table = columns(done, 0)
    table["t"] = table["t"] + np.random.default_rng(0).uniform(-0.004, 0.004, 26)
    mapping = MAPPING | {"resampling": "none"} | ({} if period is None else {"control_period": period})
    log = read_log(write_csv(tmp_path / "log.csv", table), LogMapping.from_table(mapping, world))
    np.testing.assert_array_equal(log.qpos, done.qpos[:1])
    assert log.control_period == 0.02
    assert any("jitter 3" in note for note in log.notes)


def test_rows_of_another_period_are_no_control_steps(tmp_path, world, done):
    path = write_csv(tmp_path / "log.csv", columns(done, 0))
    mapping = LogMapping.from_table(MAPPING | {"resampling": "none", "control_period": 0.03}, world)
    with pytest.raises(
        WorldError, match='rows are 20 ms apart, the control_period is 30 ms; set resampling = "linear"'
    ):
        read_log(path, mapping)
