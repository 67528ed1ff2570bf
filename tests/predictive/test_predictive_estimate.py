"""The mixture along episodes, densities and filters, held to closed forms computed by other roads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import logsumexp

from sim2real_cat.errors import GapError
from sim2real_cat.posteriors.densities import Densities, assemble, gaussian_densities, joint_densities, side_by_side
from sim2real_cat.posteriors.kalman import filtered
from sim2real_cat.predictive.estimate import predictive
from sim2real_cat.predictive.fitted_reality import cross_fit
from sim2real_cat.predictive.mixture import weigh


def episodes(rng, count=6, steps=30, d=2, members=3, apart=0.5):
    """Readings of reality N(0, 1), and members that expect something else, each in every step."""
    n = count * steps
    episode = np.repeat(np.arange(count), steps)
    reading = rng.normal(size=(n, d))
    expected = apart * rng.normal(size=(members, n, d))
    return episode, reading, expected, np.ones((members, d)), np.zeros((n, d)), np.ones(d)


def test_gaussian_densities_are_scipys():
    rng = np.random.default_rng(0)
    episode, reading, expected, _, real_expected, _ = episodes(rng)
    deviation, real_deviation = rng.uniform(0.5, 2, (3, 2)), rng.uniform(0.5, 2, 2)
    found = gaussian_densities(episode, reading, expected, deviation, real_expected, real_deviation)
    own = stats.norm.logpdf(reading, expected, deviation[:, None])
    np.testing.assert_allclose(found.members, own.sum(axis=2))
    np.testing.assert_allclose(found.reality, stats.norm.logpdf(reading, real_expected, real_deviation).sum(axis=1))
    np.testing.assert_allclose(found.sensor_members, own.reshape(3, 6, 30, 2).sum(axis=2))
    draws = real_expected + real_deviation * rng.normal(size=(200_000, 1, 2))
    ratio = stats.norm.logpdf(draws[:, 0], 0, real_deviation) - stats.norm.logpdf(
        draws[:, 0], expected[1, 4], deviation[1]
    )
    assert found.divergence[1, 4] == pytest.approx(ratio.sum(axis=1).mean(), rel=0.02)
    np.testing.assert_allclose(found.excess + found.divergence, found.reality - found.members)


def test_joint_densities_without_dependence_are_the_independent_ones():
    rng = np.random.default_rng(1)
    episode, reading, expected, _, real_expected, _ = episodes(rng)
    deviation, real_deviation = rng.uniform(0.5, 2, (3, 2)), rng.uniform(0.5, 2, 2)
    expected[1, 7] = np.nan
    alone = gaussian_densities(episode, reading, expected, deviation, real_expected, real_deviation)
    covariance = np.broadcast_to(np.square(deviation)[:, None, :, None] * np.eye(2), (3, 180, 2, 2))
    real_covariance = np.broadcast_to(np.diag(real_deviation**2), (180, 2, 2))
    joint = joint_densities(episode, reading, expected, covariance, real_expected, real_covariance)
    for name in ("members", "reality", "excess", "divergence", "sensor_members", "sensor_reality"):
        np.testing.assert_allclose(getattr(joint, name), getattr(alone, name), atol=1e-9, err_msg=name)


def test_joint_densities_see_dependence():
    rng = np.random.default_rng(2)
    covariance = np.array([[1.0, 0.8], [0.8, 2.0]])
    reading = rng.normal(size=(5, 2))
    found = joint_densities(
        np.zeros(5, int),
        reading,
        np.ones((1, 5, 2)),
        np.tile(covariance, (1, 5, 1, 1)),
        np.zeros((5, 2)),
        np.tile(np.eye(2), (5, 1, 1)),
    )
    np.testing.assert_allclose(found.members[0], stats.multivariate_normal([1, 1], covariance).logpdf(reading))
    solved = np.linalg.inv(covariance)
    truth = 0.5 * (np.trace(solved) + solved.sum() - 2 + np.log(np.linalg.det(covariance)))
    np.testing.assert_allclose(found.divergence[0], truth)


@settings(derandomize=True, deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), apart=st.floats(0, 50))
def test_terms_add_up_to_the_trajectory(seed, apart):
    """By the chain rule, and bounded by every single member: T gap <= KL(P_real || P_e) + ln 1/w_e."""
    rng = np.random.default_rng(seed)
    densities = gaussian_densities(*episodes(rng, apart=apart))
    weights = rng.dirichlet(np.ones(3))
    found = weigh(densities, np.log(weights))
    whole = densities.members.reshape(3, 6, 30).sum(axis=2)
    np.testing.assert_allclose(
        found.ratios.reshape(6, 30).sum(axis=1), found.log_reality - found.log_mixture, atol=1e-9
    )
    np.testing.assert_allclose(found.log_mixture, logsumexp(np.log(weights)[:, None] + whole, axis=0))
    bound = (densities.reality.reshape(6, 30).sum(axis=1) - whole - np.log(weights)[:, None]).min(axis=0)
    assert (found.log_reality - found.log_mixture <= bound + 1e-9).all()


def test_one_member_gives_the_closed_form_whatever_was_read():
    rng = np.random.default_rng(3)
    parts = episodes(rng, members=1)
    densities = gaussian_densities(*parts)
    found = weigh(densities, np.zeros(1))
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
        found = weigh(densities, np.log(np.full(4, 0.25)))
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
    found = weigh(gaussian_densities(*parts), np.log([0.5, 0.5]))
    alone = weigh(
        gaussian_densities(parts[0], parts[1], parts[2][1:], *(p[1:] for p in parts[3:4]), *parts[4:]), np.zeros(1)
    )
    np.testing.assert_allclose(found.terms[4:30], alone.terms[4:30])
    assert np.isneginf(found.log_likelihood[0, 0])
    assert np.isfinite(found.log_likelihood[1]).all()
    parts[2][1, 3] = np.nan
    with pytest.raises(
        GapError, match="no member of the fibre can have produced what was read after step 3 of episode 0"
    ):
        weigh(gaussian_densities(*parts), np.log([0.5, 0.5]))


def test_channels_side_by_side_are_one():
    rng = np.random.default_rng(6)
    episode, reading, expected, deviation, real_expected, real_deviation = episodes(rng, d=3)
    whole = gaussian_densities(episode, reading, expected, deviation, real_expected, real_deviation)
    parts = [
        gaussian_densities(
            episode, reading[:, s], expected[:, :, s], deviation[:, s], real_expected[:, s], real_deviation[s]
        )
        for s in ([2], [0, 1])
    ]
    joined = side_by_side(parts, np.argsort([2, 0, 1]))
    for name in ("members", "reality", "excess", "divergence", "sensor_members", "sensor_reality"):
        np.testing.assert_allclose(getattr(joined, name), getattr(whole, name), atol=1e-12, err_msg=name)


class Linear:
    """x' = A x and o = C x in every lane."""

    def __init__(self, dynamics, sensors):
        self.dynamics, self.sensors = dynamics, sensors

    def ahead(self, states, step):
        after = states @ self.dynamics.T
        return after, after @ self.sensors.T

    def moved(self, states, step):
        return states + step

    def apart(self, after, before):
        return after - before


