"""Nearest neighbours are those of scipy's k-d tree, by either road."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from sim2real_cat.gaps import nearest_neighbours as module
from sim2real_cat.gaps.nearest_neighbours import nearest


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
