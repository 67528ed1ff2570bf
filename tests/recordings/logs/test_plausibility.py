"""Wrong units, signs and clocks are warned of with the numbers; right ones, and noisy ones, are not."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
from arm import MAPPING, columns, write_csv
from rig import Constant, rig_world

from sim2real_cat.errors import PlausibilityWarning
from sim2real_cat.recordings.logs.mapping import LogMapping
from sim2real_cat.recordings.logs.reader import read_log
from sim2real_cat.worlds.simulation.rollout import rollout


def warned(path, table, world):
    """Messages of the warnings; each has to be one line that starts with the file."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read_log(path, LogMapping.from_table(table, world))
    assert all(entry.category is PlausibilityWarning for entry in caught)
    found = [str(entry.message) for entry in caught]
    assert all(message.startswith(f"{path}: ") and "\n" not in message for message in found)
    return [message.removeprefix(f"{path}: ") for message in found]


@pytest.fixture
def messages(tmp_path, world, done):
    def reading(change=None, **settings):
        table = columns(done, 0)
        if change is not None:
            change(table)
        return warned(write_csv(tmp_path / "log.csv", table), MAPPING | settings, world)

    return reading


def scaled(name, factor):
    def change(table):
        table[name] = table[name] * factor

    return change


def noisy(table):
    """As bad as encoders get: positions in steps of half a degree, velocities with a tenth of noise."""
    rng = np.random.default_rng(0)
    table["angle"] = np.round(table["angle"] / 0.0087) * 0.0087
    table["spin"] = table["spin"] + 0.1 * np.std(table["spin"]) * rng.standard_normal(len(table["spin"]))


@pytest.mark.parametrize("change", [None, noisy])
def test_a_log_in_the_right_units_is_not_warned_of(messages, change):
    assert messages(change) == []


@pytest.mark.parametrize(
    ("name", "factor", "expected"),
    [
        (
            "spin",
            180 / np.pi,
            r"joint 'hinge': velocities are 5\d.* times the derivative .*; velocities look like deg/s",
        ),
        ("angle", 180 / np.pi, "joint 'hinge': velocities are 0.01.* times .*; positions look like deg"),
        ("spin", 30 / np.pi, "joint 'hinge': velocities are 9.* times .*; velocities look like rpm"),
        ("spin", -1, "joint 'hinge': the velocities have the opposite sign of the positions' derivative; check sign"),
        ("spin", 3, r"joint 'hinge': velocities are 3.* times the derivative of the positions; check both units"),
        ("reach", 100, "joint 'slide': velocities are 0.01.* times .*; positions look like cm"),
        ("torque", 1000, r"actuator 'shoulder': actions reach 9\d\d.*, the model cuts them to -5..5"),
    ],
)
def test_units_and_signs_that_do_not_go_together(messages, name, factor, expected):
    (found,) = messages(scaled(name, factor))
    assert re.match(expected, found), found


def test_the_unit_of_time(messages):
    """Milliseconds taken for seconds: every joint and the control period say so."""
    found = messages(scaled("t", 1000))
    assert len(found) == 3
    assert "the unit of time looks off by 1000 (timestamps in ms?)" in found[0]
    assert found[2].startswith(
        "rows are 20 s apart, control steps of world 'arm' 0.02 s; the unit of time looks off by"
    )
    assert messages(scaled("t", 1000), time={"column": "t", "unit": "ms"}) == []


BODY = """
<mujoco>
  <option timestep="0.01"/>
  <worldbody><body name="cube"><freejoint name="root"/><geom size="0.1" mass="1"/></body></worldbody>
  <actuator><motor name="lift" joint="root" gear="0 0 1 0 0 0"/></actuator>
  <sensor><accelerometer name="imu" site="cell"/></sensor>
</mujoco>
""".replace('<geom size="0.1" mass="1"/>', '<geom size="0.1" mass="1"/><site name="cell"/>')

FALL = {
    "time": {"period": 0.01},
    "state": {"qpos[root, 0:3]": "q[0:3]", "qpos[root, 3:7]": "q[3:7]", "qvel[root]": "v"},
    "observation": {"sensordata[imu]": "a"},
}


@pytest.fixture
def body(tmp_path):
    world = rig_world(tmp_path, text=BODY, observe=["sensordata[imu]"], steps=40)
    done = rollout(world, Constant(np.array([0.0])), rng=0)
    arrays = {"q": done.qpos[0], "v": done.qvel[0], "a": np.tile([0.0, 0.0, 9.81], (41, 1))}

    def reading(**changed):
        np.savez(tmp_path / "log.npz", **(arrays | {name: arrays[name] * factor for name, factor in changed.items()}))
        return warned(tmp_path / "log.npz", FALL, world)

    return reading


def test_a_body_in_free_fall(body):
    assert body() == []
    (found,) = body(q=[1 / 0.05] * 3 + [1] * 4, v=[1 / 0.05] * 3 + [1] * 3)
    assert found.startswith(
        "joint 'root': it falls with 196.2 m/s^2, gravity is 9.81; the unit of length looks off by 20"
    )


def test_the_velocities_of_a_free_body_are_the_first_three(body):
    found = body(v=[10.0] * 3 + [1.0] * 3)
    assert "joint 'root': velocities are 9.81 times the derivative of the positions; check both units" in found
    assert body(v=[1.0] * 3 + [10.0] * 3) == []


def test_a_rotation_that_is_none(body):
    (found,) = body(q=[1, 1, 1, 0.9, 0.9, 0.9, 0.9])
    assert found == "joint 'root': a rotation has length 0.9, a unit quaternion 1"


@pytest.mark.parametrize(("factor", "unit"), [(1 / 9.81, "g"), (1000.0, "mm/s^2")])
def test_an_accelerometer(body, factor, unit):
    (found,) = body(a=factor)
    assert found.startswith("sensor 'imu': the median is")
    assert found.endswith(f"gravity 9.81 m/s^2; it looks like {unit}")


def test_positions_far_outside_the_limits_of_their_joint(tmp_path):
    limited = BODY.replace('<freejoint name="root"/>', '<joint name="root" range="-30 30"/>').replace(
        'gear="0 0 1 0 0 0"', 'gear="1"'
    )
    world = rig_world(tmp_path, text=limited, observe=["qpos[root]"])
    table = {"time": {"period": 0.01}, "state": {"qpos[root]": "q"}}
    np.savez(tmp_path / "log.npz", q=np.linspace(-25, 25, 50))
    (found,) = warned(tmp_path / "log.npz", table, world)
    assert found == "joint 'root': positions reach 25 rad, as deg would; its range in the model is -0.524..0.524"
    table["state"] = {"qpos[root]": {"column": "q", "unit": "deg"}}
    assert warned(tmp_path / "log.npz", table, world) == []


def test_every_joint_has_limits_of_its_own(tmp_path):
    joints = '<joint name="wide" range="-3000 3000"/><joint name="narrow" axis="1 0 0" range="-30 30"/>'
    limited = BODY.replace('<freejoint name="root"/>', joints).replace(
        'joint="root" gear="0 0 1 0 0 0"', 'joint="wide" gear="1"'
    )
    world = rig_world(tmp_path, text=limited, observe=["qpos[wide]"])
    table = {"time": {"period": 0.01}, "state": {"qpos[wide]": "q", "qpos[narrow]": "q"}}
    np.savez(tmp_path / "log.npz", q=np.linspace(-25, 25, 50))
    (found,) = warned(tmp_path / "log.npz", table, world)
    assert found == "joint 'narrow': positions reach 25 rad, as deg would; its range in the model is -0.524..0.524"
