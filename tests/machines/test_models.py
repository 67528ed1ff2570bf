"""The two machines' models against the equations and numbers that their authors published; no recording is read."""

from __future__ import annotations

import math

import mujoco
import numpy as np
import pytest
from mujoco.batch import Batch
from rig import Constant, Scripted
from scipy.integrate import solve_ivp

from benchmarks.machines.cube import HALF_WIDTH, PERIOD, cube
from benchmarks.machines.pendulum import AROUND, CONTROLLERS, NOISE, PLANNED, RIGID, pendulum
from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.parameters.apply import apply_to_model, check_parameters
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.simulation.rollout import rollout

J, MCX, VISCOUS, COULOMB, OFFSET = 0.06259, 0.1022, 0.04707, 0.1839, -0.07586
"""What the authors identified."""

GRAVITY = 9.81


def authors_equation(torque, friction):
    def derivative(time, state):
        angle, velocity = state
        drag = VISCOUS * velocity + COULOMB * friction(velocity)
        return [velocity, (torque(time) - OFFSET - MCX * GRAVITY * np.sin(angle) - drag) / J]

    return derivative


def simulated(torque, seconds, period=1 / 300):
    """Angles of the model under a torque that holds for a control period."""
    steps = round(seconds / period)
    actions = np.array([[[torque(step * period)] for step in range(steps)]])
    return rollout(pendulum(period), Scripted(actions), rng=0, steps=steps).qpos[0, :, 0]


def held(torque, period=1 / 300):
    return lambda time: torque(math.floor(time / period + 1e-9) * period)


def test_the_pendulum_obeys_the_authors_equation_while_it_turns_one_way():
    """Where the velocity stays away from 0, atan(100 vel) is nearly its limit, and frictionloss is that limit."""
    angles = simulated(lambda time: 1.6, 1.0)
    times = np.arange(len(angles)) / 300
    equation = authors_equation(lambda time: 1.6, lambda velocity: np.pi / 2 * np.sign(velocity + 1e-12))
    exact = solve_ivp(equation, (0, times[-1]), [0.0, 0.0], t_eval=times, rtol=1e-10, atol=1e-12, max_step=1e-2).y[0]
    assert np.ptp(exact) > 5
    np.testing.assert_allclose(angles, exact, atol=3e-3)


def test_frictionloss_instead_of_atan():
    """The friction's form costs little beside what is not known of it."""
    torque = held(lambda time: 1.5 * math.sin(5 * time))
    angles = simulated(torque, 4.0)
    times = np.arange(len(angles)) / 300
    equation = authors_equation(torque, lambda velocity: np.arctan(100 * velocity))
    exact = solve_ivp(equation, (0, times[-1]), [0.0, 0.0], t_eval=times, method="LSODA", rtol=1e-8, max_step=1e-3).y[0]
    assert np.ptp(exact) > 1
    assert np.sqrt(np.mean((angles - exact) ** 2)) < 0.03


def test_frictionloss_creeps_less_than_atan_under_a_torque_that_it_should_hold():
    """Neither holds it: MuJoCo's constraint is soft, and atan(100 vel) needs some velocity to resist."""
    angles = simulated(lambda time: OFFSET + 0.2, 1.0)
    atan_velocity = math.tan(0.2 / COULOMB) / 100
    assert 0 < angles[-1] < 0.25 * atan_velocity


def mass_matrix(members):
    """Inertia about the joint, and the moment that gravity has on the horizontal pendulum, of every member."""
    model = pendulum(0.01).compile()
    batch = Batch(model, len(members), nthread=1)
    apply_to_model(batch, model, members, np.arange(len(members)))
    matrix, bias = batch.bind("M"), batch.bind("qfrc_bias")
    batch.reset(stage=mujoco.mjtStage.mjSTAGE_NONE)
    batch.qpos[:] = np.pi / 2
    batch.forward()
    return matrix[:, 0], bias[:, 0] / GRAVITY


