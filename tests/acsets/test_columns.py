import numpy as np
import pytest

from sim2real_cat.acsets.columns import (
    DEFINED,
    UNDEFINED,
    AttrColumn,
    Buffer,
    Cells,
    HomColumn,
    UniqueOwners,
    Var,
    all_defined,
)


def test_adding_one_by_one_copies_a_column_only_now_and_then():
    column = HomColumn("X")
    moves = 0
    for _ in range(1000):
        before = column.targets
        column.grow(1)
        moves += not np.shares_memory(before, column.targets)
    assert len(column.targets) == 1000
    assert moves <= 12


def test_the_slot_behind_the_last_stays_empty(monkeypatch):
    monkeypatch.setattr(np, "empty", lambda n, dtype: np.full(n, 99, dtype))  # what happens to be in memory
    buffer = Buffer(np.dtype(np.int64), -1)
    last = np.array([-1])
    for i in range(100):
        buffer.push(i)
        assert buffer.take(last).tolist() == [-1]
    for n in (0, 1, 50):
        buffer.extend(np.arange(n))
        assert buffer.take(last).tolist() == [-1]
        buffer.grow(n)
        assert buffer.take(last).tolist() == [-1]
        assert buffer.values.tolist()[buffer.size - n :] == [-1] * n
    for size in (150, 149, 20, 0):
        buffer.truncate(size)
        assert buffer.take(last).tolist() == [-1]
        assert buffer.copy().take(last).tolist() == [-1]
        assert buffer.values.tolist() == [*range(100), 0, -1, *range(50)][:size]
    assert buffer._array.nbytes < 1000


def test_a_column_of_values_alone_keeps_no_status():
    column = AttrColumn(float)
    column.extend(Cells(np.arange(3.0), all_defined(3)))
    column.push(3.0)
    column.put(np.array([0]), Cells(np.array([5.0]), np.array([DEFINED])))
    assert column._status is None
    assert column.take(np.array([3, -1, 0])).status.tolist() == [DEFINED, UNDEFINED, DEFINED]
    column.put_one(1, None)
    assert column.cells.status.tolist() == [DEFINED, UNDEFINED, DEFINED, DEFINED]
    assert column.short_preimage(2.0).tolist() == [2]


def test_what_a_column_shows_cannot_be_written_to():
    column = HomColumn("X")
    column.grow(2)
    with pytest.raises(ValueError, match="read-only"):
        column.targets[0] = 1


def test_a_change_drops_the_index():
    column = HomColumn("X")
    column.grow(3)
    column.put(np.array([0, 2]), np.array([5, 5]))
    assert column.preimages(np.array([5]), 6).ids.tolist() == [0, 2]
    column.put(np.array([0]), np.array([1]))
    assert column.preimages(np.array([5]), 6).ids.tolist() == [2]
    column.grow(1)
    assert column.preimages(np.array([5, 1]), 6).ids.tolist() == [2, 0]


def test_values_and_variables_are_found_apart():
    column = AttrColumn(int)
    column.grow(4)
    column.put(np.arange(4), Cells(np.array([1, 0, 0, 1]), np.array([DEFINED, 1, UNDEFINED, DEFINED])))
    wanted = Cells(np.array([1, 0, 0]), np.array([DEFINED, DEFINED, 1]))
    hits = column.preimages(wanted)
    assert list(zip(hits.owner.tolist(), hits.ids.tolist(), strict=True)) == [(0, 0), (0, 3), (2, 1)]
    assert column.take(np.array([-1, 0])).status.tolist() == [UNDEFINED, DEFINED]


def test_nan_equals_nan_when_columns_are_compared_and_searched():
    one, two = AttrColumn(float), AttrColumn(float)
    for column in (one, two):
        column.grow(2)
        column.put(np.array([1]), Cells(np.array([np.nan]), np.array([DEFINED])))
    assert one == two
    assert one.preimages(Cells(np.array([np.nan]), np.array([DEFINED]))).ids.tolist() == [1]
    two.grow(1)
    assert one != two


def test_unique_owners_may_exchange_their_values():
    owners = UniqueOwners()
    owners.move([0, 1], [None, None], ["a", "b"])
    assert owners.clash([2], ["b"]) == (1, 2, "b")
    assert owners.clash([2, 3], ["c", "c"]) == (2, 3, "c")
    assert owners.clash([0, 1], ["b", "a"]) is None
    owners.move([0, 1], ["a", "b"], ["b", None])
    assert owners.clash([2], ["a"]) is None
    assert owners.clash([2], ["b"]) == (0, 2, "b")


def test_variables_are_values():
    assert Var(1) == Var(1) != Var(2)
    assert eval(repr(Var(3))) == Var(3)
