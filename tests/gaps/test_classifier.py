"""The method "ratio": divergences that are known, what it must flag, and that nothing of a fold answers for it."""

import sys

import numpy as np
import pytest
from scipy import integrate, stats
from threadpoolctl import threadpool_limits

from sim2real_cat.errors import GapError
from sim2real_cat.gaps import classifier
from sim2real_cat.gaps.classifier import (
    CANDIDATES,
    FOLDS,
    Calibration,
    FittedRatios,
    Labelled,
    cross_fit,
    deal_folds,
    estimate_by_classifier,
    fit_candidates,
    fit_ratios,
    with_actions,
)
from sim2real_cat.gaps.estimate import MethodSettings
from sim2real_cat.gaps.kl_gap import gap
from sim2real_cat.gaps.samples import arrange, as_samples, clouds

pytest.importorskip("sklearn", reason="the method 'ratio' needs scikit-learn: pip install 'sim2real-cat[gaps]'")

N = 3000


def closed_form(mean_p, cov_p, mean_q, cov_q):
    inverse, shift = np.linalg.inv(cov_q), mean_q - mean_p
    volume = np.linalg.slogdet(cov_q)[1] - np.linalg.slogdet(cov_p)[1]
    return 0.5 * (np.trace(inverse @ cov_p) + shift @ inverse @ shift - len(mean_p) + volume)


def equicorrelated(d, rho):
    return (1 - rho) * np.eye(d) + rho


@pytest.mark.parametrize(
    ("draw_real", "draw_sim", "truth", "classifier"),
    [
        (lambda r: r.normal(0, 1, N), lambda r: r.normal(5, 5, N), 1.629438, "gaussian"),
        (lambda r: r.laplace(0, 1, 10_000), lambda r: r.normal(0, 1, 10_000), 0.225791, "tails"),
        (lambda r: r.uniform(1, 2, N), lambda r: r.uniform(0, 4, N), np.log(4), "trees"),
    ],
    ids=["normal", "laplace", "uniform"],
)
def test_truth_in_one_dimension(draw_real, draw_sim, truth, classifier):
    rng = np.random.default_rng(1)
    found = gap(draw_real(rng), draw_sim(rng), method="ratio")
    assert found.value == pytest.approx(truth, rel=0.05)
    assert found.plug_in == pytest.approx(truth, rel=0.1)
    assert found.low < truth < found.high
    assert found.reliable
    assert classifier in found.why[0]


def test_two_modes_are_told_from_the_gaussian_with_their_moments():
    rng = np.random.default_rng(1)
    real, sim = rng.normal(0, 0.5, N) + rng.choice([-2, 2], N), rng.normal(0, np.sqrt(4.25), N)
    assert gap(real, sim, method="gaussian").value < 0.01
    found = gap(real, sim, method="ratio")
    assert found.value == pytest.approx(0.723553, rel=0.06)
    assert found.low < 0.723553 < found.high
    assert found.reliable


@pytest.mark.parametrize(("d", "rho", "other"), [(2, 0.999, 0.998), (10, 0.9, 0.8)])
def test_truth_of_correlated_normals(d, rho, other):
    rng = np.random.default_rng(2)
    shift = np.full(d, 0.02)
    truth = closed_form(np.zeros(d), equicorrelated(d, rho), shift, equicorrelated(d, other))
    real = rng.multivariate_normal(np.zeros(d), equicorrelated(d, rho), 2000)
    found = gap(real, rng.multivariate_normal(shift, equicorrelated(d, other), 2000), method="ratio")
    assert found.value == pytest.approx(truth, rel=0.12)
    assert found.low < truth < found.high


def test_support_mismatch_is_never_a_silent_number():
    rng = np.random.default_rng(3)
    found = gap(rng.uniform(0, 4, 2000), rng.uniform(1, 2, 2000), method="ratio")
    assert not found.reliable
    assert found.high == np.inf
    assert found.plug_in <= np.log(2000)
    share = next(why for why in found.why if "look less simulated" in why)
    assert 0.72 < float(share.split("%")[0]) / 100 < 0.78


