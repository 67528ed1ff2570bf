"""What must not change the answer, and the answer by another road."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim2real_cat.gaps.estimate import VARIANTS
from sim2real_cat.gaps.gaussian_kl import Normal
from sim2real_cat.gaps.kl_gap import gap, pointwise


def brute_force(real, sim, k, blocks):
    """Wang, Kulkarni and Verdú's estimate by the full distance matrices, own blocks left out."""
    pooled = np.concatenate([real, sim])
    white = np.linalg.inv(np.linalg.cholesky(np.cov(pooled, rowvar=False))).T
    real, sim = real @ white, sim @ white
    total = 0.0
    for i in range(len(real)):
        others = real[blocks != blocks[i]]
        rho = np.sort(np.linalg.norm(others - real[i], axis=1))[k - 1]
        nu = np.sort(np.linalg.norm(sim - real[i], axis=1))[k - 1]
        total += real.shape[1] * np.log(nu / rho) + np.log(len(sim) / len(others))
    return total / len(real)


@pytest.mark.parametrize("k", [1, 3])
def test_knn_is_the_brute_force_estimate(k):
    rng = np.random.default_rng(k)
    real, sim = rng.normal(size=(6, 20, 2)), rng.normal(size=(9, 20, 2)) * 1.5
    found = gap(list(real), list(sim), method="knn", level="occupancy", neighbours=k, variant="extrapolated")
    args = real.reshape(-1, 2), sim.reshape(-1, 2)
    blocks = np.repeat(np.arange(6), 20)
    near, far = (brute_force(*args, n, blocks) for n in (k, 4 * k))
    assert found.plug_in == pytest.approx(near)
    assert found.raw == pytest.approx(near + (near - far) / (4 ** (1 / 2) - 1))


def test_knn_transition_is_joint_minus_marginal():
    rng = np.random.default_rng(2)
    real, sim = rng.normal(size=(5, 15, 1)).cumsum(axis=1), rng.normal(size=(5, 15, 1)).cumsum(axis=1)
    found = gap(list(real), list(sim), method="knn", neighbours=2)
    pairs = [np.concatenate([x[:, :-1], x[:, 1:]], axis=2).reshape(-1, 2) for x in (real, sim)]
    blocks = np.repeat(np.arange(5), 14)
    joint = brute_force(*pairs, 2, blocks)
    o = [p[:, :1] / np.concatenate([q[:, :1] for q in pairs]).std(ddof=1) for p in pairs]
    total = 0.0
    for i in range(len(o[0])):
        others = o[0][blocks != blocks[i]]
        rho, nu = (np.sort(np.abs(side - o[0][i]).ravel())[1] for side in (others, o[1]))
        total += np.log(nu / rho) + np.log(len(o[1]) / len(others))
    marginal = total / len(o[0])
    assert found.plug_in == pytest.approx(joint - marginal)


def test_equal_weights_by_resampling_weights(recorded):
    # A member given twice under two names, at half the weight each, is the same mixture.
    rng = np.random.default_rng(3)
    real = recorded(list(rng.normal(size=(8, 30, 2))), np.zeros(8, int))
    a, b = list(rng.normal(size=(4, 30, 2))), list(rng.normal(size=(4, 30, 2)) + 1)
    once = gap(real, recorded(a + b, np.repeat([0, 1], 4)), weights={0: 0.5, 1: 0.5})
    twice = gap(real, recorded(a + a + b, np.repeat([0, 2, 1], 4)), weights={0: 1, 2: 1, 1: 2})
    assert once.plug_in == pytest.approx(twice.plug_in)


@pytest.mark.parametrize("method", ["gaussian", "knn"])
def test_member_of_weight_zero_does_not_exist(recorded, method):
    rng = np.random.default_rng(4)
    real = recorded(list(rng.normal(size=(8, 30, 2))), np.zeros(8, int))
    a, b = list(rng.normal(size=(4, 30, 2))), list(rng.normal(size=(4, 30, 2)) + 1)
    both = gap(real, recorded(a + b, np.repeat([0, 1], 4)), method=method, weights=[1, 0])
    alone = gap(real, recorded(a, np.zeros(4, int)), method=method)
    assert both == alone


