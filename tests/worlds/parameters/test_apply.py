"""Changed parameters must change the physics, by what mechanics says they should."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
from mujoco.batch import Batch
from rig import GRAVITY, MASS, RIG, SENSORS, STIFFNESS, TIMESTEP, Constant, members

from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.parameters.apply import actuator_delays, apply_to_model, check_parameters
from sim2real_cat.worlds.randomization.change import Change
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.randomization.randomization import Randomization
from sim2real_cat.worlds.simulation.rollout import rollout
from sim2real_cat.worlds.world import World

STEPS = np.arange(21)
EXACT = {"rtol": 0, "atol": 1e-12}


def accelerated(acceleration):
    """Positions from rest under constant acceleration, by MuJoCo's semi-implicit Euler: a h^2 k (k + 1) / 2."""
    return np.multiply.outer(acceleration, TIMESTEP**2 * STEPS * (STEPS + 1) / 2)


def swung(stiffness, mass, start):
    """Positions of a mass on a spring released at rest, by semi-implicit Euler."""
    x, v, out = start, 0.0, [start]
    for _ in STEPS[1:]:
        v -= TIMESTEP * stiffness / mass * x
        x += TIMESTEP * v
        out.append(x)
    return np.array(out)


@pytest.mark.parametrize(
    ("mode", "values", "gravity"),
    [("scale", [1, 0.5, 0], [-10, -5, 0]), ("shift", [0, 1, -2], [-10, -9, -12]), ("set", [-1, 0, 3], [-1, 0, 3])],
)
def test_free_fall_under_changed_gravity(moved, mode, values, gravity):
    np.testing.assert_allclose(moved("drop", members("opt.gravity[2]", mode, values)), accelerated(gravity), **EXACT)


@pytest.mark.parametrize(
    ("mode", "values", "mass"),
    [("scale", [1, 2, 0.25], [2, 4, 0.5]), ("shift", [1, -1], [3, 1]), ("set", [5, 2], [5, 2])],
)
def test_newtons_second_law_with_changed_mass(moved, mode, values, mass):
    force = 3.0
    pushed = moved("rail", members("body_mass[cart]", mode, values), action=(force, 0.0))
    np.testing.assert_allclose(pushed, accelerated(force / np.array(mass)), **EXACT)


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_a_spring_swings_with_changed_mass_and_stiffness(moved, factor):
    """The spring rests 1 m away, so the distance from there swings as if released at 1 m."""
    text = RIG.replace('axis="0 1 0"', 'axis="0 1 0" springref="1"')
    heavier = 1 - moved("coil", members("body_mass[bob]", "scale", [factor]), text=text)[0]
    stiffer = 1 - moved("coil", members("jnt_stiffness[coil]", "scale", [factor]), text=text)[0]
    np.testing.assert_allclose(heavier, swung(STIFFNESS, MASS * factor, 1.0), **EXACT)
    np.testing.assert_allclose(stiffer, swung(STIFFNESS * factor, MASS, 1.0), **EXACT)


def test_gear_scales_the_response(moved):
    pushed = moved("rail", members("actuator_gear[push, 0]", "scale", [1, 2]), action=(1.0, 0.0))
    np.testing.assert_allclose(pushed, accelerated(np.array([1, 2]) / MASS), **EXACT)


def test_body_inertial_scales_mass_and_inertia(moved):
    """A rod of factor f in mass and inertia about its own centre turns f times slower about the joint."""
    plain, denser, only_mass = (
        moved("turn", Ensemble.single({parameter: {"scale": factor}}), action=(0.0, 1.0))[0]
        for parameter, factor in (("body_mass[arm]", 1.0), ("body_inertial[arm]", 4.0), ("body_mass[arm]", 4.0))
    )
    own, about_joint = 2 / 5 * MASS * 0.1**2, MASS * 0.5**2
    np.testing.assert_allclose(plain, accelerated(1 / (own + about_joint)), **EXACT)
    np.testing.assert_allclose(denser, plain / 4, **EXACT)
    np.testing.assert_allclose(only_mass, accelerated(1 / (own + 4 * about_joint)), **EXACT)


def test_several_parameters_each_in_its_own_column(moved):
    both = Ensemble(
        ("opt.gravity[2]", "body_mass[cart]"), ("set", "scale"), np.array([[-1.0, 2], [-2, 4]]), np.ones(2) / 2
    )
    np.testing.assert_allclose(moved("drop", both), accelerated([-1, -2]), **EXACT)
    np.testing.assert_allclose(moved("rail", both, action=(1.0, 0.0)), accelerated([1 / 4, 1 / 8]), **EXACT)


def test_unchanged_elements_stay(moved):
    others = moved("rail", members("body_mass[bob]", "scale", [9]), action=(1.0, 0.0))
    np.testing.assert_array_equal(others, moved("rail", None, action=(1.0, 0.0)))


