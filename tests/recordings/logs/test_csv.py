from __future__ import annotations

import numpy as np
import pytest
from arm import MAPPING, columns, write_csv

from sim2real_cat.errors import ExchangeError, WorldError
from sim2real_cat.recordings.logs.mapping import LogMapping
from sim2real_cat.recordings.logs.reader import read_log
from sim2real_cat.recordings.logs.tables import read_csv


@pytest.fixture
def text(tmp_path):
    def written(content, **settings):
        path = tmp_path / "log.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_csv(path, **settings)

    return written


def test_numbers_keep_their_kind(text):
    table = text("t,x,on,name\n1790000000123456789,0.1,true,a\n1790000000123456790,,false,b\n")
    assert table.columns["t"].tolist() == [1790000000123456789, 1790000000123456790]
    np.testing.assert_array_equal(table.numbers("x"), [[0.1], [np.nan]])
    np.testing.assert_array_equal(table.numbers("on"), [[1.0], [0.0]])
    assert table.columns["name"].tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "settings"),
    [
        ("a,b\n1,2.5\n", {}),
        ("# a, b\n1,2.5\n", {}),
        ("\ufeffa;b\r\n1;2.5\r\n", {}),
        ("a;b\n1;2,5\n", {"decimal_point": ","}),
        ("a\tb\n1\t2.5\n", {}),
        ('"a","b"\n\n1,2.5\n\n', {}),
        ("a b|b\n1|2.5\n", {"delimiter": "|"}),
    ],
)
def test_dialects(text, content, settings):
    table = text(content, **settings)
    assert list(table.columns)[1] == "b"
    assert table.numbers("b").tolist() == [[2.5]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("\n", "log.csv: an empty log; its first line has to name the columns"),
        ("a,b\n", "log.csv: an empty log, it has the line of names and no row"),
        ("a,b\n1,2\n3\n", "log.csv, line 3: 1 fields where the first line has 2; the file is cut short or a field"),
        ("a,b\n\n1,2\n3,4,5\n", "log.csv, line 4: 3 fields where the first line has 2"),
        ("a,a\n1,2\n", "log.csv, line 1: two columns have the name 'a'; rename one"),
        (b"\xff\xfea\x00", "log.csv: not a text file in UTF-8, so no CSV; save it again as UTF-8"),
        (b"a,b\n1,\xff\n", "log.csv: not a"),
    ],
)
def test_what_is_no_csv_is_refused_in_one_line(text, content, message):
    with pytest.raises(ExchangeError) as caught:
        text(content)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_line_of_a_row_counts_empty_lines(text):
    table = text("a,b\n\n1,2\n\n\n3,4\n")
    assert [table.label(0), table.label(1)] == ["line 3", "line 6"]


def changed(name, value, row=4):
    def change(table):
        column = table[name].astype(object)
        column[row] = value
        table[name] = column

    return change


def without(name):
    return lambda table: table.pop(name)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (without("spin"), WorldError, "log.csv: unknown column 'spin'. Valid: t, angle, reach, speed, encoder"),
        (without("t"), WorldError, "log.csv: unknown column 't'. Valid"),
        (changed("angle", "n.a."), ExchangeError, "log.csv, line 6: 'n.a.' is no number: column 'angle' needs numbers"),
        (changed("t", "soon"), ExchangeError, "log.csv, line 6: 'soon' is no number: 't' needs numbers or dates"),
        (
            changed("angle", "nan"),
            WorldError,
            "log.csv, line 6: 'angle' has no value (NaN, infinite or empty), in 1 of 26",
        ),
        (changed("angle", ""), WorldError, "log.csv, line 6: 'angle' has no value"),
        (changed("angle", "inf"), WorldError, "log.csv, line 6: 'angle' has no value"),
        (changed("torque", "nan"), WorldError, "log.csv, line 6: 'torque' has no value"),
    ],
)
def test_bad_columns_are_refused_in_one_line_that_says_where(tmp_path, world, done, change, error, message):
    table = columns(done, 0)
    change(table)
    path = tmp_path / "log.csv"
    lines = [",".join(table), *(",".join(str(v) for v in row) for row in zip(*table.values(), strict=True))]
    path.write_text("\n".join(lines))
    with pytest.raises(error) as caught:
        read_log(path, LogMapping.from_table(MAPPING, world))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_mapping_may_say_how_numbers_are_written(tmp_path, world, done):
    path = write_csv(tmp_path / "log.csv", columns(done, 0), delimiter=";")
    path.write_text(path.read_text().replace(".", ","))
    mapping = LogMapping.from_table(MAPPING | {"decimal_point": ","}, world)
    np.testing.assert_array_equal(read_log(path, mapping).qpos, done.qpos[:1])
