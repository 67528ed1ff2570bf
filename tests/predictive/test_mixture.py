"""The mixture along episodes, held to closed forms and to the chain rule."""

from __future__ import annotations

import numpy as np
import pytest
from density_cases import episodes
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp

from sim2real_cat.errors import GapError
from sim2real_cat.posteriors.densities import gaussian_densities
from sim2real_cat.predictive.mixture import mixture_terms


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
