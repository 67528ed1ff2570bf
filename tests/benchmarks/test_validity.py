"""The validity experiment: its page says what its data say, and its statistics are the usual ones."""

from __future__ import annotations

import re

import numpy as np
import pytest
from places import ROOT
from scipy import stats

PAGE = ROOT / "docs" / "explanation" / "validity.md"


@pytest.fixture
def report(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import validity_statistics

    return validity_statistics


@pytest.fixture
def tables(report):
    import validity_tables

    return validity_tables


def test_the_page_shows_what_the_data_say(report):
    import validity
    from validity_scores import SCORES

    page = PAGE.read_text(encoding="utf-8")
    shown = validity.tables(report.read(validity.CSV, list(SCORES)))
    assert validity.filled(page, shown) == page, "python benchmarks/validity.py report puts the tables into the page"


def test_there_are_sixty_worlds_of_six_robots_and_every_kind(report):
    import validity
    from validity_robots import KINDS, ROBOTS

    worlds = report.read(validity.CSV, [])
    assert len(worlds.loss) >= 60
    assert set(worlds.robot.tolist()) == {robot.name for robot in ROBOTS}
    for robot in ROBOTS:
        assert set(worlds.kind[worlds.robot == robot.name].tolist()) == set(KINDS)


def test_every_correlation_in_the_prose_stands_in_a_table():
    tables = "\n".join(re.findall(r"<!-- \w+ -->(.*?)<!-- end -->", PAGE.read_text(encoding="utf-8"), re.DOTALL))
    prose = re.sub(r"<!-- \w+ -->.*?<!-- end -->", "", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    number = re.compile(r"(?<![\d.])−?[01]\.\d\d(?![\d.])")
    assert number.findall(prose)
    assert set(number.findall(prose)) <= set(number.findall(tables))


def sides(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Two related columns with ties."""
    x = np.round(rng.normal(size=n), 1)
    return x, np.round(x + rng.normal(size=n), 1)


def test_one_robot_has_the_usual_rank_correlations(report):
    x, y = sides(np.random.default_rng(0), 28)
    robot, once = np.full(28, "a"), np.ones((1, 28))
    assert report.spearman(x, y, robot, once)[0] == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert report.kendall(x, y, robot, once)[0] == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)


def test_a_count_is_a_repeated_row(report):
    rng = np.random.default_rng(1)
    x, y = sides(rng, 20)
    robot = np.repeat(["a", "b"], 10)
    counts = np.concatenate([rng.multinomial(10, np.full(10, 0.1)) for _ in range(2)])
    rows = np.repeat(np.arange(20), counts)
    for statistic in (report.spearman, report.kendall):
        weighted = statistic(x, y, robot, counts[None].astype(float))
        assert weighted == pytest.approx(statistic(x[rows], y[rows], robot[rows], np.ones((1, 20))), abs=1e-12)
    lost = y > 0
    weighted = report.flagged(x, lost, robot, counts[None].astype(float))
    assert weighted == pytest.approx(report.flagged(x[rows], lost[rows], robot[rows], np.ones((1, 20))), abs=1e-12)


def test_pooling_compares_a_world_with_those_of_its_robot_only(report):
    rng = np.random.default_rng(2)
    x, robot = rng.normal(size=30), np.repeat(["a", "b", "c"], 10)
    y = np.exp(x) + 100.0 * (robot == "b") - 50.0 * (robot == "c")
    once = np.ones((1, 30))
    for statistic in (report.spearman, report.kendall):
        assert statistic(x, y, robot, once)[0] == pytest.approx(1.0)
        assert statistic(-x, y, robot, once)[0] == pytest.approx(-1.0)
        assert statistic(x, y, np.full(30, "any"), once)[0] < 0.9


def test_flags_are_the_area_under_the_curve(report):
    rng = np.random.default_rng(3)
    x, y = sides(rng, 40)
    lost = y > 0.5
    area = stats.mannwhitneyu(x[lost], x[~lost]).statistic / (lost.sum() * (~lost).sum())
    assert report.flagged(x, lost, np.full(40, "a"), np.ones((1, 40)))[0] == pytest.approx(area)


def test_what_does_not_vary_correlates_with_nothing(report):
    robot, once = np.full(5, "a"), np.ones((1, 5))
    assert report.spearman(np.zeros(5), np.arange(5.0), robot, once)[0] == 0
    assert report.kendall(np.arange(5.0), np.zeros(5), robot, once)[0] == 0


def test_resamples_stay_within_their_robot(report):
    robot = np.repeat(["a", "b"], [3, 5])
    counts = report.resampled(robot, np.random.default_rng(0))
    assert (counts[0] == 1).all()
    assert (counts[:, :3].sum(axis=1) == 3).all()
    assert (counts[:, 3:].sum(axis=1) == 5).all()


def test_a_score_that_is_missing_leaves_its_worlds_out(report, tables):
    rng = np.random.default_rng(4)
    loss = rng.normal(size=12)
    score = np.where(np.arange(12) < 2, np.nan, loss)
    kind, robot = np.full(12, "timing"), np.full(12, "a")
    worlds = report.Worlds(robot, kind, kind, loss, loss, loss, loss, {"whole": -loss, "parted": score})
    assert tables.statistic(tables.of_ranks, worlds, "parted").value == pytest.approx(1.0)
    assert tables.advantage(worlds, "parted", "whole").value == pytest.approx(2.0)
    assert tables.pooled(worlds).splitlines()[-1].endswith("| 10 |")
