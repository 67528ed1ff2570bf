"""The page of what ran on the real Catlab agrees with the code, and calls nothing run that changed since."""

from __future__ import annotations

import re
import subprocess
import sys

import julia_package
import pytest
import real_table
from julia_names import read_julia
from places import ROOT
from real_table import COMMAND, DATE, FILE, callers, refreshed, rows, script

PAGE = FILE.read_text(encoding="utf-8")


def test_the_page_is_up_to_date():
    assert refreshed(PAGE) == PAGE, f"run {COMMAND}"


def test_every_function_that_is_called_is_listed_once():
    assert [row.function for row in rows(PAGE)] == list(callers())


@pytest.mark.parametrize("row", rows(PAGE), ids=lambda row: row.function)
def test_a_row_says_what_ran(row):
    if row.is_run:
        assert row.text == julia_package.digest(row.function)
        assert f"\n- {row.ran}: " in PAGE, "a run is described once, with the versions"
    else:
        assert re.fullmatch(rf"not yet run|changed since {DATE}, not run", row.ran)
        assert (row.text == "-") == (row.ran == "not yet run")


@pytest.mark.parametrize("row", rows(PAGE), ids=lambda row: row.function)
def test_the_call_to_try_is_one_of_the_function_and_julia_can_read_it(row):
    assert re.search(rf"\b{row.function}\(", row.call)
    assert read_julia(row.call).errors == ()


def test_what_the_calls_take_can_be_read():
    for block in re.findall(r"```julia\n(.*?)```", PAGE, re.DOTALL):
        assert read_julia(block).errors == ()


def test_the_script_of_all_calls_can_be_read():
    text = script(PAGE)
    assert read_julia(text).errors == ()
    assert text.count("try\n") == len(rows(PAGE))


def test_a_change_takes_the_date_away_and_nothing_gives_it_back(monkeypatch):
    ran = [row.function for row in rows(PAGE) if row.is_run]
    assert ran
    monkeypatch.setattr(real_table, "digest", lambda name: "changed")
    changed = refreshed(PAGE)
    assert not any(row.is_run for row in rows(changed))
    assert {row.function for row in rows(changed) if row.ran.startswith("changed since")} >= set(ran)
    monkeypatch.undo()
    assert refreshed(changed) == changed


def test_a_new_function_is_not_run_and_one_that_is_gone_has_no_row(monkeypatch):
    first, *rest = rows(PAGE)
    without = PAGE.replace(str(first), "")
    (again,) = [row for row in rows(refreshed(without)) if row.function == first.function]
    assert (again.ran, again.text) == ("not yet run", "-")
    monkeypatch.setattr(real_table, "callers", lambda: {row.function: row.caller for row in rest})
    assert refreshed(PAGE) == without


def test_the_digest_is_that_of_all_that_a_function_reaches():
    def of(text):
        return julia_package.digest("f", {"a.jl": read_julia("# a file\n" + text)})

    plain = of("f(x) = g(x)\ng(x) = K\nconst K = 1\nh(x) = 2")
    assert of("f(x) =  # says why\n  g(x)\ng(x) = K\nconst K = 1\nh(x) = 3") == plain
    assert len({plain, *map(of, ("f(x) = g(x)\ng(x) = K\nconst K = 2", "f(x) = g(x)\ng(x) = 1", "f(x) = 2"))}) == 4


def test_the_command_brings_a_page_up_to_date(tmp_path):
    page = tmp_path / "REAL.md"
    page.write_text(PAGE.replace(str(rows(PAGE)[-1]), ""), encoding="utf-8")
    done = subprocess.run([sys.executable, *COMMAND.split()[1:], str(page)], cwd=ROOT, timeout=120, check=False)
    assert done.returncode == 0
    assert [row.function for row in rows(page.read_text(encoding="utf-8"))] == list(callers())
