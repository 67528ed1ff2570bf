"""The posterior over worlds, held against closed forms, quadrature, grids, and input that makes no sense."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

import sim2real_cat as s2r
from sim2real_cat.errors import GapError, WorldError
from sim2real_cat.posteriors.expectation import Predictor
from sim2real_cat.posteriors.likelihood import RecordingLikelihood
from sim2real_cat.posteriors.prior import WorldPrior

NOISE = 0.05
SENSORS = s2r.World.gymnasium("InvertedPendulum").sensors
CART, POLE = SENSORS[:2]


def pendulum(noise=NOISE):
    return s2r.World.gymnasium("InvertedPendulum", noise=dict.fromkeys(SENSORS, noise))


def play(world, reality=None, episodes=4, steps=25, rng=1):
    """Play random actions in one world."""
    noise = np.random.default_rng(7)
    nu = world.compile().nu
    policy = s2r.policies.CallablePolicy(lambda seen: noise.uniform(-1, 1, (*np.shape(seen)[:-1], nu)), "random")
    return s2r.rollout(world, policy, rng=rng, fibre=reality, episodes=episodes, steps=steps, until_terminated=False)


def single(**table):
    return s2r.Ensemble.single({name: dict([entry]) for name, entry in table.items()})


def residuals(world, real):
    """The readings less what the nominal world expects."""
    episode, step = real.transitions()
    still = Predictor(world, s2r.Ensemble.nominal(), 0.0, 0).expect(real).reading[0]
    return real.observations[episode, step + 1] - still


def on_a_grid(world, real, name, mode, values):
    """The log-likelihood of the recording at values of one parameter."""
    grid = s2r.Ensemble((name,), (mode,), np.array(values)[:, None], np.full(len(values), 1 / len(values)))
    return RecordingLikelihood(Predictor(world, s2r.Ensemble.nominal(), 0.0, 0), real).score(grid).total


def check_against_quadrature(found, values, log_likelihood, *, deviation=0.15, evidence=0.1):
    """A posterior over one parameter with a uniform prior has the mean, spread and evidence of a fine grid."""
    weights = np.exp(log_likelihood - logsumexp(log_likelihood))
    mean = weights @ values
    spread = np.sqrt(weights @ np.square(values - mean))
    draws = found.ensemble()
    assert abs(draws.weights @ draws.values[:, 0] - mean) < deviation * spread
    assert np.sqrt(draws.weights @ np.square(draws.values[:, 0] - mean)) == pytest.approx(spread, rel=deviation)
    assert found.log_evidence == pytest.approx(logsumexp(log_likelihood) - np.log(len(values)), abs=evidence)
    assert found.reliable


def test_normal_prior_of_biases_has_the_closed_form_of_a_linear_gaussian_world():
    """Two biases with a normal prior, correlated: posterior, evidence and complexity are those of the formulas."""
    world = pendulum()
    names = [f"observation_bias[{CART}]", f"observation_bias[{POLE}]"]
    deviations, mean = np.array([0.02, 0.04]), np.array([0.01, -0.02])
    changes = {
        name: s2r.Change.normal("shift", m, deviation)
        for name, m, deviation in zip(names, mean, deviations, strict=True)
    }
    randomization = s2r.Randomization(changes, (s2r.worlds.Correlation(tuple(names), 0.6),))
    real = play(world, single(**{names[0]: ("shift", 0.03), names[1]: ("shift", 0.05)}))
    found = s2r.posterior(world, real, randomization=randomization, draws=1000)

    residual = residuals(world, real)
    prior = np.outer(deviations, deviations) * np.array([[1, 0.6], [0.6, 1]])
    n = len(residual)
    covariance = np.linalg.inv(np.linalg.inv(prior) + n / NOISE**2 * np.eye(2))
    centre = covariance @ (np.linalg.solve(prior, mean) + residual[:, :2].sum(axis=0) / NOISE**2)
    design = np.tile(np.eye(2), (n, 1))
    density = stats.multivariate_normal(design @ mean, design @ prior @ design.T + NOISE**2 * np.eye(2 * n))
    evidence = density.logpdf(residual[:, :2].ravel()) + stats.norm(0, NOISE).logpdf(residual[:, 2:]).sum()
    at_prior = centre - mean
    divergence = 0.5 * (
        np.trace(np.linalg.solve(prior, covariance))
        + at_prior @ np.linalg.solve(prior, at_prior)
        - 2
        + np.linalg.slogdet(prior)[1]
        - np.linalg.slogdet(covariance)[1]
    )
    draws = found.ensemble()
    assert draws.weights @ draws.values == pytest.approx(centre, rel=0.02, abs=0.05 * np.sqrt(covariance.max()))
    off = draws.values - centre
    assert (off * draws.weights[:, None]).T @ off == pytest.approx(covariance, rel=0.15, abs=0.05 * covariance.max())
    assert found.best.values[0] == pytest.approx(centre, rel=1e-3)
    assert found.laplace_evidence == pytest.approx(evidence, abs=1e-4)
    assert found.log_evidence == pytest.approx(evidence, abs=0.1)
    assert found.complexity == pytest.approx(divergence, rel=1e-4)
    assert found.accuracy - found.complexity == pytest.approx(found.laplace_evidence, abs=1e-8)
    assert found.reliable
    assert found.efficiency > 0.6
    assert found.by_episode.sum() == pytest.approx(found.mode.log_likelihood)


@pytest.mark.parametrize("bias", [0.0, 0.095], ids=["inside", "at the edge"])
def test_uniform_prior_has_the_posterior_of_quadrature(bias):
    world = pendulum()
    name = f"observation_bias[{CART}]"
    real = play(world, single(**{name: ("shift", bias)}), episodes=2, steps=15)
    found = s2r.posterior(
        world, real, randomization=s2r.Randomization({name: s2r.Change("shift", -0.1, 0.1)}), draws=800
    )
    values = -0.1 + 0.2 * (np.arange(2000) + 0.5) / 2000
    check_against_quadrature(found, values, on_a_grid(world, real, name, "shift", values))
    assert found.laplace_evidence == pytest.approx(found.log_evidence, abs=0.3)


def test_noise_itself_is_a_parameter():
    world = pendulum()
    name = f"observation_noise[{CART}]"
    real = play(world, single(**{name: ("set", 0.09)}))
    found = s2r.posterior(world, real, randomization=s2r.Randomization({name: s2r.Change("set", 0.02, 0.2)}), draws=800)
    values = 0.02 + 0.18 * (np.arange(1000) + 0.5) / 1000
    check_against_quadrature(found, values, on_a_grid(world, real, name, "set", values))


@pytest.mark.parametrize(
    ("kind", "sensor"),
    [
        ("uniform", s2r.noise.UniformNoise(0.05)),
        ("quantised", [s2r.noise.GaussianNoise(0.02), s2r.noise.Quantisation(0.05)]),
    ],
)
def test_noise_that_is_not_gaussian_has_its_exact_density(kind, sensor):
    """The climb uses a width, the draws the density: an interval that is empty outside, or that of whole cells."""
    world = s2r.World.gymnasium("InvertedPendulum", noise={**dict.fromkeys(SENSORS, NOISE), CART: sensor})
    name = f"observation_bias[{CART}]"
    real = play(world, single(**{name: ("shift", 0.01)}), episodes=2, steps=10)
    found = s2r.posterior(
        world, real, randomization=s2r.Randomization({name: s2r.Change("shift", -0.1, 0.1)}), draws=1500
    )
    values = -0.1 + 0.2 * (np.arange(4000) + 0.5) / 4000
    check_against_quadrature(found, values, on_a_grid(world, real, name, "shift", values), evidence=0.15)


def test_two_parameters_of_a_robot_have_the_posterior_of_a_fine_grid():
    world = pendulum(0.2)
    randomization = s2r.Randomization(
        {"body_inertial[pole]": s2r.Change("scale", 0.5, 2.0), "actuator_gear": s2r.Change("scale", 0.5, 2.0)}
    )
    real = play(world, single(**{"body_inertial[pole]": ("scale", 1.3), "actuator_gear": ("scale", 0.8)}), steps=10)
    found = s2r.posterior(world, real, randomization=randomization, draws=800)
    n = 60
    axis = 0.5 + 1.5 * (np.arange(n) + 0.5) / n
    pairs = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    grid = s2r.Ensemble(tuple(randomization.changes), ("scale", "scale"), pairs, np.full(len(pairs), 1 / len(pairs)))
    log_likelihood = RecordingLikelihood(Predictor(world, s2r.Ensemble.nominal(), 0.0, 0), real).score(grid).total
    weights = np.exp(log_likelihood - logsumexp(log_likelihood))
    mean = weights @ pairs
    spread = np.sqrt(weights @ np.square(pairs - mean))
    draws = found.ensemble()
    assert (np.abs(draws.weights @ draws.values - mean) < 0.15 * spread).all()
    assert np.sqrt(draws.weights @ np.square(draws.values - mean)) == pytest.approx(spread, rel=0.15)
    assert found.log_evidence == pytest.approx(logsumexp(log_likelihood) - np.log(len(pairs)), abs=0.1)
    assert found.laplace_evidence == pytest.approx(found.log_evidence, abs=0.6)


def test_delays_are_enumerated():
    """The chances of discrete values are those of Bayes's rule over the worlds."""
    world = pendulum(1.0)
    delay = s2r.Change.discrete("set", (0.0, 0.04, 0.08), (0.5, 0.25, 0.25))
    real = play(world, single(actuator_delay=("set", 0.04)), episodes=2, steps=10)
    found = s2r.posterior(world, real, randomization=s2r.Randomization({"actuator_delay": delay}))
    log_likelihood = on_a_grid(world, real, "actuator_delay", "set", [0.0, 0.04, 0.08]) + np.log(delay.probabilities)
    draws = found.ensemble()
    chances = [draws.weights[draws.values[:, 0] == value].sum() for value in delay.values]
    assert chances == pytest.approx(np.exp(log_likelihood - logsumexp(log_likelihood)), abs=1e-6)
    assert found.log_evidence == pytest.approx(logsumexp(log_likelihood), abs=1e-6)


