"""What may change, and which values make a model that physics could have."""

from __future__ import annotations

import numpy as np
import pytest
from everything import everything
from mujoco.batch import Batch

from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.parameters.apply import apply_to_model
from sim2real_cat.worlds.parameters.fields import field_values
from sim2real_cat.worlds.randomization.ensemble import Ensemble

MODEL = everything()


def changed(table, field):
    """A field after the changes of one world."""
    batch = Batch(MODEL, 1, nthread=1)
    apply_to_model(batch, MODEL, Ensemble.single(table), np.arange(1))
    return field_values(batch.get_model(0), field)


@pytest.mark.parametrize(
    ("parameter", "entry", "message"),
    [
        ("body_mass[trunk]", {"set": 0.0}, "set gives 0, but body_mass needs to stay above 1e-15 for a physical model"),
        ("body_mass[trunk]", {"shift": -9.0}, "shift gives -6, but body_mass cannot be negative"),
        ("body_mass[*]", {"shift": -0.8}, r"'body_mass\[\*\]': shift gives -0.8.* for body_mass\[world\], but"),
        ("body_inertia[trunk, 0]", {"scale": 0.0}, "body_inertia needs to stay above 1e-15"),
        ("body_inertia[trunk, 2]", {"scale": 4.0}, r"'body_inertia\[trunk\]': a principal inertia exceeds the sum"),
        ("joint damping of left shoulder", {"shift": -1.0}, r"gives -0.6 for dof_damping\[left shoulder\]"),
        ("joint armature of left shoulder", {"set": -1.0}, "dof_armature cannot be negative"),
        ("joint friction loss", {"set": -1.0}, "dof_frictionloss cannot be negative"),
        ("geom friction of floor", {"scale": -1.0}, "geom_friction cannot be negative"),
        ("geom size of skull", {"set": 0.0}, "geom_size needs to stay above 1e-15"),
        ("tendon damping", {"set": -1.0}, "tendon_damping cannot be negative"),
        ("pair_friction[touch, 0]", {"set": -1.0}, "pair_friction cannot be negative"),
        ("opt.impratio", {"set": 0.0}, "opt.impratio needs to stay above 1e-15"),
        ("opt.gravity[2]", {"scale": 1e308}, "scale gives -inf"),
        ("joint lower limit of left shoulder", {"set": 2.0}, r"'jnt_range\[left shoulder\]' becomes an empty range"),
        ("body_quat[trunk]", {"scale": 0.0}, r"'body_quat\[trunk\]' becomes 0, which is no direction"),
        ("dof_invweight0", {"scale": 2.0}, "MuJoCo computes dof_invweight0 from other fields and would overwrite it"),
        ("body_subtreemass[trunk]", {"scale": 2.0}, "MuJoCo computes body_subtreemass"),
        ("sensor_noise[encoder]", {"set": 0.1}, "MuJoCo computes no noise from it; change observation_noise instead"),
        ("jnt_type[neck]", {"set": 3}, "whole numbers or flags of the model's structure"),
        ("geom_condim[skull]", {"scale": 3}, "holds whole numbers or flags; they can only be set"),
        ("geom_condim[skull]", {"set": 3.5}, "set gives 3.5, but it needs to be a whole number"),
        ("eq_active0[latch]", {"set": 2}, "set gives 2, but it needs to be 0 or 1"),
        ("body_pos[shelf]", {"shift": 1.0}, "body 'shelf' is fixed to the world; move its geoms with geom_pos instead"),
        ("body_quat[shelf, 0]", {"shift": 1.0}, "body 'shelf' is fixed to the world"),
        ("body_inertial[trunk, 0]", {"scale": 1.1}, "means several fields; name elements, but no column"),
        ("actuator position gain of hold", {"set": 1.1}, "actuator_kp can only scale"),
        ("body_ipos[cloth_0]", {"shift": 0.01}, "no physical model.*compiled as simple"),
    ],
)
def test_what_no_model_is(parameter, entry, message):
    with pytest.raises(WorldError, match=message) as caught:
        changed({parameter: entry}, "body_mass")
    assert "\n" not in str(caught.value)


def test_what_was_zero_may_stay_zero():
    """The world weighs nothing, and most geoms have sizes that are not used."""
    assert changed({"body_mass": {"scale": 2.0}}, "body_mass")[0] == 0.0
    assert changed({"geom_size": {"scale": 2.0}}, "geom_size")[-1, 1] == 2 * MODEL.geom_size[-1, 1]


def test_inertias_that_pass_each_other_while_they_are_changed():
    """One column after the other may be impossible on the way; only the result has to be a body."""
    table = {f"body_inertia[trunk, {axis}]": {"scale": 10.0} for axis in range(3)}
    trunk = MODEL.body("trunk").id
    np.testing.assert_allclose(changed(table, "body_inertia")[trunk], 10 * MODEL.body_inertia[trunk])


def test_directions_stay_of_length_one():
    axis = changed({"jnt_axis[left shoulder, 0]": {"shift": 1.0}}, "jnt_axis")[MODEL.joint("left shoulder").id]
    np.testing.assert_allclose(axis, np.array([1, 1, 0]) / 2**0.5)


def test_a_position_actuator_gets_stiffer_in_both_of_its_numbers():
    hold = MODEL.actuator("hold").id
    table = {"actuator position gain of hold": {"scale": 1.5}}
    assert changed(table, "actuator_gainprm")[hold, 0] == pytest.approx(75)
    assert changed(table, "actuator_biasprm")[hold].tolist()[:3] == pytest.approx([0, -75, -2])


def test_flags_and_whole_numbers_can_be_set():
    assert changed({"opt.iterations": {"set": 7}}, "opt.iterations") == 7
    assert changed({"eq_active0[latch]": {"set": 1}}, "eq_active0").tolist() == [True]
    assert changed({"geom_condim[skull]": {"set": 6}}, "geom_condim")[MODEL.geom("skull").id] == 6
