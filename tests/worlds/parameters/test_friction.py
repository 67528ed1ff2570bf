"""Friction of geared servos, against closed forms, the authors' formulas and small steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig import Constant, Scripted, equal, members, rig_world, write_model
from scipy.integrate import solve_ivp

from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.parameters.apply import check_parameters
from sim2real_cat.worlds.parameters.friction import FrictionParameters
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.randomization.randomization import Randomization
from sim2real_cat.worlds.simulation.prediction import KeptBatches, predict_steps
from sim2real_cat.worlds.simulation.replay import replay
from sim2real_cat.worlds.simulation.rollout import rollout
from sim2real_cat.worlds.tasks.quadratic import QuadraticTask
from sim2real_cat.worlds.world import World

STEPS, SUBSTEPS = 40, 2
SLIDER = """
<mujoco model="slider">
  <option timestep="0.001" gravity="0 0 -10"/>
  <worldbody>
    <body name="sled"><joint name="rail" type="slide" axis="1 0 0" frictionloss="1"/><geom size="0.1" mass="2"/></body>
    <body name="lift" pos="0 5 0"><joint name="up" type="slide" axis="0 0 1"/><geom size="0.1" mass="2"/></body>
    <body name="rod" pos="0 10 0"><joint name="swing" axis="0 1 0" damping="0.02"/>
      <geom size="0.05" mass="1" pos="0 0 -0.5"/></body>
  </worldbody>
  <actuator><motor joint="rail"/><motor joint="up"/><motor joint="swing"/></actuator>