def test_derived_constants_follow(rig):
    """dof_invweight0, which the constraint solver reads, is 1 / mass of a free slider."""
    model = rig.compile()
    batch = Batch(model, 2, nthread=1)
    apply_to_model(batch, model, members("body_mass[cart]", "set", [4, 8]), np.arange(2))
    dof = int(model.joint("rail").dofadr[0])
    assert batch.get_model(0).dof_invweight0[dof] == pytest.approx(1 / 4)
    assert batch.get_model(1).dof_invweight0[dof] == pytest.approx(1 / 8)
    assert batch.get_model(1).body_subtreemass[0] == pytest.approx(3 * MASS + 8)


def test_the_worlds_model_is_not_changed(rig):
    before = rig.compile()
    check_parameters(rig, Ensemble.single({"body_mass": {"scale": 3.0}}))
    after = rig.compile()
    np.testing.assert_array_equal(before.body_mass, after.body_mass)


@pytest.mark.parametrize(
    ("parameter", "entry", "message"),
    [
        ("body_mass[cart]", {"shift": -3.0}, r"'body_mass\[cart\]': shift gives -1, but body_mass cannot be negative"),
        ("body_mass[cart]", {"scale": -1.0}, "cannot be negative"),
        ("body_mass[cart]", {"set": 0.0}, "set gives 0, but body_mass needs to stay above 1e-15"),
        ("body_mass[cart]", {"set": 1e-200}, "set gives 1e-200, but body_mass needs to stay above 1e-15"),
        ("geom_friction[box, 0]", {"set": -0.1}, "geom_friction cannot be negative"),
        ("actuator_delay[push]", {"set": -0.1}, "actuator_delay cannot be negative"),
        ("dof_frictionloss", {"set": -0.1}, "dof_frictionloss cannot be negative"),
        ("opt.timestep", {"scale": 2.0}, "control period hangs on the timestep"),
        ("body_inertial[cart]", {"set": 2.0}, "body_inertial can only scale, as body_mass, body_inertia differ"),
        ("body_inertial[crat]", {"scale": 2.0}, "unknown body 'crat': did you mean 'cart'"),
        ("body_mas[cart]", {"scale": 2.0}, "unknown model field 'body_mas': did you mean 'body_mass'"),
        ("body_parentid[cart]", {"set": 2.0}, "whole numbers"),
        ("observation_bias[qpos[rial]]", {"shift": 1.0}, r"unknown sensor 'qpos\[rial\]': did you mean 'qpos\[rail\]'"),
        ("observation_noise", {"shift": -1.0}, r"noise of sensor 'qpos\[drop\]' would be -1"),
        ("actuator_delay[psh]", {"set": 0.1}, "unknown actuator 'psh': did you mean 'push'"),
    ],
)
def test_parameters_that_make_no_world(rig, parameter, entry, message):
    changed = Ensemble.single({parameter: entry})
    with pytest.raises(WorldError, match=message) as caught:
        check_parameters(rig, changed)
    assert "\n" not in str(caught.value)
    with pytest.raises(WorldError, match=message):
        rollout(rig, Constant(np.zeros(2)), rng=0, fibre=changed)


def test_one_bad_member_among_many_is_found(rig):
    drawn = Randomization({"body_mass[cart]": Change("shift", -3.0, 1.0)}).draw(64, rng=np.random.default_rng(0))
    with pytest.raises(WorldError, match="cannot be negative"):
        check_parameters(rig, drawn)


def test_gravity_of_the_rig_is_as_the_tests_assume(rig):
    model = rig.compile()
    assert model.opt.gravity[2] == GRAVITY
    assert model.opt.timestep == TIMESTEP
    assert mujoco.mj_getTotalmass(model) == pytest.approx(4 * MASS)
    assert rig.sensors == SENSORS


def test_actuator_delays_follow_every_mode() -> None:
    world = World.gymnasium("Hopper")
    members = Ensemble.single({"actuator_delay": {"set": 0.01}, "actuator_delay[1]": {"scale": 2.0}})

    assert actuator_delays(world, members).tolist() == [[0.01, 0.02, 0.01]]
    assert actuator_delays(world, Ensemble.nominal()).tolist() == [[0.0, 0.0, 0.0]]


@pytest.mark.parametrize(
    "parameter",
    [
        "dof_frictionloss[rail]",
        "actuator_delay",
        "observation_delay",
        "observation_bias",
        "action_drop",
        "action_jitter",
    ],
)
def test_scaling_what_is_zero_is_refused(rig, parameter):
    """It would change nothing, and nobody would notice."""
    with pytest.raises(WorldError, match=r"is 0 without the change, and scaling 0 changes nothing; set or shift it"):
        rollout(rig, Constant(np.ones(2)), rng=0, fibre=members(parameter, "scale", [1.5]))


def test_a_change_that_another_one_undoes_is_refused(rig):
    twice = Ensemble.single({"body_mass[cart]": {"scale": 3.0}, "body mass of cart": {"set": 10.0}})
    with pytest.raises(
        WorldError, match=r"'body mass of cart' sets all that 'body_mass\[cart\]' changes before it; keep"
    ):
        check_parameters(rig, twice)
    part = Ensemble.single({"body_mass": {"scale": 3.0}, "body_mass[cart]": {"set": 10.0}})
    check_parameters(rig, part)