def test_separated_sides_are_never_a_silent_number():
    rng = np.random.default_rng(4)
    found = gap(rng.normal(size=(300, 2)), rng.normal(size=(300, 2)) + 30, method="ratio")
    assert not found.reliable
    assert found.high == np.inf
    assert np.isfinite(found.value)


@pytest.mark.parametrize("d", [1, 10])
def test_same_on_both_sides_is_near_zero(d):
    rng = np.random.default_rng(5)
    found = gap(rng.normal(size=(400, d)), rng.normal(size=(400, d)), method="ratio")
    assert found.value < 0.03
    assert found.low == 0 < found.high < 0.2
    assert found.reliable


def test_transition_level_of_an_autoregression(recorded, autoregressive):
    rng = np.random.default_rng(4)
    real = recorded(autoregressive(rng, 20, 150, 1, 0.9), np.zeros(20, int))
    sim = recorded(autoregressive(rng, 20, 150, 1, 0.7), np.zeros(20, int))
    found = gap(real, sim, method="ratio")
    q_real, q_sim = 1 - 0.9**2, 1 - 0.7**2
    truth = 0.5 * (q_real / q_sim - 1 - np.log(q_real / q_sim)) + 0.5 * 0.2**2 / q_sim
    assert (found.level, found.method) == ("transition", "ratio")
    assert found.value == pytest.approx(truth, rel=0.15)
    assert found.low < truth < found.high


def test_mixture_against_quadrature(recorded):
    def integrand(x):
        mixture = 0.7 * stats.norm.pdf(x, -1, 1) + 0.3 * stats.norm.pdf(x, 2, 0.7)
        return stats.norm.pdf(x) * (stats.norm.logpdf(x) - np.log(mixture))

    truth = integrate.quad(integrand, -8, 8)[0]
    rng = np.random.default_rng(4)
    fibre = [rng.normal(-1, 1, (150, 1)) for _ in range(20)] + [rng.normal(2, 0.7, (150, 1)) for _ in range(20)]
    real = recorded([rng.normal(size=(150, 1)) for _ in range(20)], np.zeros(20, int))
    sim = recorded(fibre, np.repeat([3, 7], 20))
    found = gap(real, sim, method="ratio", level="occupancy", weights=[0.7, 0.3])
    assert found.value == pytest.approx(truth, abs=0.04)
    assert found.low < truth < found.high
    assert abs(gap(real, sim, method="ratio", level="occupancy", weights=[0.3, 0.7]).value - truth) > 0.1


def test_deterministic_under_a_seed_and_its_terms_average_to_the_plug_in():
    rng = np.random.default_rng(7)
    real, sim = list(rng.normal(size=(5, 12, 1))), list(rng.normal(size=(4, 12, 1)) + 0.5)
    found = gap(real, sim, method="ratio")
    assert found == gap(real, sim, method="ratio", rng=np.random.default_rng(0))
    assert found.raw != gap(real, sim, method="ratio", rng=1).raw
    real_cloud, sim_cloud, weights, _ = clouds(real, sim, None, None)
    fitted = fit_ratios(real_cloud, sim_cloud, weights, np.random.default_rng(0))
    terms = fitted.terms([scope.logits for scope in fitted.scopes])[fitted.labelled.real]
    assert terms.shape == (5 * 11,)
    assert terms.mean() == pytest.approx(found.plug_in)


def test_estimate_is_put_together_from_its_parts(monkeypatch):
    # Logits that are known: 0.6 and 0.4 for the real points, e^f of 0.8 and 0.9 for the simulated ones, no noise.
    real = np.arange(40) < 20
    trained, fewer = np.where(real, 0.6, np.log(0.8)), np.where(real, 0.4, np.log(0.9))
    points = Labelled(np.zeros((40, 1)), real, np.where(real, -1, 0), np.ones(40))
    scope = classifier.CrossFitted(
        np.tile(trained, (len(CANDIDATES), 1)),
        np.zeros(FOLDS, int),
        np.arange(40) % FOLDS,
        np.tile(fewer, (FOLDS - 1, 1)),
    )
    monkeypatch.setattr(classifier, "fit_ratios", lambda *args: FittedRatios(points, (1,), (scope,), False, 0, ()))
    real_cloud, sim_cloud, weights, _ = clouds(np.arange(20.0), np.arange(20.0), None, None)
    found = estimate_by_classifier(real_cloud, sim_cloud, weights, MethodSettings(), np.random.default_rng(0))
    assert found.plug_in == pytest.approx(0.6)
    # The bound is 0.6 + 0.2 with 3/4 of the points and 0.4 + 0.1 with 2/4: what is lacking falls off as 1/n.
    assert found.raw == pytest.approx(0.8 + 2 * (0.8 - 0.5))
    assert found.raw - found.low == pytest.approx(stats.norm.ppf(0.975) * 0.6)
    assert any("+0.80 nats are correction" in why for why in found.reasons)


