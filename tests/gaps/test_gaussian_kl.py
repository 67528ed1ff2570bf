"""Gaussians by their moments: the chain rule, data processing, and no bias."""

import numpy as np
import pytest
from gaussian_levels import trajectory_divergence, transition_divergence
from hypothesis import given, settings
from hypothesis import strategies as st

from sim2real_cat.gaps.gaussian_kl import Moments, divergence, unbiased_divergence


def linear_process(rng, d, steps):
    """Mean and covariance of o_0..o_steps, stacked, of o' = A o + b + noise from a random start."""
    a, b = rng.normal(size=(d, d)) * rng.uniform(0.1, 0.6), rng.normal(size=d)
    root, start = rng.normal(size=(2, d, d))
    noise, covariance = root @ root.T + 0.1 * np.eye(d), start @ start.T + 0.1 * np.eye(d)
    mean = rng.normal(size=d)
    means, blocks = [mean], {(0, 0): covariance}
    for t in range(steps):
        means.append(a @ means[-1] + b)
        for s in range(t + 1):
            blocks[s, t + 1] = blocks[s, t] @ a.T
        blocks[t + 1, t + 1] = a @ blocks[t, t] @ a.T + noise
    whole = np.block(
        [
            [blocks[min(i, j), max(i, j)] if i <= j else blocks[j, i].T for j in range(steps + 1)]
            for i in range(steps + 1)
        ]
    )
    return Moments(np.concatenate(means), whole)


def part(whole, d, t, count=1):
    at = slice(t * d, (t + count) * d)
    return Moments(whole.mean[at], whole.covariance[at, at])


@settings(derandomize=True, deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), d=st.integers(1, 4), steps=st.integers(1, 5))
def test_levels_of_markov_processes(seed, d, steps):
    rng = np.random.default_rng(seed)
    real, sim = linear_process(rng, d, steps), linear_process(rng, d, steps)
    whole = divergence(real, sim)
    each = [transition_divergence(part(real, d, t, 2), part(sim, d, t, 2)) for t in range(steps)]
    first = divergence(part(real, d, 0), part(sim, d, 0))
    # The chain rule, step by step and in the mean, where the pairs of all steps are one (a single step).
    assert first + sum(each) == pytest.approx(whole, rel=1e-6)
    pairs = part(real, d, 0, 2), part(sim, d, 0, 2)
    one_step = divergence(*pairs)
    assert trajectory_divergence((part(real, d, 0), part(sim, d, 0)), pairs, 1) == pytest.approx(one_step, rel=1e-6)
    # Data processing: a part of an episode diverges at most as the whole does, and nothing diverges by less than 0.
    slack = 1e-9 * (1 + whole)
    assert min(each) >= -slack
    for t in range(steps + 1):
        assert -slack <= divergence(part(real, d, t), part(sim, d, t)) <= whole + slack


@settings(derandomize=True, deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), d=st.integers(1, 5), kept=st.integers(1, 5))
def test_any_linear_map_loses_divergence(seed, d, kept):
    rng = np.random.default_rng(seed)
    real, sim = (part(linear_process(rng, d, 1), d, 0) for _ in range(2))
    matrix = rng.normal(size=(min(kept, d), d))
    mapped = [Moments(matrix @ m.mean, matrix @ m.covariance @ matrix.T) for m in (real, sim)]
    assert divergence(*mapped) <= divergence(real, sim) * (1 + 1e-6) + 1e-9


def test_of_a_distribution_from_itself_is_zero():
    moments = Moments(np.array([1.0, 2.0]), np.array([[2.0, 1.9], [1.9, 2.0]]))
    assert divergence(moments, moments) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("n", "m"), [(40, 60), (200, 25)])
def test_unbiased_in_small_samples(n, m):
    rng, d = np.random.default_rng(0), 4
    truth = divergence(Moments(np.zeros(d), np.eye(d)), Moments(np.full(d, 0.5), 2 * np.eye(d)))
    found = np.empty((3000, 2))
    for i in range(len(found)):
        x, y = rng.normal(size=(n, d)), 0.5 + np.sqrt(2) * rng.normal(size=(m, d))
        moments = Moments.of(x), Moments.of(y)
        found[i] = divergence(*moments), unbiased_divergence(*moments, n, m)
    error = found.std(axis=0) / np.sqrt(len(found))
    plug_in, unbiased = found.mean(axis=0)
    assert abs(unbiased - truth) < 4 * error[1]
    assert plug_in - truth > 20 * error[0]