def test_the_inertia_and_gravity_of_the_parameters():
    inertia, moment = mass_matrix(Ensemble.nominal())
    assert inertia == pytest.approx(J, abs=5e-8)
    assert moment == pytest.approx(MCX, abs=5e-8)
    for members in (PLANNED, RIGID):
        inertia, moment = mass_matrix(members)
        assert inertia == pytest.approx(0.6755 * 0.5**2, abs=2e-6)
        assert moment == pytest.approx(0.6755 * 0.5, abs=1e-9)


def test_the_randomization_scales_inertia_and_gravity_together():
    fibre = AROUND.draw(5, rng=0)
    inertia, moment = mass_matrix(fibre)
    np.testing.assert_allclose(inertia / J, fibre.values[:, 0], rtol=1e-6)
    np.testing.assert_allclose(moment / MCX, fibre.values[:, 0], rtol=1e-6)


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_every_controller_has_a_world_of_its_period(controller):
    world = pendulum(CONTROLLERS[controller].period, noise=NOISE)
    assert world.substeps / 3000 == pytest.approx(CONTROLLERS[controller].period, rel=1e-12)
    check_parameters(world, AROUND.extremes())


def test_a_period_between_two_timesteps_is_refused():
    with pytest.raises(WorldError, match=r"control period 0.0005 s is not a whole multiple"):
        pendulum(0.0005)


def dropped(height, velocity=(0.0, 0.0, 0.0)):
    """Positions and velocities of the cube's substeps, dropped flat from a height above the table."""
    world = cube()
    model = world.compile()
    data = mujoco.MjData(model)
    data.qpos[2] += height
    data.qvel[:3] = velocity
    states = np.empty((round(1.2 / model.opt.timestep), 2, 3))
    for state in states:
        mujoco.mj_step(model, data)
        state[:] = data.qpos[:3], data.qvel[:3]
    return states[:, 0], states[:, 1]


@pytest.mark.parametrize("height", [0.02, 0.05, 0.1, 0.2])
def test_the_cube_bounces_with_the_published_restitution(height):
    """Measured 0.112 to 0.123 for 0.125: a contact lasts twenty timesteps, of which the first catches a fraction."""
    _, velocity = dropped(height)
    bottom = velocity[:, 2].argmin()
    rebound = velocity[bottom : bottom + 100, 2].max()
    assert rebound / -velocity[bottom, 2] == pytest.approx(0.125, abs=0.02)


def test_the_contact_numbers_follow_from_the_restitution():
    """The formulas in the model's comment give the numbers beside them."""
    ratio = 1.06
    root = math.sqrt(ratio**2 - 1)
    log = math.log((ratio + root) / (ratio - root))
    assert math.exp(-ratio / root * log) == pytest.approx(0.125, abs=5e-4)
    frequency = log / root / PERIOD
    solref = cube().compile().geom_solref
    np.testing.assert_allclose(solref, [[-(frequency**2), -2 * ratio * frequency]] * 2, rtol=2e-3)


def test_the_mass_and_inertia_of_the_cube():
    """The published inertia counts lengths in half-widths, as everything in that recording."""
    model = cube().compile()
    assert model.body("cube").mass == pytest.approx(0.37)
    np.testing.assert_allclose(model.body("cube").inertia, 0.2950002913583124 * HALF_WIDTH**2, rtol=1e-4)
    np.testing.assert_array_equal(model.geom("box").size, HALF_WIDTH)


def test_the_cube_falls_rests_and_slides():
    position, velocity = dropped(0.05)
    timestep = float(cube().compile().opt.timestep)
    assert np.diff(velocity[:50, 2]) == pytest.approx(-GRAVITY * timestep, rel=1e-9)
    assert position[-1, 2] / HALF_WIDTH == pytest.approx(1.0, abs=1e-3)
    sliding, _ = dropped(0.0, velocity=(1.0, 0.0, 0.0))
    assert sliding[-1, 0] == pytest.approx(1 / (2 * 0.18 * GRAVITY), rel=0.01)


def test_the_cube_has_no_actuator_and_can_still_be_rolled_out():
    done = rollout(cube(), Constant(np.zeros(0)), rng=0, steps=5)
    assert done.actions.shape == (1, 5, 0)
    assert done.sensors[0] == "qpos[free] 0"
    assert len(done.sensors) == 13
    assert done.control_period == pytest.approx(PERIOD)
