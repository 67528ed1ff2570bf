"""A draw for each element, totals of the model, and what does not fit a world."""

from __future__ import annotations

import numpy as np
import pytest
from everything import EVERYTHING, everything
from hypothesis import given, settings
from hypothesis import strategies as st
from mujoco.batch import Batch
from rig import MASS, SENSORS, Constant, rig_world, write_model

from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.parameters.apply import apply_to_model, check_parameters
from sim2real_cat.worlds.randomization.change import Change
from sim2real_cat.worlds.randomization.dependence import Correlation, FixedTotal
from sim2real_cat.worlds.randomization.randomization import Randomization, bind
from sim2real_cat.worlds.simulation.rollout import rollout
from sim2real_cat.worlds.tasks.quadratic import QuadraticTask
from sim2real_cat.worlds.world import World

MODEL = everything()
EACH = Change("scale", 0.8, 1.2, each=True)


def bound(table):
    return bind(Randomization.from_table(table), MODEL, ("x", "y", "theta"))


@pytest.mark.parametrize(
    ("parameter", "columns"),
    [
        ("body_mass[*arm]", ["body_mass[left arm]", "body_mass[right arm]"]),
        ("body mass of *arm", ["body_mass[left arm]", "body_mass[right arm]"]),
        ("joint damping of * shoulder", ["dof_damping[left shoulder]", "dof_damping[right shoulder]"]),
        ("joint damping of neck", ["dof_damping[8]", "dof_damping[9]", "dof_damping[10]"]),
        ("geom_friction[* hand, 0]", ["geom_friction[left hand, 0]", "geom_friction[right hand, 0]"]),
        ("geom_friction[floor]", [f"geom_friction[floor, {i}]" for i in range(3)]),
        ("body_inertial[*arm]", ["body_inertial[left arm]", "body_inertial[right arm]"]),
        ("actuator_kp[hold]", ["actuator_kp[hold]"]),
        ("opt.gravity", ["opt.gravity[2]"]),
        ("observation_noise", [f"observation_noise[{name}]" for name in ("x", "y", "theta")]),
        ("observation_bias[t*]", ["observation_bias[theta]"]),
        ("observation_gain", [f"observation_gain[{name}]" for name in ("x", "y", "theta")]),
        ("action_gain[hold]", ["action_gain[hold]"]),
    ],
)
def test_a_column_for_each_element(parameter, columns):
    """Of gravity only one is not 0, and what is 0 stays 0 when it is scaled."""
    assert list(bound({parameter: {"scale": [0.8, 1.2], "each": True}}).changes) == columns


def test_what_is_zero_can_be_shifted_each():
    shifted = bound({"opt.gravity": {"shift": [-1, 1], "each": True}})
    assert list(shifted.changes) == [f"opt.gravity[{i}]" for i in range(3)]


def test_without_each_one_number_is_for_all():
    randomization = bound({"body_mass[*arm]": {"scale": [0.8, 1.2]}})
    assert list(randomization.changes) == ["body_mass[*arm]"]


def test_flags_are_drawn():
    """A discrete change draws flags, one for each element where that is asked for."""
    flags = {"set": [0, 1], "distribution": "discrete"}
    table = {"observation_stuck": flags | {"each": True}, "observation_swap[x, theta]": flags}
    randomization = bound(table)
    names = [f"observation_stuck[{name}]" for name in ("x", "y", "theta")]
    assert list(randomization.changes) == [*names, "observation_swap[x, theta]"]
    assert set(randomization.draw(50, rng=0).values.ravel()) == {0.0, 1.0}


def test_parameters_of_the_actions_are_bound_as_they_are():
    assert list(bound({"action_drop": {"set": [0.0, 0.1]}}).changes) == ["action_drop"]


def test_each_element_has_its_own_draw():
    drawn = bound({"body_mass[*]": {"scale": [0.8, 1.2], "each": True}}).draw(500, rng=0)
    off_diagonal = np.corrcoef(drawn.values.T) - np.eye(len(drawn.parameters))
    assert len(drawn.parameters) > 10
    assert np.abs(off_diagonal).max() < 5 / 500**0.5


