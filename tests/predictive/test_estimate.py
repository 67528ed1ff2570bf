"""The estimate of the gap from densities: its parts, its interval and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from density_cases import episodes
from scipy import stats

from sim2real_cat.errors import GapError
from sim2real_cat.posteriors.densities import gaussian_densities
from sim2real_cat.predictive.estimate import gap_of_densities


def test_the_estimate_says_what_it_is():
    rng = np.random.default_rng(10)
    parts = episodes(rng, count=8, apart=1.0)
    blocks = [
        {1.0: gaussian_densities(*parts), 2.0: gaussian_densities(*parts[:3], 2 * parts[3], parts[4], 2 * parts[5])}
    ]
    found = gap_of_densities(blocks, [1, 1, 2], ("a", "b"), noise="as given", notes=["a note"])
    estimate = found.estimate
    assert (estimate.method, estimate.level, estimate.units) == ("predictive", "transition", "nats per control step")
    assert (estimate.n_real, estimate.n_sim, estimate.episodes_real, estimate.n_members) == (240, 720, 8, 3)
    assert estimate.raw == found.terms.mean()
    assert estimate.low < estimate.value < estimate.high
    assert found.weights.tolist() == [0.25, 0.25, 0.5]
    assert found.episode_posterior.shape == (8, 3)
    np.testing.assert_allclose(found.episode_posterior.sum(axis=1), 1)
    assert estimate.why[0].startswith("noise as given; with 2 of its deviation the gap would be ")
    assert estimate.why[-1] == "a note"


def test_many_blocks_are_one():
    rng = np.random.default_rng(11)
    parts = episodes(rng, count=4)
    whole = gap_of_densities([{1.0: gaussian_densities(*parts)}], np.ones(3), ("a", "b"), noise="")
    halves = []
    for rows in (slice(0, 60), slice(60, 120)):
        some = (
            parts[0][rows] - parts[0][rows][0],
            parts[1][rows],
            parts[2][:, rows],
            parts[3],
            parts[4][rows],
            parts[5],
        )
        halves.append({1.0: gaussian_densities(*some)})
    joined = gap_of_densities(halves, np.ones(3), ("a", "b"), noise="")
    assert joined.estimate == whole.estimate
    np.testing.assert_array_equal(joined.terms, whole.terms)
    np.testing.assert_array_equal(joined.posterior, whole.posterior)


def test_intervals_cover():
    """Episodes that differ: the truth is the mean over all episodes there could be."""
    hits = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        shift = np.repeat(rng.normal(1.0, 0.3, 16), 20)[None, :, None]
        parts = list(episodes(rng, count=16, steps=20, d=1, members=1))
        parts[2] = np.broadcast_to(shift, (1, 320, 1))
        found = gap_of_densities([{1.0: gaussian_densities(*parts)}], [1.0], ("a",), noise="").estimate
        hits += found.low <= 0.5 * (1.0 + 0.09) <= found.high
    assert stats.binom.ppf(1e-3, 200, 0.95) <= hits <= 199


def test_few_moments_and_the_far_tail_are_said():
    rng = np.random.default_rng(12)
    parts = list(episodes(rng, count=4, apart=0.0, members=1))
    parts[2][0, 17] = 9.0
    found = gap_of_densities([{1.0: gaussian_densities(*parts)}], [1.0], ("a", "b"), noise="").estimate
    assert any("half of the gap arises in 0.8% of the transitions" in note for note in found.why)
    parts[2][0, :60] = 9.0
    found = gap_of_densities([{1.0: gaussian_densities(*parts)}], [1.0], ("a", "b"), noise="").estimate
    assert any("50% of the transitions lie beyond six deviations" in note for note in found.why)


@pytest.mark.parametrize(
    ("blocks", "options", "message"),
    [
        ([], {}, "no densities with the noise as it is"),
        (None, {"confidence": 95}, "confidence is 95"),
        (None, {"weights": [1, -1, 1]}, "weights must be finite, not negative"),
        (None, {"weights": [0, 0, 0]}, "weights must be finite, not negative and not all 0"),
    ],
)
def test_refused(blocks, options, message):
    parts = episodes(np.random.default_rng(13))
    blocks = [{1.0: gaussian_densities(*parts)}] if blocks is None else blocks
    with pytest.raises(GapError, match=message):
        gap_of_densities(blocks, options.pop("weights", np.ones(3)), ("a", "b"), noise="", **options)