def test_noise_of_a_correction_that_is_left_out_widens_the_interval(monkeypatch):
    # Simulated points whose e^f is 0 or 2 by turns: a correction of 0 with a noise of 1/√20 that is not applied.
    real = np.arange(40) < 20
    logits = np.where(real, 0.6, np.where(np.arange(40) % 2, np.log(2.0), -50.0))
    points = Labelled(np.zeros((40, 1)), real, np.where(real, -1, 0), np.ones(40))
    tiled = np.tile(logits, (len(CANDIDATES), 1))
    scope = classifier.CrossFitted(tiled, np.zeros(FOLDS, int), np.arange(40) % FOLDS, tiled[: FOLDS - 1])
    monkeypatch.setattr(classifier, "fit_ratios", lambda *args: FittedRatios(points, (1,), (scope,), False, 0, ()))
    real_cloud, sim_cloud, weights, _ = clouds(np.arange(20.0), np.arange(20.0), None, None)
    found = estimate_by_classifier(real_cloud, sim_cloud, weights, MethodSettings(), np.random.default_rng(0))
    assert found.raw == pytest.approx(0.6)
    assert found.high - found.raw == pytest.approx(stats.norm.ppf(0.975) / np.sqrt(19))


def test_correction_is_shrunk_by_its_noise():
    assert classifier._signal(0.1, 0.2) == 0
    assert classifier._signal(-0.2, 0.1) == pytest.approx(0.75)
    assert classifier._signal(0.0, 0.0) == 0


def test_units_of_the_sensors_change_nothing():
    rng = np.random.default_rng(8)
    real, sim = rng.normal(size=(300, 2)), rng.normal(size=(300, 2)) * 1.5
    plain, mapped = gap(real, sim, method="ratio"), gap(real * [1e3, 0.01] + 5, sim * [1e3, 0.01] + 5, method="ratio")
    assert mapped.raw == pytest.approx(plain.raw, abs=1e-3)


def test_interval_respects_episodes(autoregressive):
    rng = np.random.default_rng(9)
    real, sim = autoregressive(rng, 12, 60, 1, 0.95, shift=0.15), autoregressive(rng, 12, 60, 1, 0.95)
    by_episode = gap(real, sim, method="ratio", level="occupancy")
    by_row = gap(np.concatenate(real), np.concatenate(sim), method="ratio")
    assert by_episode.high - by_episode.raw > 1.5 * (by_row.high - by_row.raw)


def test_interval_of_the_bound_is_that_of_two_means():
    # With the logits held, the bound is the mean of one sample minus the mean of another.
    rng = np.random.default_rng(10)
    terms = rng.normal(size=50)
    left_out = classifier._left_out(1.0, terms, np.arange(50), -2.0)
    found = classifier.jackknife(1.0, [left_out])
    assert found.bias == pytest.approx(0, abs=1e-12)
    assert found.variance == pytest.approx(4 * terms.var(ddof=1) / 50)


@pytest.mark.parametrize("shape", [(50,), (10, 5)])
def test_folds_are_whole_episodes(shape):
    rng = np.random.default_rng(11)
    cloud = arrange(as_samples(list(rng.normal(size=(*shape[:1], 7, 2))), "real"), "occupancy")
    fold, cut = deal_folds(cloud, {}, rng)
    assert cut == 0
    assert all(len(np.unique(fold[cloud.episode == e])) == 1 for e in range(shape[0]))
    assert np.ptp(np.bincount(fold, minlength=FOLDS)) <= 7


