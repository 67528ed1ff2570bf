"""Each noise model has the moments, the correlation in time and the range that its formula says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from noise_readings import PERIOD, readings
from scipy import stats

from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.sensors.noise import (
    Drift,
    Dropout,
    EpisodeBias,
    GaussianNoise,
    Quantisation,
    UniformNoise,
)


def noise(chain, n=400, frames=100, seed=0):
    return readings(chain, np.zeros((n, frames)), seed)


def same_law(sample, distribution):
    """Kolmogorov and Smirnov do not tell an independent sample from the distribution (seeds are fixed)."""
    return stats.kstest(sample.ravel(), distribution.cdf).pvalue > 0.01


def test_gaussian_noise_is_white_and_normal():
    drawn = noise(GaussianNoise(0.3))
    assert same_law(drawn, stats.norm(scale=0.3))
    assert abs(np.corrcoef(drawn[:, 1:].ravel(), drawn[:, :-1].ravel())[0, 1]) < 5 / np.sqrt(drawn.size)


def test_a_second_gaussian_noise_is_independent_of_the_first():
    assert same_law(noise([GaussianNoise(0.3), GaussianNoise(0.4)]), stats.norm(scale=0.5))


def test_uniform_noise_is_white_and_uniform():
    drawn = noise(UniformNoise(0.3))
    assert same_law(drawn, stats.uniform(-0.3, 0.6))
    assert abs(np.corrcoef(drawn[:, 1:].ravel(), drawn[:, :-1].ravel())[0, 1]) < 5 / np.sqrt(drawn.size)


def test_a_bias_stays_for_an_episode_and_is_normal_over_episodes():
    drawn = noise(EpisodeBias(2.0), n=2000, frames=5)
    assert (drawn == drawn[:, :1]).all()
    assert same_law(drawn[:, 0], stats.norm(scale=2.0))


@pytest.mark.parametrize("time_constant", [0.005, 0.1, 3.0])
def test_drift_is_a_stationary_ornstein_uhlenbeck_process(time_constant):
    """Variance is the same in the first and the last frame, and correlation decays as exp(-t / time_constant).

    A correlation of n independent pairs is known to 1 / sqrt(n).
    """
    drawn = noise(Drift(0.5, time_constant), n=4000, frames=60)
    for frame in (0, 1, 30, 59):
        assert same_law(drawn[:, frame], stats.norm(scale=0.5))
    for lag in (1, 5, 30):
        expected = np.exp(-lag * PERIOD / time_constant)
        for first in (0, 29):
            assert np.corrcoef(drawn[:, first], drawn[:, first + lag])[0, 1] == pytest.approx(expected, abs=0.06)


def test_drift_is_drawn_exactly_whatever_the_period():
    """From frame to frame the conditional law is N(a x, s² (1 - a²)); an Euler step would have another variance."""
    drawn = noise(Drift(0.5, 0.01), n=2000, frames=20)
    decay = np.exp(-PERIOD / 0.01)
    steps = drawn[:, 1:] - decay * drawn[:, :-1]
    assert same_law(steps, stats.norm(scale=0.5 * np.sqrt(1 - decay**2)))


@given(step=st.floats(1e-3, 10), value=st.floats(-100, 100))
def test_quantisation_gives_the_nearest_multiple(step, value):
    read = readings(Quantisation(step), np.array([[value]]))[0, 0]
    assert abs(read - value) <= step / 2 * (1 + 1e-9)
    assert read / step == pytest.approx(round(read / step), abs=1e-6)
    assert readings(Quantisation(step), np.array([[read]]))[0, 0] == read


@pytest.mark.parametrize("probability", [0.0, 0.2, 1.0])
def test_dropout_holds_the_last_reading_as_often_as_it_says(probability):
    clean = np.tile(np.arange(300.0), (100, 1))
    read = readings(Dropout(probability), clean)
    held = read[:, 1:] == read[:, :-1]
    assert (read[:, 0] == 0).all(), "the first reading always arrives"
    assert (held | (read[:, 1:] == clean[:, 1:])).all()
    assert held.mean() == pytest.approx(probability, abs=5 * np.sqrt(0.25 / held.size))
    runs = held[:, 1:][held[:, :-1]]
    if runs.size:
        assert runs.mean() == pytest.approx(probability, abs=5 * np.sqrt(0.25 / runs.size)), "losses are independent"


def test_the_models_act_in_the_order_given():
    clean = np.tile(np.linspace(-1, 1, 50), (20, 1))
    rough = readings([GaussianNoise(0.3), Quantisation(0.5)], clean)
    fine = readings([Quantisation(0.5), GaussianNoise(0.3)], clean)
    assert np.allclose(rough, 0.5 * np.rint(rough / 0.5))
    after = fine - readings(Quantisation(0.5), clean)
    np.testing.assert_allclose(after, noise(GaussianNoise(0.3), 20, 50), rtol=0, atol=1e-12)
    assert not np.allclose(fine, 0.5 * np.rint(fine / 0.5))


def test_what_is_held_is_held_with_its_noise_or_gets_new_noise_by_the_order():
    clean = np.zeros((50, 100))
    held = readings([GaussianNoise(1.0), Dropout(0.5)], clean)
    fresh = readings([Dropout(0.5), GaussianNoise(1.0)], clean)
    assert (held[:, 1:] == held[:, :-1]).mean() == pytest.approx(0.5, abs=0.05)
    assert (fresh[:, 1:] != fresh[:, :-1]).all()


@settings(max_examples=30, deadline=None)
@given(
    chain=st.lists(
        st.sampled_from(
            [
                GaussianNoise(0.1),
                UniformNoise(0.2),
                EpisodeBias(0.3),
                Drift(0.1, 0.5),
                Quantisation(0.25),
                Dropout(0.3),
            ]
        ),
        max_size=5,
    ),
    seed=st.integers(0, 2**32),
)
def test_a_shorter_or_smaller_batch_reads_the_same(chain, seed):
    clean = np.tile(np.linspace(0, 3, 12), (6, 1))
    whole = readings(chain, clean, seed)
    assert np.isfinite(whole).all()
    assert np.array_equal(readings(chain, clean[:2, :7], seed), whole[:2, :7])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GaussianNoise(-1.0), "deviation of GaussianNoise: needs to be >= 0, got -1.0"),
        (lambda: GaussianNoise("a"), "deviation of GaussianNoise: needs to be >= 0, got 'a'"),
        (lambda: UniformNoise(np.nan), "half_width of UniformNoise: needs to be >= 0, got nan"),
        (lambda: EpisodeBias(np.inf), "deviation of EpisodeBias: needs to be >= 0, got inf"),
        (lambda: Drift(0.1, 0.0), "time_constant of Drift: needs to be > 0 seconds, got 0.0"),
        (lambda: Drift(-0.1, 1.0), "deviation of Drift: needs to be >= 0"),
        (lambda: Quantisation(0.0), "step of Quantisation: needs to be > 0, got 0.0"),
        (lambda: Dropout(1.5), "probability of Dropout: needs to be <= 1, got 1.5"),
    ],
)
def test_numbers_that_make_no_model(make, message):
    with pytest.raises(WorldError, match=message):
        make()
