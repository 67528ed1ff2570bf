"""Reality's own density, fitted to episodes left out."""

from __future__ import annotations

import numpy as np
import pytest

from sim2real_cat.errors import GapError
from sim2real_cat.predictive.reality import fit_residuals


def test_reality_is_fitted_to_what_it_has_not_seen():
    rng = np.random.default_rng(8)
    episode, features = np.repeat(np.arange(12), 50), rng.normal(size=(600, 3))
    simulated = features[:, :2]
    reading = simulated + features @ rng.normal(size=(3, 2)) + 0.5 + 0.2 * rng.normal(size=(600, 2))
    found = fit_residuals(reading, simulated, features, episode)
    assert found.folds == 10
    assert found.calibration == pytest.approx(1.0, abs=0.1)
    np.testing.assert_allclose(found.deviation.mean(axis=0), 0.2, rtol=0.1)
    right = fit_residuals(simulated + 0.2 * rng.normal(size=(600, 2)), simulated, features, episode)
    assert np.abs(right.expected - simulated).max() < 0.1
    assert not right.reasons
    other = np.where(episode < 6, 1.0, -1.0)[:, None] * features[:, :2]
    wrong = fit_residuals(simulated + other + 10 * (episode == 3)[:, None] * other, simulated, features, episode)
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
        fit_residuals(*arrays, np.repeat(np.arange(4), 8)[kept])
