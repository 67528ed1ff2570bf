"""The mixture along episodes, held to closed forms, and the estimate: its parts, its interval, what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from density_cases import episodes
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import logsumexp

from sim2real_cat.errors import GapError
from sim2real_cat.posteriors.densities import gaussian_densities
from sim2real_cat.predictive.estimate import gap_of_densities, mixture_terms


@settings(derandomize=True, deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), apart=st.floats(0, 50))
def test_terms_add_up_to_the_trajectory(seed, apart):
    """By the chain rule, and bounded by every single member: T gap <= KL(P_real || P_e) + ln 1/w_e."""
    rng = np.random.default_rng(seed)
    densities = gaussian_densities(*episodes(rng, apart=apart))
    weights = rng.dirichlet(np.ones(3))
    found = mixture_terms(densities, np.log(weights))
    whole = densities.log_sim.reshape(3, 6, 30).sum(axis=2)
    np.testing.assert_allclose(found.ratios.reshape(6, 30).sum(axis=1), found.log_real - found.log_mixture, atol=1e-9)
    np.testing.assert_allclose(found.log_mixture, logsumexp(np.log(weights)[:, None] + whole, axis=0))
    bound = (densities.log_real.reshape(6, 30).sum(axis=1) - whole - np.log(weights)[:, None]).min(axis=0)
    assert (found.log_real - found.log_mixture <= bound + 1e-9).all()


def test_one_member_gives_the_closed_form_whatever_was_read():
    rng = np.random.default_rng(3)
    parts = episodes(rng, members=1)
    densities = gaussian_densities(*parts)
    found = mixture_terms(densities, np.zeros(1))
    np.testing.assert_allclose(found.terms, 0.5 * np.square(parts[2][0]).sum(axis=1))
    assert np.abs(found.ratios - found.terms).max() > 1


def test_what_is_taken_out_is_noise():
    """Over many draws of the same readings both means agree, and what is left varies less."""
    rng = np.random.default_rng(4)
    _, _, expected, *_ = episodes(rng, count=1, steps=10, members=4)
    terms, ratios = [], []
    for _ in range(4000):
        reading = rng.normal(size=(10, 2))
        densities = gaussian_densities(
            np.zeros(10, int), reading, expected, np.ones((4, 2)), np.zeros((10, 2)), np.ones(2)
        )
        found = mixture_terms(densities, np.log(np.full(4, 0.25)))
        terms.append(found.terms.sum())
        ratios.append(found.ratios.sum())
    assert np.std(terms) < 0.6 * np.std(ratios)
    error = np.std(np.subtract(terms, ratios)) / np.sqrt(4000)
    assert abs(np.mean(terms) - np.mean(ratios)) < 4 * error


def test_a_member_that_cannot_be_is_out_for_the_episode():
    rng = np.random.default_rng(5)
    parts = list(episodes(rng, members=2, count=2))
    parts[2][0] = 0.0
    parts[2][0, 3] = np.nan
    found = mixture_terms(gaussian_densities(*parts), np.log([0.5, 0.5]))
    alone = mixture_terms(
        gaussian_densities(parts[0], parts[1], parts[2][1:], *(p[1:] for p in parts[3:4]), *parts[4:]), np.zeros(1)
    )
    np.testing.assert_allclose(found.terms[4:30], alone.terms[4:30])
    assert np.isneginf(found.log_likelihood[0, 0])
    assert np.isfinite(found.log_likelihood[1]).all()
    parts[2][1, 3] = np.nan
    with pytest.raises(
        GapError, match="no member of the fibre can have produced what was read after step 3 of episode 0"
    ):
        mixture_terms(gaussian_densities(*parts), np.log([0.5, 0.5]))


def test_the_estimate_says_what_it_is():
    rng = np.random.default_rng(10)
    parts = episodes(rng, count=8, apart=1.0)
    batches = [
        {1.0: gaussian_densities(*parts), 2.0: gaussian_densities(*parts[:3], 2 * parts[3], parts[4], 2 * parts[5])}
    ]
    found = gap_of_densities(batches, [1, 1, 2], ("a", "b"), noise="as given", notes=["a note"])
    estimate = found.estimate
    assert (estimate.method, estimate.level, estimate.units) == ("predictive", "transition", "nats per control step")
    assert (estimate.n_real, estimate.n_sim, estimate.episodes_real, estimate.n_members) == (240, 720, 8, 3)
    assert estimate.raw == found.terms.mean()
    assert estimate.low < estimate.value < estimate.high
    assert found.members.weights.tolist() == [0.25, 0.25, 0.5]
    assert found.members.episode_chances.shape == (8, 3)
    np.testing.assert_allclose(found.members.episode_chances.sum(axis=1), 1)
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
    np.testing.assert_array_equal(joined.members.chances, whole.members.chances)


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
    ("batches", "options", "message"),
    [
        ([], {}, "no densities with the noise as it is"),
        (None, {"confidence": 95}, "confidence is 95"),
        (None, {"weights": [1, -1, 1]}, "weights must be finite, not negative"),
        (None, {"weights": [0, 0, 0]}, "weights must be finite, not negative and not all 0"),
    ],
)
def test_refused(batches, options, message):
    parts = episodes(np.random.default_rng(13))
    batches = [{1.0: gaussian_densities(*parts)}] if batches is None else batches
    with pytest.raises(GapError, match=message):
        gap_of_densities(batches, options.pop("weights", np.ones(3)), ("a", "b"), noise="", **options)
