from __future__ import annotations

import numpy as np
import pytest
from rig import JOINTS

from sim2real_cat.errors import WorldError
from sim2real_cat.model_names import joint_address, matches
from sim2real_cat.worlds.parameters.fields import resolve


@pytest.fixture
def model(rig):
    return rig.compile()


def body(model, *names):
    return [model.body(name).id for name in names]


@pytest.mark.parametrize(
    ("parameter", "names"),
    [
        ("body_mass[bob]", ["bob"]),
        (" body_mass[ bob ] ", ["bob"]),
        ("body_mass[b*]", ["bob"]),
        ("body_mass[*a*]", ["faller", "cart", "arm"]),
        ("body_mass[?ob]", ["bob"]),
        ("body_mass[2]", ["cart"]),
        ("body_mass", ["world", "faller", "cart", "bob", "arm"]),
        ("body_mass[:]", ["world", "faller", "cart", "bob", "arm"]),
    ],
)
def test_selectors_of_bodies(model, parameter, names):
    field = resolve(model, parameter)
    assert field.name == "body_mass"
    assert list(field.elements) == body(model, *names)


@pytest.mark.parametrize(
    ("parameter", "elements"),
    [
        ("body_inertia[cart, 1]", [7]),
        ("body_inertia[cart, :]", [6, 7, 8]),
        ("body_inertia[cart]", [6, 7, 8]),
        ("body_inertia[:, 2]", [2, 5, 8, 11, 14]),
        ("opt.gravity[2]", [2]),
        ("opt.gravity", [0, 1, 2]),
        ("opt.viscosity", [0]),
        ("opt.viscosity[0]", [0]),
        ("dof_damping[coil]", [2]),
        ("jnt_stiffness[coil]", [2]),
        ("actuator_delay[twist]", [1]),
        ("geom_friction[box, 0]", [3]),
        ("sensor_cutoff[encoder]", [0]),
    ],
)
def test_selectors_of_other_fields(model, parameter, elements):
    assert list(resolve(model, parameter).elements) == elements


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        ("body_mas[cart]", r"unknown model field 'body_mas': did you mean 'body_mass'\?"),
        ("torso", "unknown model field 'torso'"),
        ("body_mass[crat]", r"'body_mass\[crat\]': unknown body 'crat': did you mean 'cart'\? Valid: .*faller"),
        ("body_mass[x*]", r"unknown body 'x\*'"),
        ("dof_damping[cart]", "unknown joint 'cart'.*drop, rail, coil, turn"),
        ("body_mass[9]", r"index 9 is outside 0\.\.4 of axis 0 of body_mass"),
        ("body_mass[-1]", r"index -1 is outside 0\.\.4"),
        ("body_mass[cart, 0]", "body_mass has 1 axes, the brackets name 2"),
        ("body_inertia[cart, x]", r"axis 1 of body_inertia has no names, write an index 0\.\.2 or ':'"),
        ("opt.gravity[z]", r"axis 0 of opt\.gravity has no names"),
        ("opt.viscosity[1]", r"index 1 is outside 0\.\.0"),
        ("opt.viscosity[0, 0]", "brackets name 2"),
        ("body_mass[cart", "'body_mass\\[cart' is no parameter"),
        ("[cart]", "is no parameter"),
        ("", "is no parameter"),
        ("tendon_damping", "the model has nothing that has a tendon_damping"),
        ("tendon_damping[0]", "the model has nothing that has a tendon_damping"),
        ("tendon_damping[cord]", r"unknown tendon 'cord'. Valid: \(none\)"),
    ],
)
def test_what_the_model_does_not_have(model, parameter, message):
    with pytest.raises(WorldError, match=message) as caught:
        resolve(model, parameter)
    assert "\n" not in str(caught.value)


def test_unnamed_elements_match_no_pattern(tmp_path):
    import mujoco

    model = mujoco.MjModel.from_xml_string(
        "<mujoco><worldbody><body><joint type='slide'/><geom size='1'/></body>"
        "<body name='b'><geom size='1'/></body></worldbody></mujoco>"
    )
    assert list(resolve(model, "body_mass[*]").elements) == [0, 2]  # the world and b


def test_a_joint_with_several_degrees_of_freedom_has_several_rows():
    import mujoco

    model = mujoco.MjModel.from_xml_string(
        "<mujoco><worldbody><body name='a'><joint name='first' type='hinge'/><joint name='second' type='slide'/>"
        "<geom size='1'/><body name='c'><joint name='round' type='ball'/><geom size='1'/></body></body>"
        "</worldbody></mujoco>"
    )
    assert list(resolve(model, "dof_damping[round]").elements) == [2, 3, 4]
    assert joint_address(model, "round", "qpos") == [2, 3, 4, 5]
    assert joint_address(model, "round", "qvel") == [2, 3, 4]


def test_joint_addresses(model):
    assert [joint_address(model, joint, "qpos") for joint in JOINTS] == [[0], [1], [2], [3]]
    with pytest.raises(WorldError, match="unknown joint 'trun': did you mean 'turn'"):
        joint_address(model, "trun", "qpos")
    with pytest.raises(WorldError, match="joints have qpos, qvel, not 'qacc'"):
        joint_address(model, "turn", "qacc")


def test_patterns_take_brackets_literally():
    assert matches("qpos[rail]", "qpos[rail]")
    assert matches("qpos[rail]", "qpos[*]")
    assert not matches("qposr", "qpos[rail]")
    assert np.all([matches("a", pattern) for pattern in ("a", "?", "*")])
