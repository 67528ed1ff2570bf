"""Files are there whole or not at all; everything that worlds writes goes through this."""

from __future__ import annotations

import pytest

from sim2real_cat.files import replacing, write_text


def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "log.parquet"
    write_text(path, "old")

    def half_written():
        with replacing(path) as temporary:
            temporary.write_text("new, but only ha", encoding="utf-8")
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="the disk is full"):
        half_written()
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_until_the_end_a_reader_sees_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with replacing(path) as temporary:
        temporary.write_text("new", encoding="utf-8")
        assert path.read_text(encoding="utf-8") == "old"
        assert temporary.parent == path.parent
    assert path.read_text(encoding="utf-8") == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_folders_are_made(tmp_path):
    path = tmp_path / "a" / "b" / "c.txt"
    write_text(path, "größer")
    assert path.read_bytes() == "größer".encode()
