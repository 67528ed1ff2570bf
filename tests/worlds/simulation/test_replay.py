from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rig import Constant, Scripted, equal, members, rig_world

from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.simulation.replay import replay
from sim2real_cat.worlds.simulation.rollout import rollout
from sim2real_cat.worlds.tasks.gymnasium import MODELS
from sim2real_cat.worlds.world import World


@pytest.mark.parametrize("name", MODELS)
def test_a_noiseless_recording_is_given_back(name):
    """Contacts and ends of episodes included, and to the last bit: physics are the same from the same start."""
    world = World.gymnasium(name)
    actions = np.random.default_rng(0).uniform(-1, 1, (5, 60, int(world.compile().nu)))
    recorded = rollout(world, Scripted(actions), rng=1, episodes=5, steps=60)
    assert equal(replace(replay(world, recorded), notes=()), recorded)


def test_every_member_replays_every_episode(tmp_path):
    """In the member in which an episode was recorded it is given back, in the others it is not."""
    world = rig_world(tmp_path)
    heavier = members("body_mass[cart]", "scale", [1.0, 2.0, 3.0])
    actions = np.random.default_rng(0).uniform(-1, 1, (6, 20, 2))
    recorded = rollout(world, Scripted(actions), rng=1, episodes=2, fibre=heavier)
    played = replay(world, recorded, fibre=heavier)
    assert len(played) == 18
    assert played.member_index.tolist() == [0] * 6 + [1] * 6 + [2] * 6
    for row in range(18):
        original = recorded.select(np.array([row % 6]))
        same = row // 6 == original.member_index[0]
        assert np.allclose(played.qpos[row], original.qpos[0], rtol=0, atol=1e-12) == same


@pytest.mark.parametrize("delay", [0.004, 0.01, 0.035])
def test_late_actuators(tmp_path, delay):
    world = rig_world(tmp_path, substeps=2)
    late = Ensemble.single({"actuator_delay": {"set": delay}})
    actions = np.random.default_rng(0).uniform(-1, 1, (3, 20, 2))
    recorded = rollout(world, Scripted(actions), rng=1, episodes=3, fibre=late)
    np.testing.assert_array_equal(replay(world, recorded, fibre=late).qpos, recorded.qpos)
    assert np.abs(replay(world, recorded).qpos - recorded.qpos).max() > 1e-4


def test_late_sensors_of_the_model(tmp_path):
    world = rig_world(tmp_path, observe=("sensordata[encoder]", "sensordata[centre]"), start_noise=0.3)
    late = Ensemble.single({"sensor_delay[encoder]": {"set": 0.05}})
    recorded = rollout(world, Constant(np.ones(2)), rng=0, episodes=3, fibre=late)
    assert np.array_equal(recorded.observations[:, 5, 0], recorded.qpos[:, 0, 1])
    np.testing.assert_array_equal(replay(world, recorded, fibre=late).observations, recorded.observations)


def test_the_noise_of_the_recording_is_not_replayed(tmp_path):
    world = rig_world(tmp_path, noise=0.1)
    recorded = rollout(world, Constant(np.ones(2)), rng=0)
    np.testing.assert_array_equal(replay(world, recorded).observations, recorded.qpos)


def test_some_sensors_in_another_order(tmp_path):
    world = rig_world(tmp_path)
    recorded = rollout(world, Constant(np.ones(2)), rng=0)
    some = replace(recorded, observations=recorded.observations[:, :, [2, 0]], sensors=("qpos[coil]", "qpos[drop]"))
    played = replay(world, some)
    assert played.sensors == ("qpos[coil]", "qpos[drop]")
    np.testing.assert_array_equal(played.observations, some.observations)


def test_a_replay_that_blows_up_ends_before_the_bad_step(tmp_path):
    """The recorded robot is heavy, the world's weighs nothing to speak of: the same force throws it out."""
    world = rig_world(tmp_path)
    recorded = rollout(world, Constant(np.array([1e9, 0.0])), rng=0, fibre=members("body_mass[cart]", "set", [1e9]))
    assert not recorded.diverged.any()
    played = replay(world, recorded, fibre=members("body_mass[cart]", "set", [1e-6]))
    assert played.diverged.tolist() == [True]
    assert played.lengths[0] < 20
    assert played.qpos.shape[1] == played.lengths[0] + 1
    assert np.isfinite(played.qpos).all()


def test_more_episodes_than_fit_in_one_batch(tmp_path, monkeypatch):
    world = rig_world(tmp_path, healthy={"qpos[rail]": (-1.0, 0.0012)})
    actions = np.zeros((5, 20, 2))
    actions[[0, 3], :, 0] = 1.0
    recorded = rollout(world, Scripted(actions), rng=0, episodes=5)
    assert recorded.lengths.tolist() == [7, 20, 20, 7, 20]
    whole = replay(world, recorded)
    assert equal(replace(whole, notes=()), recorded)
    monkeypatch.setattr("sim2real_cat.worlds.simulation.replay._AT_ONCE", 2)
    assert equal(replay(world, recorded), whole)
    assert equal(replay(world, recorded, threads=2), whole)


def test_no_episodes(tmp_path):
    world = rig_world(tmp_path)
    recorded = rollout(world, Constant(np.ones(2)), rng=0)
    assert len(replay(world, recorded.select(np.zeros(0, dtype=np.intp)))) == 0


def test_what_was_done_is_noted(tmp_path):
    world = rig_world(tmp_path)
    recorded = replace(rollout(world, Constant(np.ones(2)), rng=0), notes=("from a robot",))
    assert replay(world, recorded).notes == ("from a robot", "replayed in world 'rig'")


def test_a_recording_of_another_robot_is_refused(tmp_path):
    world = rig_world(tmp_path)
    recorded = rollout(world, Constant(np.zeros(2)), rng=0)
    for wrong, message in [
        (
            replace(recorded, actions=recorded.actions[:, :, :0], actuators=()),
            "the recording has no actions, world 'rig'",
        ),
        (replace(recorded, qvel=recorded.qvel[:, :, :0]), "the recording has no velocities, world 'rig'"),
        (replace(recorded, sensors=("qpos[rial]", *recorded.sensors[1:])), r"did you mean 'qpos\[rail\]'"),
        (replace(recorded, control_period=10.0), "control period of 0.01 s, the recording of 10 s"),
    ]:
        with pytest.raises(WorldError, match=message) as caught:
            replay(world, wrong)
        assert "\n" not in str(caught.value)
