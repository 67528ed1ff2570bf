from __future__ import annotations

import pytest
from arm import MAPPING
from rig import rig_world

from sim2real_cat.errors import WorldError
from sim2real_cat.recordings.logs.mapping import LogMapping
from sim2real_cat.recordings.logs.targets import find_targets

BODIES = """
<mujoco><worldbody>
  <body name="cube"><freejoint name="root"/><geom size="0.1"/></body>
  <body name="eye"><joint name="ball" type="ball"/><geom size="0.1"/></body>
</worldbody><actuator><motor name="roll" joint="ball" gear="1 0 0"/><motor joint="ball"/></actuator></mujoco>
"""


def resolved(world, table):
    return find_targets(LogMapping.from_table(table, world), world.compile())


@pytest.fixture
def bodies(tmp_path):
    return rig_world(tmp_path, text=BODIES, observe=["qpos[root]", "qvel[ball]"])


def test_the_arm(world):
    found = resolved(world, MAPPING)
    assert [(t.name, t.columns) for t in found.qpos] == [("qpos[hinge]", (0,)), ("qpos[slide]", (1,))]
    assert [(t.name, t.columns) for t in found.qvel] == [("qvel[hinge]", (0,)), ("qvel[slide]", (1,))]
    assert found.sensors == world.sensors
    assert {t.name: t.columns for t in found.observation} == {
        "qpos[hinge]": (0,),
        "qpos[slide]": (1,),
        "qvel[hinge]": (2,),
        "qvel[slide]": (3,),
        "sensordata[encoder]": (4,),
    }
    assert found.actuators == ("shoulder", "wrist")
    assert found.sizes == (2, 2)


def test_sensors_may_be_some_of_the_worlds(world):
    observation = {"qvel[slide]": "b", "qpos[slide]": "a"}
    found = resolved(world, {"observation": observation})
    assert found.sensors == ("qpos[slide]", "qvel[slide]")
    assert {t.name: t.columns for t in found.observation} == {"qpos[slide]": (0,), "qvel[slide]": (1,)}
    assert found.sizes == (0, 0)
    assert found.actuators == ()


def test_a_sensor_may_have_another_column_than_the_state(world):
    table = MAPPING | {"observation": {"qpos[hinge]": "encoder", "sensordata[encoder]": "encoder"}}
    columns = {t.name: t.channel.column for t in resolved(world, table).observation}
    assert columns["qpos[hinge]"] == "encoder"
    assert columns["qpos[slide]"] == "reach"


STATE = {
    "qpos[root, 0:3]": {"column": "p[0:3]", "unit": "mm"},
    "qpos[root, 3:7]": "p[3:7]",
    "qpos[ball]": ["w", "x", "y", "z"],
    "qvel[root, :3]": "v[0:3]",
    "qvel[root, 3:]": {"column": "v[3:6]", "unit": "deg/s"},
    "qvel[ball]": "s",
}


def test_joints_of_several_coordinates(bodies):
    found = resolved(bodies, {"state": STATE})
    assert {t.name: (t.columns, t.rotations) for t in found.qpos} == {
        "qpos[root, 0:3]": ((0, 1, 2), ()),
        "qpos[root, 3:7]": ((3, 4, 5, 6), (0,)),
        "qpos[ball]": ((7, 8, 9, 10), (0,)),
    }
    assert [t.columns for t in found.qvel] == [(0, 1, 2), (3, 4, 5), (6, 7, 8)]
    assert found.sensors == bodies.sensors
    assert {t.name: (t.columns, t.rotations) for t in found.observation} == {
        "qpos[root, 0:3]": ((0, 1, 2), ()),
        "qpos[root, 3:7]": ((3, 4, 5, 6), (0,)),
        "qvel[ball]": ((7, 8, 9), ()),
    }


def test_actuators_without_a_name(bodies):
    found = resolved(bodies, {"state": STATE, "action": {"roll": "a", "actuator 1": "b"}})
    assert found.actuators == ("roll", "actuator 1")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"state": {"qpos[hing]": "a"}}, "[state] 'qpos[hing]': unknown joint 'hing': did you mean 'hinge'?"),
        ({"state": {"hinge": "a"}}, "[state] 'hinge': write qpos[joint] or qvel[joint]"),
        ({"state": {"qpos[hinge, 1]": "a"}}, "'1' is no element of 0..0; write an index or a range as 0:3"),
        ({"state": {"qpos[hinge]": "a"}}, "[state] is incomplete: map qpos[slide] too"),
        (
            {"state": {"qpos[hinge]": "a", "qpos[hinge, 0]": "a", "qpos[slide]": "b"}},
            "[state]: 'qpos[hinge]' and 'qpos[hinge, 0]' both fill qpos[hinge]",
        ),
        ({"state": {"qvel[hinge]": "a", "qvel[slide]": "b"}}, "[state] has velocities without positions"),
        (
            {"state": {"qpos[hinge]": {"column": "a", "unit": "mm"}, "qpos[slide]": "b"}},
            "[state] 'qpos[hinge]' measures angle, 'mm' length; write one of rad, mrad, deg, turn",
        ),
        (
            {"observation": {"qvel[hinge]": {"column": "a", "unit": "deg"}}},
            "[observation] 'qvel[hinge]' measures angular velocity, 'deg' angle",
        ),
        (
            {"observation": {"sensordata[encodr]": "a"}},
            "unknown sensor 'sensordata[encodr]': did you mean 'sensordata[",
        ),
        (MAPPING | {"action": {"sholder": "a"}}, "[action]: unknown actuator 'sholder': did you mean 'shoulder'?"),
        (MAPPING | {"action": {"wrist": "a"}}, "[action] is incomplete: map shoulder too"),
    ],
)
def test_names_that_do_not_fit_the_world(world, table, message):
    with pytest.raises(WorldError) as caught:
        resolved(world, table)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "unit", "measured"),
    [
        ("qpos[root, 0:3]", "deg", "length"),
        ("qpos[root, 3:7]", "mm", "plain number"),
        ("qpos[ball]", "deg", "plain number"),
        ("qvel[root, :3]", "deg/s", "velocity"),
        ("qvel[root, 3:]", "m/s", "angular velocity"),
        ("qvel[ball]", "m/s", "angular velocity"),
    ],
)
def test_what_the_coordinates_of_a_joint_measure(bodies, key, unit, measured):
    with pytest.raises(WorldError) as caught:
        resolved(bodies, {"state": STATE | {key: {"column": "p", "unit": unit}}})
    assert f"[state] '{key}' measures {measured}, '{unit}' " in str(caught.value)


def test_coordinates_of_two_kinds_need_no_unit(bodies):
    whole = {"qpos[root]": "p", "qvel[root]": {"column": "v", "unit": "deg/s"}}
    found = resolved(bodies, {"state": whole | {"qpos[ball]": "w", "qvel[ball]": "s"}})
    assert [(t.columns, t.rotations) for t in found.qpos] == [(tuple(range(7)), (3,)), (tuple(range(7, 11)), (0,))]


def test_a_rotation_is_mapped_whole(bodies):
    table = {"state": STATE | {"qpos[root, 3:7]": "p[3:6]", "qpos[root, 3:6]": "p[3:6]"}}
    with pytest.raises(WorldError, match="a rotation is four numbers that turn together; list their columns in one"):
        resolved(bodies, table)


def test_without_a_world_names_are_free():
    found = find_targets(LogMapping.from_table({"observation": {"height": "h"}, "action": {"u": "a"}}), None)
    assert (found.sensors, found.actuators, found.sizes) == (("height",), ("u",), (0, 0))
