"""Nearest neighbours: those of scipy's k-d tree, and by brute force with blocks left out and in Theiler windows."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from sim2real_cat.gaps import nearest_neighbours as module
from sim2real_cat.gaps.nearest_neighbours import NearestPoints, TimeExclusion, nearest
from sim2real_cat.gaps.resampling import Blocks

FAR = 4


@pytest.mark.parametrize("d", [1, 3, 9, 20])
@pytest.mark.parametrize(("n", "q", "count"), [(5000, 300, 7), (300, 2, 1), (40, 300, 39)])
def test_as_scipys(d, n, q, count):
    rng = np.random.default_rng(d)
    # Queries in the midst and in the tails, of which the nearest are to be found at any |b|² - 2 a·b.
    points, queries = rng.normal(size=(n, d)), rng.normal(size=(q, d)) * np.linspace(0, 2, q)[:, None]
    distance, index = nearest(queries, points, count)
    expected, rows = cKDTree(points).query(queries, k=range(1, count + 1))
    np.testing.assert_allclose(distance, expected, rtol=1e-12)
    np.testing.assert_array_equal(index, rows)


@pytest.mark.parametrize("d", [2, 12])
def test_fewer_points_than_wanted(d):
    points = np.random.default_rng(0).normal(size=(3, d))
    distance, index = nearest(points, points, 5)
    assert np.isinf(distance[:, 3:]).all()
    assert (index[:, 3:] == 3).all()


def test_points_that_coincide_or_lie_far_from_the_origin():
    rng = np.random.default_rng(1)
    points = 1e3 + np.repeat(rng.normal(size=(3000, 10)), 2, axis=0)
    distance, _ = nearest(points[:100], points, 3)
    assert (distance[:, :2] == 0).all()
    np.testing.assert_allclose(distance, cKDTree(points).query(points[:100], k=3)[0], rtol=1e-9)


def test_the_same_bytes_whatever_the_number_of_threads(monkeypatch):
    points = np.random.default_rng(2).normal(size=(4000, 12))
    many = nearest(points, points, 6)
    monkeypatch.setattr(module.os, "cpu_count", lambda: 1)
    one = nearest(points, points, 6)
    assert many[0].tobytes() == one[0].tobytes()
    assert many[1].tobytes() == one[1].tobytes()


@pytest.fixture
def walk():
    """Points of a slow walk, so that nearly all near ones are of the own block; three blocks of unequal size."""
    points = np.random.default_rng(0).normal(size=(90, 2)).cumsum(axis=0)
    return points, Blocks(np.repeat([0, 1, 2], [20, 30, 40]), np.zeros(3, dtype=np.intp))


def expected(points, allowed):
    """(n, FAR) distances to the nearest of the allowed (n, n) points."""
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    return np.sort(np.where(allowed, distance, np.inf), axis=1)[:, :FAR]


@pytest.mark.parametrize("out", [None, 0, 2])
@pytest.mark.parametrize("theiler", [None, 0, 3, 100])
def test_real_neighbours(walk, theiler, out):
    points, blocks = walk
    exclusion = TimeExclusion.choose(blocks.label, blocks, theiler)
    found, block = NearestPoints.within(points, exclusion, np.arange(90), FAR).without(out)
    rows = np.arange(90)
    own = blocks.label[:, None] == blocks.label[None]
    near = own if theiler is None else own & (np.abs(rows[:, None] - rows[None]) <= theiler)
    allowed = ~near & (blocks.label[None] != (-1 if out is None else out))
    kept = blocks.label != out if out is not None else np.ones(90, dtype=bool)
    np.testing.assert_allclose(found[kept], expected(points, allowed)[kept])
    np.testing.assert_array_equal(exclusion.others(out)[kept], allowed.sum(axis=1)[kept])
    assert out is None or not (block[kept] == out).any()


@pytest.mark.parametrize("out", [None, 1])
def test_neighbours_on_the_other_side(walk, out):
    points, blocks = walk
    found, _ = NearestPoints.among(points, blocks, points + 0.1, FAR).without(out)
    distance = np.linalg.norm((points + 0.1)[:, None] - points[None], axis=2)
    distance[:, blocks.label == out] = np.inf
    np.testing.assert_allclose(found, np.sort(distance, axis=1)[:, :FAR])


def test_independent_rows_are_only_no_neighbours_of_themselves():
    points = np.random.default_rng(1).normal(size=(30, 2))
    blocks = Blocks(np.arange(30) % 3, np.zeros(3, dtype=np.intp))
    exclusion = TimeExclusion.choose(np.arange(30), blocks, None)
    found, _ = NearestPoints.within(points, exclusion, np.arange(30), FAR).without(None)
    np.testing.assert_allclose(found, expected(points, ~np.eye(30, dtype=bool)))
    assert (exclusion.others(None) == 29).all()
