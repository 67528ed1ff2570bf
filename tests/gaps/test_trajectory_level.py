"""The level of whole episodes, and the order of the levels."""

import numpy as np
import pytest

from sim2real_cat.errors import GapError
from sim2real_cat.gaps.gaussian_kl import Moments, divergence
from sim2real_cat.gaps.kl_gap import gap, pointwise


def whole_episodes(episodes):
    return Moments.of(np.stack([e.ravel() for e in episodes]))


@pytest.mark.parametrize("method", ["gaussian", "knn"])
def test_is_the_divergence_of_episodes_as_vectors(autoregressive, method):
    # Episodes of an autoregression are Gaussian vectors of T d numbers: their KL, estimated without the chain rule.
    rng = np.random.default_rng(0)
    real, sim = autoregressive(rng, 4000, 5, 1, 0.7), autoregressive(rng, 4000, 5, 1, 0.7, scale=1.3)
    direct = divergence(whole_episodes(real), whole_episodes(sim))
    count = 4000 if method == "gaussian" else 600
    found = gap(real[:count], sim[:count], method=method, level="trajectory")
    assert found.raw == pytest.approx(direct, rel=0.05 if method == "gaussian" else 0.25)
    assert (found.level, found.units) == ("trajectory", "nats per episode")
    assert "first-order Markov" in found.why[-1]
    assert found.low < direct < found.high


def test_data_processing_between_the_levels(autoregressive):
    rng = np.random.default_rng(1)
    real, sim = autoregressive(rng, 500, 10, 2, 0.8, scale=1.4), autoregressive(rng, 500, 10, 2, 0.8)
    levels = ("occupancy", "transition", "trajectory")
    occupancy, transition, trajectory = (gap(real, sim, method="gaussian", level=level).raw for level in levels)
    assert occupancy < trajectory
    assert 9 * transition < trajectory


def test_episodes_that_all_start_alike(autoregressive):
    rng = np.random.default_rng(2)
    real, sim = ([e - e[:1] for e in autoregressive(rng, 30, 40, 2, 0.8, scale=s)] for s in (1.4, 1.0))
    found = gap(real, sim, method="gaussian", level="trajectory")
    assert "the first observation is the same" in found.why[-1]
    # Leaving out the first transition, where o has no spread, changes nothing else.
    assert found.raw == pytest.approx(39 * gap(real, sim, method="gaussian").raw)


def test_refused(autoregressive):
    rng = np.random.default_rng(3)
    few = autoregressive(rng, 3, 100, 2, 0.8)
    with pytest.raises(GapError, match="first observations: the observations of the real side: 3 points are too few"):
        gap(few, autoregressive(rng, 30, 100, 2, 0.8), method="gaussian", level="trajectory")
    with pytest.raises(GapError, match="needs episodes of at least 2 steps"):
        gap(np.ones((5, 2)), few, level="trajectory")
    with pytest.raises(GapError, match="no share in the level 'trajectory'"):
        pointwise(few, few, level="trajectory")
