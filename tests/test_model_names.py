"""Joints of a model against MuJoCo's own addresses."""

from __future__ import annotations

import mujoco
import pytest

from sim2real_cat.errors import WorldError
from sim2real_cat.model_names import in_brackets, joint_named, joints

MODEL = """
<mujoco>
  <worldbody>
    <body><freejoint name="root"/><geom size="0.1"/>
      <body><joint name="round" type="ball"/><geom size="0.1"/>
        <body><joint name="rail" type="slide"/><joint type="hinge"/><geom size="0.1"/></body>
      </body>
    </body>
  </worldbody>
</mujoco>
"""


@pytest.fixture(scope="module")
def model():
    return mujoco.MjModel.from_xml_string(MODEL)


def test_joints(model):
    found = joints(model)
    assert [(joint.name, joint.kind) for joint in found] == [
        ("root", "free"),
        ("round", "ball"),
        ("rail", "slide"),
        ("", "hinge"),
    ]
    for i, joint in enumerate(found):
        assert joint.kind == mujoco.mjtJoint(int(model.jnt_type[i])).name.removeprefix("mjJNT_").lower()
        assert list(joint.qvel) == [dof for dof in range(model.nv) if model.dof_jntid[dof] == i]
    assert [address for joint in found for address in joint.qpos] == list(range(model.nq))
    assert [joint.quaternion for joint in found] == [(3, 4, 5, 6), (7, 8, 9, 10), (), ()]


def test_a_joint_that_there_is_not(model):
    assert joint_named(model, "rail").qpos == (11,)
    with pytest.raises(WorldError, match=r"unknown joint 'rial': did you mean 'rail'\? Valid: root, round, rail$"):
        joint_named(model, "rial")


@pytest.mark.parametrize(
    ("text", "parts"),
    [("qpos", []), ("qpos[a]", ["a"]), (" qpos[a , 0:3] ", ["a", "0:3"]), ("qpos[a[b]]", ["a[b]"])],
)
def test_in_brackets(text, parts):
    assert in_brackets(text) == ("qpos", parts)


@pytest.mark.parametrize("text", ["root height", "qpos[a] 0", "[a]", ""])
def test_texts_of_another_form(text):
    assert in_brackets(text) is None