def test_a_filter_on_linear_dynamics_is_kalmans():
    """The product of its densities is the joint density of all readings."""
    rng = np.random.default_rng(7)
    dynamics, sensors = np.array([[0.9, 0.2], [-0.3, 0.8]]), np.array([[1.0, 0.5]])
    start, covariance, noise, steps = np.array([1.0, -1.0]), np.diag([0.4, 0.9]), 0.3, 12
    seen = np.concatenate([sensors @ np.linalg.matrix_power(dynamics, t + 1) for t in range(steps)])
    whole = stats.multivariate_normal(seen @ start, seen @ covariance @ seen.T + noise**2 * np.eye(steps))
    reading = np.stack([whole.rvs(random_state=rng) for _ in range(5)])
    found = filtered(
        Linear(dynamics, sensors), np.tile(start, (5, 1)), covariance, reading[..., None], np.full((5, 1), noise)
    )
    logs = stats.norm.logpdf(reading, found.expected[..., 0], np.sqrt(found.covariance[..., 0, 0])).sum(axis=1)
    np.testing.assert_allclose(logs, whole.logpdf(reading))


def test_a_filter_goes_on_where_nothing_is_read_and_stops_where_it_diverges():
    model = Linear(np.eye(2), np.eye(2))
    reading = np.zeros((2, 5, 2))
    reading[0, 3:] = np.nan
    ahead = model.ahead

    def diverging(states, step):
        after, read = ahead(states, step)
        if step == 2:
            read[1] = np.nan
        return after, read

    model.ahead = diverging
    found = filtered(model, np.ones((2, 2)), np.eye(2), reading, np.ones((2, 2)))
    assert np.isfinite(found.expected[0]).all()
    assert np.isnan(found.expected[1]).all(axis=1).tolist() == [False, False, True, False, False]
    assert (np.diff(np.diagonal(found.covariance[0], axis1=1, axis2=2)[:3], axis=0) < 0).all()


