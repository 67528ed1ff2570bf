"""The page, the picture and the tables: whole, escaped and the same every time."""

from __future__ import annotations

import io
from html.parser import HTMLParser

import pytest
from rich.console import Console

from sim2real_cat.report.figure import draw_policies, save_figure
from sim2real_cat.report.page import write_page
from sim2real_cat.report.summary import summaries
from sim2real_cat.report.terminal import laws_table, policies_table, progress_bars, query_table

VOID = {"meta", "br"}


class Reader(HTMLParser):
    """Checks that tags nest, and keeps the text of each kind of element."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(path):
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture
def page(every_kind, report, tmp_path):
    path = tmp_path / "report.html"
    write_page(path, "Study <one> & two", every_kind, report)
    return path


def test_the_page_is_well_formed_and_needs_nothing_else(page):
    text = page.read_text(encoding="utf-8")
    reader = read(page)
    assert text.startswith("<!doctype html>\n")
    assert [reader.tags.count(tag) for tag in ("h1", "svg", "table", "script", "link", "img")] == [1, 1, 2, 0, 0, 0]
    assert "src=" not in text


def test_names_are_escaped(page, every_kind):
    reader = read(page)
    hard = every_kind.name("Policy", 9)
    assert hard in reader.text
    assert "few <episodes>" in reader.text
    assert reader.text.count("Study <one> & two") == 2
    assert reader.tags.count("b") == 1  # the verdict


def test_the_page_says_what_was_found(page, every_kind, report):
    text = " ".join(read(page).text)
    assert "3 of 10 policies transfer" in text
    assert "under ε = 0.1 nats" in text
    for row in summaries(every_kind, report):
        assert row.verdict in text
        assert row.interval in text
    for result in report.results:
        assert result.law.statement in text
        for witness in result.witnesses:
            assert f"{every_kind.name(witness.ob, witness.id)}: {witness.message}" in text


def test_the_same_report_gives_the_same_bytes(page, every_kind, report, tmp_path):
    other = tmp_path / "again.html"
    write_page(other, "Study <one> & two", every_kind, report)
    assert other.read_bytes() == page.read_bytes()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["again.html", "report.html"]


@pytest.mark.parametrize("policies", [[], [{"kl_gap": 0.01, "transfer": 0}], [{}], [{"kl_gap": 0.0, "gap_low": 0.0}]])
def test_small_instances_have_pages_too(make_instance, tmp_path, policies):
    instance = make_instance(*policies)
    write_page(tmp_path / "report.html", "small", instance, instance.check(0.1))
    assert read(tmp_path / "report.html").tags.count("svg") == 1


@pytest.mark.parametrize("name", ["gaps.svg", "gaps.png"])
def test_the_picture_is_drawn_without_warnings(every_kind, report, tmp_path, name):
    for path in (tmp_path / name, tmp_path / f"again_{name}"):
        save_figure(draw_policies(summaries(every_kind, report), 0.1, "ten policies"), path)
        assert path.stat().st_size > 1000
    if name.endswith("png"):
        assert (tmp_path / name).read_bytes() == (tmp_path / f"again_{name}").read_bytes()


def test_two_policies_of_one_name_are_both_drawn(make_instance):
    instance = make_instance(*({"policy_name": "same", "kl_gap": gap} for gap in (0.1, 0.9)))
    labels = draw_policies(summaries(instance, instance.check(0.1)), 0.1, "").axes[0].get_yticklabels()
    assert [label.get_text() for label in labels] == ["same", "same"]


# tables of the terminal


def printed(table):
    console = Console(file=io.StringIO(), width=400, color_system=None)
    console.print(table)
    return console.file.getvalue()


def test_the_table_of_policies_has_every_row(every_kind, report):
    text = printed(policies_table(summaries(every_kind, report)))
    for row in summaries(every_kind, report):
        assert row.name in text
        assert row.verdict in text
        assert row.interval in text


def test_the_table_of_laws_shows_the_first_rows(every_kind, report):
    text = printed(laws_table(every_kind, report, most=2))
    witnesses = report["transfer-identity"].witnesses
    assert witnesses[0].message in text
    assert witnesses[2].message not in text
    assert f"and {len(witnesses) - 2} more" in text
    assert "[red]" in printed(laws_table(every_kind, every_kind.check(0.01)))


def test_the_table_of_a_query():
    assert printed(query_table({"id": [0, 1], "a": [None, "[red]x"]})).split() == ["id", "a", "0", "1", "[red]x"]
    assert printed(query_table({"id": []})).split() == ["id"]


def test_progress_is_shown_at_a_terminal_only():
    for terminal in (True, False):
        console = Console(file=io.StringIO(), force_terminal=terminal, width=80)
        with progress_bars(console) as show:
            show("training", 1, 2)
            show("training", 2, 2)
        assert ("training" in console.file.getvalue()) == terminal
