"""The gap of faulty sensors, drives and loops, against closed forms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rig import Scripted, members, rig_world

from sim2real_cat.errors import GapError, WorldError
from sim2real_cat.predictive.gap import predictive_gap
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.simulation.rollout import rollout

STEPS, EPISODES = 12, 8
NOISE = {"qpos[drop]": 0.1, "qpos[rail]": 0.2, "qpos[coil]": 0.3, "qpos[turn]": 0.4}
TABLES = [
    {"observation_gain[qpos[rail]]": {"set": 1.5}},
    {"observation_gain": {"set": -1.0}},
    {"observation_swap[qpos[drop], qpos[turn]]": {"set": 1}, "observation_gain[qpos[drop]]": {"set": 2.0}},
    {"action_gain": {"set": 2.0}},
    {"action_backlash": {"set": 1.0}, "action_rate": {"set": 50.0}},
    {"control_period": {"scale": 3.0}},
]


@pytest.fixture
def world(tmp_path):
    return rig_world(tmp_path, substeps=2, steps=STEPS, noise=NOISE, start_noise=0.5)


def recorded(world, table, episodes=EPISODES):
    plan = np.random.default_rng(0).normal(size=(episodes, STEPS, 2))
    return rollout(world, Scripted(plan), rng=1, fibre=Ensemble.single(table), episodes=episodes)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("states", ["recorded", "hidden"])
def test_a_robot_that_is_in_the_fibre_has_no_gap(world, table, states):
    reality = Ensemble.single(table)
    found = predictive_gap(world, recorded(world, table), fibre=reality, reality=reality, states=states, rng=0)
    assert abs(found.estimate.value) < 1e-9
    assert found.estimate.raw == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("table", TABLES)
def test_a_robot_that_is_not_has_one(world, table):
    found = predictive_gap(world, recorded(world, table), reality=Ensemble.single(table), rng=0)
    assert found.members.gaps[0, 0] > 1e-7


def test_a_late_sensor_with_a_gain_has_no_gap_either(world):
    table = {"observation_gain": {"set": -1.0}, "observation_delay[qpos[turn]]": {"set": 0.02}}
    found = predictive_gap(
        world, recorded(world, table), fibre=Ensemble.single(table), reality=Ensemble.single(table), rng=0
    )
    assert found.estimate.raw == pytest.approx(0.0, abs=1e-9)


def test_the_gap_of_a_gain(world):
    """½ ((g - 1) x / σ)², averaged over the true readings after each step."""
    table = {"observation_gain[qpos[rail]]": {"set": 1.5}}
    real = recorded(world, table)
    found = predictive_gap(world, real, reality=Ensemble.single(table), rng=0)
    assert found.members.gaps[0, 0] == pytest.approx(
        np.mean(0.5 * np.square(0.5 * real.qpos[:, 1:, 1] / 0.2)), rel=1e-9
    )


def test_the_gap_of_exchanged_channels(world):
    """Means and deviations are exchanged: the divergence of two pairs of normal numbers."""
    table = {"observation_swap[qpos[drop], qpos[turn]]": {"set": 1}}
    real = recorded(world, table)
    found = predictive_gap(world, real, reality=Ensemble.single(table), rng=0)
    truth = real.qpos[:, 1:]
    apart = np.square(truth[:, :, 0] - truth[:, :, 3])
    expected = sum(0.5 * ((s**2 + apart) / t**2 - 1) + np.log(t / s) for s, t in ((0.1, 0.4), (0.4, 0.1))).mean()
    assert found.members.gaps[0, 0] == pytest.approx(expected, rel=1e-9)


def test_the_gap_of_an_action_gain(world):
    """A push that is twice as strong moves the cart by Δ = h² Σ k u / m further in a step of two timesteps."""
    table = {"action_gain[push]": {"set": 2.0}}
    real = recorded(world, table)
    found = predictive_gap(world, real, reality=Ensemble.single(table), rng=0)
    further = 0.01**2 * 3 * real.actions[:, :, 0] / 2.0
    assert found.members.gaps[0, 0] == pytest.approx(np.mean(0.5 * np.square(further / 0.2)), rel=1e-9)


def test_the_posterior_finds_the_flag(world):
    table = {"observation_swap[qpos[drop], qpos[turn]]": {"set": 1}}
    fibre = members("observation_swap[qpos[drop], qpos[turn]]", "set", [0, 1])
    found = predictive_gap(world, recorded(world, table), fibre=fibre, reality=Ensemble.single(table), rng=0)
    np.testing.assert_allclose(found.members.chances, [0, 1], atol=1e-9)
    assert found.members.gaps[1, 0] < 1e-3 < found.members.gaps[0, 0]


def test_a_stuck_sensor_is_certain(world):
    """Of two members the one without it cannot have repeated a reading, so that the mixture costs ln 2 an episode."""
    table = {"observation_stuck[qpos[coil]]": {"set": 1}}
    fibre, reality = members("observation_stuck[qpos[coil]]", "set", [0, 1]), Ensemble.single(table)
    real = recorded(world, table, episodes=40)
    found = predictive_gap(world, real, fibre=fibre, reality=reality, rng=0)
    assert found.episode.raw == pytest.approx(np.log(2) / STEPS, rel=1e-6)
    np.testing.assert_allclose(found.members.chances, [0, 1], atol=1e-12)
    with pytest.raises(GapError, match="sensor 2 repeats what is expected exactly"):
        predictive_gap(world, real, fibre=fibre, rng=0)


def test_a_stuck_sensor_that_no_member_has_is_impossible(world):
    table = {"observation_stuck[qpos[coil]]": {"set": 1}}
    with pytest.raises(GapError, match=r"no member .* can have"):
        predictive_gap(world, recorded(world, table), reality=Ensemble.single(table), rng=0)


def test_a_member_that_is_stuck_cannot_have_read_what_changes(world):
    fibre = members("observation_stuck[qpos[coil]]", "set", [0, 1])
    nominal = Ensemble.nominal()
    found = predictive_gap(world, recorded(world, {}), fibre=fibre, reality=nominal, rng=0)
    np.testing.assert_allclose(found.members.chances, [1, 0], atol=1e-12)


def test_what_cannot_be_predicted_is_refused(world):
    real = recorded(world, {})
    swapped = Ensemble.single({"observation_swap[qpos[drop], qpos[turn]]": {"set": 1}})
    part = replace(real, sensors=real.sensors[:1], observations=real.observations[:, :, :1])
    with pytest.raises(
        WorldError, match=r"channel 'qpos\[drop\]' shows sensor 'qpos\[turn\]' in member 0, which is not"
    ):
        predictive_gap(world, part, fibre=swapped, rng=0)
    stuck = Ensemble.single({"observation_stuck": {"set": 1}})
    with pytest.raises(WorldError, match="followed through sensors that are not stuck, these are not: qpos"):
        predictive_gap(world, real, fibre=stuck, states="hidden", rng=0)
    deaf = Ensemble.single({"observation_gain[qpos[turn]]": {"set": 0.0}})
    with pytest.raises(WorldError, match=r"followed through sensors with a gain, these are not: qpos\[turn\]"):
        predictive_gap(world, real, fibre=deaf, states="hidden", rng=0)
    with pytest.raises(GapError, match=r"stuck sensors have no density where the recorded states have errors: qpos"):
        predictive_gap(world, real, fibre=stuck, reality=Ensemble.nominal(), state_deviation=0.01, rng=0)
