"""Control loops that run slower or faster than the world's."""

from __future__ import annotations

import numpy as np
import pytest
from rig import MASS, TIMESTEP, Scripted, equal, members, rig_world

from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.parameters.apply import check_parameters
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.randomization.randomization import Randomization
from sim2real_cat.worlds.sensors.noise import Drift
from sim2real_cat.worlds.simulation.prediction import predict_steps
from sim2real_cat.worlds.simulation.replay import replay
from sim2real_cat.worlds.simulation.rollout import rollout
from sim2real_cat.worlds.simulation.simulator import Simulator

STEPS = 12
SLOW = Ensemble.single({"control_period": {"scale": 2.0}})


def plan(episodes=1):
    return np.random.default_rng(0).normal(size=(episodes, STEPS, 2))


@pytest.fixture
def world(tmp_path):
    return rig_world(tmp_path, substeps=2, steps=STEPS, forward={"qpos[rail]": 1.0}, noise=0.1)


def test_a_slow_loop_is_the_world_with_that_period(world, tmp_path):
    slow = rig_world(tmp_path, substeps=4, steps=STEPS, forward={"qpos[rail]": 1.0}, noise=0.1)
    for change in ({"scale": 2.0}, {"set": 4 * TIMESTEP}, {"shift": 2 * TIMESTEP}):
        done = rollout(world, Scripted(plan()), rng=0, fibre=Ensemble.single({"control_period": change}))
        assert done.control_period == 4 * TIMESTEP
        assert equal(done, rollout(slow, Scripted(plan()), rng=0))


def test_the_nominal_period_changes_no_byte(world):
    nominal = Ensemble.single({"control_period": {"scale": 1.0}})
    assert equal(rollout(world, Scripted(plan()), rng=0, fibre=nominal), rollout(world, Scripted(plan()), rng=0))


def test_members_differ(world, tmp_path):
    """Each is what it is alone: motion, rewards, delays and noise; the recording says so in a note."""
    noisy = rig_world(tmp_path, substeps=2, steps=STEPS, forward={"qpos[rail]": 1.0}, noise=[Drift(0.2, 0.1), 0.1])
    values = np.array([[0.02, 0.03], [0.01, 0.03], [0.05, 0.03]])
    fibre = Ensemble(("control_period", "observation_delay"), ("set", "set"), values, np.full(3, 1 / 3))
    same = np.repeat(plan(), 3, axis=0)
    generators = np.random.default_rng(0).spawn(3)
    done = Simulator(noisy, fibre).run(Scripted(same), STEPS, generators)
    for member in range(3):
        alone = Simulator(noisy, fibre.select([member])).run(
            Scripted(plan()), STEPS, [np.random.default_rng(0).spawn(3)[member]]
        )
        for name in ("qpos", "rewards", "observations"):
            np.testing.assert_array_equal(getattr(done, name)[member], getattr(alone, name)[0])
        assert alone.control_period == values[member, 0]
    together = rollout(noisy, Scripted(same), rng=0, fibre=fibre)
    assert together.control_period == 0.02
    assert together.notes == ("control periods of members from 0.01 to 0.05 s, recorded as the world's",)


def test_the_speed_gained_in_a_step_grows_with_it(world):
    fibre = members("control_period", "set", [0.01, 0.02, 0.04])
    done = rollout(world, Scripted(np.ones((3, STEPS, 2))), rng=0, fibre=fibre)
    np.testing.assert_allclose(done.qvel[:, 1, 1], np.array([0.01, 0.02, 0.04]) / MASS, rtol=1e-12)


def test_replay_and_prediction_take_each_members_step(world):
    real = rollout(world, Scripted(plan()), rng=0, fibre=SLOW)
    np.testing.assert_array_equal(replay(world, real, fibre=SLOW).qpos, real.qpos)
    both = members("control_period", "scale", [1.0, 2.0])
    ahead = predict_steps(world, real, fibre=both)
    after = np.concatenate([real.qpos, real.qvel], axis=2)[0, 1:]
    np.testing.assert_allclose(ahead.state[STEPS:], after, rtol=0, atol=1e-12)
    assert np.abs(ahead.state[:STEPS] - after).max() > 1e-3


def test_delayed_actuators_remember_whole_steps_of_the_members_loop(world):
    fibre = Ensemble.single({"control_period": {"scale": 2.0}, "actuator_delay": {"set": 0.05}})
    real = rollout(world, Scripted(plan()), rng=0, fibre=fibre)
    ahead = predict_steps(world, real, fibre=fibre)
    after = np.concatenate([real.qpos, real.qvel], axis=2)[0, 1:]
    np.testing.assert_allclose(ahead.state, after, rtol=0, atol=1e-12)


def test_a_recording_of_another_period_needs_members_that_say_so(world):
    real = rollout(world, Scripted(plan()), rng=0, fibre=SLOW)
    with pytest.raises(WorldError, match=r"0.02 s, the recording of 0.04 s; .* give the members a 'control_period'"):
        replay(world, real)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"scale": 1.2}, "0.024 s, no whole multiple of the model's timestep 0.01 s; the nearest are 0.02 s and 0.03"),
        ({"set": 0.004}, "would be 0.004 s, no whole multiple .*; the nearest are 0.01 s$"),
        ({"set": -0.02}, "would be -0.02 s, no whole multiple .*; the nearest are 0.01 s$"),
        ({"set": 0.0}, "would be 0 s, no whole multiple"),
        ({"set": 2e4}, "more than 100000 timesteps; it is in seconds"),
    ],
)
def test_periods_that_are_no_whole_steps(world, entry, message):
    with pytest.raises(WorldError, match=message):
        check_parameters(world, Ensemble.single({"control_period": entry}))


def test_a_world_has_one_period(world):
    with pytest.raises(WorldError, match="a world has one control period; write 'control_period'"):
        check_parameters(world, Ensemble.single({"control_period[push]": {"scale": 2.0}}))


def test_a_range_of_periods_is_refused_where_it_is_bound(world):
    ranged = Randomization.from_table({"control_period": {"scale": [1.0, 2.0]}})
    with pytest.raises(WorldError, match="'control_period' counts whole timesteps: draw it with distribution"):
        ranged.bind(world)
    drawn = Randomization.from_table({"control_period": {"scale": [1.0, 1.5, 2.0], "distribution": "discrete"}})
    assert set(drawn.bind(world).draw(50, rng=0).values.ravel()) == {1.0, 1.5, 2.0}
