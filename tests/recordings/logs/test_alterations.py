"""The notes say what was done to the rows of a log."""

from __future__ import annotations

import numpy as np
import pytest
from arm import MAPPING, columns, npz, write_csv

from sim2real_cat.errors import WorldError
from sim2real_cat.recordings.logs.alterations import Alterations, EmptyRows, LogRows, TimeGaps, some_rows
from sim2real_cat.recordings.logs.mapping import LogMapping
from sim2real_cat.recordings.logs.reader import read_log


@pytest.fixture
def notes_of(tmp_path, world, done):
    """The notes on a change of the arm's first episode: each row of it is given by its number in `rows`."""

    def reading(rows=range(26), empty=(), time=(), **settings):
        table = {name: column[list(rows)] for name, column in columns(done, 0).items()}
        for name, row in empty:
            table[name][row] = np.nan
        mapping = MAPPING | {"time": MAPPING["time"] | dict(time)} | settings
        log = read_log(write_csv(tmp_path / "log.csv", table), LogMapping.from_table(mapping, world))
        return [note.removeprefix("log.csv: ") for note in log.notes if note.startswith("log.csv: ")]

    return reading


def test_nothing_was_done(notes_of):
    assert notes_of() == []


@pytest.mark.parametrize(("keep", "where"), [("first", "line 6, line 11"), ("last", "line 5, line 10")])
def test_rows_that_repeat_a_time(notes_of, keep, where):
    rows = [0, 1, 2, 3, 3, 4, 5, 6, 7, 7, *range(8, 26)]
    found = notes_of(rows, time={"duplicates": keep})
    assert found == [f"dropped 2 rows that repeat a time in 't' ({where})"]


def test_a_split(notes_of):
    assert notes_of([*range(5), *range(8, 26)], time={"at_gaps": "split"}) == ["split at 1 gap of 0.08 s (line 7)"]
    found = notes_of([*range(5), 8, *range(12, 26)], time={"at_gaps": "split"})
    assert found == [
        "split at 2 gaps of up to 0.08 s (line 7, line 8)",
        "left out 1 row alone between two gaps (line 7)",
    ]


def test_a_bridge(notes_of):
    rows, bridge = [*range(5), *range(8, 26)], {"at_gaps": "bridge"}
    found = notes_of(rows, time=bridge, control_period=0.02)
    assert found[:-1] == ["bridged 1 gap of 0.08 s (line 7): 3 steps interpolated, actions held"]
    found = notes_of(rows, time=bridge, resampling="none")
    assert found == ["bridged 1 gap of 0.08 s (line 7): 1 gap taken as one step"]


def test_a_gap_after_a_repeated_time(notes_of):
    """Gaps are found before repeated rows are dropped; their seconds are those of the rows that are kept."""
    rows, time = [0, 1, 1, 2, 3, 4, 8, 8, *range(9, 26)], {"at_gaps": "bridge", "duplicates": "last"}
    found = notes_of(rows, time=time, control_period=0.02)
    assert found[:-1] == [
        "dropped 2 rows that repeat a time in 't' (line 3, line 8)",
        "bridged 1 gap of 0.08 s (line 8): 3 steps interpolated, actions held",
    ]


def test_rows_without_a_value(notes_of):
    found = notes_of(empty=[("angle", 4), ("torque", 7)], missing="drop", control_period=0.02)
    assert found[:-1] == [
        "'angle': 1 of 26 rows without a value dropped (line 6), up to 0.04 s from value to value, interpolated in "
        "between",
        "'torque': 1 of 26 rows without a value dropped (line 9), up to 0.04 s from value to value, the last one held",
    ]


def test_a_gap_in_one_column_is_refused_or_bridged(notes_of):
    settings = {"empty": [("angle", row) for row in (4, 5, 6, 7)], "missing": "drop", "control_period": 0.02}
    with pytest.raises(WorldError, match=r"line 10: no row for 0.1 s, 5 times the period, 1 row with a gap in 'angle'"):
        notes_of(**settings)
    shown = "'angle': 4 of 26 rows without a value dropped (line 6, line 7, line 8, ...), up to 0.1 s from value to"
    for allowed in ({"at_gaps": "split"}, {"at_gaps": "bridge"}, {"longest_gap": 0.2}):
        assert notes_of(**settings, time=allowed)[0].startswith(shown)


def test_the_episodes_of_a_file_are_counted_together():
    def one(*rows):
        where = some_rows(list(rows), lambda row: f"row {row}")
        return Alterations(
            repeated={"t": where},
            bridged={"t": TimeGaps(where, 0.5, 4)},
            empty={"angle": EmptyRows(where, 10, 0.2)},
        )

    total = Alterations()
    for change in (one(1, 2), one(3), one(4)):
        total.add(change)
    shown = "(row 1, row 2, row 3, ...)"
    assert total.notes() == [
        f"dropped 4 rows that repeat a time in 't' {shown}",
        f"bridged 4 gaps of up to 0.5 s {shown}: 12 steps interpolated, actions held",
        f"'angle': 4 of 30 rows without a value dropped {shown}, up to 0.2 s from value to value",
    ]


def test_only_the_rows_that_are_shown_are_looked_up():
    asked = []
    assert some_rows(np.arange(100), lambda row: asked.append(row) or "row") == LogRows(100, ["row"] * 3)
    assert asked == [0, 1, 2]


def test_a_row_of_one_of_several_episodes_in_a_file(tmp_path, world, done):
    """Rows are counted in every array; the note says in which episode they stand, as errors do."""
    path, table = npz(tmp_path, done)
    with np.load(path) as content:
        arrays = {name: content[name].copy() for name in content.files}
    arrays["x_1"][5, 0] = np.nan
    np.savez(path, **arrays)
    mapping = LogMapping.from_table(table | {"missing": "drop", "control_period": 0.02}, world)
    assert any("dropped (row 5 in u_1)" in note for note in read_log(path, mapping).notes)
