from __future__ import annotations

import datetime
import decimal

import numpy as np
import pyarrow as pa

from sim2real_cat.recordings.logs.tables import columns_of


def column(values, kind=None):
    return columns_of(pa.table({"x": pa.array(values, kind)})).get("x")


def test_numbers():
    assert column([1, 2]).dtype == np.int64
    np.testing.assert_array_equal(column([1, None]), [1, np.nan])
    np.testing.assert_array_equal(column([1.5, None], pa.float32()), np.array([1.5, np.nan], np.float32))
    np.testing.assert_array_equal(column([True, False]), [1, 0])
    np.testing.assert_array_equal(column([decimal.Decimal("1.5")]), [1.5])
    np.testing.assert_array_equal(column([None, None]), [np.nan, np.nan])


def test_dates_and_texts():
    day = datetime.datetime(2026, 11, 25, 12, 0, 0, 5)
    assert column([day]).tolist() == [int(day.replace(tzinfo=datetime.UTC).timestamp()) * 10**9 + 5000]
    assert column([day.date()]).dtype.kind == "M"
    assert column(["a", None]).tolist() == ["a", None]
    assert columns_of(pa.table({"x": pa.array(["a", "b", "a"]).dictionary_encode()}))["x"].tolist() == ["a", "b", "a"]


def test_lists_are_vectors_where_they_have_one_length():
    for kind in (pa.list_(pa.float64()), pa.large_list(pa.float64()), pa.list_(pa.float64(), 2)):
        np.testing.assert_array_equal(column([[1, 2], [3, 4]], kind), [[1, 2], [3, 4]])
        np.testing.assert_array_equal(column([[1, 2], None, [3, 4]], kind), [[1, 2], [np.nan] * 2, [3, 4]])
    nested = pa.list_(pa.list_(pa.float64(), 2), 2)
    np.testing.assert_array_equal(column([[[1, 2], [3, 4]]], nested), [[1, 2, 3, 4]])


def test_what_is_no_vector_is_left_out():
    assert column([[1.0, 2.0], [3.0]]) is None
    assert column([["a"], ["b"]]) is None
    assert column([{"a": 1}]) is None


def test_chunks_are_joined():
    table = pa.concat_tables([pa.table({"x": [1, 2]}), pa.table({"x": [3]})])
    assert columns_of(table)["x"].tolist() == [1, 2, 3]
    assert columns_of(table.slice(1, 2))["x"].tolist() == [2, 3]
    lists = pa.table({"x": pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float64(), 2))})
    np.testing.assert_array_equal(columns_of(lists.slice(1))["x"], [[3, 4]])