@pytest.mark.parametrize(("level", "cuts"), [("transition", 3), ("occupancy", 1)])
def test_members_without_an_episode_for_each_fold_are_cut_in_time(recorded, level, cuts):
    rng = np.random.default_rng(12)
    members = np.array([0, 0, 1, 2, *[3] * 6])
    cloud = arrange(as_samples(recorded(list(rng.normal(size=(10, 41, 1))), members), "simulated"), level)
    fold, cut = deal_folds(cloud, {0: 0.1, 1: 0.1, 2: 0.5, 3: 0.3}, rng)
    assert cut == cuts
    own = fold[cloud.member_index == 2]
    assert set(own) == set(range(FOLDS))
    assert (np.diff(own) != 0).sum() == FOLDS - 1
    assert all(len(np.unique(fold[cloud.episode == e])) == 1 for e in range(4, 10))


def test_too_few_episodes_are_said(autoregressive):
    rng = np.random.default_rng(13)
    found = gap(
        autoregressive(rng, 3, 60, 1, 0.5), autoregressive(rng, 2, 60, 1, 0.5), method="ratio", level="occupancy"
    )
    assert not found.reliable
    assert any("3 real episodes are too few for 4 folds" in why for why in found.why)
    assert any("1 of 1 simulated members have fewer than 4 episodes" in why for why in found.why)


def labelled(rng, n, d=1):
    real = np.arange(2 * n) < n
    return Labelled(rng.normal(size=(2 * n, d)), real, np.where(real, -1, 0), np.ones(2 * n))


def test_no_point_has_a_say_in_its_own_answer(monkeypatch):
    # A classifier that only remembers what it was shown: its logit is 1 at those points and 0 elsewhere.
    def remembers(training, seed):
        seen = set(training.points[:, 0].tolist())
        return lambda points: np.repeat([[float(x in seen)] for x in points[:, 0].tolist()], len(CANDIDATES), axis=1)

    shown = []

    def told(logits, real, weight):
        shown.append(logits)
        return Calibration(0.0, 1.0)

    monkeypatch.setattr(classifier, "fit_candidates", remembers)
    monkeypatch.setattr(Calibration, "fit", told)
    rng = np.random.default_rng(14)
    points = labelled(rng, 40)
    fold = np.arange(80) % FOLDS
    (found,) = cross_fit(points, fold, [1], 0)
    assert not found.candidates.any()
    assert not found.fewer.any()
    assert not np.concatenate(shown).any()
    assert {len(logits) for logits in shown} == {60}


def test_the_choice_for_a_fold_does_not_depend_on_its_labels():
    # Folds whose labels are turned around lose their own answers, not those of the choice made for them.
    rng = np.random.default_rng(15)
    points = labelled(rng, 60, 2)
    fold = np.tile(np.arange(FOLDS), 30)
    calls = {}
    for turned in (False, True):
        real = np.where((fold == 0) & turned, ~points.real, points.real)
        changed = Labelled(points.points, real, np.where(real, -1, 0), points.weight)
        (found,) = cross_fit(changed, fold, [2], 0)
        calls[turned] = found.chosen[0], found.candidates[:, fold == 0], found.fewer[:, fold == 0]
    assert calls[False][0] == calls[True][0]
    assert np.array_equal(calls[False][1], calls[True][1])
    assert np.array_equal(calls[False][2], calls[True][2])


def test_all_scopes_use_the_choice_of_the_first():
    rng = np.random.default_rng(16)
    points = labelled(rng, 60, 2)
    points.points[:60, 1] *= 3
    both = cross_fit(points, np.tile(np.arange(FOLDS), 30), [2, 1], 0)
    assert np.array_equal(both[0].chosen, both[1].chosen)
    column = both[1].candidates[both[1].chosen[both[1].fold], np.arange(120)]
    assert np.array_equal(both[1].logits, column)


def test_many_points_are_thinned_evenly(monkeypatch):
    monkeypatch.setattr(classifier, "_MOST_TRAINING", 10)
    points = labelled(np.random.default_rng(17), 50)
    rows = classifier._thinned(points, np.ones(100, bool))
    assert rows.tolist() == [*range(0, 50, 5), *range(50, 100, 5)]


