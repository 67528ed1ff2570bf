"""A model of one's own, and studies described by what they change in the tiny one."""

from __future__ import annotations

import copy

import pytest

from sim2real_cat.study.study import Study

CART = """
<mujoco model="cart">
  <option timestep="0.01" gravity="0 0 0"/>
  <worldbody>
    <body name="cart"><joint name="rail" type="slide" axis="1 0 0" damping="0.5"/><geom size="0.1" mass="1"/></body>
  </worldbody>
  <actuator><motor name="push" joint="rail"/></actuator>
  <sensor><jointpos name="encoder" joint="rail"/></sensor>
</mujoco>
"""

TASK = {
    "observe": ["qpos[rail]", "qvel[rail]"],
    "steps": 12,
    "cost": {"qpos[rail]": 1.0},
    "target": {"qpos[rail]": 0.5},
    "action_cost": 0.1,
    "healthy": {"qpos[rail]": [-5.0, 5.0]},
    "start_noise": 0.2,
}


@pytest.fixture
def cart_document(tmp_path):
    """A study of one's own model, which lies in a folder beside the description."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "cart.xml").write_text(CART, encoding="utf-8")
    return {
        "study": {"name": "cart", "real_episodes": 4, "sim_episodes": 2},
        "robots": {
            "cart": {
                "xml": "models/cart.xml",
                "control_period": 0.02,
                "noise": {"*": 0.01},
                "task": copy.deepcopy(TASK),
                "reality": {"dof_damping[rail]": {"scale": 2.0}},
                "randomizations": {"wide": {"dof_damping[rail]": {"scale": [0.5, 3.0]}}},
                "training": {"iterations": 2},
            }
        },
        "policies": {
            "one": {"robot": "cart"},
            "two": {"robot": "cart", "randomization": "wide", "members": 2},
        },
    }


@pytest.fixture
def run(write_study):
    """Run a document from a file, into a folder beside it."""

    def study(document, out="out", **options):
        path = write_study(document)
        folder = path.parent / out
        return folder, Study.from_toml(path).run(folder, **{"threads": 1} | options)

    return study
