from __future__ import annotations

import numpy as np
import pytest

from sim2real_cat.errors import ExchangeError, WorldError
from sim2real_cat.recordings.logs.tables import LogTable

VECTORS = np.arange(12.0).reshape(4, 3)
TABLE = LogTable(
    "log",
    {"v": VECTORS, "x": np.arange(4), "a[0]": np.ones(4), "name": np.array(["a", None, "b", "c"], dtype=object)},
    components={"v": ("hip.pos", "knee.pos", "ankle.pos")},
)


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("v", [0, 1, 2]),
        ("v[1]", [1]),
        ("v[:, 1]", [1]),
        ("v[ : , 0:2]", [0, 1]),
        ("v[1:]", [1, 2]),
        ("v[:2]", [0, 1]),
        ("v[knee.pos]", [1]),
    ],
)
def test_components_of_a_column_of_vectors(text, chosen):
    np.testing.assert_array_equal(TABLE.numbers(text), VECTORS[:, chosen])


def test_a_name_with_brackets_is_a_name_first():
    assert TABLE.numbers("a[0]").tolist() == [[1.0]] * 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("w", "log: unknown column 'w'"),
        ("w[1]", "log: unknown column 'w'"),
        ("x[0]", "log: column 'x' has one number a row, 'x[0]' asks for a component"),
        ("v[3]", "log: column 'v' has components 0..2, 'v[3]' asks for another"),
        ("v[1:5]", "log: column 'v' has components 0..2, 'v[1:5]' asks for another"),
        ("v[2:1]", "log: column 'v' has components 0..2"),
        ("v[kne.pos]", "log: unknown component of column 'v' 'kne.pos': did you mean 'knee.pos'?"),
    ],
)
def test_columns_that_do_not_exist(text, message):
    with pytest.raises(WorldError) as caught:
        TABLE.numbers(text)
    assert message in str(caught.value)


def test_text_is_no_number():
    with pytest.raises(ExchangeError, match="log, row 0: 'a' is no number: column 'name' needs numbers"):
        TABLE.numbers("name")


def test_some_rows_know_where_they_stood():
    some = TABLE.rows(np.array([1, 3]))
    assert some.numbers("x").tolist() == [[1], [3]]
    assert some.rows(np.array([1])).label(0) == "row 3"


def test_a_column_may_end_a_row_earlier():
    table = LogTable("log", {"o": np.arange(4), "u": np.arange(3)})
    assert table.rows(np.array([2, 3])).numbers("u").tolist() == [[2]]