def test_candidates_hold_what_they_claim():
    rng = np.random.default_rng(18)
    n = 3000
    draws = np.concatenate([rng.normal(size=(n, 2)), rng.normal(size=(n, 2)) * 1.5 + [0.5, 0.0]])
    at = rng.normal(size=(200, 2))
    truth = stats.norm.logpdf(at).sum(axis=1) - stats.norm.logpdf(at, [0.5, 0.0], 1.5).sum(axis=1)
    real = np.arange(2 * n) < n
    with threadpool_limits(limits=1):
        logits = fit_candidates(Labelled(draws, real, np.where(real, -1, 0), np.ones(2 * n)), 0)(at)
    error = np.abs(logits - truth[:, None]).mean(axis=0)
    assert (
        error[[CANDIDATES.index("gaussian"), CANDIDATES.index("quadratic"), CANDIDATES.index("tails")]] < 0.06
    ).all()
    assert error[CANDIDATES.index("linear")] > 0.3
    assert error[CANDIDATES.index("40 trees")] < 0.3


def test_gaussian_candidate_is_the_mixture_of_the_members():
    rng = np.random.default_rng(19)
    n = 3000
    draws = np.concatenate([rng.normal(size=n), rng.normal(-3, 0.5, n), rng.normal(3, 1, n)])[:, None]
    real = np.arange(3 * n) < n
    weight = np.concatenate([np.full(n, 1.5), np.full(n, 0.3), np.full(n, 1.2)])
    points = Labelled(draws, real, np.repeat([-1, 4, 9], n), weight)
    at = np.linspace(-3, 3, 9)[:, None]
    with threadpool_limits(limits=1):
        logit = fit_candidates(points, 0)(at)[:, CANDIDATES.index("gaussian")]
    mixture = 0.2 * stats.norm.pdf(at, -3, 0.5) + 0.8 * stats.norm.pdf(at, 3, 1)
    assert logit == pytest.approx((stats.norm.logpdf(at) - np.log(mixture))[:, 0], abs=0.25)


def test_calibration_undoes_a_stretch_and_an_offset():
    rng = np.random.default_rng(20)
    true = rng.normal(size=20_000) * 2
    real = rng.random(20_000) < 1 / (1 + np.exp(-true))
    stretched = Calibration.fit(3 * true + 1, real, np.ones(20_000))
    assert stretched(3 * true + 1) == pytest.approx(true, abs=0.15)
    assert Calibration.fit(-true, real, np.ones(20_000)) == Calibration(0.0, 0.0)
    assert Calibration.fit(np.zeros(9), np.arange(9) < 4, np.ones(9)) == Calibration(0.0, 0.0)


def test_bad_calibration_is_measured():
    rng = np.random.default_rng(21)
    true = rng.normal(size=20_000) * 2
    real = rng.random(20_000) < 1 / (1 + np.exp(-true))
    points = Labelled(true[:, None], real, np.where(real, -1, 0), np.ones(20_000))
    assert classifier._miscalibration(true, points) < 0.02
    assert classifier._miscalibration(4 * true, points) > 0.1
    assert classifier._miscalibration(np.zeros(20_000), points) < 0.02


@pytest.mark.parametrize(
    ("real", "sim", "message"),
    [
        (np.arange(9.0), np.arange(40.0), "the real side has 9 observations, too few for 4 folds .* add episodes"),
        (np.ones((40, 2)) * np.arange(40)[:, None], np.ones((40, 2)) * np.arange(40)[:, None], "linearly dependent"),
    ],
)
def test_refused(real, sim, message):
    with pytest.raises(GapError, match=message) as caught:
        gap(real, sim, method="ratio")
    assert "\n" not in str(caught.value)


def test_member_with_one_point_is_refused(recorded):
    rng = np.random.default_rng(22)
    sim = recorded([*rng.normal(size=(8, 20, 1)), np.zeros((1, 1))], np.array([0] * 8 + [5]))
    with pytest.raises(GapError, match="simulated member 5 has one observation only: add episodes"):
        gap(list(rng.normal(size=(8, 20, 1))), sim, method="ratio", level="occupancy")


