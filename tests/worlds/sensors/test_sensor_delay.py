"""Sensors of the model that answer late, on MuJoCo's history buffers."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
from mujoco.batch import Batch
from rig import RIG, TIMESTEP, Constant, members, rig_world, write_model

from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.parameters.apply import apply_to_model, check_parameters, compile_members
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.simulation.rollout import rollout
from sim2real_cat.worlds.simulation.simulator import Simulator
from sim2real_cat.worlds.tasks.quadratic import QuadraticTask
from sim2real_cat.worlds.world import World

OBSERVED = ("sensordata[encoder]", "sensordata[centre]")


def with_buffers(**attributes):
    """The rig with attributes on its encoder, as MuJoCo itself has them."""
    text = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    return RIG.replace('<jointpos name="encoder"', f'<jointpos name="encoder" {text}')


def read(tmp_path, ensemble=None, text=RIG, **settings):
    """Trajectories of the cart pushed from a random start, observed by an encoder and a centre of mass."""
    world = rig_world(tmp_path, text=text, observe=OBSERVED, start_noise=0.3, **settings)
    return rollout(world, Constant(np.array([1.0, 0.0])), rng=0, fibre=ensemble, threads=1)


@pytest.mark.parametrize("mode", ["set", "shift"])
@pytest.mark.parametrize("k", [0, 1, 5, 19, 60])
def test_k_timesteps_late(tmp_path, k, mode):
    """Also longer than the episode; before the start it reads the start, not zero."""
    done = read(tmp_path, members("sensor_delay[encoder]", mode, [k * TIMESTEP]))
    source = np.maximum(np.arange(21) - k, 0)
    assert np.array_equal(done.observations[0, :, 0], done.qpos[0, source, 1])
    assert done.qpos[0, 0, 1] != 0
    plain = read(tmp_path)
    assert np.array_equal(done.observations[:, :, 1:], plain.observations[:, :, 1:])
    assert np.array_equal(done.qpos, plain.qpos)


def test_members_of_one_batch_have_their_own_delay(tmp_path):
    lags = [0, 11, 3, 15]
    done = read(tmp_path, members("sensor_delay", "set", np.array(lags) * TIMESTEP))
    for i, k in enumerate(lags):
        source = np.maximum(np.arange(21) - k, 0)
        assert np.array_equal(done.observations[i, :, 0], done.qpos[i, source, 1])
        plain = done.observations[0, source, 3] + done.qpos[i, 0, 0] - done.qpos[0, 0, 0]
        np.testing.assert_allclose(done.observations[i, 10:, 3], plain[10:], rtol=0, atol=0.1)


def test_a_delay_in_the_file_is_kept_and_starts_full(tmp_path):
    done = read(tmp_path, text=with_buffers(nsample=4, delay=0.04))
    assert np.array_equal(done.observations[0, :, 0], done.qpos[0, np.maximum(np.arange(21) - 4, 0), 1])
    doubled = read(tmp_path, members("sensor_delay[encoder]", "scale", [2.0]), text=with_buffers(nsample=4, delay=0.04))
    assert np.array_equal(doubled.observations[0, :, 0], done.qpos[0, np.maximum(np.arange(21) - 8, 0), 1])


def test_interpolation_between_samples(tmp_path):
    """A delay of two and a half timesteps: zero-order hold reads three late, linear the mean of two and three."""
    late = members("sensor_delay[encoder]", "set", [2.5 * TIMESTEP])
    held, linear = (read(tmp_path, late, text=with_buffers(interp=how)) for how in ("zoh", "linear"))
    q, at = held.qpos[0, :, 1], np.arange(5, 21)
    np.testing.assert_array_equal(held.observations[0, at, 0], q[at - 3])
    np.testing.assert_allclose(linear.observations[0, at, 0], (q[at - 2] + q[at - 3]) / 2, rtol=0, atol=1e-12)


def test_a_slow_sensor_is_slow_and_late(tmp_path):
    """A period of 2.55 timesteps: it reads in the first step after each period, two steps later that is reported."""
    done = read(tmp_path, text=with_buffers(nsample=8, interval=2.55 * TIMESTEP, delay=2 * TIMESTEP))
    sampled = np.ceil(2.55 * np.arange(9)).astype(int)
    source = [max([k for k in sampled if k <= at - 2], default=0) for at in range(21)]
    assert np.array_equal(done.observations[0, :, 0], done.qpos[0, source, 1])


@pytest.mark.parametrize("delay", [0.0, 2 * TIMESTEP])
def test_a_slow_sensor_that_reads_for_the_first_time_later_knows_the_start(tmp_path, delay):
    """Its last reading was 1.45 timesteps before the start, so its first comes two timesteps after it."""
    interval = f"{2.55 * TIMESTEP} {-1.45 * TIMESTEP}"
    done = read(tmp_path, text=with_buffers(nsample=8, interval=interval, delay=delay))
    sampled = np.ceil(-1.45 + 2.55 * np.arange(1, 9)).astype(int)
    late = round(delay / TIMESTEP)
    source = [max([k for k in sampled if k <= at - late], default=0) for at in range(21)]
    assert sampled[0] == 2
    assert np.array_equal(done.observations[0, :, 0], done.qpos[0, source, 1])


def test_a_second_episode_starts_with_its_own_start(tmp_path):
    world = rig_world(tmp_path, observe=OBSERVED, start_noise=0.3)
    simulator = Simulator(world, members("sensor_delay", "set", [0.05, 0.1]), threads=1)
    for seed in (0, 1):
        done = simulator.run(Constant(np.ones(2)), 20, np.random.default_rng(seed).spawn(2))
        assert np.array_equal(done.observations[:, :6, 0], np.repeat(done.qpos[:, :1, 1], 6, axis=1))
        assert np.array_equal(done.observations[:, 0, 3], done.qpos[:, 0, 0])


def test_every_member_is_what_plain_mujoco_makes_of_a_full_buffer(tmp_path):
    """One MjData through mj_step, its buffers started by mj_initSensorHistory with what the sensors read."""
    delays = np.array([0.03, 0.0, 0.1])
    done = read(tmp_path, members("sensor_delay", "set", delays), substeps=3)
    for member, delay in enumerate(delays):
        spec = mujoco.MjSpec.from_string(RIG)
        for sensor in spec.sensors:
            sensor.nsample = 40
        model = spec.compile()
        data = mujoco.MjData(model)
        data.qpos, data.qvel = done.qpos[member, 0], done.qvel[member, 0]
        mujoco.mj_forward(model, data)
        start = data.sensordata.copy()
        for i in range(model.nsensor):
            size = int(model.sensor_dim[i])
            values = np.tile(start[model.sensor_adr[i] :][:size], (40, 1))
            mujoco.mj_initSensorHistory(model, data, i, None, values, 0.0)
        model.sensor_delay[:] = delay
        for step in range(20):
            data.ctrl = [1.0, 0.0]
            mujoco.mj_step(model, data, 3)
            mujoco.mj_forward(model, data)
            np.testing.assert_allclose(data.sensordata, done.observations[member, step + 1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["sensor", "actuator"])
def test_a_delay_longer_than_its_buffer_in_the_file_is_refused(tmp_path, kind):
    """MuJoCo would cut it to the buffer without a word."""
    text = with_buffers(nsample=3, delay=0.04)
    if kind == "actuator":
        text = RIG.replace('<motor name="push"', '<motor name="push" nsample="3" delay="0.04"')
    name = {"sensor": "encoder", "actuator": "push"}[kind]
    with pytest.raises(WorldError) as caught:
        World.from_xml(write_model(tmp_path, text), QuadraticTask(observe=["qpos[rail]"]), TIMESTEP)
    assert str(caught.value) == (
        f"{tmp_path / 'rig.xml'}: {kind} '{name}' has a delay of 0.04 s, but its history buffer holds 0.03 s; "
        "it needs nsample=4"
    )


def test_a_batch_without_room_is_refused(tmp_path):
    world = rig_world(tmp_path)
    late = members("sensor_delay[encoder]", "set", [0.0, 0.05])
    model = world.compile(sensor_delays=[0.02, 0.0])
    with pytest.raises(WorldError, match=r"sensor 'encoder' has a delay of 0.05 s, but its history buffer holds 0.02"):
        apply_to_model(Batch(model, 2, nthread=1), model, late, np.arange(2))


def test_only_delayed_sensors_get_buffers(tmp_path):
    model = compile_members(rig_world(tmp_path), members("sensor_delay[centre]", "set", [0.0, 0.05]))
    assert model.sensor_history[:, 0].tolist() == [0, 5]
    assert model.actuator_history[:, 0].tolist() == [0, 0]


def test_a_delay_that_is_shortened_again_needs_no_more_room(tmp_path):
    """Two changes of one delay: only what they come to counts."""
    twice = Ensemble.single({"sensor_delay": {"set": 0.5}, "sensor_delay[encoder]": {"scale": 0.1}})
    check_parameters(rig_world(tmp_path), twice)
    done = read(tmp_path, twice)
    assert np.array_equal(done.observations[0, :, 0], done.qpos[0, np.maximum(np.arange(21) - 5, 0), 1])


@pytest.mark.parametrize(
    ("parameter", "entry", "message"),
    [
        ("sensor_delay[encodr]", {"set": 0.1}, "unknown sensor 'encodr': did you mean 'encoder'"),
        ("sensor_delay[encoder]", {"set": -0.1}, "sensor_delay cannot be negative"),
        ("sensor_delay[encoder]", {"set": 2000.0}, "a delay of 2000 s is 200000 timesteps; delays are in seconds"),
        ("observation_delay[qpos[rial]]", {"set": 0.1}, r"unknown sensor 'qpos\[rial\]': did you mean"),
        ("observation_delay", {"set": -0.1}, r"the delay of sensor 'qpos\[drop\]' would be -0.1"),
    ],
)
def test_delays_that_no_sensor_has(tmp_path, parameter, entry, message):
    with pytest.raises(WorldError, match=message):
        check_parameters(rig_world(tmp_path), Ensemble.single({parameter: entry}))


def test_a_sensor_delay_where_the_model_has_no_sensors():
    with pytest.raises(WorldError, match=r"unknown sensor 'gyro'\. Valid: \(none\)"):
        check_parameters(World.gymnasium("Hopper"), Ensemble.single({"sensor_delay[gyro]": {"set": 0.1}}))
