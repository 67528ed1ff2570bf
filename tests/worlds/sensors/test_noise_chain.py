"""Log-densities of noise: scipy's where scipy has them, normalised, and those of the readings that are drawn."""

from __future__ import annotations

import numpy as np
import pytest
from noise_readings import PERIOD, readings
from scipy import integrate, stats

from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.sensors.noise import (
    Drift,
    Dropout,
    EpisodeBias,
    GaussianNoise,
    NoiseChain,
    Quantisation,
    UniformNoise,
)

CLEAN = np.random.default_rng(0).normal(size=(3, 8))
READING = CLEAN + np.random.default_rng(1).normal(size=(3, 8))
TIME = PERIOD * np.arange(8)


def log_density(chain, reading=READING, clean=CLEAN):
    return NoiseChain.of(chain).log_density(reading, clean, PERIOD)


def covariance(white, bias=0.0, drift=0.0, time_constant=1.0):
    lag = np.abs(np.subtract.outer(TIME, TIME))
    return white**2 * np.eye(8) + bias**2 + drift**2 * np.exp(-lag / time_constant)


def test_gaussian_is_scipys():
    expected = stats.norm(CLEAN, 0.7).logpdf(READING)
    np.testing.assert_allclose(log_density(GaussianNoise(0.7)), expected)
    np.testing.assert_allclose(GaussianNoise(0.7).log_density(READING, CLEAN), expected)


def test_uniform_is_scipys_and_minus_infinity_outside():
    np.testing.assert_array_equal(log_density(UniformNoise(0.8)), stats.uniform(CLEAN - 0.8, 1.6).logpdf(READING))
    assert np.isneginf(log_density(UniformNoise(0.8))).any()


def test_two_gaussians_are_one():
    np.testing.assert_allclose(
        log_density([GaussianNoise(0.3), GaussianNoise(0.4)]), log_density(GaussianNoise(0.5)), rtol=1e-12
    )


@pytest.mark.parametrize(
    ("chain", "of"),
    [
        ([EpisodeBias(0.4), GaussianNoise(0.7)], covariance(0.7, bias=0.4)),
        ([GaussianNoise(0.7), EpisodeBias(0.4)], covariance(0.7, bias=0.4)),
        ([Drift(0.9, 0.05)], covariance(0.0, drift=0.9, time_constant=0.05)),
        (
            [GaussianNoise(0.2), Drift(0.9, 0.5), EpisodeBias(0.3)],
            covariance(0.2, bias=0.3, drift=0.9, time_constant=0.5),
        ),
    ],
)
def test_correlated_noise_is_one_normal_vector(chain, of):
    joint = stats.multivariate_normal(np.zeros(8), of).logpdf(READING - CLEAN)
    np.testing.assert_allclose(log_density(chain).sum(axis=1), joint, rtol=1e-10)


def test_each_frame_is_given_those_before():
    """By the exact transition of an Ornstein-Uhlenbeck process; and frames that come later change nothing."""
    offset, decay = READING - CLEAN, np.exp(-PERIOD / 0.05)
    expected = stats.norm(decay * offset[:, :-1], 0.9 * np.sqrt(1 - decay**2)).logpdf(offset[:, 1:])
    whole = log_density(Drift(0.9, 0.05))
    np.testing.assert_allclose(whole[:, 1:], expected, rtol=1e-10)
    np.testing.assert_allclose(log_density(Drift(0.9, 0.05), READING[:, :3], CLEAN[:, :3]), whole[:, :3], rtol=1e-12)


@pytest.mark.parametrize("chain", [[GaussianNoise(0.5)], [GaussianNoise(0.5), Drift(1.0, 0.1)], [UniformNoise(9.0)]])
def test_past_the_end_of_an_episode_there_is_nothing(chain):
    cut = READING.copy()
    cut[1, 5:] = np.nan
    density = log_density(chain, cut)
    assert np.isnan(density[1, 5:]).all()
    rest = ~np.isnan(cut)
    np.testing.assert_allclose(density[rest], log_density(chain)[rest], rtol=1e-12)


@pytest.mark.parametrize("chain", [[UniformNoise(0.5), GaussianNoise(0.2)], [UniformNoise(0.1), GaussianNoise(1.0)]])
def test_uniform_and_gaussian_together(chain):
    """The convolution integral, by quadrature; and it integrates to 1."""
    half_width, deviation = chain[0].half_width, chain[1].deviation
    for at in (0.0, 0.3, 0.6, 1.4):
        direct, _ = integrate.quad(
            lambda u, at=at: stats.norm.pdf(at - u, scale=deviation) / (2 * half_width), -half_width, half_width
        )
        assert np.exp(log_density(chain, np.array([at]), np.array([0.0])))[0] == pytest.approx(direct, rel=1e-6)
    grid = np.linspace(-8, 8, 20001)
    assert np.trapezoid(np.exp(log_density(chain, grid, 0.0)), grid) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("chain", [[GaussianNoise(0.3), Quantisation(0.25)], [UniformNoise(0.6), Quantisation(0.25)]])
