"""Measuring a deployment: what cannot be measured is a note, never an exception."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sim2real_cat.gaps.kl_gap import gap
from sim2real_cat.transfer.deployment import Deployment
from sim2real_cat.transfer.measurement import measure
from sim2real_cat.worlds.randomization.ensemble import Ensemble


@pytest.fixture
def make_walks(make_trajectories):
    """Stationary episodes of two sensors around a centre."""

    def make(seed, episodes=12, frames=25, centre=0.0, **more):
        rng = np.random.default_rng(seed)
        walks = rng.normal(size=(episodes, frames, 2))
        for t in range(1, frames):
            walks[:, t] = 0.5 * walks[:, t - 1] + np.sqrt(0.75) * walks[:, t]
        return make_trajectories(walks + centre, **more)

    return make


@pytest.fixture
def deployment(make_walks):
    """A policy in two worlds, the second of weight 0.9 and far away from the first; reality is like the second."""
    fibre = Ensemble((), (), np.zeros((2, 0)), np.array([0.1, 0.9]))
    sim = make_walks(1, 24, members=np.repeat([0, 1], 12))
    sim.observations[12:] += 8.0
    return Deployment("p", "r", "", None, fibre, sim, make_walks(2, centre=8.0))


def measured(deployment, method="gaussian"):
    return measure(deployment, method=method, confidence=0.9, rng=np.random.default_rng(5))


def test_the_gap_is_that_of_the_weighted_fibre(deployment):
    found = measured(deployment)
    assert found.note == ""
    rng = np.random.default_rng(5)
    for level, estimate in (("transition", found.transition), ("occupancy", found.occupancy)):
        weights = {0: 0.1, 1: 0.9}
        expected = gap(
            deployment.real, deployment.sim, method="gaussian", level=level, weights=weights, confidence=0.9, rng=rng
        )
        assert estimate == expected
        assert (estimate.level, estimate.n_members, estimate.confidence) == (level, 2, 0.9)
    assert found.occupancy.low <= np.log(1 / 0.9) <= found.occupancy.high


def test_the_weights_matter(deployment):
    turned = replace(deployment, fibre=replace(deployment.fibre, weights=np.array([0.9, 0.1])))
    more = measured(turned).occupancy.plug_in - measured(deployment).occupancy.plug_in
    assert more == pytest.approx(np.log(9), rel=1e-3)


def test_the_method_is_passed_on(deployment):
    assert measured(deployment, "knn").transition.method == "knn"


def test_diverged_episodes_are_left_out(deployment):
    real = replace(deployment.real, diverged=np.arange(12) < 4)
    real.observations[:4] = 1e9
    found = measured(replace(deployment, real=real))
    assert found.transition.episodes_real == 8
    assert found.transition.value < 1


@pytest.mark.parametrize(
    ("side", "change", "part"),
    [
        ("real", {"diverged": np.ones(12, dtype=bool)}, "the real side is empty"),
        ("sim", {"diverged": np.arange(24) >= 12}, "weights are for members"),
        ("real", {"control_period": 0.5}, "the control periods differ"),
        ("sim", {"sensors": ("x", "z")}, "the sensors of the two sides differ"),
    ],
)
def test_what_cannot_be_measured_is_a_note(deployment, side, change, part):
    found = measured(replace(deployment, **{side: replace(getattr(deployment, side), **change)}))
    assert found.transition is None
    assert found.occupancy is None
    transition, occupancy = found.note.split(" | ")
    assert transition.startswith("transition: ")
    assert occupancy.startswith("occupancy: ")
    assert part in transition
    assert "\n" not in found.note


def test_levels_are_measured_apart(deployment, make_trajectories):
    short = make_trajectories(np.random.default_rng(3).normal(size=(12, 2, 2)))
    found = measured(replace(deployment, real=replace(short, lengths=np.zeros(12, dtype=np.int64))))
    assert found.transition is None
    assert found.occupancy is not None
    assert found.note.startswith("transition: ")


def test_why_a_gap_is_not_to_be_relied_on(deployment):
    single = deployment.real.select(np.arange(1))
    found = measured(replace(deployment, real=single))
    assert not found.transition.reliable
    assert found.transition.high == np.inf
    assert "transition: no interval from the single real episode" in found.note


def test_without_a_world_samples_are_compared(deployment):
    found = measured(deployment, "auto")
    assert found.transition.method == "gaussian"
    assert found.note.startswith("predictive: the simulated world cannot be set to a recorded state")
    assert found.predictive is None
    alone = measured(deployment, "predictive")
    assert alone.transition is None
    assert alone.occupancy.method == "gaussian"