def test_a_delay_is_found_beside_a_continuous_parameter():
    world = pendulum()
    randomization = s2r.Randomization(
        {
            "actuator_delay": s2r.Change.discrete("set", (0.0, 0.04, 0.08)),
            "actuator_gear": s2r.Change("scale", 0.5, 2.0),
        }
    )
    real = play(world, single(actuator_delay=("set", 0.08), actuator_gear=("scale", 1.4)), episodes=2)
    found = s2r.posterior(world, real, randomization=randomization)
    assert found.interval("actuator_delay") == (0.08, 0.08, 0.08)
    median, low, high = found.interval("actuator_gear")
    assert low < 1.4 < high
    assert median == pytest.approx(1.4, abs=0.05)


def test_draws_keep_a_fixed_total():
    world = s2r.World.gymnasium("Hopper", noise=dict.fromkeys(s2r.World.gymnasium("Hopper").sensors, NOISE))
    names = ("body_mass[torso]", "body_mass[thigh]")
    randomization = s2r.Randomization(
        {name: s2r.Change("scale", 0.7, 1.3) for name in names}, totals=(s2r.worlds.FixedTotal(names),)
    )
    real = play(world, randomization.bind(world).draw(1, rng=3), episodes=2)
    found = s2r.posterior(world, real, randomization=randomization)
    model = world.compile()
    masses = np.array([model.body("torso").mass[0], model.body("thigh").mass[0]])
    assert found.ensemble().values @ masses == pytest.approx(np.full(len(found.z), masses.sum()))


