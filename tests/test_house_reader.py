"""The reader of the house finds what is wrong with a small package that was made wrong on purpose."""

from __future__ import annotations

import pytest
from house import House


@pytest.fixture
def build(tmp_path):
    """Write a package `home` of the given files and read it."""

    def build(**files):
        for name, text in {"__init__": "", **files}.items():
            path = tmp_path / "home" / f"{name.replace('__in__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return House(tmp_path / "home")

    return build


@pytest.mark.parametrize(
    "back",
    [
        "import home.a",
        "from home import a",
        "from home.a import x",
        "from . import a",
        "from .a import x",
        "def f():\n    from home.a import x",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from home.a import x",
    ],
)
def test_a_circle_is_found_however_it_is_imported(build, back):
    assert build(a="from home.b import y\nx = 1", b=f"{back}\ny = 2", c="from home.a import x").circles() == [
        ["home.a", "home.b"]
    ]


def test_a_circle_through_three_floors(build):
    files = {
        "low__in____init__": "",
        "low__in__one": "from home.mid.two import f",
        "mid__in____init__": "",
        "mid__in__two": "def f():\n    import home.top",
        "top": "from .low import one",
    }
    assert build(**files).circles() == [["home.low.one", "home.mid.two", "home.top"]]


def test_without_a_circle_none_is_found(build):
    assert build(a="import os\nfrom home.b import y", b="from os import path as a\ny = 2").circles() == []


def test_single_importers_are_other_modules_and_no_packages(build):
    house = build(
        __init__="from home.a import x", a="x = 1", b="from home.a import x", c="import home.b", d="import home.b"
    )
    assert house.single_importers() == {"home.a": "home.b"}
    assert house.rooms == {"home.a", "home.b", "home.c", "home.d"}


def test_crowded_folders(build):
    house = build(a="", b="", c="", d__in____init__="", d__in__e="")
    assert house.crowded(2) == {"home": 3}
    assert house.crowded(3) == {}


def test_private_names_of_other_modules(build):
    house = build(
        a="_x = 1\ny = 2",
        _b="z = 3",
        c="from home.a import _x",
        d="from home import a\na._x\na.y\na.__doc__",
        e="from home._b import z",
        f="from home.a import y as _y\n_y",
    )
    assert house.private_imports() == ["home.c: home.a _x", "home.d: a._x", "home.e: home._b z"]


def test_imports_through_a_package(build):
    house = build(d__in____init__="x = 1", d__in__e="y = 1", a="from home.d import x", b="from home.d import e")
    assert house.through_a_package() == ["home.a: from home.d import x"]


def test_titles_and_classes(build):
    house = build(
        a='"""Rooms."""\nclass Rows:\n    """What a row is.\n\n    More."""\n    def _f(self):\n        """Whether."""',
        b="class Rows: ...\nclass _Own: ...",
        c="class _Own: ...",
    )
    assert dict(house.titles()) == {"home.a": "Rooms.", "home.a.Rows": "What a row is.", "home.a._f": "Whether."}
    assert house.classes_named_twice() == {"Rows": ["home.a", "home.b"]}
