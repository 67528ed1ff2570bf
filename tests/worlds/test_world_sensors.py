"""What the sensors add to the truth: noise and bias, by world and by member."""

from __future__ import annotations

import numpy as np
import pytest
from rig import Constant, members, rig_world

from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.simulation.rollout import rollout


def read(world, table=None, **settings):
    """Differences of what the sensors read from the truth, (episodes x frames, d), for a robot that coasts."""
    changed = None if table is None else Ensemble.single(table)
    still = Constant(np.zeros(2))
    done = rollout(world, still, rng=3, fibre=changed, until_terminated=False, threads=1, **settings)
    return (done.observations - done.qpos).reshape(-1, len(world.sensors))


def test_without_noise_they_read_the_truth(rig):
    assert not read(rig).any()


def test_bias_is_exact(rig):
    offset = read(rig, {"observation_bias[qpos[rail]]": {"shift": 0.25}, "observation_bias[qpos[t*]]": {"set": -1.0}})
    truth = np.tile([0, 0.25, 0, -1.0], (len(offset), 1))
    np.testing.assert_allclose(offset, truth, rtol=0, atol=1e-15)


def test_noise_has_the_declared_mean_and_deviation(tmp_path):
    """Bounds of five standard errors: n = 20,200 samples of each channel, deviation known to s / sqrt(2 n)."""
    declared = {"*": 0.1, "qpos[rail]": 2.0, "qpos[turn]": 0.0}
    world = rig_world(tmp_path, noise=declared)
    drawn = read(world, episodes=200, steps=100)
    expected, n = np.array([0.1, 2.0, 0.1, 0.0]), len(drawn)
    assert (np.abs(drawn.mean(axis=0)) <= 5 * expected / np.sqrt(n)).all()
    assert (np.abs(drawn.std(axis=0) - expected) <= 5 * expected / np.sqrt(2 * n) + 1e-15).all()
    correlation = np.corrcoef(drawn[:, :3].T) - np.eye(3)
    assert np.abs(correlation).max() < 5 / np.sqrt(n)


def test_noise_is_independent_from_frame_to_frame(tmp_path):
    drawn = read(rig_world(tmp_path, noise=1.0), steps=4000)[:, 0]
    assert abs(np.corrcoef(drawn[1:], drawn[:-1])[0, 1]) < 5 / np.sqrt(len(drawn))


@pytest.mark.parametrize(("mode", "number", "factor"), [("scale", 3.0, 3.0), ("set", 0.5, 5.0), ("shift", 0.1, 2.0)])
def test_noise_of_a_member_is_changed(tmp_path, mode, number, factor):
    """The same generator, so the noise is the same draw times the factor."""
    world = rig_world(tmp_path, noise=0.1)
    changed = read(world, {"observation_noise[qpos[drop]]": {mode: number}})
    plain = read(world)
    np.testing.assert_allclose(changed[:, 0], factor * plain[:, 0], rtol=0, atol=1e-12)
    np.testing.assert_array_equal(changed[:, 1:], plain[:, 1:])


def test_every_member_has_its_own_bias(rig):
    biased = members("observation_bias[:]", "set", [0.0, 1.0, 2.0])
    done = rollout(rig, Constant(np.zeros(2)), rng=0, fibre=biased, episodes=2)
    offset = done.observations - done.qpos
    np.testing.assert_allclose(offset.mean(axis=(1, 2)), [0, 0, 1, 1, 2, 2], rtol=0, atol=1e-12)
    assert done.member_index.tolist() == [0, 0, 1, 1, 2, 2]