def test_an_alias_is_a_direction_that_is_not_seen():
    """Inertias, damping and gear all scaled alike move the pendulum alike: one direction of three is the prior's."""
    world = pendulum()
    names = ("body_inertial[*]", "dof_damping", "actuator_gear")
    change = s2r.Change("scale", 0.5, 2.0, "loguniform")
    found = s2r.posterior(world, play(world), randomization=s2r.Randomization(dict.fromkeys(names, change)), draws=400)
    assert found.freedom == pytest.approx(2.0, abs=0.3)
    information, direction = found.unseen()[0]
    assert information < 0.1
    assert np.abs([direction[name] for name in names]) == pytest.approx(np.full(3, 3**-0.5), abs=0.1)
    assert found.correlations()[0, 2] > 0.9
    assert "directions are not seen" in str(found)
    assert found.laplace_evidence == pytest.approx(found.log_evidence, abs=0.6)


def test_complexity_is_that_of_clarke_and_barron_where_all_directions_are_seen():
    """KL(posterior || prior) tends to ½ ln det F - k/2 ln 2πe - ln prior density (Clarke and Barron 1990)."""
    world = s2r.World.gymnasium("HalfCheetah", noise=dict.fromkeys(s2r.World.gymnasium("HalfCheetah").sensors, NOISE))
    randomization = s2r.Randomization({"body_inertial[*]": s2r.Change("scale", 0.6, 1.6, each=True)})
    found = s2r.posterior(world, play(world, episodes=3), randomization=randomization)
    mode = found.mode
    assert np.linalg.eigvalsh(mode.information).min() > 1
    k = len(mode.z)
    asymptotic = 0.5 * np.linalg.slogdet(mode.information)[1] - 0.5 * k + 0.5 * mode.z @ mode.z
    assert found.complexity == pytest.approx(asymptotic, rel=0.2)


