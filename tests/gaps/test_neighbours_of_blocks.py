"""Which points are neighbours: by brute force, with blocks left out and in Theiler windows."""

import numpy as np
import pytest

from sim2real_cat.gaps.nearest_neighbours import NearestPoints, TimeExclusion
from sim2real_cat.gaps.resampling import Blocks

FAR = 4


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