@pytest.mark.parametrize("level", ["occupancy", "transition"])
@settings(derandomize=True, deadline=None, max_examples=20)
@given(seed=st.integers(0, 999), scale=st.floats(1e-3, 1e3), shift=st.floats(-100, 100))
def test_affine_maps_of_the_sensors_change_nothing(level, seed, scale, shift):
    rng = np.random.default_rng(seed)
    real, sim = list(rng.normal(size=(5, 20, 2))), list(rng.normal(size=(5, 20, 2)) + 0.3)
    matrix = scale * np.array([[1.0, 0.4], [-0.3, 2.0]])
    plain = gap(real, sim, level=level)
    mapped = gap([x @ matrix + shift for x in real], [x @ matrix + shift for x in sim], level=level)
    assert mapped.raw == pytest.approx(plain.raw, abs=1e-6)
    assert mapped.high == pytest.approx(plain.high, abs=1e-6)


@pytest.mark.parametrize("variant", VARIANTS)
def test_affine_maps_hardly_change_knn(variant):
    rng = np.random.default_rng(5)
    real, sim = rng.normal(size=(400, 2)), rng.normal(size=(400, 2)) + 0.5
    matrix = np.array([[1.0, 0.9], [-0.3, 20.0]])
    plain = gap(real, sim, method="knn", variant=variant)
    mapped = gap(real @ matrix + 7, sim @ matrix + 7, method="knn", variant=variant)
    # The twins of the variant "anchored" turn with the axes.
    assert mapped.raw == pytest.approx(plain.raw, abs=0.01 if variant == "anchored" else 1e-6)


@pytest.mark.parametrize("method", ["gaussian", "knn"])
def test_order_of_episodes_does_not_matter(method):
    rng = np.random.default_rng(6)
    real, sim = list(rng.normal(size=(7, 25, 2))), list(rng.normal(size=(6, 25, 2)) + 0.5)
    forward, backward = gap(real, sim, method=method), gap(real[::-1], sim[::-1], method=method)
    assert (forward.raw, forward.low, forward.high) == pytest.approx((backward.raw, backward.low, backward.high))


@pytest.mark.parametrize("method", ["gaussian", "knn"])
def test_deterministic_under_a_seed(method):
    rng = np.random.default_rng(7)
    real, sim = rng.normal(size=(300, 2)), rng.normal(size=(300, 2)) + 0.5
    assert (
        gap(real, sim, method=method)
        == gap(real, sim, method=method, rng=0)
        == gap(real, sim, method=method, rng=np.random.default_rng(0))
    )
    assert gap(real, sim, method=method).low != gap(real, sim, method=method, rng=1).low


def test_normal_is_scipys():
    from scipy.stats import multivariate_normal

    x = np.random.default_rng(8).normal(size=(50, 3)) @ np.array([[1, 2, 0], [0, 1, 1], [0, 0, 0.1]])
    fitted = Normal.fit(x)
    expected = multivariate_normal(x.mean(axis=0), np.cov(x, rowvar=False, ddof=0)).logpdf(x)
    assert fitted.logpdf(x) == pytest.approx(expected)
    assert fitted.mean_logpdf() == pytest.approx(expected.mean())


def test_plug_in_of_one_member_is_the_closed_form():
    rng = np.random.default_rng(9)
    real, sim = rng.normal(size=(80, 3)) * [1, 2, 3], rng.normal(size=(90, 3)) + 0.4
    cov_p, cov_q = np.cov(real.T, ddof=0), np.cov(sim.T, ddof=0)
    shift, inverse = sim.mean(0) - real.mean(0), np.linalg.inv(cov_q)
    volume = np.linalg.slogdet(cov_q)[1] - np.linalg.slogdet(cov_p)[1]
    truth = 0.5 * (np.trace(inverse @ cov_p) + shift @ inverse @ shift - 3 + volume)
    assert gap(real, sim).plug_in == pytest.approx(truth)


@pytest.mark.parametrize("level", ["occupancy", "transition"])
def test_pointwise_averages_to_the_plug_in(recorded, level):
    rng = np.random.default_rng(10)
    real = [rng.normal(size=(t, 2)) for t in (30, 1, 20)]
    sim = recorded(list(rng.normal(size=(6, 25, 2)) + 0.3), np.repeat([0, 1], 3))
    terms = pointwise(real, sim, level=level, weights=[1, 2])
    assert [len(x) for x in terms] == ([30, 1, 20] if level == "occupancy" else [29, 0, 19])
    found = gap(real, sim, level=level, weights=[1, 2])
    assert np.concatenate(terms).mean() == pytest.approx(found.plug_in)
    assert found.n_real == sum(len(x) for x in terms)


def test_printed():
    rng = np.random.default_rng(11)
    found = gap(list(rng.normal(size=(8, 50, 2))), list(rng.normal(size=(8, 50, 2)) + 1))
    expected = f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}] nats per control step (gaussian, transition)"
    assert str(found) == expected
    assert (found.episodes_real, found.episodes_sim, found.n_real, found.n_members) == (8, 8, 392, 1)