def test_draws_are_a_fibre_and_the_same_seed_gives_the_same_bytes():
    world = pendulum()
    randomization = s2r.Randomization({"actuator_gear": s2r.Change("scale", 0.5, 2.0)})
    real = play(world)
    found, again = (s2r.posterior(world, real, randomization=randomization, rng=5) for _ in range(2))
    assert found.z.tobytes() == again.z.tobytes()
    assert found.log_evidence == again.log_evidence
    fibre = found.ensemble(8)
    assert fibre.weights.tolist() == [0.125] * 8
    assert s2r.predictive_gap(world, real, fibre=fibre).estimate.value < 0.1
    assert "actuator_gear" in str(found)
    assert repr(found).startswith("<Posterior of 1 parameters from 100 transitions, reliable: 1.0 determined")


def test_a_robot_outside_is_said_to_be_outside():
    world = pendulum()
    randomization = s2r.Randomization({"actuator_gear": s2r.Change("scale", 0.8, 1.2)})
    found = s2r.posterior(world, play(world, single(actuator_gear=("scale", 4.0))), randomization=randomization)
    assert not found.reliable
    assert "no world of the randomization explains the readings" in found.reasons[0]
    assert max(found.misfit, key=found.misfit.get) in found.reasons[0]
    assert "at the end of their ranges: actuator_gear" in str(found)


GEAR = s2r.Randomization({"actuator_gear": s2r.Change("scale", 0.8, 1.2)})


def test_input_that_makes_no_sense_is_refused_in_one_line():
    world = pendulum()
    real = play(world, episodes=1, steps=5)
    delays = s2r.Change.discrete("set", [0.01 * i for i in range(65)])
    cases = [
        ({"randomization": GEAR.bind(world).draw(3)}, "randomization is a Randomization, got Ensemble"),
        ({"randomization": s2r.Randomization()}, "nothing varies in this randomization"),
        ({"randomization": GEAR, "draws": 1}, "needs draws, at least two, got 1"),
        ({"randomization": s2r.Randomization({"actuator_delay": delays})}, "65 combinations, more than 64"),
    ]
    for arguments, message in cases:
        with pytest.raises(GapError, match=message) as caught:
            s2r.posterior(world, real, **arguments)
        assert "\n" not in str(caught.value)
    with pytest.raises(WorldError, match="body_mass"):
        s2r.posterior(world, real, randomization=s2r.Randomization({"body_mass[wing]": s2r.Change("scale", 0.5, 2)}))