@pytest.mark.parametrize("clean", [0.0, 0.1, 100.07])
def test_quantised_readings_have_probabilities_that_add_up(chain, clean):
    cells = 0.25 * np.arange(-4000, 4001)
    probability = np.exp(log_density(chain, cells, np.full(len(cells), clean)))
    assert probability.sum() == pytest.approx(1.0, abs=1e-12)
    drawn = readings(chain, np.full((200, 100), clean))
    for cell in np.unique(drawn):
        frequency, expected = (drawn == cell).mean(), probability[np.isclose(cells, cell)][0]
        assert abs(frequency - expected) < 5 * np.sqrt(expected / drawn.size) + 1e-4


def test_a_reading_between_two_steps_is_impossible():
    assert np.isneginf(log_density([GaussianNoise(0.3), Quantisation(0.25)], np.array([0.1]), np.array([0.1])))


@pytest.mark.parametrize("distance", [5.0, 20.0, 36.0])
@pytest.mark.parametrize("side", [-1, 1])
def test_far_tails_keep_their_digits(distance, side):
    """Compared with the density in the middle of a cell so small that it hardly changes within."""
    step = 1e-3
    far = np.array([side * distance])
    probability = log_density([GaussianNoise(1.0), Quantisation(step)], far, np.zeros(1))
    assert probability[0] == pytest.approx(stats.norm.logpdf(distance) + np.log(step), rel=1e-5)


@pytest.mark.parametrize(
    "chain",
    [
        [GaussianNoise(0.3)],
        [UniformNoise(0.3)],
        [UniformNoise(0.3), GaussianNoise(0.1)],
        [EpisodeBias(0.5), GaussianNoise(0.3)],
        [Drift(0.5, 0.2), GaussianNoise(0.3)],
        [GaussianNoise(0.3), Quantisation(0.2)],
    ],
)
def test_the_drawn_readings_are_most_probable_under_their_own_chain(chain):
    """Gibbs' inequality: other numbers in the same chain give the readings a lower mean log-density."""
    clean = np.tile(np.sin(np.arange(40.0)), (300, 1))
    drawn = readings(chain, clean)
    own = log_density(chain, drawn, clean).sum(axis=1).mean()
    for i, model in enumerate(chain):
        if isinstance(model, Quantisation):
            continue
        for factor in (0.7, 1.4):
            number = "half_width" if isinstance(model, UniformNoise) else "deviation"
            changed = type(model)(**{**vars(model), number: factor * getattr(model, number)})
            other = [*chain[:i], changed, *chain[i + 1 :]]
            assert log_density(other, drawn, clean).sum(axis=1).mean() < own


@pytest.mark.parametrize(
    ("chain", "reason"),
    [
        ([], "without noise a reading is certain"),
        ([GaussianNoise(0.0)], "without noise a reading is certain"),
        ([Quantisation(0.1)], "without noise a reading is certain"),
        ([EpisodeBias(0.1)], "differ by nothing random; add a GaussianNoise"),
        ([GaussianNoise(0.1), Dropout(0.1)], "a held reading repeats the last one exactly"),
        ([UniformNoise(0.1), UniformNoise(0.1)], "several UniformNoise"),
        ([UniformNoise(0.1), Drift(0.1, 1.0)], "UniformNoise with EpisodeBias or Drift"),
        ([Quantisation(0.1), GaussianNoise(0.1)], "only for white noise before it and none after"),
        ([EpisodeBias(0.1), GaussianNoise(0.1), Quantisation(0.1)], "only for white noise before it"),
        ([UniformNoise(0.1), GaussianNoise(0.1), Quantisation(0.1)], "together has none in closed form"),
    ],
)
def test_a_chain_without_a_density_says_why(chain, reason):
    names = ", ".join(type(model).__name__ for model in chain) or "(none)"
    with pytest.raises(WorldError, match=reason) as caught:
        log_density(chain)
    assert str(caught.value).startswith(f"the noise [{names}] has no density: ")


@pytest.mark.parametrize("noise", ["much", None, True, {"gaussian": 1.0}, [0.1, "x"], [[0.1]]])
def test_what_is_no_noise(noise):
    with pytest.raises(WorldError, match="noise is a number, a noise model or a list of them, got"):
        NoiseChain.of(noise)


def test_a_chain_with_another_deviation():
    chain = NoiseChain.of(
        [EpisodeBias(0.2), GaussianNoise(0.1), UniformNoise(0.3), Quantisation(0.05), GaussianNoise(1)]
    )
    assert chain.with_deviation(0.4).models == (chain.models[0], GaussianNoise(0.4), *chain.models[2:])
    silent = NoiseChain.of([Quantisation(0.1)])
    assert silent.with_deviation(0.0) == silent
    assert silent.with_deviation(0.2).models == (GaussianNoise(0.2), Quantisation(0.1))


def test_what_is_plain():
    assert NoiseChain().plain
    assert NoiseChain.of(0.1).plain
    assert not NoiseChain.of([0.1, 0.2]).plain
    assert not NoiseChain.of(UniformNoise(0.1)).plain
