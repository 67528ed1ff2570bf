"""Noise of every kind in a rollout: the same bytes again in any company, and the parameters of its members."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rig import Constant, Scripted, equal, members, rig_world

from sim2real_cat.errors import WorldError
from sim2real_cat.policies.policy import LinearPolicy
from sim2real_cat.worlds.randomization.change import Change
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.randomization.randomization import Randomization
from sim2real_cat.worlds.sensors.noise import Drift, Dropout, EpisodeBias, GaussianNoise, Quantisation, UniformNoise
from sim2real_cat.worlds.simulation.rollout import rollout
from sim2real_cat.worlds.simulation.simulator import Simulator

EVERYTHING = {
    "qpos[drop]": [GaussianNoise(0.1), UniformNoise(0.1), EpisodeBias(0.5), Quantisation(0.01), Dropout(0.2)],
    "qpos[rail]": [Quantisation(0.01), GaussianNoise(0.1), Drift(0.2, 0.5)],
    "*": [EpisodeBias(0.5), Dropout(0.1), GaussianNoise(0.2), UniformNoise(0.1)],
}
VARIED = Randomization(
    {
        "observation_noise": Change("scale", 0.5, 2.0),
        "observation_bias": Change("shift", -0.1, 0.1),
        "observation_delay": Change("set", 0.0, 0.05),
        "actuator_delay": Change("set", 0.0, 0.03),
        "action_delay_spread": Change("set", 0.0, 0.03),
        "action_jitter": Change("set", 0.0, 0.03),
        "action_drop": Change("set", 0.0, 0.5),
    }
)
"""All that is random about sensors and actions; each member has its own."""


def feedback():
    return LinearPolicy(np.random.default_rng(0).normal(size=(2, 4)), np.zeros(4), np.ones(4))


def episodes(world, generators, ensemble, member_index, threads=1, steps=25):
    simulator = Simulator(world, ensemble, np.asarray(member_index), threads)
    return simulator.run(feedback(), steps, generators)


@pytest.fixture
def noisy(tmp_path):
    return rig_world(tmp_path, noise=EVERYTHING)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), order=st.permutations(range(6)), size=st.integers(1, 6), threads=st.integers(1, 2))
def test_an_episode_is_the_same_bytes_in_any_company(noisy, seed, order, size, threads):
    """In which batch, beside which members, and on how many threads it runs: only its generator and member count."""
    ensemble = VARIED.draw(6, rng=seed)
    whole = episodes(noisy, np.random.default_rng(seed).spawn(6), ensemble, range(6))
    chosen = list(order)[:size]
    own = np.random.default_rng(seed).spawn(6)
    some = Ensemble(ensemble.parameters, ensemble.modes, ensemble.values[chosen], np.full(size, 1 / size))
    apart = episodes(noisy, [own[i] for i in chosen], some, range(size), threads)
    for name in ("observations", "actions", "rewards", "qpos", "qvel"):
        assert getattr(apart, name).tobytes() == getattr(whole, name)[chosen].tobytes(), name


def test_the_same_seed_is_the_same_rollout_at_any_number_of_threads(noisy):
    one, two, again = (
        rollout(noisy, feedback(), rng=7, fibre=VARIED.draw(5, rng=1), episodes=3, threads=n) for n in (1, 2, 1)
    )
    assert equal(one, two)
    assert equal(one, again)


def test_a_shorter_rollout_is_the_beginning_of_a_longer_one(noisy):
    short, long = (rollout(noisy, feedback(), rng=7, fibre=VARIED.draw(5, rng=1), steps=n) for n in (8, 20))
    assert np.array_equal(short.observations, long.observations[:, :9])
    assert np.array_equal(short.actions, long.actions[:, :8])


def test_noise_of_other_kinds_leaves_the_gaussian_as_it_was(tmp_path):
    """Common random numbers: what one sensor is given besides changes nothing about the others."""
    plain = rollout(rig_world(tmp_path, noise=0.1), Constant(np.ones(2)), rng=0, episodes=4)
    more = {"*": 0.1, "qpos[coil]": [GaussianNoise(0.1), Drift(1.0, 1.0), Dropout(0.5)]}
    mixed = rollout(rig_world(tmp_path, noise=more), Constant(np.ones(2)), rng=0, episodes=4)
    assert np.array_equal(plain.qpos, mixed.qpos)
    others = [0, 1, 3]
    assert np.array_equal(plain.observations[:, :, others], mixed.observations[:, :, others])
    assert not np.array_equal(plain.observations[:, :, 2], mixed.observations[:, :, 2])


def offsets(world, table=None, episodes=20, **settings):
    """What the sensors add to the truth, (episodes, frames, 4)."""
    changed = None if table is None else Ensemble.single(table)
    done = rollout(world, Constant(np.zeros(2)), rng=3, fibre=changed, episodes=episodes, **settings)
    return done.observations - done.qpos


def test_a_bias_comes_before_the_quantisation(tmp_path):
    world = rig_world(tmp_path, noise=[Quantisation(1.0)])
    assert np.allclose(offsets(world, {"observation_bias[qpos[rail]]": {"set": 0.4}})[:, :, 1], 0.0)
    assert np.allclose(offsets(world, {"observation_bias[qpos[rail]]": {"set": 0.6}})[:, :, 1], 1.0)


@pytest.mark.parametrize("mode", ["scale", "shift", "set"])
def test_observation_noise_changes_the_first_gaussian_of_a_chain(tmp_path, mode):
    number = {"scale": 3.0, "shift": 0.2, "set": 0.3}[mode]
    for chain, tripled in (
        ([GaussianNoise(0.1), EpisodeBias(1.0)], [GaussianNoise(0.3), EpisodeBias(1.0)]),
        ([Quantisation(0.5), GaussianNoise(0.1)], [Quantisation(0.5), GaussianNoise(0.3)]),
        ([GaussianNoise(0.1), GaussianNoise(0.1)], [GaussianNoise(0.3), GaussianNoise(0.1)]),
    ):
        changed = offsets(rig_world(tmp_path, noise=chain), {"observation_noise": {mode: number}})
        np.testing.assert_allclose(changed, offsets(rig_world(tmp_path, noise=tripled)), rtol=0, atol=1e-12)


def test_a_chain_without_gaussian_noise_begins_with_one_where_a_member_has_it(tmp_path):
    ours = offsets(rig_world(tmp_path, noise=[Quantisation(0.5)]), {"observation_noise": {"set": 0.7}})
    assert np.array_equal(ours, offsets(rig_world(tmp_path, noise=[GaussianNoise(0.7), Quantisation(0.5)])))


def test_the_policy_acts_on_what_is_recorded(noisy):
    done = rollout(noisy, feedback(), rng=0, fibre=VARIED.draw(4, rng=0), steps=15)
    for step in range(15):
        assert np.array_equal(done.actions[:, step], feedback().act(done.observations[:, step], np.arange(4), step))


# delays of observations that are no sensors of the model


@pytest.mark.parametrize(("seconds", "frames"), [(0.0, 0), (0.01, 1), (0.02, 1), (0.021, 2), (0.06, 3), (10.0, 500)])
def test_an_observation_is_late_by_the_least_whole_periods(tmp_path, seconds, frames):
    world = rig_world(tmp_path, substeps=2)
    late = members("observation_delay[qpos[rail]]", "set", [0.0, seconds])
    done = rollout(world, Constant(np.ones(2)), rng=0, fibre=late)
    source = np.maximum(np.arange(21) - frames, 0)
    assert np.array_equal(done.observations[1, :, 1], done.qpos[1, source, 1])
    assert np.array_equal(done.observations[1, :, 3], done.qpos[1, :, 3])
    assert np.array_equal(done.observations[0], done.qpos[0])


def test_delays_of_episodes_that_end_at_different_times(tmp_path):
    """Half of the episodes end early; the others go on with their own past."""
    world = rig_world(tmp_path, healthy={"qpos[rail]": (-1.0, 0.01)}, steps=30)
    plan = np.zeros((6, 30, 2))
    plan[::2, :, 0] = 20.0
    plan[:, :, 1] = np.arange(6)[:, None]
    late = Ensemble.single({"observation_delay": {"set": 0.05}})
    done = rollout(world, Scripted(plan), rng=0, fibre=late, episodes=6)
    assert len(set(done.lengths.tolist())) == 2
    for i, length in enumerate(done.lengths):
        source = np.maximum(np.arange(length + 1) - 5, 0)
        assert np.array_equal(done.observations[i, : length + 1], done.qpos[i, source])


def test_a_delay_that_cannot_be_in_seconds(rig):
    message = r"^a delay of 2000 s is 200000 control periods; delays are in seconds, is this one\?$"
    with pytest.raises(WorldError, match=message):
        rollout(rig, Constant(np.ones(2)), rng=0, fibre=members("observation_delay", "set", [2000.0]))
