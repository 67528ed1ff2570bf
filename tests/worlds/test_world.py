"""What no world can be built from, and what it says then."""

from __future__ import annotations

import numpy as np
import pytest
from rig import RIG, TIMESTEP, Constant, write_model

from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.simulation.rollout import rollout
from sim2real_cat.worlds.tasks.quadratic import QuadraticTask
from sim2real_cat.worlds.world import World

TASK = QuadraticTask(observe=["qpos[rail]"])


def refused(path, period=TIMESTEP, **settings):
    """The message, which has to be one line that starts with the file."""
    with pytest.raises(WorldError) as caught:
        World.from_xml(path, TASK, period, **settings)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def test_a_missing_file(tmp_path):
    assert refused(tmp_path / "none.xml") == "no such model file; give the path of an MJCF .xml file"
    assert refused(tmp_path).startswith("no such model file")


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9])
def test_a_truncated_file(tmp_path, part):
    message = refused(write_model(tmp_path, RIG.strip()[: int(len(RIG) * part)]))
    assert message.startswith("not a model that MuJoCo can read: ")


@pytest.mark.parametrize("text", ["not xml", "<mujoco><worldbody><body><joint/></body></worldbody></mujoco>", "\0\1\2"])
def test_a_file_that_is_no_model(tmp_path, text):
    assert refused(write_model(tmp_path, text)).startswith("not a model that MuJoCo can read: ")


def test_a_model_without_actuators(tmp_path):
    text = RIG[: RIG.index("<actuator>")] + RIG[RIG.index("</actuator>") + len("</actuator>") :]
    assert refused(write_model(tmp_path, text)) == "the model has no actuator, so no policy can act on it"


@pytest.mark.parametrize("period", [0.015, 0.0, -0.01, 0.004, float("nan"), float("inf")])
def test_a_control_period_that_is_no_multiple(tmp_path, period):
    message = refused(write_model(tmp_path), period)
    assert message == f"control period {period:g} s is not a whole multiple of the model's timestep 0.01 s"


@pytest.mark.parametrize(("period", "substeps"), [(0.01, 1), (0.03, 3), (0.1 + 0.2, 30), (1, 100)])
def test_a_control_period_in_substeps(tmp_path, period, substeps):
    assert World.from_xml(write_model(tmp_path), TASK, period).substeps == substeps


def test_noise_on_a_sensor_it_does_not_have(tmp_path):
    with pytest.raises(WorldError, match=r"noise of world 'rig': unknown sensor 'qpos\[rial\]': did you mean"):
        World.from_xml(write_model(tmp_path), TASK, 0.01, noise={"qpos[rial]": 1.0})


def test_its_actuators_are_those_of_a_rollout(rig):
    assert rig.actuators == rollout(rig, Constant(np.ones(2)), rng=0, steps=1).actuators == ("push", "twist")