def test_a_recording_that_cannot_be_used_is_refused_with_the_place():
    world = pendulum()
    real = play(world, episodes=2, steps=5)
    broken = real.observations.copy()
    broken[1, 3, 0] = np.nan
    with pytest.raises(GapError, match=f"the first in episode 1, frame 3, sensor '{CART}'"):
        s2r.posterior(world, replace(real, observations=broken), randomization=GEAR)
    with pytest.raises(WorldError, match="the recording has no positions"):
        s2r.posterior(world, replace(real, qpos=real.qpos[:, :, :0]), randomization=GEAR)
    with pytest.raises(GapError, match="there is no transition"):
        s2r.posterior(world, real.select(np.zeros(0, dtype=np.intp)), randomization=GEAR)
    with pytest.raises(GapError, match="sensors without noise have no density"):
        s2r.posterior(s2r.World.gymnasium("InvertedPendulum"), real, randomization=GEAR)


def test_a_reading_that_no_world_can_produce_is_named():
    """Uniform noise of .05 excludes a reading that is 1 away, whatever the gear."""
    world = s2r.World.gymnasium("InvertedPendulum", noise=dict.fromkeys(SENSORS, s2r.noise.UniformNoise(0.05)))
    real = play(world, episodes=2, steps=5)
    wrong = real.observations.copy()
    wrong[1, 3, 1] += 1.0
    with pytest.raises(GapError, match=f"probability zero: what sensor '{POLE}' read after step 2 of episode 1"):
        s2r.posterior(world, replace(real, observations=wrong), randomization=GEAR)


def test_worlds_that_diverge_have_no_likelihood():
    """A gear of 1e150 blows the simulation up; the posterior stays where it does not."""
    world = pendulum()
    wild = s2r.Randomization({"actuator_gear": s2r.Change.discrete("scale", [1.0, 1e150])})
    found = s2r.posterior(world, play(world), randomization=wild)
    assert found.interval("actuator_gear") == (1.0, 1.0, 1.0)
    only = s2r.Randomization({"actuator_gear": s2r.Change.discrete("scale", [1e149, 1e150])})
    with pytest.raises(GapError, match="the simulation diverges from the state before step 0 of episode 0"):
        s2r.posterior(world, play(world), randomization=only)


def test_few_readings_and_few_draws_are_said():
    world = pendulum()
    half = s2r.Change("scale", 0.5, 2.0, each=True)
    many = s2r.Randomization(dict.fromkeys(("body_inertial[*]", "dof_damping", "actuator_gear"), half))
    found = s2r.posterior(world, play(world, episodes=1, steps=1), randomization=many, draws=4)
    assert "4 readings are fewer than 5 parameters" in found.notes
    assert any("directions are not seen" in note for note in found.notes)
    assert any("draws count" in reason for reason in found.reasons)


def test_coordinates_are_the_randomization():
    """Standard normal coordinates give draws with the distribution of the randomization's own."""
    world = pendulum()
    randomization = s2r.Randomization(
        {
            "body_mass[pole]": s2r.Change("scale", 0.5, 2.0, "loguniform"),
            "actuator_gear": s2r.Change.normal("scale", 1.0, 0.3, within=(0.5, 1.5)),
        },
        (s2r.worlds.Correlation(("body_mass[pole]", "actuator_gear"), 0.7),),
    )
    prior = WorldPrior.of(randomization, world)
    ours = prior.values(np.random.default_rng(0).standard_normal((4000, 2)))
    theirs = randomization.bind(world).draw(4000, rng=1).values
    for column in range(2):
        assert stats.ks_2samp(ours[:, column], theirs[:, column]).pvalue > 0.01
    assert np.corrcoef(ours.T)[0, 1] == pytest.approx(np.corrcoef(theirs.T)[0, 1], abs=0.04)
