"""Policies from CSV files, and every way in which a file can be wrong, in one line."""

from __future__ import annotations

import codecs

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim2real_cat.errors import ExchangeError
from sim2real_cat.ranking.table import read_policy_table

HEAD = "policy,real_successes,real_trials,sim_successes,sim_trials\n"
GOOD = HEAD + "a,1,20,3,50\nb,20,20,50,50\n"


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "policies.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        GOOD.encode("utf-8-sig"),
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("\n", "\n\n \n,,,,\n"),
        "\n" + GOOD,
        GOOD.replace(",", ";"),
        GOOD.replace(",", "\t"),
        GOOD.replace(",", " , "),
        GOOD.replace("a,", '"a",').rstrip("\n"),
        HEAD.replace("\n", ",note\n") + 'a,1,20,3,50,"on, the ""left"""\nb,20.0,2e1,50,50,\n',
        "sim_trials,policy,sim_successes,real_trials,real_successes\n50,a,3,20,1\n50,b,50,20,20\n",
    ],
)
def test_counts(write, content):
    table = read_policy_table(write(content))
    assert table.names == ("a", "b")
    assert np.array_equal(table.real_counts.successes, [1, 20])
    assert np.array_equal(table.real_counts.trials, [20, 20])
    assert np.array_equal(table.sim_counts.successes, [3, 50])
    assert np.array_equal(table.sim, [0.06, 1.0])


def test_scores(write):
    table = read_policy_table(write("policy,real_score,sim_score\nä b,-1.5,1e3\nc,0,.5\n"))
    assert (table.names, table.real.tolist(), table.sim.tolist()) == (("ä b", "c"), [-1.5, 0.0], [1000.0, 0.5])
    assert table.real_counts is None
    assert table.sim_counts is None


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("", "an empty file; its first line has to name the columns policy, real_successes"),
        ("\n \n", "an empty file"),
        (HEAD, "0 policies cannot be ranked"),
        (HEAD + "a,1,2,3,4\n", "1 policies cannot be ranked: give at least 2"),
        (GOOD.encode("utf-16"), "not a text file in UTF-8"),
        (GOOD.replace("a,", "ä,").encode("latin-1"), "not a text file in UTF-8, so no CSV; save it again as UTF-8"),
        (GOOD.replace("a,", '"a,'), "no CSV (unexpected end of data); mend its quotes"),
        (GOOD.replace("a,", '"a"x,'), "line 2: no CSV"),
        (GOOD.replace("real_s", "real_ss"), "line 1: no column 'real_successes'"),
        (
            GOOD.replace("real_s", "real_ss"),
            "did you mean 'real_ssuccesses'? The line has policy, real_ssuccesses, real_trials",
        ),
        (GOOD.replace("a,", '"a\nb",'), "line 3: a field goes over several lines"),
        (GOOD.replace("policy", "name"), "line 1: no column 'policy'"),
        ("policy,real_score\na,1\nb,2\n", "no column 'sim_score'"),
        ("a,1,20,3,50\nb,20,20,50,50\n", "line 1: no column 'policy'"),
        (HEAD.replace("\n", ",sim_score\n"), "line 1: both counts and scores"),
        (HEAD.replace("real_trials", "sim_trials"), "line 1: two columns have the name 'sim_trials'"),
        (GOOD.replace("3,50", "3"), "line 2: 4 fields where the first line has 5"),
        (GOOD + "\n\na,1,2,3,4", "line 6: policy 'a' stands in line 2 already"),
        (GOOD.replace("b,", ","), "line 3: the policy has no name"),
        (GOOD.replace("3,50", ",50"), "line 2: sim_successes is empty, which is no number"),
        (GOOD.replace("3,50", "x,50"), "line 2: sim_successes is 'x', which is no number"),
        (GOOD.replace("1,20", "1,2_0"), "real_trials is '2_0', which is no number"),
        (GOOD.replace("1,20", "1.5,20"), "line 2: real_successes is 1.5: give a whole number"),
        (GOOD.replace("1,20", "nan,20"), "line 2: real_successes is nan: give a whole number"),
        (GOOD.replace("1,20", "1,inf"), "line 2: real_trials is inf: give a whole number"),
        (GOOD.replace("1,20", "-1,20"), "line 2: real_successes is -1: give a whole number"),
        (GOOD.replace("1,20", "0,0"), "line 2: real_trials is 0: a policy that was never tried has no rate"),
        (GOOD.replace("1,20", "21,20"), "line 2: real_successes is 21 of 20 real_trials"),
        (GOOD.replace("3,50", "51,50"), "line 2: sim_successes is 51 of 50 sim_trials"),
        ("policy;real_score;sim_score\na;0,5;1\n", "real_score is '0,5', which is no number; write a decimal point"),
        ("policy,real_score,sim_score\na,nan,1\nb,1,1\n", "policy 'a': real_score is nan: give a finite number"),
    ],
)
def test_refused(write, refused, content, part):
    path = write(content)
    with refused(ExchangeError, path, part):
        read_policy_table(path)


def test_files_that_are_none(tmp_path, refused):
    with refused(ExchangeError, tmp_path / "no.csv", "no such file; give the path of a CSV file"):
        read_policy_table(tmp_path / "no.csv")
    with refused(ExchangeError, tmp_path, "cannot be read"):
        read_policy_table(tmp_path)


def said(path):
    """The complaint about a file, empty where it is fine."""
    try:
        read_policy_table(path)
    except ExchangeError as error:
        return str(error)
    return ""


@given(content=st.one_of(st.binary(max_size=60), st.text(alphabet='policy,_\n";1', max_size=60).map(str.encode)))
def test_garbage_is_one_line(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("csv") / "garbage.csv"
    for start in (b"", HEAD.encode(), codecs.BOM_UTF8):
        path.write_bytes(start + content)
        assert len(said(path).splitlines()) <= 1