def test_correlations_reach_every_column():
    table = {
        "body_mass[*arm]": {"scale": [0.8, 1.2], "each": True},
        "opt.gravity[2]": {"shift": [-1, 1]},
        "correlations": [{"between": ["body_mass[*arm]", "opt.gravity[2]"], "coefficient": 1.0}],
    }
    randomization = bound(table)
    assert randomization.correlations == (
        Correlation(("body_mass[left arm]", "body_mass[right arm]", "opt.gravity[2]"), 1.0),
    )
    values = randomization.draw(20, rng=0).values
    np.testing.assert_allclose(values[:, 0], values[:, 1], rtol=1e-9)
    # A correlation of 1 is factored to the square root of rounding.
    np.testing.assert_allclose((values[:, 0] - 1) / 0.2, values[:, 2], atol=1e-7)


@settings(max_examples=15)
@given(st.integers(0, 2**32), st.sampled_from(["uniform", "loguniform"]), st.floats(0.0, 1.0))
def test_the_total_mass_stays_that_of_the_model(seed, distribution, level):
    randomization = bound(
        {
            "body_mass[*]": {"scale": [0.5, 2.0], "distribution": distribution, "each": True, "centre": 1.0},
            "fixed_totals": [["body_mass[*]"]],
        }
    ).at(level)
    members = randomization.draw(4, rng=seed)
    batch = Batch(MODEL, 4, nthread=1)
    apply_to_model(batch, MODEL, members, np.arange(4))
    for member in range(4):
        assert batch.get_model(member).body_mass.sum() == pytest.approx(MODEL.body_mass.sum(), rel=1e-12)
    assert ((members.values >= 0.5) & (members.values <= 2.0)).all()
    assert level < 1e-6 or members.values.std() > 0


def test_totals_over_several_parameters_weigh_what_each_names():
    table = {
        "body_mass[trunk]": {"scale": [0.5, 1.5]},
        "body_mass[*arm]": {"scale": [0.5, 1.5]},
        "fixed_totals": [["body_mass[trunk]", "body_mass[*arm]"]],
    }
    randomization = bound(table)
    assert randomization.totals == (FixedTotal(("body_mass[trunk]", "body_mass[*arm]"), (3.0, 1.2), 4.2),)


def test_totals_of_addends_and_of_values():
    shifted = bound(
        {"body_mass[*arm]": {"shift": [-0.1, 0.1], "each": True}, "fixed_totals": [["body_mass[*arm]"]]}
    ).draw(20, rng=0)
    np.testing.assert_allclose(shifted.values.sum(axis=1), 0, atol=1e-15)
    put = bound({"body_mass[*arm]": {"set": [0.2, 1.0], "each": True}, "fixed_totals": [["body_mass[*arm]"]]})
    np.testing.assert_allclose(put.draw(20, rng=0).values.sum(axis=1), 1.2, rtol=1e-12)