def test_reality_is_fitted_to_what_it_has_not_seen():
    rng = np.random.default_rng(8)
    episode, features = np.repeat(np.arange(12), 50), rng.normal(size=(600, 3))
    simulated = features[:, :2]
    reading = simulated + features @ rng.normal(size=(3, 2)) + 0.5 + 0.2 * rng.normal(size=(600, 2))
    found = cross_fit(reading, simulated, features, episode)
    assert found.folds == 10
    assert found.calibration == pytest.approx(1.0, abs=0.1)
    np.testing.assert_allclose(found.deviation.mean(axis=0), 0.2, rtol=0.1)
    right = cross_fit(simulated + 0.2 * rng.normal(size=(600, 2)), simulated, features, episode)
    assert np.abs(right.expected - simulated).max() < 0.1
    assert not right.reasons
    other = np.where(episode < 6, 1.0, -1.0)[:, None] * features[:, :2]
    wrong = cross_fit(simulated + other + 10 * (episode == 3)[:, None] * other, simulated, features, episode)
    assert "fitted" in wrong.reasons[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda kept: kept == 0, "there is a single one: add episodes"),
        (lambda kept: kept < 2, "too few to fit reality's density with 9 features"),
    ],
)
def test_too_little_to_fit(change, message):
    rng = np.random.default_rng(9)
    kept = change(np.repeat(np.arange(4), 8))
    arrays = rng.normal(size=(32, 2))[kept], rng.normal(size=(32, 2))[kept], rng.normal(size=(32, 6))[kept]
    with pytest.raises(GapError, match=message):
        cross_fit(*arrays, np.repeat(np.arange(4), 8)[kept])


def test_the_estimate_says_what_it_is():
    rng = np.random.default_rng(10)
    parts = episodes(rng, count=8, apart=1.0)
    blocks = [
        {1.0: gaussian_densities(*parts), 2.0: gaussian_densities(*parts[:3], 2 * parts[3], parts[4], 2 * parts[5])}
    ]
    found = predictive(blocks, [1, 1, 2], ("a", "b"), noise="as given", notes=["a note"])
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
    whole = predictive([{1.0: gaussian_densities(*parts)}], np.ones(3), ("a", "b"), noise="")
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
    joined = predictive(halves, np.ones(3), ("a", "b"), noise="")
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
        found = predictive([{1.0: gaussian_densities(*parts)}], [1.0], ("a",), noise="").estimate
        hits += found.low <= 0.5 * (1.0 + 0.09) <= found.high
    assert stats.binom.ppf(1e-3, 200, 0.95) <= hits <= 199


def test_few_moments_and_the_far_tail_are_said():
    rng = np.random.default_rng(12)
    parts = list(episodes(rng, count=4, apart=0.0, members=1))
    parts[2][0, 17] = 9.0
    found = predictive([{1.0: gaussian_densities(*parts)}], [1.0], ("a", "b"), noise="").estimate
    assert any("half of the gap arises in 0.8% of the transitions" in note for note in found.why)
    parts[2][0, :60] = 9.0
    found = predictive([{1.0: gaussian_densities(*parts)}], [1.0], ("a", "b"), noise="").estimate
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
        predictive(blocks, options.pop("weights", np.ones(3)), ("a", "b"), noise="", **options)


def test_malformed_densities_are_refused():
    rng = np.random.default_rng(14)
    good = gaussian_densities(*episodes(rng))
    with pytest.raises(GapError, match="no transition"):
        assemble(np.zeros(0, int), np.zeros((1, 0, 2)), np.zeros((0, 2)))
    with pytest.raises(GapError, match="need arrays"):
        Densities(
            good.episode,
            good.members[:, 1:],
            good.reality,
            good.excess,
            good.divergence,
            good.sensor_members,
            good.sensor_reality,
        )
    with pytest.raises(GapError, match="NaN"):
        assemble(good.episode, np.zeros((1, 180, 2)), np.full((180, 2), np.nan))