</mujoco>
"""


def slider(tmp_path, *, timestep=0.001, substeps=20):
    path = write_model(tmp_path, SLIDER.replace('timestep="0.001"', f'timestep="{timestep}"'))
    task = QuadraticTask(observe=("qpos[rail]", "qpos[up]", "qpos[swing]"), steps=STEPS, start_noise=0.0)
    return World.from_xml(path, task, timestep * substeps)


def coasted(world, table, velocity, action=(0.0, 0.0, 0.0), steps=STEPS):
    """Velocities (steps + 1, 3) after a start at given velocities, by replaying constant actions."""
    plan = np.tile(np.array(action, dtype=float), (1, steps, 1))
    done = rollout(world, Scripted(plan), rng=0, steps=steps)
    done.qvel[0, 0], done.qpos[0, 0] = velocity, 0.0
    return replay(world, done, fibre=Ensemble.single(table))


def test_a_slide_comes_to_rest_when_the_closed_form_says(tmp_path):
    """With exponent 1: t = m v_s / F_c ln[(F_c exp(v_0 / v_s) + F_s) / (F_c + F_s)]."""
    table = {
        "joint_stribeck[rail]": {"set": 3.0},
        "joint_stribeck_velocity[rail]": {"set": 0.5},
        "joint_stribeck_exponent[rail]": {"set": 1.0},
    }
    done = coasted(slider(tmp_path, timestep=0.0005), table, (1.0, 0.0, 0.0), steps=120)
    speed = done.qvel[0, :, 0]
    rest = 2 * 0.5 / 1.0 * np.log((np.exp(1.0 / 0.5) + 3.0) / (1.0 + 3.0))
    at = np.arange(len(speed)) * done.control_period
    moving = speed > 0.05
    found = 2 * 0.5 * np.log((np.exp(1.0 / 0.5) + 3.0) / (np.exp(speed[moving] / 0.5) + 3.0))
    np.testing.assert_allclose(at[moving], found, rtol=0, atol=3e-3)
    assert at[np.argmax(speed < 0.01)] == pytest.approx(rest, abs=0.02)


def test_without_friction_beyond_the_constant_one_no_byte_changes(tmp_path):
    names = ("joint_stribeck", "joint_load_friction", "joint_load_stribeck", "joint_load_quadratic")
    nominal = Ensemble.single({name: {"set": 0.0} for name in names} | {"joint_stribeck_velocity": {"scale": 2.0}})
    world = rig_world(tmp_path, substeps=SUBSTEPS, steps=STEPS)
    policy = Scripted(np.random.default_rng(0).normal(size=(1, STEPS, 2)))
    plain = rollout(world, policy, rng=0)
    assert equal(rollout(world, policy, rng=0, fibre=nominal), plain)
    both = rollout(
        world,
        Scripted(np.repeat(policy.actions, 2, axis=0)),
        rng=0,
        fibre=members("joint_load_friction[turn]", "set", [0.0, 0.5]),
    )
    np.testing.assert_array_equal(both.qpos[0], plain.qpos[0])
    assert not np.array_equal(both.qpos[1], plain.qpos[0])


@pytest.mark.parametrize("part", [0.0, 0.2, 0.5])
def test_a_gear_that_lifts_and_one_that_is_driven_back(tmp_path, part):
    """m a = u - m g ± k |u + m g|: friction of the load, in the direction against the motion (model M3)."""
    world, table = slider(tmp_path), {"joint_load_friction[up]": {"set": part}}
    for push, velocity in ((40.0, 1.0), (5.0, -1.0)):
        done = coasted(world, table, (0.0, velocity, 0.0), action=(0.0, push, 0.0), steps=5)
        expected = (push - 20.0 - np.sign(velocity) * part * (push + 20.0)) / 2.0
        gained = np.diff(done.qvel[0, :, 1]) / done.control_period
        np.testing.assert_allclose(gained, expected, rtol=1e-6, atol=1e-6)


def test_motor_and_load_have_numbers_of_their_own(tmp_path):
    """Model M5 in motion: |k_e τ_e - k_m τ_m| with the load -20 N and the push 40 N."""
    table = {"joint_load_friction_motor[up]": {"set": 0.3}, "joint_load_friction_external[up]": {"set": 0.1}}
    done = coasted(slider(tmp_path), table, (0.0, 1.0, 0.0), action=(0.0, 40.0, 0.0), steps=5)
    expected = (40.0 - 20.0 - abs(0.1 * -20.0 - 0.3 * 40.0)) / 2.0
    np.testing.assert_allclose(np.diff(done.qvel[0, :, 1]) / done.control_period, expected, rtol=1e-6)


def test_a_joint_holds_what_its_friction_holds(tmp_path):
    """A lift of 20 N stays where 0.3 (15 + 20) N hold the 5 N that the push lacks, and falls with 0.1."""
    world = slider(tmp_path)
    held, fallen = (
        coasted(world, {"joint_load_friction": {"set": part}}, (0.0, 0.0, 0.0), action=(0.0, 15.0, 0.0)).qpos[0, -1, 1]
        for part in (0.3, 0.1)
    )
    assert abs(held) < 0.02
    assert fallen < -0.1


def authors(model, motor, external, speed, p):
    """The frictionloss of better-actuator-models for one joint, written from its documentation."""
    rest = np.exp(-(abs(speed / p["velocity"]) ** p["exponent"])) if model != "m3" else 0.0
    loss = 0.0 if model == "m3" else rest * p["stribeck"]
    if model in ("m3", "m4"):
        loss += p["load"] * abs(motor - external) + (rest * p["load_stribeck"] * abs(motor - external))
    if model in ("m5", "m6"):
        loss += abs(p["external"] * external - p["motor"] * motor)
        loss += rest * abs(p["external_stribeck"] * external - p["motor_stribeck"] * motor)
    if model == "m6" and np.sign(motor) != np.sign(external):
        if abs(motor) > abs(external):
            loss += rest * p["external_quadratic"] * external**2
        elif abs(motor) < abs(external):
            loss += rest * p["motor_quadratic"] * motor**2
    return loss


@given(
    st.sampled_from(["m2", "m3", "m4", "m5", "m6"]),
    st.floats(-5, 5),
    st.floats(-5, 5),
    st.floats(-2, 2),
    st.integers(0, 2**31),
)
def test_the_budget_is_that_of_the_authors(model, motor, external, speed, seed):
    rng = np.random.default_rng(seed)
    names = ("stribeck", "motor", "external", "motor_stribeck", "external_stribeck", "motor_quadratic")
    p = dict(zip((*names, "external_quadratic", "velocity", "exponent"), rng.uniform(0.1, 1.5, 9), strict=True))
    p |= {"load": 0.3, "load_stribeck": 0.4 if model == "m4" else 0.0}
    ours = dict(p)
    if model in ("m2", "m3", "m4"):
        ours |= dict.fromkeys(("motor", "external"), 0.0 if model == "m2" else p["load"])
        ours |= dict.fromkeys(("motor_stribeck", "external_stribeck"), p["load_stribeck"])
    if model == "m3":
        ours["stribeck"] = 0.0
    if model != "m6":
        ours |= dict.fromkeys(("motor_quadratic", "external_quadratic"), 0.0)
    fields = {name: np.array([[ours[name]]]) for name in FrictionParameters._fields}
    found = FrictionParameters(**fields).budget(*(np.array([[x]]) for x in (speed, motor, external)))
    assert found[0, 0] == pytest.approx(authors(model, motor, external, speed, p), rel=1e-12)


def swinging(timestep, substeps, tmp_path, seconds=1.2):
    """Angles of a pendulum with Stribeck friction, every 20 ms."""
    table = {"joint_stribeck[swing]": {"set": 0.3}, "dof_frictionloss[swing]": {"set": 0.1}}
    world = slider(tmp_path, timestep=timestep, substeps=substeps)
    steps = round(seconds / 0.02)
    done = rollout(world, Constant(np.zeros(3)), rng=0, steps=steps)
    done.qpos[0, 0], done.qvel[0, 0] = (0, 0, 2.0), 0.0
    return replay(world, done, fibre=Ensemble.single(table)).qpos[0, :, 2]


def test_a_pendulum_is_the_differential_equation(tmp_path):
    """Against an integrator with error control, as long as it swings; the error falls with the timestep."""
    inertia = 1.0 * 0.5**2 + 0.4 * 1.0 * 0.05**2

    def field(_, y):
        angle, speed = y
        budget = 0.1 + 0.3 * np.exp(-((abs(speed) / 0.2) ** 1.35))
        return [speed, (-5.0 * np.sin(angle) - 0.02 * speed - np.sign(speed) * budget) / inertia]

    turn = 0.4  # seconds in which it swings one way: no stop in which the equation is not smooth
    exact = solve_ivp(field, (0.0, turn), [2.0, -1e-9], rtol=1e-10, atol=1e-12, t_eval=np.arange(21) * 0.02).y[0]
    errors = [
        np.abs(swinging(timestep, substeps, tmp_path)[:21] - exact).max()
        for timestep, substeps in ((0.004, 5), (0.001, 20), (0.00025, 80))
    ]
    assert errors[2] < errors[1] < errors[0] < 0.1
    assert errors[2] < 3e-3


@pytest.mark.parametrize(
    "table",
    [
        {"joint_stribeck": {"set": 0.5}},
        {"joint_load_friction": {"set": 0.2}, "joint_load_stribeck": {"set": 0.1}, "joint_stribeck": {"set": 0.2}},
        {"joint_load_quadratic[swing]": {"set": 0.1}, "control_period": {"scale": 2.0}},
    ],
)
def test_rollout_replay_and_prediction_agree(tmp_path, table):
    world, fibre = slider(tmp_path, substeps=5), Ensemble.single(table)
    plan = np.random.default_rng(0).normal(size=(1, STEPS, 3)) * [5, 20, 3]
    done = rollout(world, Scripted(plan), rng=0, fibre=fibre)
    np.testing.assert_allclose(replay(world, done, fibre=fibre).qpos, done.qpos, rtol=0, atol=1e-9)
    ahead = predict_steps(world, done, fibre=fibre)
    after = np.concatenate([done.qpos, done.qvel], axis=2)[0, 1:]
    np.testing.assert_allclose(ahead.state, after, rtol=0, atol=1e-6)


def test_each_joint_has_its_own_draw(tmp_path):
    table = {"joint_stribeck": {"set": [0.0, 1.0], "each": True}}
    bound = Randomization.from_table(table).bind(slider(tmp_path))
    assert list(bound.changes) == [f"joint_stribeck[{name}]" for name in ("rail", "up", "swing")]


@pytest.mark.parametrize(
    ("parameter", "entry", "message"),
    [
        ("joint_stribeck[hip]", {"set": 1.0}, "unknown hinge or slide 'hip'"),
        (
            "joint_stribeck",
            {"set": -1.0},
            r"'joint_stribeck\[rail\]' would be -1; it needs to be finite and not negative",
        ),
        ("joint_stribeck", {"scale": 2.0}, "is 0 without the change"),
        ("joint_load_friction[up]", {"set": -0.1}, r"'joint_load_friction_motor\[up\]' would be -0.1"),
        ("joint_stribeck_velocity", {"set": 0.0}, r"'joint_stribeck_velocity\[rail\]' would be 0; .* above 0"),
        ("joint_stribeck_exponent[up]", {"shift": -2.0}, r"'joint_stribeck_exponent\[up\]' would be -0.65; .* above 0"),
        ("joint_stribek", {"set": 1.0}, "unknown model field 'joint_stribek': did you mean 'joint_stribeck'"),
    ],
)
def test_what_is_refused(tmp_path, parameter, entry, message):
    with pytest.raises(WorldError, match=message):
        check_parameters(slider(tmp_path), Ensemble.single({parameter: entry}))


def test_kept_batches_forget_the_friction_of_earlier_members(tmp_path):
    world, kept = slider(tmp_path, substeps=5), KeptBatches()
    plan = np.random.default_rng(0).normal(size=(1, STEPS, 3)) * [5, 20, 3]
    done = rollout(world, Scripted(plan), rng=0)
    for value in (0.5, 0.0, 2.0):
        fibre = Ensemble.single({"joint_stribeck": {"set": value}, "joint_load_friction": {"set": value / 5}})
        again = predict_steps(world, done, fibre=fibre, kept=kept).state
        np.testing.assert_array_equal(again, predict_steps(world, done, fibre=fibre).state)


@pytest.mark.parametrize("parameter", ["joint_stribeck", "joint_load_friction"])
def test_histories_of_delayed_sensors_and_actuators_stay(tmp_path, parameter):
    """Physics step by step, and loads computed in between, neither lengthen nor shorten a delay."""
    world = rig_world(tmp_path, substeps=3, steps=STEPS, observe=("sensordata[encoder]", "qpos[turn]"))
    policy = Scripted(np.random.default_rng(0).normal(size=(1, STEPS, 2)))
    late = {"sensor_delay": {"set": 0.04}, "actuator_delay": {"set": 0.025}}
    plain = rollout(world, policy, rng=0, fibre=Ensemble.single(late))
    almost = rollout(world, policy, rng=0, fibre=Ensemble.single(late | {parameter: {"set": 1e-9}}))
    np.testing.assert_allclose(almost.observations, plain.observations, rtol=0, atol=1e-6)
