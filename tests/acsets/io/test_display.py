"""What a person sees of an instance."""

import datetime
from html.parser import HTMLParser

import numpy as np
import pytest
from acset_strategies import FIXED, acsets, study
from hypothesis import given

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.codecs import Codec
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.io.display import LONGEST, html, shown, text
from sim2real_cat.acsets.schema import Schema

VOID = {"br"}


class Page(HTMLParser):
    """The tags that are open, and the cells of the tables."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.cells, self.tags = [], [], set()

    def handle_starttag(self, tag, attrs):
        assert attrs == []
        self.tags.add(tag)
        if tag in ("td", "th"):
            self.cells.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & {*self.open}:
            self.cells[-1] += data


def read(page):
    parser = Page()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    assert parser.tags <= {"div", "p", "strong", "table", "caption", "thead", "tbody", "tr", "th", "td", "small", "br"}
    return parser


def test_the_text_of_an_instance():
    assert text(study(), rows=3) == (
        "Study\n"
        "\n"
        "SimEnv: 4 parts\n"
        "id  train   seed  noisy\n"
        "    Policy  int   bool\n"
        " 0  2       7     True\n"
        " 1  0       8\n"
        " 2  0             False\n"
        "... 1 more\n"
        "\n"
        "RealEnv: 2 parts\n"
        "\n"
        "Policy: 3 parts\n"
        "id  deploy   transfer  kl_gap  policy_name\n"
        "    RealEnv  Policy    float   str\n"
        " 0  1        0         0.02    ours\n"
        " 1  0        0         0.7\n"
        " 2                     Var(1)  naïve\n"
        "\n"
        "TransferGap: 2 variables"
    )


def test_the_html_of_an_instance():
    cells = read(html(study())).cells
    start = cells.index("deployRealEnv") - 1
    rows = [cells[at : at + 5] for at in range(start, start + 15, 5)]
    assert rows == [
        ["id", "deployRealEnv", "transferPolicy", "kl_gapfloat", "policy_namestr"],
        ["0", "1", "0", "0.02", "ours"],
        ["1", "0", "0", "0.7", ""],
    ]
    assert "Policy: 3 parts" in html(study())


def test_nothing_in_a_value_or_a_name_is_markup():
    schema = Schema("<script>&", ["Ob"], attrtypes={"T": str}, attrs={"a": ("Ob", "T")})
    x = ACSet(schema)
    x.add_parts("Ob", 3, a=["<script>alert(1)</script>", "</table>&amp;", "\"'\n\0\u202e"])
    cells = read(html(x)).cells
    assert cells[3::2] == ["<script>alert(1)</script>", "</table>&amp;", "\"'\\n\\x00\\u202e"]


@FIXED
@given(acsets())
def test_every_part_is_shown_up_to_the_limit(x):
    for rows in (0, 2, 10):
        page, written = read(html(x, rows)), text(x, rows)
        assert len(written.splitlines()[0]) > 0
        for ob in x.schema.obs:
            assert f"{ob}: {x.nparts(ob)} part" in written
        filled = [ob for ob in x.schema.obs if x.nparts(ob) and (x.schema.homs_from(ob) or x.schema.attrs_from(ob))]
        wide = {ob: 1 + len(x.schema.homs_from(ob)) + len(x.schema.attrs_from(ob)) for ob in filled}
        assert len(page.cells) == sum(wide[ob] * (1 + min(rows, x.nparts(ob))) for ob in filled)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ""),
        (Var(3), "Var(3)"),
        (0.1 + 0.2, "0.3"),
        (np.nan, "nan"),
        (True, "True"),
        (10**18, "1000000000000000000"),
        ("a\tb\n", "a\\tb\\n"),
        ("x" * 100, "x" * (LONGEST - 1) + "…"),
        (datetime.date(2025, 3, 1), "2025-03-01"),
    ],
)
def test_a_value_is_one_short_line(value, expected):
    assert shown(value) == expected


def test_a_large_instance_is_cut():
    x = ACSet(Schema("Dynamics", ["X"], {"next": ("X", "X")}))
    x.add_parts("X", 10**6, next=np.zeros(10**6, np.int64))
    assert text(x).endswith("... 999,990 more")
    assert "… 999,990 more" in html(x)


def test_a_codec_shows_its_type_and_its_values():
    codec = Codec(datetime.date, datetime.date.isoformat, datetime.date.fromisoformat)
    x = ACSet(Schema("Dates", ["Log"], attrtypes={"Day": codec}, attrs={"day": ("Log", "Day")}))
    x.add("Log", day=datetime.date(2025, 3, 1))
    assert text(x).splitlines()[3:] == ["id  day", "    date", " 0  2025-03-01"]