def test_missing_library_is_one_line_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(GapError, match=r"needs scikit-learn.*pip install 'sim2real-cat\[gaps\]'"):
        gap(np.arange(40.0), np.arange(40.0), method="ratio")


@pytest.fixture
def acting(recorded):
    """Episodes o' = 0.5 o + gain a + noise of 0.3, with the action a = tanh(2 o) + jitter."""

    def draw(rng, gain, jitter=0.0, episodes=20, steps=60):
        o, seen, done = rng.normal(size=(episodes, 1)), [], []
        for _ in range(steps):
            a = np.tanh(2 * o) + jitter * rng.normal(size=o.shape)
            seen.append(o)
            done.append(a)
            o = 0.5 * o + gain * a + 0.3 * rng.normal(size=o.shape)
        found = recorded(list(np.stack(seen, axis=1)), np.zeros(episodes, int))
        found.actions = list(np.stack(done, axis=1))
        return found

    return draw


def test_actions_show_what_the_policy_hides(acting):
    rng = np.random.default_rng(23)
    real, sim = acting(rng, 0.4, jitter=0.5), acting(rng, 0.2, jitter=0.5)
    found = gap(real, sim, method="ratio")
    # Given o and a, the means differ by 0.2 a.
    truth = 0.5 * 0.2**2 * np.mean(np.concatenate(real.actions) ** 2) / 0.3**2
    assert found.value == pytest.approx(truth, rel=0.35)
    assert found.low < truth < found.high
    assert "given the observation and 1 of 1 actions" in found.why


def test_actions_that_cannot_be_used_are_said(acting):
    rng = np.random.default_rng(24)
    real, sim = (arrange(as_samples(acting(rng, 0.5), side), "transition") for side in ("real", "simulated"))
    pooled = np.concatenate([real.points, sim.points])
    points, scopes, _ = with_actions(pooled, real, sim)
    assert points.shape == (len(pooled), 3)
    assert scopes == ((3, 1), (2, -1))
    assert np.array_equal(points[:, [0, 2]], pooled)

    def but(cloud, actions):
        return type(cloud)(**{**vars(cloud), "actions": actions})

    linear = [but(c, 2 * c.points[:, :1] + 1) for c in (real, sim)]
    assert with_actions(pooled, *linear)[1:] == (
        real.scopes,
        ("actions are left out: they are linear functions of the observation",),
    )
    constant_and_new = [but(c, np.hstack([np.full_like(c.actions, 0.1), c.actions, c.actions])) for c in (real, sim)]
    assert with_actions(pooled, *constant_and_new)[2] == ("given the observation and 1 of 3 actions",)
    holes = but(real, np.where(np.arange(len(real.points))[:, None] < 3, np.nan, real.actions))
    assert with_actions(pooled, holes, sim)[2] == (
        "actions are left out: 3 transitions have one that is NaN or infinite",
    )
    wide = but(sim, np.hstack([sim.actions, sim.actions]))
    assert with_actions(pooled, real, wide)[2] == ("actions are left out: the sides have 1 and 2 of them",)
    assert with_actions(pooled, but(real, None), sim)[2] == ()


def test_actions_of_a_padded_recording_follow_its_episodes(recorded):
    rng = np.random.default_rng(25)
    found = recorded([rng.normal(size=(5, 1)), rng.normal(size=(3, 1))], np.array([0, 0, 1]))
    padded = np.full((3, 4, 2), np.nan)
    padded[0], padded[1], padded[2, :2] = 1.0, 9.0, 2.0
    found.actions, found.kept = padded, np.array([True, False, True])
    cloud = arrange(as_samples(found, "real"), "transition")
    assert cloud.actions.tolist() == [[1.0, 1.0]] * 4 + [[2.0, 2.0]] * 2
    found.kept = np.array([True, True, True])
    with pytest.raises(GapError, match=r"2 episodes but a member_index of shape \(3,\)"):
        as_samples(found, "real")
    del found.kept
    found.member_index = np.array([0, 1])
    assert as_samples(found, "real").actions is None
    found.actions = padded[[0, 2], :1]
    assert as_samples(found, "real").actions is None