def test_totals_of_mass_and_inertia_are_of_the_mass():
    table = {"body_inertial[*]": {"scale": [0.5, 1.5], "each": True}, "fixed_totals": [["body_inertial[*]"]]}
    assert bound(table).totals[0].total == pytest.approx(MODEL.body_mass.sum())


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"body_mas[*]": {"scale": [1, 2], "each": True}}, "unknown model field 'body_mas'"),
        ({"body_mass[legs]": {"scale": [1, 2], "each": True}}, "unknown body 'legs'"),
        ({"body_mass[legs]": {"scale": [1, 2]}}, "unknown body 'legs'"),
        ({"observation_noise[z]": {"scale": [1, 2], "each": True}}, "unknown sensor 'z'"),
        ({"action_drop": {"set": [0.0, 0.1], "each": True}}, "an action is one packet, which has no elements"),
        ({"control_period": {"scale": [1, 1], "each": True}}, "'control_period' has no elements to draw for"),
        ({"observation_stuck[x]": {"set": [0, 1]}}, "is a flag: draw it with distribution = 'discrete'"),
        ({"action_swap[left, left]": {"set": [1, 1]}}, "unknown actuator 'left'"),
        ({"body_inertial": {"set": [1, 2]}}, "body_inertial can only scale"),
        ({"dof_M0": {"scale": [1, 2]}}, "MuJoCo computes dof_M0"),
        ({"joint damping of root": {"scale": [1, 2], "each": True}}, "all of them are 0 in this model"),
        (
            {"body_mass[*]": {"scale": [1, 2], "each": True}, "body_mass[trunk]": {"shift": [0, 1]}},
            r"'body_mass\[trunk\]' is changed twice, also by 'body_mass\[trunk\]'",
        ),
        (
            {"body_mass[*]": {"scale": [1.1, 1.2], "each": True}, "fixed_totals": [["body_mass[*]"]]},
            "needs to stay .*, but the ranges allow only",
        ),
        (
            {"opt.gravity[2]": {"scale": [0.9, 1.1]}, "fixed_totals": [["opt.gravity[2]"]]},
            "needs values >= 0 in the model",
        ),
        (
            {
                "body_mass[trunk]": {"scale": [0.9, 1.1]},
                "joint damping": {"scale": [0.9, 1.1]},
                "fixed_totals": [["body_mass[trunk]", "joint damping"]],
            },
            "adds up body_mass, dof_damping, which are different quantities",
        ),
        (
            {
                "body_mass[trunk]": {"scale": [0.9, 1.1]},
                "body mass": {"scale": [0.9, 1.1]},
                "fixed_totals": [["body_mass[trunk]", "body mass"]],
            },
            "two of them name the same element",
        ),
        (
            {"observation_noise": {"scale": [0.9, 1.1]}, "fixed_totals": [["observation_noise"]]},
            "sensors, actions and the friction of servos have no total",
        ),
        (
            {
                "body_mass[*arm]": {"scale": [0.9, 1.1], "each": True},
                "correlations": [{"between": ["body_mass[*arm]"], "matrix": [[1]]}],
            },
            "2 parameters need a matrix of 2 rows of 2 numbers",
        ),
        (
            {
                "body_mass[*]": {"scale": [0.9, 1.1], "each": True},
                "correlations": [{"between": ["body_mass[*]"], "coefficient": -0.5}],
            },
            "numbers are correlated like this",
        ),
    ],
)
def test_what_does_not_fit_the_model(table, message):
    with pytest.raises(WorldError, match=message) as caught:
        bound(table)
    assert "\n" not in str(caught.value)


def test_what_needs_a_world_says_so():
    with pytest.raises(WorldError, match=r"'body_mass\[\*\]' is drawn for each element: bind the randomization"):
        Randomization({"body_mass[*]": EACH}).draw(2, rng=0)


def test_a_bound_randomization_runs_in_its_world(tmp_path):
    """Four bodies of one mass: each factor acts on its own body, and their sum is 4."""
    world = rig_world(tmp_path)
    randomization = Randomization({"body_mass[*]": EACH}, totals=(FixedTotal(("body_mass[*]",)),)).bind(world)
    members = randomization.draw(5, rng=0)
    assert members.parameters == tuple(f"body_mass[{name}]" for name in ("faller", "cart", "bob", "arm"))
    np.testing.assert_allclose(members.values.sum(axis=1), 4.0, rtol=1e-12)
    check_parameters(world, members)
    pushed = rollout(world, Constant(np.array([1.0, 0.0])), rng=0, fibre=members, steps=1)
    moved = pushed.observations[:, 1, SENSORS.index("qpos[rail]")]
    np.testing.assert_allclose(moved, 0.01**2 / (MASS * members.values[:, 1]), rtol=1e-9)


def test_binding_to_a_world_with_names_of_spaces(tmp_path):
    world = World.from_xml(
        write_model(tmp_path, EVERYTHING), QuadraticTask(observe=["qpos[left shoulder]"]), control_period=0.01
    )
    shifted = Change("shift", -0.1, 0.1, each=True)
    randomization = Randomization({"joint damping of *shoulder": EACH, "observation_bias": shifted}).bind(world)
    assert list(randomization.changes)[-1] == "observation_bias[qpos[left shoulder]]"
    check_parameters(world, randomization.draw(3, rng=0))
